//! UDP, ping, and clients beyond the link.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::raw::{Raw, poll};
use common::script::Order;
use common::{
    CLIENT, CLIENT_MAC, CLIENT_V6, PORT, SERVER, SERVER_MAC, SERVER_V6, World, config, millis,
    seconds, server,
};
use locum_stack::Limits;
use locum_types::Instant;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, Icmpv4DstUnreachable, Icmpv4Packet, Icmpv4Repr, Icmpv6Packet,
    Icmpv6Repr, IpAddress, IpEndpoint, IpProtocol, IpRepr, Ipv4Packet, Ipv6Packet, TcpControl,
};

const NOW: Instant = Instant::from_millis(1_000);

#[test]
fn datagrams_of_both_families_are_answered_from_the_address_they_came_to() {
    let mut world = World::new(Limits::default());
    for to in [SERVER, SERVER_V6] {
        let handle = world.client.bind_udp(50_000 + to.version() as u16);
        for payload in [&b"hello"[..], &[7; 1_400], b""] {
            let endpoint = IpEndpoint::new(to, PORT);
            world.client.udp(handle).send_slice(payload, endpoint).unwrap();
            // The client asks for one neighbour a second.
            world.run(seconds(2));
            let (answer, metadata) = world.client.udp(handle).recv().unwrap();
            assert_eq!((answer, metadata.endpoint), (payload, endpoint));
        }
    }
}

#[test]
fn a_datagram_sent_from_a_tcp_event_leaves() {
    let mut world = World::new(Limits::default());
    let udp = world.client.bind_udp(50_000);
    let ends = (SocketAddr::from(([10, 0, 0, 1], PORT)), SocketAddr::from(([10, 0, 0, 2], 50_000)));
    world.service.notes().datagram = Some(ends);
    let tcp = world.client.connect(SERVER, 4_096);
    world.run(millis(3));
    world.client.tcp(tcp).send_slice(b"beside").unwrap();
    world.run(millis(3));
    assert_eq!(world.client.udp(udp).recv().unwrap().0, b"beside");
}

#[test]
fn a_datagram_that_fits_no_packet_is_counted() {
    let (mut stack, service) = server(config(Limits::default()));
    service.order(Order::Datagram {
        local: SocketAddr::from(([10, 0, 0, 1], PORT)),
        remote: SocketAddr::from(([10, 0, 0, 2], 50_000)),
        bytes: vec![0; 1_473],
    });
    poll(&mut stack, NOW);
    assert_eq!(stack.status().counters.datagrams_unsent, 1);
}

#[test]
fn a_datagram_to_a_client_nobody_has_heard_of_waits_for_an_answer_without_spinning() {
    let (mut stack, service) = server(config(Limits::default()));
    service.order(Order::Datagram {
        local: SocketAddr::from(([10, 0, 0, 1], PORT)),
        remote: SocketAddr::from(([10, 0, 0, 99], 50_000)),
        bytes: vec![1],
    });
    poll(&mut stack, NOW);
    let (at, why) = stack.poll_deadline().unwrap();
    assert!(at > NOW, "{why} at {at:?}");
}

/// The service's answer to an earlier datagram, and one to the client the world has.
fn answers_behind(remote: SocketAddr, waits: Duration) -> (usize, u64) {
    let mut world = World::new(Limits::default());
    let udp = world.client.bind_udp(50_000);
    let local = SocketAddr::from(([10, 0, 0, 1], PORT));
    world.service.order(Order::Datagram { local, remote, bytes: vec![1] });
    world.run(millis(3));
    world.run(waits);
    world.client.udp(udp).send_slice(b"next", IpEndpoint::new(SERVER, PORT)).unwrap();
    world.run(seconds(2));
    let answered = usize::from(world.client.udp(udp).recv().is_ok());
    (answered, world.stack.status().counters.datagrams_unsent)
}

/// Seed 42740 of the swarm: one forged source address had stopped all answers by UDP for good.
#[test]
fn a_datagram_without_a_route_holds_up_no_other() {
    for remote in ["127.0.0.1:9", "[fe80::1]:9", "224.0.0.1:9", "0.0.0.0:9"] {
        let answers = answers_behind(remote.parse().unwrap(), Duration::ZERO);
        assert_eq!(answers, (1, 1), "behind one to {remote}");
    }
}

#[test]
fn a_datagram_to_a_client_that_is_gone_gives_way() {
    let gone = SocketAddr::from(([10, 0, 0, 99], 50_000));
    assert_eq!(answers_behind(gone, seconds(4)), (1, 1));
}

/// A frame with an IP packet from the client.
fn frame(ip: &IpRepr, emit: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = vec![0; 14 + ip.buffer_len()];
    let mut ethernet = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.set_dst_addr(SERVER_MAC);
    ethernet.set_src_addr(CLIENT_MAC);
    ethernet.set_ethertype(match ip {
        IpRepr::Ipv4(_) => EthernetProtocol::Ipv4,
        IpRepr::Ipv6(_) => EthernetProtocol::Ipv6,
    });
    ip.emit(ethernet.payload_mut(), &ChecksumCapabilities::default());
    emit(&mut ethernet.payload_mut()[ip.header_len()..]);
    bytes
}

/// What the stack sends in answer to a frame.
fn answers(frame: &[u8]) -> Vec<Vec<u8>> {
    let (mut stack, _) = server(config(Limits::default()));
    stack.poll(NOW);
    while stack.device_mut().pop_transmit(|_| ()).is_some() {}
    stack.device_mut().push(frame);
    stack.poll(NOW);
    std::iter::from_fn(|| stack.device_mut().pop_transmit(<[u8]>::to_vec)).collect()
}

#[test]
fn pings_of_both_families_are_answered() {
    let checksums = ChecksumCapabilities::default();
    let ping = Icmpv4Repr::EchoRequest { ident: 1, seq_no: 2, data: b"ping" };
    let ip = IpRepr::new(CLIENT, SERVER, IpProtocol::Icmp, ping.buffer_len(), 64);
    let sent = answers(&frame(&ip, |bytes| {
        ping.emit(&mut Icmpv4Packet::new_unchecked(bytes), &checksums);
    }));
    let ip = Ipv4Packet::new_checked(&sent[0][14..]).unwrap();
    let pong = Icmpv4Packet::new_checked(ip.payload()).unwrap();
    assert_eq!(
        Icmpv4Repr::parse(&pong, &checksums).unwrap(),
        Icmpv4Repr::EchoReply { ident: 1, seq_no: 2, data: b"ping" }
    );

    let ping = Icmpv6Repr::EchoRequest { ident: 1, seq_no: 2, data: b"ping" };
    let ip = IpRepr::new(CLIENT_V6, SERVER_V6, IpProtocol::Icmpv6, ping.buffer_len(), 64);
    let (IpAddress::Ipv6(from), IpAddress::Ipv6(to)) = (CLIENT_V6, SERVER_V6) else { return };
    let sent = answers(&frame(&ip, |bytes| {
        ping.emit(&from, &to, &mut Icmpv6Packet::new_unchecked(bytes), &checksums);
    }));
    let ip = Ipv6Packet::new_checked(&sent[0][14..]).unwrap();
    let pong = Icmpv6Packet::new_checked(ip.payload()).unwrap();
    assert_eq!(
        Icmpv6Repr::parse(&to, &from, &pong, &checksums).unwrap(),
        Icmpv6Repr::EchoReply { ident: 1, seq_no: 2, data: b"ping" }
    );
}

#[test]
fn a_datagram_to_a_closed_port_is_unreachable() {
    let checksums = ChecksumCapabilities::default();
    let udp = smoltcp::wire::UdpRepr { src_port: 50_000, dst_port: 9_999 };
    let ip = IpRepr::new(CLIENT, SERVER, IpProtocol::Udp, udp.header_len() + 3, 64);
    let sent = answers(&frame(&ip, |bytes| {
        let mut packet = smoltcp::wire::UdpPacket::new_unchecked(bytes);
        let fill = |payload: &mut [u8]| payload.copy_from_slice(b"any");
        udp.emit(&mut packet, &CLIENT, &SERVER, 3, fill, &checksums);
    }));
    let ip = Ipv4Packet::new_checked(&sent[0][14..]).unwrap();
    let answer = Icmpv4Packet::new_checked(ip.payload()).unwrap();
    let answer = Icmpv4Repr::parse(&answer, &checksums).unwrap();
    let reason = Icmpv4DstUnreachable::PortUnreachable;
    assert!(
        matches!(answer, Icmpv4Repr::DstUnreachable { reason: found, .. } if found == reason),
        "{answer:?}"
    );
}

#[test]
fn clients_beyond_the_link_are_answered_by_way_of_the_gateway_without_asking_for_it() {
    let (mut stack, service) = server(config(Limits::default()));
    let mut raw = Raw { from: IpAddress::v4(192, 0, 2, 1), ..Raw::new(40_000) };
    raw.connect(&mut stack, NOW);
    assert_eq!(service.notes().opened().len(), 1);
    stack.device_mut().push(&raw.frame(TcpControl::Psh, b"far"));
    stack.poll(NOW);
    let mut frames = Vec::new();
    while let Some(frame) = stack.device_mut().pop_transmit(<[u8]>::to_vec) {
        frames.push(frame);
    }
    assert!(!frames.is_empty());
    for frame in &frames {
        let ethernet = EthernetFrame::new_checked(frame).unwrap();
        assert_eq!(ethernet.ethertype(), EthernetProtocol::Ipv4, "asked instead of answering");
        assert_eq!(ethernet.dst_addr(), CLIENT_MAC);
    }
}
