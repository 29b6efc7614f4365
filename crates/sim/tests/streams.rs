//! TCP connections through takeovers: the shipping node assembly, replicated, in virtual time.

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use common::{A, B, TCP, add_client, assert_only_active, ms};
use locum_link::segment::rule::{Hop, Verdict};
use locum_sim::{
    Dialect, ECHO_PORT, Host, HostId, Lan, Program, Sight, Station, TcpHabits, WindowScale, World,
};
use locum_types::{Instant, Protection};
use smoltcp::wire::{IpAddress, IpEndpoint, TcpOption, TcpPacket};

fn lan() -> Lan {
    Lan { replication: Some(Lan::REPLICATION), ..Lan::default() }
}

/// A settled and protected group with some clients.
fn protected(seed: u64, lan: &Lan, clients: u8) -> (World, Vec<HostId>) {
    let mut world = World::with_nodes(seed, lan);
    world.run_for(ms(1_000));
    let clients: Vec<HostId> = (0..clients).map(|index| add_client(&mut world, index)).collect();
    world.run_for(ms(1_000));
    assert_only_active(&world, A);
    assert_protected(&world);
    (world, clients)
}

fn assert_protected(world: &World) {
    let active = world.active()[0];
    let status = world.status(active).expect("it runs").service.replication.expect("configured");
    assert_eq!(status.protection, Protection::Protected, "{status:?}");
}

/// No connection was lost; returns the longest time without an answer since `from`.
fn survived(world: &World, clients: &[HostId], from: Instant) -> Duration {
    let mut longest = Duration::ZERO;
    for &client in clients {
        let record = world.host(client).programs()[TCP].record();
        assert_eq!(record.connections_lost(), [], "{}", world.host(client).name());
        let (_, gap) = record.longest_gap_between(from, world.now()).expect("it was answered");
        longest = longest.max(gap);
    }
    longest
}

#[test]
fn connections_survive_a_killed_node() {
    for seed in 0..10 {
        let (mut world, clients) = protected(seed, &lan(), 3);
        world.run_for(ms(seed * 3));
        let from = world.now();
        world.kill(A, true);
        world.run_for(ms(1_000));
        assert_only_active(&world, B);
        let stall = survived(&world, &clients, from);
        assert!(stall <= ms(20), "seed {seed}: {stall:?}");
    }
}

#[test]
fn connections_survive_a_cut_link_and_a_node_without_a_warden() {
    for seed in 0..10 {
        let (mut world, clients) = protected(seed, &lan(), 3);
        world.run_for(ms(seed * 3));
        let from = world.now();
        if seed % 2 == 0 {
            world.set_link(A, false);
        } else {
            world.kill(A, false);
        }
        world.run_for(ms(1_000));
        let stall = survived(&world, &clients, from);
        assert!(stall <= ms(60), "seed {seed}: {stall:?}");
    }
}

#[test]
fn connections_survive_a_hand_over_and_a_shutdown() {
    for seed in 0..10 {
        let (mut world, clients) = protected(seed, &lan(), 3);
        world.run_for(ms(seed * 3));
        let from = world.now();
        if seed % 2 == 0 {
            world.hand_over(A, None);
        } else {
            world.shut_down(A);
        }
        world.run_for(ms(1_000));
        assert_only_active(&world, B);
        let stall = survived(&world, &clients, from);
        assert!(stall <= ms(20), "seed {seed}: {stall:?}");
    }
}

/// A dies, B serves; A comes back, copies, B dies; and so on.
#[test]
fn connections_go_round_for_ever() {
    for seed in 0..5 {
        let (mut world, clients) = protected(seed, &lan(), 5);
        let from = world.now();
        for round in 0..10 {
            let active = world.active()[0];
            match round % 3 {
                0 => world.kill(active, true),
                1 => world.kill(active, false),
                _ => world.hand_over(active, None),
            }
            world.run_for(ms(700));
            world.start(active);
            world.run_for(ms(700));
            assert_protected(&world);
        }
        survived(&world, &clients, from);
    }
}

#[test]
fn connections_survive_two_deaths_of_three() {
    let lan = Lan { nodes: 3, ..lan() };
    for seed in 0..5 {
        let (mut world, clients) = protected(seed, &lan, 3);
        let from = world.now();
        for _ in 0..2 {
            let active = world.active()[0];
            world.kill(active, seed % 2 == 0);
            world.run_for(ms(1_000));
        }
        survived(&world, &clients, from);
    }
}

/// A process that was stopped, and comes back when another serves its clients.
#[test]
fn a_zombie_disturbs_no_connection() {
    for seed in 0..10 {
        let (mut world, clients) = protected(seed, &lan(), 3);
        let from = world.now();
        world.freeze(A);
        world.run_for(ms(100 + seed * 37));
        world.thaw(A);
        world.run_for(ms(2_000));
        assert_only_active(&world, B);
        assert_protected(&world);
        survived(&world, &clients, from);
    }
}

/// Segments between the nodes get lost, and their timers would take a second: whatever follows makes TCP send them
/// again within a few milliseconds, so that a follower is hardly ever given up.
#[test]
fn lost_segments_between_nodes_cost_milliseconds() {
    let (mut world, clients) = protected(1, &lan(), 1);
    let from = world.now();
    let mut rng = fastrand::Rng::with_seed(1);
    let nodes = [world.jack_of(A).port, world.jack_of(B).port];
    world.segment_mut().install(move |hop: &Hop<'_>| {
        let between = nodes.contains(&hop.from) && nodes.contains(&hop.to);
        if between && rng.u8(..100) < 3 { Verdict::Drop } else { Verdict::Pass }
    });
    world.run_for(ms(20_000));
    let status = world.status(A).expect("it runs").service.replication.expect("configured");
    let stall = survived(&world, &clients, from);
    assert!(stall <= ms(60), "{stall:?}");
    // Forty-five without that, in the same run.
    let unprotected = status.counters.unprotected;
    assert!(unprotected <= 10, "{status:?}");
}

/// What a client's SYN offers: its scale, and selective acknowledgements; and the largest window it told later.
#[derive(Default)]
struct Offered {
    syn: Option<(Option<u8>, bool)>,
    window_max: u16,
}

impl Offered {
    fn note(&mut self, sight: &Sight<'_>) {
        const IPV4_AND_ETHERNET: usize = 34;
        let is_host = matches!(sight.from, Station::Host(_));
        let [0x08, 0x00, 0x45, ..] = sight.frame[12..] else { return };
        let Ok(segment) = TcpPacket::new_checked(&sight.frame[IPV4_AND_ETHERNET..]) else { return };
        if !is_host || segment.dst_port() != ECHO_PORT {
            return;
        }
        let ends = [[10, 77, 0, 200], [10, 77, 0, 100]]
            .map(|it| IpAddress::v4(it[0], it[1], it[2], it[3]));
        assert!(segment.verify_checksum(&ends[0], &ends[1]));
        if !segment.syn() {
            self.window_max = self.window_max.max(segment.window_len());
            return;
        }
        let mut options = segment.options();
        let mut offered = (None, false);
        while let Ok((rest, option)) = TcpOption::parse(options) {
            match option {
                TcpOption::WindowScale(bits) => offered.0 = Some(bits),
                TcpOption::SackPermitted => offered.1 = true,
                TcpOption::EndOfList
                | TcpOption::NoOperation
                | TcpOption::MaxSegmentSize(_)
                | TcpOption::SackRange(_)
                | TcpOption::TimeStamp { .. }
                | TcpOption::Unknown { .. } => {}
            }
            options = rest;
        }
        self.syn = Some(offered);
    }
}

#[test]
fn connections_of_every_dialect_survive() {
    let scales =
        (0..=14).map(WindowScale::Bits).chain([WindowScale::Absent, WindowScale::OfBuffer]);
    for (number, scale) in scales.enumerate() {
        let (mut world, _) = protected(1, &lan(), 0);
        let offered = Rc::new(RefCell::new(Offered::default()));
        let notes = Rc::clone(&offered);
        world.watch(move |sight| notes.borrow_mut().note(sight));
        let dialect = Dialect { sack: number % 2 == 0, scale };
        let habits = TcpHabits { request: 2_000, buffer: 1 << 18, dialect, ..TcpHabits::default() };
        let (mac, addresses, now) = (Lan::client_mac(0), Lan::client_addresses(0), world.now());
        let mut host = Host::new("client", mac, &addresses, 1, now);
        let to = IpEndpoint::new(IpAddress::Ipv4(Lan::SERVICE_V4), ECHO_PORT);
        host.run(|sockets| Program::tcp_stream(sockets, to, 50_000, habits, ms(2), now));
        let client = world.add_host(host);
        world.run_for(ms(500));
        world.kill(A, true);
        world.run_for(ms(1_000));
        let record = world.host(client).programs()[0].record();
        assert_eq!(record.connections_lost(), [], "{dialect:?}");
        assert_eq!(record.corruptions(), [], "{dialect:?}");
        assert!(record.answers().len() > 600, "{dialect:?}: {}", record.answers().len());
        let offered = offered.borrow();
        let (bits, window_max) = match scale {
            WindowScale::Bits(bits) => {
                (Some(bits), u16::try_from(1_usize << 18 >> bits).unwrap_or(u16::MAX))
            }
            WindowScale::Absent => (None, u16::MAX),
            // Of 2^18 and one bit more: a window of all of it is 2^15 steps.
            WindowScale::OfBuffer => (Some(3), 1 << 15),
        };
        assert_eq!(offered.syn, Some((bits, dialect.sack)));
        assert_eq!(offered.window_max, window_max, "{dialect:?}");
    }
}
