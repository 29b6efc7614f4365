use std::net::SocketAddr;

use locum_stack::service::CloseReason;

use super::*;
use crate::testing::{Bench, LOCAL, REMOTE};

#[test]
fn every_byte_comes_back_and_a_fin_is_answered_after_the_last_one() {
    let mut bench = Bench::new(Echo::default());
    let flow = bench.open_with_window(4);
    bench.data(flow, b"hello, ");
    bench.data(flow, b"world");
    bench.finish(flow);
    assert_eq!(bench.record(flow).sent, b"hell");
    assert!(!bench.record(flow).closed);
    bench.drain(flow);
    assert_eq!(bench.record(flow).sent, b"hello, world");
    assert!(bench.record(flow).closed);
}

#[test]
fn a_client_that_does_not_read_is_paused_and_owed_no_more_than_was_under_way() {
    let mut bench = Bench::new(Echo::default());
    let flow = bench.open_with_window(10);
    for _ in 0..100 {
        bench.data(flow, &[7; 25]);
    }
    assert!(bench.record(flow).paused);
    assert_eq!(bench.service().owing[&flow].bytes.len(), 15);
    bench.ack(flow, 10);
    assert!(bench.record(flow).paused, "still owed 5 bytes");
    bench.drain(flow);
    assert_eq!(bench.record(flow).sent, [7; 2500]);
    assert!(!bench.record(flow).paused && bench.service().owing.is_empty());
}

#[test]
fn a_fin_that_comes_in_spite_of_a_pause_waits_for_the_backlog_even_on_another_node() {
    let mut bench = Bench::new(Echo::default());
    let flow = bench.open_with_window(1);
    bench.data(flow, b"abc");
    bench.event(Event::Finished { flow });
    bench.replace(Echo::default()).unwrap();
    bench.ack(flow, 1);
    assert!(!bench.record(flow).closed, "one byte is missing");
    bench.ack(flow, 1);
    assert_eq!(bench.record(flow).sent, b"abc");
    assert!(bench.record(flow).closed);
}

#[test]
fn a_flow_that_is_fed_in_spite_of_its_pause_is_reset_before_it_eats_the_memory() {
    let mut bench = Bench::new(Echo::default());
    let flow = bench.open_with_window(1);
    bench.event(Event::Data { flow, bytes: &vec![0; BACKLOG_MAX + 1] });
    assert!(!bench.record(flow).aborted, "so much may have been under way");
    bench.event(Event::Data { flow, bytes: b"x" });
    assert!(bench.record(flow).aborted && bench.service().owing.is_empty());
}

#[test]
fn a_flow_that_ends_takes_its_backlog_along() {
    let mut bench = Bench::new(Echo::default());
    let flow = bench.open_with_window(1);
    bench.data(flow, b"abc");
    bench.end(flow, CloseReason::Reset);
    assert!(bench.service().owing.is_empty());
}

#[test]
fn datagrams_come_back_whole_even_empty_ones() {
    let mut bench = Bench::new(Echo::default());
    bench.datagram(b"ping");
    bench.datagram(b"");
    assert_eq!(bench.datagrams(), [(REMOTE, b"ping".to_vec()), (REMOTE, Vec::new())]);
}

#[test]
fn a_datagram_that_seems_to_come_from_an_answering_service_is_ignored() {
    let mut bench = Bench::new(Echo::default());
    for port in [7, 19, LOCAL.port()] {
        bench.datagram_from(SocketAddr::new(REMOTE.ip(), port), b"forged");
    }
    assert!(bench.datagrams().is_empty());
}

#[test]
fn snapshots_that_make_no_sense_are_refused() {
    let refused = |bytes: &[u8]| Echo::default().restore(bytes).unwrap_err().why;
    let good = b"echo\x01\0\0\0\0\0\0\0\0";
    assert_eq!(Echo::default().restore(good), Ok(()));
    assert_eq!(refused(b"disc\x01\0\0\0\0\0\0\0\0"), "it is not a snapshot of this service");
    assert_eq!(
        refused(b"echo\x09\0\0\0\0\0\0\0\0"),
        "it has version 9, this release reads version 1"
    );
    assert_eq!(refused(&good[..9]), "it ends where 8 more bytes are due");
    assert_eq!(refused(&[good.as_slice(), b"!"].concat()), "1 bytes are left over at its end");
    assert_eq!(refused(b"echo\x01\0\0\0\0\0\0\0\x09"), "it is too short for a count of 9");
}
