//! Bytes on the wire: beats, their authentication, and the window that keeps replays out.
//!
//! What belongs here: how a [`Beat`] becomes bytes and back, and which bytes may be believed. What
//! does not: what a node does about it (`locum-monitor`), and how datagrams travel
//! (`locum-appliance`).
//!
//! As in smoltcp, each format has two types: [`BeatPacket`] gives bounds-checked access to raw
//! bytes that may say anything, [`Beat`] is the meaning and cannot say nonsense. [`seal`] and
//! [`open`] are what the node uses; `docs/PROTOCOL.md` is the specification, with test vectors.

#![forbid(unsafe_code)]

mod auth;
mod beat;
#[cfg(test)]
mod document;
#[doc(hidden)]
pub mod fuzzing;
mod key;
mod packet;
mod refusal;
mod replay;
#[cfg(test)]
mod samples;

pub use auth::{open, seal};
pub use beat::{Beat, Intent, TimestampEcho};
pub use key::{KEY_LEN, Key, KeyError};
pub use packet::{BEAT_LEN, BeatPacket, MAGIC, TAG_LEN, TYPE_BEAT, VERSION};
pub use refusal::{Refusal, RefusalCounters};
pub use replay::{REPLAY_WINDOW, ReplayWindow};
