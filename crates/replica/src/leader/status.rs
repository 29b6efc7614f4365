//! What a leader tells people about itself.

use locum_types::{LogPosition, NodeId};
use serde::Serialize;

use super::{Leader, Session, Stage};
use crate::RefusalCounters;
use crate::point::LogPoint;

/// What a leader has counted since it began to lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeaderCounters {
    /// Entries appended.
    pub entries: u64,
    /// Bytes that they take in the stream.
    pub bytes: u64,
    /// Connections, of whomever.
    pub connections: u64,
    /// Sessions that went on from the follower's own copy of the log.
    pub resumed: u64,
    /// Sessions that began with a snapshot.
    pub by_snapshot: u64,
    /// Bytes of snapshots.
    pub snapshot_bytes: u64,
    /// Times that a follower came to be in sync.
    pub in_sync: u64,
    /// Followers' sessions that ended, for whatever reason.
    pub dropped: u64,
    /// Of these: not confirmed in time, or stalled in joining.
    pub too_slow: u64,
    /// Of these: the buffer was full.
    pub overflowed: u64,
    /// Of these: the follower had another log.
    pub diverged: u64,
    /// Times that the last follower in sync was lost.
    pub unprotected: u64,
    /// Digests of the state that followers compare with theirs.
    pub state_digests: u64,
    /// Digests that came too late to be sent.
    pub state_digests_left_out: u64,
    /// Events that nobody took in time.
    pub events_lost: u64,
}

/// One session with a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SessionStatus {
    /// The follower.
    pub follower: NodeId,
    /// How far it has got.
    pub stage: Stage,
    /// The last position that it has confirmed.
    pub confirmed: LogPosition,
    /// Entries that it has not confirmed.
    pub lag_entries: u64,
    /// Bytes of the stream that it has not confirmed.
    pub lag_bytes: u64,
}

/// A leader at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeaderStatus {
    /// The point after the last entry.
    pub head: LogPoint,
    /// The last entry on which something that leaves may depend.
    pub committed: LogPosition,
    /// Whether a follower is in sync.
    pub protected: bool,
    /// Bytes of recent entries that are kept.
    pub buffer_bytes: usize,
    /// Recent entries that are kept.
    pub buffer_entries: usize,
    /// The followers that have proven who they are.
    pub followers: Vec<SessionStatus>,
    /// What was counted.
    pub counters: LeaderCounters,
    /// What was not believed.
    pub refused: RefusalCounters,
}

impl Leader {
    /// What there is to know about it.
    pub fn status(&self) -> LeaderStatus {
        let following = self.sessions.iter().filter_map(Session::following);
        let followers = following.map(|following| SessionStatus {
            follower: following.node,
            stage: following.stage,
            confirmed: following.confirmed,
            lag_entries: self.head().position.0.saturating_sub(following.confirmed.0),
            lag_bytes: self
                .log
                .locate(following.confirmed)
                .map_or(0, |(_, end)| self.log.end().saturating_sub(end)),
        });
        LeaderStatus {
            head: self.head(),
            committed: self.commit_position(),
            protected: self.is_protected(),
            buffer_bytes: self.log.len(),
            buffer_entries: self.log.entries(),
            followers: followers.collect(),
            counters: self.counters,
            refused: self.refusals,
        }
    }
}
