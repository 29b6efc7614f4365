//! The stack thread: owns the service link, the stack and the gate.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use locum_appliance::{Port, ServiceHalf};
use locum_gate::{Identity, Steer, steer};
use locum_link::{Clock, Poller, Ready};
use locum_monitor::Input;
use locum_types::{Health, Instant};

use super::links::{Links, receive};
use super::shared::{Frame, Inbox, Outbox, ToControl, ToHeartbeat, ToStack, Words};
use super::spawn::{Priorities, STACK_PRIORITY};

/// Frames read before the stack works on them.
const FRAMES_PER_TURN: usize = 64;
/// Services are asked how they are no more often than this: an answer may take system calls.
const HEALTH_EVERY: Duration = Duration::from_millis(10);
/// The thread comes round at least this often, so that the heartbeat thread knows it is alive.
const TURN_EVERY: Duration = Duration::from_millis(100);

pub(super) struct StackThread {
    pub(super) half: ServiceHalf,
    pub(super) identity: Identity,
    pub(super) links: Arc<Links>,
    pub(super) inbox: Inbox<ToStack>,
    pub(super) heartbeat: Outbox<ToHeartbeat>,
    pub(super) control: Outbox<ToControl>,
    pub(super) priorities: Arc<Priorities>,
    pub(super) words: Arc<Words>,
    pub(super) health: Health,
    /// When services are asked again.
    pub(super) health_at: Instant,
    /// The heartbeat thread was told that its offer may leave.
    pub(super) released: bool,
    pub(super) buffer: Vec<u8>,
}

impl StackThread {
    /// Runs until it is told to stop.
    pub(super) fn run(mut self) {
        self.priorities.raise(STACK_PRIORITY);
        let mut more = false;
        loop {
            let has_frames = self.wait(more);
            let now = Clock.now();
            self.words.note_stack_turn(now);
            if self.receive_messages(now) {
                return;
            }
            let full_batch = has_frames && self.receive_frames();
            more = self.work() || full_batch;
            self.report(now);
        }
    }

    /// Waits for something to do; true if there are frames.
    fn wait(&self, more: bool) -> bool {
        let now = Clock.now();
        let deadline = if more { now } else { self.next_turn(now) };
        self.words.note_stack_waits();
        let fds = [self.inbox.waker.as_fd(), self.links.service().as_fd()];
        let ready = Poller.wait(&fds, Some(deadline)).unwrap_or_else(|error| {
            log::error!("stack: cannot wait: {error}");
            Ready::default()
        });
        if ready.readable(0) {
            self.inbox.waker.drain();
        }
        ready.readable(1)
    }

    fn next_turn(&self, now: Instant) -> Instant {
        let latest = now + TURN_EVERY;
        self.half.poll_deadline().map_or(latest, |(at, _)| at.min(latest))
    }

    /// True when it is time to stop.
    fn receive_messages(&mut self, now: Instant) -> bool {
        while let Ok(message) = self.inbox.receiver.try_recv() {
            match message {
                ToStack::Announce(announcement) => {
                    self.half.announce(now, announcement);
                    self.work();
                    self.heartbeat.send(ToHeartbeat::Release);
                }
                ToStack::Peer(news) => self.half.hear_of_peer(now, news),
                ToStack::Status(reply) => {
                    // Whoever asked may have given up waiting.
                    let _ = reply.try_send(self.half.status());
                }
                ToStack::Stop => return true,
            }
        }
        false
    }

    /// Reads a batch; true if the link may hold more.
    fn receive_frames(&mut self) -> bool {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut count = 0;
        while count < FRAMES_PER_TURN {
            let Some(len) = receive(self.links.service(), &mut buffer) else { break };
            self.dispatch(&buffer[..len]);
            count += 1;
        }
        self.buffer = buffer;
        count == FRAMES_PER_TURN
    }

    fn dispatch(&mut self, frame: &[u8]) {
        self.half.note_frame();
        match steer(&self.identity, frame) {
            Steer::Service => {
                self.half.push(frame);
            }
            Steer::Heartbeat => self.hand_over(frame),
            Steer::Both => {
                self.half.push(frame);
                self.hand_over(frame);
            }
            Steer::Replication => {
                self.half.push_replication(frame);
            }
            Steer::Relayed => {
                self.half.push_relayed(frame);
            }
            Steer::Neither => {}
        }
    }

    fn report_health(&mut self) {
        let health = self.half.health();
        if health != self.health && self.heartbeat.send(ToHeartbeat::Input(Input::Health(health))) {
            self.health = health;
        }
    }

    /// Gives a frame for the node address to the heartbeat thread.
    fn hand_over(&mut self, frame: &[u8]) {
        if self.words.is_handing_over() {
            // It may be the successor's first beat: what came before it is still ours to answer.
            self.work();
        }
        if let Some(frame) = Frame::copy_of(frame) {
            self.heartbeat.send(ToHeartbeat::Frame(Port::Service, frame));
        }
    }

    /// Lets the stack work and its frames leave; true if there is more to do.
    fn work(&mut self) -> bool {
        let now = Clock.now();
        let leaving = self.words.is_handing_over();
        self.half.set_leaving(now, leaving);
        self.half.set_active(now, self.words.active_peer());
        self.half.set_succeeded(now, self.words.succeeded());
        let more = self.half.poll(now);
        self.half.note_turn(Clock.now() - now);
        self.words.set_position(self.half.position(), self.half.position_until());
        self.words.set_isolated(self.half.is_isolated(now));
        let links = &self.links;
        // What followers must know leaves before the clients hear of it.
        while self.half.poll_replication(|frame, size| links.send_uncut(frame, size)).is_some() {}
        // Both are looked at again for each frame: the lease must hold when it leaves, and once the
        // successor may have announced itself it must not take that back.
        loop {
            let now = Clock.now();
            self.half.set_leaving(now, self.words.is_handing_over());
            let send = |frame: &[u8]| links.send(Port::Service, frame);
            if self.half.poll_transmit(now, send).is_none() {
                break;
            }
        }
        self.release(leaving);
        more
    }

    /// Lets the offer leave, once, when everything that was to leave before it has.
    fn release(&mut self, leaving: bool) {
        if !leaving {
            self.released = false;
        } else if !self.released && !self.half.is_draining(Clock.now()) {
            self.released = self.heartbeat.send(ToHeartbeat::Release);
        }
    }

    fn report(&mut self, now: Instant) {
        if now >= self.health_at {
            self.health_at = now + HEALTH_EVERY;
            self.report_health();
        }
        while let Some(sighting) = self.half.poll_sighting() {
            self.heartbeat.send(ToHeartbeat::Input(Input::Rival));
            self.control.send(ToControl::Sighting(sighting));
        }
    }
}
