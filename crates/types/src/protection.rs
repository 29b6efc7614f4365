//! What a node's copy of the connections and services is worth.

use std::fmt;

/// What would survive if the active node died now, by what this node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// This node is active, and at least one other has everything that has left.
    Protected,
    /// This node is active, and nobody has everything: connections would die with it.
    Unprotected,
    /// This node has everything that the active one has let leave.
    InSync,
    /// This node is getting a copy.
    Joining,
    /// This node had everything once; the others may have gone on without it.
    Stale,
    /// This node has no copy.
    Alone,
}

impl Protection {
    /// The word used in logs and status.
    pub const fn name(self) -> &'static str {
        match self {
            Protection::Protected => "protected",
            Protection::Unprotected => "unprotected",
            Protection::InSync => "in sync",
            Protection::Joining => "joining",
            Protection::Stale => "stale",
            Protection::Alone => "alone",
        }
    }

    /// Whether connections survive the death of one node.
    pub const fn is_good(self) -> bool {
        match self {
            Protection::Protected | Protection::InSync => true,
            Protection::Unprotected
            | Protection::Joining
            | Protection::Stale
            | Protection::Alone => false,
        }
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
