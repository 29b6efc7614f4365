//! How the log gets from the active node to its followers, and what may leave because it got there.
//!
//! A [`Leader`] is the active node's side of up to 15 sessions, a [`Follower`] the other side of one. Bytes
//! of a TCP-like stream go in and out; there is no socket, clock or thread, and two leaders that were told
//! the same say the same.
//!
//! ```text
//!   Leader                                                        Follower
//!   append ─► buffer ─► seal ─► poll_transmit ──► receive ─► open ─► poll_output ─► the embedding applies
//!   commit_position ◄─ in-sync set ◄─ receive ◄── poll_transmit ◄──────────────────── confirm
//! ```
//!
//! What belongs here: the encoding of entries, the sessions, who is in sync, what is committed. What does
//! not: sockets and frames (`locum-appliance`), what a snapshot holds (`locum-stack`), and who may be
//! active (`locum-monitor`). `docs/PROTOCOL.md` specifies the bytes.

#![forbid(unsafe_code)]

mod buffer;
mod codec;
mod config;
#[cfg(test)]
mod document;
mod follower;
#[doc(hidden)]
pub mod fuzzing;
mod io;
mod leader;
mod pieces;
mod point;
pub mod record;
mod refusal;

pub use codec::{
    ByeReason, FromFollower, FromLeader, ITEM_LEN_MAX, Item, Malformed, decode_entry, encode_entry,
};
pub use config::{FollowerConfig, LeaderConfig};
pub use follower::{Follower, FollowerCounters, FollowerStatus};
pub use io::{
    ConnectionId, Deadline, DropReason, FollowerEvent, FollowerRequest, LeaderEvent, LeaderRequest,
    Output,
};
pub use leader::{Leader, LeaderCounters, LeaderStatus, SessionStatus, SnapshotRefused, Stage};
pub use point::{Generation, History, LogPoint, Standing, digest};
pub use refusal::{Refusal, RefusalCounters};
