//! The timeline for machines: one JSON object per line.
//!
//! Every line has `event` and `at_ms`, the time in the play in milliseconds. Modes, causes and
//! reasons are the words of the logs; every duration is in milliseconds and says so in its name. The
//! last line is the `summary`.

use std::time::Duration;

use locum_types::Instant;
use serde_json::{Map, Value, json};

use super::script::Action;
use super::summary::Summary;
use super::timeline::{Condition, Copies, Entry, NodeView, What};

/// One entry as an object.
pub(super) fn entry(entry: &Entry) -> Value {
    let (event, fields) = event(&entry.what);
    let nodes: Vec<&str> = entry.nodes.iter().map(|view| condition(*view)).collect();
    object(event, entry.at, [("nodes", json!(nodes))].into_iter().chain(fields))
}

/// The last line: what every act came to.
pub(super) fn summary(summary: &Summary) -> Value {
    let acts: Vec<Value> = summary
        .rows
        .iter()
        .map(|row| {
            let clients: Vec<Value> = row.clients.iter().map(client).collect();
            json!({
                "act": row.number,
                "title": row.title,
                "fault": row.fault.map(Action::name),
                "active": row.successor.map(|(node, _)| node),
                "taken_over_after_ms": row.successor.map(|(_, after)| ms(after)),
                "overlap_ms": ms(row.overlap),
                "protected_after_ms": row.protected_after.map(ms),
                "copies": copies(row.copies),
                "clients": clients,
                "held": row.held,
            })
        })
        .collect();
    let fields = [
        ("acts", json!(acts)),
        ("checks", json!(summary.checks)),
        ("failed", json!(summary.failed)),
        ("connections", json!(summary.connections.kept + summary.connections.lost)),
        ("connections_lost", json!(summary.connections.lost)),
        ("wrong_bytes", json!(summary.connections.wrong)),
        ("copies", copies(summary.copies)),
        ("frames_checked", json!(summary.leaks.checked)),
        ("frames_leaked", json!(summary.leaks.leaked)),
        ("lag_max_ms", json!(ms(summary.lag))),
        ("real_ms", json!(ms(summary.real))),
    ];
    object("summary", summary.end, fields)
}

type Field = (&'static str, Value);

fn object(event: &str, at: Instant, fields: impl IntoIterator<Item = Field>) -> Value {
    let head = [("event", json!(event)), ("at_ms", json!(ms(at - Instant::ZERO)))];
    let fields = head.into_iter().chain(fields);
    Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

fn event(what: &What) -> (&'static str, Vec<Field>) {
    match what {
        What::Act { number, act } => (
            "act",
            vec![("act", json!(number)), ("title", json!(act.title)), ("story", json!(act.story))],
        ),
        What::Did(deed) => {
            let to = match deed.action {
                Action::HandOver(to) => Some(to),
                Action::StartNodes
                | Action::StartClients
                | Action::Kill
                | Action::Restart
                | Action::Cut
                | Action::Heal
                | Action::Freeze
                | Action::Thaw => None,
            };
            let fields = vec![
                ("action", json!(deed.action.name())),
                ("node", json!(deed.node)),
                ("to", json!(to)),
            ];
            ("did", fields)
        }
        What::Changed { node, to, cause, term, detection } => {
            let fields = vec![
                ("node", json!(node)),
                ("to", json!(to)),
                ("cause", json!(cause.map(|cause| cause.to_string()))),
                ("term", json!(term)),
                ("detection_ms", json!(detection.map(ms))),
            ];
            ("mode", fields)
        }
        What::Asked { client } => ("asked", vec![("client", json!(client.name()))]),
        What::Answered { node } => ("answered", vec![("node", json!(node))]),
        What::Probed { node } => ("probed", vec![("node", json!(node))]),
        What::Resigned { node, peers, by_warden } => (
            "resigned",
            vec![("node", json!(node)), ("peers", json!(peers)), ("by_warden", json!(by_warden))],
        ),
        What::Offered { node, to } => ("offered", vec![("node", json!(node)), ("to", json!(to))]),
        What::Announced { node, arp, na } => {
            ("announced", vec![("node", json!(node)), ("arp", json!(arp)), ("na", json!(na))])
        }
        What::Beat { from, to, mode, term, sequence } => (
            "beat",
            vec![
                ("from", json!(from)),
                ("to", json!(to)),
                ("mode", json!(mode)),
                ("term", json!(term)),
                ("sequence", json!(sequence)),
            ],
        ),
        What::Protection { node, protection, followers } => {
            let fields = vec![
                ("node", json!(node)),
                ("protection", json!(protection)),
                ("followers", json!(followers)),
            ];
            ("protection", fields)
        }
        What::Carried { node, flows } => {
            ("carried-over", vec![("node", json!(node)), ("flows", json!(flows))])
        }
        What::FlowsLost { node, lost } => {
            ("flows-lost", vec![("node", json!(node)), ("flows_lost", json!(lost))])
        }
        What::ConnectionLost { client } => {
            ("connection-lost", vec![("client", json!(client.name()))])
        }
        What::AnsweredAgain { client, silence } => (
            "answered-again",
            vec![("client", json!(client.name())), ("silence_ms", json!(ms(*silence)))],
        ),
        What::Seen(report) => {
            let frames = report.frames;
            let clients: Vec<Value> = report.clients.iter().map(client).collect();
            let frames = json!({
                "beats": frames.beats,
                "questions": frames.questions,
                "answers": frames.answers,
                "probes": frames.probes,
                "announcements_arp": frames.announcements_arp,
                "announcements_na": frames.announcements_na,
            });
            let copies = copies(report.copies);
            ("seen", vec![("clients", json!(clients)), ("copies", copies), ("frames", frames)])
        }
        What::Checked(outcome) => (
            "check",
            vec![
                ("promise", json!(outcome.promise)),
                ("figure", json!(outcome.figure)),
                ("held", json!(outcome.held)),
            ],
        ),
    }
}

fn client(report: &super::timeline::ClientReport) -> Value {
    json!({
        "client": report.client.name(),
        "longest_silence_ms": report.longest_silence.map(ms),
        "lost": report.lost,
        "connection_lost": report.reconnected.is_some(),
        "reconnected_after_ms": report.reconnected.flatten().map(ms),
    })
}

fn copies(copies: Copies) -> Value {
    json!({
        "flows_carried": copies.carried,
        "flows_lost": copies.lost,
        "lag_entries_max": copies.lag_entries,
        "lag_bytes_max": copies.lag_bytes,
    })
}

fn condition(view: NodeView) -> &'static str {
    match view.condition {
        Condition::Dead => "dead",
        Condition::Frozen => "frozen",
        Condition::Running(mode) => mode.name(),
    }
}

/// Milliseconds with microseconds.
fn ms(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

#[cfg(test)]
mod tests;
