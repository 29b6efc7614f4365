//! The whole play: the shipping nodes, in the world's own time.

use std::io::Write;

use super::pace::AtOnce;
use super::script::{ACTS, SEED};
use super::timeline::{Entry, Timeline};
use super::*;

fn played(seed: u64, beats: bool) -> (Timeline, Vec<Entry>) {
    let mut entries = Vec::new();
    let mut tell = |entry: &Entry| {
        entries.push(entry.clone());
        Ok(())
    };
    let timeline = stage::play(seed, ACTS, beats, &mut AtOnce, &mut tell).unwrap();
    (timeline, entries)
}

fn text(entries: &[Entry]) -> String {
    entries.iter().map(|entry| Text { colour: false }.entry(entry)).collect()
}

fn sum(timeline: &Timeline) -> Summary {
    Summary::of(timeline, std::time::Duration::ZERO, std::time::Duration::ZERO)
}

fn options(speed: f64, json: bool) -> Options {
    Options { svg: None, json, speed, beats: false }
}

#[test]
fn every_announced_check_holds_whatever_the_seed() {
    for seed in SEED..SEED + 10 {
        let (timeline, entries) = played(seed, false);
        let announced: usize = ACTS.iter().map(|act| act.checks.len()).sum();
        let summary = sum(&timeline);
        assert_eq!(
            (summary.checks, summary.failed),
            (announced, 0),
            "seed {seed}:\n{}",
            text(&entries)
        );
        assert!(summary.held());
    }
}

#[test]
fn the_same_seed_plays_the_same_way() {
    let (first, second) = (played(SEED, true).1, played(SEED, true).1);
    assert_eq!(first, second);
}

#[test]
fn every_node_is_active_once_and_every_fault_has_a_successor() {
    let (timeline, _) = played(SEED, false);
    let successors: Vec<u8> = timeline
        .scenes
        .iter()
        .map(|scene| timeline.successor(scene).expect("somebody takes over").0.get())
        .collect();
    assert_eq!(successors, [1, 2, 3, 1, 2]);
}

#[test]
fn beats_are_shown_only_when_asked_for() {
    let beats = |entries: &[Entry]| {
        entries.iter().filter(|entry| matches!(entry.what, timeline::What::Beat { .. })).count()
    };
    assert_eq!(beats(&played(SEED, false).1), 0);
    assert!(beats(&played(SEED, true).1) > 1_000);
}

#[test]
fn lines_fit_a_terminal() {
    for line in text(&played(SEED, true).1).lines() {
        assert!(line.chars().count() <= text::WIDTH, "{line}");
    }
}

#[test]
fn by_the_real_clock_it_ends_well_and_every_json_line_parses() {
    let mut out = Vec::new();
    let exit = show(&options(50.0, true), &Json, &mut out).unwrap();
    assert_eq!(exit, Exit::Ok);
    let out = String::from_utf8(out).unwrap();
    let events: Vec<String> = out
        .lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            value["event"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(events.last().map(String::as_str), Some("summary"));
    assert_eq!(events.iter().filter(|event| *event == "act").count(), ACTS.len());
}

#[test]
fn the_picture_is_written_where_it_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("demo.svg");
    let options = Options { svg: Some(path.clone()), ..options(50.0, false) };
    show(&options, &Text { colour: false }, io::sink()).unwrap();
    assert!(std::fs::read_to_string(path).unwrap().starts_with("<svg"));

    let options = Options { svg: Some(directory.path().join("no/such/demo.svg")), ..options };
    let error = show(&options, &Text { colour: false }, io::sink()).unwrap_err();
    assert!(error.to_string().contains("no/such/demo.svg"), "{error}");
}

/// A pipe whose reader leaves after some bytes.
struct Pipe(usize);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_leaves_early_ends_it_quietly() {
    let result = show(&options(50.0, false), &Text { colour: false }, Pipe(1_000));
    assert_eq!(quietly(result).unwrap(), Exit::Ok);
    let full: anyhow::Result<Exit> = Err(io::Error::from(io::ErrorKind::StorageFull).into());
    assert!(quietly(full).is_err());
}

#[test]
fn a_speed_that_is_none_is_refused() {
    for speed in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = run(&options(speed, false)).unwrap_err();
        assert!(error.to_string().starts_with("the speed must be"), "{error}");
    }
}
