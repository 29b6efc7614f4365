//! A client machine: a smoltcp interface of its own, a neighbour table as Linux has one, and the
//! programs that run on it.

mod packets;

use locum_types::Instant;
use smoltcp::iface::{Config, Interface, PollResult, SocketSet};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use crate::neighbour::{HEADER_LEN, Habits, NeighbourCounters, NeighbourState, NeighbourTable};
use crate::program::Program;
use packets::Packets;

/// Packets that the stack may send in one turn.
const PACKETS_MAX: usize = 256;

/// What makes a client machine differ from others.
#[derive(Clone, Debug)]
pub struct HostSettings {
    /// How it treats its neighbours.
    pub habits: Habits,
    /// Largest IP packet that it takes; its MSS follows from that.
    pub mtu: usize,
    /// Seeds what its stack draws: the first is the initial sequence number of its first connection.
    pub seed: u64,
}

/// A client machine on a segment.
///
/// Its interface knows IP alone: smoltcp's own neighbour cache, which asks for one neighbour a
/// second and learns from no announcement, plays no part.
pub struct Host {
    name: String,
    interface: Interface,
    sockets: SocketSet<'static>,
    packets: Packets,
    neighbours: NeighbourTable,
    programs: Vec<Program>,
}

impl Host {
    /// A machine with one MAC and its addresses, running nothing yet, with the habits of a Linux of
    /// today.
    pub fn new(
        name: &str,
        mac: EthernetAddress,
        addresses: &[IpCidr],
        seed: u64,
        now: Instant,
    ) -> Self {
        Host::with_habits(name, mac, addresses, Habits::default(), seed, now)
    }

    /// As [`Host::new`], for a machine that treats its neighbours in its own way.
    pub fn with_habits(
        name: &str,
        mac: EthernetAddress,
        addresses: &[IpCidr],
        habits: Habits,
        seed: u64,
        now: Instant,
    ) -> Self {
        let settings = HostSettings { habits, mtu: 1500, seed };
        Host::with_settings(name, mac, addresses, settings, now)
    }

    /// As [`Host::new`], with settings of its own.
    pub fn with_settings(
        name: &str,
        mac: EthernetAddress,
        addresses: &[IpCidr],
        settings: HostSettings,
        now: Instant,
    ) -> Self {
        let HostSettings { habits, mtu, seed } = settings;
        let mut packets = Packets::new(mtu, PACKETS_MAX);
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut packets, now.into());
        interface.update_ip_addrs(|list| {
            for address in addresses {
                list.push(*address).expect("a host has at most eight addresses");
            }
        });
        Host {
            name: name.to_owned(),
            interface,
            sockets: SocketSet::new(Vec::new()),
            packets,
            neighbours: NeighbourTable::new(mac, addresses, habits, seed),
            programs: Vec::new(),
        }
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts a program; returns its index.
    pub fn run(&mut self, program: impl FnOnce(&mut SocketSet<'static>) -> Program) -> usize {
        self.programs.push(program(&mut self.sockets));
        self.programs.len() - 1
    }

    /// The programs, in the order they were started.
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// Takes a frame off the wire.
    pub fn receive(&mut self, now: Instant, frame: &[u8]) {
        if let Some(packet) = self.neighbours.receive(now, frame) {
            self.packets.lay(packet);
            self.interface.poll_ingress_single(now.into(), &mut self.packets, &mut self.sockets);
            self.drain(now);
        }
    }

    /// Lets the programs and the stack work.
    pub fn turn(&mut self, now: Instant) {
        self.neighbours.handle_timeout(now);
        for program in &mut self.programs {
            program.turn(now, &mut self.interface, &mut self.sockets);
        }
        self.interface.poll_maintenance(now.into());
        for _ in 0..PACKETS_MAX {
            let result =
                self.interface.poll_egress(now.into(), &mut self.packets, &mut self.sockets);
            if matches!(result, PollResult::None) {
                break;
            }
        }
        self.drain(now);
    }

    /// Hands the oldest frame to transmit to `send`.
    pub fn poll_transmit<R>(&mut self, send: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let frame = self.neighbours.poll_transmit()?;
        let result = send(&frame);
        self.packets.recycle(frame);
        Some(result)
    }

    /// When the next turn is due.
    pub fn poll_deadline(&mut self, now: Instant) -> Option<Instant> {
        let stack = self.interface.poll_at(now.into(), &self.sockets).map(Instant::from);
        let programs = self.programs.iter().filter_map(Program::deadline);
        programs.chain(stack).chain(self.neighbours.poll_deadline()).min()
    }

    /// Where it would send a frame for `ip` on its link now, if anywhere.
    pub fn neighbour(&self, ip: IpAddress) -> Option<EthernetAddress> {
        self.neighbours.neighbour(ip)
    }

    /// What it holds of its neighbour `ip`; `None` if nothing.
    pub fn neighbour_state(&self, ip: IpAddress) -> Option<NeighbourState> {
        self.neighbours.state(ip)
    }

    /// Its frames that did not leave, by reason.
    pub fn neighbour_counters(&self) -> NeighbourCounters {
        self.neighbours.counters()
    }

    /// Gives what the stack sent to the neighbour table.
    fn drain(&mut self, now: Instant) {
        while let Some(mut frame) = self.packets.take() {
            self.programs.iter().for_each(|program| program.word(&mut frame[HEADER_LEN..]));
            self.neighbours.send(now, frame);
        }
    }

    /// The address a program on this host would use to reach `peer`.
    pub fn source_for(&self, peer: IpAddress) -> Option<IpAddress> {
        self.interface.get_source_address(&peer)
    }
}
