//! The halves of a node, each on its own: what they let in, what they let out, and when.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use locum_appliance::{
    HeartbeatHalf, NodeConfig, Notice, Peer, Port, Seeds, ServiceHalf, ServicePort,
};
use locum_gate::{Identity, MacMode, node_mac};
use locum_services::ServiceConfig;
use locum_types::{BootNonce, Grant, GroupId, Instant, Mode, ModeCell, NodeId, Priority, Term};
use locum_wire::{BEAT_LEN, Intent, Key, open};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress,
    IpCidr, Ipv4Cidr, Ipv4Packet, UdpPacket,
};

const PORT: u16 = 3780;
const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);

fn node(id: u8) -> NodeId {
    NodeId::new(id).expect("test ids are in range")
}

fn group() -> GroupId {
    GroupId::new(7).expect("7 is in range")
}

fn address(id: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, 10 + id)
}

fn config(id: u8) -> NodeConfig {
    let cidr = |address| IpCidr::Ipv4(Ipv4Cidr::new(address, 24));
    let peer = 3 - id;
    NodeConfig {
        identity: Identity {
            group: group(),
            node: node(id),
            mac_mode: MacMode::Virtual,
            service: vec![cidr(SERVICE)],
            node_address: cidr(address(id)),
        },
        peers: vec![Peer { id: node(peer), address: IpAddress::Ipv4(address(peer)) }],
        key: Key::new([7; 32]),
        port: PORT,
        priority: Priority::new(100).expect("100 is in range"),
        interval: Duration::from_millis(10),
        dead_after: Duration::from_millis(30),
        preempt: None,
        gateways: Vec::new(),
        limits: locum_stack::Limits::default(),
        mtu: 1500,
        replication: None,
    }
}

fn seeds(id: u8) -> Seeds {
    Seeds { boot: BootNonce(u64::from(id) + 1), seed: u64::from(id), isn_key: [id; 16] }
}

fn heartbeat(id: u8, beat_port: Port) -> HeartbeatHalf {
    let cell = Arc::new(ModeCell::new());
    HeartbeatHalf::new(&config(id), seeds(id), beat_port, cell, Instant::ZERO)
}

fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// One turn at `now` with `frames` queued; what left, by which port.
fn turn(half: &mut HeartbeatHalf, now: Instant, frames: &[Vec<u8>]) -> Vec<(Port, Vec<u8>)> {
    half.begin_turn(now);
    for frame in frames {
        half.receive(now, Port::Service, frame);
    }
    half.end_turn(now);
    std::iter::from_fn(|| half.poll_transmit(|port, frame| (port, frame.to_vec()))).collect()
}

/// The beat in a frame, if it is one that `to` can open.
fn beat_in(frame: &[u8], to: u8) -> Option<locum_wire::Beat> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    (ethernet.ethertype() == EthernetProtocol::Ipv4).then_some(())?;
    let packet = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
    let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
    open(datagram.payload(), &Key::new([7; 32]), group(), node(to)).ok()
}

/// Lets nodes 1 and 2 hear each other until `end`, in steps of a millisecond.
fn converse(one: &mut HeartbeatHalf, two: &mut HeartbeatHalf, from: u64, end: u64) {
    let (mut to_one, mut to_two) = (Vec::new(), Vec::new());
    for millis in from..end {
        let from_one = turn(one, ms(millis), &std::mem::take(&mut to_one));
        let from_two = turn(two, ms(millis), &std::mem::take(&mut to_two));
        to_two.extend(from_one.into_iter().map(|(_, frame)| frame));
        to_one.extend(from_two.into_iter().map(|(_, frame)| frame));
    }
}

#[test]
fn the_first_turn_sends_an_authentic_beat_with_hop_limit_255_from_the_nodes_own_mac() {
    let mut half = heartbeat(1, Port::Service);
    let sent = turn(&mut half, ms(0), &[]);
    let (port, frame) = sent.first().expect("a beat is due at once");
    assert_eq!(*port, Port::Service);
    let ethernet = EthernetFrame::new_checked(&frame[..]).expect("a whole frame");
    assert_eq!(ethernet.src_addr(), node_mac(group(), node(1)));
    assert_eq!(ethernet.dst_addr(), node_mac(group(), node(2)), "no ARP was needed");
    let packet = Ipv4Packet::new_checked(ethernet.payload()).expect("a whole packet");
    assert_eq!(packet.hop_limit(), 255);
    let beat = beat_in(frame, 2).expect("node 2 can open it");
    assert_eq!((beat.from, beat.to, beat.mode), (node(1), node(2), Mode::Joining));
}

#[test]
fn a_beat_that_crossed_a_router_is_refused_and_counted() {
    let mut peer = heartbeat(2, Port::Service);
    let (_, mut frame) = turn(&mut peer, ms(0), &[]).swap_remove(0);
    let mut packet = Ipv4Packet::new_unchecked(&mut frame[14..]);
    packet.set_hop_limit(254);
    packet.fill_checksum();
    let mut half = heartbeat(1, Port::Service);
    turn(&mut half, ms(0), &[frame]);
    assert_eq!(half.status(ms(0)).counters.hop_limit_refused, 1);
}

#[test]
fn refused_datagrams_are_counted_by_reason_and_never_answered() {
    let mut peer = heartbeat(2, Port::Service);
    let (_, frame) = turn(&mut peer, ms(0), &[]).swap_remove(0);
    let mut forged = frame.clone();
    let tag = forged.len() - 1;
    forged[tag] ^= 1;
    let mut datagram = UdpPacket::new_unchecked(&mut forged[34..]);
    datagram.fill_checksum(&IpAddress::Ipv4(address(2)), &IpAddress::Ipv4(address(1)));
    let mut half = heartbeat(1, Port::Service);
    let first = turn(&mut half, ms(0), &[]).len();
    assert!(first > 0);
    let answers = turn(&mut half, Instant::from_micros(100), &vec![forged; 5]);
    assert_eq!(answers, []);
    assert_eq!(half.status(ms(0)).counters.refused.bad_tag, 5);
}

#[test]
fn with_a_dedicated_link_beats_leave_by_it_and_beats_on_the_service_link_are_not_heard() {
    let mut half = heartbeat(1, Port::Heartbeat);
    let sent = turn(&mut half, ms(0), &[]);
    assert!(sent.iter().all(|(port, _)| *port == Port::Heartbeat));
    let mut peer = heartbeat(2, Port::Service);
    let (_, frame) = turn(&mut peer, ms(0), &[]).swap_remove(0);
    turn(&mut half, ms(1), &[frame]);
    assert_eq!(half.status(ms(1)).counters.refused, locum_wire::RefusalCounters::default());
    assert!(half.status(ms(1)).monitor.peers.iter().all(|peer| !peer.alive));
}

#[test]
fn garbage_for_the_node_address_does_nothing() {
    let mut half = heartbeat(1, Port::Service);
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..2_000 {
        let mut frame = vec![0; rng.usize(..200)];
        rng.fill(&mut frame);
        turn(&mut half, ms(1), &[frame]);
    }
    assert_eq!(half.status(ms(1)).monitor.mode, Mode::Joining);
}

/// ARP from a stranger, who says that `sender` is at its MAC, to `target`.
fn arp(
    operation: ArpOperation,
    sender: Ipv4Addr,
    (mac, target): (EthernetAddress, Ipv4Addr),
) -> Vec<u8> {
    let stranger = EthernetAddress([0x02, 0xc1, 0x1e, 0, 0, 1]);
    let arp = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: stranger,
        source_protocol_addr: sender,
        target_hardware_addr: mac,
        target_protocol_addr: target,
    };
    let mut bytes = vec![0; 14 + arp.buffer_len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_src_addr(stranger);
    frame.set_dst_addr(mac);
    frame.set_ethertype(EthernetProtocol::Arp);
    arp.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    bytes
}

/// Found by the fuzz target `appliance`: two active nodes that a healed partition had left did not
/// hear each other, because a stranger had moved both in the other's neighbour cache.
#[test]
fn a_strangers_arp_does_not_lead_beats_astray() {
    let mut half = heartbeat(1, Port::Service);
    turn(&mut half, ms(0), &[]);
    let lie = arp(ArpOperation::Reply, address(2), (node_mac(group(), node(1)), address(1)));
    turn(&mut half, ms(1), &[lie]);
    let sent = turn(&mut half, ms(20), &[]);
    let (_, beat) = sent.iter().find(|(_, frame)| beat_in(frame, 2).is_some()).expect("it is due");
    let to = EthernetFrame::new_unchecked(&beat[..]).dst_addr();
    assert_eq!(to, node_mac(group(), node(2)));
}

#[test]
fn the_will_of_an_active_node_is_a_resignation_its_peer_believes() {
    let (mut one, mut two) = (heartbeat(1, Port::Service), heartbeat(2, Port::Service));
    converse(&mut one, &mut two, 0, 1_000);
    let (active, other) = match one.status(ms(1_000)).monitor.mode {
        Mode::Active => (&mut one, 2),
        Mode::Joining | Mode::Waiting | Mode::Fenced => (&mut two, 1),
    };
    let wills = std::iter::from_fn(|| active.poll_notice());
    let will = wills.filter_map(|notice| match notice {
        Notice::Will(will) => Some(will),
        Notice::Event(_) | Notice::Finished => None,
    });
    let will = will.last().expect("an active node leaves a will");
    let [frame] = &will[..] else { panic!("one frame per peer, not {}", will.len()) };
    let beat = beat_in(&frame.bytes, other).expect("the peer can open it");
    assert!(matches!(beat.intent, Intent::Resign(_)), "{:?}", beat.intent);
    assert_eq!(beat.sequence, u64::MAX);
    assert_eq!(frame.bytes.len(), 14 + 20 + 8 + BEAT_LEN);
}

fn service(cell: &Arc<ModeCell>) -> ServiceHalf {
    let echo = ServiceConfig::Echo.build().expect("echo needs nothing");
    let services = vec![ServicePort { port: 7, service: echo, replicate: true }];
    ServiceHalf::new(&config(1), seeds(1), services, Arc::clone(cell), Instant::ZERO)
        .expect("one service on one port")
}

fn grant(cell: &ModeCell, mode: Mode, term: u64, lease: Instant) {
    cell.store(Grant { mode, term: Term(term), lease });
}

#[test]
fn an_activation_announces_at_once_and_a_silent_node_says_nothing() {
    let cell = Arc::new(ModeCell::new());
    let mut half = service(&cell);
    for mode in [Mode::Joining, Mode::Waiting, Mode::Fenced] {
        grant(&cell, mode, 1, ms(1_000));
        half.poll(ms(1));
        assert_eq!(half.poll_transmit(ms(1), <[u8]>::to_vec), None, "{mode}");
    }
    grant(&cell, Mode::Active, 2, ms(1_000));
    half.poll(ms(2));
    let frame = half.poll_transmit(ms(2), <[u8]>::to_vec).expect("an announcement");
    assert_eq!(EthernetFrame::new_unchecked(&frame[..]).ethertype(), EthernetProtocol::Arp);
}

#[test]
fn a_frame_that_is_ready_does_not_leave_after_the_lease() {
    let cell = Arc::new(ModeCell::new());
    let mut half = service(&cell);
    grant(&cell, Mode::Active, 1, ms(30));
    half.poll(ms(29));
    // The process is stopped here, and goes on a second later.
    assert_eq!(half.poll_transmit(ms(1_029), <[u8]>::to_vec), None);
    assert!(half.status().fenced_frames > 0);
    // A new lease does not bring them back.
    grant(&cell, Mode::Active, 1, ms(2_000));
    assert_eq!(half.poll_transmit(ms(1_030), <[u8]>::to_vec), None);
}

/// Found by the fuzz target `appliance`: frames that the stack had left alone because nothing more could
/// be transmitted were forgotten until something else happened.
#[test]
fn frames_that_waited_for_room_are_due_at_once() {
    let cell = Arc::new(ModeCell::new());
    let mut half = service(&cell);
    grant(&cell, Mode::Active, 1, ms(1_000));
    let mac = config(1).identity.service_mac();
    let question = arp(ArpOperation::Request, Ipv4Addr::new(10, 77, 0, 200), (mac, SERVICE));
    // Each poll takes 64 frames; after nine of them 512 answers wait, and 64 in the room kept for neighbours.
    for _ in 0..10 {
        (0..64).for_each(|_| assert!(half.push(&question)));
        half.poll(ms(1));
    }
    assert!(half.status().frames_waiting > 0);
    assert_ne!(half.poll_deadline().map(|(_, why)| why), Some("frames to take"), "no room yet");
    while half.poll_transmit(ms(1), |_| ()).is_some() {}
    assert_eq!(half.poll_deadline(), Some((Instant::ZERO, "frames to take")));
}

#[test]
fn two_services_cannot_share_a_port() {
    let build = |kind: ServiceConfig| kind.build().expect("needs nothing");
    let services = vec![
        ServicePort { port: 7, service: build(ServiceConfig::Echo), replicate: true },
        ServicePort { port: 7, service: build(ServiceConfig::Discard), replicate: true },
    ];
    let cell = Arc::new(ModeCell::new());
    assert!(ServiceHalf::new(&config(1), seeds(1), services, cell, Instant::ZERO).is_err());
}
