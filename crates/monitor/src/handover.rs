//! Giving the service away in good order: offers, requests, resignations, shutdown.

use std::time::Duration;

use locum_types::sabotage::{Sabotage, sabotaged};
use locum_types::{Cause, Health, Instant, LogPosition, Mode, NodeId, ResignReason};
use locum_wire::{Beat, Intent};

use crate::election::Vacancy;
use crate::peer::{Peer, age_of};
use crate::{Deadline, Event, Monitor};

/// A waiting node that should be active asks this often.
const REQUEST_EVERY: Duration = Duration::from_millis(50);
/// After an offer that nobody took, the node offers nothing of its own accord for so many times as
/// long as it waited.
const OFFER_PAUSE: u32 = 5;

/// An offer that waits for its successor's first active beat.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handover {
    pub(crate) to: NodeId,
    /// What its copy was worth when it was chosen.
    position: LogPosition,
    pub(crate) reason: ResignReason,
    since: Instant,
    again_at: Instant,
}

impl Monitor {
    /// The operator's hand-over.
    pub(crate) fn hand_over(&mut self, now: Instant, to: Option<NodeId>) {
        match self.choose_successor(now, to) {
            Ok(to) => self.offer(now, to, ResignReason::Handover),
            Err(why) => self.tell(Event::HandoverRefused { why }),
        }
    }

    fn choose_successor(&self, now: Instant, to: Option<NodeId>) -> Result<NodeId, &'static str> {
        if self.mode != Mode::Active {
            return Err("this node is not active; ask the one that is");
        }
        if self.handover.is_some() {
            return Err("a hand-over is under way");
        }
        match to {
            Some(to) if self.is_successor(now, to) => Ok(to),
            Some(_) => Err("that node is not waiting, healthy, and with as whole a log as any"),
            None => {
                let best = self.best_successor(now);
                best.map(|(_, _, _, id)| id).ok_or("no other node is waiting, healthy, and in sync")
            }
        }
    }

    fn offer(&mut self, now: Instant, to: NodeId, reason: ResignReason) {
        self.counters.handovers_offered += 1;
        let again_at = now + self.pace.interval(now) / 2;
        let position = self.position_of(to);
        self.handover = Some(Handover { to, position, reason, since: now, again_at });
        self.beat(now, to, Intent::Offer(reason));
    }

    /// Repeats an offer that may have been lost, and gives up one that nobody takes.
    pub(crate) fn pursue_handover(&mut self, now: Instant) {
        let Some(mut handover) = self.handover else {
            if let Some(reason) = self.shutdown {
                self.resign(now, reason);
            }
            return;
        };
        if now >= handover.since + self.config.handover_limit() || !self.is_fit(now, &handover) {
            self.give_up_handover(now, handover);
        } else if now >= handover.again_at {
            handover.again_at = now + self.pace.interval(now) / 2;
            self.handover = Some(handover);
            if !self.is_outdated(self.position_of(handover.to)) {
                self.beat(now, handover.to, Intent::Offer(handover.reason));
            }
        }
    }

    /// Whether the chosen successor lives, and its copy is still worth what it was: a node that was cut off, and
    /// comes back, must not find an old offer.
    fn is_fit(&self, now: Instant, handover: &Handover) -> bool {
        let alive = |peer: &Peer| peer.is_alive(now, self.config.dead_after);
        self.peers.get(&handover.to).is_some_and(alive)
            && self.position_of(handover.to) >= handover.position
    }

    fn position_of(&self, peer: NodeId) -> LogPosition {
        let latest = self.peers.get(&peer).and_then(|peer| peer.latest);
        latest.map_or(LogPosition::default(), |beat| beat.position)
    }

    fn give_up_handover(&mut self, now: Instant, handover: Handover) {
        self.handover = None;
        self.offer_pause_until = now + self.config.handover_limit().saturating_mul(OFFER_PAUSE);
        self.counters.handovers_failed += 1;
        self.tell(Event::HandoverFailed { to: handover.to });
        if let Some(reason) = self.shutdown {
            self.resign(now, reason);
        } else if self.health == Health::Failed {
            self.resign_for_health(now);
        } else {
            // Whatever was claimed in the meantime.
            self.announce_again(now);
        }
    }

    /// The successor was heard: from here on this node is silent.
    pub(crate) fn complete_handover(&mut self, now: Instant, handover: Handover) {
        self.counters.handovers_completed += 1;
        // Both were active for at most this long: the offer was on its way first.
        let took = now - handover.since;
        self.change_mode(now, Mode::Waiting, Cause::Resigning { reason: handover.reason });
        self.tell(Event::HandedOver { to: handover.to, took });
    }

    /// When an offer or a request is due again.
    pub(crate) fn handover_deadline(&self) -> Option<(Instant, Deadline)> {
        let offer = self.handover.map(|handover| handover.again_at);
        let request = self.request_due_at();
        offer.into_iter().chain(request).min().map(|at| (at, Deadline::Handover))
    }

    /// Takes over from an active node that asks for it; false if it cannot be.
    pub(crate) fn accept_offer(&mut self, now: Instant, beat: &Beat, reason: ResignReason) -> bool {
        // An offer that waited in a queue while this node was paused may have been given up since.
        // They are repeated often enough that nothing is lost by ignoring a late one.
        let is_fresh = age_of(now, beat).is_none_or(|age| age <= self.config.dead_after);
        let able = self.mode == Mode::Waiting
            && self.health() > Health::Failed
            && self.shutdown.is_none()
            && !self.is_unfit()
            && self.active_peer.is_none_or(|active| active == beat.from);
        if able && !is_fresh {
            self.counters.offers_stale += 1;
        }
        if able && is_fresh {
            self.change_mode(now, Mode::Active, Cause::Resigned { peer: beat.from, reason });
        }
        able && is_fresh
    }

    /// A peer says that it is not active any more, or is about to end.
    pub(crate) fn hear_resignation(&mut self, now: Instant, beat: &Beat, reason: ResignReason) {
        match reason {
            ResignReason::Shutdown | ResignReason::Crash => {
                if let Some(peer) = self.peers.get_mut(&beat.from) {
                    peer.retire();
                    self.will_changed();
                }
            }
            ResignReason::Handover | ResignReason::Health | ResignReason::Preempt => {}
        }
        let vacancy = if now < self.caught_up_at {
            // It waited in a queue while this node was paused: others have taken over since.
            Vacancy::unknown(now, &self.config)
        } else {
            Vacancy::resigned(now, beat.from, reason)
        };
        self.vacate_if_active(beat.from, vacancy);
    }

    /// A waiting peer of higher priority wants to be active.
    pub(crate) fn hear_request(&mut self, now: Instant, beat: &Beat) {
        // Whoever lacks a part of the log would lose connections.
        let has_all = beat.position >= self.position();
        let better = beat.priority > self.config.priority && beat.health >= self.health && has_all;
        let may_offer = self.mode == Mode::Active && self.may_offer(now);
        if may_offer && better && self.is_successor(now, beat.from) {
            self.offer(now, beat.from, ResignReason::Preempt);
        }
    }

    /// Asks the active node for its place, if this node is configured to have it.
    pub(crate) fn request_preemption(&mut self, now: Instant) {
        if let (Some(at), Some(active)) = (self.request_due_at(), self.active_peer)
            && now >= at
        {
            self.requested_at = Some(now);
            self.beat(now, active, Intent::Request);
        }
    }

    fn request_due_at(&self) -> Option<Instant> {
        let unasked = sabotaged(Sabotage::UnaskedPreemption).then_some(Duration::ZERO);
        let delay = self.config.preempt.or(unasked).filter(|_| self.mode == Mode::Waiting)?;
        let active = self.peers.get(&self.active_peer?)?.latest?;
        let outranked = active.priority < self.config.priority && active.health <= self.health();
        let able = outranked && self.health() > Health::Failed && self.shutdown.is_none();
        // Since it waits, since it is well: the delay is also the time after a lost activation.
        let due = self.since.max(self.well_since) + delay;
        let again = self.requested_at.map_or(Instant::ZERO, |at| at + REQUEST_EVERY);
        able.then_some(due.max(again))
    }

    /// Whether this node may offer its place of its own accord.
    fn may_offer(&self, now: Instant) -> bool {
        self.handover.is_none() && self.shutdown.is_none() && now >= self.offer_pause_until
    }

    /// An active node whose service is not well gives it to one that can do better.
    pub(crate) fn judge_health(&mut self, now: Instant) {
        if sabotaged(Sabotage::HealthIgnored) {
            return;
        }
        if self.health == Health::Ok || self.handover.is_some() || self.shutdown.is_some() {
            return;
        }
        let must = self.health == Health::Failed;
        let successor =
            self.best_successor(now).or_else(|| self.best_candidate(now).filter(|_| must));
        let better = successor.filter(|&(health, _, _, _)| health > self.health);
        match better {
            Some((_, _, _, to)) if self.may_offer(now) => {
                self.offer(now, to, ResignReason::Health);
            }
            Some(_) | None if must => self.resign_for_health(now),
            Some(_) | None => {}
        }
    }

    /// The process ends: give the service away, then say goodbye.
    pub(crate) fn shut_down(&mut self, now: Instant, reason: ResignReason) {
        self.shutdown = Some(reason);
        if sabotaged(Sabotage::NoGoodbye) {
            return self.finish();
        }
        let successor = self.best_successor(now).or_else(|| self.best_candidate(now));
        let successor = successor.map(|(_, _, _, id)| id);
        match successor {
            Some(to) if self.mode == Mode::Active && reason != ResignReason::Crash => {
                if self.handover.is_none() {
                    self.offer(now, to, reason);
                }
            }
            Some(_) | None => self.resign(now, reason),
        }
    }

    /// Falls silent, says goodbye, and is done.
    fn resign(&mut self, now: Instant, reason: ResignReason) {
        if self.mode == Mode::Active {
            self.change_mode(now, Mode::Fenced, Cause::Resigning { reason });
        }
        // An active node has said so already; twice, for a lost frame must not cost a detection time.
        self.beat_all(now, Intent::Resign(reason));
        self.finish();
    }

    /// A node that cannot serve is silent, even if nobody else can.
    fn resign_for_health(&mut self, now: Instant) {
        let reason = ResignReason::Health;
        self.change_mode(now, Mode::Fenced, Cause::Resigning { reason });
    }
}
