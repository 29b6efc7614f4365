//! Where a frame belongs, by its headers alone.

use std::net::{IpAddr, SocketAddr};

use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, IpVersion, Ipv4Packet,
    Ipv6Packet, TcpOption, TcpPacket, TcpSeqNumber, UdpPacket,
};

use crate::forge::Negotiated;

/// What a client takes that does not say (RFC 9293 §3.7.1).
const MSS_V4: u16 = 536;
const MSS_V6: u16 = 1_220;
/// The FIN bit, in the 16-bit word of the header that it is in.
const FIN: u32 = 1;
/// The largest window scale (RFC 7323 §2.3).
const SCALE_MAX: u8 = 14;

/// The ends of a TCP connection, as this stack sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
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
    /// The client's window, not scaled.
    pub(crate) window: u16,
    pub(crate) syn: bool,
    pub(crate) rst: bool,
    pub(crate) fin: bool,
    /// What it takes of the sequence space: payload, SYN and FIN.
    pub(crate) len: usize,
}

impl Segment {
    /// Whether it asks for a new connection.
    pub(crate) fn opens(&self) -> bool {
        self.syn && self.ack.is_none() && !self.rst
    }

    /// Whether it neither begins nor ends anything.
    pub(crate) fn is_plain(&self) -> bool {
        !(self.syn || self.fin || self.rst)
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
    let ends = packet.as_ref().map(|packet| (packet.source, packet.destination));
    let payload = match packet {
        Some(packet) if packet.protocol == IpProtocol::Tcp => {
            tcp(&packet).map_or(Payload::Malformed, Payload::Tcp)
        }
        Some(packet) if packet.protocol == IpProtocol::Udp => {
            UdpPacket::new_checked(packet.payload)
                .map_or(Payload::Malformed, |datagram| Payload::Udp(datagram.dst_port()))
        }
        Some(_) | None => Payload::Other,
    };
    Some(Parsed { source_mac, destination_mac, ends, payload })
}

/// An IP packet of either family.
struct Packet<'a> {
    source: IpAddress,
    destination: IpAddress,
    protocol: IpProtocol,
    header_len: usize,
    payload: &'a [u8],
}

fn ip(protocol: EthernetProtocol, bytes: &[u8]) -> Option<Packet<'_>> {
    match protocol {
        EthernetProtocol::Ipv4 => {
            // Only the first fragment has a transport header, and smoltcp reassembles nothing here.
            let packet = Ipv4Packet::new_checked(bytes).ok()?;
            let whole = !packet.more_frags() && packet.frag_offset() == 0;
            let whole = whole && packet.verify_checksum();
            whole.then(|| Packet {
                source: packet.src_addr().into(),
                destination: packet.dst_addr().into(),
                protocol: packet.next_header(),
                header_len: usize::from(packet.header_len()),
                payload: packet.payload(),
            })
        }
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(bytes).ok()?;
            Some(Packet {
                source: packet.src_addr().into(),
                destination: packet.dst_addr().into(),
                protocol: packet.next_header(),
                header_len: packet.header_len(),
                payload: packet.payload(),
            })
        }
        EthernetProtocol::Arp | EthernetProtocol::Unknown(_) => None,
    }
}

/// A segment that arrived as it was sent: what the filter does about one cannot be undone when
/// smoltcp finds it damaged.
fn tcp(ip: &Packet<'_>) -> Option<Segment> {
    let packet = TcpPacket::new_checked(ip.payload).ok()?;
    packet.verify_checksum(&ip.source, &ip.destination).then(|| Segment {
        tuple: Tuple {
            remote: socket_addr(ip.source, packet.src_port()),
            local: socket_addr(ip.destination, packet.dst_port()),
        },
        sequence: packet.seq_number().0 as u32,
        ack: packet.ack().then(|| packet.ack_number().0 as u32),
        window: packet.window_len(),
        syn: packet.syn(),
        rst: packet.rst(),
        fin: packet.fin(),
        len: packet.segment_len(),
    })
}

/// What the SYN in a frame offers (RFC 9293 §3.7.1, RFC 7323 §2.2, RFC 2018 §2).
pub(crate) fn offered(frame: &[u8]) -> Option<Negotiated> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let ip = ip(ethernet.ethertype(), ethernet.payload())?;
    let packet = TcpPacket::new_checked(ip.payload).ok()?;
    let default = if ip.source.version() == IpVersion::Ipv4 { MSS_V4 } else { MSS_V6 };
    let mut offered = Negotiated { mss: default, window_scale: None, sack: false };
    let mut options = packet.options();
    while !options.is_empty() {
        let (rest, option) = TcpOption::parse(options).ok()?;
        match option {
            TcpOption::MaxSegmentSize(mss) => offered.mss = mss,
            TcpOption::WindowScale(scale) => offered.window_scale = Some(scale.min(SCALE_MAX)),
            TcpOption::SackPermitted => offered.sack = true,
            TcpOption::EndOfList => break,
            TcpOption::NoOperation
            | TcpOption::SackRange(_)
            | TcpOption::TimeStamp { .. }
            | TcpOption::Unknown { .. } => {}
        }
        options = rest;
    }
    Some(offered)
}

/// A copy of a frame with a TCP segment, with another sequence number.
pub(crate) fn with_sequence(frame: &[u8], sequence: u32) -> Option<Vec<u8>> {
    edited(frame, |packet| {
        let old = packet.seq_number().0 as u32;
        packet.set_seq_number(TcpSeqNumber(sequence as i32));
        (old, sequence)
    })
}

/// A copy of a frame with a TCP segment that has a FIN, without it.
pub(crate) fn without_fin(frame: &[u8]) -> Option<Vec<u8>> {
    edited(frame, |packet| {
        packet.set_fin(false);
        (FIN, 0)
    })
}

/// A copy of a frame with a TCP segment, changed. The checksum is brought forward from the old bits to the new ones
/// (RFC 1624), which is cheaper than to make it anew.
fn edited(
    frame: &[u8],
    change: impl FnOnce(&mut TcpPacket<&mut [u8]>) -> (u32, u32),
) -> Option<Vec<u8>> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let ip = ip(ethernet.ethertype(), ethernet.payload())?;
    let packet = TcpPacket::new_checked(ip.payload).ok()?;
    let checksum = packet.checksum();
    let start = frame.len() - ethernet.payload().len() + ip.header_len;
    let mut copy = frame.to_vec();
    let mut packet = TcpPacket::new_unchecked(copy.get_mut(start..start + ip.payload.len())?);
    let (old, new) = change(&mut packet);
    packet.set_checksum(carried(checksum, old, new));
    Some(copy)
}

/// A checksum after 32 bits under it have changed (RFC 1624, equation 3).
fn carried(checksum: u16, old: u32, new: u32) -> u16 {
    let halves = |word: u32| (word >> 16) + (word & 0xffff);
    let mut sum = u32::from(!checksum) + halves(!old) + halves(new);
    while sum > 0xffff {
        sum = halves(sum);
    }
    !(sum as u16)
}

/// smoltcp's address and a port as the standard library writes them.
pub(crate) fn socket_addr(address: IpAddress, port: u16) -> SocketAddr {
    let address = match address {
        IpAddress::Ipv4(address) => IpAddr::V4(address),
        IpAddress::Ipv6(address) => IpAddr::V6(address),
    };
    SocketAddr::new(address, port)
}
