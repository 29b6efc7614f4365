use locum_stack::service::CloseReason;

use super::*;
use crate::testing::Bench;

mod bitmaps;
mod collections;
mod connections;
mod diagnostics;
mod documentation;
mod limits;
mod sort;
mod sorted_algebra;
mod strings;
mod waiting;

/// The time of the tests: 2001-09-09 01:46:40 and a half.
const EPOCH: Duration = Duration::from_millis(1_000_000_000_500);

fn kv() -> Kv {
    Kv::new(EPOCH, 0x5eed, None)
}

fn bench() -> Bench<Kv> {
    Bench::new(kv())
}

/// A command as clients write it; words are separated by spaces, `""` is an empty one.
fn request(line: &str) -> Vec<u8> {
    let words: Vec<&str> = line.split(' ').map(|word| word.trim_matches('"')).collect();
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    bytes
}

/// Sends a command; returns what came, with `|` for the ends of lines.
fn ask(bench: &mut Bench<Kv>, flow: FlowId, line: &str) -> String {
    let before = bench.record(flow).sent.len();
    bench.data(flow, &request(line));
    bench.drain(flow);
    shown(&bench.record(flow).sent[before..])
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("\r\n", "|")
}

/// One command and its exact reply after the other, on one connection; then all of it once more by a
/// service that is replaced by its restored snapshot before every command.
fn script(lines: &[(&str, &str)]) {
    for replace in [false, true] {
        let mut bench = bench();
        let flow = bench.open();
        for (line, reply) in lines {
            if replace {
                bench.replace(kv()).unwrap();
            }
            assert_eq!(ask(&mut bench, flow, line), *reply, "{line} (replaced: {replace})");
        }
    }
}

/// How fast it is: `cargo test --release -p locum-services --lib kv::tests::speed -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, for release builds"]
#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn speed() {
    let mut service = kv();
    let mut sink = Sink;
    let flow = FlowId(1);
    let (local, remote) = (crate::testing::LOCAL, crate::testing::REMOTE);
    service.on_event(Instant::ZERO, Event::Opened { flow, local, remote }, &mut sink);
    let (mut sets, mut gets) = (Vec::new(), Vec::new());
    for key in 0..100 {
        sets.extend(request(&format!("SET key:{key} value-of-the-key")));
        gets.extend(request(&format!("GET key:{key}")));
    }
    for (name, bytes) in [("SET", sets), ("GET", gets)] {
        let start = std::time::Instant::now();
        for _ in 0..20_000 {
            service.on_event(Instant::ZERO, Event::Data { flow, bytes: &bytes }, &mut sink);
        }
        println!("{:.0} {name} per second", 2e6 / start.elapsed().as_secs_f64());
    }
}

#[test]
#[ignore = "a measurement, for release builds"]
#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn freezing_a_million_keys() {
    let clock = std::time::Instant::now;
    let mut service = kv();
    for key in 0..1_000_000_u32 {
        let value = crate::kv::values::Value::String(vec![b'v'; 16]);
        let entry = crate::kv::store::Entry { value, expires_at: None };
        service.core.store.put(0, format!("key:{key:012}").as_bytes(), entry);
    }
    let start = clock();
    let mut frozen = service.freeze();
    println!("frozen in {:?}", start.elapsed());
    let (mut snapshot, mut longest) = (Vec::new(), [Duration::ZERO; 2]);
    for key in 0.. {
        let start = clock();
        let key = format!("key:{:012}", key * 7_919 % 1_000_000);
        service.core.store.set_string(0, key.as_bytes(), b"another value", None);
        longest[0] = longest[0].max(start.elapsed());
        let start = clock();
        let has_more = frozen.write(64 * 1024, &mut snapshot);
        longest[1] = longest[1].max(start.elapsed());
        if !has_more {
            break;
        }
    }
    println!(
        "{} bytes in {:?}; the longest write took {:?}, the longest part {:?}",
        snapshot.len(),
        start.elapsed(),
        longest[0],
        longest[1]
    );
    let start = clock();
    kv().restore(&snapshot).expect("it is whole");
    println!("restored in {:?}", start.elapsed());
}

/// A client that reads everything at once.
struct Sink;

impl Outputs for Sink {
    fn credit(&self, _: FlowId) -> usize {
        usize::MAX
    }

    fn send(&mut self, _: FlowId, bytes: &[u8]) -> usize {
        bytes.len()
    }

    fn close(&mut self, _: FlowId) {}
    fn abort(&mut self, _: FlowId) {}
    fn pause(&mut self, _: FlowId) {}
    fn resume(&mut self, _: FlowId) {}
    fn datagram(&mut self, _: std::net::SocketAddr, _: std::net::SocketAddr, _: &[u8]) {}
}
