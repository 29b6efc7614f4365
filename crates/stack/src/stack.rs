//! The stack: one interface, and the order in which everything is polled.

use std::collections::VecDeque;

use locum_types::{Health, Instant, LogPosition};
use smoltcp::iface::{Config as InterfaceConfig, Interface, SocketSet};
use smoltcp::phy::Device;
use smoltcp::wire::{HardwareAddress, IpAddress};

use crate::admit::HalfOpen;
use crate::forge::Forge;
use crate::log::Journal;
use crate::neighbours::Neighbours;
use crate::record::ServiceTime;
use crate::service::{CloseReason, FlowId, Service};
use crate::shadow::Shadows;
use crate::slot::Slot;
use crate::table::{Key, Table};
use crate::tickle::Tickles;
use crate::timers::Timers;
use crate::udp::UdpPort;
use crate::{Config, Counters, Status};

/// Ethernet header: what a device's MTU counts beside the IP packet.
pub(crate) const ETHERNET_HEADER: usize = 14;
/// Where the source address stands in it.
pub(crate) const ETHERNET_SOURCE: std::ops::Range<usize> = 6..12;

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
    pub(crate) port: u16,
    pub(crate) service: Box<dyn Service>,
    pub(crate) udp: Option<UdpPort>,
    /// Whether it is in the log, and so survives this node.
    pub(crate) replicated: bool,
}

/// A TCP/IP stack with the services behind it.
pub struct Stack<D: Device> {
    pub(crate) config: Config,
    pub(crate) device: D,
    pub(crate) interface: Interface,
    pub(crate) mtu: usize,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) table: Table,
    pub(crate) timers: Timers,
    /// Flows that want to be served; none is in here twice.
    pub(crate) dirty: VecDeque<Key>,
    /// The flow whose segments were taken last, while more may come: it is served when they have.
    pub(crate) in_hand: Option<Key>,
    pub(crate) half_open: HalfOpen,
    /// No sockets: for frames that smoltcp answers itself.
    pub(crate) misc: SocketSet<'static>,
    /// When what is neither a flow nor a tick wants attention.
    pub(crate) rest_at: Option<Instant>,
    pub(crate) neighbours: Neighbours,
    pub(crate) forge: Forge,
    /// The frame at hand.
    pub(crate) frame: Vec<u8>,
    /// The bytes at hand.
    pub(crate) scratch: Vec<u8>,
    pub(crate) counters: Counters,
    /// Is told everything that services are told.
    pub(crate) journal: Option<Box<dyn Journal>>,
    /// The last entry that it took.
    pub(crate) position: LogPosition,
    pub(crate) time: ServiceTime,
    /// The connections of the active node that is followed, or was.
    pub(crate) shadows: Shadows,
    /// Those that are to come to life, in order.
    pub(crate) asleep: VecDeque<FlowId>,
    /// Clients of those that are lost.
    pub(crate) tickles: Tickles,
    /// No client is told that its connection is lost.
    pub(crate) forbears: bool,
}

impl<D: Device> Stack<D> {
    /// A stack without services, which answers pings.
    pub fn new(config: Config, mut device: D, now: Instant) -> Self {
        let mut settings = InterfaceConfig::new(HardwareAddress::Ethernet(config.mac));
        settings.random_seed = config.seed;
        let mut interface = Interface::new(settings, &mut Slot::empty(&mut device), now.into());
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
            in_hand: None,
            half_open: HalfOpen::default(),
            misc: SocketSet::new(Vec::new()),
            rest_at: Some(Instant::ZERO),
            neighbours: Neighbours::new(),
            forge: Forge::new(mtu),
            frame: Vec::new(),
            scratch: Vec::new(),
            counters: Counters::default(),
            journal: None,
            position: LogPosition::default(),
            time: ServiceTime::default(),
            shadows: Shadows::new(config.isn_key, config.limits.tx_buffer),
            asleep: VecDeque::new(),
            tickles: Tickles::default(),
            forbears: false,
            config,
            device,
        }
    }

    /// Says whether another node may be the one that clients speak to: as long as that is so, what a client says that only
    /// the other node can make sense of is dropped, where it would be reset.
    pub fn forbear(&mut self, forbear: bool) {
        self.forbears = forbear;
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
        self.listeners.push(Listener { port, service, udp, replicated: true });
        Ok(())
    }

    /// Keeps the service on `port` out of the log: other nodes know of its connections, but not what they say.
    /// At a takeover they end, and it starts with what the other node's own instance knows.
    pub fn leave_out(&mut self, port: u16) {
        if let Some(index) = self.listener(port) {
            self.listeners[index].replicated = false;
        }
    }

    pub(crate) fn is_replicated(&self, port: u16) -> bool {
        self.listener(port).is_none_or(|index| self.listeners[index].replicated)
    }

    /// Does a bounded amount of work: frames first, each with what it leads to, then timers, ticks, flows
    /// that wait, and datagrams. True if there is more to do at once.
    pub fn poll(&mut self, now: Instant) -> bool {
        let more_frames = self.take_frames(now);
        let more_asleep = self.awaken_some(now);
        let more_lost = self.tickle_some(now);
        let more_timers = self.run_timers(now);
        self.tick(now);
        let more_flows = self.serve_dirty(now);
        let more_rest = self.send_rest(now);
        more_frames || more_asleep || more_lost || more_timers || more_flows || more_rest
    }

    /// When the next poll is due at the latest, and why.
    pub fn poll_deadline(&self) -> Option<(Instant, &'static str)> {
        if !self.asleep.is_empty() {
            return Some((Instant::ZERO, "connections to bring to life"));
        }
        if !self.dirty.is_empty() {
            return Some((Instant::ZERO, "flows to serve"));
        }
        let ticks = self.listeners.iter().filter_map(|listener| listener.service.next_tick());
        let deadlines = [
            self.timers.next().map(|at| (at, "flow timer")),
            ticks.min().map(|at| (self.time.local(at), "service tick")),
            self.rest_at.map(|at| (at, "datagrams")),
            self.tickles.next().map(|at| (at, "clients of lost connections")),
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
            half_open: self.half_open.len,
            flows_max: self.config.limits.flows_max,
            counters: self.counters,
        }
    }

    /// Forgets every flow without a word to its client: they are somebody else's now, or lost.
    pub fn abandon(&mut self, now: Instant) {
        // The only walk over all flows there is.
        for key in self.table.keys() {
            if let Some(flow) = self.table.get_mut(key) {
                flow.ended_by = Some(CloseReason::Aborted);
            }
            self.end(now, key);
        }
        self.timers.clear();
        self.dirty.clear();
        self.half_open.clear();
    }

    pub(crate) fn listener(&self, port: u16) -> Option<usize> {
        self.listeners.iter().position(|listener| listener.port == port)
    }

    pub(crate) fn tcp_listener(&self, port: u16) -> Option<usize> {
        self.listener(port).filter(|&index| self.listeners[index].service.transports().tcp)
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
