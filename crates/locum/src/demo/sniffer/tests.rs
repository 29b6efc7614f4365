use std::time::Duration;

use locum_gate::{node_mac, virtual_mac};
use locum_link::segment;
use locum_types::{
    BootNonce, GroupId, Health, Instant, LogPosition, Mode, Priority, ResignReason, Term,
};
use locum_wire::{BEAT_LEN, Intent};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    Icmpv6Repr, IpProtocol, IpRepr, Ipv4Address, Ipv6Address, NdiscNeighborFlags, NdiscRepr,
    UdpRepr,
};

use super::*;
use crate::demo::testing::node;

const PORT: u16 = 3780;
const CLIENT_MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);

fn group() -> GroupId {
    GroupId::new(7).unwrap()
}

fn ethernet(source: EthernetAddress, ethertype: EthernetProtocol, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 14 + payload.len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_src_addr(source);
    frame.set_dst_addr(EthernetAddress::BROADCAST);
    frame.set_ethertype(ethertype);
    frame.payload_mut().copy_from_slice(payload);
    bytes
}

fn arp(
    source: EthernetAddress,
    operation: ArpOperation,
    from: Ipv4Address,
    to: Ipv4Address,
) -> Vec<u8> {
    let repr = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: source,
        source_protocol_addr: from,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: to,
    };
    let mut payload = vec![0; repr.buffer_len()];
    repr.emit(&mut ArpPacket::new_unchecked(&mut payload[..]));
    ethernet(source, EthernetProtocol::Arp, &payload)
}

fn ndp(repr: NdiscRepr<'_>) -> Vec<u8> {
    let (from, to) = (Lan::SERVICE_V6, Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1));
    let message = Icmpv6Repr::Ndisc(repr);
    let ip = IpRepr::new(from.into(), to.into(), IpProtocol::Icmpv6, message.buffer_len(), 255);
    let mut payload = vec![0; ip.buffer_len()];
    ip.emit(&mut payload, &ChecksumCapabilities::default());
    let mut packet = Icmpv6Packet::new_unchecked(&mut payload[ip.header_len()..]);
    message.emit(&from, &to, &mut packet, &ChecksumCapabilities::default());
    ethernet(virtual_mac(group()), EthernetProtocol::Ipv6, &payload)
}

fn advertisement(flags: NdiscNeighborFlags) -> Vec<u8> {
    ndp(NdiscRepr::NeighborAdvert { flags, target_addr: Lan::SERVICE_V6, lladdr: None })
}

fn a_beat() -> Beat {
    Beat {
        group: group(),
        from: node(1),
        to: node(2),
        boot: BootNonce(1),
        echo: None,
        sequence: u64::MAX,
        term: Term(3),
        mode: Mode::Active,
        health: Health::Ok,
        priority: Priority::new(100).unwrap(),
        position: LogPosition(0),
        isolated: false,
        interval: Duration::from_millis(10),
        dead_after: Duration::from_millis(30),
        heard: 0,
        heard_age_us: None,
        timestamp: 0,
        timestamp_echo: None,
        intent: Intent::Resign(ResignReason::Crash),
    }
}

fn datagram(port: u16, beat: &Beat) -> Vec<u8> {
    let mut body = [0; BEAT_LEN];
    beat.emit(&mut BeatPacket::new_unchecked(&mut body[..]));
    let (from, to) = (Ipv4Address::new(10, 77, 0, 11), Ipv4Address::new(10, 77, 0, 12));
    let udp = UdpRepr { src_port: port, dst_port: port };
    let ip = IpRepr::new(from.into(), to.into(), IpProtocol::Udp, udp.header_len() + BEAT_LEN, 255);
    let mut payload = vec![0; ip.buffer_len()];
    ip.emit(&mut payload, &ChecksumCapabilities::default());
    udp.emit(
        &mut UdpPacket::new_unchecked(&mut payload[ip.header_len()..]),
        &from.into(),
        &to.into(),
        BEAT_LEN,
        |room| room.copy_from_slice(&body),
        &ChecksumCapabilities::default(),
    );
    ethernet(node_mac(group(), node(1)), EthernetProtocol::Ipv4, &payload)
}

#[test]
fn arp_is_told_apart_by_who_speaks_about_whom() {
    let (request, reply) = (ArpOperation::Request, ArpOperation::Reply);
    let (service, other) = (Lan::SERVICE_V4, Ipv4Address::new(10, 77, 0, 200));
    for (operation, from, to, kind) in [
        (request, other, service, Some(Kind::Question)),
        (request, Ipv4Address::UNSPECIFIED, service, Some(Kind::Question)),
        (reply, service, other, Some(Kind::Answer)),
        (request, service, service, Some(Kind::AnnouncementArp)),
        (reply, service, service, Some(Kind::AnnouncementArp)),
        (request, service, other, None),
        (reply, other, service, None),
        (request, other, other, None),
    ] {
        let frame = arp(CLIENT_MAC, operation, from, to);
        assert_eq!(classify(&frame, PORT), kind, "{operation:?} {from} {to}");
    }
}

#[test]
fn neighbour_discovery_is_told_apart_by_message_and_flag() {
    let solicitation = NdiscRepr::NeighborSolicit { target_addr: Lan::SERVICE_V6, lladdr: None };
    assert_eq!(classify(&ndp(solicitation), PORT), Some(Kind::Question));
    let solicited = NdiscNeighborFlags::SOLICITED | NdiscNeighborFlags::OVERRIDE;
    assert_eq!(classify(&advertisement(solicited), PORT), Some(Kind::Answer));
    let unsolicited = advertisement(NdiscNeighborFlags::OVERRIDE);
    assert_eq!(classify(&unsolicited, PORT), Some(Kind::AnnouncementNa));
    let stranger = NdiscRepr::NeighborSolicit { target_addr: Ipv6Address::LOCALHOST, lladdr: None };
    assert_eq!(classify(&ndp(stranger), PORT), None);
}

#[test]
fn beats_are_read_and_other_datagrams_are_not() {
    let beat = a_beat();
    assert_eq!(classify(&datagram(PORT, &beat), PORT), Some(Kind::Beat(beat)));
    assert_eq!(classify(&datagram(PORT + 1, &beat), PORT), None);
}

#[test]
fn truncated_frames_are_nothing() {
    let frames = [
        arp(CLIENT_MAC, ArpOperation::Request, Lan::SERVICE_V4, Lan::SERVICE_V4),
        advertisement(NdiscNeighborFlags::OVERRIDE),
        datagram(PORT, &a_beat()),
    ];
    for frame in frames {
        for len in 0..frame.len() {
            assert_eq!(classify(&frame[..len], PORT), None, "{len} of {} bytes", frame.len());
        }
    }
}

/// A segment with node 1 and a client, watched.
fn watched() -> (Segment, [PortId; 2], Rc<RefCell<Sniffer>>) {
    let mut segment = Segment::new(segment::Config::default());
    let ports = [segment.add_port(), segment.add_port()];
    let sniffer = Sniffer::watch(&mut segment, virtual_mac(group()), PORT);
    sniffer.borrow_mut().introduce(ports[0], Sender::Node(node(1)));
    sniffer.borrow_mut().introduce(ports[1], Sender::Client(Client::Udp));
    (segment, ports, sniffer)
}

#[test]
fn a_question_of_a_node_is_a_probe() {
    let (mut segment, [node_port, client_port], sniffer) = watched();
    let question =
        arp(CLIENT_MAC, ArpOperation::Request, Ipv4Address::UNSPECIFIED, Lan::SERVICE_V4);
    segment.send(Instant::ZERO, node_port, &question);
    segment.send(Instant::ZERO, client_port, &question);
    let expected = FrameCounts { probes: 1, questions: 1, ..FrameCounts::default() };
    assert_eq!(sniffer.borrow().counts(), expected);
    let senders: Vec<Sender> =
        sniffer.borrow_mut().drain().into_iter().map(|seen| seen.sender).collect();
    assert_eq!(senders, [Sender::Node(node(1)), Sender::Client(Client::Udp)]);
    assert!(sniffer.borrow_mut().drain().is_empty());
}

#[test]
fn only_what_leaves_counts() {
    let (mut segment, [node_port, _], sniffer) = watched();
    segment.set_cut(node_port, Direction::Transmit, true);
    segment.send(Instant::ZERO, node_port, &datagram(PORT, &a_beat()));
    assert_eq!(sniffer.borrow().counts(), FrameCounts::default());
}

#[test]
fn frames_from_the_virtual_mac_are_counted_by_the_node_that_sent_them() {
    let (mut segment, [node_port, client_port], sniffer) = watched();
    let anything = ethernet(virtual_mac(group()), EthernetProtocol::Unknown(0x1234), &[0; 46]);
    segment.send(Instant::ZERO, node_port, &anything);
    segment.send(Instant::ZERO, client_port, &anything);
    segment.send(Instant::ZERO, node_port, &datagram(PORT, &a_beat()));
    assert_eq!(sniffer.borrow().spoken_by(node(1)), 1);
    assert_eq!(sniffer.borrow().spoken_by(node(2)), 0);
}
