//! What a waiting node keeps of the active node's connections: plain data beside live services, moved by
//! the entries of the log, until a takeover makes sockets of it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;

use locum_types::Instant;

use crate::Tuple;
use crate::flow::Past;
use crate::forge::Negotiated;
use crate::image::FlowImage;
use crate::log::Entry;
use crate::service::{Event, FlowId, Outputs, Service};
use crate::table::Keyed;

/// An entry that does not fit what was applied before it: the copy is worthless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// An entry about a flow that is not there.
    #[error("the log speaks of flow {} that is not there", flow.0)]
    NoFlow {
        /// The flow.
        flow: FlowId,
    },
    /// A flow that is there already.
    #[error("the log opens flow {} twice", flow.0)]
    Twice {
        /// The flow.
        flow: FlowId,
    },
    /// More bytes are released than are held.
    #[error("the log takes more bytes of flow {} than there are", flow.0)]
    TooMuch {
        /// The flow.
        flow: FlowId,
    },
    /// Nothing listens there.
    #[error("the log speaks of a service on port {port}: both nodes need the same services")]
    NoService {
        /// The port.
        port: u16,
    },
}

/// What becomes of a connection that is to go on here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    GoesOn,
    /// Its service has reset it.
    Aborted,
    /// Its service does not know here what it has said to the client.
    Unlike,
}

/// A connection as the log tells it.
#[derive(Clone, Debug)]
struct Shadow {
    tuple: Tuple,
    negotiated: Negotiated,
    local_isn: u32,
    remote_isn: u32,
    via: [u8; 6],
    delivered: u64,
    held: VecDeque<u8>,
    acked: u64,
    unacked: VecDeque<u8>,
    window: u16,
    opened: bool,
    paused: bool,
    client_fin: bool,
    finished: bool,
    closing: bool,
    outlook: Outlook,
    fin_acked: bool,
}

impl Shadow {
    fn image(&self, id: FlowId) -> FlowImage {
        FlowImage {
            id,
            tuple: self.tuple,
            negotiated: self.negotiated,
            local_isn: self.local_isn,
            remote_isn: self.remote_isn,
            via: self.via,
            delivered: self.delivered,
            held: self.held.iter().copied().collect(),
            acked: self.acked,
            unacked: self.unacked.iter().copied().collect(),
            window: self.window,
            opened: self.opened,
            paused: self.paused,
            client_fin: self.client_fin,
            finished: self.finished,
            closing: self.closing,
            fin_acked: self.fin_acked,
        }
    }
}

/// All shadows of a node.
pub(crate) struct Shadows {
    flows: BTreeMap<u64, Shadow>,
    by_tuple: HashMap<Tuple, FlowId, Keyed>,
    tx_buffer: usize,
    /// The highest number a flow ever had.
    highest: u64,
}

impl Shadows {
    /// None yet; services may leave `tx_buffer` bytes of output unacknowledged on each.
    pub(crate) fn new(key: [u8; 16], tx_buffer: usize) -> Self {
        Shadows {
            flows: BTreeMap::new(),
            by_tuple: HashMap::with_hasher(Keyed(key)),
            tx_buffer,
            highest: 0,
        }
    }

    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }

    /// Numbers up to this one were given.
    pub(crate) fn skip_ids(&mut self, highest: u64) {
        self.highest = self.highest.max(highest);
    }

    pub(crate) fn find(&self, tuple: &Tuple) -> Option<FlowId> {
        self.by_tuple.get(tuple).copied()
    }

    /// Takes one out, to be made a connection.
    pub(crate) fn take(&mut self, id: FlowId) -> Option<(FlowImage, Outlook)> {
        let shadow = self.flows.remove(&id.0)?;
        self.by_tuple.remove(&shadow.tuple);
        Some((shadow.image(id), shadow.outlook))
    }

    /// All ids, in order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = FlowId> + '_ {
        self.flows.keys().copied().map(FlowId)
    }

    /// Where the services listen of those that are to go on, one by one.
    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        let alive = self.flows.values().filter(|shadow| shadow.outlook == Outlook::GoesOn);
        alive.map(|shadow| shadow.tuple.local.port())
    }

    pub(crate) fn image(&self, id: FlowId) -> Option<FlowImage> {
        self.flows.get(&id.0).map(|shadow| shadow.image(id))
    }

    /// All connections, in order.
    pub(crate) fn images(&self) -> impl Iterator<Item = FlowImage> + '_ {
        self.flows.iter().map(|(&id, shadow)| shadow.image(FlowId(id)))
    }

    pub(crate) fn clear(&mut self) {
        self.flows.clear();
        self.by_tuple.clear();
    }

    /// Adds a connection as a snapshot has it.
    pub(crate) fn restore(&mut self, image: FlowImage) -> Result<(), Misfit> {
        let id = image.id;
        self.insert(id, Shadow::from(image))
    }

    fn insert(&mut self, id: FlowId, shadow: Shadow) -> Result<(), Misfit> {
        let tuple = shadow.tuple;
        if self.flows.contains_key(&id.0) || self.by_tuple.contains_key(&tuple) {
            return Err(Misfit::Twice { flow: id });
        }
        self.highest = self.highest.max(id.0);
        self.flows.insert(id.0, shadow);
        self.by_tuple.insert(tuple, id);
        Ok(())
    }

    fn get(&mut self, flow: FlowId) -> Result<&mut Shadow, Misfit> {
        self.flows.get_mut(&flow.0).ok_or(Misfit::NoFlow { flow })
    }

    /// Where the service that an entry concerns listens.
    pub(crate) fn port_of(&self, entry: &Entry<'_>) -> Result<u16, Misfit> {
        let flow = match *entry {
            Entry::Accepted { tuple, .. } => return Ok(tuple.local.port()),
            Entry::Datagram { local, .. } => return Ok(local.port()),
            Entry::Tick { port } => return Ok(port),
            Entry::Opened { flow, .. }
            | Entry::Data { flow, .. }
            | Entry::Held { flow, .. }
            | Entry::Released { flow, .. }
            | Entry::Acked { flow, .. }
            | Entry::FinReceived { flow }
            | Entry::Finished { flow }
            | Entry::FinAcked { flow }
            | Entry::Closed { flow, .. } => flow,
        };
        let shadow = self.flows.get(&flow.0).ok_or(Misfit::NoFlow { flow })?;
        Ok(shadow.tuple.local.port())
    }

    /// Applies an entry that happened at `now` to the connections and to the service it concerns.
    pub(crate) fn apply(
        &mut self,
        now: Instant,
        entry: &Entry<'_>,
        service: &mut dyn Service,
    ) -> Result<(), Misfit> {
        match *entry {
            Entry::Accepted { flow, tuple, negotiated, local_isn, remote_isn, via } => {
                let past = Past { negotiated, local_isn, remote_isn, via, window: 0 };
                self.insert(flow, Shadow::accepted(tuple, past))
            }
            Entry::Opened { flow, window } => {
                let shadow = self.get(flow)?;
                (shadow.opened, shadow.window) = (true, window);
                let (local, remote) = (shadow.tuple.local, shadow.tuple.remote);
                self.tell(now, service, Event::Opened { flow, local, remote });
                Ok(())
            }
            Entry::Data { flow, bytes } => {
                self.get(flow)?.delivered += bytes.len() as u64;
                self.tell(now, service, Event::Data { flow, bytes });
                Ok(())
            }
            Entry::Held { flow, bytes } => {
                self.get(flow)?.held.extend(bytes);
                Ok(())
            }
            Entry::Released { flow, bytes } => {
                let shadow = self.get(flow)?;
                if bytes > shadow.held.len() {
                    return Err(Misfit::TooMuch { flow });
                }
                let released: Vec<u8> = shadow.held.drain(..bytes).collect();
                shadow.delivered += bytes as u64;
                self.tell(now, service, Event::Data { flow, bytes: &released });
                Ok(())
            }
            Entry::Acked { flow, bytes, window } => {
                let shadow = self.get(flow)?;
                let known = bytes.min(shadow.unacked.len());
                // The service here has said less than the active node's, from another file for one. That is the end of
                // this connection when it changes its node, not of the whole copy.
                if known < bytes && shadow.outlook == Outlook::GoesOn {
                    shadow.outlook = Outlook::Unlike;
                }
                shadow.unacked.drain(..known);
                shadow.acked += bytes as u64;
                shadow.window = window;
                self.tell(now, service, Event::Acked { flow, bytes });
                Ok(())
            }
            Entry::FinReceived { flow } => {
                self.get(flow)?.client_fin = true;
                Ok(())
            }
            Entry::Finished { flow } => {
                self.get(flow)?.finished = true;
                self.tell(now, service, Event::Finished { flow });
                Ok(())
            }
            Entry::FinAcked { flow } => {
                self.get(flow)?.fin_acked = true;
                Ok(())
            }
            Entry::Closed { flow, reason } => {
                let shadow = self.flows.remove(&flow.0).ok_or(Misfit::NoFlow { flow })?;
                self.by_tuple.remove(&shadow.tuple);
                if shadow.opened {
                    self.tell(now, service, Event::Closed { flow, reason });
                }
                Ok(())
            }
            Entry::Datagram { local, remote, bytes } => {
                self.tell(now, service, Event::Datagram { local, remote, bytes });
                Ok(())
            }
            Entry::Tick { port: _ } => {
                self.tell(now, service, Event::Tick);
                Ok(())
            }
        }
    }

    fn tell(&mut self, now: Instant, service: &mut dyn Service, event: Event<'_>) {
        service.on_event(now, event, self);
    }
}

impl Shadow {
    fn accepted(tuple: Tuple, past: Past) -> Self {
        let Past { negotiated, local_isn, remote_isn, via, window } = past;
        Shadow {
            tuple,
            negotiated,
            local_isn,
            remote_isn,
            via,
            delivered: 0,
            held: VecDeque::new(),
            acked: 0,
            unacked: VecDeque::new(),
            window,
            opened: false,
            paused: false,
            client_fin: false,
            finished: false,
            closing: false,
            outlook: Outlook::GoesOn,
            fin_acked: false,
        }
    }
}

impl From<FlowImage> for Shadow {
    fn from(image: FlowImage) -> Self {
        Shadow {
            tuple: image.tuple,
            negotiated: image.negotiated,
            local_isn: image.local_isn,
            remote_isn: image.remote_isn,
            via: image.via,
            delivered: image.delivered,
            held: image.held.into(),
            acked: image.acked,
            unacked: image.unacked.into(),
            window: image.window,
            opened: image.opened,
            paused: image.paused,
            client_fin: image.client_fin,
            finished: image.finished,
            closing: image.closing,
            outlook: Outlook::GoesOn,
            fin_acked: image.fin_acked,
        }
    }
}

/// What a service says while nobody hears it: the active node has said the same, or it is kept for when the
/// connection comes to life.
impl Outputs for Shadows {
    fn credit(&self, flow: FlowId) -> usize {
        let shadow = self.flows.get(&flow.0);
        shadow.map_or(0, |shadow| self.tx_buffer.saturating_sub(shadow.unacked.len()))
    }

    fn send(&mut self, flow: FlowId, bytes: &[u8]) -> usize {
        let credit = self.credit(flow);
        let Some(shadow) = self
            .flows
            .get_mut(&flow.0)
            .filter(|shadow| !shadow.closing && shadow.outlook != Outlook::Aborted)
        else {
            return 0;
        };
        let taken = bytes.len().min(credit);
        shadow.unacked.extend(&bytes[..taken]);
        taken
    }

    fn close(&mut self, flow: FlowId) {
        if let Some(shadow) = self.flows.get_mut(&flow.0) {
            shadow.closing = true;
        }
    }

    fn abort(&mut self, flow: FlowId) {
        if let Some(shadow) = self.flows.get_mut(&flow.0) {
            shadow.outlook = Outlook::Aborted;
        }
    }

    fn pause(&mut self, flow: FlowId) {
        if let Some(shadow) = self.flows.get_mut(&flow.0) {
            shadow.paused = true;
        }
    }

    fn resume(&mut self, flow: FlowId) {
        if let Some(shadow) = self.flows.get_mut(&flow.0) {
            shadow.paused = false;
        }
    }

    fn datagram(&mut self, _local: SocketAddr, _remote: SocketAddr, _bytes: &[u8]) {}
}
