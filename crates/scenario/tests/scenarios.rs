//! Every scenario of tests/scenarios in the simulator, each as a test of its own name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use locum_scenario::judge::judge;
use locum_scenario::model::{Scenario, Step, World};
use locum_scenario::outcome::{Outcome, Verdict};
use locum_scenario::sim_world;

const SEED: u64 = 1;
/// Whatever is left to chance, the expectations must hold.
const OTHER_SEEDS: std::ops::Range<u64> = 2..5;
/// What issue and documentation promise.
const SCENARIOS_MIN: usize = 24;

fn main() -> ExitCode {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let entries = fs::read_dir(directory).expect("the scenarios are part of the repository");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "toml"));
    files.sort();
    let count = files.len();
    let mut trials: Vec<Trial> = files.into_iter().map(trial).collect();
    trials.push(Trial::test("there_are_enough_scenarios", move || {
        if count >= SCENARIOS_MIN { Ok(()) } else { Err(format!("only {count}").into()) }
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(file: PathBuf) -> Trial {
    let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    Trial::test(name.unwrap_or_default(), move || {
        let scenario = Scenario::read(&file)?;
        if !scenario.worlds.contains(&World::Sim) {
            return Ok(());
        }
        holds(&scenario)?;
        can_fail(&scenario)
    })
}

/// What is expected holds with any seed, and the same seed gives the same outcome.
fn holds(scenario: &Scenario) -> Result<(), Failed> {
    let outcome = run(scenario, SEED)?;
    if outcome != run(scenario, SEED)? {
        return Err("two runs with one seed differ".into());
    }
    for seed in [SEED].into_iter().chain(OTHER_SEEDS) {
        let verdicts = judge(scenario, &run(scenario, seed)?);
        let broken: Vec<&Verdict> = verdicts.iter().filter(|verdict| !verdict.held).collect();
        if !broken.is_empty() {
            return Err(format!("seed {seed}: {broken:#?}").into());
        }
    }
    Ok(())
}

/// Expectations that hold whatever happens prove nothing: they must break when every node dies half-way,
/// and, unless nothing is to come of the steps, when nothing is done at all.
fn can_fail(scenario: &Scenario) -> Result<(), Failed> {
    let mut massacre = scenario.clone();
    for node in &scenario.nodes {
        let (id, at) = (node.get_ref().id, scenario.duration.0 / 2);
        let step = format!("at = \"{}us\"\ndo = \"kill\"\nnode = {id}", at.as_micros());
        let step: Step = toml::from_str(&step)?;
        massacre.steps.push(toml::Spanned::new(0..0, step));
    }
    if all_held(&massacre)? {
        return Err("it holds although every node dies half-way".into());
    }
    let mut idle = scenario.clone();
    idle.steps.clear();
    if all_held(&idle)? && !expects_no_takeover(scenario) {
        return Err("it holds although nothing is done".into());
    }
    Ok(())
}

fn expects_no_takeover(scenario: &Scenario) -> bool {
    let all = scenario.expectations.iter().map(|expectation| expectation.get_ref());
    let whole = all.filter(|it| (it.from.unwrap_or_default().0, it.to) == (Duration::ZERO, None));
    whole.into_iter().any(|it| it.takeovers_max == Some(0))
}

fn all_held(scenario: &Scenario) -> Result<bool, Failed> {
    let outcome = run(scenario, SEED)?;
    Ok(judge(scenario, &outcome).iter().all(|verdict| verdict.held))
}

fn run(scenario: &Scenario, seed: u64) -> Result<Outcome, Failed> {
    Ok(sim_world::run(scenario, seed, None, &mut |_| {})?)
}
