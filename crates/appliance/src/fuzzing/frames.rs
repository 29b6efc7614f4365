//! Frames by template: what stations send, with any field wrong, and checksums that are right.

use locum_types::{BootNonce, Health, LogPosition, Mode, Priority, ResignReason, Term};
use locum_wire::{BEAT_LEN, Beat, Intent, TimestampEcho, seal};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, Icmpv4Packet, Icmpv6Packet, IpAddress, IpProtocol, IpRepr, TcpPacket,
    UdpPacket,
};

use super::stage::{self, Stage, address};
use super::tape::Tape;
use super::world::Talk;
use crate::datagram::{self, End};

/// The ports that scripts can name: echo, discard, chargen, http, beats, closed ones.
const PORTS: [u16; 8] = [7, 9, 19, 80, stage::BEAT_PORT, 1, 65_535, 0];
const FIRST_CLIENT_PORT: u16 = 40_000;
/// Conversations per address family.
pub(super) const CLIENT_PORTS: u16 = 4;

/// The index of a client's port among its conversations.
pub(super) fn client_index(port: u16) -> Option<usize> {
    let index = port.checked_sub(FIRST_CLIENT_PORT)?;
    (index < CLIENT_PORTS).then_some(usize::from(index))
}

/// The bytes of an input, on the way to becoming frames.
pub(super) struct Maker<'a, 'b> {
    pub(super) stage: &'a Stage,
    pub(super) tape: &'a mut Tape<'b>,
}

impl Maker<'_, '_> {
    /// Two codes of three bits, and two flags.
    fn pair(&mut self) -> (u8, u8, u8) {
        let byte = self.tape.byte();
        (byte & 7, byte >> 3 & 7, byte >> 6)
    }

    /// The Ethernet addresses: destination and source.
    fn ethernet(&mut self, ethertype: u16) -> Vec<u8> {
        let (destination, source, _) = self.pair();
        ethernet(self.stage.mac(source), self.stage.mac(destination), ethertype)
    }

    /// Any bytes behind a good Ethernet header, or without one.
    pub(super) fn raw(&mut self) -> Vec<u8> {
        let mut frame = match self.tape.byte() & 3 {
            0 => Vec::new(),
            1 => self.ethernet(0x0806),
            2 => self.ethernet(0x0800),
            _ => self.ethernet(0x86dd),
        };
        frame.extend_from_slice(self.tape.bytes());
        frame
    }

    /// ARP: a request or a reply, with every address chosen.
    pub(super) fn arp(&mut self) -> Vec<u8> {
        let mut frame = self.ethernet(0x0806);
        let (sender_mac, sender, is_reply) = self.pair();
        let (target_mac, target, _) = self.pair();
        frame.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1 + (is_reply & 1)]);
        for (mac, code) in [(sender_mac, sender), (target_mac, target)] {
            frame.extend_from_slice(self.stage.mac(mac).as_bytes());
            frame.extend_from_slice(&octets(address(false, code)));
        }
        frame
    }

    /// Neighbour and router discovery, with or without the option that carries a MAC.
    pub(super) fn ndp(&mut self) -> Vec<u8> {
        let ethernet = self.ethernet(0x86dd);
        let (kind, option, flags) = self.pair();
        let (source, destination, has_option) = self.pair();
        let (target, mac, hops) = self.pair();
        let kind = [135, 136, 133, 134, 137, 130, 131, 143][usize::from(kind)];
        let mut message = vec![kind, 0, 0, 0, flags << 6 | 0x20, 0, 0, 0];
        message.extend_from_slice(&octets(address(true, target)));
        if has_option != 0 {
            message.extend_from_slice(&[option, has_option]);
            message.extend_from_slice(self.stage.mac(mac).as_bytes());
        }
        let ends = (address(true, source), address(true, destination));
        ip(ethernet, ends, IpProtocol::Icmpv6, 255 - hops, message)
    }

    /// A segment of one of the client's conversations, somewhere near where it is.
    pub(super) fn tcp(&mut self, talks: &mut [[Talk; 4]; 2]) -> Vec<u8> {
        let (port, client, is_v6) = self.pair();
        let (client, is_v6) = (client & 3, is_v6 & 1 == 1);
        let flags = self.tape.byte();
        let (sequence, acknowledgement) = (self.tape.delta(), self.tape.delta());
        let window = [0, 1, 100, 536, 1_460, 4_096, 32_768, 65_535]
            [usize::from(self.tape.byte() & 7)] as u16;
        let payload = self.tape.bytes();

        let talk = &mut talks[usize::from(is_v6)][usize::from(client)];
        let sequence = talk.client_next.wrapping_add_signed(sequence.into());
        let acknowledgement = talk.service_next.wrapping_add_signed(acknowledgement.into());
        let controls = u32::from(flags & 1) + u32::from(flags >> 1 & 1);
        talk.client_next = sequence.wrapping_add(payload.len() as u32 + controls);

        let mut segment = Vec::with_capacity(24 + payload.len());
        segment.extend_from_slice(&(FIRST_CLIENT_PORT + u16::from(client)).to_be_bytes());
        segment.extend_from_slice(&PORTS[usize::from(port)].to_be_bytes());
        segment.extend_from_slice(&sequence.to_be_bytes());
        segment.extend_from_slice(&acknowledgement.to_be_bytes());
        segment.extend_from_slice(&[6 << 4, flags]);
        segment.extend_from_slice(&window.to_be_bytes());
        segment.extend_from_slice(&[0, 0, 0, 0, 2, 4, 0x02, 0x18]);
        segment.extend_from_slice(payload);
        self.packet_of_client(is_v6, IpProtocol::Tcp, segment)
    }

    /// A datagram of the client.
    pub(super) fn udp(&mut self) -> Vec<u8> {
        let (port, client, is_v6) = self.pair();
        let payload = self.tape.bytes();
        let mut udp = Vec::with_capacity(8 + payload.len());
        udp.extend_from_slice(&(FIRST_CLIENT_PORT + u16::from(client)).to_be_bytes());
        udp.extend_from_slice(&PORTS[usize::from(port)].to_be_bytes());
        udp.extend_from_slice(&(8 + payload.len() as u16).to_be_bytes());
        udp.extend_from_slice(&[0, 0]);
        udp.extend_from_slice(payload);
        self.packet_of_client(is_v6 & 1 == 1, IpProtocol::Udp, udp)
    }

    /// An ICMP message of the client: an echo request, or another type.
    pub(super) fn icmp(&mut self) -> Vec<u8> {
        let kind = self.tape.byte();
        let (is_v6, kind) = (kind & 1 == 1, kind >> 1);
        let payload = self.tape.bytes();
        let echo_request = if is_v6 { 128 } else { 8 };
        let mut message = vec![if kind == 0 { echo_request } else { kind }, 0, 0, 0, 0, 1, 0, 1];
        message.extend_from_slice(payload);
        let protocol = if is_v6 { IpProtocol::Icmpv6 } else { IpProtocol::Icmp };
        self.packet_of_client(is_v6, protocol, message)
    }

    fn packet_of_client(&self, is_v6: bool, protocol: IpProtocol, transport: Vec<u8>) -> Vec<u8> {
        let ethertype = if is_v6 { 0x86dd } else { 0x0800 };
        let ethernet = ethernet(self.stage.mac(3), self.stage.mac(0), ethertype);
        ip(ethernet, (address(is_v6, 3), address(is_v6, 0)), protocol, 64, transport)
    }

    /// A beat to node `to`, sealed with the key of the group: from its peer, from another node with its
    /// own id, or from a node that is not configured.
    pub(super) fn beat(&mut self, to: u8, known: Known) -> Option<Vec<u8>> {
        let (who, which, mood) = (self.tape.byte(), self.tape.byte(), self.tape.byte());
        let (delta, priority, pace) = (self.tape.delta(), self.tape.byte(), self.tape.byte());
        let peer = 3 - to;
        let from = [peer, peer, to, 9][usize::from(who & 3)];
        let receiver = if from == to { peer } else { to };
        let boots = [known.peer_boot, stage::boot(peer, 1 << 20), known.own_boot, BootNonce(0)];
        let echoes = [Some(known.own_boot), None, Some(BootNonce(1)), Some(known.peer_boot)];
        let sequences = [known.sequence, u64::MAX, 1, known.sequence + 1_000];
        let reason = ResignReason::from_code(pace >> 5).unwrap_or(ResignReason::Crash);
        let interval = stage::INTERVAL * u32::from(pace & 3) + stage::INTERVAL / 10;
        let held_us = u32::from(priority) << 12;
        let beat = Beat {
            group: stage::group(),
            from: stage::node(from),
            to: stage::node(receiver),
            boot: boots[usize::from(who >> 2 & 3)],
            echo: echoes[usize::from(who >> 4 & 3)],
            sequence: sequences[usize::from(who >> 6)],
            term: term(known.term, delta),
            mode: Mode::ALL[usize::from(which & 3)],
            health: [Health::Ok, Health::Degraded, Health::Failed, Health::Ok]
                [usize::from(which >> 2 & 3)],
            priority: Priority::new(priority.clamp(1, 254)).expect("in range"),
            position: LogPosition(u64::from(mood >> 6)),
            isolated: false,
            interval,
            dead_after: interval * (2 + u32::from(pace >> 2 & 7)),
            heard: u32::from(mood) * 0x0101_0101,
            heard_age_us: (mood & 1 == 0).then_some(held_us),
            timestamp: known.timestamp,
            timestamp_echo: (mood & 2 == 0)
                .then_some(TimestampEcho { timestamp: known.timestamp, held_us }),
            intent: [Intent::None, Intent::Resign(reason), Intent::Offer(reason), Intent::Request]
                [usize::from(which >> 4 & 3)],
        };
        let mut sealed = [0; BEAT_LEN];
        let len = seal(&beat, &stage::key(), &mut sealed);
        let end = |id: u8| End { mac: self.stage.mac(id), address: self.stage.node_address(id) };
        let source =
            if from == peer { end(peer) } else { End { mac: self.stage.mac(to), ..end(peer) } };
        datagram::frame(source, end(to), stage::BEAT_PORT, &sealed[..len])
    }
}

/// What the author of a beat knows about its receiver.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) own_boot: BootNonce,
    pub(super) peer_boot: BootNonce,
    pub(super) sequence: u64,
    pub(super) term: Term,
    /// Microseconds of the receiver's clock.
    pub(super) timestamp: u32,
}

/// Who has the service address? From the client, to everybody.
pub(super) fn arp_request(stage: &Stage) -> Vec<u8> {
    // Broadcast from the client; the client; a request for the service address.
    let codes = [6 | 3 << 3, 3 | 3 << 3, 5];
    Maker { stage, tape: &mut Tape::new(&codes) }.arp()
}

/// Harm done on the way: most often none, else the end is cut off, or a byte is changed.
pub(super) fn mangle(code: u8, frame: &mut Vec<u8>) {
    match code {
        0..64 => {}
        64..160 => frame.truncate(usize::from(code - 64)),
        160.. => {
            let at = usize::from(code - 160);
            if let Some(byte) = frame.get_mut(at) {
                *byte ^= 1 << (at % 8);
            }
        }
    }
}

fn term(known: Term, delta: i8) -> Term {
    match delta {
        i8::MIN => Term(u64::MAX),
        delta => Term(known.0.saturating_add_signed(delta.into())),
    }
}

fn ethernet(source: EthernetAddress, destination: EthernetAddress, ethertype: u16) -> Vec<u8> {
    let mut header = Vec::with_capacity(128);
    header.extend_from_slice(destination.as_bytes());
    header.extend_from_slice(source.as_bytes());
    header.extend_from_slice(&ethertype.to_be_bytes());
    header
}

/// A packet behind an Ethernet header, with every checksum right.
fn ip(
    mut frame: Vec<u8>,
    (source, destination): (IpAddress, IpAddress),
    protocol: IpProtocol,
    hop_limit: u8,
    mut transport: Vec<u8>,
) -> Vec<u8> {
    match (protocol, source, destination) {
        (IpProtocol::Tcp, ..) => {
            TcpPacket::new_unchecked(&mut transport[..]).fill_checksum(&source, &destination);
        }
        (IpProtocol::Udp, ..) => {
            UdpPacket::new_unchecked(&mut transport[..]).fill_checksum(&source, &destination);
        }
        (IpProtocol::Icmpv6, IpAddress::Ipv6(source), IpAddress::Ipv6(destination)) => {
            Icmpv6Packet::new_unchecked(&mut transport[..]).fill_checksum(&source, &destination);
        }
        _ => Icmpv4Packet::new_unchecked(&mut transport[..]).fill_checksum(),
    }
    let header = IpRepr::new(source, destination, protocol, transport.len(), hop_limit);
    let start = frame.len();
    frame.resize(start + header.header_len(), 0);
    header.emit(&mut frame[start..], &ChecksumCapabilities::default());
    frame.append(&mut transport);
    frame
}

fn octets(address: IpAddress) -> Vec<u8> {
    match address {
        IpAddress::Ipv4(address) => address.octets().to_vec(),
        IpAddress::Ipv6(address) => address.octets().to_vec(),
    }
}
