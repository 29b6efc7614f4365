//! Who takes over, and when: vacancies, ranks, probes, claims.

use std::time::Duration;

use locum_types::{Cause, Health, Instant, Mode, NodeId, ResignReason};

use crate::peer::Merit;
use crate::{Config, Deadline, Monitor, Output};

/// Probes in one detection time: at 3/6, 4/6 and 5/6 of it, so that answers are in before it ends.
const PROBES: u32 = 3;
const PROBE_STEPS: u32 = 2 * PROBES;

/// A time without an active node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vacancy {
    since: Instant,
    /// How long the best node leaves it to others.
    wait: Duration,
    cause: Cause,
}

impl Vacancy {
    /// Nobody was heard yet.
    pub(crate) fn at_start(now: Instant, config: &Config) -> Self {
        Vacancy { since: now, wait: config.dead_after, cause: Cause::NoActive }
    }

    /// The active node is no longer active and did not say why.
    pub(crate) fn stepped_down(now: Instant, config: &Config) -> Self {
        Vacancy { since: now, wait: config.vacancy_wait(), cause: Cause::NoActive }
    }

    /// The active node said goodbye: no time to lose.
    pub(crate) fn resigned(now: Instant, peer: NodeId, reason: ResignReason) -> Self {
        Vacancy { since: now, wait: Duration::ZERO, cause: Cause::Resigned { peer, reason } }
    }

    /// This node was active and is alone: the detection time has passed already.
    pub(crate) fn alone(now: Instant) -> Self {
        Vacancy { since: now, wait: Duration::ZERO, cause: Cause::NoActive }
    }

    pub(crate) fn refresh(&mut self, now: Instant) {
        self.since = self.since.max(now);
    }
}

/// The probes of one silence.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Probing {
    /// The silence they are about; another one starts the count anew.
    base: Instant,
    sent: u32,
}

/// A silence that ends in a claim.
struct Silence {
    base: Instant,
    timeout: Duration,
    cause: Cause,
    /// A node that said goodbye, or is known to be gone, is not asked.
    probe: bool,
}

impl Monitor {
    /// What the mode itself calls for at the end of a turn.
    pub(crate) fn judge(&mut self, now: Instant) {
        match self.mode {
            Mode::Joining => {
                if now >= self.join_at() {
                    self.vacancy.refresh(now);
                    self.change_mode(now, Mode::Waiting, Cause::Joined);
                }
            }
            Mode::Fenced => self.judge_fence(now),
            Mode::Active => self.judge_health(now),
            Mode::Waiting => {}
        }
        // A node that has just become waiting may claim in the same turn.
        if self.mode == Mode::Waiting {
            self.judge_vacancy(now);
            self.request_preemption(now);
        }
    }

    /// When the mode needs the next look.
    pub(crate) fn mode_deadline(&self) -> Option<(Instant, Deadline)> {
        match self.mode {
            Mode::Joining => Some((self.join_at(), Deadline::Join)),
            Mode::Fenced if self.may_leave_fence() => Some((self.fence_ends_at(), Deadline::Fence)),
            Mode::Fenced | Mode::Active => None,
            Mode::Waiting => {
                let silence = self.silence()?;
                let claim = (self.claim_at(&silence, silence.base), Deadline::Claim);
                let probe = self.next_probe(&silence).map(|at| (at, Deadline::Probe));
                probe.into_iter().chain([claim]).min_by_key(|&(at, _)| at)
            }
        }
    }

    fn join_at(&self) -> Instant {
        let listen = match self.active_peer {
            Some(_) => self.config.join_time(),
            None => self.config.lonely_join_time(),
        };
        self.since + listen
    }

    /// A fenced node speaks again when it has heard the group, or has heard nobody for long enough.
    fn judge_fence(&mut self, now: Instant) {
        let duplicate = self.duplicate_until.is_some_and(|until| now < until);
        if duplicate || !self.may_leave_fence() {
            return;
        }
        let heard = |at: Instant| at > self.since;
        if self.peers.values().any(|peer| peer.detector.heard_at().is_some_and(heard)) {
            if self.active_peer.is_none() {
                self.vacancy = Vacancy::stepped_down(now, &self.config);
            }
            self.change_mode(now, Mode::Waiting, Cause::Heard);
        } else if now >= self.fence_ends_at() {
            self.vacate(Vacancy::alone(now));
            self.change_mode(now, Mode::Waiting, Cause::Alone);
        }
    }

    /// Without a link, or with a service that failed and nobody to wait for, it stays silent.
    fn may_leave_fence(&self) -> bool {
        self.link_up && (self.health > Health::Failed || self.active_peer.is_some())
    }

    fn fence_ends_at(&self) -> Instant {
        let silent_since = self.peers.values().map(|peer| peer.detector.base()).max();
        let base = silent_since.unwrap_or(self.since).max(self.since);
        (base + self.config.dead_after).max(self.duplicate_until.unwrap_or(Instant::ZERO))
    }

    /// Probes when it is time to, claims when it is time to.
    fn judge_vacancy(&mut self, now: Instant) {
        let Some(silence) = self.silence() else { return };
        if now >= self.claim_at(&silence, now) {
            self.change_mode(now, Mode::Active, silence.cause);
            return;
        }
        if self.next_probe(&silence).is_some_and(|at| now >= at) {
            if self.probing.base != silence.base {
                self.probing = Probing { base: silence.base, sent: 0 };
            }
            // After a late turn one probe stands for all that were due.
            while self.next_probe(&silence).is_some_and(|at| now >= at) {
                self.probing.sent += 1;
            }
            self.counters.probes_sent += 1;
            self.push(Output::Probe);
        }
    }

    /// The silence that this waiting node may have to end; `None` if it must not.
    fn silence(&self) -> Option<Silence> {
        if !self.link_up || self.health == Health::Failed || self.shutdown.is_some() {
            return None;
        }
        let answered = self.answered_at.unwrap_or(Instant::ZERO);
        if let Some(peer) = self.active_peer.and_then(|id| self.peers.get(&id)) {
            let base = peer.detector.base().max(answered);
            let timeout = peer.timeout(self.config.dead_after);
            return Some(Silence {
                base,
                timeout,
                cause: Cause::Silence { peer: peer.id },
                probe: true,
            });
        }
        let Vacancy { since, wait, cause } = self.vacancy;
        // An answer means that somebody serves; but one from before the goodbye proves nothing.
        let base = if wait.is_zero() { since } else { since.max(answered) };
        Some(Silence { base, timeout: wait, cause, probe: !wait.is_zero() })
    }

    /// When this node claims, if the silence goes on: the end of the time, and a step per rank.
    fn claim_at(&self, silence: &Silence, now: Instant) -> Instant {
        silence.base + silence.timeout + self.config.stagger() * self.rank(now)
    }

    fn next_probe(&self, silence: &Silence) -> Option<Instant> {
        let sent = if self.probing.base == silence.base { self.probing.sent } else { 0 };
        let step = silence.timeout / PROBE_STEPS;
        (silence.probe && sent < PROBES).then(|| silence.base + step * (PROBES + sent))
    }

    /// How many living waiting nodes are better than this one.
    fn rank(&self, now: Instant) -> u32 {
        let better = |merit: &Merit| *merit > self.merit();
        self.candidates(now).filter(better).count() as u32
    }

    /// The best waiting peer, if any could take over.
    pub(crate) fn best_candidate(&self, now: Instant) -> Option<Merit> {
        self.candidates(now).max()
    }

    pub(crate) fn candidates(&self, now: Instant) -> impl Iterator<Item = Merit> {
        let dead_after = self.config.dead_after;
        self.peers.values().filter_map(move |peer| peer.candidacy(now, dead_after))
    }

    fn merit(&self) -> Merit {
        (self.health, self.position, self.config.priority, self.config.node)
    }
}
