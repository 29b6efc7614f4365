//! Where in which log a node is, and what that is worth in an election.

use locum_types::LogPosition;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Names a log: drawn at random at its first activation, and kept by every successor that has its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct History(pub u64);

/// A point of a log: after an entry, and all that were before it.
///
/// Two nodes with equal points have the same log up to there. Positions alone do not say that: after a
/// partition each side may have gone on by itself in the same history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LogPoint {
    /// Which log.
    pub history: History,
    /// The position of the last entry; 0 before the first.
    pub position: LogPosition,
    /// The chained digest of all entries up to it (XXH3, 64 bits): it finds defects, not attackers.
    pub digest: u64,
}

impl LogPoint {
    /// The beginning of a log.
    pub const fn start(history: History) -> Self {
        LogPoint { history, position: LogPosition(0), digest: 0 }
    }

    /// The point after one more entry, encoded as `entry`.
    #[must_use]
    pub fn after(self, entry: &[u8]) -> Self {
        LogPoint {
            position: self.position.next(),
            digest: xxh3_64_with_seed(entry, self.digest),
            ..self
        }
    }
}

/// The digest of a state, or of a part of it (XXH3, 64 bits): it finds defects, not attackers.
pub fn digest(bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, 0)
}

/// The number of an in-sync set, from 1: it grows whenever a follower leaves the set, and whenever another node
/// leads. Whoever belongs to a later one has everything that those who were left behind may lack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The number of the next set.
    #[must_use]
    pub const fn next(self) -> Generation {
        Generation(self.0.saturating_add(1))
    }
}

/// What a node's copy of the log is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It has never had one: it can begin a history, and nothing else.
    Alone,
    /// It has part of one, and the leader does not wait for it.
    Joining,
    /// The leader waits for it: whatever a client has seen is in its copy.
    InSync(LogPoint),
    /// It was in sync once, or had all of the log. Others may have gone on without it: it must not win
    /// an election over a node that is in sync.
    Stale(LogPoint),
}
