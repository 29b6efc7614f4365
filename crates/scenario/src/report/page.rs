//! The page around the pictures: the verdict, the figures that matter, the legend.

use std::fmt::Write as _;
use std::time::Duration;

use locum_types::Mode;

use super::client_lane;
use super::node_lane;
use super::style;
use super::words::{self, Escaped};
use crate::model::{Scenario, World};
use crate::outcome::{Outcome, Verdict, Word};

/// Everything before the pictures.
pub(super) fn head(scenario: &Scenario, outcome: &Outcome, verdicts: &[Verdict]) -> String {
    let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n");
    let name = Escaped(&outcome.scenario);
    // Writing to a String cannot fail, here and below.
    let _ = write!(
        out,
        "<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>{} {name} – locum scenario</title>\n<style>\n{}</style>\n</head>\n<body>\n{}\
         <main>\n<header>\n<h1>{name}</h1>\n<p class=\"about\">{}</p>\n",
        if verdicts.iter().all(|verdict| verdict.held) { "✓" } else { "✗" },
        style::sheet(),
        style::PATTERNS,
        Escaped(scenario.about.trim()),
    );
    verdict(&mut out, verdicts);
    figures(&mut out, outcome);
    run(&mut out, outcome);
    out.push_str("</header>\n");
    out
}

/// Everything after the tables.
pub(super) const TAIL: &str = "</main>\n</body>\n</html>\n";

fn verdict(out: &mut String, verdicts: &[Verdict]) {
    let failed: Vec<&Verdict> = verdicts.iter().filter(|verdict| !verdict.held).collect();
    let all = words::counted(verdicts.len(), "expectation");
    let (class, text) = match (verdicts.len(), failed.len()) {
        (0, _) => ("none", "– nothing was expected".to_owned()),
        (1, 0) => ("held", "✓ the one expectation held".to_owned()),
        (_, 0) => ("held", format!("✓ all {all} held")),
        (_, failed) => ("failed", format!("✗ {} of {all} failed", words::count(failed as u64))),
    };
    let _ = writeln!(out, "<p class=\"verdict {class}\">{text}</p>");
    if failed.is_empty() {
        return;
    }
    out.push_str("<ul class=\"failures\">\n");
    for verdict in failed.iter().take(20) {
        let (expected, seen) = (Escaped(&verdict.expected), Escaped(&verdict.seen));
        let _ = writeln!(out, "<li><b>{expected}</b>: {seen}</li>");
    }
    out.push_str("</ul>\n");
}

/// One figure that matters: the number, what it counts, and whether it ought to be zero and is not.
fn figure(out: &mut String, number: &str, what: &str, alarm: bool) {
    let class = if alarm { " class=\"alarm\"" } else { "" };
    let (number, what) = (Escaped(number), Escaped(what));
    let _ = writeln!(out, "<li{class}><b>{number}</b><span>{what}</span></li>");
}

fn figures(out: &mut String, outcome: &Outcome) {
    out.push_str("<ul class=\"figures\">\n");
    let outages = outcome.clients.iter().filter_map(|track| {
        let (began, outage) = track.outage(Duration::ZERO, outcome.duration)?;
        Some((outage, began, track))
    });
    if let Some((outage, began, track)) = outages.max_by_key(|&(outage, ..)| outage) {
        let what = match outage {
            Duration::ZERO => "longest outage".to_owned(),
            _ => {
                let (program, began) = (words::program(track), words::moment(began));
                format!("longest outage: {program}, at {began}")
            }
        };
        figure(out, &words::span(outage), &what, false);
    }
    let faults = words::count(outcome.faults.len() as u64);
    figure(out, &faults, "faults and commands", false);
    let takeovers = outcome.order().into_iter().filter(|&(_, to)| to == Mode::Active).count();
    figure(out, &words::count(takeovers as u64), "changes to active", false);
    let requests: usize = outcome.clients.iter().map(|track| track.requests.len()).sum();
    let lost: usize =
        outcome.clients.iter().map(|track| track.lost(Duration::ZERO, Duration::MAX)).sum();
    let what = format!("of {} unanswered", words::counted(requests, "request"));
    figure(out, &words::count(lost as u64), &what, false);
    let leaks = outcome.leaks.len();
    let what = format!("of {} frames leaked", words::count(outcome.frames_checked));
    figure(out, &words::count(leaks as u64), &what, leaks > 0);
    let overlap = outcome.overlaps.iter().map(|&(_, length)| length).max().unwrap_or_default();
    figure(out, &words::span(overlap), "longest with two nodes active", false);
    out.push_str("</ul>\n");
}

fn run(out: &mut String, outcome: &Outcome) {
    let time = match outcome.world {
        World::Sim => "sim, virtual time",
        World::Netns => "netns, real time",
    };
    let _ = writeln!(
        out,
        "<div class=\"run\"><span>world <b>{time}</b></span><span>seed <b>{}</b></span>\
         <span>duration <b>{}</b></span>\
         <span>again: <code>locum scenario run tests/scenarios/{}.toml --world {} --seed {}</code>\
         </span></div>",
        outcome.seed,
        words::span(outcome.duration),
        Escaped(&outcome.scenario),
        words::world(outcome.world),
        outcome.seed,
    );
}

/// What the shapes and colours of the pictures mean.
pub(super) fn legend() -> String {
    let mut out = String::from("<ul class=\"legend\">\n");
    for name in ["active", "waiting", "joining", "fenced", "frozen", "dead"] {
        let bar = "x=\"1\" y=\"2\" width=\"16\" height=\"12\" rx=\"1.5\"";
        let hatch = match name {
            "frozen" | "dead" => format!("<rect class=\"hatch-{name}\" {bar}/>"),
            _ => String::new(),
        };
        entry(&mut out, &format!("<rect class=\"{name}\" {bar}/>{hatch}"), name);
    }
    for (word, name) in [
        (Word::Announcement, "ARP/NDP announcement"),
        (Word::Answer, "ARP/NDP answer"),
        (Word::Probe, "ARP/NDP probe"),
    ] {
        let (class, shape) = (words::word(word), node_lane::shape(word));
        entry(&mut out, &format!("<path class=\"{class}\" d=\"M9 8{shape}\"/>"), name);
    }
    let ticks = "M3 5v7M7 5v7M11 5v7M15 5v7";
    entry(&mut out, &format!("<path class=\"beat\" d=\"{ticks}\"/>"), "beats");
    entry(&mut out, "<path class=\"fault\" d=\"M9 0v16\"/>", "fault or command");
    let ticks = "M3 2v12M7 2v12M11 2v12M15 2v12";
    entry(&mut out, &format!("<path class=\"answered\" d=\"{ticks}\"/>"), "request answered");
    let ticks = "M5 8v6M9 8v6M13 8v6";
    entry(&mut out, &format!("<path class=\"unanswered\" d=\"{ticks}\"/>"), "never answered");
    let bar = "<rect class=\"silence\" x=\"1\" y=\"6\" width=\"16\" height=\"4\" rx=\"1.5\"/>";
    entry(&mut out, bar, "client silent");
    let cross = format!("<path class=\"lost\" d=\"M9 8{}\"/>", client_lane::CROSS);
    entry(&mut out, &cross, "connection lost");
    out.push_str("</ul>\n");
    out
}

fn entry(out: &mut String, shapes: &str, name: &str) {
    let _ = writeln!(
        out,
        "<li><svg xmlns=\"http://www.w3.org/2000/svg\" width=\"18\" height=\"16\" \
         viewBox=\"0 0 18 16\" aria-hidden=\"true\">{shapes}</svg>{name}</li>"
    );
}
