//! What may happen to a frame on its way, and who may watch: the model for faults and checkers.

use std::fmt;
use std::time::Duration;

use locum_types::Instant;

use super::PortId;

/// One copy of a frame about to go from one port to another. A flooded frame makes several hops.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// When the frame was transmitted.
    pub at: Instant,
    /// The port that transmitted it.
    pub from: PortId,
    /// The port that is to receive it.
    pub to: PortId,
    /// The whole frame, from the destination address on.
    pub frame: &'a [u8],
}

/// What a rule says about a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Pass,
    /// It takes longer, on top of the latency of both cables.
    Delay(Duration),
    /// It is lost.
    Drop,
}

/// A fault, or anything else that decides about hops: a closure will do.
///
/// Rules are asked in the order in which they were installed. Delays add up; the first `Drop` ends
/// the hop, and later rules do not hear of it. Keep rules deterministic: let them count, or draw
/// from a seeded generator of their own.
pub trait Rule {
    /// Decides about one hop.
    fn judge(&mut self, hop: &Hop<'_>) -> Verdict;
}

impl<F: FnMut(&Hop<'_>) -> Verdict> Rule for F {
    fn judge(&mut self, hop: &Hop<'_>) -> Verdict {
        self(hop)
    }
}

/// Names an installed rule, to remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(u64);

/// The installed rules, in order.
#[derive(Default)]
pub(super) struct Rules {
    rules: Vec<(RuleId, Box<dyn Rule>)>,
    installed: u64,
}

impl Rules {
    pub(super) fn install(&mut self, rule: Box<dyn Rule>) -> RuleId {
        let id = RuleId(self.installed);
        self.installed += 1;
        self.rules.push((id, rule));
        id
    }

    pub(super) fn remove(&mut self, id: RuleId) -> bool {
        let before = self.rules.len();
        self.rules.retain(|(other, _)| *other != id);
        self.rules.len() < before
    }

    /// The delay that all rules together ask for; `None` if one of them drops the frame.
    pub(super) fn judge(&mut self, hop: &Hop<'_>) -> Option<Duration> {
        let mut delay = Duration::ZERO;
        for (_, rule) in &mut self.rules {
            match rule.judge(hop) {
                Verdict::Pass => {}
                Verdict::Delay(more) => delay = delay.saturating_add(more),
                Verdict::Drop => return None,
            }
        }
        Some(delay)
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rules.iter().map(|(id, _)| id)).finish()
    }
}

/// A direction, as the owner of a port sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the owner into the segment.
    Transmit,
    /// From the segment to the owner.
    Receive,
}

/// What became of a frame at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It went through: into the segment, or into the receive queue.
    Passed,
    /// It was lost here.
    Lost(Loss),
}

/// Why a frame was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// The port was down.
    Down,
    /// The cable was cut in this direction.
    Cut,
    /// The receive queue was full.
    QueueFull,
    /// Too many frames were on their way.
    InFlightFull,
    /// A rule dropped it.
    Rule,
    /// The cable lost it.
    Random,
    /// The cable's rate is too low, and the queue before it was full.
    Congestion,
    /// It was longer than the MTU allows.
    Oversize,
    /// It had no whole header, or came from a group address.
    Malformed,
}

/// One frame at one port, as shown to observers.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// When.
    pub at: Instant,
    /// Where.
    pub port: PortId,
    /// Which way, as the owner of the port sees it.
    pub direction: Direction,
    /// The whole frame. A malformed one may be shorter than a header.
    pub frame: &'a [u8],
    /// What became of it.
    pub fate: Fate,
}

/// A checker, a counter, a capture.
type Observer = Box<dyn FnMut(&Observation<'_>)>;

/// Whoever watches.
#[derive(Default)]
pub(super) struct Observers(Vec<Observer>);

impl Observers {
    pub(super) fn add(&mut self, observer: Observer) {
        self.0.push(observer);
    }

    pub(super) fn show(&mut self, observation: &Observation<'_>) {
        self.0.iter_mut().for_each(|observer| observer(observation));
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} observers", self.0.len())
    }
}
