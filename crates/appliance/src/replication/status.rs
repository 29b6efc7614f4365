//! What replication says about itself.

use locum_replica::{LeaderCounters, LogPoint, SessionStatus};
use locum_types::{LogPosition, NodeId, Protection};

/// Replication at one moment.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ReplicationStatus {
    /// What would survive.
    pub protection: Protection,
    /// The last entry appended or applied.
    pub position: LogPosition,
    /// While active: those that follow.
    pub followers: Vec<SessionStatus>,
    /// Frames that wait for followers.
    pub frames_held: u64,
    /// Counts since the start.
    pub counters: ReplicationCounters,
}

/// A node's copy of the log at one moment, for checkers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogCopy {
    /// What it is worth.
    pub protection: Protection,
    /// How far it reaches in which log; `None`: there is none that can be used.
    pub point: Option<LogPoint>,
    /// While active: those that are in sync.
    pub followers: Vec<NodeId>,
    /// While active: the last entry on which something may depend that has left.
    pub left: Option<LogPosition>,
}

/// Counts since the start of the node, all roles together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ReplicationCounters {
    /// Entries appended.
    pub entries_appended: u64,
    /// Bytes of these in the log.
    pub bytes_appended: u64,
    /// Entries of others applied.
    pub entries_applied: u64,
    /// Times that the last follower in sync was lost.
    pub unprotected: u64,
    /// Followers that were dropped: gone, too slow, or with another log.
    pub followers_dropped: u64,
    /// Of these: too slow.
    pub followers_too_slow: u64,
    /// Connections that were to go on when this node took over.
    pub flows_carried: u64,
    /// Takeovers by this node with a copy that was not whole: connections ended, and the log began anew.
    pub takeovers_without_copy: u64,
    /// Takeovers with a copy of which the former active node had not said for two detection times that it is whole: it
    /// may have gone on without this node.
    pub takeovers_on_trust: u64,
    /// Snapshots made for followers.
    pub snapshots_made: u64,
    /// The longest turn of the node, in microseconds, in which it worked on a snapshot and served nobody; 0 where
    /// turns take no time.
    pub snapshot_pause_max_us: u64,
    /// How long the last join took, in microseconds: from the connection to the active node until this one was in sync.
    pub join_us: u64,
    /// Snapshots of the active node that this one has become a copy of.
    pub snapshots_restored: u64,
    /// Frames to the port of the log from others than peers.
    pub frames_of_strangers: u64,
    /// Times that a part of the state was compared with the active node's.
    pub states_compared: u64,
    /// Copies that were given up because they were other than the active node's.
    pub copies_diverged: u64,
    /// Copies that were given up because an entry or a snapshot did not fit.
    pub copies_lost: u64,
}

impl ReplicationCounters {
    /// Adds what a leader has counted while it led.
    pub(super) fn add(&mut self, leader: &LeaderCounters) {
        self.entries_appended += leader.entries;
        self.bytes_appended += leader.bytes;
        self.unprotected += leader.unprotected;
        self.followers_dropped += leader.dropped;
        self.followers_too_slow += leader.too_slow;
    }
}
