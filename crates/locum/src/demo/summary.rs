//! The end of the play: every fault on one line, with what it cost.

use std::fmt::Write;
use std::time::Duration;

use locum_types::{Instant, NodeId};

use super::check::{millis, seconds};
use super::script::{Action, Client};
use super::text::{Paint, Text};
use super::timeline::{ClientReport, Leaks, Timeline};

/// What the table needs to be understood.
const NOTES: [&str; 2] = [
    "Times are the longest without an answer. The TCP client has one connection, from the beginning to",
    "the end: its next node knows every byte that it has seen.",
];

/// What the play came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) rows: Vec<Row>,
    pub(super) checks: usize,
    pub(super) failed: usize,
    pub(super) leaks: Leaks,
    /// How long the play was, in its own time.
    pub(super) end: Instant,
    /// How long it took.
    pub(super) real: Duration,
    /// How far the nodes' clock was behind the real one at worst.
    pub(super) lag: Duration,
}

/// What one act came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) number: usize,
    pub(super) title: &'static str,
    pub(super) fault: Option<Action>,
    /// Who became active, and how long after the fault.
    pub(super) successor: Option<(NodeId, Duration)>,
    /// How long two were active at once.
    pub(super) overlap: Duration,
    pub(super) clients: Vec<ClientReport>,
    pub(super) held: bool,
}

impl Summary {
    /// Sums up a play that took `real` time.
    pub(super) fn of(timeline: &Timeline, real: Duration, lag: Duration) -> Self {
        let outcomes = || timeline.scenes.iter().flat_map(|scene| &scene.outcomes);
        let rows = timeline.scenes.iter().enumerate().map(|(index, scene)| Row {
            number: index + 1,
            title: scene.act.title,
            fault: scene.fault().map(|deed| deed.action),
            successor: timeline.successor(scene),
            overlap: timeline.overlap(scene).map_or(Duration::ZERO, |overlap| overlap.total),
            clients: timeline.reports(scene),
            held: scene.outcomes.iter().all(|outcome| outcome.held),
        });
        Summary {
            rows: rows.collect(),
            checks: outcomes().count(),
            failed: outcomes().filter(|outcome| !outcome.held).count(),
            leaks: timeline.scenes.last().map(|scene| scene.leaks).unwrap_or_default(),
            end: timeline.end(),
            real,
            lag,
        }
    }

    /// Whether every check held.
    pub(super) fn held(&self) -> bool {
        self.failed == 0 && self.checks > 0
    }

    /// The summary for people.
    pub(super) fn render(&self, text: Text) -> String {
        let mut out = format!("\n{}\n\n", text.paint(Paint::Bold, "What the clients noticed"));
        let [udp, ping, tcp] = Client::ALL.map(Client::name);
        let head = format!(
            "  {:<11} {:<10} {:>10}   {udp:>9}   {ping:>9}   {tcp}",
            "fault", "now active", "after"
        );
        let _ = writeln!(out, "{}", text.paint(Paint::Dim, head.trim_end()));
        for row in self.rows.iter().filter(|row| row.fault.is_some()) {
            out.push_str(&row.render(text));
        }
        out.push('\n');
        for line in NOTES {
            let _ = writeln!(out, "  {}", text.paint(Paint::Dim, line));
        }
        out.push('\n');
        let _ = writeln!(out, "  {}", self.silence());
        let _ = writeln!(out, "  {}", self.overlaps());
        let _ = writeln!(out, "  {}", self.pace());
        let verdict = match self.failed {
            0 => format!("{} All {} checks held.", text.sign(true), self.checks),
            failed => format!("{} {failed} of {} checks failed.", text.sign(false), self.checks),
        };
        let _ = writeln!(out, "\n{verdict}");
        out
    }

    fn silence(&self) -> String {
        let Leaks { checked, leaked } = self.leaks;
        format!("{leaked} of {checked} frames from the nodes spoke for the service out of turn.")
    }

    /// How long two nodes were active, where that happened.
    fn overlaps(&self) -> String {
        let rows = self.rows.iter().filter(|row| !row.overlap.is_zero());
        let overlaps: Vec<String> = rows
            .filter_map(|row| {
                let fault = row.fault?;
                let sides = if fault == Action::Cut { ", one on each side" } else { "" };
                Some(format!("{} {}{sides}", fault.name(), millis(row.overlap)))
            })
            .collect();
        match overlaps[..] {
            [] => "At no time were two nodes active at once.".to_owned(),
            [..] => format!("Two nodes were active at once: {}.", overlaps.join("; ")),
        }
    }

    fn pace(&self) -> String {
        format!(
            "{} s played in {:.1} s; the nodes' clock was never more than {} behind.",
            seconds(self.end),
            self.real.as_secs_f64(),
            millis(self.lag)
        )
    }
}

impl Row {
    fn render(&self, text: Text) -> String {
        let fault = self.fault.map_or("", Action::name);
        let (node, after) = match self.successor {
            Some((node, after)) => (format!("node {node}"), millis(after)),
            None => ("nobody".to_owned(), "-".to_owned()),
        };
        let silence = |client| {
            let report = self.clients.iter().find(|report| report.client == client);
            report.and_then(|report| report.longest_silence).map_or("-".to_owned(), millis)
        };
        let tcp = self.clients.iter().find(|report| report.client == Client::Tcp);
        let tcp = match tcp.and_then(|report| report.reconnected) {
            None => format!("kept, {}", silence(Client::Tcp)),
            Some(None) => "connection lost".to_owned(),
            Some(Some(_)) => format!("new connection, {}", silence(Client::Tcp)),
        };
        format!(
            "{} {fault:<11} {node:<10} {after:>10}   {:>9}   {:>9}   {tcp}\n",
            text.sign(self.held),
            silence(Client::Udp),
            silence(Client::Ping),
        )
    }
}
