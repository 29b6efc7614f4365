//! The active node's side: one log, a session with each follower, and what may leave.
//!
//! What belongs here: the log, who is connected, and what is asked of the embedding. What does not: one
//! session ([`session`]), and when a follower is in sync, and no longer ([`sync`]).

mod busy;
mod journal;
mod session;
mod snapshot;
mod status;
mod sync;

use std::collections::VecDeque;
use std::time::Duration;

use locum_stack::log::Entry;
use locum_types::sabotage::{Sabotage, sabotaged};
use locum_types::{Instant, LogPosition, NodeId};

use crate::buffer::LogBuffer;
use crate::codec::{ByeReason, FromFollower};
use crate::io::DropReason;
use crate::point::{Generation, LogPoint};
use crate::record::{Entropy, MESSAGE_LEN_MAX, RECORD_LEN_MAX, SessionKey};
use crate::{ConnectionId, LeaderConfig, LeaderEvent, LeaderRequest, Refusal, RefusalCounters};
use busy::BusyTurns;
use session::{Hello, Received, Session};
use sync::{Barrier, Rivals};

pub use session::Stage;
pub use snapshot::SnapshotRefused;
pub use status::{LeaderCounters, LeaderStatus, SessionStatus};

/// How many connections may be open beside those of followers: of strangers, and of followers that are
/// told farewell.
const OTHERS_MAX: usize = 8;
/// How many events may wait; one more is counted and lost.
const EVENTS_MAX: usize = 256;

/// The log of the active node, and its sessions with the followers.
///
/// One turn of the loop around it: [`receive`](Leader::receive) all that has come,
/// [`append`](Leader::append) what happens, [`tick`](Leader::tick), carry out
/// [`poll_request`](Leader::poll_request) until there is none, [`poll_transmit`](Leader::poll_transmit) for each
/// connection that can take something, and let leave what depends on no more than
/// [`commit_position`](Leader::commit_position). Receiving comes before ticking: after a stall of its own a
/// leader must hear what was confirmed meanwhile before it judges who was too slow.
pub struct Leader {
    config: LeaderConfig,
    key: SessionKey,
    log: LogBuffer,
    /// In the order in which they connected.
    sessions: Vec<Session>,
    closes: VecDeque<ConnectionId>,
    events: VecDeque<LeaderEvent>,
    protected: bool,
    generation: Generation,
    barrier: Option<Barrier>,
    rivals: Option<Rivals>,
    busy: BusyTurns,
    /// The position at which the state was compared last, or left out.
    state_digest_at: LogPosition,
    state_digest_asked: bool,
    counters: LeaderCounters,
    refusals: RefusalCounters,
    /// A message before it is sealed, or after it is opened.
    message: Vec<u8>,
    opened: Box<[u8]>,
}

impl Leader {
    /// A leader whose log goes on after `start`: the beginning of a new history, or what this node had
    /// of the log as a follower.
    pub fn new(config: LeaderConfig, start: LogPoint) -> Self {
        Leader {
            key: SessionKey::new(&config.key),
            log: LogBuffer::new(start, config.buffer_bytes, config.buffer_entries),
            sessions: Vec::new(),
            closes: VecDeque::new(),
            events: VecDeque::new(),
            protected: false,
            generation: Generation::default().next(),
            barrier: None,
            rivals: None,
            busy: BusyTurns::default(),
            state_digest_at: start.position,
            state_digest_asked: false,
            counters: LeaderCounters::default(),
            refusals: RefusalCounters::default(),
            message: Vec::with_capacity(MESSAGE_LEN_MAX),
            opened: vec![0; RECORD_LEN_MAX].into_boxed_slice(),
            config,
        }
    }

    /// Takes over from a leader as a member of this in-sync set: later sets have later numbers.
    #[must_use]
    pub fn succeeding(mut self, set: Generation) -> Self {
        self.generation = set.next();
        self
    }

    /// These may have been in that set, too, and take themselves for members of it until they say hello. Where that is
    /// waited for ([`LeaderConfig::wait_for_trust`]), nothing leaves before that which they do not have.
    #[must_use]
    pub fn beside(mut self, now: Instant, others: impl IntoIterator<Item = NodeId>) -> Self {
        self.rivals = self.config.wait_for_trust.and_then(|trust_for| {
            let position = self.head().position;
            let nodes: Vec<NodeId> = others.into_iter().collect();
            (!nodes.is_empty()).then_some(Rivals { nodes, position, until: now + trust_for })
        });
        self
    }

    /// Appends what happened at `time`, in the time of the services; `now` is this node's clock. Returns its
    /// position. Needs no memory; when the buffer is full, whoever is furthest behind is dropped.
    pub fn append(&mut self, now: Instant, time: Instant, entry: &Entry<'_>) -> LogPosition {
        let len = self.log.encode(time, entry);
        self.counters.entries += 1;
        self.counters.bytes += len as u64;
        if !self.log.can_carry(len) {
            self.drop_all(now);
            return self.log.pass().position;
        }
        self.make_room(now, len);
        self.log.commit(now).position
    }

    /// The turn that began at `began` took this long, for what was appended in it: followers may need as long for it,
    /// and are waited for accordingly.
    pub fn note_turn(&mut self, began: Instant, took: Duration) {
        self.busy.note(began, took);
    }

    /// Forgets the oldest entries until `len` bytes fit, and drops whoever needs them.
    fn make_room(&mut self, now: Instant, len: usize) {
        while !self.log.has_room(len) {
            self.drop_at_floor(now);
            self.log.evict();
        }
    }

    /// The point after the last entry.
    pub const fn head(&self) -> LogPoint {
        self.log.head()
    }

    /// What `digest` the state has at `position`, as [`LeaderRequest::StateDigest`] asked. The followers will
    /// compare theirs. Returns whether it was taken: not if an entry was appended meanwhile, or the buffer is too
    /// small for it.
    pub fn state_digest(&mut self, now: Instant, position: LogPosition, digest: u64) -> bool {
        let len = self.log.encode_state_digest(digest);
        let taken = position == self.head().position && self.log.can_carry(len);
        if taken {
            self.make_room(now, len);
            self.log.append_item();
            self.counters.state_digests += 1;
        } else {
            self.counters.state_digests_left_out += 1;
        }
        self.state_digest_at = self.head().position;
        self.state_digest_asked = false;
        taken
    }

    /// A follower may have connected. `entropy` is for this connection alone.
    pub fn connected(&mut self, now: Instant, connection: ConnectionId, entropy: Entropy) {
        self.counters.connections += 1;
        while self.sessions.len() >= self.config.followers.len() + OTHERS_MAX {
            let Some(index) = self.sessions.iter().position(|session| session.node().is_none())
            else {
                break;
            };
            self.refuse(now, index, Refusal::TooMany);
        }
        self.sessions.push(Session::new(now, connection, entropy));
    }

    /// The connection is gone.
    pub fn disconnected(&mut self, now: Instant, connection: ConnectionId) {
        if let Some(index) = self.index(connection) {
            self.end(now, index, DropReason::Disconnected);
        }
    }

    /// A node is known to be dead: it is waited for no longer. If it lives after all it may connect again.
    pub fn lost(&mut self, now: Instant, node: NodeId) {
        if let Some(index) = self.index_of(node) {
            self.end(now, index, DropReason::Dead);
        }
    }

    /// Bytes have arrived; all are taken. Those of a connection that is over are ignored.
    pub fn receive(&mut self, now: Instant, connection: ConnectionId, mut bytes: &[u8]) {
        while let Some(index) = self.index(connection) {
            match self.receive_one(now, index, &mut bytes) {
                Ok(true) => {}
                Ok(false) => return,
                Err(refusal) => self.refuse(now, index, refusal),
            }
        }
    }

    /// Takes one message of `bytes`; `false`: there is no whole one left.
    fn receive_one(
        &mut self,
        now: Instant,
        index: usize,
        bytes: &mut &[u8],
    ) -> Result<bool, Refusal> {
        let session = &mut self.sessions[index];
        match session.receive(&self.config, &self.key, bytes, &mut self.opened)? {
            Received::Nothing => return Ok(false),
            Received::Answered => {}
            Received::Hello(hello) => self.welcome(now, index, hello),
            Received::Message(FromFollower::Hello { .. }) => {
                self.end(now, index, DropReason::Bye(ByeReason::Protocol));
            }
            Received::Message(FromFollower::Confirm { position, digest, in_sync }) => {
                self.confirmed(now, index, position, digest, in_sync);
            }
            Received::Message(FromFollower::Bye { reason }) => {
                self.end(now, index, DropReason::Told(reason));
            }
        }
        Ok(true)
    }

    /// A connection has proven that it is a follower's: older ones of the same follower end.
    fn welcome(&mut self, now: Instant, index: usize, Hello { node, boot, have }: Hello) {
        let connection = self.sessions[index].connection;
        let is_older = |session: &Session| session.node() == Some(node);
        while let Some(older) = self.sessions.iter().position(is_older) {
            self.end(now, older, DropReason::Bye(ByeReason::Replaced));
        }
        let point = have.and_then(|have| {
            let (point, end) = self.log.locate(have.position)?;
            (point == have).then_some((point, end))
        });
        let Some(index) = self.index(connection) else { return };
        self.sessions[index].welcome(now, node, point);
        self.meet_rival(node);
        let resumes = point.is_some();
        let counter =
            if resumes { &mut self.counters.resumed } else { &mut self.counters.by_snapshot };
        *counter += 1;
        self.event(LeaderEvent::Joining { follower: node, boot, resumes });
    }

    /// Writes what is to be sent on `connection` to the front of `out`; returns how much. Less than `out` has room
    /// for means that there is nothing more now.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        out: &mut [u8],
    ) -> usize {
        let Some(index) = self.index(connection) else { return 0 };
        let session = &mut self.sessions[index];
        match session.transmit(now, (&self.log, self.generation), &mut self.message, out) {
            Ok(written) => {
                if self.sessions[index].is_over() {
                    self.forget(index);
                }
                written
            }
            Err(refusal) => {
                self.refuse(now, index, refusal);
                0
            }
        }
    }

    /// What the embedding must do, next. To be asked until there is nothing.
    pub fn poll_request(&mut self) -> Option<LeaderRequest> {
        if let Some(connection) = self.closes.pop_front() {
            return Some(LeaderRequest::Close { connection });
        }
        if let Some(follower) = self.sessions.iter_mut().find_map(Session::ask_for_snapshot) {
            return Some(LeaderRequest::Snapshot { follower });
        }
        let position = self.head().position;
        let every = self.config.state_digest_every?;
        let is_due = position.0 - self.state_digest_at.0 >= every;
        let is_heard = self.sessions.iter().any(|session| session.following().is_some());
        if !is_due || !is_heard || self.state_digest_asked || sabotaged(Sabotage::StateUncompared) {
            return None;
        }
        self.state_digest_asked = true;
        Some(LeaderRequest::StateDigest { position })
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<LeaderEvent> {
        self.events.pop_front()
    }

    fn index(&self, connection: ConnectionId) -> Option<usize> {
        self.sessions.iter().position(|session| session.connection == connection)
    }

    fn index_of(&self, node: NodeId) -> Option<usize> {
        self.sessions.iter().position(|session| session.node() == Some(node))
    }

    fn event(&mut self, event: LeaderEvent) {
        if self.events.len() < EVENTS_MAX {
            self.events.push_back(event);
        } else {
            self.counters.events_lost += 1;
        }
    }

    /// Ends a session because of what came over it.
    fn refuse(&mut self, now: Instant, index: usize, refusal: Refusal) {
        self.refusals.count(refusal);
        let connection = self.sessions[index].connection;
        self.event(LeaderEvent::Refused { connection, refusal });
        self.end(now, index, DropReason::Refused(refusal));
    }

    /// Ends a session; the only place that does.
    fn end(&mut self, now: Instant, index: usize, reason: DropReason) {
        let session = &mut self.sessions[index];
        let following = session.end();
        match reason {
            DropReason::Bye(bye) => session.say_farewell(bye, now + self.config.dead_after),
            DropReason::Disconnected => {
                self.sessions.remove(index);
            }
            DropReason::Dead | DropReason::Told(_) | DropReason::Refused(_) => self.forget(index),
        }
        let Some(following) = following else { return };
        self.counters.dropped += 1;
        if following.stage == Stage::InSync {
            self.leave_behind(now, &following, reason);
        }
        self.event(LeaderEvent::Dropped {
            follower: following.node,
            reason,
            was_in_sync: following.stage == Stage::InSync,
            position: following.confirmed,
        });
        self.judge_protection();
        self.lift_barrier(now);
    }

    fn forget(&mut self, index: usize) {
        let session = self.sessions.remove(index);
        self.closes.push_back(session.connection);
    }
}

#[cfg(test)]
mod tests;
