//! The page's tables: what was expected, what clients felt, who changed its mode, what was done.

use std::fmt::Write as _;
use std::time::Duration;

use super::words::{self, Escaped};
use crate::outcome::{ClientTrack, ModeChange, Outcome, Verdict};

/// A table has no more rows than this; the JSON has all of them.
const ROWS: usize = 200;

/// A column's heading, and the class of its cells.
type Column = (&'static str, &'static str);

/// One cell: its text, and a class of its own.
struct Cell {
    text: String,
    class: Option<&'static str>,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell { text, class: None }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// A number that ought to be zero.
fn alarming(number: usize) -> Cell {
    Cell { text: words::count(number as u64), class: (number > 0).then_some("n alarm") }
}

/// Every table that has rows.
pub(super) fn all(outcome: &Outcome, verdicts: &[Verdict]) -> String {
    [
        expectations(verdicts),
        clients(outcome),
        changes(outcome),
        faults(outcome),
        overlaps(outcome),
        leaks(outcome),
    ]
    .concat()
}

fn expectations(verdicts: &[Verdict]) -> String {
    let rows = verdicts.iter().map(|verdict| {
        let held = match verdict.held {
            true => Cell { text: "✓ held".to_owned(), class: Some("held") },
            false => Cell { text: "✗ failed".to_owned(), class: Some("failed") },
        };
        vec![held, verdict.expected.as_str().into(), verdict.seen.as_str().into()]
    });
    table("Expectations", &[("Verdict", ""), ("Expected", "w"), ("Seen", "w")], rows)
}

fn clients(outcome: &Outcome) -> String {
    let columns = [
        ("Client", "t"),
        ("Program", "t"),
        ("Every", "n"),
        ("Requests", "n"),
        ("Answered", "n"),
        ("Unanswered", "n"),
        ("Connections lost", "n"),
        ("Longest outage", "n"),
        ("Began", "n"),
    ];
    table("Clients", &columns, outcome.clients.iter().map(|track| client(track, outcome.duration)))
}

fn client(track: &ClientTrack, end: Duration) -> Vec<Cell> {
    let answered = track.requests.iter().filter(|(_, answer)| answer.is_some()).count();
    let outage = track.outage(Duration::ZERO, end);
    let (began, outage) = match outage {
        Some((began, outage)) => (words::moment(began).into(), words::span(outage).into()),
        None => ("".into(), Cell { text: "never answered".to_owned(), class: Some("n alarm") }),
    };
    vec![
        track.client.as_str().into(),
        words::kind(track.program).into(),
        words::span(track.every).into(),
        words::count(track.requests.len() as u64).into(),
        words::count(answered as u64).into(),
        alarming(track.requests.len() - answered),
        alarming(track.connections_lost.len()),
        outage,
        began,
    ]
}

fn changes(outcome: &Outcome) -> String {
    let changes = outcome.nodes.iter();
    let changes = changes.flat_map(|node| node.changes.iter().map(|change| (node.id, change)));
    let mut changes: Vec<(u8, &ModeChange)> = changes.collect();
    changes.sort_by_key(|(_, change)| change.at);
    let rows = changes.into_iter().map(|(id, change)| {
        vec![
            words::moment(change.at).into(),
            id.to_string().into(),
            words::mode(change.from).into(),
            words::mode(change.to).into(),
            change.cause.as_str().into(),
            change.term.to_string().into(),
        ]
    });
    let columns =
        [("Time", "n"), ("Node", ""), ("From", ""), ("To", ""), ("Cause", "w"), ("Term", "n")];
    table("Mode changes", &columns, rows)
}

fn faults(outcome: &Outcome) -> String {
    let rows = outcome.faults.iter().enumerate().map(|(index, fault)| {
        vec![
            (index + 1).to_string().into(),
            words::moment(fault.at).into(),
            fault.what.as_str().into(),
            fault.node.map(|id| id.to_string()).unwrap_or_default().into(),
        ]
    });
    table("Faults", &[("#", ""), ("Time", "n"), ("What was done", "w"), ("Node", "")], rows)
}

fn overlaps(outcome: &Outcome) -> String {
    let rows = outcome
        .overlaps
        .iter()
        .map(|&(at, length)| vec![words::moment(at).into(), words::span(length).into()]);
    table("More than one node active", &[("From", "n"), ("For", "n")], rows)
}

fn leaks(outcome: &Outcome) -> String {
    let rows = outcome.leaks.iter().map(|leak| vec![leak.as_str().into()]);
    table("Leaked frames", &[("Frame", "w")], rows)
}

fn table(
    title: &str,
    columns: &[Column],
    rows: impl ExactSizeIterator<Item = Vec<Cell>>,
) -> String {
    let more = rows.len().saturating_sub(ROWS);
    let mut out = String::new();
    if rows.len() == 0 {
        return out;
    }
    let title = Escaped(title);
    // Writing to a String cannot fail, here and below.
    let _ = write!(
        out,
        "<section>\n<h2>{title}</h2>\n<div class=\"scroll table\" role=\"region\" tabindex=\"0\" \
         aria-label=\"{title}\"><table>\n<thead><tr>"
    );
    for (heading, class) in columns {
        let _ = write!(out, "<th scope=\"col\" class=\"{class}\">{heading}</th>");
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for cells in rows.take(ROWS) {
        out.push_str("<tr>");
        for (cell, (_, class)) in cells.iter().zip(columns) {
            let class = cell.class.unwrap_or(class);
            let _ = write!(out, "<td class=\"{class}\">{}</td>", Escaped(&cell.text));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n");
    if more > 0 {
        let more = words::count(more as u64);
        let _ = writeln!(out, "<p class=\"note\">And {more} more, in the run’s JSON.</p>");
    }
    out.push_str("</section>\n");
    out
}
