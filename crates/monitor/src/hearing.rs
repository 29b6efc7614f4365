//! What a node makes of what it hears.

use locum_types::{Cause, Instant, Mode, NodeId, Priority, Term};
use locum_wire::{Beat, Intent};

use crate::election::Vacancy;
use crate::peer::{Hearing, Refused};
use crate::{Event, Monitor, Output};

/// How long another user of our id is remembered, in detection times.
const DUPLICATE_MEMORY: u32 = 4;

/// What decides between two active nodes; the greater one stays.
type Claim = (Term, Priority, NodeId);

fn claim_of(beat: &Beat) -> Claim {
    (beat.term, beat.priority, beat.from)
}

impl Monitor {
    /// Takes an authentic beat.
    pub(crate) fn hear(&mut self, now: Instant, beat: &Beat) {
        if beat.from == self.config.node {
            self.hear_own_id(now, beat);
            return;
        }
        let Some(peer) = self.peers.get_mut(&beat.from) else {
            self.counters.refused.unknown_peer += 1;
            return;
        };
        match peer.hear(now, beat, self.boot) {
            Hearing::Introduced => {
                self.counters.refused.not_echoed += 1;
                self.answer_introduction(now, beat.from);
            }
            Hearing::Refused(Refused::Replayed) => self.counters.refused.replayed += 1,
            Hearing::Refused(Refused::OldBoot) => self.counters.refused.old_boot += 1,
            Hearing::Late => self.counters.beats_late += 1,
            Hearing::News { new_boot } => {
                self.counters.beats_accepted += 1;
                self.meet(beat.from, new_boot);
                self.term = self.term.max(self.term_to_adopt(beat));
                self.consider(now, beat);
            }
        }
    }

    /// An active node keeps the term of its own activation until it yields to a higher one.
    fn term_to_adopt(&self, beat: &Beat) -> Term {
        if self.mode == Mode::Active { self.term } else { beat.term }
    }

    fn meet(&mut self, id: NodeId, new_boot: bool) {
        if new_boot {
            self.push(Output::WillChanged);
        }
        if let Some(peer) = self.peers.get_mut(&id)
            && !std::mem::replace(&mut peer.reported_up, true)
        {
            self.tell(Event::PeerUp { peer: id });
        }
    }

    /// Acts on news from a peer.
    fn consider(&mut self, now: Instant, beat: &Beat) {
        match beat.intent {
            Intent::Resign(reason) => {
                self.hear_resignation(now, beat, reason);
                return;
            }
            Intent::Offer(reason) if beat.mode == Mode::Active => {
                if self.accept_offer(now, beat, reason) {
                    return;
                }
            }
            Intent::Request => self.hear_request(now, beat),
            Intent::Offer(_) | Intent::None => {}
        }
        match (beat.mode, self.mode) {
            (Mode::Active, Mode::Active) => self.hear_active_rival(now, beat),
            (Mode::Active, Mode::Joining | Mode::Waiting | Mode::Fenced) => {
                self.follow(beat.from);
            }
            (Mode::Joining | Mode::Waiting | Mode::Fenced, _) => {
                if self.active_peer == Some(beat.from) {
                    // It stepped down without a word to us; its successor will be heard soon.
                    self.vacate(Vacancy::stepped_down(now, &self.config));
                }
            }
        }
    }

    /// Believes that a peer is active.
    pub(crate) fn follow(&mut self, peer: NodeId) {
        self.active_peer = Some(peer);
        if std::mem::take(&mut self.degraded) {
            self.tell(Event::Recovered { peer });
        }
    }

    pub(crate) fn vacate(&mut self, vacancy: Vacancy) {
        self.active_peer = None;
        self.degraded = false;
        self.vacancy = vacancy;
    }

    /// Two active nodes: the lower claim yields, the higher one makes sure that the link knows.
    fn hear_active_rival(&mut self, now: Instant, beat: &Beat) {
        let ours = (self.term, self.config.priority, self.config.node);
        if claim_of(beat) < ours {
            self.beat(now, beat.from, Intent::None);
            // Its beats from before it heard ours, in a hand-over, are no sign of a rival.
            if now > self.since + self.config.vacancy_wait() {
                self.counters.rivals_heard += 1;
                self.tell(Event::RivalHeard { peer: beat.from });
                self.announce_again(now);
            }
            return;
        }
        self.term = beat.term;
        let successor = self.handover.as_ref().filter(|handover| handover.to == beat.from);
        let (to, cause) = match successor {
            Some(handover) => (Mode::Waiting, Cause::Resigning { reason: handover.reason }),
            None => {
                self.counters.rivals_yielded_to += 1;
                (Mode::Joining, Cause::Rival { peer: beat.from })
            }
        };
        self.change_mode(now, to, cause);
        self.follow(beat.from);
    }

    /// A probe was answered: the active node serves, whatever became of its beats.
    pub(crate) fn hear_answer(&mut self, now: Instant) {
        self.counters.probes_answered += 1;
        self.answered_at = Some(now);
        let Some(peer) = self.active_peer.and_then(|id| self.peers.get(&id)) else { return };
        // Its announcements count as answers too; only with its beats missing are they the last sign of it.
        let missing = now >= peer.detector.base() + peer.timeout(self.config.dead_after) / 2;
        let peer = peer.id;
        if self.mode == Mode::Waiting && missing && !std::mem::replace(&mut self.degraded, true) {
            self.tell(Event::Degraded { peer });
        }
    }

    /// A beat with our own id: our own voice, or another node with our configuration.
    fn hear_own_id(&mut self, now: Instant, beat: &Beat) {
        if beat.boot == self.boot {
            self.counters.refused.reflected += 1;
            return;
        }
        self.counters.duplicate_ids += 1;
        let known = self.duplicate_until.is_some_and(|until| now < until);
        self.duplicate_until = Some(now + self.config.dead_after * DUPLICATE_MEMORY);
        if !known {
            self.tell(Event::DuplicateId);
            return;
        }
        match self.mode {
            Mode::Joining | Mode::Waiting => {
                self.change_mode(now, Mode::Fenced, Cause::DuplicateId);
            }
            // A newcomer with a copied file must not take a serving node down.
            Mode::Active if beat.mode == Mode::Active && beat.boot > self.boot => {
                self.change_mode(now, Mode::Fenced, Cause::DuplicateId);
            }
            Mode::Active | Mode::Fenced => {}
        }
    }
}
