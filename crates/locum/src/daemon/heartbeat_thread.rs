//! The heartbeat thread: owns the monitor, writes the mode cell, never does anything slow.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use locum_appliance::{Announcement, HeartbeatHalf, Notice, Port};
use locum_link::warden::WillError;
use locum_link::{Clock, Poller, Will, WillWriter};
use locum_monitor::Input;
use locum_types::{Health, Instant};

use super::links::{Links, receive};
use super::shared::{Inbox, Outbox, ToControl, ToHeartbeat, ToStack, Words};
use super::spawn::{HEARTBEAT_PRIORITY, Priorities};

/// Messages handled in one turn, so that a flood of frames cannot keep the judging from its turn.
const MESSAGES_PER_TURN: usize = 128;
/// A stack thread that has not come round for this long serves nobody, though the node beats on.
const STACK_HUNG_AFTER: Duration = Duration::from_secs(1);
/// Beats wait no longer than this for an announcement to leave before them.
const ANNOUNCEMENT_MAX: Duration = Duration::from_millis(1);
/// An offer waits no longer than this for the last words of the stack to leave before it.
const DRAIN_MAX: Duration = Duration::from_millis(5);

pub(super) struct HeartbeatThread {
    pub(super) half: HeartbeatHalf,
    pub(super) links: Arc<Links>,
    pub(super) inbox: Inbox<ToHeartbeat>,
    pub(super) stack: Outbox<ToStack>,
    pub(super) control: Outbox<ToControl>,
    pub(super) words: Arc<Words>,
    pub(super) priorities: Arc<Priorities>,
    pub(super) will_writer: Option<WillWriter>,
    /// A will that the warden has not taken yet.
    pub(super) pending_will: Option<Will>,
    pub(super) reported_health: Health,
    pub(super) stack_hung: bool,
    /// The stack thread is to speak first: until then, or until it has, beats wait.
    pub(super) held_until: Option<Instant>,
}

impl HeartbeatThread {
    /// Runs until the monitor has finished a shutdown.
    pub(super) fn run(mut self) {
        self.priorities.raise(HEARTBEAT_PRIORITY);
        while !self.turn() {
            self.wait();
        }
    }

    /// One turn; true when the shutdown is complete.
    fn turn(&mut self) -> bool {
        self.half.begin_turn(Clock.now());
        self.transmit();
        self.receive_beats();
        self.receive_messages();
        self.watch_stack(Clock.now());
        self.mind_deafness(Clock.now());
        self.report_position(Clock.now());
        self.half.set_isolated(Clock.now(), self.words.is_isolated());
        self.half.end_turn(Clock.now());
        // Before the offer leaves: the successor may answer at once.
        if self.words.set_handing_over(self.half.is_handing_over()) {
            self.stack.wake();
            self.held_until = Some(Clock.now() + DRAIN_MAX);
        }
        while let Some(news) = self.half.poll_peer_news() {
            self.stack.send(ToStack::Peer(news));
        }
        let has_other_active = self.words.set_active_peer(self.half.active_peer());
        if self.words.set_succeeded(self.half.succeeded()) || has_other_active {
            self.stack.wake();
        }
        if let Some(announcement) = self.half.take_announcement() {
            let sent = self.stack.send(ToStack::Announce(announcement));
            if sent && announcement == Announcement::First {
                self.held_until = Some(Clock.now() + ANNOUNCEMENT_MAX);
            }
        }
        self.transmit();
        let finished = self.carry_notices();
        self.write_will();
        finished
    }

    fn wait(&self) {
        let deadline = self.half.poll_deadline().map(|(at, _)| at);
        let deadline = deadline.into_iter().chain(self.held_until).min();
        let waker = self.inbox.waker.as_fd();
        let result = match self.links.dedicated() {
            Some(tap) => Poller.wait(&[waker, tap.as_fd()], deadline),
            None => Poller.wait(&[waker], deadline),
        };
        if let Err(error) = result {
            log::error!("heartbeat: cannot wait: {error}");
        }
        self.inbox.waker.drain();
    }

    /// Lets the beats leave, but not before the first announcement.
    fn transmit(&mut self) {
        if self.held_until.is_some_and(|until| Clock.now() < until) {
            return;
        }
        self.held_until = None;
        let links = &self.links;
        while self.half.poll_transmit(|port, frame| links.send(port, frame)).is_some() {}
    }

    /// Reads the dedicated link, if there is one; otherwise the stack thread hands the beats over.
    fn receive_beats(&mut self) {
        let Some(tap) = self.links.dedicated() else { return };
        let mut buffer = [0; 2048];
        for _ in 0..MESSAGES_PER_TURN {
            let Some(len) = receive(tap, &mut buffer) else { break };
            self.half.receive(Clock.now(), Port::Heartbeat, &buffer[..len]);
        }
    }

    fn receive_messages(&mut self) {
        for _ in 0..MESSAGES_PER_TURN {
            let Ok(message) = self.inbox.receiver.try_recv() else { return };
            let now = Clock.now();
            match message {
                ToHeartbeat::Frame(port, frame) => self.half.receive(now, port, frame.as_slice()),
                ToHeartbeat::Input(Input::Health(health)) => {
                    self.reported_health = health;
                    self.report_health(now);
                }
                ToHeartbeat::Input(input) => self.half.handle(now, input),
                ToHeartbeat::Release => self.held_until = None,
                ToHeartbeat::Reconfigure(config) => self.half.reconfigure(now, &config),
                ToHeartbeat::Status(reply) => {
                    // Whoever asked may have given up waiting.
                    let _ = reply.try_send(self.half.status(now));
                }
            }
        }
        // There is more: come round again at once.
        self.inbox.waker.wake();
    }

    /// Beats from a node whose service loop hangs would keep its clients waiting for ever.
    fn watch_stack(&mut self, now: Instant) {
        let hung = now - self.words.stack_turn() > STACK_HUNG_AFTER;
        if hung != self.stack_hung {
            self.stack_hung = hung;
            self.report_health(now);
        }
    }

    /// Without a link of their own beats are read by the stack thread: while that is busy, the silence of
    /// others says nothing about them.
    fn mind_deafness(&mut self, now: Instant) {
        let busy = self.words.stack_busy_since().filter(|_| self.links.dedicated().is_none());
        if busy.is_some_and(|since| now - since > self.half.interval()) {
            self.half.handle(now, Input::Deaf);
        }
    }

    /// What this node's copy is worth goes into its beats.
    fn report_position(&mut self, now: Instant) {
        let (position, until) = self.words.position();
        self.half.handle(now, Input::Position { position, until });
    }

    fn report_health(&mut self, now: Instant) {
        let health = if self.stack_hung { Health::Failed } else { self.reported_health };
        self.half.handle(now, Input::Health(health));
    }

    /// True when the shutdown is complete.
    fn carry_notices(&mut self) -> bool {
        let mut finished = false;
        while let Some(notice) = self.half.poll_notice() {
            match notice {
                Notice::Event(event) => {
                    self.control.send(ToControl::Event(event));
                }
                Notice::Will(frames) => {
                    self.pending_will = Some(self.links.will_of(&frames));
                }
                Notice::Finished => {
                    self.control.send(ToControl::Finished);
                    finished = true;
                }
            }
        }
        finished
    }

    fn write_will(&mut self) {
        let (Some(writer), Some(will)) = (&self.will_writer, &self.pending_will) else { return };
        match writer.write(will) {
            // The warden has not caught up: again at the next turn.
            Err(WillError::Busy) => return,
            Ok(()) => {}
            Err(error) => log::error!("the last will was not taken: {error}"),
        }
        self.pending_will = None;
    }
}
