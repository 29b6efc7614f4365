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
