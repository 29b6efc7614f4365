//! One smoltcp Interface, one small SocketSet per flow, and the [`Service`](service::Service) trait.
//!
//! smoltcp walks every socket of a set for every packet. Here each connection has a set of its own,
//! found by its four-tuple, so that a packet costs the same with ten connections as with fifty
//! thousand: nothing in [`Stack::poll`] loops over all flows.
//!
//! What belongs here: frames in, events to services, frames out, and guards around what smoltcp gets
//! wrong for a server. What does not: whether a frame may leave (`locum-gate`), and what a service
//! does (`locum-services`).

#![forbid(unsafe_code)]

mod admit;
mod astray;
mod challenge;
mod config;
mod deliver;
mod filter;
mod flow;
mod follow;
pub mod forge;
pub mod image;
mod ingress;
pub mod isn;
pub mod log;
pub mod neighbours;
mod parse;
mod record;
pub mod restore;
mod serve;
pub mod service;
mod shadow;
mod slot;
mod snapshot;
mod stack;
mod status;
mod table;
mod tickle;
mod timers;
mod udp;

pub use config::{Config, Limits};
pub use follow::Succession;
pub use image::{FlowImage, TcpState};
pub use parse::Tuple;
pub use restore::RestoreRefused;
pub use shadow::Misfit;
pub use snapshot::{FrozenStack, SnapshotError};
pub use stack::{AddServiceError, Stack};
pub use status::{Counters, FlowsLost, Status};
