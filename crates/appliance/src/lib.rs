//! One whole node, sans-IO: the [`HeartbeatHalf`] with the monitor and its own interface, the
//! [`ServiceHalf`] with the stack behind its gate, and the mode cell between them.
//!
//! The daemon runs each half on a thread of its own; the simulator, the demo and the tests run both
//! as one [`Node`]. It is the same code: threads are only a schedule around it.
//!
//! What belongs here: how the parts of a node are joined. What does not: clocks, descriptors and
//! threads (`locum`, `locum-link`), or any rule about modes, frames or streams (the crates below).

#![forbid(unsafe_code)]

mod channels;
mod config;
mod datagram;
mod endpoint;
#[doc(hidden)]
pub mod fuzzing;
mod heartbeat;
mod interface;
mod isolation;
mod node;
mod replication;
mod service;

pub use config::{NodeConfig, Peer, Prefer, Replication, Seeds, ServicePort};
pub use heartbeat::{
    Announcement, HeartbeatHalf, HeartbeatStatus, Notice, PeerNews, Port, WillFrame,
};
pub use locum_replica::{History, LogPoint, SessionStatus, Stage};
pub use node::{Node, NodeStatus, SteeringCounters};
pub use replication::{LogCopy, ReplicationCounters, ReplicationStatus};
pub use service::{ServiceHalf, ServiceStatus};
