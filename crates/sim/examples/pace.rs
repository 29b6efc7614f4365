//! How much faster than real time the simulator runs: a pair with the default beats and three clients,
//! each with a UDP, a ping and a TCP program at 10 ms, on one processor.
//!
//! `cargo run --release -p locum-sim --example pace`

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark measures and prints"
)]

use std::time::{Duration, Instant};

use locum_sim::{ECHO_PORT, Host, Lan, Program, World};
use smoltcp::wire::IpAddress;

const CLIENTS: u8 = 3;
const EVERY: Duration = Duration::from_millis(10);
const SIMULATED: Duration = Duration::from_secs(300);
const ROUNDS: u64 = 5;

fn main() {
    let mut ratios: Vec<f64> = (0..ROUNDS).map(round).collect();
    ratios.sort_by(f64::total_cmp);
    let [slowest, .., fastest] = ratios[..] else { return };
    println!(
        "a pair, {CLIENTS} clients, {SIMULATED:?} simulated: {:.0} x real time \
         (median of {ROUNDS}; {slowest:.0} to {fastest:.0})",
        ratios[ratios.len() / 2],
    );
}

/// Simulated time per real time.
fn round(seed: u64) -> f64 {
    let mut world = World::with_nodes(seed, &Lan { nodes: 2, ..Lan::default() });
    for number in 0..CLIENTS {
        add_client(&mut world, number);
    }
    let started = Instant::now();
    world.run_for(SIMULATED);
    assert_eq!(world.active().len(), 1, "a calm pair has one active node");
    SIMULATED.as_secs_f64() / started.elapsed().as_secs_f64()
}

fn add_client(world: &mut World, number: u8) {
    let now = world.now();
    let name = format!("client {number}");
    let (mac, addresses) = (Lan::client_mac(number), Lan::client_addresses(number));
    let mut host = Host::new(&name, mac, &addresses, u64::from(number), now);
    let service = IpAddress::Ipv4(Lan::SERVICE_V4);
    host.run(|sockets| Program::udp_echo(sockets, service, ECHO_PORT, 40_000, EVERY, now));
    host.run(|sockets| Program::ping(sockets, service, EVERY, 1, now));
    host.run(|sockets| Program::tcp_echo(sockets, service, ECHO_PORT, 50_000, EVERY, now));
    world.add_host(host);
}
