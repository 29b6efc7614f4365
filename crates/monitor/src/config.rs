//! What the monitor is told about its node and group, and the times that follow from it.

use std::time::Duration;

use locum_types::sabotage::{Sabotage, sabotaged};
use locum_types::{GroupId, Instant, NodeId, Priority};

/// The configuration of a monitor. Whoever builds it has validated it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The group.
    pub group: GroupId,
    /// This node.
    pub node: NodeId,
    /// This node's rank in elections; higher wins.
    pub priority: Priority,
    /// The other nodes, 1 to 15 of them.
    pub peers: Vec<NodeId>,
    /// How often to beat.
    pub interval: Duration,
    /// After how long a silence a node is dead; at least two intervals.
    pub dead_after: Duration,
    /// `Some(delay)`: take over from a node of lower priority after this time in step.
    pub preempt: Option<Duration>,
    /// A node whose copy of the log is not whole must not take over, though nobody else does: it may lack what
    /// clients were told. One that never had a copy may.
    pub complete_only: bool,
}

impl Config {
    /// How much later each further rank claims, so that two never jump together (VRRP's skew).
    pub(crate) fn stagger(&self) -> Duration {
        if sabotaged(Sabotage::RanksUnstaggered) {
            return Duration::ZERO;
        }
        self.interval.max(Duration::from_millis(1))
    }

    /// How long a node listens after its start before it takes part, with an active node in sight.
    pub(crate) fn join_time(&self) -> Duration {
        self.dead_after.saturating_mul(2)
    }

    /// The same with nobody active in sight: a bridge port may take a moment to forward.
    pub(crate) fn lonely_join_time(&self) -> Duration {
        self.dead_after.saturating_mul(4).max(Duration::from_millis(100))
    }

    /// How long a vacancy is left to others when an active node stepped down without naming anyone:
    /// long enough for its successor's first beat.
    pub(crate) fn vacancy_wait(&self) -> Duration {
        self.interval.saturating_mul(2)
    }

    /// After this time an offer is given up.
    pub(crate) fn handover_limit(&self) -> Duration {
        self.dead_after.saturating_mul(5).max(Duration::from_millis(200))
    }
}

/// The times this node keeps. They are the configured ones, except that after a reload to longer
/// times it goes on with the shorter ones until its peers have heard several beats that say so: the
/// poll sequence of RFC 5880 §6.8.3 without its handshake.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    interval: Duration,
    dead_after: Duration,
    /// The times before the reload, and until when they matter.
    before: Option<(Duration, Duration, Instant)>,
}

/// For how many of the old detection times the old pace is kept.
const EASING_TIMES: u32 = 2;

impl Pace {
    pub(crate) fn new(config: &Config) -> Self {
        Pace { interval: config.interval, dead_after: config.dead_after, before: None }
    }

    /// Goes over to the times of `config`.
    pub(crate) fn change(&mut self, now: Instant, config: &Config) {
        let (interval, dead_after) = (self.interval(now), self.dead_after(now));
        let until = now + dead_after.saturating_mul(EASING_TIMES);
        *self = Pace { before: Some((interval, dead_after, until)), ..Pace::new(config) };
    }

    /// How long after a beat the next one is due.
    pub(crate) fn interval(&self, now: Instant) -> Duration {
        self.easing(now).map_or(self.interval, |(interval, _)| interval.min(self.interval))
    }

    /// For how long after a beat this node may be active: no longer than its peers wait.
    pub(crate) fn dead_after(&self, now: Instant) -> Duration {
        self.easing(now).map_or(self.dead_after, |(_, dead_after)| dead_after.min(self.dead_after))
    }

    fn easing(&self, now: Instant) -> Option<(Duration, Duration)> {
        let (interval, dead_after, until) = self.before?;
        (now < until).then_some((interval, dead_after))
    }
}
