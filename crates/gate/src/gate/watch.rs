//! What received frames leave behind: answers to give, and claims to report. Bounded.

use std::collections::VecDeque;

use locum_types::{Instant, Mode};
use smoltcp::wire::{EthernetAddress, IpAddress};

use crate::conflict::{DEFEND_INTERVAL, Limiter, REPORT_INTERVAL, Sighting};
use crate::counters::ClaimCounters;
use crate::policy::Answer;

/// Answers and defences that may wait for the next transmit token.
const REPLIES_MAX: usize = 64;
/// Sightings that may wait to be drained.
const SIGHTINGS_MAX: usize = 16;

/// Something that the gate owes to the link.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    Answer(Answer),
    Defend(IpAddress),
}

#[derive(Debug)]
pub(super) struct Watch {
    replies: VecDeque<Reply>,
    sightings: VecDeque<Sighting>,
    reports: Limiter<(EthernetAddress, IpAddress)>,
    defences: Limiter<IpAddress>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Watch {
            replies: VecDeque::with_capacity(REPLIES_MAX),
            sightings: VecDeque::with_capacity(SIGHTINGS_MAX),
            reports: Limiter::new(REPORT_INTERVAL),
            defences: Limiter::new(DEFEND_INTERVAL),
        }
    }

    /// Remembers what others claim, and to defend against it.
    pub(super) fn note(
        &mut self,
        now: Instant,
        mode: Mode,
        sighting: Sighting,
        counters: &mut ClaimCounters,
    ) {
        let claim = match sighting {
            Sighting::Claim(claim) => {
                counters.strangers += 1;
                // RFC 5227 §2.4 (c): a server keeps its address, and defends it once per interval.
                let may_defend = mode == Mode::Active && self.replies.len() < REPLIES_MAX;
                if may_defend && self.defences.permits(now, claim.address) {
                    self.replies.push_back(Reply::Defend(claim.address));
                }
                claim
            }
            Sighting::PeerClaim { claim, .. } => {
                counters.peers += 1;
                claim
            }
        };
        if !self.reports.permits(now, (claim.mac, claim.address)) {
            counters.repeated += 1;
        } else if self.sightings.len() == SIGHTINGS_MAX {
            counters.unreported += 1;
        } else {
            self.sightings.push_back(sighting);
        }
    }

    pub(super) fn pop_sighting(&mut self) -> Option<Sighting> {
        self.sightings.pop_front()
    }

    /// Queues an answer; false if too many wait.
    pub(super) fn answer(&mut self, answer: Answer) -> bool {
        let room = self.replies.len() < REPLIES_MAX;
        if room {
            self.replies.push_back(Reply::Answer(answer));
        }
        room
    }

    pub(super) fn pop_reply(&mut self) -> Option<Reply> {
        self.replies.pop_front()
    }

    pub(super) fn replies_len(&self) -> usize {
        self.replies.len()
    }

    pub(super) fn forget_replies(&mut self) {
        self.replies.clear();
    }
}
