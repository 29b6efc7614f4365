use super::*;
use crate::demo::testing;

fn whole(colour: bool) -> String {
    testing::read(Text { colour })
}

/// Without its ANSI sequences.
fn plain(text: &str) -> String {
    let mut parts = text.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[test]
fn the_timeline_reads_as_it_always_did() {
    let golden = include_str!("golden.txt");
    let text = whole(false);
    for (number, (line, expected)) in text.lines().zip(golden.lines()).enumerate() {
        assert_eq!(line, expected, "line {} of golden.txt", number + 1);
    }
    assert_eq!(text.lines().count(), golden.lines().count());
}

#[test]
fn no_line_is_wider_than_a_terminal_and_none_ends_in_spaces() {
    for line in whole(false).lines() {
        assert!(line.chars().count() <= WIDTH, "{} columns: {line}", line.chars().count());
        assert_eq!(line, line.trim_end());
    }
}

#[test]
fn colours_change_nothing_but_colours() {
    let coloured = whole(true);
    assert!(coloured.contains("\x1b[1;32m✓\x1b[0m"));
    assert_eq!(plain(&coloured), whole(false));
    assert!(!whole(false).contains('\x1b'));
}

#[test]
fn every_mode_has_its_own_symbol() {
    let mut symbols = LEGEND.map(|condition| symbol(NodeView { condition, cut: false })).to_vec();
    symbols.sort_unstable();
    symbols.dedup();
    assert_eq!(symbols.len(), LEGEND.len());
}
