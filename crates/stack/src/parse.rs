//! Where a frame belongs, by its headers alone.

use std::net::{IpAddr, SocketAddr};

use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet,
    Ipv6Packet, TcpPacket, UdpPacket,
};

/// The ends of a TCP connection, as this stack sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// The client.
    pub remote: SocketAddr,
    /// The service.
    pub local: SocketAddr,
}

/// The part of a TCP header that admission and the filter look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) tuple: Tuple,
    pub(crate) sequence: u32,
    /// The acknowledgement number, if there is one.
    pub(crate) ack: Option<u32>,
    pub(crate) syn: bool,
    pub(crate) rst: bool,
    /// What it takes of the sequence space: payload, SYN and FIN.
    pub(crate) len: usize,
}

impl Segment {
    /// Whether it asks for a new connection.
    pub(crate) fn opens(&self) -> bool {
        self.syn && self.ack.is_none() && !self.rst
    }
}

/// What a frame carries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Payload {
    Tcp(Segment),
    /// The destination port.
    Udp(u16),
    Malformed,
    Other,
}

/// A frame, as far as the stack needs to know it before smoltcp does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parsed {
    pub(crate) source_mac: EthernetAddress,
    pub(crate) destination_mac: EthernetAddress,
    /// Source and destination of an IP packet.
    pub(crate) ends: Option<(IpAddress, IpAddress)>,
    pub(crate) payload: Payload,
}

pub(crate) fn parse(frame: &[u8]) -> Option<Parsed> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let (source_mac, destination_mac) = (ethernet.src_addr(), ethernet.dst_addr());
    let packet = ip(ethernet.ethertype(), ethernet.payload());
    let ends = packet.map(|(source, destination, _, _)| (source, destination));
    let payload = match packet {
        Some((source, destination, IpProtocol::Tcp, bytes)) => {
            tcp(source, destination, bytes).map_or(Payload::Malformed, Payload::Tcp)
        }
        Some((_, _, IpProtocol::Udp, bytes)) => UdpPacket::new_checked(bytes)
            .map_or(Payload::Malformed, |datagram| Payload::Udp(datagram.dst_port())),
        Some(_) | None => Payload::Other,
    };
    Some(Parsed { source_mac, destination_mac, ends, payload })
}

type Ip<'a> = (IpAddress, IpAddress, IpProtocol, &'a [u8]);

fn ip(protocol: EthernetProtocol, bytes: &[u8]) -> Option<Ip<'_>> {
    match protocol {
        EthernetProtocol::Ipv4 => {
            // Only the first fragment has a transport header, and smoltcp reassembles nothing here.
            let packet = Ipv4Packet::new_checked(bytes).ok()?;
            if packet.more_frags() || packet.frag_offset() != 0 {
                return None;
            }
            let (source, destination) = (packet.src_addr().into(), packet.dst_addr().into());
            Some((source, destination, packet.next_header(), packet.payload()))
        }
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(bytes).ok()?;
            let (source, destination) = (packet.src_addr().into(), packet.dst_addr().into());
            Some((source, destination, packet.next_header(), packet.payload()))
        }
        EthernetProtocol::Arp | EthernetProtocol::Unknown(_) => None,
    }
}

fn tcp(source: IpAddress, destination: IpAddress, bytes: &[u8]) -> Option<Segment> {
    let packet = TcpPacket::new_checked(bytes).ok()?;
    Some(Segment {
        tuple: Tuple {
            remote: socket_addr(source, packet.src_port()),
            local: socket_addr(destination, packet.dst_port()),
        },
        sequence: packet.seq_number().0 as u32,
        ack: packet.ack().then(|| packet.ack_number().0 as u32),
        syn: packet.syn(),
        rst: packet.rst(),
        len: packet.segment_len(),
    })
}

/// smoltcp's address and a port as the standard library writes them.
pub(crate) fn socket_addr(address: IpAddress, port: u16) -> SocketAddr {
    let address = match address {
        IpAddress::Ipv4(address) => IpAddr::V4(address),
        IpAddress::Ipv6(address) => IpAddr::V6(address),
    };
    SocketAddr::new(address, port)
}
