//! A waiting node's side: a copy of the log, and what it is worth.
//!
//! What belongs here: the session with one leader, the order of what must be applied, the standing. What does
//! not: applying it (`locum-stack`), and whether this node becomes active (`locum-monitor`).

mod session;
mod status;
mod stream;

use std::collections::VecDeque;

use locum_types::{Instant, LogPosition, NodeId};

use crate::codec::ByeReason;
use crate::io::Deadline;
use crate::point::{Generation, LogPoint, Standing};
use crate::record::{Call, Entropy, Greeting, SessionKey};
use crate::{FollowerConfig, FollowerEvent, FollowerRequest, Output, Refusal, RefusalCounters};
use session::Session;
use stream::{Pending, Stream, Taken};

pub use status::{FollowerCounters, FollowerStatus};

/// How many events may wait; one more is counted and lost.
const EVENTS_MAX: usize = 64;

/// A waiting node's copy of the log, and its session with the leader.
///
/// One turn of the loop around it: [`receive`](Follower::receive) what has come; carry out
/// [`poll_output`](Follower::poll_output) until there is none, and both again while bytes are left;
/// [`confirm`](Follower::confirm) it; [`tick`](Follower::tick); [`poll_transmit`](Follower::poll_transmit).
///
/// An output is to be carried out before the follower is called again: what was taken counts as applied, and is
/// never given again.
pub struct Follower {
    config: FollowerConfig,
    key: SessionKey,
    session: Option<Session>,
    stream: Stream,
    /// How far this node's state has got; `None`: it has none, or half a snapshot.
    have: Option<LogPoint>,
    /// It has never had any state.
    is_blank: bool,
    in_sync: InSync,
    /// It led with all of the log, and nobody has led since, as far as is known.
    kept: Kept,
    /// The last in-sync set that this node belonged to.
    generation: Generation,
    /// What was told last.
    told: Standing,
    close: bool,
    /// The digest of the state that was asked for last, and what it should be.
    check: Option<(LogPosition, u64)>,
    events: VecDeque<FollowerEvent>,
    counters: FollowerCounters,
    refusals: RefusalCounters,
}

/// What the leader said last about being in sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InSync {
    /// Never, or no more.
    No,
    /// The leader spoke after it had heard what this node sent at this time.
    Since(Instant),
}

/// Whether this node has all of the log because it has led last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// It has not.
    No,
    /// It may be, for others may have led since.
    Unknown,
    /// It has.
    Yes,
}

impl Follower {
    /// A follower that has the log up to `have`: as a leader, or as the follower of another one. It is stale
    /// until a leader says otherwise.
    pub fn new(config: FollowerConfig, have: Option<LogPoint>) -> Self {
        Follower {
            key: SessionKey::new(&config.key),
            session: None,
            stream: Stream::new(),
            have,
            is_blank: have.is_none(),
            in_sync: InSync::No,
            kept: Kept::No,
            generation: Generation::default(),
            told: have.map_or(Standing::Alone, Standing::Stale),
            close: false,
            check: None,
            events: VecDeque::new(),
            counters: FollowerCounters::default(),
            refusals: RefusalCounters::default(),
            config,
        }
    }

    /// It led, until now, with this in-sync set: [`set_unsucceeded`](Follower::set_unsucceeded) says from when on its copy is
    /// whole, for as long as it connects to no other leader.
    #[must_use]
    pub fn keeping(mut self, set: Generation) -> Self {
        self.generation = set;
        self.kept = Kept::Unknown;
        self
    }

    /// Whether it is certain that nobody has led since this node did.
    pub fn set_unsucceeded(&mut self, now: Instant, is_certain: bool) {
        self.kept = match (self.kept, is_certain) {
            (Kept::No, _) => Kept::No,
            (Kept::Unknown | Kept::Yes, true) => Kept::Yes,
            (Kept::Unknown | Kept::Yes, false) => Kept::Unknown,
        };
        self.tell_standing(now);
    }

    /// A connection to `leader` is open. `entropy` is for this connection alone. A connection before it is
    /// forgotten.
    pub fn connected(&mut self, now: Instant, leader: NodeId, entropy: Entropy) {
        self.kept = Kept::No;
        self.disconnected(now);
        self.close = false;
        self.counters.connections += 1;
        let FollowerConfig { group, node, boot, .. } = self.config;
        let greeting = Greeting { group, from: node, to: leader, boot };
        match Call::new(&self.key, &greeting, entropy) {
            Ok((call, bytes)) => self.session = Some(Session::new(now, leader, call, &bytes)),
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// The connection is gone. If this node was in sync it counts as such for a while: see
    /// [`FollowerConfig::trust_for`].
    pub fn disconnected(&mut self, now: Instant) {
        self.session = None;
        self.stream.clear();
        self.check = None;
        self.tell_standing(now);
    }

    /// Another node leads than the one that this node was in sync with: it goes on without this one, until it
    /// says otherwise.
    pub fn superseded(&mut self, now: Instant) {
        self.in_sync = InSync::No;
        self.tell_standing(now);
    }

    /// Takes bytes that have arrived; returns how many. Less than all are taken while there are outputs: ask
    /// [`poll_output`](Follower::poll_output), and offer the rest again.
    pub fn receive(&mut self, now: Instant, mut bytes: &[u8]) -> usize {
        let len = bytes.len();
        while let Some(session) = &mut self.session {
            if self.stream.is_pending() {
                return len - bytes.len();
            }
            match session.receive(&mut bytes, &mut self.stream, self.have) {
                Ok(Taken::Nothing) => return len - bytes.len(),
                Ok(taken) => self.take(now, taken),
                Err(refusal) => self.refuse(refusal),
            }
        }
        // Nobody wants the rest of a connection that is to be closed.
        len
    }

    /// Something was received that is more than bytes for `poll_output`.
    fn take(&mut self, now: Instant, taken: Taken) {
        match taken {
            Taken::Nothing | Taken::Bytes => {}
            Taken::Connected { boot } => {
                if let Some(session) = &self.session {
                    self.event(FollowerEvent::Connected { leader: session.leader, boot });
                }
            }
            Taken::Welcome { resumes: true } => {
                self.counters.resumed += 1;
                if let Some(session) = &mut self.session {
                    session.confirm();
                }
                self.welcomed(now);
            }
            Taken::Welcome { resumes: false } => {
                self.counters.by_snapshot += 1;
                self.welcomed(now);
            }
            Taken::Log { in_sync, heard } => {
                let heard_at = self.session.as_mut().and_then(|session| session.heard(heard));
                self.in_sync = match in_sync.zip(heard_at) {
                    Some((generation, at)) => {
                        self.generation = generation;
                        InSync::Since(at)
                    }
                    None => InSync::No,
                };
                self.tell_standing(now);
            }
            Taken::Bye { reason } => {
                self.counters.dropped += 1;
                self.in_sync = InSync::No;
                if reason == ByeReason::Diverged {
                    self.diverged();
                }
                self.event(FollowerEvent::Dropped { reason });
                self.end(now);
            }
        }
    }

    /// Whoever is welcomed is not waited for: it was dropped before, or was never in sync.
    fn welcomed(&mut self, now: Instant) {
        self.in_sync = InSync::No;
        self.tell_standing(now);
    }

    /// The next thing to do. To be asked after each [`receive`](Follower::receive) until there is nothing, and
    /// carried out before the follower is called again.
    pub fn poll_output(&mut self, now: Instant) -> Option<Output<'_>> {
        self.check = None;
        let pending = match self.stream.next(self.have) {
            Ok(pending) => pending?,
            Err(refusal) => {
                self.refuse(refusal);
                self.tell_standing(now);
                return None;
            }
        };
        match pending {
            Pending::Entry { point } => {
                self.have = Some(point);
                self.counters.entries += 1;
            }
            Pending::SnapshotBegin { .. } => {
                self.have = None;
                self.is_blank = false;
                self.in_sync = InSync::No;
                self.tell_standing(now);
            }
            Pending::SnapshotChunk => {}
            Pending::SnapshotEnd { point } => self.have = Some(point),
            Pending::StateDigest { position, digest } => self.check = Some((position, digest)),
        }
        self.stream.output(pending)
    }

    /// What digest the state has, as [`Output::CheckState`] asked. Another one than the leader's ends the session:
    /// the two came to different states, and this node starts again from a snapshot.
    pub fn state_digest(&mut self, now: Instant, position: LogPosition, digest: u64) {
        let Some((_, expected)) = self.check.take().filter(|(asked, _)| *asked == position) else {
            return;
        };
        self.counters.states_compared += 1;
        if digest == expected {
            return;
        }
        self.diverged();
        self.in_sync = InSync::No;
        if let Some(session) = &mut self.session {
            session.say_farewell(ByeReason::Diverged);
        }
        self.stream.clear();
        self.tell_standing(now);
    }

    /// Everything that was taken by [`poll_output`](Follower::poll_output) is applied: the leader may be told. It is
    /// not told of a copy of the log before it has said that the session goes on from there.
    pub fn confirm(&mut self) {
        if !self.stream.is_log() {
            return;
        }
        if let (Some(session), Some(have)) = (&mut self.session, self.have) {
            session.confirm_progress(have);
        }
    }

    /// Writes what is to be sent to the front of `out`; returns how much. Less than `out` has room for means that
    /// there is nothing more now.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> usize {
        let in_sync = matches!(self.in_sync, InSync::Since(_)).then_some(self.generation);
        let Some(session) = &mut self.session else { return 0 };
        match session.transmit(now, (self.have, in_sync), out) {
            Ok(written) => {
                if session.is_over() {
                    self.end(now);
                }
                written
            }
            Err(refusal) => {
                self.refuse(refusal);
                0
            }
        }
    }

    /// What the embedding must do, next. To be asked until there is nothing.
    pub fn poll_request(&mut self) -> Option<FollowerRequest> {
        std::mem::take(&mut self.close).then_some(FollowerRequest::Close)
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<FollowerEvent> {
        self.events.pop_front()
    }

    /// Notices that time has passed. To be called when the time of [`poll_deadline`](Follower::poll_deadline) has
    /// come; more often does no harm.
    pub fn tick(&mut self, now: Instant) {
        if self.hello_until().is_some_and(|until| until <= now) {
            self.refuse(Refusal::TooLate);
        }
        self.tell_standing(now);
    }

    /// When the follower wants its next turn, and why.
    pub fn poll_deadline(&self) -> Option<(Instant, Deadline)> {
        let hello = self.hello_until().map(|until| (until, Deadline::Hello));
        let trust = match self.in_sync {
            InSync::Since(at) => Some((at + self.config.trust_for, Deadline::Trust)),
            InSync::No => None,
        };
        let trust = trust.filter(|_| matches!(self.told, Standing::InSync(_)));
        hello.into_iter().chain(trust).min_by_key(|(at, _)| *at)
    }

    /// How far this node's state has got; `None`: it has none that can be used.
    pub const fn point(&self) -> Option<LogPoint> {
        self.have
    }

    /// The last in-sync set that this node belonged to.
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// What this node's copy of the log is worth.
    pub fn standing(&self, now: Instant) -> Standing {
        let is_joining = self.session.as_ref().is_some_and(Session::is_welcome);
        let is_trusted = match self.in_sync {
            InSync::Since(at) => now < at + self.config.trust_for,
            InSync::No => false,
        };
        match self.have {
            Some(have) if is_trusted || self.kept == Kept::Yes => Standing::InSync(have),
            Some(_) if is_joining => Standing::Joining,
            Some(have) => Standing::Stale(have),
            None if is_joining || !self.is_blank => Standing::Joining,
            None => Standing::Alone,
        }
    }

    /// Until when this node is in sync if it hears no more of its leader; `None`: it is not, or that does not end by
    /// itself.
    pub fn trusted_until(&self) -> Option<Instant> {
        let assured = self.assured_at().filter(|_| self.kept != Kept::Yes);
        assured.map(|at| at + self.config.trust_for)
    }

    /// When this node sent what the leader had heard when it last said that this node is in sync; `None`: it has not,
    /// or has taken it back.
    pub const fn assured_at(&self) -> Option<Instant> {
        match self.in_sync {
            InSync::Since(at) => Some(at),
            InSync::No => None,
        }
    }

    fn hello_until(&self) -> Option<Instant> {
        let session = self.session.as_ref().filter(|session| !session.is_welcome())?;
        Some(session.since + self.config.hello_within)
    }

    /// Tells the standing if it is of another kind than before.
    fn tell_standing(&mut self, now: Instant) {
        let standing = self.standing(now);
        let is_news = std::mem::discriminant(&standing) != std::mem::discriminant(&self.told);
        self.told = standing;
        if is_news {
            self.event(FollowerEvent::Standing { standing });
        }
    }

    fn diverged(&mut self) {
        self.counters.diverged += 1;
        let position = self.have.map_or(LogPosition(0), |have| have.position);
        self.have = None;
        self.event(FollowerEvent::Diverged { position });
    }

    fn event(&mut self, event: FollowerEvent) {
        if self.events.len() < EVENTS_MAX {
            self.events.push_back(event);
        } else {
            self.counters.events_lost += 1;
        }
    }

    /// Ends the session because of what came over it.
    fn refuse(&mut self, refusal: Refusal) {
        self.refusals.count(refusal);
        self.event(FollowerEvent::Refused { refusal });
        self.session = None;
        self.stream.clear();
        self.close = true;
    }

    fn end(&mut self, now: Instant) {
        self.close = true;
        self.disconnected(now);
    }
}
