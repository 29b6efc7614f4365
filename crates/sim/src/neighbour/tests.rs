//! Each transition, with the place in Linux or in an RFC that asks for it.

mod aging;
mod arp;
mod ndp;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv4Address, Ipv4Cidr,
    Ipv4Packet, Ipv4Repr, Ipv6Address, Ipv6Cidr, Ipv6Packet, Ipv6Repr, NdiscNeighborFlags,
    NdiscRepr,
};

use super::station::solicited_node;
use super::*;

/// The host under test.
const US: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
const US_V4: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);
const US_V6: Ipv6Address = Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
/// The neighbour: where it is, and where it moves to.
const OLD: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 0xa]);
const NEW: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 0xb]);
const PEER_V4: Ipv4Address = Ipv4Address::new(10, 0, 0, 9);
const PEER_V6: Ipv6Address = Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 1, 9);
const ALL: EthernetAddress = EthernetAddress::BROADCAST;
const NOBODY: EthernetAddress = EthernetAddress([0; 6]);

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn table() -> NeighbourTable {
    table_with(Habits::default())
}

fn table_with(habits: Habits) -> NeighbourTable {
    let v4 = IpCidr::Ipv4(Ipv4Cidr::new(US_V4, 24));
    let v6 = IpCidr::Ipv6(Ipv6Cidr::new(US_V6, 64));
    NeighbourTable::new(US, &[v4, v6], habits, 7)
}

/// A table that knows `OLD` as reachable from time zero, by an answer of either family.
fn warm() -> NeighbourTable {
    warm_with(Habits::default())
}

fn warm_with(habits: Habits) -> NeighbourTable {
    let mut table = table_with(habits);
    table.send(at(0), packet(PEER_V4.into()));
    table.receive(at(0), &reply(OLD, US));
    table.send(at(0), packet(PEER_V6.into()));
    table.receive(at(0), &advert(OLD, SOLICITED_OVERRIDE, US_V6));
    drain(&mut table);
    assert_eq!(v4(&table), (Some(NeighbourState::Reachable), Some(OLD)));
    assert_eq!(v6(&table), (Some(NeighbourState::Reachable), Some(OLD)));
    table
}

/// State and address of the neighbour.
fn v4(table: &NeighbourTable) -> (Option<NeighbourState>, Option<EthernetAddress>) {
    (table.state(PEER_V4.into()), table.neighbour(PEER_V4.into()))
}

fn v6(table: &NeighbourTable) -> (Option<NeighbourState>, Option<EthernetAddress>) {
    (table.state(PEER_V6.into()), table.neighbour(PEER_V6.into()))
}

/// What left since the last call.
fn drain(table: &mut NeighbourTable) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| table.poll_transmit()).collect()
}

/// Lets time pass to `end`, timer by timer; returns what left, and when.
fn run(table: &mut NeighbourTable, end: Instant) -> Vec<(Instant, Vec<u8>)> {
    let mut sent = Vec::new();
    while let Some(now) = table.poll_deadline().filter(|&now| now <= end) {
        table.handle_timeout(now);
        assert!(table.poll_deadline().is_none_or(|next| next > now), "stuck at {now}");
        sent.extend(drain(table).into_iter().map(|frame| (now, frame)));
    }
    sent
}

fn destination_mac(frame: &[u8]) -> EthernetAddress {
    EthernetFrame::new_checked(frame).unwrap().dst_addr()
}

/// An IP packet of this host without a payload, as its stack hands it over.
fn packet(to: IpAddress) -> Vec<u8> {
    let next_header = IpProtocol::Udp;
    match to {
        IpAddress::Ipv4(dst_addr) => {
            let repr =
                Ipv4Repr { src_addr: US_V4, dst_addr, next_header, payload_len: 0, hop_limit: 64 };
            let mut frame = vec![0; HEADER_LEN + repr.buffer_len()];
            let mut packet = Ipv4Packet::new_unchecked(&mut frame[HEADER_LEN..]);
            repr.emit(&mut packet, &ChecksumCapabilities::default());
            frame
        }
        IpAddress::Ipv6(dst_addr) => {
            let repr =
                Ipv6Repr { src_addr: US_V6, dst_addr, next_header, payload_len: 0, hop_limit: 64 };
            let mut frame = vec![0; HEADER_LEN + repr.buffer_len()];
            repr.emit(&mut Ipv6Packet::new_unchecked(&mut frame[HEADER_LEN..]));
            frame
        }
    }
}

/// An ARP packet from `mac` to the station `to`.
fn arp(
    operation: ArpOperation,
    (mac, sender): (EthernetAddress, Ipv4Address),
    (target_mac, target): (EthernetAddress, Ipv4Address),
    to: EthernetAddress,
) -> Vec<u8> {
    let repr = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: mac,
        source_protocol_addr: sender,
        target_hardware_addr: target_mac,
        target_protocol_addr: target,
    };
    let mut frame = vec![0; HEADER_LEN + repr.buffer_len()];
    ethernet((mac, to), EthernetProtocol::Arp, &mut frame);
    repr.emit(&mut ArpPacket::new_unchecked(&mut frame[HEADER_LEN..]));
    frame
}

/// The neighbour's answer from `mac`, to the station `to`.
fn reply(mac: EthernetAddress, to: EthernetAddress) -> Vec<u8> {
    arp(ArpOperation::Reply, (mac, PEER_V4), (US, US_V4), to)
}

/// Gratuitous ARP as a request, and as a reply that names the station twice.
fn announcement(operation: ArpOperation, mac: EthernetAddress) -> Vec<u8> {
    let target_mac = if operation == ArpOperation::Reply { mac } else { NOBODY };
    arp(operation, (mac, PEER_V4), (target_mac, PEER_V4), ALL)
}

const SOLICITED_OVERRIDE: NdiscNeighborFlags =
    NdiscNeighborFlags::SOLICITED.union(NdiscNeighborFlags::OVERRIDE);
const ALL_NODES: Ipv6Address = Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The neighbour's advertisement from `mac`.
fn advert(mac: EthernetAddress, flags: NdiscNeighborFlags, to: Ipv6Address) -> Vec<u8> {
    advert_with(mac, flags, to, Some(mac))
}

fn advert_with(
    mac: EthernetAddress,
    flags: NdiscNeighborFlags,
    to: Ipv6Address,
    lladdr: Option<EthernetAddress>,
) -> Vec<u8> {
    let lladdr = lladdr.map(Into::into);
    let message = NdiscRepr::NeighborAdvert { flags, target_addr: PEER_V6, lladdr };
    ndp((mac, PEER_V6), to, message)
}

/// A solicitation for this host.
fn solicit(
    (mac, source): (EthernetAddress, Ipv6Address),
    to: Ipv6Address,
    lladdr: Option<EthernetAddress>,
) -> Vec<u8> {
    let lladdr = lladdr.map(Into::into);
    ndp((mac, source), to, NdiscRepr::NeighborSolicit { target_addr: US_V6, lladdr })
}

fn ndp(
    (mac, source): (EthernetAddress, Ipv6Address),
    to: Ipv6Address,
    message: NdiscRepr<'_>,
) -> Vec<u8> {
    let message = Icmpv6Repr::Ndisc(message);
    let repr = Ipv6Repr {
        src_addr: source,
        dst_addr: to,
        next_header: IpProtocol::Icmpv6,
        payload_len: message.buffer_len(),
        hop_limit: 255,
    };
    let mut frame = vec![0; HEADER_LEN + repr.buffer_len() + repr.payload_len];
    let to_mac = if to.is_multicast() { EthernetAddress([0x33, 0x33, 0, 0, 0, 1]) } else { US };
    ethernet((mac, to_mac), EthernetProtocol::Ipv6, &mut frame);
    let mut packet = Ipv6Packet::new_unchecked(&mut frame[HEADER_LEN..]);
    repr.emit(&mut packet);
    let mut body = Icmpv6Packet::new_unchecked(packet.payload_mut());
    message.emit(&source, &to, &mut body, &ChecksumCapabilities::default());
    frame
}

fn ethernet(
    (from, to): (EthernetAddress, EthernetAddress),
    ethertype: EthernetProtocol,
    frame: &mut [u8],
) {
    let mut ethernet = EthernetFrame::new_unchecked(frame);
    ethernet.set_src_addr(from);
    ethernet.set_dst_addr(to);
    ethernet.set_ethertype(ethertype);
}

/// The ARP packet in a frame.
#[track_caller]
fn arp_in(frame: &[u8]) -> ArpRepr {
    let ethernet = EthernetFrame::new_checked(frame).unwrap();
    assert_eq!(ethernet.ethertype(), EthernetProtocol::Arp);
    ArpRepr::parse(&ArpPacket::new_checked(ethernet.payload()).unwrap()).unwrap()
}

/// Source, destination and neighbour discovery message in a frame.
#[track_caller]
fn ndp_in(frame: &[u8]) -> (Ipv6Address, Ipv6Address, NdiscRepr<'_>) {
    let packet = Ipv6Packet::new_checked(&frame[HEADER_LEN..]).unwrap();
    assert_eq!(packet.hop_limit(), 255);
    let (source, to) = (packet.src_addr(), packet.dst_addr());
    let body = Icmpv6Packet::new_checked(&frame[HEADER_LEN + 40..]).unwrap();
    let message = Icmpv6Repr::parse(&source, &to, &body, &ChecksumCapabilities::default());
    let Ok(Icmpv6Repr::Ndisc(message)) = message else {
        panic!("not neighbour discovery: {message:?}");
    };
    (source, to, message)
}
