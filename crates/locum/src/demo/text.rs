//! The timeline as text, line by line as it happens: time, nodes, and what happened.

use std::fmt::Write;

use locum_types::{Cause, Mode, NodeId, Protection, Term};

use super::check::{Outcome, millis, seconds};
use super::script::{self, Act, Action};
use super::timeline::{
    ClientReport, Condition, Copies, Deed, Entry, FrameCounts, NodeView, Report, What,
};

/// Columns of the terminal that a line may take.
pub(super) const WIDTH: usize = 100;
/// Columns of the time and of each node.
const TIME_WIDTH: usize = 7;
const NODE_WIDTH: usize = 11;

/// What the symbols of the nodes are explained by.
const LEGEND: [Condition; 6] = [
    Condition::Running(Mode::Active),
    Condition::Running(Mode::Waiting),
    Condition::Running(Mode::Joining),
    Condition::Running(Mode::Fenced),
    Condition::Frozen,
    Condition::Dead,
];

/// How something is highlighted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Magenta,
    Cyan,
}

impl Paint {
    const fn code(self) -> &'static str {
        match self {
            Paint::Bold => "1",
            Paint::Dim => "2",
            Paint::Red => "1;31",
            Paint::Green => "1;32",
            Paint::Yellow => "33",
            Paint::Magenta => "35",
            Paint::Cyan => "36",
        }
    }
}

/// Turns entries into lines. It remembers nothing: the same entry is always the same text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    /// Whether to use ANSI colours.
    pub(super) colour: bool,
}

impl Text {
    /// What stands above the timeline.
    pub(super) fn header(self, service: &str) -> String {
        let interval = script::INTERVAL.as_millis();
        let dead_after = script::DEAD_AFTER.as_millis();
        let cable = script::CABLE.as_micros();
        let title = self.paint(Paint::Bold, "locum demo");
        let facts = format!(
            "Three nodes share {service}. One answers, the others wait.\n\
             They beat every {interval} ms and are dead after {dead_after} ms of silence.\n\
             No root, no TAP: an Ethernet segment in memory, with cables of {cable} µs.\n\
             {} acts, {:.1} s; every act ends with its checks.\n",
            script::ACTS.len(),
            script::lasts().as_secs_f64()
        );
        let legend = LEGEND.map(|condition| self.label(NodeView { condition, cut: false }, 0));
        let mut columns = format!("{:>TIME_WIDTH$}   ", "time");
        for node in 1..=3 {
            let _ = write!(columns, "{:<NODE_WIDTH$}", format!("node {node}"));
        }
        let columns = self.paint(Paint::Dim, columns.trim_end());
        format!("{title}\n\n{facts}\n   {}\n\n{columns}\n", legend.join("   "))
    }

    /// One entry: a line, or a few.
    pub(super) fn entry(self, entry: &Entry) -> String {
        match &entry.what {
            What::Act { number, act } => self.act(*number, act),
            What::Seen(report) => self.report(report),
            What::Checked(outcome) => self.checked(outcome),
            What::Did(deed) => self.line(entry, Columns::Labels, Some(Paint::Bold), &did(deed)),
            What::Changed { node, to, cause, term, detection: _ } => {
                let words = changed(*node, *to, *cause, *term);
                self.line(entry, Columns::Labels, None, &words)
            }
            What::Asked { client } => {
                self.aside(entry, &format!("{} asks who has the address", client.name()))
            }
            What::Answered { node } => {
                self.aside(entry, &format!("node {node} answers: I have it"))
            }
            What::Probed { node } => {
                self.aside(entry, &format!("node {node} probes: does anyone serve it?"))
            }
            What::Resigned { node, peers, by_warden } => {
                let who = if *by_warden {
                    format!("node {node}'s warden")
                } else {
                    format!("node {node}")
                };
                self.aside(entry, &format!("{who} says goodbye to {peers} peers"))
            }
            What::Offered { node, to } => {
                self.aside(entry, &format!("node {node} offers the address to node {to}"))
            }
            What::Announced { node, arp, na } => {
                self.aside(entry, &format!("node {node} announces itself: {arp} ARP, {na} NA"))
            }
            What::Beat { from, to, mode, term, sequence } => {
                let words = format!("beat {from} → {to}  {mode:<8} term {term}  seq {sequence}");
                self.aside(entry, &words)
            }
            What::Protection { node, protection, followers } => {
                let is_good = protection.is_good();
                let paint = if is_good { Paint::Green } else { Paint::Yellow };
                let words = protected(*node, *protection, followers);
                self.line(entry, Columns::Symbols, Some(paint), &words)
            }
            What::Carried { node, flows } => {
                let words = format!("node {node} goes on with {flows} connections");
                self.line(entry, Columns::Symbols, Some(Paint::Green), &words)
            }
            What::FlowsLost { node, lost } => {
                let words = format!("node {node} does not go on with all: {lost}");
                self.line(entry, Columns::Symbols, Some(Paint::Red), &words)
            }
            What::ConnectionLost { client } => {
                let words = format!("{} lost its connection", client.name());
                self.line(entry, Columns::Symbols, Some(Paint::Red), &words)
            }
            What::AnsweredAgain { client, silence } => {
                let words =
                    format!("{} is answered again after {}", client.name(), millis(*silence));
                self.line(entry, Columns::Symbols, Some(Paint::Yellow), &words)
            }
        }
    }

    fn act(self, number: usize, act: &Act) -> String {
        let title = format!(" {number}  {} ", act.title);
        let rule = "━".repeat(WIDTH - TIME_WIDTH - 1 - title.chars().count());
        let rule = self.paint(Paint::Dim, &rule);
        let title = self.paint(Paint::Bold, &title);
        let story = self.paint(Paint::Dim, act.story);
        let lead = self.paint(Paint::Dim, &"━".repeat(TIME_WIDTH + 1));
        format!("\n{lead}{title}{rule}\n{:WORDS$}{story}\n", "", WORDS = TIME_WIDTH + 3)
    }

    /// What matters least: the nodes did not change.
    fn aside(self, entry: &Entry, words: &str) -> String {
        self.line(entry, Columns::Symbols, Some(Paint::Dim), words)
    }

    fn line(self, entry: &Entry, columns: Columns, paint: Option<Paint>, words: &str) -> String {
        let mut line = format!("{:>TIME_WIDTH$}   ", seconds(entry.at));
        for view in &entry.nodes {
            match columns {
                Columns::Labels => line.push_str(&self.label(*view, NODE_WIDTH)),
                Columns::Symbols => {
                    let symbol = format!("{:<NODE_WIDTH$}", symbol(*view));
                    line.push_str(&self.paint(Paint::Dim, &symbol));
                }
            }
        }
        match paint {
            Some(paint) => line.push_str(&self.paint(paint, words)),
            None => line.push_str(words),
        }
        line.push('\n');
        line
    }

    /// A node as its symbol and its mode, in a column of `width`.
    fn label(self, view: NodeView, width: usize) -> String {
        let text = format!("{} {}", symbol(view), word(view));
        self.paint(paint_of(view), &format!("{text:<width$}"))
    }

    /// What clients saw, one line each, and what passed over the wire.
    fn report(self, report: &Report) -> String {
        let mut text = String::from("\n");
        for client in &report.clients {
            let words = saw(client);
            let name = self.paint(Paint::Cyan, &format!("{:<5}", client.client.name()));
            let _ = writeln!(text, "{:LEFT$}{name}  {words}", "", LEFT = TIME_WIDTH + 3);
        }
        for (name, words) in [("log  ", log(report.copies)), ("wire ", wire(report.frames))] {
            let name = self.paint(Paint::Cyan, name);
            let _ = writeln!(text, "{:LEFT$}{name}  {words}", "", LEFT = TIME_WIDTH + 3);
        }
        text
    }

    fn checked(self, outcome: &Outcome) -> String {
        let left = TIME_WIDTH + 1;
        let sign = self.sign(outcome.held);
        let promise = format!("{:<54}", outcome.promise);
        format!("{:left$}{sign} {promise}  {}\n", "", outcome.figure)
    }

    /// ✓ or ✗.
    pub(super) fn sign(self, held: bool) -> String {
        if held { self.paint(Paint::Green, "✓") } else { self.paint(Paint::Red, "✗") }
    }

    /// Text in a colour, if colours are wanted.
    pub(super) fn paint(self, paint: Paint, text: &str) -> String {
        if self.colour { format!("\x1b[{}m{text}\x1b[0m", paint.code()) } else { text.to_owned() }
    }
}

/// How the nodes are shown beside an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Columns {
    /// Symbols and words: something changed.
    Labels,
    /// Symbols alone.
    Symbols,
}

const fn symbol(view: NodeView) -> &'static str {
    match view.condition {
        Condition::Dead => "✗",
        Condition::Frozen => "‖",
        Condition::Running(Mode::Active) => "●",
        Condition::Running(Mode::Waiting) => "○",
        Condition::Running(Mode::Joining) => "◌",
        Condition::Running(Mode::Fenced) => "▪",
    }
}

const fn word(view: NodeView) -> &'static str {
    match (view.condition, view.cut) {
        (Condition::Dead, _) => "dead",
        (Condition::Frozen, _) => "frozen",
        (Condition::Running(_), true) => "cut off",
        (Condition::Running(mode), false) => mode.name(),
    }
}

const fn paint_of(view: NodeView) -> Paint {
    match (view.condition, view.cut) {
        (Condition::Dead, _) => Paint::Red,
        (Condition::Frozen, _) => Paint::Cyan,
        (Condition::Running(_), true) => Paint::Yellow,
        (Condition::Running(Mode::Active), false) => Paint::Green,
        (Condition::Running(Mode::Waiting), false) => Paint::Dim,
        (Condition::Running(Mode::Joining), false) => Paint::Yellow,
        (Condition::Running(Mode::Fenced), false) => Paint::Magenta,
    }
}

fn did(deed: &Deed) -> String {
    let Some(node) = deed.node else { return deed.action.name().to_owned() };
    match deed.action {
        Action::StartNodes | Action::StartClients => deed.action.name().to_owned(),
        Action::Kill => format!("SIGKILL to node {node}"),
        Action::Restart => format!("node {node} is started again"),
        Action::HandOver(to) => format!("the operator: node {node}, hand over to node {to}"),
        Action::Cut => format!("node {node}'s cable is cut"),
        Action::Heal => format!("node {node}'s cable is whole again"),
        Action::Freeze => format!("SIGSTOP to node {node}"),
        Action::Thaw => format!("SIGCONT to node {node}"),
    }
}

/// A change of mode as a sentence. How long it took to notice is for the checks to tell.
fn changed(node: NodeId, to: Mode, cause: Option<Cause>, term: Option<Term>) -> String {
    let Some(cause) = cause else { return format!("node {node} is {to}: its lease is over") };
    match (to, term) {
        (Mode::Active, Some(term)) => {
            format!("node {node} is {to}, term {term}: {}", reason(cause))
        }
        (Mode::Active | Mode::Waiting | Mode::Joining | Mode::Fenced, _) => {
            format!("node {node} is {to}: {}", reason(cause))
        }
    }
}

/// The cause of a change as the end of a sentence about the node.
fn reason(cause: Cause) -> String {
    match cause {
        Cause::Joined => "it has caught up".to_owned(),
        Cause::NoActive => "nobody else is".to_owned(),
        Cause::Silence { peer } => format!("node {peer} is silent"),
        Cause::Resigned { peer, reason } => format!("node {peer} resigned ({})", reason.name()),
        Cause::Resigning { reason } => format!("it resigned ({})", reason.name()),
        Cause::Rival { peer } => format!("node {peer} has the better claim"),
        Cause::Stall => "it stood still".to_owned(),
        Cause::LinkDown => "its link is down".to_owned(),
        Cause::Heard => "it hears the group again".to_owned(),
        Cause::Alone => "nobody else is there".to_owned(),
        Cause::DuplicateId => "another node has its id".to_owned(),
    }
}

fn saw(report: &ClientReport) -> String {
    let silence = match report.longest_silence {
        Some(silence) => format!("longest time without an answer {:>9}", millis(silence)),
        None => "never answered".to_owned(),
    };
    let lost = match report.lost {
        0 => "no request lost".to_owned(),
        1 => "1 request lost".to_owned(),
        lost => format!("{lost} requests lost"),
    };
    match report.reconnected {
        None => format!("{silence}   {lost}"),
        Some(None) => format!("{silence}   connection lost, no new one"),
        Some(Some(after)) => {
            format!("{silence}   connection lost, new one after {}", millis(after))
        }
    }
}

/// Whether the active node is protected, and by whom.
fn protected(node: NodeId, protection: Protection, followers: &[NodeId]) -> String {
    match followers {
        [] => format!("node {node} is {protection}: nobody else has everything"),
        [follower] => format!("node {node} is {protection}: node {follower} has everything"),
        [_, _, ..] => format!("node {node} is {protection}: the others have everything"),
    }
}

fn log(copies: Copies) -> String {
    let Copies { carried, lost, lag_entries, lag_bytes } = copies;
    format!(
        "{carried} carried over, {lost}; \
         followers at most {lag_entries} entries ({lag_bytes} B) behind"
    )
}

fn wire(frames: FrameCounts) -> String {
    let FrameCounts { beats, questions, answers, wrong_answers: _, probes, .. } = frames;
    let announcements =
        format!("{} ARP + {} NA announcements", frames.announcements_arp, frames.announcements_na);
    format!("{beats} beats, {announcements}, {probes} probes, {questions} who-has, {answers} is-at")
}

#[cfg(test)]
mod tests;
