//! The configuration of a node: from a TOML file to values that cannot be wrong.
//!
//! [`Config::load`] reads a file, checks everything that can be known without starting the node, and
//! reports *all* that is wrong at once. [`Config`] is what the rest of the program sees: every value
//! resolved, every default filled in, every path absolute or relative to the working directory.

use std::path::PathBuf;
use std::time::Duration;

use locum_gate::MacMode;
use locum_services::ServiceConfig;
use locum_types::{GroupId, NodeId, Priority};
use locum_wire::Key;
use log::LevelFilter;
use smoltcp::wire::{IpAddress, IpCidr};

/// The UDP port of beats, unless the file says otherwise.
pub const PORT: u16 = 3780;

/// A whole configuration, resolved and validated.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from; read again on SIGHUP.
    pub file: PathBuf,
    /// What the nodes share.
    pub group: Group,
    /// This node.
    pub node: Node,
    /// The other nodes, 1 to 15 of them, by ascending id.
    pub peers: Vec<Peer>,
    /// How nodes notice each other's death.
    pub heartbeat: Heartbeat,
    /// `Some(delay)`: take over from a node of lower priority after this time in step.
    pub preempt: Option<Duration>,
    /// What runs behind the service address.
    pub services: Vec<Service>,
    /// Bounds of the service stack.
    pub limits: Limits,
    /// The unix socket that answers `locum status` and `locum handover`.
    pub socket: PathBuf,
    /// The program to run on every mode change.
    pub on_change: Option<PathBuf>,
    /// How much to log; `RUST_LOG` wins.
    pub log: LevelFilter,
    /// Whether a parent process holds the link and the last will.
    pub warden: bool,
}

/// What all nodes of a group share: the same on each of them.
#[derive(Clone, Debug)]
pub struct Group {
    /// The group's number; the virtual MAC derives from it.
    pub id: GroupId,
    /// The service addresses with their subnets, 1 to 8.
    pub addresses: Vec<IpCidr>,
    /// Where the key was read from.
    pub key_file: PathBuf,
    /// Authenticates beats.
    pub key: Key,
    /// Next hops for clients beyond the link, at most one per family.
    pub gateways: Vec<IpAddress>,
    /// Which MAC answers for the service addresses.
    pub mac: MacMode,
}

/// This node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Unique in the group.
    pub id: NodeId,
    /// What people call it; `node<id>` unless the file says otherwise.
    pub name: String,
    /// The node's own address with its subnet.
    pub address: IpCidr,
    /// Rank in elections; higher wins.
    pub priority: Priority,
    /// The TAP that carries the service address.
    pub tap: String,
}

/// Another node of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its id.
    pub id: NodeId,
    /// Its node address, in the subnet of ours.
    pub address: IpAddress,
}

/// How nodes notice each other's death.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// How often to beat.
    pub interval: Duration,
    /// After how long a silence a peer is dead; at least two intervals.
    pub dead_after: Duration,
    /// A TAP for beats alone; `None`: they share the node's.
    pub tap: Option<String>,
    /// The UDP port of beats.
    pub port: u16,
    /// Ask for real-time scheduling and locked memory.
    pub realtime: bool,
}

/// A service and where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// TCP and UDP port.
    pub port: u16,
    /// What listens there.
    pub service: ServiceConfig,
}

/// Bounds of the service stack; `None`: the stack's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub flows: Option<usize>,
    /// Connections at once whose handshake is not complete.
    pub half_open: Option<usize>,
    /// Closes a connection after this time without a byte.
    pub idle: Option<Duration>,
    /// Receive buffer of a connection, in bytes.
    pub rx_buffer: Option<usize>,
    /// Transmit buffer of a connection, in bytes.
    pub tx_buffer: Option<usize>,
}
