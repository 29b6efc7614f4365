//! One connection: its socket in a set of its own, and what the stack remembers beside it.

use std::time::Duration;

use locum_types::Instant;
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp;

use crate::forge::Forged;
use crate::service::{CloseReason, FlowId};
use crate::{Limits, Tuple};

/// smoltcp has forgotten to retransmit if nothing moved for this long and no timer is set: its own
/// retransmission timeout starts at one second.
const WEDGED_AFTER: Duration = Duration::from_secs(3);

pub(crate) struct Flow {
    pub(crate) id: FlowId,
    pub(crate) tuple: Tuple,
    /// The place of its service.
    pub(crate) listener: usize,
    pub(crate) set: SocketSet<'static>,
    pub(crate) handle: SocketHandle,
    /// The number after the client's SYN: where its stream begins.
    first_byte: u32,
    /// Bytes of its stream that were handed to the service.
    pub(crate) delivered: u64,
    /// Output that is not acknowledged, as of the last look.
    pub(crate) unacked: usize,
    pub(crate) opened: bool,
    pub(crate) paused: bool,
    /// The client's FIN was reported.
    pub(crate) finished: bool,
    /// The service is done sending.
    pub(crate) closing: bool,
    /// Why the stack itself ended it.
    pub(crate) ended_by: Option<CloseReason>,
    /// It waits to be served.
    pub(crate) dirty: bool,
    /// Its entry among the timers.
    pub(crate) armed: Option<Instant>,
    /// The last time a byte moved, or the handshake did.
    pub(crate) touched: Instant,
}

/// Why a flow is to be ended now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    HalfOpen,
    Idle,
    FinWait,
    Wedged,
}

impl Flow {
    pub(crate) fn new(
        id: FlowId,
        tuple: Tuple,
        listener: usize,
        forged: Forged,
        first_byte: u32,
        now: Instant,
    ) -> Self {
        Flow {
            id,
            tuple,
            listener,
            set: forged.set,
            handle: forged.handle,
            first_byte,
            delivered: 0,
            unacked: 0,
            opened: false,
            paused: false,
            finished: false,
            closing: false,
            ended_by: None,
            dirty: false,
            armed: None,
            touched: now,
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

    pub(crate) fn is_half_open(&self) -> bool {
        !self.opened
    }

    /// When this flow wants to be looked at: smoltcp's own timer, or one of ours.
    pub(crate) fn deadline(
        &self,
        now: Instant,
        interface: &mut Interface,
        limits: &Limits,
    ) -> Option<Instant> {
        let stack = interface.poll_at(now.into(), &self.set).map(Instant::from);
        let (ours, _) = self.limit(stack.is_none(), limits);
        Some(stack.map_or(ours, |stack| stack.min(ours)))
    }

    /// What is overdue at `now`, if anything.
    pub(crate) fn overdue(
        &self,
        now: Instant,
        interface: &mut Interface,
        limits: &Limits,
    ) -> Option<Overdue> {
        let quiet = interface.poll_at(now.into(), &self.set).is_none();
        let (at, overdue) = self.limit(quiet, limits);
        (now >= at).then_some(overdue)
    }

    /// The next of our own limits. `quiet`: smoltcp has no timer for this flow.
    fn limit(&self, quiet: bool, limits: &Limits) -> (Instant, Overdue) {
        let outstanding = self.socket().send_queue() > 0
            || matches!(
                self.socket().state(),
                tcp::State::FinWait1 | tcp::State::Closing | tcp::State::LastAck
            );
        let (time, overdue) = if self.is_half_open() {
            (limits.half_open, Overdue::HalfOpen)
        } else if quiet && outstanding {
            (WEDGED_AFTER, Overdue::Wedged)
        } else if self.socket().state() == tcp::State::FinWait2 {
            (limits.fin_wait, Overdue::FinWait)
        } else {
            (limits.idle, Overdue::Idle)
        };
        (self.touched + time, overdue)
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
