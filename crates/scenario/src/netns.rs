//! The world of network namespaces: real `locum run` processes on real TAPs, real clients, real time.
//!
//! What belongs here: building the network of a scenario out of the parts of `locum_lab`, doing to it
//! what the scenario says, and telling what came of it as an [`Outcome`]. What does not: whether that is
//! what was expected.
//!
//! All times are taken from the wall clock, because the kernel stamps captured frames and a node its log
//! by nothing else.
//!
//! A run lives in private namespaces of its process (see [`enter`]), which vanish with it, however it
//! ends; nothing here has to clean up the machine.

// This world is on the outside: it measures real programs in real time.
#![allow(clippy::disallowed_methods)]

mod client;
mod fabric;
mod gather;
mod hostile;
mod life;
mod log;
mod nodes;
mod plant;
mod steps;
mod wire;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use locum_lab::{capture, enter, room};

pub use locum_lab::enter::{Entered, Missing};

use self::client::{Client, Record};
use self::hostile::Attacker;
use self::nodes::Nodes;
use self::plant::Plant;
use self::steps::Stage;
use crate::model::{Action, Scenario, World};
use crate::outcome::{News, Outcome};

/// The programs that a run needs.
pub const TOOLS: [&str; 2] = ["bridge", "tcpdump"];

/// The UDP and TCP port of the echo service (RFC 862).
const ECHO_PORT: u16 = 7;

/// How long everything is left alone once it has settled: processes that have just started still push
/// each other around on a small machine.
const CALM: Duration = Duration::from_millis(200);

/// Runs of one scenario, at most, until one is not void.
const RUNS_MAX: usize = 3;

/// Goes inside: starts the calling program again, with the same arguments, as process 1 of namespaces of
/// its own. Call it first thing in `main`; [`run`] works inside alone.
pub fn enter() -> Entered {
    enter::enter(&TOOLS)
}

/// Runs a scenario in network namespaces, with `locum` as the program of the nodes, and `seed` for what
/// chance does on bad cables.
///
/// A run in which the machine stalled, so that a node lost its lease although the scenario left its process alone, says
/// nothing about the scenario: it is void, and begun anew, a few times.
///
/// `keep` is a directory that gets the captures and logs of the run, also of one that fails. `tell` hears
/// of everything as it happens.
///
/// # Errors
/// When the scenario is not for this world, when the caller is not inside (see [`enter`]), when the group
/// does not settle, a step cannot be carried out, or each run was void: with the logs of the nodes.
pub fn run(
    scenario: &Scenario,
    seed: u64,
    locum: &Path,
    keep: Option<&Path>,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Outcome> {
    require_playable(scenario)?;
    ensure!(enter::is_inside(), "not inside namespaces of its own: call `netns::enter` first");
    for _ in 1..RUNS_MAX {
        match attempt(scenario, seed, locum, keep, tell)? {
            Attempt::Whole(outcome) => return Ok(*outcome),
            Attempt::Void { stalled, .. } => tell(News::Void { node: stalled }),
        }
    }
    match attempt(scenario, seed, locum, keep, tell)? {
        Attempt::Whole(outcome) => Ok(*outcome),
        Attempt::Void { stalled, logs } => {
            bail!(
                "node {stalled} stalled, in each of {RUNS_MAX} runs: the logs of the last:\n{logs}"
            )
        }
    }
}

/// What came of one try to run a scenario.
enum Attempt {
    Whole(Box<Outcome>),
    /// The machine under a node stalled.
    Void {
        stalled: u8,
        logs: String,
    },
}

fn attempt(
    scenario: &Scenario,
    seed: u64,
    locum: &Path,
    keep: Option<&Path>,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Attempt> {
    let plant = Plant::build(scenario, seed).context("build the network")?;
    // First, because a switch floods to a machine that listens only what it has not learnt yet.
    let attackers = start_attackers(scenario, &plant, seed)?;
    let mut nodes = Nodes::prepare(scenario, &plant, locum)?;
    let outcome = play(&plant, scenario, &attackers, &mut nodes, tell);
    if let Some(directory) = keep {
        room::keep(plant.files(), directory)?;
    }
    if let Some(stalled) = nodes.stalled() {
        return Ok(Attempt::Void { stalled, logs: room::logs(plant.files()) });
    }
    let outcome = outcome.with_context(|| format!("the logs:\n{}", room::logs(plant.files())))?;
    Ok(Attempt::Whole(Box::new(Outcome { seed, ..outcome })))
}

/// An error that says why the scenario cannot run in this world.
fn require_playable(scenario: &Scenario) -> Result<()> {
    ensure!(
        scenario.worlds.contains(&World::Netns),
        "the scenario runs in the simulator alone: its `worlds` does not list \"netns\""
    );
    for step in scenario.steps.iter().map(|step| step.get_ref()) {
        ensure!(
            step.action != Action::JumpClock,
            "`{step}` needs a clock of the node's own: add `worlds = [\"sim\"]` to the scenario"
        );
    }
    Ok(())
}

fn play(
    plant: &Plant,
    scenario: &Scenario,
    attackers: &BTreeMap<String, Attacker>,
    nodes: &mut Nodes,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Outcome> {
    nodes.settle(scenario).context("the group does not settle")?;
    let clients = start_clients(scenario, plant)?;
    std::thread::sleep(CALM);
    nodes.wait_steady().context("the group does not settle")?;
    let time = Time::starting_now(scenario.duration.0);
    for client in &clients {
        client.end_at(time.end);
    }
    let faults = Stage::new(plant, nodes, attackers, time).play(scenario, tell)?;
    let statuses = nodes.statuses();
    let records: Vec<Record> = clients.into_iter().map(Client::record).collect::<Result<_>>()?;
    gather::outcome(scenario, nodes, statuses, records, faults, time)
}

/// Starts every hostile machine; they hear, and keep still.
fn start_attackers(
    scenario: &Scenario,
    plant: &Plant,
    seed: u64,
) -> Result<BTreeMap<String, Attacker>> {
    let names = scenario.hostiles.iter().map(|hostile| hostile.get_ref().name.clone());
    let start = |(number, name): (u8, String)| {
        let attacker = Attacker::start(plant.machine(&name)?, scenario, number, seed)?;
        Ok((name, attacker))
    };
    (1..).zip(names).map(start).collect()
}

/// Starts every program of every client, and waits until each was answered once.
fn start_clients(scenario: &Scenario, plant: &Plant) -> Result<Vec<Client>> {
    let mut clients = Vec::new();
    for client in scenario.clients.iter().map(|client| client.get_ref()) {
        for program in &client.programs {
            clients.push(Client::start(plant.machine(&client.name)?, &client.name, program)?);
        }
    }
    for client in &clients {
        client.wait_for_answer()?;
    }
    Ok(clients)
}

/// The time of a run on the wall clock, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Time {
    zero: u64,
    end: u64,
}

impl Time {
    fn starting_now(duration: Duration) -> Time {
        let zero = capture::now();
        Time { zero, end: zero.saturating_add(nanoseconds(duration)) }
    }

    /// The scenario's time of a moment; `None` before zero.
    fn of(&self, at: u64) -> Option<Duration> {
        at.checked_sub(self.zero).map(Duration::from_nanos)
    }

    /// The same; `None` after the end, too.
    fn within(&self, at: u64) -> Option<Duration> {
        self.of(at).filter(|_| at < self.end)
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
