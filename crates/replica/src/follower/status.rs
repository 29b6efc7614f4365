//! What a follower tells people about itself.

use locum_types::{Instant, NodeId};
use serde::Serialize;

use super::Follower;
use crate::RefusalCounters;
use crate::point::Standing;

/// What a follower has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FollowerCounters {
    /// Connections to a leader.
    pub connections: u64,
    /// Sessions that went on from our own copy of the log.
    pub resumed: u64,
    /// Sessions that began with a snapshot.
    pub by_snapshot: u64,
    /// Entries taken.
    pub entries: u64,
    /// States that were compared with the leader's.
    pub states_compared: u64,
    /// Times that the log or the state were others than the leader's.
    pub diverged: u64,
    /// Sessions that the leader ended.
    pub dropped: u64,
    /// Events that nobody took in time.
    pub events_lost: u64,
}

/// A follower at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FollowerStatus {
    /// What its copy of the log is worth.
    pub standing: Standing,
    /// The node that it is connected to.
    pub leader: Option<NodeId>,
    /// What was counted.
    pub counters: FollowerCounters,
    /// What was not believed.
    pub refused: RefusalCounters,
}

impl Follower {
    /// What there is to know about it.
    pub fn status(&self, now: Instant) -> FollowerStatus {
        FollowerStatus {
            standing: self.standing(now),
            leader: self.session.as_ref().map(|session| session.leader),
            counters: self.counters,
            refused: self.refusals,
        }
    }
}
