//! What the gate costs per frame while it is open: a queue alone against the same queue behind a
//! gate.
//!
//! `cargo run --release -p locum-gate --example gate_cost`
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, and is its own clock"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant as WallClock};

use locum_gate::{FrameQueue, Gate, Identity, MacMode};
use locum_types::{Grant, GroupId, Instant, Mode, ModeCell, NodeId, Term};
use smoltcp::phy::{Device, RxToken, TxToken};
use smoltcp::time::Instant as SmolInstant;
use smoltcp::wire::{IpCidr, Ipv4Address, Ipv4Cidr};

const MTU: usize = 1500;
const ROUND: usize = 10_000;
const ROUNDS: usize = 9;

fn main() {
    let identity = identity();
    let cell = Arc::new(ModeCell::new());
    let lease = Instant::ZERO + Duration::from_secs(3600);
    cell.store(Grant { mode: Mode::Active, term: Term(1), lease });
    println!(
        "{:>16} {:>10} {:>10} {:>10} {:>7}",
        "frame", "queue ns", "gate ns", "added ns", "ratio"
    );
    for len in [60, 590, 1514] {
        let received = tcp_frame(&identity, len, false);
        let sent = tcp_frame(&identity, len, true);
        let mut queue = FrameQueue::new(MTU, 64);
        let mut gate = Gate::new(FrameQueue::new(MTU, 64), identity.clone(), Arc::clone(&cell));
        let rx = (
            best(|| receive(&mut queue, |queue| queue, &received)),
            best(|| receive(&mut gate, Gate::inner_mut, &received)),
        );
        let tx = (
            best(|| transmit(&mut queue, |queue| queue, &sent)),
            best(|| transmit(&mut gate, Gate::inner_mut, &sent)),
        );
        let counters = gate.counters();
        assert_eq!((counters.ingress.dropped(), counters.egress.dropped()), (0, 0), "all pass");
        for (name, (queue, gate)) in [("in", rx), ("out", tx)] {
            let label = format!("{len} B {name}");
            let ratio = gate / queue;
            println!("{label:>16} {queue:>10.1} {gate:>10.1} {:>10.1} {ratio:>7.2}", gate - queue);
        }
    }
}

/// Nanoseconds per frame, of the best round: what the machine can do when nothing disturbs it.
fn best(mut round: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let start = WallClock::now();
        round();
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / ROUND as f64);
    }
    best
}

fn receive<D: Device>(device: &mut D, queue: fn(&mut D) -> &mut FrameQueue, frame: &[u8]) {
    for _ in 0..ROUND {
        queue(device).push(frame);
        let (rx, _tx) = device.receive(SmolInstant::ZERO).expect("a frame is queued");
        rx.consume(|frame| black_box(frame.len()));
    }
}

fn transmit<D: Device>(device: &mut D, queue: fn(&mut D) -> &mut FrameQueue, frame: &[u8]) {
    for _ in 0..ROUND {
        let token = device.transmit(SmolInstant::ZERO).expect("the queue has room");
        token.consume(frame.len(), |room| room.copy_from_slice(frame));
        queue(device).pop_transmit(|frame| black_box(frame.len()));
    }
}

/// A TCP segment of `len` bytes between a client and the service address.
fn tcp_frame(identity: &Identity, len: usize, from_service: bool) -> Vec<u8> {
    let (service, client) = ([10, 77, 0, 100], [10, 77, 0, 200]);
    let client_mac = [0x02, 0xc1, 0x1e, 0, 0, 1];
    let service_mac = identity.service_mac().0;
    let (from, to, from_mac, to_mac) = match from_service {
        true => (service, client, service_mac, client_mac),
        false => (client, service, client_mac, service_mac),
    };
    let mut frame = vec![0; len];
    frame[..6].copy_from_slice(&to_mac);
    frame[6..12].copy_from_slice(&from_mac);
    frame[12..16].copy_from_slice(&[0x08, 0x00, 0x45, 0x00]);
    let total_len = u16::try_from(len - 14).expect("fits the MTU");
    frame[16..18].copy_from_slice(&total_len.to_be_bytes());
    frame[22..24].copy_from_slice(&[64, 6]);
    frame[26..30].copy_from_slice(&from);
    frame[30..34].copy_from_slice(&to);
    frame[46..48].copy_from_slice(&[0x50, 0x10]);
    frame
}

fn identity() -> Identity {
    let cidr = |last| IpCidr::Ipv4(Ipv4Cidr::new(Ipv4Address::new(10, 77, 0, last), 24));
    Identity {
        group: GroupId::new(7).expect("in range"),
        node: NodeId::new(1).expect("in range"),
        mac_mode: MacMode::Virtual,
        service: vec![cidr(100)],
        node_address: cidr(11),
    }
}
