//! Frames from their parts, with every checksum right. Whoever wants one wrong spoils it afterwards.

use std::net::{Ipv4Addr, Ipv6Addr};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, Icmpv4Packet, Icmpv6Packet, IpAddress,
    IpProtocol, IpRepr, Ipv4Packet, TcpPacket, UdpPacket,
};

use super::target::Station;

/// Length of an Ethernet header without a tag.
pub(super) const HEADER_LEN: usize = 14;
pub(super) const ETHERTYPE_ARP: u16 = 0x0806;
pub(super) const ETHERTYPE_IPV4: u16 = 0x0800;
pub(super) const ETHERTYPE_IPV6: u16 = 0x86dd;
pub(super) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
pub(super) const NO_MAC: EthernetAddress = EthernetAddress([0; 6]);

/// ICMPv6 types of neighbour discovery (RFC 4861 §4).
pub(super) mod ndp {
    pub(in super::super) const ROUTER_ADVERT: u8 = 134;
    pub(in super::super) const SOLICIT: u8 = 135;
    pub(in super::super) const ADVERT: u8 = 136;
    pub(in super::super) const REDIRECT: u8 = 137;
    pub(in super::super) const SOURCE_MAC: u8 = 1;
    pub(in super::super) const TARGET_MAC: u8 = 2;
}

/// `payload` behind an Ethernet header.
pub(super) fn ethernet(
    source: EthernetAddress,
    destination: EthernetAddress,
    ethertype: u16,
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_LEN + payload.len());
    frame.extend_from_slice(destination.as_bytes());
    frame.extend_from_slice(source.as_bytes());
    frame.extend_from_slice(&ethertype.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// ARP from `sender` to the station `destination`; its Ethernet source is `source`.
pub(super) fn arp(
    (source, destination): (EthernetAddress, EthernetAddress),
    operation: ArpOperation,
    sender: (EthernetAddress, Ipv4Addr),
    target: (EthernetAddress, Ipv4Addr),
) -> Vec<u8> {
    let repr = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: sender.0,
        source_protocol_addr: sender.1,
        target_hardware_addr: target.0,
        target_protocol_addr: target.1,
    };
    let mut payload = vec![0; repr.buffer_len()];
    repr.emit(&mut ArpPacket::new_unchecked(&mut payload[..]));
    ethernet(source, destination, ETHERTYPE_ARP, &payload)
}

/// An IP packet with `transport` in it, whose checksum is filled in.
///
/// # Panics
/// When the ends are of two families, or `transport` is shorter than its protocol's header.
pub(super) fn packet(
    (source, destination): (Station, Station),
    protocol: IpProtocol,
    hop_limit: u8,
    mut transport: Vec<u8>,
) -> Vec<u8> {
    let (from, to) = (source.address, destination.address);
    fill_checksum((from, to), protocol, &mut transport);
    let header = IpRepr::new(from, to, protocol, transport.len(), hop_limit);
    let mut payload = vec![0; header.header_len()];
    header.emit(&mut payload[..], &ChecksumCapabilities::default());
    payload.append(&mut transport);
    let ethertype = match from {
        IpAddress::Ipv4(_) => ETHERTYPE_IPV4,
        IpAddress::Ipv6(_) => ETHERTYPE_IPV6,
    };
    ethernet(source.mac, destination.mac, ethertype, &payload)
}

/// Only protocols with a checksum that the attacker uses have theirs filled in.
fn fill_checksum((from, to): (IpAddress, IpAddress), protocol: IpProtocol, transport: &mut [u8]) {
    if protocol == IpProtocol::Tcp {
        TcpPacket::new_unchecked(transport).fill_checksum(&from, &to);
    } else if protocol == IpProtocol::Udp {
        UdpPacket::new_unchecked(transport).fill_checksum(&from, &to);
    } else if protocol == IpProtocol::Icmp || protocol == IpProtocol::Igmp {
        // IGMP has its checksum in the same place, over the same bytes (RFC 2236 §2.3).
        Icmpv4Packet::new_unchecked(transport).fill_checksum();
    } else if let (IpProtocol::Icmpv6, IpAddress::Ipv6(from), IpAddress::Ipv6(to)) =
        (protocol, from, to)
    {
        Icmpv6Packet::new_unchecked(transport).fill_checksum(&from, &to);
    }
}

/// A UDP datagram.
pub(super) fn udp(
    ends: (Station, Station),
    (from, to): (u16, u16),
    hop_limit: u8,
    payload: &[u8],
) -> Vec<u8> {
    let len = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX);
    let mut transport = Vec::with_capacity(8 + payload.len());
    transport.extend_from_slice(&from.to_be_bytes());
    transport.extend_from_slice(&to.to_be_bytes());
    transport.extend_from_slice(&len.to_be_bytes());
    transport.extend_from_slice(&[0, 0]);
    transport.extend_from_slice(payload);
    packet(ends, IpProtocol::Udp, hop_limit, transport)
}

/// A neighbour discovery message: its type, the word after the checksum, the target, and a MAC as
/// option of the given type.
pub(super) fn discovery(
    ends: (Station, Station),
    kind: u8,
    word: u32,
    target: Ipv6Addr,
    option: Option<(u8, EthernetAddress)>,
) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend_from_slice(&word.to_be_bytes());
    message.extend_from_slice(&target.octets());
    if let Some((kind, mac)) = option {
        message.extend_from_slice(&[kind, 1]);
        message.extend_from_slice(mac.as_bytes());
    }
    packet(ends, IpProtocol::Icmpv6, 255, message)
}

/// An IPv6 group, at its MAC (RFC 2464 §7).
pub(super) fn group(address: Ipv6Addr) -> Station {
    let [.., a, b, c, d] = address.octets();
    Station { mac: EthernetAddress([0x33, 0x33, a, b, c, d]), address: address.into() }
}

/// The group in which `address` is asked for (RFC 4291 §2.7.1).
pub(super) fn solicited_node(address: Ipv6Addr) -> Station {
    let [.., a, b, c] = address.octets();
    let [_, low] = [0, u16::from(b) << 8 | u16::from(c)];
    group(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), low))
}

/// An IPv4 group, at its MAC (RFC 1112 §6.4).
pub(super) fn group_v4(address: Ipv4Addr) -> Station {
    let [_, b, c, d] = address.octets();
    Station { mac: EthernetAddress([1, 0, 0x5e, b & 0x7f, c, d]), address: address.into() }
}

/// Makes the checksum of an IPv4 header right again, if there is one.
pub(super) fn refresh_ipv4(frame: &mut [u8]) {
    let Some(payload) = frame.get_mut(HEADER_LEN..) else { return };
    if let Ok(mut packet) = Ipv4Packet::new_checked(payload) {
        packet.fill_checksum();
    }
}
