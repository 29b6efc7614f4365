//! A service that echoes, notes what it is told, and takes orders from the test.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use locum_stack::service::{
    CloseReason, Event, FlowId, Outputs, RestoreError, Service, Transports,
};
use locum_types::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Opened,
    Data(usize),
    Acked(usize),
    Finished,
    Closed(CloseReason),
}

#[derive(Clone, Debug)]
pub enum Order {
    Close(FlowId),
    Abort(FlowId),
    Resume(FlowId),
    Send(FlowId, Vec<u8>),
    Datagram { local: SocketAddr, remote: SocketAddr, bytes: Vec<u8> },
}

#[derive(Default)]
pub struct Notes {
    pub seen: Vec<(FlowId, Seen)>,
    pub received: BTreeMap<u64, Vec<u8>>,
    /// Done at once, on a tick.
    pub orders: VecDeque<Order>,
    /// Say nothing by oneself; otherwise echo, and close once the client has.
    pub mute: bool,
    /// Pause every flow when it opens.
    pub paused: bool,
    /// Answer the first bytes of a flow by datagram too.
    pub datagram: Option<(SocketAddr, SocketAddr)>,
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Default)]
struct Waiting {
    bytes: VecDeque<u8>,
    close: bool,
}

impl Notes {
    /// What was seen on one flow.
    pub fn of(&self, flow: FlowId) -> Vec<Seen> {
        let of_flow = self.seen.iter().filter(|(id, _)| *id == flow);
        of_flow.map(|&(_, seen)| seen).collect()
    }

    pub fn opened(&self) -> Vec<FlowId> {
        let opened = self.seen.iter().filter(|(_, seen)| *seen == Seen::Opened);
        opened.map(|&(id, _)| id).collect()
    }

    pub fn closed(&self) -> Vec<CloseReason> {
        let reason = |&(_, seen): &(FlowId, Seen)| match seen {
            Seen::Closed(reason) => Some(reason),
            Seen::Opened | Seen::Data(_) | Seen::Acked(_) | Seen::Finished => None,
        };
        self.seen.iter().filter_map(reason).collect()
    }

    /// Opened first, finished after all data, closed once and last.
    pub fn check_order(&self) {
        for flow in self.opened() {
            let seen = self.of(flow);
            let place = |what: &dyn Fn(&Seen) -> bool| seen.iter().position(what);
            assert_eq!(place(&|seen| *seen == Seen::Opened), Some(0), "{seen:?}");
            let closed = seen.iter().filter(|seen| matches!(seen, Seen::Closed(_))).count();
            assert!(closed <= 1, "{seen:?}");
            if closed == 1 {
                assert!(matches!(seen.last(), Some(Seen::Closed(_))), "{seen:?}");
            }
            if let Some(finished) = place(&|seen| *seen == Seen::Finished) {
                let late = seen[finished + 1..]
                    .iter()
                    .any(|seen| matches!(seen, Seen::Data(_) | Seen::Finished));
                assert!(!late, "{seen:?}");
            }
        }
    }

    fn pump(&mut self, flow: FlowId, outputs: &mut dyn Outputs) {
        let Some(waiting) = self.waiting.get_mut(&flow.0) else { return };
        waiting.bytes.make_contiguous();
        let taken = outputs.send(flow, waiting.bytes.as_slices().0);
        waiting.bytes.drain(..taken);
        if waiting.close && waiting.bytes.is_empty() {
            outputs.close(flow);
        }
    }

    fn obey(&mut self, order: Order, outputs: &mut dyn Outputs) {
        match order {
            Order::Close(flow) => {
                self.waiting.entry(flow.0).or_default().close = true;
                self.pump(flow, outputs);
            }
            Order::Abort(flow) => outputs.abort(flow),
            Order::Resume(flow) => outputs.resume(flow),
            Order::Send(flow, bytes) => {
                self.waiting.entry(flow.0).or_default().bytes.extend(bytes);
                self.pump(flow, outputs);
            }
            Order::Datagram { local, remote, bytes } => outputs.datagram(local, remote, &bytes),
        }
    }
}

#[derive(Clone)]
pub struct Handle(Arc<Mutex<Notes>>);

impl Handle {
    pub fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap()
    }

    /// A copy of the service that has the same state, as another node's has.
    pub fn again(&self) -> Script {
        Script(Arc::clone(&self.0))
    }

    pub fn order(&self, order: Order) {
        self.notes().orders.push_back(order);
    }
}

pub struct Script(Arc<Mutex<Notes>>);

pub fn script() -> (Script, Handle) {
    let notes = Arc::new(Mutex::new(Notes::default()));
    (Script(Arc::clone(&notes)), Handle(notes))
}

impl Service for Script {
    fn kind(&self) -> &'static str {
        "script"
    }

    fn transports(&self) -> Transports {
        Transports { tcp: true, udp: true }
    }

    fn on_event(&mut self, _now: Instant, event: Event<'_>, outputs: &mut dyn Outputs) {
        let mut notes = self.0.lock().unwrap();
        match event {
            Event::Opened { flow, .. } => {
                notes.seen.push((flow, Seen::Opened));
                if notes.paused {
                    outputs.pause(flow);
                }
            }
            Event::Data { flow, bytes } => {
                notes.seen.push((flow, Seen::Data(bytes.len())));
                notes.received.entry(flow.0).or_default().extend(bytes);
                if let Some((local, remote)) = notes.datagram.take() {
                    outputs.datagram(local, remote, bytes);
                }
                if !notes.mute {
                    notes.waiting.entry(flow.0).or_default().bytes.extend(bytes);
                    notes.pump(flow, outputs);
                }
            }
            Event::Acked { flow, bytes } => {
                notes.seen.push((flow, Seen::Acked(bytes)));
                notes.pump(flow, outputs);
            }
            Event::Finished { flow } => {
                notes.seen.push((flow, Seen::Finished));
                if !notes.mute {
                    notes.obey(Order::Close(flow), outputs);
                }
            }
            Event::Closed { flow, reason } => {
                notes.seen.push((flow, Seen::Closed(reason)));
                notes.waiting.remove(&flow.0);
            }
            Event::Datagram { local, remote, bytes } => outputs.datagram(local, remote, bytes),
            Event::Tick => {
                while let Some(order) = notes.orders.pop_front() {
                    notes.obey(order, outputs);
                }
            }
        }
    }

    fn next_tick(&self) -> Option<Instant> {
        let notes = self.0.lock().unwrap();
        (!notes.orders.is_empty()).then_some(Instant::ZERO)
    }

    fn snapshot(&self, _out: &mut Vec<u8>) {}

    fn restore(&mut self, _snapshot: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }
}
