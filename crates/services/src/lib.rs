//! The services that ship: [`Echo`], [`Discard`], [`Chargen`], [`Http`] and [`Kv`].
//!
//! What belongs here: state machines behind the [`Service`](locum_stack::service::Service) trait, the
//! [`ServiceConfig`] that names them, and the [`testing`] harness that proves them (use it for your own
//! service too: `docs/SERVICES.md` walks through one). What does not: sockets, frames, clocks.
//!
//! One file or folder is one service. All of them keep two promises that replication rests on: what a
//! service sends does not depend on how TCP cut its input or how credit came in, and a fresh instance
//! restored from a snapshot goes on exactly as the original would have.

#![forbid(unsafe_code)]

mod chargen;
mod codec;
mod config;
mod discard;
mod echo;
pub mod fuzzing;
pub mod http;
mod kv;
mod reflection;
pub mod testing;

pub use chargen::Chargen;
pub use config::{ServiceConfig, ServiceError};
pub use discard::Discard;
pub use echo::Echo;
pub use http::Http;
pub use kv::Kv;

/// Keeps the example in the documentation compiling and true.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/SERVICES.md")]
struct Documentation;
