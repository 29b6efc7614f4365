//! What a node makes of what it hears.

use locum_types::sabotage::{Sabotage, sabotaged};
use locum_types::{BootNonce, Cause, Instant, LogPosition, Mode, NodeId, Priority, Term};
use locum_wire::{Beat, Intent};

use crate::election::Vacancy;
use crate::peer::{Hearing, Refused};
use crate::{Event, Monitor, Output};

/// How long another user of our id is remembered, in detection times.
const DUPLICATE_MEMORY: u32 = 4;

/// What decides between two active nodes; the greater one stays.
///
/// First of all, whether it is heard by anybody: clients are with the one that is. The position is that of its copy when
/// it became active: of two that took over at once the one that has more of what clients saw stays; and of two that began
/// with nothing, one that has seen clients since.
pub(crate) type Claim = (bool, Term, LogPosition, Priority, NodeId);

pub(crate) fn claim_of(beat: &Beat) -> Claim {
    (!beat.isolated, beat.term, beat.position, beat.priority, beat.from)
}

/// Another node that uses our id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Duplicate {
    boot: BootNonce,
    sequence: u64,
    /// Until when to believe in it.
    until: Instant,
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
        match peer.hear(now, beat, self.boot, self.config.dead_after) {
            Hearing::Introduced => {
                self.counters.refused.not_echoed += 1;
                self.answer_introduction(now, beat);
            }
            Hearing::Refused(Refused::Replayed) => self.counters.refused.replayed += 1,
            Hearing::Refused(Refused::OldBoot) => self.counters.refused.old_boot += 1,
            Hearing::Refused(Refused::SecondLife { twin }) => {
                self.counters.refused.second_life += 1;
                if twin {
                    self.tell(Event::TwinHeard { peer: beat.from });
                }
            }
            // Whoever said it may have slept: hearing of us it says something fresh.
            Hearing::Stale => {
                self.counters.refused.replayed += 1;
                self.beat_out_of_turn(now, beat.from);
            }
            Hearing::Late => self.counters.beats_late += 1,
            Hearing::News { new_boot } => {
                self.counters.beats_accepted += 1;
                let has_healed = self.meet(now, beat.from, new_boot);
                self.learn_term(beat.term);
                self.consider(now, beat, has_healed);
                if has_healed {
                    self.hear_healed(now, beat);
                }
            }
        }
    }

    /// An active node keeps the term of its own activation until it yields.
    fn learn_term(&mut self, term: Term) {
        self.term_seen = self.term_seen.max(term);
        if self.mode != Mode::Active {
            self.term = self.term_seen;
        }
    }

    /// Notes that a peer is there. True if the path to it has healed: it may have been active on its
    /// side, and have yielded before a beat that says so could reach us.
    fn meet(&mut self, now: Instant, id: NodeId, new_boot: bool) -> bool {
        if new_boot {
            self.will_changed();
            // The sooner the peer sees its nonce come back, the sooner it believes us. A life is
            // adopted once, so this needs no other bound.
            self.beat(now, id, Intent::None);
        }
        let Some(peer) = self.peers.get_mut(&id) else { return false };
        if std::mem::replace(&mut peer.reported_up, true) {
            return false;
        }
        self.tell(Event::PeerUp { peer: id });
        !new_boot
    }

    /// Whoever listens anew may have been active on its side of the gap, and clients may have spoken to it.
    fn hear_healed(&mut self, now: Instant, beat: &Beat) {
        if beat.mode == Mode::Joining {
            self.prevail(now);
        } else {
            self.announce_again(now);
        }
    }

    /// Once an outranked rival has yielded, nothing that it said is the last word.
    fn note_yielding(&mut self, now: Instant, beat: &Beat) {
        let yields = beat.mode != Mode::Active || matches!(beat.intent, Intent::Resign(_));
        let rival = self.peers.get_mut(&beat.from).filter(|peer| yields && peer.outranked);
        let Some(rival) = rival else { return };
        rival.outranked = false;
        self.prevail(now);
    }

    fn prevail(&mut self, now: Instant) {
        if self.mode == Mode::Active && self.handover.is_none() {
            self.announce(now);
            self.push(Output::Prevailed);
        }
    }

    /// Acts on news from a peer; if the path to it `has_healed`, others may know more.
    fn consider(&mut self, now: Instant, beat: &Beat, has_healed: bool) {
        self.note_yielding(now, beat);
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
                self.follow(now, beat);
            }
            // It said so when it fell silent, and nobody followed it; to those who could hear that.
            (Mode::Fenced, _) if !has_healed => {
                self.vacate_if_active(beat.from, Vacancy::fenced(now));
            }
            (Mode::Joining | Mode::Waiting | Mode::Fenced, _) => {
                // It stepped down without a word to us; its successor will be heard soon.
                self.vacate_if_active(beat.from, Vacancy::stepped_down(now, &self.config));
            }
        }
    }

    /// Believes that the sender is active, unless a living node has the better claim.
    pub(crate) fn follow(&mut self, now: Instant, beat: &Beat) {
        let dead_after = self.config.dead_after;
        let followed = self.active_peer.filter(|&id| id != beat.from);
        let rival = followed.and_then(|id| self.peers.get(&id)?.active_beat(now, dead_after));
        if rival.is_some_and(|rival| claim_of(rival) > claim_of(beat)) {
            return;
        }
        self.active_peer = Some(beat.from);
        if std::mem::take(&mut self.degraded) {
            self.tell(Event::Recovered { peer: beat.from });
        }
    }

    /// Follows the best of the active nodes in sight, when the one that was followed is gone.
    pub(crate) fn follow_another(&mut self, now: Instant) {
        let dead_after = self.config.dead_after;
        let lives = |id: NodeId| {
            self.peers.get(&id).is_some_and(|peer| peer.active_beat(now, dead_after).is_some())
        };
        if self.active_peer.is_some_and(lives) {
            return;
        }
        let active = self.peers.values().filter_map(|peer| peer.active_beat(now, dead_after));
        if let Some(beat) = active.max_by_key(|beat| claim_of(beat)).copied() {
            self.follow(now, &beat);
        }
    }

    pub(crate) fn vacate(&mut self, vacancy: Vacancy) {
        self.active_peer = None;
        self.degraded = false;
        self.vacancy = vacancy;
    }

    pub(crate) fn vacate_if_active(&mut self, peer: NodeId, vacancy: Vacancy) {
        if self.active_peer == Some(peer) {
            self.vacate(vacancy);
        }
    }

    /// Two active nodes: the lower claim yields, the higher one makes sure that the link knows.
    fn hear_active_rival(&mut self, now: Instant, beat: &Beat) {
        let (priority, node) = (self.config.priority, self.config.node);
        let ours = (!self.isolated, self.term, self.claimed_with, priority, node);
        if (claim_of(beat) < ours) != sabotaged(Sabotage::BetterYields) {
            self.outrank(now, beat.from);
            return;
        }
        match self.handover.filter(|handover| handover.to == beat.from) {
            Some(handover) => self.complete_handover(now, handover),
            None => {
                self.counters.rivals_yielded_to += 1;
                self.change_mode(now, Mode::Joining, Cause::Rival { peer: beat.from });
            }
        }
        self.follow(now, beat);
    }

    /// Tells an active node of the lower claim that it is one, and the link who stays.
    fn outrank(&mut self, now: Instant, peer: NodeId) {
        self.beat_out_of_turn(now, peer);
        // What a predecessor said before it heard of its successor is no sign of a rival.
        if self.has_succeeded(peer) && now < self.since + self.config.vacancy_wait() {
            return;
        }
        self.counters.rivals_heard += 1;
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.outranked = true;
        }
        // It beats until it has heard us; people are told as often as the link is.
        if self.announce_again(now) {
            self.tell(Event::RivalHeard { peer });
        }
    }

    /// A probe was answered: an active node serves, whatever became of its beats.
    pub(crate) fn hear_answer(&mut self, now: Instant) {
        self.counters.probes_answered += 1;
        if !sabotaged(Sabotage::AnswersIgnored) {
            self.answered_at = Some(now);
        }
    }

    /// A beat with our own id: our own voice, or another node with our configuration.
    fn hear_own_id(&mut self, now: Instant, beat: &Beat) {
        if beat.boot == self.boot {
            self.counters.refused.reflected += 1;
            return;
        }
        // Beats of our own former lives, recorded and played back, end with the terms they are from.
        if beat.term < self.term {
            self.counters.refused.old_boot += 1;
            return;
        }
        let known = self.duplicate.filter(|known| now < known.until && known.boot == beat.boot);
        if known.is_some_and(|known| beat.sequence <= known.sequence) {
            self.counters.refused.replayed += 1;
            return;
        }
        self.counters.duplicate_ids += 1;
        self.duplicate = Some(Duplicate {
            boot: beat.boot,
            sequence: beat.sequence,
            until: now + self.config.dead_after.saturating_mul(DUPLICATE_MEMORY),
        });
        if known.is_none() {
            self.tell(Event::DuplicateId);
            return;
        }
        let outclaimed =
            beat.mode == Mode::Active && (beat.term, beat.boot) > (self.term, self.boot);
        match self.mode {
            Mode::Joining | Mode::Waiting => {
                self.change_mode(now, Mode::Fenced, Cause::DuplicateId);
            }
            // A newcomer with a copied file must not take a serving node down.
            Mode::Active if outclaimed => self.change_mode(now, Mode::Fenced, Cause::DuplicateId),
            Mode::Active | Mode::Fenced => {}
        }
    }

    /// Until when another node with our id keeps this one fenced.
    pub(crate) fn duplicate_until(&self) -> Instant {
        self.duplicate.map_or(Instant::ZERO, |duplicate| duplicate.until)
    }

    /// [`Monitor::will`] has a new answer, if it has one at all.
    pub(crate) fn will_changed(&mut self) {
        if self.mode == Mode::Active {
            self.push(Output::WillChanged);
        }
    }
}
