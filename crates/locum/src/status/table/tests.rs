use super::*;
use crate::status::sample;

#[test]
fn a_status_reads_as_words_and_lines_up() {
    let text = render(&sample(), false);
    assert_eq!(text, include_str!("sample.txt"), "it says:\n{text}");
}

#[test]
fn colours_change_nothing_but_colours() {
    let mut painted = render(&sample(), true);
    assert!(painted.contains("\x1b[1;32mACTIVE\x1b[0m"), "{painted}");
    for sequence in ["\x1b[2m", "\x1b[1;32m", "\x1b[33m", "\x1b[1;31m", "\x1b[0m"] {
        assert!(painted.contains(sequence), "{sequence:?} is not used");
        painted = painted.replace(sequence, "");
    }
    assert_eq!(painted, render(&sample(), false));
}

#[test]
fn an_active_node_without_successor_says_so() {
    let mut status = sample();
    let warning = "nobody would take over";
    assert!(!render(&status, false).contains(warning));
    status.peers.retain(|peer| !peer.alive);
    assert!(render(&status, false).contains(warning));
    status.mode = Mode::Waiting;
    assert!(!render(&status, false).contains(warning));
}

#[test]
fn old_takeovers_are_summed_up() {
    let mut status = sample();
    let last = status.takeovers.list.last().unwrap().clone();
    status.takeovers.list = vec![last; 9];
    status.takeovers.count = 40;
    let text = render(&status, false);
    assert_eq!(text.matches("ago  term 8").count(), TAKEOVERS_SHOWN);
    assert!(text.contains("and 35 before"), "{text}");
}

#[test]
fn times_have_two_units_at_most() {
    for (ms, text) in
        [(0, "0 ms"), (999, "999 ms"), (1_000, "1s"), (75_000, "1m 15s"), (90_061_000, "1day 1h")]
    {
        assert_eq!(age(ms), text);
    }
}
