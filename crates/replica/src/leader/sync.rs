//! Who is in sync, who no longer is, and what is committed because of that.

use std::time::Duration;

use locum_types::sabotage::{Sabotage, sabotaged};
use locum_types::{Instant, LogPosition, NodeId};

use super::session::Following;
use super::{Leader, LeaderEvent, Session, Stage};
use crate::LeaderConfig;
use crate::codec::ByeReason;
use crate::io::{Deadline, DropReason};
use crate::point::Generation;
use crate::refusal::Refusal;

/// While a confirmation is awaited, so many signs of life are sent in the time that it has.
const SIGNS_WHILE_WAITING: u32 = 12;

/// After a follower has left the in-sync set: it may take itself for a member for a while, and be asked to take
/// over. Nothing leaves that it does not have until those who do are known to be of a later set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Barrier {
    /// What it had confirmed.
    confirmed: LogPosition,
    /// The set without it.
    generation: Generation,
    since: Instant,
    /// Until when it may take itself for a member, if that is waited for.
    until: Option<Instant>,
}

impl Barrier {
    /// What holds for both.
    fn with(self, other: Barrier) -> Barrier {
        Barrier {
            confirmed: self.confirmed.min(other.confirmed),
            generation: self.generation.max(other.generation),
            since: self.since.max(other.since),
            until: self.until.max(other.until),
        }
    }
}

/// After a takeover: members of the former leader's in-sync set that have not been heard yet. They may be asked to take
/// over, as this node was.
#[derive(Clone, Debug)]
pub(super) struct Rivals {
    pub(super) nodes: Vec<NodeId>,
    /// What they have, at least.
    pub(super) position: LogPosition,
    /// Until when they may take themselves for members.
    pub(super) until: Instant,
}

/// What was confirmed, and how time passes.
impl Leader {
    /// The last entry on which something that leaves may depend: all that are waited for have confirmed it. With
    /// nobody to wait for it is the head. Never goes back.
    ///
    /// A follower that is about to be in sync is waited for already, but only for what is appended from now on:
    /// what came before may have left, and it is called in sync only after it has confirmed that. After a follower
    /// in sync was dropped nothing goes beyond what it had until the others are known to be of a later set.
    pub fn commit_position(&self) -> LogPosition {
        if sabotaged(Sabotage::SentIsConfirmed) {
            return self.head().position;
        }
        self.sessions
            .iter()
            .filter_map(Session::following)
            .filter_map(|following| match following.stage {
                Stage::InSync => Some(following.confirmed),
                Stage::Candidate { until } => Some(following.confirmed.max(until)),
                Stage::Snapshot | Stage::CatchingUp => None,
            })
            .chain(self.barrier.map(|barrier| barrier.confirmed))
            .chain(self.rivals.as_ref().map(|rivals| rivals.position))
            .min()
            .unwrap_or(self.head().position)
    }

    /// The number of the in-sync set.
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// A follower has left the in-sync set, for a reason that it may not know.
    pub(super) fn leave_behind(&mut self, now: Instant, following: &Following, reason: DropReason) {
        if !sabotaged(Sabotage::GenerationKept) {
            self.generation = self.generation.next();
        }
        let knows = matches!(reason, DropReason::Told(_));
        let trust = self.config.wait_for_trust.filter(|_| !knows);
        let barrier = Barrier {
            confirmed: following.confirmed,
            generation: self.generation,
            since: now,
            // It counts from when it sent what was heard then.
            until: trust.map(|trust_for| following.heard_at + trust_for),
        };
        self.barrier = Some(self.barrier.map_or(barrier, |before| before.with(barrier)));
        if sabotaged(Sabotage::BarrierLifted) {
            self.barrier = None;
        }
    }

    /// A node that says hello follows this one, and no other.
    pub(super) fn meet_rival(&mut self, node: NodeId) {
        self.rivals = self.rivals.take().and_then(|mut rivals| {
            rivals.nodes.retain(|&rival| rival != node);
            (!rivals.nodes.is_empty()).then_some(rivals)
        });
    }

    /// Lifts the barrier when nobody who was left behind can take over in place of those who were not.
    pub(super) fn lift_barrier(&mut self, now: Instant) {
        let Some(barrier) = &mut self.barrier else { return };
        // What has passed is waited for no longer, and is no reason for another turn.
        barrier.until = barrier.until.filter(|&until| until > now);
        let barrier = *barrier;
        let mut in_sync = self.sessions.iter().filter_map(Session::following);
        let all_know = in_sync.all(|following| following.knows_of(barrier.generation));
        if all_know && barrier.until.is_none() {
            self.barrier = None;
        }
    }

    /// For how long a follower may be told nothing. One that is waited for is told more often: segments that arrive
    /// after a lost one make TCP send that again at once, where its timer would take longer than the follower has;
    /// and the same for what the follower says, because it answers each of them.
    fn patience(&self, following: &Following) -> Duration {
        let LeaderConfig { keep_alive, dead_after, .. } = self.config;
        match self.awaited_since(following) {
            Some(_) => keep_alive.min(dead_after / SIGNS_WHILE_WAITING),
            None => keep_alive,
        }
    }

    /// Since when a confirmation of this follower is waited for, if one is: of an entry, or of a new in-sync set.
    fn awaited_since(&self, following: &Following) -> Option<Instant> {
        if !following.is_waited_for() {
            return None;
        }
        let entry = self.log.appended_after(following.confirmed);
        let set = self.barrier.filter(|barrier| !following.knows_of(barrier.generation));
        // It is told of a set when it comes into one, which may be long after the set began.
        let set = set.map(|barrier| barrier.since.max(following.member_since));
        entry.into_iter().chain(set).min()
    }

    /// Whether at least one follower is in sync.
    pub const fn is_protected(&self) -> bool {
        self.protected
    }

    /// The followers that are in sync.
    pub fn in_sync(&self) -> impl Iterator<Item = NodeId> {
        let following = self.sessions.iter().filter_map(Session::following);
        let in_sync = following.filter(|following| following.stage == Stage::InSync);
        in_sync.map(|following| following.node)
    }

    /// Judges those who are too slow. To be called when the time of [`poll_deadline`](Leader::poll_deadline)
    /// has come; more often does no harm.
    pub fn tick(&mut self, now: Instant) {
        let mut index = 0;
        while index < self.sessions.len() {
            let connection = self.sessions[index].connection;
            let due = self.session_deadline(&self.sessions[index]).filter(|(at, _)| *at <= now);
            match due.map(|(_, deadline)| deadline) {
                Some(Deadline::Hello) => self.refuse(now, index, Refusal::TooLate),
                Some(Deadline::Confirmation | Deadline::JoinStall) => {
                    self.counters.too_slow += 1;
                    self.end(now, index, DropReason::Bye(ByeReason::TooSlow));
                }
                Some(Deadline::Farewell) => self.forget(index),
                // The first is no judgement, and minded below; the last is a follower's.
                Some(Deadline::KeepAlive | Deadline::Trust) | None => {}
            }
            let is_still_there =
                self.sessions.get(index).is_some_and(|session| session.connection == connection);
            index += usize::from(is_still_there);
        }
        for index in 0..self.sessions.len() {
            let Some(following) = self.sessions[index].following() else { continue };
            let silence = self.patience(following);
            if let Some(following) = self.sessions[index].following_mut() {
                following.mind_silence(now, silence);
            }
        }
        self.lift_barrier(now);
        self.rivals = self.rivals.take().filter(|rivals| rivals.until > now);
    }

    /// When the leader wants its next turn, and why. After [`tick`](Leader::tick) it lies ahead; a sign of life that
    /// was due is then sent by [`poll_transmit`](Leader::poll_transmit).
    pub fn poll_deadline(&self) -> Option<(Instant, Deadline)> {
        let judging = self.sessions.iter().filter_map(|session| self.session_deadline(session));
        let speaking = self.sessions.iter().filter_map(Session::following);
        let speaking = speaking.map(|following| {
            let silence = self.patience(following);
            (following.spoken + silence, Deadline::KeepAlive)
        });
        let barrier = self.barrier.and_then(|barrier| barrier.until);
        let barrier = barrier.map(|until| (until, Deadline::Trust));
        let rivals = self.rivals.as_ref().map(|rivals| (rivals.until, Deadline::Trust));
        judging.chain(speaking).chain(barrier).chain(rivals).min_by_key(|(at, _)| *at)
    }

    /// When a session is to be judged, and for what.
    fn session_deadline(&self, session: &Session) -> Option<(Instant, Deadline)> {
        if let Some(until) = session.farewell_until() {
            return Some((until, Deadline::Farewell));
        }
        let Some(following) = session.following() else {
            return Some((session.since + self.config.hello_within, Deadline::Hello));
        };
        if following.is_waited_for() {
            let since = self.awaited_since(following)?;
            let patience = self.config.dead_after + self.busy.allowance(since);
            return Some((since + patience, Deadline::Confirmation));
        }
        // Who waits for this node to make a snapshot does not stall.
        let may_stall = following.needs_log();
        may_stall.then(|| (following.progress + self.config.join_stall, Deadline::JoinStall))
    }

    /// A follower says that it has applied everything up to a point.
    pub(super) fn confirmed(
        &mut self,
        now: Instant,
        index: usize,
        position: LogPosition,
        digest: u64,
        in_sync: Option<Generation>,
    ) {
        let located = self.log.locate(position);
        let Some(following) = self.sessions[index].following_mut() else { return };
        let is_sent = located.is_some_and(|(_, end)| end <= following.sent);
        let is_sent = is_sent && following.stage != Stage::Snapshot;
        if !is_sent || position < following.confirmed {
            self.end(now, index, DropReason::Bye(ByeReason::Protocol));
            return;
        }
        if located.is_some_and(|(point, _)| point.digest != digest) {
            self.counters.diverged += 1;
            self.end(now, index, DropReason::Bye(ByeReason::Diverged));
            return;
        }
        following.confirmed = position;
        following.progress = now;
        following.knows = in_sync;
        following.heard += 1;
        following.heard_at = now;
        self.judge_stage(now, index);
        self.lift_barrier(now);
    }

    /// Whoever has nearly everything is waited for; whoever has everything since then is in sync.
    fn judge_stage(&mut self, now: Instant, index: usize) {
        let head = self.head().position;
        let Some(following) = self.sessions[index].following() else { return };
        let mut stage = following.stage;
        if stage == Stage::CatchingUp {
            // Half of the time that it has is left for what it lacks: nobody is waited for only to be dropped.
            let is_near = self
                .log
                .appended_after(following.confirmed)
                .is_none_or(|at| now < at + self.config.dead_after / 2);
            if is_near {
                stage = Stage::Candidate { until: head };
            }
        }
        let (follower, position) = (following.node, following.confirmed);
        let is_in_sync = matches!(stage, Stage::Candidate { until } if until <= position);
        if is_in_sync {
            stage = Stage::InSync;
        }
        if let Some(following) = self.sessions[index].following_mut() {
            following.stage = stage;
            if is_in_sync {
                following.member_since = now;
            }
        }
        if is_in_sync {
            self.counters.in_sync += 1;
            self.event(LeaderEvent::InSync { follower, position });
            self.judge_protection();
        }
    }

    /// Says so when the first follower is in sync, or none any more.
    pub(super) fn judge_protection(&mut self) {
        let mut in_sync = self.sessions.iter().filter_map(Session::following);
        let protected = in_sync.any(|following| following.stage == Stage::InSync);
        if protected == self.protected {
            return;
        }
        self.protected = protected;
        let event = if protected { LeaderEvent::Protected } else { LeaderEvent::Unprotected };
        self.counters.unprotected += u64::from(!protected);
        self.event(event);
    }

    /// Drops whoever needs the oldest entry that is kept.
    pub(super) fn drop_at_floor(&mut self, now: Instant) {
        let floor = self.log.floor();
        self.drop_where(now, |confirmed| confirmed == floor);
    }

    /// Drops whoever follows the log.
    pub(super) fn drop_all(&mut self, now: Instant) {
        self.drop_where(now, |_| true);
    }

    fn drop_where(&mut self, now: Instant, condition: impl Fn(LogPosition) -> bool) {
        for index in 0..self.sessions.len() {
            let is_meant = self.sessions[index]
                .following()
                .is_some_and(|following| following.needs_log() && condition(following.confirmed));
            if is_meant {
                self.counters.overflowed += 1;
                self.end(now, index, DropReason::Bye(ByeReason::Overflow));
            }
        }
    }
}
