//! The stack: one interface, and the order in which everything is polled.

use std::collections::VecDeque;

use locum_types::{Health, Instant};
use smoltcp::iface::{Config as InterfaceConfig, Interface, PollResult, SocketSet};
use smoltcp::phy::{Device, RxToken as _};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use crate::flow::{Flow, Overdue};
use crate::forge::{Established, Forge, Forged};
use crate::neighbours::{Neighbours, introduction};
use crate::parse::{Parsed, Payload, Segment, parse};
use crate::service::{CloseReason, Event, Service};
use crate::slot::Slot;
use crate::table::{Key, Table};
use crate::timers::Timers;
use crate::udp::UdpPort;
use crate::{Config, Counters, Status, filter, isn};

/// Ethernet header: what a device's MTU counts beside the IP packet.
const ETHERNET_HEADER: usize = 14;
/// Packets of one flow in one go; a flow that has more is served again.
const PACKETS_MAX: usize = 64;

/// A service that cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddServiceError {
    /// Another service listens there.
    #[error("two services listen on port {port}: give one of them another port")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// Port 0 is no port.
    #[error("a service cannot listen on port 0")]
    NoPort,
}

pub(crate) struct Listener {
    port: u16,
    pub(crate) service: Box<dyn Service>,
    pub(crate) udp: Option<UdpPort>,
}

/// Where a frame goes.
#[derive(Clone, Copy)]
enum Destination {
    Flow(Key),
    Udp(usize),
    Misc,
}

/// A TCP/IP stack with the services behind it.
pub struct Stack<D: Device> {
    pub(crate) config: Config,
    device: D,
    interface: Interface,
    pub(crate) mtu: usize,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) table: Table,
    timers: Timers,
    pub(crate) dirty: VecDeque<Key>,
    /// Half-open flows, oldest first; those that were completed are skipped.
    half_open_order: VecDeque<Key>,
    pub(crate) half_open: usize,
    /// No sockets: for frames that smoltcp answers itself.
    misc: SocketSet<'static>,
    misc_at: Option<Instant>,
    neighbours: Neighbours,
    forge: Forge,
    /// The frame at hand.
    frame: Vec<u8>,
    /// The bytes at hand.
    pub(crate) scratch: Vec<u8>,
    pub(crate) counters: Counters,
}

impl<D: Device> Stack<D> {
    /// A stack without services, which answers pings.
    pub fn new(config: Config, mut device: D, now: Instant) -> Self {
        let mut settings = InterfaceConfig::new(HardwareAddress::Ethernet(config.mac));
        settings.random_seed = config.seed;
        let mut interface = Interface::new(settings, &mut device, now.into());
        interface.update_ip_addrs(|addresses| {
            for address in &config.addresses {
                if addresses.push(*address).is_err() {
                    log::error!("{address} is one address too many: at most eight");
                }
            }
        });
        add_routes(&mut interface, &config.gateways);
        let mtu = device.capabilities().max_transmission_unit.saturating_sub(ETHERNET_HEADER);
        Stack {
            interface,
            mtu,
            listeners: Vec::new(),
            table: Table::new(config.isn_key),
            timers: Timers::default(),
            dirty: VecDeque::new(),
            half_open_order: VecDeque::new(),
            half_open: 0,
            misc: SocketSet::new(Vec::new()),
            misc_at: Some(Instant::ZERO),
            neighbours: Neighbours::new(),
            forge: Forge::new(mtu),
            frame: Vec::new(),
            scratch: Vec::new(),
            counters: Counters::default(),
            config,
            device,
        }
    }

    /// Puts a service behind `port`, on the transports it wants.
    pub fn add_service(
        &mut self,
        port: u16,
        service: Box<dyn Service>,
    ) -> Result<(), AddServiceError> {
        if self.listener(port).is_some() {
            return Err(AddServiceError::PortTaken { port });
        }
        let udp = match service.transports().udp {
            true => Some(
                UdpPort::new(port, self.config.limits.datagrams_max)
                    .ok_or(AddServiceError::NoPort)?,
            ),
            false => None,
        };
        self.listeners.push(Listener { port, service, udp });
        Ok(())
    }

    /// Does a bounded amount of work: frames first, each with what it leads to, then flows that wait,
    /// timers, ticks. True if there is more to do at once.
    pub fn poll(&mut self, now: Instant) -> bool {
        let more_frames = self.take_frames(now);
        self.run_timers(now);
        self.tick(now);
        let more_flows = self.serve_dirty(now);
        self.poll_misc(now);
        more_frames || more_flows
    }

    /// When the next poll is due at the latest, and why.
    pub fn poll_deadline(&self) -> Option<(Instant, &'static str)> {
        if !self.dirty.is_empty() {
            return Some((Instant::ZERO, "flows to serve"));
        }
        let ticks = self.listeners.iter().filter_map(|listener| listener.service.next_tick());
        let deadlines = [
            self.timers.next().map(|at| (at, "flow timer")),
            ticks.min().map(|at| (at, "service tick")),
            self.misc_at.map(|at| (at, "interface timer")),
        ];
        deadlines.into_iter().flatten().min_by_key(|&(at, _)| at)
    }

    /// The device.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// The device.
    pub fn device_mut(&mut self) -> &mut D {
        &mut self.device
    }

    /// How well the services are: as well as the worst of them.
    pub fn health(&self) -> Health {
        let healths = self.listeners.iter().map(|listener| listener.service.health());
        healths.min().unwrap_or(Health::Ok)
    }

    /// The state, for status and metrics.
    pub fn status(&self) -> Status {
        Status {
            flows: self.table.len(),
            half_open: self.half_open,
            flows_max: self.config.limits.flows_max,
            counters: self.counters,
        }
    }

    /// Forgets every flow without a word to its client: they are somebody else's now, or lost.
    pub fn abandon(&mut self, now: Instant) {
        for key in self.table.keys() {
            if let Some(flow) = self.table.get_mut(key) {
                flow.ended_by = Some(CloseReason::Aborted);
            }
            self.end(now, key);
        }
        self.timers.clear();
        self.dirty.clear();
        self.half_open_order.clear();
    }

    /// Takes over a connection that is established already. False if its port has no TCP service, or
    /// there are too many connections.
    pub fn adopt(&mut self, now: Instant, flow: &Established) -> bool {
        let Some(listener) = self.tcp_listener(flow.tuple.local.port()) else { return false };
        if self.table.len() >= self.config.limits.flows_max {
            return false;
        }
        let Some(forged) = self.forge.materialise(now, flow, &self.config.limits) else {
            return false;
        };
        let key = self.insert(now, listener, flow.tuple, forged, flow.remote_next);
        self.serve(now, key);
        true
    }

    fn listener(&self, port: u16) -> Option<usize> {
        self.listeners.iter().position(|listener| listener.port == port)
    }

    fn tcp_listener(&self, port: u16) -> Option<usize> {
        self.listener(port).filter(|&index| self.listeners[index].service.transports().tcp)
    }

    /// Takes frames up to the budget; true if it was used up.
    fn take_frames(&mut self, now: Instant) -> bool {
        for _ in 0..self.config.limits.ingress_budget {
            let mut frame = std::mem::take(&mut self.frame);
            frame.clear();
            let received = self.device.receive(now.into()).map(|(token, _)| {
                token.consume(|bytes| frame.extend_from_slice(bytes));
            });
            if received.is_some() {
                self.take_frame(now, &frame);
            }
            self.frame = frame;
            if received.is_none() {
                return false;
            }
        }
        true
    }

    fn take_frame(&mut self, now: Instant, frame: &[u8]) {
        let Some(parsed) = parse(frame) else {
            self.counters.frames_empty += 1;
            return;
        };
        self.learn(now, &parsed);
        match parsed.payload {
            Payload::Tcp(segment) => {
                self.counters.frames_tcp += 1;
                self.take_segment(now, frame, &segment);
            }
            Payload::Udp(port) => match self.listener(port) {
                Some(index) if self.listeners[index].udp.is_some() => {
                    self.counters.frames_udp += 1;
                    self.feed(now, frame, Destination::Udp(index));
                    self.serve_udp(now, index);
                }
                Some(_) | None => {
                    self.counters.frames_other += 1;
                    self.feed(now, frame, Destination::Misc);
                }
            },
            Payload::Malformed => self.counters.frames_malformed += 1,
            Payload::Other => {
                self.counters.frames_other += 1;
                self.feed(now, frame, Destination::Misc);
            }
        }
    }

    fn take_segment(&mut self, now: Instant, frame: &[u8], segment: &Segment) {
        if let Some(key) = self.table.find(&segment.tuple) {
            let credible =
                self.table.get_mut(key).is_some_and(|flow| filter::is_credible(flow, segment));
            if credible {
                self.feed(now, frame, Destination::Flow(key));
                self.serve(now, key);
            } else {
                self.counters.resets_inexact += 1;
            }
            return;
        }
        let opens = segment.syn && !segment.ack && !segment.rst;
        match self.tcp_listener(segment.tuple.local.port()) {
            Some(listener) if opens => self.admit(now, frame, segment, listener),
            Some(_) | None => {
                self.counters.segments_stray += 1;
                // Among no sockets: smoltcp answers with RST (RFC 9293 §3.10.7.1).
                self.feed(now, frame, Destination::Misc);
            }
        }
    }

    /// Makes a flow of a SYN.
    fn admit(&mut self, now: Instant, frame: &[u8], segment: &Segment, listener: usize) {
        if self.half_open >= self.config.limits.half_open_max {
            self.evict_half_open(now);
        }
        if self.table.len() >= self.config.limits.flows_max {
            self.counters.syns_over_limit += 1;
            return;
        }
        let number = isn::choose(&self.config.isn_key, &segment.tuple, now);
        let packet = frame.get(ETHERNET_HEADER..).unwrap_or(&[]);
        let limits = &self.config.limits;
        let Some(forged) = self.forge.accept(now, &segment.tuple, number, packet, limits) else {
            self.counters.frames_malformed += 1;
            return;
        };
        self.counters.flows_accepted += 1;
        let first_byte = (segment.sequence.0 as u32).wrapping_add(1);
        let key = self.insert(now, listener, segment.tuple, forged, first_byte);
        self.forget_completed();
        self.half_open_order.push_back(key);
        self.serve(now, key);
    }

    fn insert(
        &mut self,
        now: Instant,
        listener: usize,
        tuple: crate::Tuple,
        forged: Forged,
        first_byte: u32,
    ) -> Key {
        self.half_open += 1;
        self.table.insert(tuple, |id| Flow::new(id, tuple, listener, forged, first_byte, now))
    }

    /// The oldest half-open flow gives way, so that a flood of SYNs does not keep honest clients out.
    fn evict_half_open(&mut self, now: Instant) {
        while let Some(key) = self.half_open_order.pop_front() {
            if self.table.get_mut(key).is_some_and(|flow| flow.is_half_open()) {
                self.counters.half_open_evicted += 1;
                self.end(now, key);
                return;
            }
        }
    }

    /// Keeps the order short: what is at its front and no longer half-open was completed.
    fn forget_completed(&mut self) {
        while let Some(&key) = self.half_open_order.front() {
            if self.table.get_mut(key).is_some_and(|flow| flow.is_half_open()) {
                return;
            }
            self.half_open_order.pop_front();
        }
    }

    /// Lets smoltcp see a frame, with the sockets it is for.
    fn feed(&mut self, now: Instant, frame: &[u8], destination: Destination) {
        let set = match destination {
            Destination::Flow(key) => self.table.get_mut(key).map(|flow| &mut flow.set),
            Destination::Udp(index) => self.listeners[index].udp.as_mut().map(|port| &mut port.set),
            Destination::Misc => Some(&mut self.misc),
        };
        if let Some(set) = set {
            let mut slot = Slot::new(frame, &mut self.device);
            self.interface.poll_ingress_single(now.into(), &mut slot, set);
        }
    }

    /// Tells smoltcp where a client is, before it has to ask.
    fn learn(&mut self, now: Instant, parsed: &Parsed) {
        let Some((source, destination)) = parsed.ends else { return };
        if !parsed.source_mac.is_unicast() || !source.is_unicast() {
            return;
        }
        let Some((ours, neighbour)) = self.next_hop(source, destination) else { return };
        if self.neighbours.note(now, neighbour, parsed.source_mac) {
            self.counters.neighbours_learned += 1;
            let us = self.config.mac;
            if let Some(frame) = introduction(us, ours, parsed.source_mac, neighbour) {
                self.feed(now, &frame, Destination::Misc);
            }
        }
    }

    /// Which neighbour a packet from `source` came by, and which of our addresses shares its link.
    fn next_hop(
        &self,
        source: IpAddress,
        destination: IpAddress,
    ) -> Option<(IpAddress, IpAddress)> {
        let family = |address: &IpAddress| address.version() == source.version();
        let ours = |cidr: &&IpCidr| cidr.address() == destination;
        let own = self.config.addresses.iter().find(ours)?;
        if own.contains_addr(&source) {
            return Some((destination, source));
        }
        let gateway = *self.config.gateways.iter().find(|gateway| family(gateway))?;
        let on_link = |cidr: &&IpCidr| cidr.contains_addr(&gateway);
        let own = self.config.addresses.iter().find(on_link)?;
        Some((own.address(), gateway))
    }

    /// Tells the service what happened on a flow, and sends what it has to say.
    fn serve(&mut self, now: Instant, key: Key) {
        let told = self.deliver(now, key);
        let sent = self.transmit(now, key);
        let Some(flow) = self.table.get_mut(key) else { return };
        flow.dirty = !(told && sent);
        if flow.dirty {
            // It waits for its next turn, not for a timer.
            self.dirty.push_back(key);
        } else {
            self.arm(now, key);
        }
        // A flow that closed while sending has its last word to say.
        if self.table.get_mut(key).is_some_and(|flow| !flow.socket().is_open()) {
            self.deliver(now, key);
        }
    }

    /// Sends what a flow has to send; false if there is more than fits now.
    fn transmit(&mut self, now: Instant, key: Key) -> bool {
        let Some(flow) = self.table.get_mut(key) else { return true };
        for _ in 0..PACKETS_MAX {
            let result = self.interface.poll_egress(now.into(), &mut self.device, &mut flow.set);
            if matches!(result, PollResult::None) {
                break;
            }
        }
        let next = self.interface.poll_at(now.into(), &flow.set).map(Instant::from);
        next.is_none_or(|at| at > now)
    }

    /// Arms the timer of a flow if it is due earlier than known.
    fn arm(&mut self, now: Instant, key: Key) {
        let Some(flow) = self.table.get_mut(key) else { return };
        let Some(at) = flow.deadline(now, &mut self.interface, &self.config.limits) else { return };
        // What is due now is in the dirty queue; the timer is for later.
        let at = at.max(now + std::time::Duration::from_micros(1));
        if flow.armed.is_none_or(|armed| at < armed) {
            flow.armed = Some(at);
            self.timers.arm(at, key);
        }
    }

    fn run_timers(&mut self, now: Instant) {
        while let Some((at, key)) = self.timers.pop_due(now) {
            let Some(flow) = self.table.get_mut(key) else { continue };
            if flow.armed != Some(at) {
                continue;
            }
            flow.armed = None;
            if let Some(overdue) = flow.overdue(now, &mut self.interface, &self.config.limits) {
                self.expire(now, key, overdue);
            }
            self.serve(now, key);
        }
    }

    fn expire(&mut self, now: Instant, key: Key, overdue: Overdue) {
        let counter = match overdue {
            Overdue::HalfOpen => {
                self.counters.half_open_expired += 1;
                self.end(now, key);
                return;
            }
            Overdue::Idle => &mut self.counters.flows_idle,
            Overdue::FinWait => &mut self.counters.flows_fin_wait,
            Overdue::Wedged => &mut self.counters.flows_wedged,
        };
        *counter += 1;
        if let Some(flow) = self.table.get_mut(key) {
            flow.ended_by = Some(CloseReason::TimedOut);
            flow.socket_mut().abort();
        }
    }

    fn tick(&mut self, now: Instant) {
        for index in 0..self.listeners.len() {
            let due = self.listeners[index].service.next_tick().is_some_and(|at| at <= now);
            if due {
                self.tell(now, index, Event::Tick);
                self.serve_udp(now, index);
            }
        }
    }

    /// Serves flows that wait, up to the budget; true if some are left.
    fn serve_dirty(&mut self, now: Instant) -> bool {
        for _ in 0..self.config.limits.flow_budget.min(self.dirty.len()) {
            if self.device.transmit(now.into()).is_none() {
                // No room for what they have to say: they keep their places.
                break;
            }
            let Some(key) = self.dirty.pop_front() else { break };
            if self.table.get_mut(key).is_some_and(|flow| flow.dirty) {
                self.serve(now, key);
            }
        }
        !self.dirty.is_empty()
    }

    /// Hands datagrams to a service, and sends its own.
    fn serve_udp(&mut self, now: Instant, index: usize) {
        let mut payload = std::mem::take(&mut self.scratch);
        for _ in 0..self.config.limits.datagrams_max {
            let port = self.listeners[index].udp.as_mut();
            let Some(ends) = port.and_then(|port| port.receive(&mut payload)) else { break };
            let (local, remote) = (ends.local, ends.remote);
            self.tell(now, index, Event::Datagram { local, remote, bytes: &payload });
        }
        self.scratch = payload;
        let Some(port) = self.listeners[index].udp.as_mut() else { return };
        for _ in 0..self.config.limits.datagrams_max {
            let result = self.interface.poll_egress(now.into(), &mut self.device, &mut port.set);
            if matches!(result, PollResult::None) {
                break;
            }
        }
    }

    /// What the interface says by itself: multicast memberships.
    fn poll_misc(&mut self, now: Instant) {
        self.interface.poll_maintenance(now.into());
        self.interface.poll_egress(now.into(), &mut self.device, &mut self.misc);
        let at = self.interface.poll_at(now.into(), &self.misc).map(Instant::from);
        self.misc_at = at.filter(|at| *at > now);
    }
}

fn add_routes(interface: &mut Interface, gateways: &[IpAddress]) {
    for gateway in gateways {
        let added = match gateway {
            IpAddress::Ipv4(gateway) => {
                interface.routes_mut().add_default_ipv4_route(*gateway).map(|_| ())
            }
            IpAddress::Ipv6(gateway) => {
                interface.routes_mut().add_default_ipv6_route(*gateway).map(|_| ())
            }
        };
        if added.is_err() {
            log::error!("no room for a route by {gateway}");
        }
    }
}
