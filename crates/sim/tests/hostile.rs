//! Nodes on a hub with a hostile machine: whatever it sends, a node that must be silent is, the modes
//! stay, the service answers, and every frame is accounted for.

use std::collections::BTreeSet;
use std::time::Duration;

use locum_appliance::{Node, NodeStatus, Port, Seeds};
use locum_gate::MacMode;
use locum_sim::{Arsenal, ECHO_PORT, Hostile, Lan, Weapon};
use locum_types::{BootNonce, Instant, Mode};
use smoltcp::wire::EthernetAddress;

const HOSTILE_MAC: EthernetAddress = EthernetAddress([0x02, 0xba, 0xd1, 0, 0, 1]);
const STEP: Duration = Duration::from_millis(1);
const SEED: u64 = 0xbad;
/// Where an Ethernet frame says what it is.
const ETHERTYPE: std::ops::Range<usize> = 12..14;

/// Nodes and a hostile machine, all of which hear all that is said.
struct Hub {
    now: Instant,
    lan: Lan,
    nodes: Vec<Node>,
    hostile: Hostile,
    /// On their way to everybody but the station they are from; the hostile machine comes after the
    /// nodes.
    air: Vec<(usize, Vec<u8>)>,
    /// Frames given to each node.
    given: Vec<u64>,
    requests: u32,
    /// The client's requests that the echo service answered, by number. A hostile
    /// machine may repeat one, and spoil its number.
    echoes: BTreeSet<u32>,
}

impl Hub {
    fn new(lan: Lan) -> Self {
        let seeds = |id: u8| Seeds {
            boot: BootNonce(u64::from(id)),
            seed: u64::from(id),
            isn_key: [id; 16],
        };
        let node = |id| {
            let (config, services) = (lan.node(id), Lan::services());
            Node::new(&config, seeds(id), Port::Service, services, Instant::ZERO)
                .expect("the services have ports of their own")
        };
        let nodes: Vec<_> = (1..=lan.nodes).map(node).collect();
        let victims: Vec<_> = nodes.iter().map(|node| node.identity().clone()).collect();
        let given = vec![0; nodes.len()];
        Hub {
            now: Instant::ZERO,
            hostile: Hostile::new(HOSTILE_MAC, &victims, SEED),
            lan,
            nodes,
            air: Vec::new(),
            given,
            echoes: BTreeSet::new(),
            requests: 0,
        }
    }

    fn attack(&mut self, weapons: &[Weapon]) {
        self.hostile.set_arsenal(self.now, &Arsenal::of(weapons, STEP));
    }

    /// Lets `duration` pass, step by step.
    #[track_caller]
    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.step();
            self.now += STEP;
        }
    }

    #[track_caller]
    fn step(&mut self) {
        for (from, frame) in std::mem::take(&mut self.air) {
            for (index, node) in self.nodes.iter_mut().enumerate().filter(|(to, _)| *to != from) {
                node.receive(Port::Service, &frame);
                self.given[index] += 1;
            }
            if from != self.nodes.len() {
                self.hostile.receive(&frame);
            }
        }
        for index in 0..self.nodes.len() {
            self.turn(index);
        }
        self.hostile.turn(self.now);
        let air = &mut self.air;
        let from = self.nodes.len();
        while self.hostile.poll_transmit(|frame| air.push((from, frame.to_vec()))).is_some() {}
    }

    #[track_caller]
    fn turn(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        for _ in 0..100 {
            let more = node.turn(self.now);
            let mode = node.mode_at(self.now);
            let mut sent = Vec::new();
            while node.poll_transmit(self.now, |_, frame, _| sent.push(frame.to_vec())).is_some() {}
            for frame in sent {
                let leaks = mode != Mode::Active && speaks_for_service(node, &frame);
                assert!(!leaks, "{mode:?} node {} sent {frame:02x?}", index + 1);
                self.echoes.extend(echo(&frame));
                self.air.push((index, frame));
            }
            if !more {
                return;
            }
        }
        panic!("node {} does not come to rest", index + 1);
    }

    /// A client asks the echo service by UDP, now and then for `duration`.
    #[track_caller]
    fn ask_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        let everybody_else = usize::MAX;
        while self.now < end {
            let service = self.nodes[0].identity().service_mac();
            for frame in [client_arp(), client_request(service, self.requests)] {
                self.air.push((everybody_else, frame));
            }
            self.requests += 1;
            self.run(STEP * 10);
        }
    }

    /// The numbers of the requests that were not answered.
    fn unanswered(&self) -> Vec<u32> {
        (0..self.requests).filter(|number| !self.echoes.contains(number)).collect()
    }

    fn modes(&self) -> Vec<Mode> {
        self.nodes.iter().map(|node| node.mode_at(self.now)).collect()
    }

    /// Every frame given to a node went somewhere, and was counted there.
    #[track_caller]
    fn assert_balanced(&self) {
        for (node, given) in self.nodes.iter().zip(&self.given) {
            let NodeStatus { steering, heartbeat, service } = node.status(self.now);
            assert_eq!(steering.frames(), *given, "{steering:?}");
            let queue = service.queue;
            let lost = queue.rx_full + queue.rx_oversize + queue.rx_cleared;
            let ingress = &service.gate.ingress;
            assert_eq!(steering.service + steering.both, ingress.frames + lost, "{queue:?}");
            let judged = ingress.passed + ingress.answered + ingress.dropped();
            assert_eq!(ingress.frames, judged, "{ingress:?}");
            let heard = heartbeat.counters.frames + steering.inbox_full;
            assert_eq!(steering.heartbeat + steering.both, heard, "{heartbeat:?}");
            let egress = &service.gate.egress;
            assert_eq!(egress.frames, egress.passed + egress.rewritten + egress.dropped());
            assert_eq!(service.gate.sent.refused, 0, "the gate refused a frame of its own");
        }
    }
}

/// What only an active node may say, read without the gate's help.
fn speaks_for_service(node: &Node, frame: &[u8]) -> bool {
    let identity = node.identity();
    let v4 = Lan::SERVICE_V4.octets();
    let v6 = Lan::SERVICE_V6.octets();
    let shared = identity.mac_mode == MacMode::Virtual;
    let from_service = match frame[ETHERTYPE] {
        [0x08, 0x06] => frame[28..32] == v4,
        [0x08, 0x00] => frame[26..30] == v4,
        // Neighbour advertisements name their target.
        [0x86, 0xdd] => frame[22..38] == v6 || frame[54] == 136 && frame[62..78] == v6,
        _ => true,
    };
    from_service || shared && frame[6..12] == *identity.virtual_mac().as_bytes()
}

const CLIENT: [u8; 4] = [10, 77, 0, 200];
const CLIENT_PORT: u16 = 40_000;

fn ethernet(to: EthernetAddress, ethertype: [u8; 2]) -> Vec<u8> {
    [to.as_bytes(), Lan::client_mac(0).as_bytes(), &ethertype].concat()
}

fn client_arp() -> Vec<u8> {
    let mut frame = ethernet(EthernetAddress::BROADCAST, [0x08, 0x06]);
    frame.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend_from_slice(Lan::client_mac(0).as_bytes());
    frame.extend_from_slice(&CLIENT);
    frame.extend_from_slice(&[0; 6]);
    frame.extend_from_slice(&Lan::SERVICE_V4.octets());
    frame
}

fn client_request(service: EthernetAddress, number: u32) -> Vec<u8> {
    let mut frame = ethernet(service, [0x08, 0x00]);
    let mut header = [0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    header[12..16].copy_from_slice(&CLIENT);
    header[16..20].copy_from_slice(&Lan::SERVICE_V4.octets());
    smoltcp::wire::Ipv4Packet::new_unchecked(&mut header[..]).fill_checksum();
    frame.extend_from_slice(&header);
    frame.extend_from_slice(&CLIENT_PORT.to_be_bytes());
    frame.extend_from_slice(&ECHO_PORT.to_be_bytes());
    // Twelve bytes, without a checksum (RFC 768).
    frame.extend_from_slice(&[0, 12, 0, 0]);
    frame.extend_from_slice(&number.to_be_bytes());
    frame
}

/// The number of the request that a frame answers, if it is an answer to the client's.
fn echo(frame: &[u8]) -> Option<u32> {
    let is_ours = frame[ETHERTYPE] == [0x08, 0x00]
        && frame.get(30..34)? == CLIENT
        && frame.get(34..36)? == ECHO_PORT.to_be_bytes();
    let number = frame.get(42..46)?.first_chunk()?;
    is_ours.then(|| u32::from_be_bytes(*number))
}

fn all_but_spoofing() -> Vec<Weapon> {
    Weapon::ALL.into_iter().filter(|weapon| *weapon != Weapon::MacSpoof).collect()
}

fn lans() -> [Lan; 2] {
    [MacMode::Virtual, MacMode::Own].map(|mac_mode| Lan { mac_mode, ..Lan::default() })
}

#[test]
fn each_weapon_alone_leaves_modes_and_service_as_they_were() {
    for lan in lans() {
        for weapon in Weapon::ALL {
            let mut hub = Hub::new(lan.clone());
            hub.run(Duration::from_secs(1));
            assert_eq!(hub.modes(), [Mode::Active, Mode::Waiting]);
            hub.attack(&[weapon]);
            hub.ask_for(Duration::from_secs(2));
            hub.run(STEP * 5);
            let mode = lan.mac_mode;
            assert_eq!(hub.modes(), [Mode::Active, Mode::Waiting], "{weapon:?}, {mode:?}");
            assert_eq!(hub.unanswered(), [0; 0], "{weapon:?}, {mode:?}");
            assert!(hub.hostile.counters().fired > 100, "{weapon:?}");
            hub.assert_balanced();
        }
    }
}

#[test]
fn all_weapons_at_once_move_nothing_and_nothing_goes_uncounted() {
    for lan in lans() {
        let mut hub = Hub::new(lan);
        hub.run(Duration::from_secs(1));
        hub.attack(&all_but_spoofing());
        hub.ask_for(Duration::from_secs(5));
        assert_eq!(hub.modes(), [Mode::Active, Mode::Waiting], "{:?}", hub.lan.mac_mode);
        hub.assert_balanced();
        // Floods may cost some.
        let lost = hub.unanswered();
        assert!(lost.len() * 10 < hub.requests as usize, "{lost:?} of {}", hub.requests);
    }
}

#[test]
fn a_group_that_starts_under_attack_is_silent_until_one_node_is_active() {
    for lan in lans() {
        let mut hub = Hub::new(lan);
        hub.attack(&all_but_spoofing());
        hub.run(STEP * 5);
        assert_eq!(hub.modes(), [Mode::Joining, Mode::Joining], "too early to tell");
        hub.run(Duration::from_secs(3));
        let active = hub.modes().iter().filter(|mode| **mode == Mode::Active).count();
        assert_eq!(active, 1, "{:?}", hub.modes());
        hub.assert_balanced();
    }
}

#[test]
fn after_an_attack_the_service_is_as_it_was_before() {
    let mut hub = Hub::new(Lan::default());
    hub.run(Duration::from_secs(1));
    hub.attack(&all_but_spoofing());
    hub.run(Duration::from_secs(3));
    hub.attack(&[]);
    hub.run(Duration::from_secs(2));
    hub.ask_for(Duration::from_secs(1));
    hub.run(STEP * 5);
    assert_eq!(hub.unanswered(), [0; 0]);
    assert_eq!(hub.modes(), [Mode::Active, Mode::Waiting]);
    hub.assert_balanced();
}

#[test]
fn tcp_dialogues_meet_the_guards_of_the_stack_and_leave_nothing_behind() {
    let mut hub = Hub::new(Lan::default());
    hub.run(Duration::from_secs(1));
    hub.attack(&[Weapon::SynFlood]);
    hub.run(Duration::from_secs(5));
    let stack = hub.nodes[0].status(hub.now).service.stack;
    assert!(stack.counters.flows_opened > 100, "{stack:?}");
    assert!(stack.counters.segments_stray > 100, "{stack:?}");
    assert!(stack.counters.resets_inexact > 10, "{stack:?}");
    assert!(stack.counters.acks_of_fin_repeated > 10, "{stack:?}");
    assert!(stack.counters.acks_renumbered > 10, "{stack:?}");

    hub.attack(&[]);
    hub.run(Duration::from_secs(300));
    let stack = hub.nodes[0].status(hub.now).service.stack;
    assert!(stack.counters.half_open_expired > 100, "{stack:?}");
    assert_eq!((stack.flows, stack.half_open), (0, 0), "{stack:?}");
}
