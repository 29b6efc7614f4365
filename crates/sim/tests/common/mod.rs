//! What the scenario tests share: a group with a client, and the questions they ask it.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::time::Duration;

use locum_sim::{Host, HostId, Lan, NodeIndex, Program, World};
use locum_types::{Instant, Mode};
use smoltcp::wire::IpAddress;

pub const A: NodeIndex = NodeIndex(0);
pub const B: NodeIndex = NodeIndex(1);
pub const C: NodeIndex = NodeIndex(2);

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Programs of the usual client, by index.
pub const UDP: usize = 0;
pub const PING: usize = 1;
pub const TCP: usize = 2;
pub const PING6: usize = 3;

/// A client that asks the service every millisecond by UDP, and now and then in other ways.
pub fn add_client(world: &mut World, index: u8) -> HostId {
    let now = world.now();
    let mac = Lan::client_mac(index);
    let seed = 0xc11e47 + u64::from(index);
    let mut host =
        Host::new(&format!("client {index}"), mac, &Lan::client_addresses(index), seed, now);
    let v4 = IpAddress::Ipv4(Lan::SERVICE_V4);
    let v6 = IpAddress::Ipv6(Lan::SERVICE_V6);
    let port = locum_sim::ECHO_PORT;
    host.run(|sockets| Program::udp_echo(sockets, v4, port, 40_000, ms(1), now));
    host.run(|sockets| Program::ping(sockets, v4, ms(10), 1, now));
    host.run(|sockets| Program::tcp_echo(sockets, v4, port, 50_000, ms(10), now));
    host.run(|sockets| Program::ping(sockets, v6, ms(10), 2, now));
    world.add_host(host)
}

/// A settled group of nodes with one client; its first node is active.
pub fn settled(seed: u64, lan: &Lan) -> (World, HostId) {
    let mut world = World::with_nodes(seed, lan);
    world.run_for(ms(1_000));
    assert_eq!(world.active(), [A], "the highest priority wins the first election");
    let client = add_client(&mut world, 0);
    world.run_for(ms(1_000));
    (world, client)
}

/// The longest silence a program of the client saw since `from`, less the period of its requests.
pub fn outage(world: &World, client: HostId, program: usize, from: Instant) -> Duration {
    let record = world.host(client).programs()[program].record();
    let (_, gap) = record.longest_gap_between(from, world.now()).expect("the client was answered");
    let period = if program == UDP { ms(1) } else { ms(10) };
    gap.saturating_sub(period)
}

/// Checks what must hold after every run.
#[track_caller]
pub fn assert_sound(world: &World) {
    let leaks = world.leaks();
    assert_eq!(leaks.count(), 0, "frames leaked: {:?}", leaks.first());
    assert!(leaks.checked() > 0, "the checker saw nothing");
}

/// Checks that `node` alone is active, and that everybody else waits.
#[track_caller]
pub fn assert_only_active(world: &World, node: NodeIndex) {
    assert_eq!(world.active(), [node], "{:#?}", world.events());
    for other in world.nodes().filter(|&other| other != node) {
        let mode = world.mode(other);
        assert!(matches!(mode, None | Some(Mode::Waiting)), "node {other:?} is {mode:?}");
    }
}
