//! What the monitor is told about its node and group, and the times that follow from it.

use std::time::Duration;

use locum_types::{GroupId, NodeId, Priority};

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
}

impl Config {
    /// How much later each further rank claims, so that two never jump together (VRRP's skew).
    pub(crate) fn stagger(&self) -> Duration {
        self.interval.max(Duration::from_millis(1))
    }

    /// How long a node listens after its start before it takes part, with an active node in sight.
    pub(crate) fn join_time(&self) -> Duration {
        self.dead_after * 2
    }

    /// The same with nobody active in sight: a bridge port may take a moment to forward.
    pub(crate) fn lonely_join_time(&self) -> Duration {
        (self.dead_after * 4).max(Duration::from_millis(100))
    }

    /// How long a vacancy is left to others when an active node stepped down without naming anyone:
    /// long enough for its successor's first beat.
    pub(crate) fn vacancy_wait(&self) -> Duration {
        self.interval * 2
    }

    /// After this time an offer is given up.
    pub(crate) fn handover_limit(&self) -> Duration {
        (self.dead_after * 5).max(Duration::from_millis(200))
    }
}
