//! What happens on a stack, in the order in which its services were told: all that a second stack with
//! the same services needs to come to the same state.
//!
//! What belongs here: the entries, and the [`Journal`] that takes them. What does not: how they are
//! numbered, encoded and carried to another node (`locum-replica`).

use std::any::Any;
use std::net::SocketAddr;

use locum_types::{Instant, LogPosition};

use crate::Tuple;
use crate::forge::Negotiated;
use crate::service::{CloseReason, FlowId};

/// One thing that happened. Numbers of bytes are those of the stream, without SYN and FIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A SYN was answered; the service knows nothing of it yet.
    Accepted {
        /// The new flow.
        flow: FlowId,
        /// Its ends.
        tuple: Tuple,
        /// What was negotiated.
        negotiated: Negotiated,
        /// The sequence number of the SYN we sent.
        local_isn: u32,
        /// The sequence number of the client's SYN.
        remote_isn: u32,
        /// The MAC it came from: the client's, or its gateway's.
        via: [u8; 6],
    },
    /// The handshake is complete: the service was told so.
    Opened {
        /// The flow.
        flow: FlowId,
        /// The client's window, as its segment carried it.
        window: u16,
    },
    /// The next bytes of the client's stream were delivered to the service.
    Data {
        /// The flow.
        flow: FlowId,
        /// The bytes; never empty.
        bytes: &'a [u8],
    },
    /// Bytes were received that a paused service does not want yet. The client may be told that they are here.
    Held {
        /// The flow.
        flow: FlowId,
        /// The bytes; never empty.
        bytes: &'a [u8],
    },
    /// Held bytes were delivered, as one event.
    Released {
        /// The flow.
        flow: FlowId,
        /// How many; never 0.
        bytes: usize,
    },
    /// The client acknowledged output: the service was told so.
    Acked {
        /// The flow.
        flow: FlowId,
        /// How many bytes are newly acknowledged; never 0.
        bytes: usize,
        /// The client's window, as its segment carried it.
        window: u16,
    },
    /// The client's FIN was received, all bytes before it too. The service is told when it wants to know.
    FinReceived {
        /// The flow.
        flow: FlowId,
    },
    /// The service was told that the client has finished.
    Finished {
        /// The flow.
        flow: FlowId,
    },
    /// The client acknowledged our FIN.
    FinAcked {
        /// The flow.
        flow: FlowId,
    },
    /// The flow is gone. The service was told so if it knew of it.
    Closed {
        /// The flow.
        flow: FlowId,
        /// How it ended.
        reason: CloseReason,
    },
    /// A datagram was delivered to the service that listens on the port of `local`.
    Datagram {
        /// The service's end.
        local: SocketAddr,
        /// The client's end.
        remote: SocketAddr,
        /// The payload; may be empty.
        bytes: &'a [u8],
    },
    /// The service on this port was told that its time has come.
    Tick {
        /// The port.
        port: u16,
    },
}

/// Takes entries, in order.
pub trait Journal: Any + Send {
    /// Appends an entry that happened at `time` of the services, which is `now` for this node; returns its
    /// position.
    fn append(&mut self, now: Instant, time: Instant, entry: &Entry<'_>) -> LogPosition;
}
