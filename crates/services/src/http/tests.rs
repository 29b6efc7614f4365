use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use locum_stack::service::CloseReason;

use super::connection::PATIENCE;
use super::files::{Content, Meta, Node, OpenError};
use super::*;
use crate::testing::Bench;

const GET: &[u8] = b"GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n";

fn big() -> Vec<u8> {
    (0..50_000_u32).flat_map(u32::to_be_bytes).collect()
}

fn http() -> Http {
    Http::new(MemFiles::new().with("big.bin", big(), 0).with("small.txt", "small\n", 0))
}

fn bench() -> Bench<Http> {
    Bench::new(http())
}

fn status_lines(sent: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(sent).into_owned();
    text.lines().filter(|line| line.starts_with("HTTP/")).map(str::to_owned).collect()
}

/// A directory with one file, whose length as told and as read a test can change.
#[derive(Clone)]
struct Shrinking(Arc<AtomicU64>);

impl Files for Shrinking {
    fn open(&self, _path: &str) -> Result<Node, OpenError> {
        let len = self.0.load(Ordering::Relaxed);
        let meta = Meta { len, modified: 0, modified_nanos: 0, inode: 0 };
        Ok(Node::File(meta, Arc::new(self.clone())))
    }

    fn check(&self) -> io::Result<()> {
        match self.0.load(Ordering::Relaxed) {
            0 => Err(io::ErrorKind::NotFound.into()),
            1 => Err(io::Error::other("the disk is on fire")),
            _ => Ok(()),
        }
    }
}

impl Content for Shrinking {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.0.load(Ordering::Relaxed).saturating_sub(offset);
        Ok(buffer.len().min(usize::try_from(left).unwrap()))
    }
}

#[test]
fn a_large_file_is_sent_as_the_client_reads_and_no_faster() {
    let mut bench = bench();
    let flow = bench.open_with_window(5000);
    bench.data(flow, GET);
    while bench.record(flow).unacked > 0 {
        assert!(bench.record(flow).unacked <= 5000);
        bench.ack(flow, 1234);
    }
    assert!(bench.record(flow).sent.ends_with(&big()));
    assert!(!bench.record(flow).closed && !bench.record(flow).paused);
}

#[test]
fn pipelined_requests_are_answered_in_order_and_held_back_meanwhile() {
    let mut bench = bench();
    let flow = bench.open_with_window(1000);
    for _ in 0..3 {
        bench.data(flow, GET);
        bench.data(flow, b"GET /small.txt HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    assert!(bench.record(flow).paused);
    assert_eq!(bench.record(flow).held(), 5, "only the first request was let in");
    bench.drain(flow);
    let sent = &bench.record(flow).sent;
    assert_eq!(sent.windows(6).filter(|bytes| bytes == b"small\n").count(), 3);
    assert_eq!(sent.windows(12).filter(|bytes| bytes == b"HTTP/1.1 200").count(), 6);
    assert!(sent.ends_with(b"\r\n\r\nsmall\n"));
}

#[test]
fn a_client_that_says_goodbye_still_gets_its_answers_and_then_a_fin() {
    let mut bench = bench();
    let flow = bench.open_with_window(1000);
    bench.data(flow, GET);
    bench.finish(flow);
    assert!(!bench.record(flow).closed);
    bench.drain(flow);
    assert!(bench.record(flow).sent.ends_with(&big()));
    assert!(bench.record(flow).closed);
}

#[test]
fn a_fin_that_comes_in_spite_of_a_pause_waits_for_the_answer_even_on_another_node() {
    let mut bench = bench();
    let flow = bench.open_with_window(1000);
    bench.data(flow, GET);
    bench.event(Event::Finished { flow });
    bench.replace(http()).unwrap();
    bench.drain(flow);
    assert!(bench.record(flow).sent.ends_with(&big()));
    assert!(bench.record(flow).closed);
}

#[test]
fn a_request_cut_short_by_a_fin_is_not_answered() {
    let mut bench = bench();
    let flow = bench.open();
    bench.data(flow, b"GET / HT");
    bench.finish(flow);
    assert!(bench.record(flow).sent.is_empty() && bench.record(flow).closed);
}

#[test]
fn nothing_after_a_last_answer_is_read() {
    let mut bench = bench();
    let flow = bench.open();
    bench.data(flow, b"GET /small.txt HTTP/1.0\r\n\r\nGET /small.txt HTTP/1.0\r\n\r\n");
    bench.data(flow, GET);
    assert_eq!(status_lines(&bench.record(flow).sent).len(), 1);
    assert!(bench.record(flow).closed);
}

#[test]
fn an_idle_connection_is_closed_silently_and_a_stuck_one_reset() {
    let mut bench = bench();
    let (idle, stuck) = (bench.open(), bench.open_with_window(100));
    bench.data(stuck, GET);
    bench.advance(PATIENCE - Duration::from_nanos(1));
    assert!(!bench.record(idle).closed && !bench.record(stuck).aborted);
    bench.advance(Duration::from_nanos(1));
    assert!(bench.record(idle).closed && bench.record(idle).sent.is_empty());
    assert!(bench.record(stuck).aborted);
    bench.advance(PATIENCE);
    assert!(bench.record(idle).aborted, "the client never closed its side");
    assert_eq!(bench.service().next_tick(), None);
}

#[test]
fn a_request_that_never_ends_is_answered_by_408_however_it_trickles() {
    for beginning in [&b"G"[..], b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n"] {
        let mut bench = bench();
        let flow = bench.open();
        bench.data(flow, beginning);
        for _ in 0..6 {
            bench.advance(PATIENCE / 6);
            bench.data(flow, b"x");
        }
        assert_eq!(status_lines(&bench.record(flow).sent), ["HTTP/1.1 408 Request Timeout"]);
        assert!(bench.record(flow).closed);
    }
}

#[test]
fn each_acknowledgement_renews_the_patience_with_a_slow_reader() {
    let mut bench = bench();
    let flow = bench.open_with_window(50_000);
    bench.data(flow, GET);
    for _ in 0..5 {
        bench.advance(PATIENCE / 2);
        bench.ack(flow, 1000);
    }
    assert!(!bench.record(flow).aborted);
    bench.drain(flow);
    assert!(bench.record(flow).sent.ends_with(&big()));
}

#[test]
fn heads_and_targets_have_limits() {
    let fields = |count: usize, size: usize| {
        let field = format!("X: {}\r\n", "x".repeat(size));
        format!("GET /small.txt HTTP/1.1\r\nHost: h\r\n{}\r\n", field.repeat(count))
    };
    let target = |size: usize| format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(size));
    for (request, status) in [
        (fields(63, 9), "200 OK"),
        (fields(64, 9), "431 Request Header Fields Too Large"),
        (fields(1, 8192 - 41), "200 OK"),
        (fields(1, 8192 - 40), "431 Request Header Fields Too Large"),
        (target(4095), "404 Not Found"),
        (target(4096), "414 URI Too Long"),
        (target(9000), "414 URI Too Long"),
    ] {
        let mut bench = bench();
        let flow = bench.open();
        bench.data(flow, request.as_bytes());
        let expected = format!("HTTP/1.1 {status}");
        assert_eq!(status_lines(&bench.record(flow).sent), [expected], "{}", request.len());
    }
}

#[test]
fn a_file_that_shrinks_under_its_answer_resets_the_flow() {
    let files = Shrinking(Arc::new(AtomicU64::new(10_000)));
    let mut bench = Bench::new(Http::new(files.clone()));
    let flow = bench.open_with_window(1000);
    bench.data(flow, GET);
    bench.ack(flow, 1000);
    files.0.store(1500, Ordering::Relaxed);
    bench.drain(flow);
    assert!(bench.record(flow).aborted && !bench.record(flow).closed);
    assert!(bench.service().connections.is_empty() && bench.service().deadlines.is_empty());
}

#[test]
fn what_cannot_be_opened_says_why_and_the_connection_goes_on() {
    type Reason = fn() -> OpenError;
    struct Locked(Reason);
    impl Files for Locked {
        fn open(&self, _path: &str) -> Result<Node, OpenError> {
            Err((self.0)())
        }

        fn check(&self) -> io::Result<()> {
            Ok(())
        }
    }
    let cases: [(Reason, &str); 3] = [
        (|| OpenError::NotFound, "404 Not Found"),
        (|| OpenError::Forbidden, "403 Forbidden"),
        (|| OpenError::Unavailable(io::Error::other("on fire")), "503 Service Unavailable"),
    ];
    for (error, status) in cases {
        let mut bench = Bench::new(Http::new(Locked(error)));
        let flow = bench.open();
        bench.data(flow, GET);
        assert_eq!(status_lines(&bench.record(flow).sent), [format!("HTTP/1.1 {status}")]);
        assert!(!bench.record(flow).closed);
    }
}

#[test]
fn a_restored_answer_resets_its_flow_if_this_node_has_another_file() {
    let mut original = bench();
    let flow = original.open_with_window(1000);
    original.data(flow, GET);
    let mut other = big();
    other.reverse();
    original.replace(Http::new(MemFiles::new().with("big.bin", other, 0))).unwrap();
    original.ack(flow, 100);
    assert!(original.record(flow).aborted);
}

#[test]
fn a_flow_that_is_fed_in_spite_of_its_pause_is_reset_before_it_eats_the_memory() {
    let mut bench = bench();
    let flow = bench.open_with_window(1);
    bench.data(flow, &[GET, &vec![b'x'; 1 << 20]].concat());
    assert!(bench.record(flow).aborted && bench.service().connections.is_empty());
}

#[test]
fn a_flow_that_ends_leaves_nothing_behind() {
    let mut bench = bench();
    let flow = bench.open_with_window(1);
    bench.data(flow, GET);
    bench.end(flow, CloseReason::Reset);
    assert!(bench.service().connections.is_empty() && bench.service().deadlines.is_empty());
}

#[test]
fn health_tells_a_missing_root_from_a_troubled_one() {
    let files = Shrinking(Arc::new(AtomicU64::new(0)));
    let mut bench = Bench::new(Http::new(files.clone()));
    for (state, health, word) in
        [(0, Health::Failed, "failed"), (1, Health::Degraded, "degraded"), (2, Health::Ok, "ok")]
    {
        files.0.store(state, Ordering::Relaxed);
        assert_eq!(bench.service().health(), health);
        let flow = bench.open();
        bench.data(flow, b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
        let sent = &bench.record(flow).sent;
        let code = if health == Health::Ok { "200" } else { "503" };
        assert!(status_lines(sent)[0].contains(code));
        assert!(sent.ends_with(format!("\r\n\r\n{word}").as_bytes()));
    }
}
