//! What a hop, a system call and a wake-up cost. Prints one line per figure.
//!
//! `cargo bench -p locum-link`; the TAP's figures need root or user namespaces.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::hint::black_box;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::thread;

use locum_lab::enter::{Entered, enter};
use locum_link::segment::{Config, Segment};
use locum_link::{Clock, Poller, Received, Sent, Tap, TapOptions, Waker};
use locum_types::Instant;

const ROUNDS: u64 = 200_000;

fn main() -> ExitCode {
    match enter(&[]) {
        Entered::Finished(code) => return code,
        Entered::Inside => measure_tap(),
        Entered::Unable(missing) => println!("no figures of the TAP: {missing}"),
    }
    measure_segment();
    measure_poller();
    ExitCode::SUCCESS
}

fn report(what: &str, rounds: u64, started: Instant) {
    let nanos = (Clock.now() - started).as_nanos() as f64 / rounds as f64;
    println!("{what:<58} {nanos:>9.1} ns");
}

fn frame(to: [u8; 6], from: [u8; 6], len: usize) -> Vec<u8> {
    let mut bytes = [&to[..], &from, &[0x88, 0xb5]].concat();
    bytes.resize(len, 0);
    bytes
}

fn measure_segment() {
    let (alice, bob) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    for (stations, len) in [(2, 64), (2, 1514), (1000, 64)] {
        let mut segment = Segment::new(Config::default());
        let (a, b) = (segment.add_port(), segment.add_port());
        for station in 3..=stations {
            let [.., high, low] = u32::to_be_bytes(station);
            segment.send(Instant::ZERO, a, &frame([0xff; 6], [2, 0, 0, 1, high, low], 64));
            segment.recv(b, |_| ());
        }
        segment.send(Instant::ZERO, b, &frame(alice, bob, 64));
        segment.recv(a, |_| ());
        let bytes = frame(bob, alice, len);
        let started = Clock.now();
        for round in 0..ROUNDS {
            segment.send(Instant::from_micros(round), a, &bytes);
            black_box(segment.recv(b, <[u8]>::len));
        }
        report(&format!("segment: one hop, {len} B, {stations} stations"), ROUNDS, started);
    }
}

fn measure_tap() {
    let tap = match Tap::open("bench0", TapOptions::default()) {
        Ok(tap) => tap,
        Err(error) => return println!("no figures of the TAP: {error}"),
    };
    for len in [64, 1514] {
        let bytes = frame([2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 1], len);
        let started = Clock.now();
        let sent = (0..ROUNDS).filter(|_| tap.send(&bytes) == Sent::Done).count();
        report(&format!("TAP: write of {len} B ({sent} of {ROUNDS} taken)"), ROUNDS, started);
    }
    let mut buf = vec![0; tap.buffer_len()];
    let started = Clock.now();
    for _ in 0..ROUNDS {
        black_box(tap.recv(&mut buf));
    }
    report("TAP: read of nothing", ROUNDS, started);
    measure_tap_read(&tap, &mut buf);
}

/// The kernel is made to talk by broadcasts of its own, in batches that its queue can hold.
fn measure_tap_read(tap: &Tap, buf: &mut [u8]) {
    const BATCH: usize = 200;
    let sender = std::process::Command::new("ip")
        .args(["addr", "add", "10.92.0.1/24", "brd", "+", "dev", tap.name()])
        .status()
        .and_then(|_| std::net::UdpSocket::bind("10.92.0.1:0"))
        .and_then(|socket| socket.set_broadcast(true).map(|()| socket));
    let sender = match sender {
        Ok(sender) => sender,
        Err(error) => return println!("no figure of TAP reads: {error}"),
    };
    let (mut frames, mut nanos) = (0u64, 0u128);
    for _ in 0..100 {
        for _ in 0..BATCH {
            if let Err(error) = sender.send_to(&[0; 64], "10.92.0.255:9") {
                return println!("no figure of TAP reads: {error}");
            }
        }
        let started = Clock.now();
        while let Received::Frame(len) = tap.recv(buf) {
            black_box(len);
            frames += 1;
        }
        nanos += (Clock.now() - started).as_nanos();
    }
    let each = nanos as f64 / frames.max(1) as f64;
    println!("{:<58} {each:>9.1} ns", format!("TAP: read of 106 B ({frames} frames)"));
}

fn measure_poller() {
    let started = Clock.now();
    for _ in 0..ROUNDS {
        black_box(Clock.now());
    }
    report("clock: one reading", ROUNDS, started);
    let (there, back) = match (Waker::new(), Waker::new()) {
        (Ok(there), Ok(back)) => (there, back),
        (Err(error), _) | (_, Err(error)) => return println!("no figures of wakers: {error}"),
    };
    const TURNS: u64 = 20_000;
    let answer = |from: Waker, to: Waker| {
        move || {
            for _ in 0..TURNS {
                let woken = Poller.wait(&[from.as_fd()], None).is_ok_and(|r| r.readable(0));
                assert!(woken && from.drain());
                to.wake();
            }
        }
    };
    let started = Clock.now();
    let peer = thread::spawn(answer(there.clone(), back.clone()));
    there.wake();
    answer(back, there)();
    assert!(peer.join().is_ok());
    report("waker: to another thread and back", TURNS, started);
}
