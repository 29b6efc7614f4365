//! The ARP/NDP gate: what a node may say for the service address.
//!
//! - [`Identity`]: the MACs and addresses of a node and of its group.
//! - [`frame`]: a bounds-checked look at any frame; [`policy`]: what may pass, as pure functions.
//! - [`Gate`]: the `phy::Device` through which all frames of the service stack pass. It obeys the
//!   policy, counts, answers what smoltcp would not, announces an activation ([`announce`]) and
//!   watches for [`conflict`]s.
//! - [`NodeGuard`] and [`probe`]: the same care for the heartbeat half, which speaks for the node
//!   alone; [`steer()`] decides which half gets a received frame.
//! - [`relay`]: what a node that gives its place away does with frames that still come to it.
//! - [`FrameQueue`]: the sans-IO seam of a node, a `phy::Device` between two bounded queues.
//!
//! What does not belong here: when the mode changes (`locum-monitor`), and anything above a frame
//! (`locum-stack`).

#![forbid(unsafe_code)]

pub mod announce;
pub mod conflict;
mod counters;
mod craft;
pub mod frame;
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod guard;
mod identity;
pub mod policy;
pub mod probe;
mod queue;
pub mod relay;
mod repair;
mod steer;
#[cfg(test)]
mod testing;

pub use conflict::{Claim, Sighting};
pub use counters::{
    AskedCounters, ClaimCounters, EgressCounters, GateCounters, IngressCounters, KindCounters,
    SentCounters,
};
pub use gate::Gate;
pub use guard::NodeGuard;
pub use identity::{Identity, MacMode, Member, node_mac, virtual_mac};
pub use queue::{FrameQueue, QueueCounters};
pub use steer::{Steer, steer};
