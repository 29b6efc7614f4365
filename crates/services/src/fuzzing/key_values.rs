//! The fuzz target `kv`: what clients send, time, and what a snapshot may hold.

use std::time::Duration;

use locum_stack::service::{CloseReason, FlowId, Service};

use crate::Kv;
use crate::testing::Bench;

/// Pieces from one replacement to the next: each costs as much as many pieces.
const REPLACE_EVERY: usize = 5;
/// Bytes of an argument: long enough for anything that lengths can do.
const BULK_MAX: usize = 4096;
const MEMORY: u64 = 1 << 20;
const EPOCH: Duration = Duration::from_millis(1_000_000_000_500);

/// Feeds `input` to the service, in one of three ways that its first byte chooses: as the stream of one
/// client that is cut in two ways, as a script of several clients and of time, or as a snapshot.
///
/// # Panics
/// When a client could tell cuts or replacements, or a snapshot is half understood. That is a defect.
pub fn kv(input: &[u8]) {
    let Some((way, rest)) = input.split_first() else { return };
    match way & 3 {
        0 | 1 => cut(way >> 2, rest),
        2 => script(rest),
        _ => snapshot(rest),
    }
}

/// A service; what clients see must not depend on the seed.
fn service(seed: u64) -> Kv {
    Kv::new(EPOCH, seed, Some(MEMORY)).with_bulk_limit(BULK_MAX)
}

/// One client: at once with ample credit, and cut up with scarce credit by a service that is replaced.
fn cut(how: u8, stream: &[u8]) {
    let mut whole = Bench::new(service(1));
    let flow = whole.open_with_window(1 << 20);
    whole.data(flow, stream);
    whole.finish(flow);
    whole.drain(flow);

    let mut pieces = Bench::new(service(2));
    let size = usize::from(how >> 3) * 5 + 1;
    assert_eq!(pieces.open_with_window(usize::from(how & 7) * 97 + 1), flow);
    for (index, chunk) in stream.chunks(size).enumerate() {
        pieces.data(flow, chunk);
        if index % REPLACE_EVERY == 0 {
            pieces.replace(service(3)).expect("a service reads its own snapshots");
        }
        pieces.ack(flow, size);
    }
    pieces.finish(flow);
    pieces.drain(flow);

    let (whole, pieces) = (whole.record(flow), pieces.record(flow));
    assert_eq!(whole.sent, pieces.sent, "what is sent must not depend on how the input is cut");
    assert_eq!((whole.closed, whole.aborted), (true, false), "a finished client is let go");
    assert_eq!((pieces.closed, pieces.aborted), (true, false), "a finished client is let go");
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Data(FlowId, &'a [u8]),
    Ack(FlowId, usize),
    Advance(Duration),
    Replace,
    Open,
    Finish(FlowId),
    End(FlowId),
}

/// Reads a step: a byte that says what and who, mostly followed by a byte that says how much.
fn step<'a>(script: &mut &'a [u8]) -> Option<Step<'a>> {
    let (what, rest) = script.split_first()?;
    let flow = FlowId(u64::from(what >> 3 & 3) + 1);
    let (amount, rest) = rest.split_first().unwrap_or((&0, rest));
    let (step, rest) = match what & 7 {
        0..=2 => {
            let (data, rest) = rest.split_at(rest.len().min(usize::from(*amount)));
            (Step::Data(flow, data), rest)
        }
        3 => (Step::Ack(flow, usize::from(*amount) * 16), rest),
        4 => (Step::Advance(Duration::from_millis(1 << (amount & 31))), rest),
        5 => (Step::Replace, rest),
        6 => (Step::Open, rest),
        _ if amount & 1 == 0 => (Step::Finish(flow), rest),
        _ => (Step::End(flow), rest),
    };
    *script = rest;
    Some(step)
}

/// Several clients, to a service that is replaced now and then and to one that stays.
fn script(mut script: &[u8]) {
    let (mut stays, mut changes) = (Bench::new(service(1)), Bench::new(service(2)));
    while let Some(step) = step(&mut script) {
        if matches!(step, Step::Replace) {
            changes.replace(service(3)).expect("a service reads its own snapshots");
            continue;
        }
        for bench in [&mut stays, &mut changes] {
            match step {
                Step::Data(flow, data) => bench.data(flow, data),
                Step::Ack(flow, bytes) => bench.ack(flow, bytes),
                Step::Advance(time) => bench.advance(time),
                Step::Open => drop(bench.open_with_window(1000)),
                Step::Finish(flow) => bench.finish(flow),
                Step::End(flow) => bench.end(flow, CloseReason::Reset),
                Step::Replace => {}
            }
        }
        assert_eq!(stays.calls().len(), changes.calls().len(), "after {step:?}");
    }
    assert_eq!(stays.calls(), changes.calls(), "a replacement must not show");
}

/// A snapshot from somebody else: it is refused and nothing changes, or it is understood.
fn snapshot(bytes: &[u8]) {
    let written = |kv: &Kv| {
        let mut bytes = Vec::new();
        kv.snapshot(&mut bytes);
        bytes
    };
    let mut service = service(1);
    let before = written(&service);
    if service.restore(bytes).is_err() {
        assert_eq!(written(&service), before, "what is refused must change nothing");
        return;
    }
    let after = written(&service);
    let mut again = self::service(2);
    again.restore(&after).expect("a service reads its own snapshots");
    assert_eq!(written(&again), after, "what is understood is written as it was");
    // What it holds must bear use, by those who were connected as well.
    let mut bench = Bench::new(service);
    let flow = bench.open();
    bench.data(flow, b"RPUSH l x\r\nKEYS *\r\nINFO\r\nCLIENT LIST\r\nDBSIZE\r\nPUBLISH c m\r\n");
    bench.drain(flow);
    bench.advance(Duration::from_secs(20));
    bench.data(flow, b"SWAPDB 0 1\r\nFLUSHALL\r\n");
    bench.finish(flow);
    bench.drain(flow);
    assert!(bench.record(flow).closed, "a finished client is let go");
}
