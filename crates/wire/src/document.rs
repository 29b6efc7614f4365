//! Holds `docs/PROTOCOL.md` to the code: layout, lengths, and the vectors in both directions.

use std::fmt::Write;

use crate::packet::LAYOUT;
use crate::samples::{active, group, key, sealed, waiting, will};
use crate::{BEAT_LEN, Beat, REPLAY_WINDOW, TAG_LEN, open};

const DOCUMENT: &str = include_str!("../../../docs/PROTOCOL.md");

/// The offset, length and name of all that a beat consists of.
fn parts() -> impl Iterator<Item = (usize, usize, &'static str)> {
    LAYOUT.iter().copied().chain([(BEAT_LEN - TAG_LEN, TAG_LEN, "tag")])
}

/// The first code block after the line `after`.
fn block(after: &str) -> &'static str {
    let (_, rest) = DOCUMENT.split_once(after).unwrap_or_else(|| panic!("no `{after}`"));
    let (_, rest) = rest.split_once("```text\n").unwrap_or_else(|| panic!("no block: `{after}`"));
    rest.split_once("```").unwrap_or_else(|| panic!("an endless block: `{after}`")).0
}

/// Bytes as a block of the document shows them: offset, bytes, field, and its value as a number.
fn annotated(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (at, size, name) in parts() {
        let field = &bytes[at..at + size];
        let hex: String = field.iter().map(|byte| format!("{byte:02x}")).collect();
        let number = field.iter().fold(0u128, |number, byte| number << 8 | u128::from(*byte));
        let value = if name == "tag" { String::new() } else { format!("  {number}") };
        writeln!(text, "{at:>2}  {hex:32}  {name:14}{value}").unwrap();
    }
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The bytes of an annotated block.
fn bytes(block: &str) -> Vec<u8> {
    let digits: String = block.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn holds(vector: &str, beat: &Beat) {
    let shown = block(&format!("#### Vector: {vector}\n"));
    let expected = annotated(&sealed(beat));
    assert_eq!(shown, expected, "docs/PROTOCOL.md should show for `{vector}`:\n{expected}");
    assert_eq!(open(&bytes(shown), &key(), group(7), beat.to), Ok(*beat));
}

#[test]
fn the_key_of_the_vectors_is_a_key_file() {
    assert_eq!(crate::Key::from_hex(block("### Vectors\n")), Ok(key()));
}

#[test]
fn the_waiting_vector_holds_in_both_directions() {
    holds("waiting", &waiting());
}

#[test]
fn the_active_vector_holds_in_both_directions() {
    holds("active", &active());
}

#[test]
fn the_will_vector_holds_in_both_directions() {
    holds("will", &will());
}

#[test]
fn the_layout_table_is_the_layout() {
    let rows: Vec<(usize, usize, &str)> = DOCUMENT
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let at = cells.next()?.trim().parse().ok()?;
            let size = cells.next()?.trim().parse().ok()?;
            Some((at, size, cells.next()?.trim().trim_matches('`')))
        })
        .collect();
    assert_eq!(rows, parts().collect::<Vec<_>>());
}

#[test]
fn the_diagram_names_every_field_in_order() {
    let mut rest = block("### Layout\n");
    for (_, _, name) in parts() {
        let (_, after) = rest.split_once(name).unwrap_or_else(|| panic!("`{name}` is missing"));
        rest = after;
    }
}

#[test]
fn lengths_in_the_text_are_those_of_the_code() {
    assert!(DOCUMENT.contains(&format!("exactly {BEAT_LEN} bytes")));
    assert!(DOCUMENT.contains(&format!("the last {REPLAY_WINDOW} sequence numbers")));
}
