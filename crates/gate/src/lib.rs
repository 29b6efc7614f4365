//! The ARP/NDP gate: what a node may say for the service address.

#![forbid(unsafe_code)]

mod queue;

pub use queue::{FrameQueue, QueueCounters};
