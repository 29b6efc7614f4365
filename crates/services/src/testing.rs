//! A test bench for services: feeds events as the stack would, and records every answer.
//!
//! What belongs here: the rules of [`Outputs`] (credit, pauses, flows that are gone), so that a test
//! of a service says only what the client does. What does not: TCP itself, and expectations.
//!
//! ```
//! use locum_services::{Echo, testing::Bench};
//!
//! let mut bench = Bench::new(Echo::default());
//! let flow = bench.open();
//! bench.data(flow, b"hello");
//! assert_eq!(bench.record(flow).sent, b"hello");
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use locum_stack::service::{
    CloseReason, Event, FlowId, FrozenState, Outputs, RestoreError, Service,
};
use locum_types::Instant;

/// The service's end of everything on a bench.
pub const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 80);
/// The client's end of everything on a bench, unless a test names another.
pub const REMOTE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 49_152);
/// Bytes of unacknowledged output a flow may have, unless a test names another limit.
pub const WINDOW: usize = 64 * 1024;

/// One call of a service on its outputs, in order: two runs with equal calls are equal to any client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Bytes that were taken.
    Send(FlowId, Vec<u8>),
    /// FIN was asked for.
    Close(FlowId),
    /// A reset was asked for.
    Abort(FlowId),
    /// Input was held back.
    Pause(FlowId),
    /// Input goes on.
    Resume(FlowId),
    /// A datagram to this client.
    Datagram(SocketAddr, Vec<u8>),
}

/// What a client waits for while its flow is paused.
#[derive(Clone, Debug)]
enum Held {
    Data(Vec<u8>),
    Finished,
}

/// Everything about one flow.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// All bytes the service has sent.
    pub sent: Vec<u8>,
    /// How many of them the client has not acknowledged.
    pub unacked: usize,
    /// How many it may leave unacknowledged.
    pub window: usize,
    /// The service sent FIN.
    pub closed: bool,
    /// The service reset the flow.
    pub aborted: bool,
    /// The service holds input back.
    pub paused: bool,
    gone: bool,
    held: VecDeque<Held>,
}

impl Record {
    /// Input that waits for the end of a pause, in chunks.
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

/// The outputs a service sees on a bench.
#[derive(Clone, Debug, Default)]
struct Recorder {
    flows: BTreeMap<FlowId, Record>,
    datagrams: Vec<(SocketAddr, Vec<u8>)>,
    calls: Vec<Call>,
}

impl Recorder {
    /// The flow, if it still is one.
    fn live(&mut self, flow: FlowId) -> Option<&mut Record> {
        self.flows.get_mut(&flow).filter(|record| !record.gone && !record.aborted)
    }
}

impl Outputs for Recorder {
    fn credit(&self, flow: FlowId) -> usize {
        match self.flows.get(&flow) {
            Some(record) if !record.gone && !record.aborted && !record.closed => {
                record.window.saturating_sub(record.unacked)
            }
            Some(_) | None => 0,
        }
    }

    fn send(&mut self, flow: FlowId, bytes: &[u8]) -> usize {
        let taken = bytes.get(..self.credit(flow)).unwrap_or(bytes);
        if let Some(record) = self.live(flow).filter(|_| !taken.is_empty()) {
            record.sent.extend_from_slice(taken);
            record.unacked += taken.len();
            self.calls.push(Call::Send(flow, taken.to_vec()));
        }
        taken.len()
    }

    fn close(&mut self, flow: FlowId) {
        if let Some(record) = self.live(flow) {
            record.closed = true;
            self.calls.push(Call::Close(flow));
        }
    }

    fn abort(&mut self, flow: FlowId) {
        if let Some(record) = self.live(flow) {
            record.aborted = true;
            self.calls.push(Call::Abort(flow));
        }
    }

    fn pause(&mut self, flow: FlowId) {
        if let Some(record) = self.live(flow) {
            record.paused = true;
            self.calls.push(Call::Pause(flow));
        }
    }

    fn resume(&mut self, flow: FlowId) {
        if let Some(record) = self.live(flow) {
            record.paused = false;
            self.calls.push(Call::Resume(flow));
        }
    }

    fn datagram(&mut self, _local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        self.datagrams.push((remote, bytes.to_vec()));
        self.calls.push(Call::Datagram(remote, bytes.to_vec()));
    }
}

/// A service on the bench: every method is something a client does, or time passing.
///
/// Methods about a flow that the service aborted, or that has ended, do nothing.
pub struct Bench<S> {
    service: S,
    recorder: Recorder,
    now: Instant,
    opened: u64,
}

/// What a frozen state comes to when it is written in parts of many sizes.
pub fn thawed(mut frozen: Box<dyn FrozenState>) -> Vec<u8> {
    let mut snapshot = Vec::new();
    while frozen.write(1 + snapshot.len() % 61, &mut snapshot) {}
    snapshot
}

impl<S: Service> Bench<S> {
    /// Puts a service on the bench, at the epoch.
    pub fn new(service: S) -> Self {
        Bench { service, recorder: Recorder::default(), now: Instant::ZERO, opened: 0 }
    }

    /// A client connects, with the default window.
    pub fn open(&mut self) -> FlowId {
        self.open_with_window(WINDOW)
    }

    /// A client connects that leaves at most `window` bytes unacknowledged.
    pub fn open_with_window(&mut self, window: usize) -> FlowId {
        self.opened += 1;
        let flow = FlowId(self.opened);
        self.recorder.flows.insert(flow, Record { window, ..Record::default() });
        self.event(Event::Opened { flow, local: LOCAL, remote: REMOTE });
        flow
    }

    /// The client sends bytes; while the flow is paused they wait.
    pub fn data(&mut self, flow: FlowId, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.hold(flow, Held::Data(bytes.to_vec()));
        }
    }

    /// The client sends FIN; while the flow is paused it waits.
    pub fn finish(&mut self, flow: FlowId) {
        self.hold(flow, Held::Finished);
    }

    /// The client acknowledges up to `bytes` bytes of output.
    pub fn ack(&mut self, flow: FlowId, bytes: usize) {
        let Some(record) = self.recorder.live(flow) else { return };
        let bytes = bytes.min(record.unacked);
        if bytes > 0 {
            record.unacked -= bytes;
            self.event(Event::Acked { flow, bytes });
            self.deliver(flow);
        }
    }

    /// The client acknowledges until the service has no more to say. Never ends with a service that
    /// always has more.
    pub fn drain(&mut self, flow: FlowId) {
        while let Some(unacked) = self.recorder.live(flow).map(|record| record.unacked) {
            if unacked == 0 {
                break;
            }
            self.ack(flow, unacked);
        }
    }

    /// The flow ends: nothing more happens on it.
    pub fn end(&mut self, flow: FlowId, reason: CloseReason) {
        if let Some(record) = self.recorder.flows.get_mut(&flow).filter(|record| !record.gone) {
            record.gone = true;
            self.event(Event::Closed { flow, reason });
        }
    }

    /// A datagram arrives from the usual client.
    pub fn datagram(&mut self, bytes: &[u8]) {
        self.datagram_from(REMOTE, bytes);
    }

    /// A datagram arrives from another client.
    pub fn datagram_from(&mut self, remote: SocketAddr, bytes: &[u8]) {
        self.event(Event::Datagram { local: LOCAL, remote, bytes });
    }

    /// Feeds one event as it is, even one that no stack would send at this moment.
    pub fn event(&mut self, event: Event<'_>) {
        self.service.on_event(self.now, event, &mut self.recorder);
    }

    /// Time passes; every tick the service asks for comes when it is due.
    pub fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(due) = self.service.next_tick().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.event(Event::Tick);
            assert!(
                self.service.next_tick() != Some(due),
                "a service that asks again for the tick it got would spin"
            );
        }
        self.now = end;
    }

    /// Replaces the service by `fresh`, restored from its snapshot, which must be the same however it is cut.
    ///
    /// # Errors
    /// When `fresh` refuses the snapshot; the service stays.
    pub fn replace(&mut self, mut fresh: S) -> Result<(), RestoreError> {
        let mut snapshot = Vec::new();
        self.service.snapshot(&mut snapshot);
        assert!(thawed(self.service.freeze()) == snapshot, "a part is missing, or there twice");
        fresh.restore(&snapshot)?;
        self.service = fresh;
        Ok(())
    }

    /// What happened on a flow so far. A flow this bench never opened has an empty record.
    pub fn record(&self, flow: FlowId) -> &Record {
        static NOTHING: std::sync::OnceLock<Record> = std::sync::OnceLock::new();
        self.recorder.flows.get(&flow).unwrap_or_else(|| NOTHING.get_or_init(Record::default))
    }

    /// The datagrams that were sent, with their receivers.
    pub fn datagrams(&self) -> &[(SocketAddr, Vec<u8>)] {
        &self.recorder.datagrams
    }

    /// Every call the service made, in order.
    pub fn calls(&self) -> &[Call] {
        &self.recorder.calls
    }

    /// The service itself.
    pub fn service(&self) -> &S {
        &self.service
    }

    /// The time on the bench.
    pub fn now(&self) -> Instant {
        self.now
    }

    fn hold(&mut self, flow: FlowId, held: Held) {
        if let Some(record) = self.recorder.live(flow) {
            record.held.push_back(held);
            self.deliver(flow);
        }
    }

    /// Hands over what waits, as far as the service takes it.
    fn deliver(&mut self, flow: FlowId) {
        while let Some(record) = self.recorder.live(flow).filter(|record| !record.paused) {
            match record.held.pop_front() {
                Some(Held::Data(bytes)) => self.event(Event::Data { flow, bytes: &bytes }),
                Some(Held::Finished) => self.event(Event::Finished { flow }),
                None => break,
            }
        }
    }
}
