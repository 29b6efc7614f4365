//! A client machine: a smoltcp interface of its own and the programs that run on it.

use locum_gate::FrameQueue;
use locum_types::Instant;
use smoltcp::iface::{Config, Interface, PollResult, SocketSet};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    HardwareAddress, IpAddress, IpCidr,
};

use crate::program::Program;

/// Frames each way that may wait for one turn.
const FRAMES_MAX: usize = 256;
const MTU: usize = 1500;

/// A client machine on a segment.
pub struct Host {
    name: String,
    mac: EthernetAddress,
    interface: Interface,
    sockets: SocketSet<'static>,
    frames: FrameQueue,
    programs: Vec<Program>,
}

impl Host {
    /// A machine with one MAC and its addresses, running nothing yet.
    pub fn new(
        name: &str,
        mac: EthernetAddress,
        addresses: &[IpCidr],
        seed: u64,
        now: Instant,
    ) -> Self {
        let mut frames = FrameQueue::new(MTU, FRAMES_MAX);
        let mut config = Config::new(HardwareAddress::Ethernet(mac));
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut frames, now.into());
        interface.update_ip_addrs(|list| {
            for address in addresses {
                list.push(*address).expect("a host has at most eight addresses");
            }
        });
        let sockets = SocketSet::new(Vec::new());
        Host { name: name.to_owned(), mac, interface, sockets, frames, programs: Vec::new() }
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
        if let Some(directed) = self.directed(frame) {
            self.frames.push(&directed);
        }
        self.frames.push(frame);
        while self.frames.rx_len() > 0 {
            self.interface.poll_ingress_single(now.into(), &mut self.frames, &mut self.sockets);
        }
    }

    /// Lets the programs and the stack work.
    pub fn turn(&mut self, now: Instant) {
        for program in &mut self.programs {
            program.turn(now, &mut self.interface, &mut self.sockets);
        }
        self.interface.poll_maintenance(now.into());
        for _ in 0..FRAMES_MAX {
            let result =
                self.interface.poll_egress(now.into(), &mut self.frames, &mut self.sockets);
            if matches!(result, PollResult::None) {
                break;
            }
        }
    }

    /// Hands the oldest frame to transmit to `send`.
    pub fn poll_transmit<R>(&mut self, send: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.frames.pop_transmit(send)
    }

    /// When the next turn is due.
    pub fn poll_deadline(&mut self, now: Instant) -> Option<Instant> {
        let stack = self.interface.poll_at(now.into(), &self.sockets).map(Instant::from);
        let programs = self.programs.iter().filter_map(Program::deadline);
        programs.chain(stack).min()
    }

    /// A gratuitous ARP as an operating system hears it: smoltcp looks at none that is not addressed
    /// to it, so one that moves a neighbour is turned into a reply to this host.
    fn directed(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let ethernet = EthernetFrame::new_checked(frame).ok()?;
        if ethernet.ethertype() != EthernetProtocol::Arp {
            return None;
        }
        let ArpRepr::EthernetIpv4 {
            source_hardware_addr,
            source_protocol_addr,
            target_protocol_addr,
            ..
        } = ArpRepr::parse(&ArpPacket::new_checked(ethernet.payload()).ok()?).ok()?
        else {
            return None;
        };
        let ours = self.interface.ipv4_addr()?;
        let gratuitous = source_protocol_addr == target_protocol_addr;
        if !gratuitous || source_protocol_addr == ours {
            return None;
        }
        let reply = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr,
            source_protocol_addr,
            target_hardware_addr: self.mac,
            target_protocol_addr: ours,
        };
        let mut bytes = vec![0; 14 + reply.buffer_len()];
        let mut outer = EthernetFrame::new_unchecked(&mut bytes[..]);
        outer.set_src_addr(source_hardware_addr);
        outer.set_dst_addr(self.mac);
        outer.set_ethertype(EthernetProtocol::Arp);
        reply.emit(&mut ArpPacket::new_unchecked(outer.payload_mut()));
        Some(bytes)
    }

    /// The address a program on this host would use to reach `peer`.
    pub fn source_for(&self, peer: IpAddress) -> Option<IpAddress> {
        self.interface.get_source_address(&peer)
    }
}
