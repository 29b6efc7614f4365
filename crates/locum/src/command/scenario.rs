//! `locum scenario`: run scenarios, list them, check them.

mod show;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use locum_diagnosis::Report;
use locum_scenario::judge::judge;
use locum_scenario::model::{Scenario, World};
use locum_scenario::netns::{self, Entered};
use locum_scenario::outcome::{News, Outcome, Verdict};
use locum_scenario::{report, sim_world};
use serde_json::json;

use crate::cli::{self, Command, RunScenarios, ScenarioWorld};
use crate::exit::Exit;
use crate::output;

/// A run in network namespaces happens inside private ones: starts this program again in there, and
/// returns its exit code. `None` if there is nothing to start: go on here.
pub(super) fn go_inside(command: &Command) -> Option<ExitCode> {
    let Command::Scenario(cli::Scenario::Run(run)) = command else { return None };
    // What is wrong with a file is said outside, and once.
    if run.world != ScenarioWorld::Netns
        || run.files.iter().any(|file| Scenario::read(file).is_err())
    {
        return None;
    }
    match netns::enter() {
        Entered::Inside => None,
        Entered::Finished(code) => Some(code),
        Entered::Unable(missing) => {
            output::complain(format!("locum: {missing}"));
            Some(Exit::Denied.into())
        }
    }
}

pub(super) fn scenario(what: cli::Scenario) -> anyhow::Result<Exit> {
    match what {
        cli::Scenario::Run(how) => run(&how),
        cli::Scenario::List { directory } => list(&directory),
        cli::Scenario::Check { files } => check(&files),
    }
}

/// Reads all files, and complains about every one that is wrong.
fn read_all(files: &[PathBuf]) -> Result<Vec<Scenario>, Exit> {
    let (right, wrong): (Vec<_>, Vec<_>) =
        files.iter().map(|file| Scenario::read(file)).partition(Result::is_ok);
    let reports: Vec<Report> = wrong.into_iter().filter_map(Result::err).collect();
    reports.iter().for_each(|report| output::complain(report.to_string()));
    if reports.is_empty() { Ok(right.into_iter().flatten().collect()) } else { Err(Exit::Config) }
}

fn check(files: &[PathBuf]) -> anyhow::Result<Exit> {
    let scenarios = match read_all(files) {
        Ok(scenarios) => scenarios,
        Err(exit) => return Ok(exit),
    };
    for scenario in scenarios {
        output::write(format!("{}: nothing is wrong with it\n", scenario.source.name))?;
    }
    Ok(Exit::Ok)
}

fn list(directory: &Path) -> anyhow::Result<Exit> {
    let entries = fs::read_dir(directory)
        .with_context(|| format!("cannot list the scenarios in {}", directory.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.context("cannot list the scenarios")?.path();
        files.extend(file.extension().is_some_and(|end| end == "toml").then_some(file));
    }
    files.sort();
    match read_all(&files) {
        Ok(scenarios) => {
            output::write(show::list(&scenarios, output::wants_colour()))?;
            Ok(Exit::Ok)
        }
        Err(exit) => Ok(exit),
    }
}

fn run(how: &RunScenarios) -> anyhow::Result<Exit> {
    let scenarios = match read_all(&how.files) {
        Ok(scenarios) => scenarios,
        Err(exit) => return Ok(exit),
    };
    let world = match how.world {
        ScenarioWorld::Sim => World::Sim,
        ScenarioWorld::Netns => World::Netns,
    };
    let (mut ran, mut failed) = (0, Vec::new());
    for scenario in &scenarios {
        let name = &scenario.source.name;
        if !scenario.worlds.contains(&world) {
            output::write(format!("{name}: left out, it is not for {world}\n"))?;
            continue;
        }
        let directory = how.report.as_ref().map(|directory| match scenarios.len() {
            1 => directory.clone(),
            _ => directory.join(name),
        });
        ran += 1;
        if !run_one(scenario, world, how.seed, directory.as_deref())? {
            failed.push(name.as_str());
        }
    }
    anyhow::ensure!(ran > 0, "none of these scenarios is for {world}: choose the other world");
    if scenarios.len() > 1 {
        output::write(show::summary(ran, &failed))?;
    }
    Ok(if failed.is_empty() { Exit::Ok } else { Exit::Failure })
}

/// Runs one scenario and shows it; whether everything held.
fn run_one(
    scenario: &Scenario,
    world: World,
    seed: u64,
    directory: Option<&Path>,
) -> anyhow::Result<bool> {
    let colour = output::wants_colour();
    let name = &scenario.source.name;
    output::write(show::title(scenario, world, seed, colour))?;
    // The first line that cannot be written ends the story, not the run.
    let mut told = Ok(());
    let mut tell = |news: News<'_>| {
        if told.is_ok() {
            told = output::write(show::news(news, colour));
        }
    };
    let outcome = match world {
        World::Sim => sim_world::run(scenario, seed, directory, &mut tell)
            .with_context(|| format!("{name} cannot be run"))?,
        World::Netns => {
            let locum = std::env::current_exe().context("cannot find this program's file")?;
            netns::run(scenario, seed, &locum, directory, &mut tell)
                .with_context(|| format!("{name} cannot be run"))?
        }
    };
    told?;
    let verdicts = judge(scenario, &outcome);
    if let Some(directory) = directory {
        keep(directory, scenario, &outcome, &verdicts)
            .with_context(|| format!("cannot write the report into {}", directory.display()))?;
    }
    output::write(show::end(&outcome, &verdicts, colour))?;
    Ok(verdicts.iter().all(|verdict| verdict.held))
}

/// Writes the outcome, for machines and for people. Captures are there already.
fn keep(
    directory: &Path,
    scenario: &Scenario,
    outcome: &Outcome,
    verdicts: &[Verdict],
) -> anyhow::Result<()> {
    fs::create_dir_all(directory)?;
    let document = json!({
        "schema": "locum.scenario.v1",
        "about": scenario.about,
        "outcome": outcome,
        "verdicts": verdicts,
    });
    fs::write(directory.join("outcome.json"), serde_json::to_vec_pretty(&document)?)?;
    fs::write(directory.join("report.html"), report::html(scenario, outcome, verdicts))?;
    Ok(())
}
