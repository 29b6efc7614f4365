use std::net::SocketAddr;

use super::*;
use crate::testing::{Bench, REMOTE};

#[test]
fn the_pattern_is_that_of_the_rfc() {
    let text = std::str::from_utf8(&PATTERN).unwrap();
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), PRINTING);
    assert!(lines.iter().all(|line| line.len() == LINE_CHARS));
    assert_eq!(
        lines[1],
        "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefgh"
    );
    assert!(lines[94].starts_with("~ !\""));
}

#[test]
fn the_stream_follows_the_pattern_as_the_client_reads() {
    let mut bench = Bench::new(Chargen::default());
    let flow = bench.open_with_window(1000);
    assert_eq!(bench.record(flow).sent.len(), 1000);
    while bench.record(flow).sent.len() < 3 * PERIOD {
        bench.ack(flow, 777);
    }
    let sent = &bench.record(flow).sent;
    assert!(sent.iter().zip(PATTERN.iter().cycle()).all(|(sent, due)| sent == due));
}

#[test]
fn what_the_client_sends_changes_nothing_not_even_its_fin() {
    let mut bench = Bench::new(Chargen::default());
    let flow = bench.open_with_window(100);
    bench.data(flow, b"stop!");
    bench.finish(flow);
    bench.ack(flow, 50);
    assert_eq!(bench.record(flow).sent, PATTERN[..150]);
    assert!(!bench.record(flow).closed);
}

#[test]
fn a_datagram_is_answered_by_as_many_characters_up_to_512() {
    let mut bench = Bench::new(Chargen::default());
    for length in [0, 3, 512, 1400] {
        bench.datagram(&vec![0; length]);
    }
    let lengths: Vec<usize> = bench.datagrams().iter().map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(lengths, [0, 3, 512, 512]);
    assert!(
        bench.datagrams().iter().all(|(to, bytes)| *to == REMOTE && PATTERN.starts_with(bytes))
    );
    bench.datagram_from(SocketAddr::new(REMOTE.ip(), 7), b"forged");
    assert_eq!(bench.datagrams().len(), 4);
}

#[test]
fn a_position_beyond_the_pattern_is_refused() {
    let snapshot = |position: usize| {
        let mut out = Vec::new();
        Chargen { positions: [(FlowId(3), position)].into() }.snapshot(&mut out);
        out
    };
    assert_eq!(Chargen::default().restore(&snapshot(PERIOD - 1)), Ok(()));
    let error = Chargen::default().restore(&snapshot(PERIOD)).unwrap_err();
    assert_eq!(error.why, "a position lies beyond the pattern");
}
