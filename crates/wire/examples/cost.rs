//! What a beat costs: `cargo run --release -p locum-wire --example cost`.

#![allow(clippy::disallowed_methods, reason = "a measurement needs a clock")]
#![allow(clippy::print_stdout, reason = "its result is for a person")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use locum_types::{BootNonce, GroupId, Health, IdError, LogPosition, Mode, NodeId, Priority, Term};
use locum_wire::{BEAT_LEN, Beat, Intent, Key, Refusal, ReplayWindow, open, seal};

const ROUNDS: u32 = 200_000;

fn main() -> Result<(), IdError> {
    let beat = beat()?;
    let key = Key::new([0x0b; 32]);
    let mut sealed = [0; BEAT_LEN];
    seal(&beat, &key, &mut sealed);
    let mut forged = sealed;
    forged[BEAT_LEN - 1] ^= 1;
    let stranger = [0x2a; BEAT_LEN];
    let opened = |bytes: &[u8; BEAT_LEN]| open(bytes, &key, beat.group, beat.to);
    assert_eq!(opened(&sealed), Ok(beat));
    assert_eq!(opened(&forged), Err(Refusal::BadTag));
    assert_eq!(opened(&stranger), Err(Refusal::BadMagic));

    let mut out = [0; BEAT_LEN];
    report("seal", || seal(black_box(&beat), &key, &mut out));
    report("open", || opened(black_box(&sealed)));
    report("open, forged", || opened(black_box(&forged)));
    report("open, a stranger's", || opened(black_box(&stranger)));
    let (mut window, mut sequence) = (ReplayWindow::new(), 0);
    report("replay window", || {
        sequence += 1;
        window.accept(black_box(sequence))
    });
    Ok(())
}

/// Prints the cost of one call: the median of eleven passes.
fn report<R>(what: &str, mut call: impl FnMut() -> R) {
    let mut passes: Vec<Duration> = (0..11)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..ROUNDS {
                black_box(call());
            }
            start.elapsed()
        })
        .collect();
    passes.sort();
    let nanos = |pass: Duration| pass.as_secs_f64() * 1e9 / f64::from(ROUNDS);
    let (median, worst) = (nanos(passes[5]), nanos(passes[10]));
    println!("{what:<20} {median:7.1} ns  (worst pass {worst:.1} ns)");
}

fn beat() -> Result<Beat, IdError> {
    Ok(Beat {
        group: GroupId::new(7)?,
        from: NodeId::new(1)?,
        to: NodeId::new(2)?,
        boot: BootNonce(1),
        echo: Some(BootNonce(2)),
        sequence: 4711,
        term: Term(3),
        mode: Mode::Active,
        health: Health::Ok,
        priority: Priority::new(200)?,
        position: LogPosition(0),
        isolated: false,
        interval: Duration::from_millis(10),
        dead_after: Duration::from_millis(30),
        heard: u32::MAX,
        heard_age_us: Some(1),
        timestamp: 1,
        timestamp_echo: None,
        intent: Intent::None,
    })
}
