//! Two service halves, one of which follows the other: what they count when the one takes the other's place.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use locum_appliance::{
    NodeConfig, Peer, PeerNews, Prefer, Replication, ReplicationStatus, Seeds, ServiceHalf,
    ServicePort,
};
use locum_gate::{Identity, MacMode};
use locum_link::offload;
use locum_services::ServiceConfig;
use locum_types::{
    BootNonce, Grant, GroupId, Instant, Mode, ModeCell, NodeId, Priority, Protection, Succeeded,
    Term,
};
use locum_wire::Key;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, IpAddress, IpCidr, IpProtocol, Ipv4Cidr, Ipv4Packet, Ipv4Repr, UdpPacket,
    UdpRepr,
};

const DEAD_AFTER: Duration = Duration::from_millis(30);
const TURN: Duration = Duration::from_micros(200);
const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 200);
const CLIENT_MAC: EthernetAddress = EthernetAddress([0x02, 0xc1, 0x1e, 0, 0, 1]);

struct Half {
    half: ServiceHalf,
    cell: Arc<ModeCell>,
}

impl Half {
    fn new(id: u8) -> Self {
        Half::with(&config(id))
    }

    fn with(config: &NodeConfig) -> Self {
        let id = config.identity.node.get();
        let cell = Arc::new(ModeCell::new());
        let echo = ServiceConfig::Echo.build().expect("echo needs nothing");
        let services = vec![ServicePort { port: 7, service: echo, replicate: true }];
        let seeds = Seeds { boot: BootNonce(u64::from(id)), seed: id.into(), isn_key: [id; 16] };
        let half = ServiceHalf::new(config, seeds, services, Arc::clone(&cell), Instant::ZERO);
        Half { half: half.expect("one service, one port"), cell }
    }

    fn become_active(&mut self, now: Instant, term: u64) {
        let lease = now + Duration::from_secs(60);
        self.cell.store(Grant { mode: Mode::Active, term: Term(term), lease });
        self.half.set_active(now, None);
        self.half.poll(now);
    }

    /// What it says to `other` arrives, cut as a kernel would.
    fn speak_to(&mut self, other: &mut Half) {
        while let Some(segments) = self.half.poll_replication(|frame, size| {
            let mut segments = Vec::new();
            match size {
                Some(size) => offload::cut(frame, size, |segment| segments.push(segment.to_vec())),
                None => segments.push(frame.to_vec()),
            }
            segments
        }) {
            for segment in segments {
                assert!(segment.len() <= 1514, "{} bytes", segment.len());
                other.half.push_replication(&segment);
            }
        }
    }

    fn replication(&self) -> ReplicationStatus {
        self.half.status().replication.expect("it is replicated")
    }
}

fn node(id: u8) -> NodeId {
    NodeId::new(id).expect("test ids are in range")
}

fn config(id: u8) -> NodeConfig {
    let address = |id| Ipv4Addr::new(10, 77, 0, 10 + id);
    let cidr = |address| IpCidr::Ipv4(Ipv4Cidr::new(address, 24));
    let peer = 3 - id;
    NodeConfig {
        identity: Identity {
            group: GroupId::new(7).expect("7 is in range"),
            node: node(id),
            mac_mode: MacMode::Virtual,
            service: vec![cidr(SERVICE)],
            node_address: cidr(address(id)),
        },
        peers: vec![Peer { id: node(peer), address: IpAddress::Ipv4(address(peer)) }],
        key: Key::new([7; 32]),
        port: 3780,
        priority: Priority::new(100).expect("100 is in range"),
        interval: DEAD_AFTER / 3,
        dead_after: DEAD_AFTER,
        preempt: None,
        gateways: Vec::new(),
        limits: locum_stack::Limits::default(),
        mtu: 1500,
        replication: Some(Replication {
            port: 3781,
            buffer: 1 << 20,
            prefer: Prefer::Availability,
            compare_every: 1_000,
            segmentation: true,
        }),
    }
}

/// Lets both talk until `done`; turns of `leader` that work take `turn`, by its clock.
fn converse(
    leader: &mut Half,
    follower: &mut Half,
    now: &mut Instant,
    done: impl Fn(&Half) -> bool,
) {
    let give_up = *now + Duration::from_secs(1);
    while !done(follower) {
        assert!(*now < give_up, "{:?}", follower.replication());
        *now += TURN;
        leader.half.poll(*now);
        leader.half.note_turn(Duration::from_micros(now.as_micros() % 1_000));
        follower.half.poll(*now);
        leader.speak_to(follower);
        follower.speak_to(leader);
    }
}

fn is_in_sync(follower: &Half) -> bool {
    follower.replication().protection == Protection::InSync
}

/// A leader and its follower, which is in sync, and what time it is.
fn pair() -> (Half, Half, Instant) {
    pair_of([config(1), config(2)])
}

fn pair_of(configs: [NodeConfig; 2]) -> (Half, Half, Instant) {
    let [mut leader, mut follower] = configs.map(|config| Half::with(&config));
    let mut now = Instant::from_millis(1);
    leader.become_active(now, 1);
    follower.half.set_active(now, Some(node(1)));
    converse(&mut leader, &mut follower, &mut now, is_in_sync);
    (leader, follower, now)
}

#[test]
fn a_join_is_timed_and_so_is_the_turn_that_gives_a_snapshot() {
    let (leader, follower, now) = pair();
    let joined = follower.replication().counters;
    assert_eq!(joined.snapshots_restored, 1);
    let since_start = now.as_micros();
    assert!((1..since_start).contains(&joined.join_us), "{} of {since_start}", joined.join_us);
    let gave = leader.replication().counters;
    assert_eq!(gave.snapshots_made, 1);
    assert!((1..1_000).contains(&gave.snapshot_pause_max_us), "{gave:?}");
    assert_eq!(joined.snapshot_pause_max_us, 0, "whoever gets one serves nobody");
}

#[test]
fn a_takeover_says_what_the_copy_was_worth() {
    for (silence, on_trust, without_copy) in
        [(DEAD_AFTER, 0, 0), (DEAD_AFTER * 3, 1, 0), (DEAD_AFTER * 6, 0, 1)]
    {
        let (_, mut follower, now) = pair();
        follower.half.poll(now + silence);
        follower.become_active(now + silence, 2);
        let counters = follower.replication().counters;
        let counted = (counters.takeovers_on_trust, counters.takeovers_without_copy);
        assert_eq!(counted, (on_trust, without_copy), "after {silence:?}");
    }
}

#[test]
fn the_first_takeover_of_a_group_lacks_no_copy() {
    let mut half = Half::new(1);
    half.become_active(Instant::from_millis(1), 1);
    assert_eq!(half.replication().counters.takeovers_without_copy, 0);
}

impl Half {
    fn retire(&mut self, now: Instant, succeeded: Succeeded) -> Protection {
        self.cell.store(Grant { mode: Mode::Fenced, term: Term(1), lease: now });
        self.half.poll(now);
        assert_eq!(self.replication().protection, Protection::Stale);
        assert!(!self.half.position().is_complete());
        self.half.set_succeeded(now, succeeded);
        self.half.poll(now);
        self.replication().protection
    }
}

#[test]
fn whoever_led_has_a_whole_copy_if_nobody_has_led_since() {
    let (mut leader, _, now) = pair();
    let later = now + DEAD_AFTER * 20;
    assert_eq!(leader.retire(later, Succeeded::OnlyByTheDead), Protection::Stale);
    leader.half.set_succeeded(later, Succeeded::No);
    leader.half.poll(later);
    assert_eq!(leader.replication().protection, Protection::InSync);
    assert!(leader.half.position().is_complete());
    leader.become_active(later, 2);
    assert_eq!(leader.replication().counters.takeovers_without_copy, 0);
}

#[test]
fn the_dead_know_nothing_that_a_node_lacks_that_has_led_alone_for_long_enough() {
    for (alone, expected) in [(4, Protection::Stale), (6, Protection::InSync)] {
        let (mut leader, _, mut now) = pair();
        leader.half.hear_of_peer(now, PeerNews::Silent(node(2)));
        let alone_until = now + DEAD_AFTER * alone;
        while now < alone_until {
            now += DEAD_AFTER / 4;
            leader.half.poll(now);
        }
        assert_eq!(leader.replication().protection, Protection::Unprotected);
        let later = now + DEAD_AFTER * 4;
        assert_eq!(leader.retire(later, Succeeded::OnlyByTheDead), expected, "{alone}");
    }
}

/// A frame from the client to the service, with `len` bytes that `fill` writes behind the Ethernet header.
fn from_client(ethertype: EthernetProtocol, len: usize, fill: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let dst_addr = config(1).identity.service_mac();
    let header = EthernetRepr { src_addr: CLIENT_MAC, dst_addr, ethertype };
    let mut bytes = vec![0; header.buffer_len() + len];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    header.emit(&mut frame);
    fill(frame.payload_mut());
    bytes
}

/// Such a node with an IPv6 address of its own.
fn config_v6(id: u8) -> NodeConfig {
    let address = |id: u8| Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 10 + u16::from(id));
    let mut config = config(id);
    config.identity.node_address = IpCidr::new(address(id).into(), 64);
    config.peers = vec![Peer { id: node(3 - id), address: IpAddr::V6(address(3 - id)).into() }];
    config
}

/// smoltcp takes what is longer than the MTU over IPv6 for something to fragment, and drops it.
#[test]
fn more_than_fits_one_segment_reaches_a_follower_by_either_family() {
    for configs in [[config(1), config(2)], [config_v6(1), config_v6(2)]] {
        let (mut leader, mut follower, mut now) = pair_of(configs);
        let before = follower.replication().counters.entries_applied;
        for _ in 0..64 {
            assert!(leader.half.push(&datagram(100)));
        }
        let began = now;
        converse(&mut leader, &mut follower, &mut now, |follower| {
            follower.replication().counters.entries_applied == before + 64
        });
        assert!(now - began < DEAD_AFTER, "{:?}", now - began);
        let bytes = leader.replication().counters.bytes_appended;
        assert!(bytes > 1_500 && is_in_sync(&follower), "{bytes} bytes");
    }
}

/// Who has the service address? Asks `sender`, who has none if it is 0.0.0.0.
fn question(sender: Ipv4Addr) -> Vec<u8> {
    let question = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: CLIENT_MAC,
        source_protocol_addr: sender,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: SERVICE,
    };
    from_client(EthernetProtocol::Arp, question.buffer_len(), |room| {
        question.emit(&mut ArpPacket::new_unchecked(room));
    })
}

/// A datagram of `len` bytes to the echo service.
fn datagram(len: usize) -> Vec<u8> {
    let checksums = ChecksumCapabilities::default();
    let udp = UdpRepr { src_port: 40_000, dst_port: 7 };
    let ip = Ipv4Repr {
        src_addr: CLIENT,
        dst_addr: SERVICE,
        next_header: IpProtocol::Udp,
        payload_len: udp.header_len() + len,
        hop_limit: 64,
    };
    from_client(EthernetProtocol::Ipv4, ip.buffer_len() + ip.payload_len, |room| {
        let mut packet = Ipv4Packet::new_unchecked(room);
        ip.emit(&mut packet, &checksums);
        let mut datagram = UdpPacket::new_unchecked(packet.payload_mut());
        let ends = (&CLIENT.into(), &SERVICE.into());
        udp.emit(&mut datagram, ends.0, ends.1, len, |bytes| bytes.fill(b'x'), &checksums);
    })
}

/// What leaves now, by its kind.
fn sent(leader: &mut Half, now: Instant) -> Vec<EthernetProtocol> {
    let kind = |frame: &[u8]| EthernetFrame::new_unchecked(frame).ethertype();
    std::iter::from_fn(|| leader.half.poll_transmit(now, kind)).collect()
}

/// A leader whose follower is silent, with as many answers that wait for it as have room, and as many questions behind
/// them.
fn stalled() -> (Half, Instant) {
    let (mut leader, _, now) = pair();
    sent(&mut leader, now);
    for _ in 0..20 {
        while leader.half.push(&datagram(1)) {}
        leader.half.poll(now);
        assert_eq!(sent(&mut leader, now), []);
    }
    assert!(!leader.half.is_ready() && !leader.half.push(&datagram(1)), "nothing waits");
    (leader, now)
}

/// Found by the swarm (seed 7006518): a node that started while that was so asked in vain, and took over.
#[test]
fn neighbours_are_answered_while_as_much_waits_for_a_follower_as_has_room() {
    let (mut leader, now) = stalled();
    for sender in [Ipv4Addr::UNSPECIFIED, CLIENT] {
        assert!(leader.half.push(&question(sender)), "there is room for questions");
        assert_eq!(leader.half.poll_deadline(), Some((Instant::ZERO, "frames to take")));
        assert!(!leader.half.poll(now), "nothing else can be done");
        assert_eq!(sent(&mut leader, now), [EthernetProtocol::Arp], "asked by {sender}");
        assert_ne!(leader.half.poll_deadline().map(|(_, why)| why), Some("frames to take"));
    }
    leader.half.hear_of_peer(now, PeerNews::Left(node(2)));
    leader.half.poll(now);
    assert_eq!(sent(&mut leader, now), [EthernetProtocol::Ipv4; 512], "what waited, and all of it");
}

#[test]
fn a_flood_of_questions_is_bounded_while_nothing_else_can_be_answered() {
    let (mut leader, now) = stalled();
    for _ in 0..10 {
        let taken = (0..1_000).filter(|_| leader.half.push(&question(CLIENT))).count();
        leader.half.poll(now);
        assert_eq!((taken, sent(&mut leader, now).len()), (64, 64));
    }
}
