//! The two promises that replication rests on, for every service that ships:
//! what a client gets does not depend on how TCP cut its input or on how it granted credit, and a fresh
//! instance restored from a snapshot makes the very calls the original would have made.

use std::time::Duration;

use locum_services::http::MemFiles;
use locum_services::testing::{Bench, thawed};
use locum_services::{Chargen, Discard, Echo, Http, Kv};
use locum_stack::service::{CloseReason, FlowId, Service};
use proptest::prelude::*;

/// One thing that happens. Flows are numbers below the count of opened flows, modulo.
#[derive(Clone, Debug)]
enum Op {
    Open { window: usize },
    Data { flow: usize, bytes: Vec<u8> },
    Ack { flow: usize, bytes: usize },
    Finish { flow: usize },
    End { flow: usize },
    Datagram { bytes: Vec<u8> },
    Advance { millis: u64 },
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        request().prop_map(String::into_bytes),
        command().prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..200)
    ]
}

/// Requests, most of them good, some with content, some cut short.
fn request() -> impl Strategy<Value = String> {
    let method = prop::sample::select(&["GET", "GET", "GET", "HEAD", "POST", "BREW"][..]);
    let target = prop::sample::select(
        &["/", "/big.bin", "/big.bin", "/small.txt", "/dir", "/none", "/healthz", "/../x"][..],
    );
    let version = prop::sample::select(&["1.1", "1.1", "1.1", "1.0", "2.0"][..]);
    let fields = prop::sample::select(
        &[
            "",
            "Range: bytes=100-4000\r\n",
            "Range: bytes=-9\r\n",
            "Content-Length: 7\r\n",
            "Connection: close\r\n",
            "Transfer-Encoding: chunked\r\n",
            "If-None-Match: *\r\n",
            "Expect: 100-continue\r\n",
        ][..],
    );
    let tail = prop::sample::select(&["\r\n", "\r\n", "\r\n", "\r\n\r\n", "\r\ncontent", ""][..]);
    (method, target, version, fields, tail).prop_map(|(method, target, version, fields, tail)| {
        format!("{method} {target} HTTP/{version}\r\nHost: h\r\n{fields}{tail}")
    })
}

/// Commands for kv, of all families, on few keys.
fn command() -> impl Strategy<Value = String> {
    let key = prop::sample::select(&["a", "b", "c"][..]);
    let template = prop::sample::select(
        &[
            "SET K 1 PX 900",
            "GET K",
            "INCR K",
            "DEL K",
            "EXPIRE K 3",
            "RPUSH K 1 2 3",
            "LPOP K 2",
            "BLPOP K 2",
            "BLMOVE K x LEFT LEFT 0",
            "HSET K f 1 g 2",
            "HGETALL K",
            "SADD K 1 2 3 4 5",
            "SPOP K",
            "SRANDMEMBER K 2",
            "ZADD K 1 m 2 n",
            "BZPOPMIN K 1",
            "ZRANGE K 0 -1 WITHSCORES",
            "ZUNIONSTORE K 2 a b WEIGHTS 2 3",
            "ZDIFF 2 K a WITHSCORES",
            "BZMPOP 1 2 K x MAX COUNT 2",
            "SETBIT K 9 1",
            "BITOP XOR K a b",
            "SORT K BY nosort STORE x",
            "SORT K BY *->f GET # DESC",
            "WAIT 1 800",
            "OBJECT ENCODING K",
            "MEMORY USAGE K",
            "WATCH K",
            "MULTI",
            "EXEC",
            "SUBSCRIBE K",
            "UNSUBSCRIBE",
            "PUBLISH K hello",
            "HELLO 3",
            "COMMAND",
            "INFO",
            "SCAN 0",
            "RANDOMKEY",
            "SELECT 1",
            "SWAPDB 0 1",
            "CLIENT LIST",
            "FLUSHALL",
        ][..],
    );
    (template, key).prop_map(|(template, key)| format!("{}\r\n", template.replace('K', key)))
}

fn kv() -> Kv {
    Kv::new(Duration::from_secs(1_000_000_000), 1, None)
}

fn op() -> impl Strategy<Value = Op> {
    let flow = 0..4_usize;
    prop_oneof![
        1 => (1..5000_usize).prop_map(|window| Op::Open { window }),
        5 => (flow.clone(), bytes()).prop_map(|(flow, bytes)| Op::Data { flow, bytes }),
        5 => (flow.clone(), 1..3000_usize).prop_map(|(flow, bytes)| Op::Ack { flow, bytes }),
        1 => flow.clone().prop_map(|flow| Op::Finish { flow }),
        1 => flow.prop_map(|flow| Op::End { flow }),
        1 => bytes().prop_map(|bytes| Op::Datagram { bytes }),
        1 => (0..70_000_u64).prop_map(|millis| Op::Advance { millis }),
    ]
}

fn apply<S: Service>(bench: &mut Bench<S>, flows: &mut Vec<FlowId>, op: &Op) {
    let pick = |index: &usize| flows.get(index % flows.len().max(1)).copied().unwrap_or(FlowId(0));
    match op {
        Op::Open { window } => flows.push(bench.open_with_window(*window)),
        Op::Data { flow, bytes } => bench.data(pick(flow), bytes),
        Op::Ack { flow, bytes } => bench.ack(pick(flow), *bytes),
        Op::Finish { flow } => bench.finish(pick(flow)),
        Op::End { flow } => bench.end(pick(flow), CloseReason::Reset),
        Op::Datagram { bytes } => bench.datagram(bytes),
        Op::Advance { millis } => bench.advance(Duration::from_millis(*millis)),
    }
}

/// Runs `ops` on one instance, and again on instances that replace each other after every op that `cuts`
/// selects: the calls must be the same, and so must the state at the end.
fn restored_goes_on_alike<S: Service>(fresh: impl Fn() -> S, ops: &[Op], cuts: &[bool]) {
    let (mut original, mut relay) = (Bench::new(fresh()), Bench::new(fresh()));
    let (mut flows, mut relay_flows) = (Vec::new(), Vec::new());
    for (index, op) in ops.iter().enumerate() {
        let mut before = Vec::new();
        original.service().snapshot(&mut before);
        let frozen = original.service().freeze();
        apply(&mut original, &mut flows, op);
        assert!(thawed(frozen) == before, "what is frozen has changed by {op:?}");
        apply(&mut relay, &mut relay_flows, op);
        if cuts.get(index % cuts.len().max(1)).copied().unwrap_or(false) {
            relay.replace(fresh()).expect("a service reads its own snapshots");
        }
        assert_eq!(original.service().next_tick(), relay.service().next_tick());
    }
    assert_eq!(original.calls(), relay.calls());
    let (mut state, mut relay_state) = (Vec::new(), Vec::new());
    original.service().snapshot(&mut state);
    relay.service().snapshot(&mut relay_state);
    assert_eq!(state, relay_state);
}

/// What a client got in the end.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    sent: Vec<u8>,
    closed: bool,
    aborted: bool,
}

/// Sends `stream` in chunks of the sizes `cuts`, in turn, with a window of `window` bytes of which `acks`
/// are acknowledged after every chunk; ends with FIN.
fn outcome<S: Service>(service: S, stream: &[u8], cuts: &[usize], window: usize) -> Outcome {
    let mut bench = Bench::new(service);
    let flow = bench.open_with_window(window);
    let mut rest = stream;
    for cut in cuts.iter().cycle() {
        let (chunk, later) = rest.split_at((*cut).min(rest.len()));
        bench.data(flow, chunk);
        bench.ack(flow, *cut);
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    bench.finish(flow);
    bench.drain(flow);
    let record = bench.record(flow);
    Outcome { sent: record.sent.clone(), closed: record.closed, aborted: record.aborted }
}

fn cutting_changes_nothing<S: Service>(
    fresh: impl Fn() -> S,
    stream: &[u8],
    cuts: &[usize],
    window: usize,
) {
    let whole = outcome(fresh(), stream, &[stream.len().max(1)], 1 << 24);
    assert_eq!(outcome(fresh(), stream, cuts, window), whole);
}

fn http() -> Http {
    let big: Vec<u8> = (0..40_000_u32).flat_map(|word| word.to_le_bytes()).collect();
    let files = MemFiles::new()
        .with("big.bin", big, 1_000_000_000)
        .with("small.txt", "small\n", 1_000_000_000)
        .with("index.html", "<h1>index</h1>", 5)
        .with("dir/index.html", "<h1>dir</h1>", 5);
    Http::new(files)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restored_service_goes_on_like_the_original(
        ops in prop::collection::vec(op(), 1..80),
        cuts in prop::collection::vec(any::<bool>(), 1..20),
    ) {
        let ops = [vec![Op::Open { window: 3000 }], ops].concat();
        restored_goes_on_alike(Echo::default, &ops, &cuts);
        restored_goes_on_alike(|| Discard, &ops, &cuts);
        restored_goes_on_alike(Chargen::default, &ops, &cuts);
        restored_goes_on_alike(http, &ops, &cuts);
        restored_goes_on_alike(kv, &ops, &cuts);
    }

    #[test]
    fn kv_answers_do_not_depend_on_cuts_or_credit(
        commands in prop::collection::vec(command(), 1..40),
        cuts in prop::collection::vec(1..300_usize, 1..6),
        window in 1..5000_usize,
    ) {
        cutting_changes_nothing(kv, commands.concat().as_bytes(), &cuts, window);
    }

    #[test]
    fn http_answers_do_not_depend_on_cuts_or_credit(
        requests in prop::collection::vec(request(), 1..8),
        cuts in prop::collection::vec(1..300_usize, 1..6),
        window in 1..5000_usize,
    ) {
        cutting_changes_nothing(http, requests.concat().as_bytes(), &cuts, window);
    }

    #[test]
    fn echo_does_not_depend_on_cuts_or_credit(
        stream in prop::collection::vec(any::<u8>(), 0..2000),
        cuts in prop::collection::vec(1..300_usize, 1..6),
        window in 1..500_usize,
    ) {
        cutting_changes_nothing(Echo::default, &stream, &cuts, window);
        let echoed = outcome(Echo::default(), &stream, &cuts, window);
        prop_assert_eq!(echoed, Outcome { sent: stream, closed: true, aborted: false });
    }

    #[test]
    fn chargen_does_not_depend_on_credit(acks in prop::collection::vec(1..9000_usize, 1..40)) {
        let run = |window, acks: &[usize]| {
            let mut bench = Bench::new(Chargen::default());
            let flow = bench.open_with_window(window);
            acks.iter().for_each(|bytes| bench.ack(flow, *bytes));
            bench.record(flow).sent.clone()
        };
        let pieces = run(1500, &acks);
        prop_assert_eq!(&run(pieces.len(), &[]), &pieces);
    }

    #[test]
    fn no_bytes_make_a_restore_panic(
        snapshot in prop::collection::vec(any::<u8>(), 0..100),
        count in 0..3_u8,
    ) {
        for (name, service) in [
            (b"echo", &mut Echo::default() as &mut dyn Service),
            (b"disc", &mut Discard),
            (b"cgen", &mut Chargen::default()),
            (b"http", &mut http()),
            (b"kval", &mut kv()),
        ] {
            let head = [&name[..], &[1, 0, 0, 0, 0, 0, 0, 0, count], &snapshot].concat();
            let before = { let mut out = Vec::new(); service.snapshot(&mut out); out };
            if service.restore(&head).is_err() {
                let mut after = Vec::new();
                service.snapshot(&mut after);
                prop_assert_eq!(after, before, "a refused snapshot must change nothing");
            }
        }
    }

    #[test]
    fn a_snapshot_cut_short_is_refused(ops in prop::collection::vec(op(), 1..20)) {
        let mut bench = Bench::new(http());
        let mut flows = vec![bench.open()];
        ops.iter().for_each(|op| apply(&mut bench, &mut flows, op));
        let mut snapshot = Vec::new();
        bench.service().snapshot(&mut snapshot);
        prop_assert!(http().restore(&snapshot).is_ok());
        for length in 0..snapshot.len() {
            prop_assert!(http().restore(&snapshot[..length]).is_err(), "cut at {}", length);
        }
    }
}
