//! A deterministic world: whole nodes and client machines on an in-memory Ethernet segment.
//!
//! The nodes are the shipping [`Node`](locum_appliance::Node) assembly, unmodified; only time, frames
//! and seeds are the world's. The embedding moves the clock: tests jump from event to event in virtual
//! time, the demo paces the same events by the real clock.
//!
//! What belongs here: the world, its clients, its faults, and checkers that read the wire from outside.
//! What does not: any rule a node follows.

#![forbid(unsafe_code)]

mod checker;
mod clock;
mod fabric;
mod host;
mod hostile;
mod lan;
pub mod linearizability;
mod machine;
mod neighbour;
mod program;
mod record;
mod sniff;
pub mod swarm;
mod world;

pub use checker::{Leak, LeakChecker};
pub use clock::MachineClock;
pub use fabric::{Jack, SwitchId, TrunkId};
pub use host::{Host, HostSettings};
pub use hostile::{Arsenal, Hostile, HostileCounters, Pace, Weapon};
pub use lan::{ECHO_PORT, KV_PORT, Lan};
pub use neighbour::{Habits, NeighbourCounters, NeighbourState, NeighbourTable};
pub use program::{Asked, Dialect, KEYS, Program, TcpHabits, WindowScale};
pub use record::{Garbled, Loss, LossKind, Record, Request};
pub use world::{
    HostId, HostileId, NodeIndex, NodeState, Sight, Station, World, WorldEvent, WorldEventKind,
};
