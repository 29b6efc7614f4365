//! One connection: its socket in a set of its own, and what the stack remembers beside it.

use std::collections::VecDeque;
use std::time::Duration;

use locum_types::Instant;
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp;

use crate::astray::Astray;
use crate::forge::{Forged, Negotiated};
use crate::parse::Segment;
use crate::service::{CloseReason, FlowId};
use crate::table::Key;
use crate::timers::Armed;
use crate::{Limits, Tuple};

/// smoltcp has forgotten to retransmit if something is outstanding, nothing moved for this long and it
/// has set no timer: its own retransmission timeout starts at one second.
const WEDGED_AFTER: Duration = Duration::from_secs(3);
/// A flow that moves by none of so many nudges is given up.
const NUDGES_MAX: u8 = 5;
/// A probe is repeated once after this time, by smoltcp.
const PROBE_AGAIN: Duration = Duration::from_secs(3);

pub(crate) struct Flow {
    pub(crate) id: FlowId,
    pub(crate) tuple: Tuple,
    /// The place of its service.
    pub(crate) listener: usize,
    pub(crate) set: SocketSet<'static>,
    handle: SocketHandle,
    /// What the client offered when it connected.
    pub(crate) negotiated: Negotiated,
    /// The sequence number of our SYN.
    pub(crate) local_isn: u32,
    /// The number after the client's SYN: where its stream begins.
    pub(crate) first_byte: u32,
    /// The MAC that the client's SYN came from.
    pub(crate) via: [u8; 6],
    /// The client's window, as its last segment in order carried it.
    pub(crate) window: u16,
    /// Bytes of its stream that were handed to the service.
    pub(crate) delivered: u64,
    /// Bytes that were received and recorded, and not delivered.
    pub(crate) held: usize,
    /// The client's FIN is recorded, and its acknowledgement of ours.
    pub(crate) fin_noted: bool,
    pub(crate) fin_acked_noted: bool,
    /// Output that was acknowledged.
    pub(crate) acked: u64,
    /// Output that is not acknowledged, as of the last look.
    pub(crate) unacked: usize,
    /// That output itself, if it is kept: smoltcp does not give it back.
    pub(crate) output: Option<VecDeque<u8>>,
    /// The handshake is complete, and the service knows.
    pub(crate) opened: bool,
    pub(crate) paused: bool,
    /// The client's FIN was reported.
    pub(crate) finished: bool,
    /// The service is done sending.
    pub(crate) closing: bool,
    /// Why the stack itself ended it.
    pub(crate) ended_by: Option<CloseReason>,
    /// It wants to be served.
    pub(crate) dirty: bool,
    /// It has a place in the queue of those that do.
    pub(crate) queued: bool,
    /// Its entries among the timers.
    pub(crate) armed: Armed,
    /// The acknowledgement number of the client's last segment in order.
    pub(crate) last_ack: Option<u32>,
    /// It was restored, and its client may wait for a timeout.
    pub(crate) client_waits: bool,
    /// It was restored, and nothing that its client said since then was what was expected next.
    pub(crate) unheard: bool,
    /// The client has said nothing of late but what disagrees with what we know.
    astray: Option<Astray>,
    /// Something was sent by this socket.
    pub(crate) has_spoken: bool,
    /// The last time a byte moved, or the handshake did.
    touched: Instant,
    /// The last time the client said anything.
    heard: Instant,
    /// Since when the client owes an answer.
    asked: Option<Instant>,
    /// The last challenge.
    pub(crate) challenged: Option<Instant>,
    /// The last probe.
    probed: Instant,
    /// Probes since `touched` that were to get smoltcp going again.
    nudges: u8,
}

/// How a connection began.
#[derive(Clone, Copy)]
pub(crate) struct Past {
    pub(crate) negotiated: Negotiated,
    /// The sequence number of our SYN.
    pub(crate) local_isn: u32,
    /// The sequence number of the client's SYN.
    pub(crate) remote_isn: u32,
    /// The MAC that it came from.
    pub(crate) via: [u8; 6],
    /// The client's window, not scaled.
    pub(crate) window: u16,
}

/// What is to happen to a flow whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// The handshake was never completed: forget it.
    HalfOpen,
    /// No byte moved for too long: reset it.
    Idle,
    /// The client never closed its half: reset it.
    FinWait,
    /// The client does not answer: reset it.
    Unanswered,
    /// Nothing gets smoltcp going again: reset it.
    Wedged,
    /// smoltcp has stopped retransmitting: make the client say where it is.
    Stalled,
    /// The client speaks of what we do not know: ask where it is.
    Astray,
    /// The client has been silent: ask whether it lives.
    Silent,
}

impl Flow {
    pub(crate) fn new(
        id: FlowId,
        tuple: Tuple,
        listener: usize,
        forged: Forged,
        past: Past,
        now: Instant,
    ) -> Self {
        Flow {
            id,
            tuple,
            listener,
            set: forged.set,
            handle: forged.handle,
            negotiated: past.negotiated,
            local_isn: past.local_isn,
            first_byte: past.remote_isn.wrapping_add(1),
            via: past.via,
            window: past.window,
            delivered: 0,
            held: 0,
            fin_noted: false,
            fin_acked_noted: false,
            acked: 0,
            unacked: 0,
            output: None,
            opened: false,
            paused: false,
            finished: false,
            closing: false,
            ended_by: None,
            dirty: false,
            queued: false,
            armed: Armed::default(),
            last_ack: None,
            client_waits: false,
            unheard: false,
            astray: None,
            has_spoken: false,
            touched: now,
            heard: now,
            asked: None,
            challenged: None,
            probed: now,
            nudges: 0,
        }
    }

    pub(crate) fn socket(&self) -> &tcp::Socket<'static> {
        self.set.get(self.handle)
    }

    pub(crate) fn socket_mut(&mut self) -> &mut tcp::Socket<'static> {
        self.set.get_mut(self.handle)
    }

    /// The sequence number expected next from the client, which smoltcp does not tell.
    pub(crate) fn remote_next(&self) -> u32 {
        let received = self.delivered.wrapping_add(self.socket().recv_queue() as u64);
        let fin = u32::from(self.client_finished());
        self.first_byte.wrapping_add(received as u32).wrapping_add(fin)
    }

    /// Whether the client has sent FIN, and smoltcp has all bytes before it.
    pub(crate) fn client_finished(&self) -> bool {
        matches!(
            self.socket().state(),
            tcp::State::CloseWait
                | tcp::State::LastAck
                | tcp::State::Closing
                | tcp::State::TimeWait
        )
    }

    pub(crate) fn is_time_wait(&self) -> bool {
        self.socket().state() == tcp::State::TimeWait
    }

    /// Whether its socket is done: closed, and the RST sent if there was one to send.
    pub(crate) fn is_over(&self) -> bool {
        match self.socket().state() {
            tcp::State::Closed => self.socket().remote_endpoint().is_none(),
            // A RST took a half-open connection back to where it came from.
            tcp::State::Listen => true,
            tcp::State::SynSent
            | tcp::State::SynReceived
            | tcp::State::Established
            | tcp::State::FinWait1
            | tcp::State::FinWait2
            | tcp::State::CloseWait
            | tcp::State::Closing
            | tcp::State::LastAck
            | tcp::State::TimeWait => false,
        }
    }

    /// Has our FIN follow the output once the service is done sending. In LAST-ACK smoltcp takes no window from a segment
    /// that acknowledges nothing: a client that has shut its window, and opens it again, would never get the rest. So the
    /// FIN of the later of both ends waits in CLOSE-WAIT until there is room for all that is before it.
    pub(crate) fn finish_sending(&mut self) {
        let has_room = || self.socket().send_queue() <= self.client_window();
        if self.closing && (!self.client_finished() || has_room()) {
            self.socket_mut().close();
        }
    }

    /// How many bytes the client takes, by its last segment in order.
    pub(crate) fn client_window(&self) -> usize {
        usize::from(self.window) << self.negotiated.window_scale.unwrap_or(0)
    }

    /// Whether our FIN may be on its way.
    pub(crate) fn fin_outstanding(&self) -> bool {
        matches!(
            self.socket().state(),
            tcp::State::FinWait1 | tcp::State::Closing | tcp::State::LastAck
        )
    }

    /// Whether the client has acknowledged our FIN.
    pub(crate) fn fin_is_acked(&self) -> bool {
        matches!(self.socket().state(), tcp::State::FinWait2 | tcp::State::TimeWait)
    }

    /// The first of our sequence numbers that the client has not acknowledged.
    pub(crate) fn local_unacked(&self) -> u32 {
        let queued = self.socket().send_queue();
        let acked = self.acked.wrapping_add(self.unacked.saturating_sub(queued) as u64);
        let fin = u32::from(self.fin_is_acked());
        self.local_isn.wrapping_add(1).wrapping_add(acked as u32).wrapping_add(fin)
    }

    /// The number after all of our output, sent or not.
    fn local_end(&self) -> u32 {
        let fin = u32::from(self.fin_outstanding());
        self.local_unacked().wrapping_add(self.socket().send_queue() as u32).wrapping_add(fin)
    }

    /// Whether the client acknowledges more than all of our output: another node has answered it. Only within `window` at both
    /// ends, so that nobody who guesses can end a connection by it; but anywhere before the client was heard: it may
    /// have gone on with another node for long.
    pub(crate) fn is_ahead(&self, segment: &Segment, window: usize) -> bool {
        let Some(ack) = segment.ack else { return false };
        let beyond = ack.wrapping_sub(self.local_end()) as usize;
        let ahead = segment.sequence.wrapping_sub(self.remote_next()) as usize;
        let reach = if self.unheard { i32::MAX as usize } else { window };
        (1..=reach).contains(&beyond) && ahead <= reach
    }

    /// Whether the client may have sent something that we do not have: it has not finished, and our window
    /// is open.
    pub(crate) fn may_wait(&self) -> bool {
        let socket = self.socket();
        !self.client_finished() && socket.recv_queue() < socket.recv_capacity()
    }

    /// Notes output. Whether a copy of it is kept can change whenever nothing is outstanding: a copy has all
    /// of it or is none.
    pub(crate) fn note_sent(&mut self, bytes: &[u8], keep: bool) {
        if self.unacked == 0 {
            self.output = keep.then(|| self.output.take().unwrap_or_default());
        }
        if let Some(output) = &mut self.output {
            output.extend(bytes);
        }
        self.unacked += bytes.len();
    }

    /// Notes that only `queued` bytes of the output are not acknowledged; returns how many newly are.
    pub(crate) fn note_acked(&mut self, queued: usize) -> usize {
        let acked = self.unacked.saturating_sub(queued);
        if let Some(output) = &mut self.output {
            output.drain(..acked.min(output.len()));
        }
        self.acked += acked as u64;
        self.unacked -= acked;
        acked
    }

    /// Wants to be served, and has a place in the queue of those that do.
    pub(crate) fn line_up(&mut self, key: Key, queue: &mut VecDeque<Key>) {
        self.dirty = true;
        if !std::mem::replace(&mut self.queued, true) {
            queue.push_back(key);
        }
    }

    /// Goes on with another socket in the same state.
    pub(crate) fn replace_socket(&mut self, forged: Forged) {
        (self.set, self.handle) = (forged.set, forged.handle);
        self.nudges = 0;
    }

    pub(crate) fn is_half_open(&self) -> bool {
        !self.opened
    }

    /// Something moved: the connection is alive.
    pub(crate) fn touch(&mut self, now: Instant) {
        self.touched = now;
        self.nudges = 0;
    }

    /// The client said something.
    pub(crate) fn hear(&mut self, now: Instant, segment: &Segment) {
        if self.disagrees(segment) {
            self.astray.get_or_insert_with(|| Astray::new(now)).hear(now, segment);
        } else if segment.sequence == self.remote_next() && !segment.rst {
            // Whoever does not know the next number could as well be somebody else.
            self.last_ack = segment.ack;
            self.window = segment.window;
            // Nothing that it has sent is missing.
            self.client_waits = false;
            self.unheard = false;
            self.astray = None;
        }
        self.heard = now;
        self.asked = None;
    }

    /// Whether something is missing before this segment, or it acknowledges what was never sent.
    fn disagrees(&self, segment: &Segment) -> bool {
        let gap = self.may_wait() && is_beyond(segment.sequence, self.remote_next());
        !segment.rst && (gap || self.acknowledges_unsent(segment))
    }

    fn acknowledges_unsent(&self, segment: &Segment) -> bool {
        segment.ack.is_some_and(|ack| is_beyond(ack, self.local_end()))
    }

    /// Whether it is certain by now that the client and we can never agree again. A connection that was restored may be
    /// older than what the client has been told; any other is not by itself.
    pub(crate) fn is_astray(&self, now: Instant, segment: &Segment) -> bool {
        let certain = |astray: &Astray| {
            let asked = astray.was_reminded() && self.acknowledges_unsent(segment);
            now > astray.certain_at() && (self.unheard || asked || astray.has_no_more())
        };
        self.disagrees(segment) && self.astray.as_ref().is_some_and(certain)
    }

    /// Asks the client for a sign of life: a segment below its window, which it must answer (RFC 9293
    /// §3.8.4). The answer also tells smoltcp where the client stands.
    pub(crate) fn probe(&mut self, now: Instant) {
        self.probed = now;
        self.asked.get_or_insert(now);
        // smoltcp winds its timer up to "now" when the option is set. The option is not left on: then
        // it would always have a timer, and a flow that it forgot could not be told from others.
        self.socket_mut().set_keep_alive(Some(PROBE_AGAIN.into()));
    }

    /// The probe was sent, if there was one.
    pub(crate) fn probe_sent(&mut self) {
        if self.socket().keep_alive().is_some() {
            self.socket_mut().set_keep_alive(None);
        }
    }

    /// Makes a client that is astray say where it is, and start a fast retransmission if it has anything to retransmit.
    pub(crate) fn remind(&mut self, now: Instant) {
        if let Some(astray) = &mut self.astray {
            astray.remind();
        }
        self.client_waits = true;
        self.probe(now);
    }

    /// Counts a nudge to a flow that smoltcp forgot.
    pub(crate) fn nudge(&mut self, now: Instant) {
        self.nudges = self.nudges.saturating_add(1);
        self.probe(now);
    }

    /// When smoltcp wants to be polled for this flow.
    pub(crate) fn stack_at(&self, now: Instant, interface: &mut Interface) -> Option<Instant> {
        interface.poll_at(now.into(), &self.set).map(Instant::from)
    }

    /// When this flow wants to be looked at: `stack_at`, or one of our own limits.
    pub(crate) fn deadline(
        &mut self,
        now: Instant,
        stack_at: Option<Instant>,
        limits: &Limits,
    ) -> Instant {
        if self.outstanding() {
            self.asked.get_or_insert(now);
        }
        let (ours, _) = self.limit(stack_at.is_none(), limits);
        stack_at.map_or(ours, |at| at.min(ours))
    }

    /// What is overdue at `now`, if anything.
    pub(crate) fn overdue(
        &self,
        now: Instant,
        stack_at: Option<Instant>,
        limits: &Limits,
    ) -> Option<Overdue> {
        let (at, overdue) = self.limit(stack_at.is_none(), limits);
        (now >= at).then_some(overdue)
    }

    /// Whether the client has something to acknowledge.
    pub(crate) fn outstanding(&self) -> bool {
        self.socket().send_queue() > 0 || self.fin_outstanding()
    }

    /// The next of our own limits. `quiet`: smoltcp has no timer for this flow.
    fn limit(&self, quiet: bool, limits: &Limits) -> (Instant, Overdue) {
        if self.is_half_open() {
            return (self.touched + limits.half_open, Overdue::HalfOpen);
        }
        if self.ended_by.is_some() {
            // Its RST found no way out, and is not worth waiting for.
            return (self.touched, Overdue::Idle);
        }
        let outstanding = self.outstanding();
        let fin_wait = self.socket().state() == tcp::State::FinWait2;
        let stalled = if self.nudges < NUDGES_MAX { Overdue::Stalled } else { Overdue::Wedged };
        let silent = limits.keep_alive.filter(|_| !outstanding && !self.is_time_wait());
        // Whoever finds our window shut says what does not fit, and waits as it must.
        let astray = self.astray.as_ref().filter(|_| self.room() > 0);
        [
            Some((self.touched + limits.idle, Overdue::Idle)),
            fin_wait.then(|| (self.touched + limits.fin_wait, Overdue::FinWait)),
            self.asked.map(|asked| (asked + limits.unanswered, Overdue::Unanswered)),
            astray
                .filter(|_| self.unheard)
                .map(|astray| (astray.certain_at(), Overdue::Unanswered)),
            astray.and_then(Astray::remind_at).map(|at| (at, Overdue::Astray)),
            (quiet && outstanding).then(|| (self.touched.max(self.probed) + WEDGED_AFTER, stalled)),
            silent.map(|after| (self.heard.max(self.probed) + after, Overdue::Silent)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|&(at, _)| at)
        .unwrap_or((self.touched + limits.idle, Overdue::Idle))
    }

    /// How it ended, once its socket is closed.
    pub(crate) fn close_reason(&self) -> CloseReason {
        match self.ended_by {
            Some(reason) => reason,
            None if self.closing && self.finished => CloseReason::Finished,
            None => CloseReason::Reset,
        }
    }
}

/// Whether one sequence number comes after another.
fn is_beyond(number: u32, end: u32) -> bool {
    (number.wrapping_sub(end) as i32) > 0
}
