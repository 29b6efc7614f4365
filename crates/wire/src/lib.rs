//! Bytes on the wire: heartbeats, their authentication, and the replay window.
//!
//! Each format has two halves, in smoltcp's manner: a *packet*, bounds-checked access to raw bytes that
//! may hold anything, and a *repr* ([`Beat`]), which cannot express nonsense. What belongs here: bytes
//! and whether to believe them. What does not: what a beat means (`locum-monitor`).
//!
//! `docs/PROTOCOL.md` is the specification; its golden vectors are tested against this code.

#![forbid(unsafe_code)]

mod auth;
mod beat;
mod codec;
mod packet;
mod replay;

#[doc(hidden)]
pub mod fuzzing;

pub use auth::{KEY_LEN, Key, KeyError, Refusal, RefusalCounters, open, seal};
pub use beat::{Beat, Intent, TimestampEcho};
pub use packet::{BEAT_LEN, BeatPacket};
pub use replay::{REPLAY_WINDOW, ReplayWindow};

#[cfg(test)]
mod tests;
