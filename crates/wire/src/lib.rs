//! Bytes on the wire: heartbeats and their authentication.

#![forbid(unsafe_code)]

mod beat;

pub use beat::{Beat, Intent, TimestampEcho};
