//! Who takes over, and when: vacancies, ranks, probes, claims.

use std::time::Duration;

use locum_types::sabotage::{Sabotage, sabotaged};
use locum_types::{Cause, Health, Instant, LogPosition, Mode, NodeId, ResignReason};

use crate::peer::Merit;
use crate::{Config, Deadline, Event, Monitor, Output};

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
    /// Whether somebody may be active after all, and is to be asked.
    is_doubtful: bool,
}

impl Vacancy {
    /// Nobody was heard yet, or is expected any more.
    pub(crate) fn unknown(now: Instant, config: &Config) -> Self {
        let wait = match sabotaged(Sabotage::NoListening) {
            true => Duration::ZERO,
            false => config.dead_after,
        };
        Vacancy { since: now, wait, cause: Cause::NoActive, is_doubtful: true }
    }

    /// The active node is no longer active and did not say why: it yielded to a node that is.
    pub(crate) fn stepped_down(now: Instant, config: &Config) -> Self {
        Vacancy { wait: config.vacancy_wait(), ..Vacancy::unknown(now, config) }
    }

    /// The active node fell silent by its own decision, and nobody follows it.
    pub(crate) fn fenced(now: Instant) -> Self {
        Vacancy { since: now, wait: Duration::ZERO, cause: Cause::NoActive, is_doubtful: false }
    }

    /// The active node said goodbye: no time to lose.
    pub(crate) fn resigned(now: Instant, peer: NodeId, reason: ResignReason) -> Self {
        Vacancy { cause: Cause::Resigned { peer, reason }, ..Vacancy::fenced(now) }
    }

    /// Nobody was heard, nor answered probes, for a detection time that has passed already.
    pub(crate) fn alone(now: Instant) -> Self {
        Vacancy::fenced(now)
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
    /// When the first one left.
    asked_at: Instant,
}

/// A silence that ends in a claim, or at the end of a fence.
struct Silence {
    base: Instant,
    timeout: Duration,
    cause: Cause,
    /// A node that said goodbye, or is known to be gone, is not asked.
    probe: bool,
}

impl Silence {
    fn ends_at(&self) -> Instant {
        self.base + self.timeout
    }
}

impl Monitor {
    /// What the mode itself calls for at the end of a turn.
    pub(crate) fn judge(&mut self, now: Instant) {
        match self.mode {
            Mode::Joining => {
                self.follow_another(now);
                if now >= self.join_at() {
                    self.vacancy.refresh(now);
                    self.change_mode(now, Mode::Waiting, Cause::Joined);
                }
            }
            Mode::Fenced => {
                self.follow_another(now);
                self.judge_fence(now);
            }
            Mode::Active => self.judge_health(now),
            Mode::Waiting => self.follow_another(now),
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
            Mode::Fenced => {
                let silence = self.fence_silence()?;
                let until = self.duplicate_until();
                if self.ran_at < until {
                    return Some((until, Deadline::Fence));
                }
                let end = silence.ends_at().max(self.answers_by(&silence));
                Some(self.with_probe(&silence, (end, Deadline::Fence)))
            }
            Mode::Active => None,
            Mode::Waiting => {
                let silence = self.silence()?;
                let at = self.claim_at(&silence, self.ran_at).max(self.answers_by(&silence));
                let claim = (at, Deadline::Claim);
                Some(self.with_probe(&silence, claim))
            }
        }
    }

    /// The next probe, or `end` if that is sooner.
    fn with_probe(&self, silence: &Silence, end: (Instant, Deadline)) -> (Instant, Deadline) {
        match self.next_probe(silence) {
            Some(at) if at < end.0 => (at, Deadline::Probe),
            Some(_) | None => end,
        }
    }

    fn join_at(&self) -> Instant {
        let listen = match self.active_peer {
            Some(_) => self.config.join_time(),
            None => self.config.lonely_join_time(),
        };
        if sabotaged(Sabotage::NoListening) {
            return self.listening_since;
        }
        self.listening_since + listen
    }

    /// A fenced node speaks again when it has heard the group, or has heard nobody for long enough.
    fn judge_fence(&mut self, now: Instant) {
        if sabotaged(Sabotage::FencedForEver) {
            return;
        }
        let Some(silence) = self.fence_silence() else { return };
        if now < self.duplicate_until() {
            return;
        }
        let since_fenced = |at: Instant| at > self.since;
        let heard_by = |heard_at: Option<Instant>| heard_at.is_some_and(since_fenced);
        if self.peers.values().any(|peer| heard_by(peer.detector.heard_at())) {
            if self.active_peer.is_none() {
                self.vacancy = Vacancy::stepped_down(now, &self.config);
            }
            self.change_mode(now, Mode::Waiting, Cause::Heard);
        } else if heard_by(self.answered_at) {
            self.vacate(Vacancy::unknown(now, &self.config));
            self.change_mode(now, Mode::Waiting, Cause::Heard);
        } else if now >= silence.ends_at() && self.has_asked(now, &silence) {
            self.vacate(Vacancy::alone(now));
            self.change_mode(now, Mode::Waiting, Cause::Alone);
        } else {
            self.probe_if_due(now, &silence);
        }
    }

    /// The silence after which a fenced node is alone. `None`: it has to stay fenced, without a link,
    /// or with a service that failed and nobody active to wait for.
    fn fence_silence(&self) -> Option<Silence> {
        let may_leave =
            self.link_up && (self.health > Health::Failed || self.active_peer.is_some());
        if !may_leave {
            return None;
        }
        let mut base = self.since.max(self.listening_since);
        let mut timeout = self.config.dead_after;
        for peer in self.peers.values() {
            base = base.max(peer.detector.base());
            timeout = timeout.max(peer.timeout(self.config.dead_after));
        }
        Some(Silence { base, timeout, cause: Cause::Alone, probe: true })
    }

    /// Probes when it is time to, claims when it is time to.
    fn judge_vacancy(&mut self, now: Instant) {
        let rank = self.rank(now);
        if rank < std::mem::replace(&mut self.rank_before, rank) {
            self.promoted_at = now;
        }
        let Some(silence) = self.silence() else {
            self.count_refusal(now);
            return;
        };
        self.notice_lost_beats(now);
        if now >= self.claim_at(&silence, now) && self.has_asked(now, &silence) {
            self.change_mode(now, Mode::Active, silence.cause);
        } else {
            self.probe_if_due(now, &silence);
        }
    }

    /// Beats have been missing for so long that only answers to probes keep this node waiting.
    fn notice_lost_beats(&mut self, now: Instant) {
        let Some(peer) = self.active_peer.and_then(|id| self.peers.get(&id)) else { return };
        let answered = self.answered_at.is_some_and(|at| at > peer.detector.base());
        let lost = answered && now >= peer.dies_at(self.config.dead_after);
        let peer = peer.id;
        if lost && !std::mem::replace(&mut self.degraded, true) {
            self.tell(Event::Degraded { peer });
        }
    }

    fn probe_if_due(&mut self, now: Instant, silence: &Silence) {
        if self.next_probe(silence).is_none_or(|at| now < at) {
            return;
        }
        if self.probing.base != silence.base {
            self.probing = Probing { base: silence.base, sent: 0, asked_at: now };
        }
        // After a late turn one probe stands for all that were due.
        while self.next_probe(silence).is_some_and(|at| now >= at) {
            self.probing.sent += 1;
        }
        self.counters.probes_sent += 1;
        self.push(Output::Probe);
    }

    /// The silence that this waiting node may have to end; `None` if it must not.
    fn silence(&self) -> Option<Silence> {
        (self.is_able() && !self.is_unfit()).then(|| self.current_silence())
    }

    /// Whether this node could serve, whatever its copy is worth.
    fn is_able(&self) -> bool {
        self.health() > Health::Failed && self.shutdown.is_none()
    }

    /// Counts a silence that this node does not end because of its copy, once.
    fn count_refusal(&mut self, now: Instant) {
        if !self.is_able() || !self.is_unfit() {
            return;
        }
        let silence = self.current_silence();
        let is_over = now >= self.claim_at(&silence, now);
        if is_over && self.refused_silence.replace(silence.base) != Some(silence.base) {
            self.counters.takeovers_refused += 1;
        }
    }

    /// The silence of the active node, or of everybody.
    fn current_silence(&self) -> Silence {
        let answered = self.answered_at.unwrap_or(Instant::ZERO);
        if let Some(peer) = self.active_peer.and_then(|id| self.peers.get(&id)) {
            return Silence {
                base: peer.detector.base().max(answered).max(self.listening_since),
                timeout: peer.timeout(self.config.dead_after),
                cause: Cause::Silence { peer: peer.id },
                probe: true,
            };
        }
        let Vacancy { since, wait, cause, is_doubtful } = self.vacancy;
        // An answer means that somebody serves; but one from before the goodbye proves nothing.
        let base = if is_doubtful { since.max(answered).max(self.listening_since) } else { since };
        Silence { base, timeout: wait, cause, probe: is_doubtful }
    }

    /// Whether this node has a copy of the log that is not whole, and must not serve from it.
    pub(crate) fn is_unfit(&self) -> bool {
        let had_one = self.position() > LogPosition::default();
        self.config.complete_only && had_one && !self.position().is_complete()
    }

    /// When this node claims, if the silence goes on: the end of the time, and a step per rank. If
    /// a better node is gone, all others move up at once, and the steps begin anew.
    fn claim_at(&self, silence: &Silence, now: Instant) -> Instant {
        silence.ends_at().max(self.promoted_at)
            + self.config.stagger().saturating_mul(self.rank(now))
    }

    /// Whether a silence was doubted for long enough. A node that slept through the times to probe
    /// asks now, and waits for the answer: what it missed may have been its own fault.
    fn has_asked(&self, now: Instant, silence: &Silence) -> bool {
        let asked = self.probing.base == silence.base && self.probing.sent > 0;
        !silence.probe || asked && now >= self.answers_by(silence)
    }

    /// When the answer to the first probe of a silence is in, if there was one.
    fn answers_by(&self, silence: &Silence) -> Instant {
        let asked = silence.probe && self.probing.base == silence.base && self.probing.sent > 0;
        let answer = self.probing.asked_at + silence.timeout / PROBE_STEPS;
        if asked { answer } else { Instant::ZERO }
    }

    fn next_probe(&self, silence: &Silence) -> Option<Instant> {
        let sent = if self.probing.base == silence.base { self.probing.sent } else { 0 };
        let step = silence.timeout / PROBE_STEPS;
        (silence.probe && sent < PROBES).then(|| silence.base + step.saturating_mul(PROBES + sent))
    }

    /// How many living waiting nodes are better than this one.
    fn rank(&self, now: Instant) -> u32 {
        let believed = self.ranked_as.filter(|&(_, until)| now < until);
        let position =
            believed.map_or(self.position(), |(position, _)| position.min(self.position()));
        let ours = (self.health(), position, self.config.priority, self.config.node);
        let better = |merit: &Merit| *merit > ours;
        self.candidates(now).filter(better).count() as u32
    }

    /// The best waiting peer, if any could take over.
    pub(crate) fn best_candidate(&self, now: Instant) -> Option<Merit> {
        self.candidates(now).max()
    }

    /// The best waiting peer to give the service to. Whoever has all of the log comes before everybody else; as
    /// long as somebody's copy was whole a moment ago, and nobody's is now, those that were not dropped are about to say so.
    pub(crate) fn best_successor(&self, now: Instant) -> Option<Merit> {
        let is_late = |merit: &Merit| self.is_outdated(merit.1);
        let has_all = |merit: &Merit| merit.1 >= self.position();
        match self.candidates(now).filter(has_all).max() {
            Some(best) => Some(best),
            None if self.candidates(now).any(|merit| is_late(&merit)) => None,
            None => self.best_candidate(now),
        }
    }

    /// Whether this peer is as good a successor as any, as far as the log goes.
    pub(crate) fn is_successor(&self, now: Instant, id: NodeId) -> bool {
        let Some((_, best, _, _)) = self.best_successor(now) else { return false };
        self.candidates(now)
            .any(|(_, position, _, peer)| peer == id && position >= best.min(self.position()))
    }

    /// Whether a peer's copy is known to have been whole, but not that it still is: the in-sync set has changed since.
    pub(crate) fn is_outdated(&self, theirs: LogPosition) -> bool {
        theirs.is_complete() && theirs < self.position()
    }

    fn candidates(&self, now: Instant) -> impl Iterator<Item = Merit> {
        let dead_after = self.config.dead_after;
        self.peers.values().filter_map(move |peer| peer.candidacy(now, dead_after))
    }
}
