//! Everything a node needs to know about itself, resolved and validated by whoever starts it.

use std::time::Duration;

use locum_gate::Identity;
use locum_stack::Limits;
use locum_stack::service::Service;
use locum_types::{BootNonce, NodeId, Priority};
use locum_wire::Key;
use smoltcp::wire::IpAddress;

/// Another node of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its id.
    pub id: NodeId,
    /// Its node address, on the same link as ours.
    pub address: IpAddress,
}

/// The configuration of one node.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Who the node is, and what the group shares.
    pub identity: Identity,
    /// The other nodes of the group.
    pub peers: Vec<Peer>,
    /// The key that authenticates beats.
    pub key: Key,
    /// The UDP port of beats.
    pub port: u16,
    /// This node's rank in elections.
    pub priority: Priority,
    /// How often to beat.
    pub interval: Duration,
    /// After how long a silence a peer is dead.
    pub dead_after: Duration,
    /// Take over from a node of lower priority after this time in step; `None`: never.
    pub preempt: Option<Duration>,
    /// Next hops for clients beyond the link, at most one per family.
    pub gateways: Vec<IpAddress>,
    /// Bounds of the service stack.
    pub limits: Limits,
    /// Largest IP packet on the link, in bytes.
    pub mtu: usize,
    /// Whether connections and services survive this node.
    pub replication: Option<Replication>,
}

/// How a node keeps copies of its connections and services on others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replication {
    /// The TCP port of node addresses on which the log is given.
    pub port: u16,
    /// Bytes of recent entries that are kept for followers.
    pub buffer: usize,
    /// What matters more when nodes cannot know enough.
    pub prefer: Prefer,
    /// After so many entries followers compare a part of their services' state with the active node's.
    pub compare_every: u64,
    /// Whether the link cuts TCP frames that are longer than its MTU.
    pub segmentation: bool,
}

impl Replication {
    /// Often enough to find a difference before it spreads, and seldom enough to cost nothing.
    pub const COMPARE_EVERY: u64 = 10_000;
}

/// What a group does when a node cannot know whether others have gone on without it, or still count on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Prefer {
    /// It serves: an active node goes on as soon as a follower is found to be silent, and any node may take over. What
    /// clients were told in between may be lost, if the active node dies before the follower knows.
    #[default]
    Availability,
    /// It waits: an active node goes on without a silent follower once that one surely does not count itself as in sync any
    /// more, and only a node with a whole copy takes over.
    Consistency,
}

/// What a node draws at random when it starts; the simulator draws it from its seed.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    /// Tells this life of the node from earlier ones. Must differ at every start.
    pub boot: BootNonce,
    /// Seeds jitter and identifiers.
    pub seed: u64,
    /// Keys the hash that chooses initial sequence numbers (RFC 6528). Secret.
    pub isn_key: [u8; 16],
}

/// A service and the port it listens on.
pub struct ServicePort {
    /// TCP and UDP port.
    pub port: u16,
    /// The service.
    pub service: Box<dyn Service>,
    /// Whether it survives this node, where anything does.
    pub replicate: bool,
}

impl NodeConfig {
    /// The monitor's share of the configuration.
    pub(crate) fn monitor(&self) -> locum_monitor::Config {
        locum_monitor::Config {
            group: self.identity.group,
            node: self.identity.node,
            priority: self.priority,
            peers: self.peers.iter().map(|peer| peer.id).collect(),
            interval: self.interval,
            dead_after: self.dead_after,
            preempt: self.preempt,
            complete_only: self.replication.is_some_and(|with| with.prefer == Prefer::Consistency),
        }
    }

    /// The stack's share of the configuration.
    pub(crate) fn stack(&self, seeds: Seeds) -> locum_stack::Config {
        locum_stack::Config {
            mac: self.identity.service_mac(),
            addresses: self.identity.service.clone(),
            gateways: self.gateways.clone(),
            limits: self.limits.clone(),
            isn_key: seeds.isn_key,
            seed: seeds.seed,
        }
    }
}
