//! What a leader and a follower are told about themselves, and the bounds they keep.

use std::time::Duration;

use locum_types::{BootNonce, GroupId, NodeId};
use locum_wire::Key;

/// The configuration of a [`Leader`](crate::Leader).
#[derive(Clone, Debug)]
pub struct LeaderConfig {
    /// The group.
    pub group: GroupId,
    /// The active node: the one that leads.
    pub node: NodeId,
    /// The boot nonce of this life of it.
    pub boot: BootNonce,
    /// The key of the group.
    pub key: Key,
    /// The nodes that may follow, at most 15.
    pub followers: Vec<NodeId>,
    /// A follower in sync that leaves an entry unconfirmed for this long is dropped; where the leader itself was busy
    /// with what it appended, that much later.
    pub dead_after: Duration,
    /// A connection must prove within this time that it is a follower's.
    pub hello_within: Duration,
    /// A follower that joins and takes nothing for this long is dropped.
    pub join_stall: Duration,
    /// A follower that was told nothing for this long is given a sign of life.
    pub keep_alive: Duration,
    /// Bytes of recent entries that are kept, for followers that are slow or come back.
    pub buffer_bytes: usize,
    /// How many recent entries are kept at most; each takes 24 bytes beside its own.
    pub buffer_entries: usize,
    /// Bytes of a snapshot that may wait per follower.
    pub snapshot_window: usize,
    /// How long a follower that is dropped may count itself as in sync, if the leader is to wait that long before it
    /// goes on without it; `None`: it goes on at once.
    pub wait_for_trust: Option<Duration>,
    /// The state is compared after at least so many entries; `None`: never.
    pub state_digest_every: Option<u64>,
}

impl LeaderConfig {
    /// Usual bounds: 64 MiB and half a million entries, 256 KiB of snapshot per follower.
    pub fn new(
        group: GroupId,
        node: NodeId,
        boot: BootNonce,
        key: Key,
        followers: Vec<NodeId>,
    ) -> Self {
        LeaderConfig {
            group,
            node,
            boot,
            key,
            followers,
            dead_after: Duration::from_millis(30),
            hello_within: Duration::from_secs(1),
            join_stall: Duration::from_secs(2),
            keep_alive: Duration::from_millis(50),
            buffer_bytes: 64 * 1024 * 1024,
            buffer_entries: 512 * 1024,
            snapshot_window: 256 * 1024,
            wait_for_trust: None,
            state_digest_every: Some(10_000),
        }
    }
}

/// The configuration of a [`Follower`](crate::Follower).
#[derive(Clone, Debug)]
pub struct FollowerConfig {
    /// The group.
    pub group: GroupId,
    /// This node.
    pub node: NodeId,
    /// The boot nonce of this life of it.
    pub boot: BootNonce,
    /// The key of the group.
    pub key: Key,
    /// A called leader must have answered within this time.
    pub hello_within: Duration,
    /// How long a follower that hears nothing more from its leader still counts as in sync, from when it sent the last
    /// confirmation that the leader is known to have heard: so a leader can tell when that is over. At least as long
    /// as the death of a leader takes to be noticed, or nobody would be fit to succeed it; and then as
    /// short as can be, because a leader that lives goes on alone.
    pub trust_for: Duration,
}

impl FollowerConfig {
    /// Usual times: an answer within 1 s, trust for 150 ms.
    pub const fn new(group: GroupId, node: NodeId, boot: BootNonce, key: Key) -> Self {
        FollowerConfig {
            group,
            node,
            boot,
            key,
            hello_within: Duration::from_secs(1),
            trust_for: Duration::from_millis(150),
        }
    }
}
