//! Bytes on the wire: heartbeats and their authentication.
