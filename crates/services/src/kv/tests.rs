use locum_stack::service::CloseReason;

use super::*;
use crate::testing::Bench;

mod collections;
mod connections;
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
