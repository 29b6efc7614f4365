//! After this node was active, and fell silent of its own accord: whether anybody may have led since. If nobody has,
//! its copy of the log is as whole as it was.
//!
//! Whoever leads begins a later term, and tells it, as do all that have heard of it. So a node that has answered since,
//! still the same life, and knows of no later term, has not led, and knows of nobody who has.

use std::collections::BTreeMap;

use locum_types::{BootNonce, Instant, LogPosition, Mode, NodeId, Succeeded, Term};

use crate::Monitor;

/// How this node ceased to be active without a successor.
#[derive(Clone, Debug)]
pub(crate) struct Retirement {
    at: Instant,
    /// Until when nobody took the place.
    held_until: Instant,
    /// The latest term it knew of.
    term: Term,
    /// The others as they were known then.
    peers: BTreeMap<NodeId, Known>,
    /// Since when this node has been listening without a break.
    pub(crate) listening_since: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    boot: Option<BootNonce>,
    /// It lived, and may have taken over at once.
    lived: bool,
}

/// What a peer has said since, of nobody who led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    None,
    /// The life that was known, or the first that is.
    OfTheSame,
    /// What the one before knew is lost.
    OfAnotherLife,
}

impl Monitor {
    /// This node has just ceased to be active.
    pub(crate) fn note_retirement(&mut self, now: Instant) {
        self.succeeded = Succeeded::Maybe;
        if self.mode != Mode::Fenced {
            self.retirement = None;
            return;
        }
        let known = self.peers.values().map(|peer| {
            let lived = peer.is_alive(now, self.config.dead_after);
            (peer.id, Known { boot: peer.boot(), lived })
        });
        self.retirement = Some(Retirement {
            at: now,
            held_until: self.lease.min(now),
            term: self.term_seen,
            peers: known.collect(),
            listening_since: now,
        });
    }

    /// Looks whether what was heard tells who has led since this node did.
    pub(crate) fn review_succession(&mut self, now: Instant) {
        if self.mode == Mode::Active {
            return;
        }
        if self.active_peer.is_some() && self.retirement.take().is_some() {
            self.forget_position(LogPosition::NOT_WHOLE);
        }
        self.succeeded = match &self.retirement {
            Some(retirement) => self.judge_succession(now, retirement),
            None => Succeeded::Maybe,
        };
    }

    fn judge_succession(&self, now: Instant, retirement: &Retirement) -> Succeeded {
        if self.term_seen > retirement.term {
            return Succeeded::Maybe;
        }
        let since = retirement.at.max(retirement.listening_since);
        let answers = |id: NodeId, known: &Known| {
            let peer = self.peers.get(&id);
            let beat = peer.and_then(|peer| peer.beat_since(now, since, self.config.dead_after));
            beat.map_or(Answer::None, |beat| {
                match known.boot.is_none_or(|boot| boot == beat.boot) {
                    true => Answer::OfTheSame,
                    false => Answer::OfAnotherLife,
                }
            })
        };
        let answers = retirement.peers.iter().map(|(&id, known)| (known, answers(id, known)));
        if answers.clone().all(|(_, answer)| answer == Answer::OfTheSame) {
            return Succeeded::No;
        }
        // Whoever started since listens first: it would have been heard if it had taken over.
        let was_deaf =
            retirement.listening_since > retirement.held_until + self.config.lonely_join_time();
        let is_told = |(known, answer): (&Known, Answer)| match answer {
            Answer::None => !known.lived && !was_deaf,
            Answer::OfTheSame | Answer::OfAnotherLife => true,
        };
        match answers.clone().all(is_told) {
            true => Succeeded::OnlyByTheDead,
            false => Succeeded::Maybe,
        }
    }
}
