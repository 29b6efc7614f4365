//! One run as one page: what was expected and whether it held, the whole run as a picture, a close
//! look at each thing that happened, and the numbers.
//!
//! The page needs nothing but itself. It is HTML that is also good XML. It measures nothing: what it
//! says is in the [`Outcome`] and its [`Verdict`]s.

mod canvas;
mod chart;
mod client_lane;
mod density;
mod labels;
mod moments;
mod node_lane;
mod page;
mod scale;
mod style;
mod tables;
mod words;

use std::fmt::Write as _;
use std::time::Duration;

use self::chart::{Names, Subject, View};
use self::moments::{Moment, Silence};
use self::words::Escaped;
use crate::model::Scenario;
use crate::outcome::{Outcome, Verdict};

/// The picture of the whole run: as wide as the page.
const WIDE: f64 = 1094.0;
/// Pictures of close-ups, and of the whole run on a narrow screen.
const NARROW: f64 = 328.0;

/// The report of a run, in one HTML document that refers to nothing outside itself.
pub fn html(scenario: &Scenario, outcome: &Outcome, verdicts: &[Verdict]) -> String {
    let silences: Vec<Vec<Silence>> =
        outcome.clients.iter().map(|track| moments::silences(track, outcome.duration)).collect();
    let subject = Subject { outcome, silences: &silences };
    let mut out = page::head(scenario, outcome, verdicts);
    whole(&mut out, subject);
    close_ups(&mut out, subject);
    out.push_str(&tables::all(outcome, verdicts));
    out.push_str(page::TAIL);
    out
}

fn whole(out: &mut String, subject: Subject<'_>) {
    let outcome = subject.outcome;
    let view = |width, names, class| View {
        from: Duration::ZERO,
        until: outcome.duration,
        origin: Duration::ZERO,
        width,
        names,
        title: format!("Timeline of {}", outcome.scenario),
        description: description(subject),
        class,
    };
    let legend = page::legend();
    let wide = chart::draw(subject, &view(WIDE, Names::Beside, "wide"));
    let narrow = chart::draw(subject, &view(NARROW, Names::Above, "narrow"));
    // Writing to a String cannot fail, here and below.
    let _ = write!(
        out,
        "<section>\n<h2>Timeline</h2>\n<figure>\n<div class=\"scroll\" role=\"region\" \
         tabindex=\"0\" aria-label=\"Timeline\">\n{wide}{narrow}</div>\n{legend}</figure>\n</section>\n"
    );
}

/// The timeline for those who cannot see it; the tables have the rest.
fn description(subject: Subject<'_>) -> String {
    let outcome = subject.outcome;
    let silences: usize = subject.silences.iter().map(Vec::len).sum();
    format!(
        "{}, {}, {} and {} over {}. The tables below give every number.",
        words::counted(outcome.nodes.len(), "node"),
        words::counted(outcome.clients.len(), "client program"),
        words::counted(outcome.faults.len(), "fault"),
        words::counted(silences, "outage"),
        words::span(outcome.duration),
    )
}

fn close_ups(out: &mut String, subject: Subject<'_>) {
    let (moments, others) = moments::choose(subject.outcome, subject.silences);
    if moments.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>Close-ups</h2>\n<div class=\"moments\">\n");
    for moment in &moments {
        close_up(out, subject, moment);
    }
    out.push_str("</div>\n");
    if others > 0 {
        let _ = writeln!(
            out,
            "<p class=\"note\">And {} at which less happened.</p>",
            words::counted(others, "moment"),
        );
    }
    out.push_str("</section>\n");
}

fn close_up(out: &mut String, subject: Subject<'_>, moment: &Moment<'_>) {
    let title = moment.title();
    let consequences = moment.consequences();
    let view = View {
        from: moment.from,
        until: moment.until,
        origin: moment.origin,
        width: NARROW,
        names: Names::Above,
        title: format!("Close-up: {title}"),
        description: consequences.join(". "),
        class: "close-up",
    };
    let at = words::moment(moment.origin);
    let _ = write!(out, "<figure>\n<figcaption><strong>{}</strong>", Escaped(&title));
    let _ = write!(out, "at {at}");
    for (index, sentence) in consequences.iter().enumerate() {
        let felt = index == 0 && !moment.silences.is_empty();
        let class = if felt { " class=\"felt\"" } else { "" };
        let _ = write!(out, "; <span{class}>{}</span>", Escaped(sentence));
    }
    let picture = chart::draw(subject, &view);
    let _ = write!(out, "</figcaption>\n<div class=\"scroll\">\n{picture}</div>\n</figure>\n");
}

#[cfg(test)]
mod tests;
