//! The end of the play: every fault on one line, with what it cost.

use std::fmt::Write;
use std::time::Duration;

use locum_types::{Instant, NodeId};

use super::check::{millis, seconds};
use super::script::{Action, Client};
use super::text::{Paint, Text};
use super::timeline::{ClientReport, Copies, Leaks, Timeline};

/// What the table needs to be understood.
const NOTES: [&str; 3] = [
    "Times are the longest without an answer; protected: how soon another node had everything again.",
    "tcp, tcp6 and kv have one connection each, from the beginning to the end: its next node knows",
    "every byte that it has seen.",
];
/// Columns of a time.
const TIME: usize = 9;

/// What the play came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) rows: Vec<Row>,
    pub(super) checks: usize,
    pub(super) failed: usize,
    pub(super) leaks: Leaks,
    pub(super) connections: Connections,
    /// What nodes say of them: sums, and the largest lag.
    pub(super) copies: Copies,
    /// How long the play was, in its own time.
    pub(super) end: Instant,
    /// How long it took.
    pub(super) real: Duration,
    /// How far the nodes' clock was behind the real one at worst.
    pub(super) lag: Duration,
}

/// What clients saw of their connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Connections {
    pub(super) kept: usize,
    pub(super) lost: usize,
    /// Bytes that were not what they must be.
    pub(super) wrong: usize,
}

impl Connections {
    fn of(timeline: &Timeline) -> Self {
        let lost =
            timeline.connected().filter(|lane| !lane.record.connections_lost().is_empty()).count();
        let wrong = |scene| timeline.connected().map(|lane| lane.wrong(scene)).sum::<usize>();
        Connections {
            kept: timeline.connected().count() - lost,
            lost,
            wrong: timeline.scenes.iter().map(wrong).sum(),
        }
    }
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
    /// How long after the fault another node had everything again.
    pub(super) protected_after: Option<Duration>,
    pub(super) copies: Copies,
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
            protected_after: timeline.protected_after(scene),
            copies: scene.copies,
            clients: timeline.reports(scene),
            held: scene.outcomes.iter().all(|outcome| outcome.held),
        });
        Summary {
            rows: rows.collect(),
            checks: outcomes().count(),
            failed: outcomes().filter(|outcome| !outcome.held).count(),
            connections: Connections::of(timeline),
            copies: sum(timeline.scenes.iter().map(|scene| scene.copies)),
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
        let mut head = format!("  {:<11} {:<10} {:>TIME$}", "fault", "now active", "after");
        for column in Client::ALL.map(Client::name).into_iter().chain(["protected"]) {
            let _ = write!(head, "  {column:>TIME$}");
        }
        let _ = writeln!(out, "{}", text.paint(Paint::Dim, &head));
        for row in self.rows.iter().filter(|row| row.fault.is_some()) {
            out.push_str(&row.render(text));
        }
        out.push('\n');
        for line in NOTES {
            let _ = writeln!(out, "  {}", text.paint(Paint::Dim, line));
        }
        out.push('\n');
        let _ = writeln!(out, "  {}", self.connections());
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

    fn connections(&self) -> String {
        let Connections { kept, lost, wrong } = self.connections;
        let Copies { carried, lost: flows_lost, .. } = self.copies;
        format!(
            "{} connections, {lost} lost, {wrong} wrong bytes; carried over {carried} times, {flows_lost}.",
            kept + lost
        )
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
            match report.map(|report| (report.reconnected, report.longest_silence)) {
                Some((None, Some(silence))) => millis(silence),
                Some((Some(_), _)) => "lost".to_owned(),
                Some((None, None)) | None => "-".to_owned(),
            }
        };
        let mut line = format!("{} {fault:<11} {node:<10} {after:>TIME$}", text.sign(self.held));
        let protected = self.protected_after.map_or("no".to_owned(), millis);
        for column in Client::ALL.map(silence).into_iter().chain([protected]) {
            let _ = write!(line, "  {column:>TIME$}");
        }
        line + "\n"
    }
}

/// What came of connections in all acts, and the largest lag of all.
fn sum(acts: impl Iterator<Item = Copies>) -> Copies {
    acts.fold(Copies::default(), |mut sum, act| {
        sum.carried += act.carried;
        sum.lost += act.lost;
        sum.lag_entries = sum.lag_entries.max(act.lag_entries);
        sum.lag_bytes = sum.lag_bytes.max(act.lag_bytes);
        sum
    })
}
