//! Entries and messages as bytes.
//!
//! What belongs here: the formats, as `docs/PROTOCOL.md` specifies them. Every value has exactly one
//! encoding, and any other bytes are refused with a reason: no input panics, and none makes the
//! decoder allocate. What does not: which message may come when
//! ([`Leader`](crate::Leader), [`Follower`](crate::Follower)), and secrecy ([`record`](crate::record)).

mod entry;
mod item;
mod message;
mod varint;

pub use entry::{decode_entry, encode_entry};
pub use item::{ITEM_LEN_MAX, Item};
pub(crate) use item::{ItemPrefix, item_prefix, put_item_len};
pub(crate) use message::MESSAGE_HEAD_MAX;
pub use message::{ByeReason, FromFollower, FromLeader};

/// Bytes that are no encoding of anything, and in what they are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

#[cfg(test)]
mod tests;
