//! An Ethernet segment in memory: one learning switch, its ports, and their cables.
//!
//! For simulators, demos and tests. Time is a parameter, so it runs on virtual and on real time
//! alike, and the same calls always give the same deliveries. Ports are `phy::Device`s
//! ([`Port`]), or are driven by [`Segment::send`] and [`Segment::recv`]. What goes wrong on the way
//! is in [`impair`], by chance, and in [`rule`], on purpose. Several switches and VLANs do not belong
//! here.

mod fdb;
pub mod impair;
mod port;
pub mod rule;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use locum_types::Instant;
use smoltcp::wire::{EthernetAddress, EthernetFrame};

use self::fdb::{Fdb, Learned};
use self::impair::{Cable, Carried, Impairment};
pub use self::port::Port;
use self::rule::{Direction, Fate, Hop, Loss, Observation, Observers, Rule, RuleId, Rules};

/// Ethernet header and one VLAN tag: what a frame may add to the MTU.
const HEADER_LEN_MAX: usize = 14 + 4;

/// The sizes of a segment. Every queue is bounded; full means a counted drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The longest IP packet, in bytes.
    pub mtu: usize,
    /// Frames that wait at one port for their receiver.
    pub queue_depth: usize,
    /// Frames that are on their way, in the whole segment.
    pub in_flight_max: usize,
    /// How long the switch remembers a silent station.
    pub ageing: Duration,
    /// Stations that the switch can remember.
    pub stations_max: usize,
}

impl Default for Config {
    /// As a small office switch: MTU 1500, 300 s of ageing (IEEE 802.1D, table 7-5), and buffers for more than one
    /// station says at once: here that takes no time.
    fn default() -> Self {
        Config {
            mtu: 1500,
            queue_depth: 1024,
            in_flight_max: 16_384,
            ageing: Duration::from_secs(300),
            stations_max: 4_096,
        }
    }
}

/// One port of a segment. Valid only with the segment that issued it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(u16);

impl PortId {
    /// The position of the port, counted from 0 in the order of [`Segment::add_port`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What the switch did with the frames that reached it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SwitchCounters {
    /// Frames sent to the one port of their destination.
    pub forwarded: u64,
    /// Frames sent to all other ports: broadcast, multicast, destination unknown.
    pub flooded: u64,
    /// Frames for the port they came from, or for the bridge itself (01:80:c2:00:00:0x).
    pub filtered: u64,
    /// Stations met for the first time.
    pub learned: u64,
    /// Stations that were heard on another port than before.
    pub moved: u64,
    /// Stations not remembered because the table was full.
    pub table_full: u64,
}

/// What one port has seen. Directions are those of the owner of the port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct PortCounters {
    /// Frames transmitted into the segment.
    pub tx: u64,
    /// Frames that reached the receive queue.
    pub rx: u64,
    /// Frames lost because the port was down.
    pub lost_down: u64,
    /// Frames lost because the cable was cut in their direction.
    pub lost_cut: u64,
    /// Frames lost because the receive queue was full.
    pub lost_queue_full: u64,
    /// Frames towards this port lost because too many were on their way.
    pub lost_in_flight_full: u64,
    /// Frames towards this port that a rule dropped.
    pub lost_rule: u64,
    /// Frames that the cable lost.
    pub lost_random: u64,
    /// Frames that found the queue before the cable full.
    pub lost_congestion: u64,
    /// Frames transmitted that are longer than the MTU allows.
    pub lost_oversize: u64,
    /// Frames transmitted without a whole header, or from a group address.
    pub lost_malformed: u64,
    /// Frames that the cable made two of.
    pub duplicated: u64,
    /// Frames that the cable held back.
    pub held_back: u64,
    /// Frames of which the cable flipped a bit.
    pub corrupted: u64,
}

impl PortCounters {
    fn count(&mut self, direction: Direction, fate: Fate) {
        let counter = match (fate, direction) {
            (Fate::Passed, Direction::Transmit) => &mut self.tx,
            (Fate::Passed, Direction::Receive) => &mut self.rx,
            (Fate::Lost(Loss::Down), _) => &mut self.lost_down,
            (Fate::Lost(Loss::Cut), _) => &mut self.lost_cut,
            (Fate::Lost(Loss::QueueFull), _) => &mut self.lost_queue_full,
            (Fate::Lost(Loss::InFlightFull), _) => &mut self.lost_in_flight_full,
            (Fate::Lost(Loss::Rule), _) => &mut self.lost_rule,
            (Fate::Lost(Loss::Random), _) => &mut self.lost_random,
            (Fate::Lost(Loss::Congestion), _) => &mut self.lost_congestion,
            (Fate::Lost(Loss::Oversize), _) => &mut self.lost_oversize,
            (Fate::Lost(Loss::Malformed), _) => &mut self.lost_malformed,
        };
        *counter += 1;
    }
}

#[derive(Debug)]
struct PortState {
    up: bool,
    cut_transmit: bool,
    cut_receive: bool,
    /// The two directions of the cable.
    transmit: Cable,
    receive: Cable,
    queue: VecDeque<Vec<u8>>,
    counters: PortCounters,
}

impl PortState {
    /// What becomes of a frame at the port itself.
    fn gate(&self, direction: Direction) -> Fate {
        let cut = match direction {
            Direction::Transmit => self.cut_transmit,
            Direction::Receive => self.cut_receive,
        };
        match (self.up, cut) {
            (false, _) => Fate::Lost(Loss::Down),
            (true, true) => Fate::Lost(Loss::Cut),
            (true, false) => Fate::Passed,
        }
    }
}

/// A frame on its way. Ordered by arrival, then by departure.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct InFlight {
    due: Instant,
    sequence: u64,
    leg: Leg,
    frame: Vec<u8>,
}

/// Where a frame on its way is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Leg {
    /// From a port into the switch.
    In(PortId),
    /// From the switch to a port.
    Out(PortId),
}

/// Where the switch sends a frame.
enum Route {
    One(PortId),
    Flood,
    Nowhere,
}

/// The segment: see the [module](self).
#[derive(Debug)]
pub struct Segment {
    config: Config,
    now: Instant,
    ports: Vec<PortState>,
    fdb: Fdb,
    in_flight: BinaryHeap<Reverse<InFlight>>,
    departures: u64,
    rules: Rules,
    observers: Observers,
    pool: Vec<Vec<u8>>,
    counters: SwitchCounters,
}

impl Segment {
    /// A switch without ports.
    pub fn new(config: Config) -> Self {
        Segment {
            config,
            now: Instant::ZERO,
            ports: Vec::new(),
            fdb: Fdb::new(config.ageing, config.stations_max),
            in_flight: BinaryHeap::new(),
            departures: 0,
            rules: Rules::default(),
            observers: Observers::default(),
            pool: Vec::new(),
            counters: SwitchCounters::default(),
        }
    }

    /// Adds a port: up, with a whole cable without latency.
    ///
    /// # Panics
    /// With more than 65 535 ports.
    pub fn add_port(&mut self) -> PortId {
        let id = u16::try_from(self.ports.len()).expect("a segment has at most 65 535 ports");
        self.ports.push(PortState {
            up: true,
            cut_transmit: false,
            cut_receive: false,
            transmit: Cable::perfect(),
            receive: Cable::perfect(),
            queue: VecDeque::new(),
            counters: PortCounters::default(),
        });
        PortId(id)
    }

    /// Takes a port down or up. Down: both sides see it, the switch forgets the port's stations,
    /// and what waits at the port or arrives later is lost.
    pub fn set_up(&mut self, port: PortId, up: bool) {
        let state = self.port_mut(port);
        state.up = up;
        if up {
            return;
        }
        let waiting = std::mem::take(&mut state.queue);
        state.counters.lost_down += waiting.len() as u64;
        self.fdb.forget_port(port);
        waiting.into_iter().for_each(|frame| self.recycle(frame));
    }

    /// Cuts, or mends, one direction of a port's cable. Neither side can see that.
    pub fn set_cut(&mut self, port: PortId, direction: Direction, cut: bool) {
        let state = self.port_mut(port);
        match direction {
            Direction::Transmit => state.cut_transmit = cut,
            Direction::Receive => state.cut_receive = cut,
        }
    }

    /// Sets how long a frame takes on the cable of a port, each way. Frames on their way keep
    /// their time.
    pub fn set_latency(&mut self, port: PortId, latency: Duration) {
        let port = self.port_mut(port);
        port.transmit.set_latency(latency);
        port.receive.set_latency(latency);
    }

    /// Says what one direction of a port's cable does to frames; `seed` decides what chance does.
    /// Frames on their way keep their time.
    pub fn set_impairment(
        &mut self,
        port: PortId,
        direction: Direction,
        impairment: Impairment,
        seed: u64,
    ) {
        let port = self.port_mut(port);
        match direction {
            Direction::Transmit => port.transmit.set(impairment, seed),
            Direction::Receive => port.receive.set(impairment, seed),
        }
    }

    /// Sets how long the switch remembers a silent station.
    pub fn set_ageing(&mut self, ageing: Duration) {
        self.config.ageing = ageing;
        self.fdb.set_ageing(ageing);
    }

    /// Adds a rule about what may happen on the way: see [`rule`].
    pub fn install(&mut self, rule: impl Rule + 'static) -> RuleId {
        self.rules.install(Box::new(rule))
    }

    /// Removes a rule; false if it was removed before.
    pub fn remove(&mut self, rule: RuleId) -> bool {
        self.rules.remove(rule)
    }

    /// Shows `observer` every frame that a port transmits or receives, or loses, in order.
    pub fn observe(&mut self, observer: impl FnMut(&Observation<'_>) + 'static) {
        self.observers.add(Box::new(observer));
    }

    /// Transmits a frame from a port. Time never goes back: an earlier `now` counts as the latest.
    pub fn send(&mut self, now: Instant, from: PortId, frame: &[u8]) {
        // What arrives before this frame leaves is ahead of it in every queue.
        self.poll(now);
        let (now, fate) = (self.now, self.transmit_fate(from, frame));
        if fate != Fate::Passed {
            return self.note(now, from, Direction::Transmit, frame, fate);
        }
        match self.port_mut(from).transmit.carry(now, frame.len()) {
            Err(loss) => self.note(now, from, Direction::Transmit, frame, Fate::Lost(loss)),
            Ok(carried) => {
                self.note(now, from, Direction::Transmit, frame, Fate::Passed);
                self.convey(now, Leg::In(from), frame, carried);
            }
        }
    }

    /// Delivers every frame that is due by `now`.
    pub fn poll(&mut self, now: Instant) {
        self.now = self.now.max(now);
        while self.in_flight.peek().is_some_and(|Reverse(first)| first.due <= self.now) {
            if let Some(Reverse(InFlight { due, leg, frame, .. })) = self.in_flight.pop() {
                self.arrive(due, leg, frame);
            }
        }
    }

    /// When the next frame arrives that is on its way; `None` if none is.
    pub fn next_delivery(&self) -> Option<Instant> {
        self.in_flight.peek().map(|Reverse(first)| first.due)
    }

    /// Takes the oldest frame that waits at a port and shows it to `receive`.
    pub fn recv<R>(&mut self, port: PortId, receive: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let frame = self.take(port)?;
        let result = receive(&frame);
        self.recycle(frame);
        Some(result)
    }

    /// Frames that wait at a port.
    pub fn rx_len(&self, port: PortId) -> usize {
        self.port(port).queue.len()
    }

    /// Whether a port is up.
    pub fn is_up(&self, port: PortId) -> bool {
        self.port(port).up
    }

    /// All ports.
    pub fn ports(&self) -> impl Iterator<Item = PortId> + use<> {
        (0..self.ports.len() as u16).map(PortId)
    }

    /// Where the switch believes a station to be, at the latest time it was told.
    pub fn station(&self, address: EthernetAddress) -> Option<PortId> {
        self.fdb.find(address, self.now)
    }

    /// What one port has seen.
    pub fn port_counters(&self, port: PortId) -> PortCounters {
        self.port(port).counters
    }

    /// What the switch has done.
    pub fn counters(&self) -> SwitchCounters {
        self.counters
    }

    /// The sizes of the segment.
    pub fn config(&self) -> Config {
        self.config
    }

    fn transmit_fate(&self, from: PortId, frame: &[u8]) -> Fate {
        let gate = self.port(from).gate(Direction::Transmit);
        if gate != Fate::Passed {
            return gate;
        }
        if frame.len() > self.config.mtu + HEADER_LEN_MAX {
            return Fate::Lost(Loss::Oversize);
        }
        match EthernetFrame::new_checked(frame) {
            Ok(header) if !header.src_addr().is_multicast() => Fate::Passed,
            Ok(_) | Err(_) => Fate::Lost(Loss::Malformed),
        }
    }

    /// Learns where the sender is, and says where the frame goes.
    fn route(&mut self, at: Instant, from: PortId, frame: &[u8]) -> Route {
        let header = EthernetFrame::new_unchecked(frame);
        // Damaged on the way, it may come from a group now: nothing is to be learned from it.
        if header.src_addr().is_multicast() {
            self.port_mut(from).counters.lost_malformed += 1;
            return Route::Nowhere;
        }
        match self.fdb.learn(header.src_addr(), from, at) {
            Learned::Known => {}
            Learned::New => self.counters.learned += 1,
            Learned::Moved => self.counters.moved += 1,
            Learned::TableFull => self.counters.table_full += 1,
        }
        let to = header.dst_addr();
        let found = if to.is_unicast() { self.fdb.find(to, at) } else { None };
        let (route, counter) = match found {
            Some(port) if port == from => (Route::Nowhere, &mut self.counters.filtered),
            Some(port) => (Route::One(port), &mut self.counters.forwarded),
            // IEEE 802.1D section 7.12.6: these stop at the first bridge.
            None if matches!(to.0, [0x01, 0x80, 0xc2, 0, 0, 0..=0x0f]) => {
                (Route::Nowhere, &mut self.counters.filtered)
            }
            None => (Route::Flood, &mut self.counters.flooded),
        };
        *counter += 1;
        route
    }

    /// Puts a frame on a cable at `at`: one copy, or two.
    fn convey(&mut self, at: Instant, leg: Leg, frame: &[u8], carried: Carried) {
        if carried.is_untouched(at) {
            // Nearly every frame. The switch reads it where it is: one copy, for the receiver.
            return match leg {
                Leg::In(from) => self.forward(at, from, frame),
                Leg::Out(to) => {
                    let copy = self.copy(frame);
                    self.deliver(at, to, copy);
                }
            };
        }
        let (Leg::In(port) | Leg::Out(port)) = leg;
        let counters = &mut self.port_mut(port).counters;
        counters.duplicated += u64::from(carried.twice);
        counters.held_back += u64::from(carried.held_back);
        counters.corrupted += u64::from(carried.flipped.is_some());
        for _ in 0..1 + usize::from(carried.twice) {
            let mut copy = self.copy(frame);
            if let Some(bit) = carried.flipped
                && let Some(byte) = copy.get_mut(bit / 8)
            {
                *byte ^= 1 << (bit % 8);
            }
            // Due later than `at`, it waits for its turn, even if the time is past already: a poll
            // may be late, and others may be due before.
            if carried.due <= at {
                self.arrive(at, leg, copy);
            } else {
                self.fly(at, carried.due, leg, copy);
            }
        }
    }

    fn fly(&mut self, at: Instant, due: Instant, leg: Leg, frame: Vec<u8>) {
        if self.in_flight.len() >= self.config.in_flight_max {
            let (direction, port) = match leg {
                Leg::In(port) => (Direction::Transmit, port),
                Leg::Out(port) => (Direction::Receive, port),
            };
            let fate = Fate::Lost(Loss::InFlightFull);
            self.note(at, port, direction, &frame, fate);
            return self.recycle(frame);
        }
        let sequence = self.departures;
        self.departures += 1;
        self.in_flight.push(Reverse(InFlight { due, sequence, leg, frame }));
    }

    /// A frame has reached the end of a cable.
    fn arrive(&mut self, at: Instant, leg: Leg, frame: Vec<u8>) {
        match leg {
            Leg::In(from) => {
                self.forward(at, from, &frame);
                self.recycle(frame);
            }
            Leg::Out(to) => self.deliver(at, to, frame),
        }
    }

    /// The switch does its work.
    fn forward(&mut self, at: Instant, from: PortId, frame: &[u8]) {
        match self.route(at, from, frame) {
            Route::One(to) => self.hop(at, from, to, frame),
            Route::Flood => {
                for to in (0..self.ports.len() as u16).map(PortId).filter(|to| *to != from) {
                    self.hop(at, from, to, frame);
                }
            }
            Route::Nowhere => {}
        }
    }

    /// Sends one copy from the switch to a port.
    fn hop(&mut self, at: Instant, from: PortId, to: PortId, frame: &[u8]) {
        let Some(extra) = self.rules.judge(&Hop { at, from, to, frame }) else {
            return self.note(at, to, Direction::Receive, frame, Fate::Lost(Loss::Rule));
        };
        match self.port_mut(to).receive.carry(at + extra, frame.len()) {
            Err(loss) => self.note(at, to, Direction::Receive, frame, Fate::Lost(loss)),
            Ok(carried) => self.convey(at, Leg::Out(to), frame, carried),
        }
    }

    fn deliver(&mut self, at: Instant, to: PortId, frame: Vec<u8>) {
        let state = self.port(to);
        let full = state.queue.len() >= self.config.queue_depth;
        let fate = match state.gate(Direction::Receive) {
            Fate::Passed if full => Fate::Lost(Loss::QueueFull),
            fate @ (Fate::Passed | Fate::Lost(_)) => fate,
        };
        self.note(at, to, Direction::Receive, &frame, fate);
        match fate {
            Fate::Passed => self.port_mut(to).queue.push_back(frame),
            Fate::Lost(_) => self.recycle(frame),
        }
    }

    /// Counts and shows what became of a frame.
    fn note(&mut self, at: Instant, port: PortId, direction: Direction, frame: &[u8], fate: Fate) {
        self.port_mut(port).counters.count(direction, fate);
        self.observers.show(&Observation { at, port, direction, frame, fate });
    }

    fn take(&mut self, port: PortId) -> Option<Vec<u8>> {
        self.port_mut(port).queue.pop_front()
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.pool.pop().unwrap_or_default()
    }

    fn copy(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut copy = self.buffer();
        copy.extend_from_slice(frame);
        copy
    }

    fn recycle(&mut self, mut frame: Vec<u8>) {
        if self.pool.len() < self.config.queue_depth {
            frame.clear();
            self.pool.push(frame);
        }
    }

    fn port(&self, id: PortId) -> &PortState {
        self.ports.get(id.index()).expect("a PortId is used with the segment that issued it")
    }

    fn port_mut(&mut self, id: PortId) -> &mut PortState {
        self.ports.get_mut(id.index()).expect("a PortId is used with the segment that issued it")
    }
}

#[cfg(test)]
mod tests;
