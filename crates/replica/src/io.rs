//! What comes out of a leader and a follower.

use locum_stack::log::Entry;
use locum_types::{BootNonce, Instant, LogPosition, NodeId};

use crate::codec::ByeReason;
use crate::point::Standing;
use crate::refusal::Refusal;

/// A connection of a leader, by a number of the embedding's choice that is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct ConnectionId(pub u64);

/// What a leader needs from its embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaderRequest {
    /// A follower needs a snapshot: [`Leader::begin_snapshot`](crate::Leader::begin_snapshot).
    Snapshot {
        /// Which one.
        follower: NodeId,
    },
    /// Compute the digest of the state as it is now, before the next entry is appended:
    /// [`Leader::state_digest`](crate::Leader::state_digest).
    StateDigest {
        /// The position that the state is of.
        position: LogPosition,
    },
    /// Close this connection: all that it should carry was taken, or never will be. It is forgotten already.
    Close {
        /// Which one.
        connection: ConnectionId,
    },
}

/// Something about followers that is worth telling people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaderEvent {
    /// A follower has proven who it is.
    Joining {
        /// Which one.
        follower: NodeId,
        /// Its boot nonce.
        boot: BootNonce,
        /// It goes on from its own copy of the log, without a snapshot.
        resumes: bool,
    },
    /// A follower is in sync from now on.
    InSync {
        /// Which one.
        follower: NodeId,
        /// What it has confirmed.
        position: LogPosition,
    },
    /// A follower's session is over.
    Dropped {
        /// Which one.
        follower: NodeId,
        /// Why.
        reason: DropReason,
        /// It was in sync until now.
        was_in_sync: bool,
        /// What it had confirmed.
        position: LogPosition,
    },
    /// At least one follower is in sync from now on: what leaves is known to a successor.
    Protected,
    /// Nobody is in sync any more: what leaves may be lost with this node.
    Unprotected,
    /// A connection was not believed.
    Refused {
        /// Which one.
        connection: ConnectionId,
        /// Why.
        refusal: Refusal,
    },
}

/// Why a leader dropped a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The connection ended.
    Disconnected,
    /// The node is dead, says whoever watches nodes.
    Dead,
    /// The leader ended it.
    Bye(ByeReason),
    /// The follower ended it.
    Told(ByeReason),
    /// The follower, or somebody in between, sent what cannot be believed.
    Refused(Refusal),
}

/// What a follower must do next. It is to be done before the follower is called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Apply this entry.
    Apply {
        /// When it happened, in the time of the services.
        time: Instant,
        /// Its position: one more than that of the last one, or of the snapshot.
        position: LogPosition,
        /// What happened.
        entry: Entry<'a>,
    },
    /// Forget all state: a snapshot follows.
    SnapshotBegin {
        /// The position that it is of.
        position: LogPosition,
    },
    /// The next bytes of the snapshot.
    SnapshotChunk {
        /// The bytes; never empty.
        bytes: &'a [u8],
    },
    /// That was all of it: restore it.
    SnapshotEnd {
        /// The position that it is of.
        position: LogPosition,
    },
    /// Compute the digest of the state as it is now:
    /// [`Follower::state_digest`](crate::Follower::state_digest).
    CheckState {
        /// The position that the state is of.
        position: LogPosition,
    },
}

/// What a follower needs from its embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowerRequest {
    /// Close the connection, and connect again later. It is forgotten already.
    Close,
}

/// Something about a follower that is worth telling people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowerEvent {
    /// The leader has proven who it is.
    Connected {
        /// Which node.
        leader: NodeId,
        /// Its boot nonce.
        boot: BootNonce,
    },
    /// This node's copy of the log is worth something else from now on.
    Standing {
        /// What it is worth.
        standing: Standing,
    },
    /// This node has another log than the leader, or came to another state by the same one. It joins again
    /// by a snapshot.
    Diverged {
        /// The position at which it was noticed.
        position: LogPosition,
    },
    /// The leader ended the session.
    Dropped {
        /// Why.
        reason: ByeReason,
    },
    /// The leader, or somebody in between, sent what cannot be believed.
    Refused {
        /// Why.
        refusal: Refusal,
    },
}

/// Why a leader or a follower wants its next turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// A connection must have proven who it is.
    Hello,
    /// An entry must have been confirmed.
    Confirmation,
    /// A follower that joins must have taken something.
    JoinStall,
    /// A sign of life is due.
    KeepAlive,
    /// A connection must have taken the last words.
    Farewell,
    /// A follower that hears nothing is no longer in sync.
    Trust,
}

impl Deadline {
    /// The reason in words, for traces.
    pub const fn name(self) -> &'static str {
        match self {
            Deadline::Hello => "hello",
            Deadline::Confirmation => "confirmation",
            Deadline::JoinStall => "join stall",
            Deadline::KeepAlive => "keep alive",
            Deadline::Farewell => "farewell",
            Deadline::Trust => "trust",
        }
    }
}
