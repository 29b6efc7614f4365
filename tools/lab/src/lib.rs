//! Laboratory of network namespaces, bridges and TAPs for tests and benchmarks.
//!
//! What belongs here: building a small network out of Linux namespaces, running real programs in it,
//! breaking it on purpose, watching every frame, and asking afterwards whether a silent node spoke.
//! What does not: anything a node itself needs. The lab knows locum only from outside, by its command
//! line, its status and the frames it sends.
//!
//! ```text
//!   namespace lan                         one per node                         clients
//!   ┌────────────────────────┐            ┌───────────────────────────┐        ┌──────────────┐
//!   │  br0 ── node1 ─────────┼── cable ───┼─ eth0 ── br0 ── tap0 = locum       │ ping, curl,  │
//!   │   ├──── node2 ─────────┼── cable ───┼─ eth0 ── br0 ── tap0 = locum       │ arping, ...  │
//!   │   └──── client1 ───────┼── cable ───┼────────────────────────────────────┼─ eth0        │
//!   └────────────────────────┘            └───────────────────────────┘        └──────────────┘
//! ```
//!
//! Everything lives inside [`enter`]'s private network, mount and process namespaces. When the process
//! that called it ends, however it ends, the kernel takes all of it away: children, namespaces, devices
//! and files. So nothing here cleans up the machine, and parallel runs cannot collide.

#![forbid(unsafe_code)]
// The lab is on the outside: it measures real programs in real time.
#![allow(clippy::disallowed_methods)]

pub mod capture;
pub mod echo;
pub mod enter;
pub mod frame;
pub mod keepalived;
pub mod leak;
pub mod locum;
mod netns;
pub mod node;
pub mod process;
pub mod room;
pub mod stream;
mod topology;
pub mod wait;
pub mod wiring;

pub use netns::{Namespace, Packets};
pub use topology::{Client, Lab, Node, NodeKind, SERVICE_V4, SERVICE_V6, Topology};
