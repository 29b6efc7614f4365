//! The [`Service`] trait: what runs behind the service address.
//!
//! A service is a deterministic state machine over events. It has no clock, no thread and no socket:
//! two instances that were fed the same events have made the same calls on [`Outputs`], byte for byte.
//! That is what lets a waiting node run the very same service, live, and take it over in mid-stream.
//!
//! Rules for an implementation:
//! - Time is the `now` of the event. Randomness, if any, is seeded from the events. Snapshots hold such
//!   instants, so whoever restores one goes on with the time of the events, not with a clock of its own.
//! - TCP is a byte stream: behaviour must not depend on how `Data` events cut it.
//! - Output is bounded by [`Outputs::credit`]; what does not fit waits for an `Acked` event.
//! - A service that cannot take more input *pauses* the flow, which closes the client's window.

use std::net::SocketAddr;

use locum_types::{Health, Instant};

/// One TCP connection, by a number that is never used twice and is the same on every node.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct FlowId(pub u64);

/// How a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Both sides sent FIN and acknowledged the other's.
    Finished,
    /// The client reset the connection.
    Reset,
    /// The client stopped answering, or the idle limit passed.
    TimedOut,
    /// The service aborted it.
    Aborted,
}

/// What happens to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A client connected.
    Opened {
        /// The new flow.
        flow: FlowId,
        /// The service's end.
        local: SocketAddr,
        /// The client's end.
        remote: SocketAddr,
    },
    /// The next bytes of the client's stream.
    Data {
        /// The flow they came on.
        flow: FlowId,
        /// The bytes; never empty.
        bytes: &'a [u8],
    },
    /// The client acknowledged output: there is credit again.
    Acked {
        /// The flow it is about.
        flow: FlowId,
        /// How many bytes of output are newly acknowledged; never 0.
        bytes: usize,
    },
    /// The client sent FIN, after all its data: it will read on, but send no more.
    Finished {
        /// The half-closed flow.
        flow: FlowId,
    },
    /// The flow is gone: the last event about it.
    Closed {
        /// The flow that ended.
        flow: FlowId,
        /// How it ended.
        reason: CloseReason,
    },
    /// A UDP datagram.
    Datagram {
        /// The service's end.
        local: SocketAddr,
        /// The client's end.
        remote: SocketAddr,
        /// The payload; may be empty.
        bytes: &'a [u8],
    },
    /// The time asked for by [`Service::next_tick`] has come.
    Tick,
}

/// What a service may do in answer to an event. Calls about flows that are gone are ignored.
pub trait Outputs {
    /// How many more bytes may be sent on `flow` before the client acknowledges some.
    fn credit(&self, flow: FlowId) -> usize;

    /// Appends to the output of `flow`; returns how many bytes were taken: all, up to the credit.
    #[must_use = "what was not taken must be kept until an Acked event"]
    fn send(&mut self, flow: FlowId, bytes: &[u8]) -> usize;

    /// Sends FIN once all output is sent; input goes on until the client closes.
    fn close(&mut self, flow: FlowId);

    /// Resets the connection at once.
    fn abort(&mut self, flow: FlowId);

    /// Holds back `Data` and `Finished` events of `flow` until [`Outputs::resume`].
    fn pause(&mut self, flow: FlowId);

    /// Ends a pause.
    fn resume(&mut self, flow: FlowId);

    /// Sends a UDP datagram; one that does not fit the MTU or the queue is dropped and counted.
    fn datagram(&mut self, local: SocketAddr, remote: SocketAddr, bytes: &[u8]);
}

/// The transports a service listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transports {
    /// Accepts TCP connections.
    pub tcp: bool,
    /// Takes UDP datagrams.
    pub udp: bool,
}

/// A snapshot that cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("snapshot of service {service} cannot be restored: {why}")]
pub struct RestoreError {
    /// The service that refused it.
    pub service: &'static str,
    /// What is wrong with it.
    pub why: String,
}

/// The state of a service at one moment.
pub trait FrozenState: Send {
    /// Appends the next bytes of the snapshot to `out`: about `limit`, which is at least 1, and more only where one
    /// value is larger. Returns whether there are more.
    fn write(&mut self, limit: usize, out: &mut Vec<u8>) -> bool;
}

/// A state that is bytes already.
struct WrittenState {
    state: Vec<u8>,
    written: usize,
}

impl FrozenState for WrittenState {
    fn write(&mut self, limit: usize, out: &mut Vec<u8>) -> bool {
        let rest = &self.state[self.written..];
        let part = &rest[..rest.len().min(limit)];
        out.extend_from_slice(part);
        self.written += part.len();
        self.written < self.state.len()
    }
}

/// A service behind the service address.
pub trait Service: Send {
    /// The kind, as in the configuration file.
    fn kind(&self) -> &'static str;

    /// What it listens on.
    fn transports(&self) -> Transports;

    /// Takes one event; everything it does about it goes through `outputs`.
    fn on_event(&mut self, now: Instant, event: Event<'_>, outputs: &mut dyn Outputs);

    /// When it wants the next [`Event::Tick`], if at all.
    fn next_tick(&self) -> Option<Instant> {
        None
    }

    /// Whether it can serve; asked about once per heartbeat interval, so it must be cheap.
    fn health(&self) -> Health {
        Health::Ok
    }

    /// Appends all state that future behaviour depends on, versioned, to `out`.
    fn snapshot(&self, out: &mut Vec<u8>);

    /// Appends the part of the state that is to be compared with another instance's: by the same number the same
    /// part, and by many numbers all of it. A service with so much state that clients would notice how long that
    /// takes has its own parts; this one appends all of it.
    fn part(&self, number: u64, out: &mut Vec<u8>) {
        let _ = number;
        self.snapshot(out);
    }

    /// Freezes the state as it is now, to be written out while the service goes on: byte for byte what
    /// [`Service::snapshot`] writes now. A service with so much state that clients would notice how long that
    /// takes has its own way; this one writes it at once.
    fn freeze(&self) -> Box<dyn FrozenState> {
        let mut state = Vec::new();
        self.snapshot(&mut state);
        Box::new(WrittenState { state, written: 0 })
    }

    /// Replaces the state by a snapshot of another instance of this service.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError>;
}
