//! The vocabulary every other crate speaks: identities, modes and why they change, time, and the
//! [`ModeCell`] in which the threads of a node meet.
//!
//! What belongs here: words that at least two layers need, without behaviour of their own. What does
//! not: bytes (`locum-wire`), decisions (`locum-monitor`, `locum-gate`).

#![forbid(unsafe_code)]

mod cause;
mod cell;
mod id;
mod mode;
mod protection;
pub mod sabotage;
mod succeeded;
mod time;

pub use cause::{Cause, ResignReason};
pub use cell::{Grant, ModeCell, Reading};
pub use id::{BootNonce, GroupId, IdError, LogPosition, NodeId, Priority, Term};
pub use mode::{Health, Mode};
pub use protection::Protection;
pub use succeeded::Succeeded;
pub use time::Instant;
