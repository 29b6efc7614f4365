//! A run as text: a line for each thing that happens, then what came of it.

use std::time::Duration;

use locum_scenario::judge::brief;
use locum_scenario::model::{Scenario, World};
use locum_scenario::outcome::{ClientTrack, News, Outcome, Verdict};

use crate::status::table::grid::{Cell, Colour, Grid};

/// Columns of the time before each line.
const TIME_WIDTH: usize = 9;

pub(super) fn list(scenarios: &[Scenario], colour: bool) -> String {
    let mut grid = Grid::default();
    for scenario in scenarios {
        let worlds: Vec<&str> = scenario.worlds.iter().map(|world| world.name()).collect();
        grid.row([
            Cell::new(&scenario.source.name),
            Cell::new(worlds.join("+")).colour(Colour::Dim),
            Cell::new(scenario.duration.to_string()).colour(Colour::Dim),
            Cell::new(first_sentence(&scenario.about)),
        ]);
    }
    grid.render(colour)
}

pub(super) fn title(scenario: &Scenario, world: World, seed: u64, colour: bool) -> String {
    let name = Cell::new(&scenario.source.name).colour(Colour::Green).paint(colour);
    format!("{name} in {world}, seed {seed}\n  {}\n\n", one_line(&scenario.about))
}

/// Something that happens.
pub(super) fn news(news: News<'_>, colour: bool) -> String {
    match news {
        News::Fault(fault) => {
            let what = Cell::new(&fault.what).colour(Colour::Yellow).paint(colour);
            format!("{}  {what}\n", time(fault.at))
        }
        News::Change { node, change } => {
            let line = format!(
                "{}  node {node}: {} → {}, {}, term {}",
                time(change.at),
                change.from,
                change.to,
                change.cause,
                change.term
            );
            line + "\n"
        }
        News::Void { node } => {
            let what = format!("void: the machine stalled under node {node}; once more");
            format!("{}\n", Cell::new(what).colour(Colour::Yellow).paint(colour))
        }
    }
}

/// What came of it: every expectation, then every client.
pub(super) fn end(outcome: &Outcome, verdicts: &[Verdict], colour: bool) -> String {
    let mut expectations = Grid::default();
    let dim = |text: &str| Cell::new(text).colour(Colour::Dim);
    expectations.row([dim("held"), dim("expectation"), dim("seen")]);
    for verdict in verdicts {
        let held = match verdict.held {
            true => Cell::new("yes").colour(Colour::Green),
            false => Cell::new("NO").colour(Colour::Red),
        };
        expectations.row([held, Cell::new(&verdict.expected), Cell::new(&verdict.seen)]);
    }
    let mut clients = Grid::default();
    clients.row(
        ["client", "program", "requests", "answered", "lost", "connections lost", "longest outage"]
            .map(dim),
    );
    outcome.clients.iter().for_each(|track| clients.row(client(track, outcome.duration)));
    let mut text = format!("\n{}", expectations.render(colour));
    if !outcome.clients.is_empty() {
        text = format!("{text}\n{}", clients.render(colour));
    }
    text + "\n"
}

/// After several scenarios.
pub(super) fn summary(ran: usize, failed: &[&str]) -> String {
    match failed {
        [] => format!("{ran} scenarios, and everything held\n"),
        failed => format!("{ran} scenarios, {} failed: {}\n", failed.len(), failed.join(", ")),
    }
}

fn client(track: &ClientTrack, duration: Duration) -> Vec<Cell> {
    let lost = track.lost(Duration::ZERO, duration);
    let outage = match track.outage(Duration::ZERO, duration) {
        Some((at, long)) => format!("{} from {} on", brief(long), brief(at)),
        None => "never answered".to_owned(),
    };
    let count = |count: usize| Cell::new(count.to_string());
    vec![
        Cell::new(&track.client),
        Cell::new(track.program.to_string()),
        count(track.requests.len()),
        count(track.requests.len() - lost),
        count(lost),
        count(track.connections_lost.len()),
        Cell::new(outage),
    ]
}

fn time(at: Duration) -> String {
    format!("{:>TIME_WIDTH$}", format!("{:.3}s", at.as_secs_f64()))
}

/// What a line of a list has room for.
fn first_sentence(text: &str) -> String {
    let text = one_line(text);
    text.split_inclusive(". ").next().unwrap_or_default().trim_end().to_owned()
}

/// Texts of several lines in the file are one here.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<&str>>().join(" ")
}
