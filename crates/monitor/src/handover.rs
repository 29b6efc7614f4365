//! Giving the service away in good order: offers, requests, resignations, shutdown.

use std::time::Duration;

use locum_types::{Cause, Health, Instant, Mode, NodeId, ResignReason};
use locum_wire::{Beat, Intent};

use crate::election::Vacancy;
use crate::{Deadline, Event, Monitor, Output};

/// A waiting node that should be active asks this often.
const REQUEST_EVERY: Duration = Duration::from_millis(50);

/// An offer that waits for its successor's first active beat.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handover {
    pub(crate) to: NodeId,
    pub(crate) reason: ResignReason,
    since: Instant,
    again_at: Instant,
}

impl Monitor {
    /// The operator's hand-over.
    pub(crate) fn hand_over(&mut self, now: Instant, to: Option<NodeId>) {
        if let Err(why) = self.status(now).check_handover(to) {
            self.tell(Event::HandoverRefused { why });
            return;
        }
        let best = self.best_candidate(now).map(|(_, _, _, id)| id);
        if let Some(to) = to.or(best) {
            self.offer(now, to, ResignReason::Handover);
        }
    }

    fn offer(&mut self, now: Instant, to: NodeId, reason: ResignReason) {
        self.counters.handovers_offered += 1;
        let again_at = now + self.config.interval / 2;
        self.handover = Some(Handover { to, reason, since: now, again_at });
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
        if now >= handover.since + self.config.handover_limit() {
            self.handover = None;
            self.counters.handovers_failed += 1;
            self.tell(Event::HandoverFailed { to: handover.to });
            if let Some(reason) = self.shutdown {
                self.resign(now, reason);
            } else if self.health == Health::Failed {
                self.resign_for_health(now);
            }
        } else if now >= handover.again_at {
            handover.again_at = now + self.config.interval / 2;
            self.handover = Some(handover);
            self.beat(now, handover.to, Intent::Offer(handover.reason));
        }
    }

    /// When an offer or a request is due again.
    pub(crate) fn handover_deadline(&self) -> Option<(Instant, Deadline)> {
        let offer = self.handover.map(|handover| handover.again_at);
        let request = self.request_due_at();
        offer.into_iter().chain(request).min().map(|at| (at, Deadline::Handover))
    }

    /// Takes over from an active node that asks for it; false if it cannot be.
    pub(crate) fn accept_offer(&mut self, now: Instant, beat: &Beat, reason: ResignReason) -> bool {
        let able = self.mode == Mode::Waiting
            && self.health > Health::Failed
            && self.link_up
            && self.shutdown.is_none()
            && beat.term >= self.term
            && self.active_peer.is_none_or(|active| active == beat.from);
        if able {
            self.change_mode(now, Mode::Active, Cause::Resigned { peer: beat.from, reason });
        }
        able
    }

    /// A peer says that it is not active any more, or is about to end.
    pub(crate) fn hear_resignation(&mut self, now: Instant, beat: &Beat, reason: ResignReason) {
        let was_active = self.active_peer == Some(beat.from);
        match reason {
            ResignReason::Shutdown | ResignReason::Crash => {
                if let Some(peer) = self.peers.get_mut(&beat.from) {
                    peer.retire();
                    self.push(Output::WillChanged);
                }
            }
            ResignReason::Handover | ResignReason::Health | ResignReason::Preempt => {}
        }
        if was_active {
            self.vacate(Vacancy::resigned(now, beat.from, reason));
        }
    }

    /// A waiting peer of higher priority wants to be active.
    pub(crate) fn hear_request(&mut self, now: Instant, beat: &Beat) {
        let better = beat.priority > self.config.priority && beat.health >= self.health;
        if self.mode == Mode::Active && self.handover.is_none() && better {
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
        let delay = self.config.preempt.filter(|_| self.mode == Mode::Waiting)?;
        let active = self.peers.get(&self.active_peer?)?.latest?;
        let outranked = active.priority < self.config.priority && active.health <= self.health;
        let able = outranked && self.health > Health::Failed && self.shutdown.is_none();
        let again = self.requested_at.map_or(Instant::ZERO, |at| at + REQUEST_EVERY);
        able.then_some((self.since + delay).max(again))
    }

    /// An active node whose service is not well gives it to one that can do better.
    pub(crate) fn judge_health(&mut self, now: Instant) {
        if self.health == Health::Ok || self.handover.is_some() || self.shutdown.is_some() {
            return;
        }
        match self.best_candidate(now) {
            Some((health, _, _, to)) if health > self.health => {
                self.offer(now, to, ResignReason::Health);
            }
            Some(_) | None if self.health == Health::Failed => {
                self.resign_for_health(now);
            }
            Some(_) | None => {}
        }
    }

    /// The process ends: give the service away, then say goodbye.
    pub(crate) fn shut_down(&mut self, now: Instant, reason: ResignReason) {
        self.shutdown = Some(reason);
        let successor = self.best_candidate(now).map(|(_, _, _, id)| id);
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
