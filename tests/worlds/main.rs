//! Every scenario that is for both worlds, played in both: each must be as the file expects, and the two
//! must tell the same story.
//!
//! In the simulator it is virtual time; in network namespaces real `locum` processes on real TAPs (see
//! `locum_scenario::netns`). On a machine that cannot do this the trials are *ignored*; with
//! `LOCUM_REQUIRE_NETNS=1` they fail and say what is missing. `LOCUM_LAB_KEEP=DIR` keeps the logs and
//! captures of failed trials.

// The suite waits for real programs in real time.
#![allow(clippy::disallowed_methods)]

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use locum_scenario::agreement::disagreements;
use locum_scenario::judge::judge;
use locum_scenario::model::{Scenario, World};
use locum_scenario::netns::{self, Entered, Missing};
use locum_scenario::outcome::{Outcome, Verdict};
use locum_scenario::sim_world;

/// Turns a machine that cannot run the suite from a reason to ignore it into a failure.
const REQUIRE: &str = "LOCUM_REQUIRE_NETNS";

/// Names a directory that gets the files of failed trials.
const KEEP: &str = "LOCUM_LAB_KEEP";

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/scenarios");

const SEED: u64 = 1;

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    if args.list {
        return libtest_mimic::run(&args, trials(None)).exit_code();
    }
    // One after the other: nodes and clients keep both cores busy already, and outages are timed.
    args.test_threads = args.test_threads.or(Some(1));
    match netns::enter() {
        Entered::Inside => libtest_mimic::run(&args, trials(None)).exit_code(),
        Entered::Finished(code) => code,
        Entered::Unable(missing) => {
            let _ = writeln!(std::io::stderr(), "worlds: {missing}");
            libtest_mimic::run(&args, trials(Some(&missing))).exit_code()
        }
    }
}

/// Every scenario as a trial: able to run, or ignored, or failing because it had to be able to.
fn trials(missing: Option<&Missing>) -> Vec<Trial> {
    let required = env::var_os(REQUIRE).is_some_and(|value| value != "0");
    let lacks = missing.map(Missing::to_string);
    files()
        .into_iter()
        .map(|file| {
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let lacks = lacks.clone();
            let ignored = lacks.is_some() && !required;
            Trial::test(name.clone(), move || match lacks {
                Some(lacks) => Err(Failed::from(lacks)),
                None => play(&file, &name).map_err(Failed::from),
            })
            .with_ignored_flag(ignored)
        })
        .collect()
}

/// The scenarios that are for both worlds, by name.
fn files() -> Vec<PathBuf> {
    let directory = fs::read_dir(SCENARIOS).expect("tests/scenarios is there");
    let mut files: Vec<PathBuf> = directory
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| is_for_both(file))
        .collect();
    files.sort();
    files
}

/// A file that cannot be read is: its trial will say why.
fn is_for_both(file: &Path) -> bool {
    let both = |scenario: Scenario| {
        [World::Sim, World::Netns].iter().all(|world| scenario.worlds.contains(world))
    };
    file.extension().is_some_and(|extension| extension == "toml")
        && Scenario::read(file).map_or(true, both)
}

/// Plays a scenario in both worlds. The error of a failure has everything one needs to understand it.
fn play(file: &Path, name: &str) -> Result<(), String> {
    let scenario = Scenario::read(file).map_err(|report| report.to_string())?;
    let simulated = sim_world::run(&scenario, SEED, None, &mut |_| {});
    let simulated = simulated.map_err(|error| format!("in the simulator: {error}"))?;
    let locum = Path::new(env!("CARGO_BIN_EXE_locum"));
    let keep = env::var_os(KEEP).map(|directory| Path::new(&directory).join(name));
    let real = netns::run(&scenario, SEED, locum, keep.as_deref(), &mut |_| {});
    let real = real.map_err(|error| format!("in network namespaces: {error:#}"))?;
    let mut wrong = broken(&scenario, &simulated);
    wrong.extend(broken(&scenario, &real));
    let differences = disagreements(&simulated, &real, scenario.tolerance.0);
    wrong.extend(
        differences.into_iter().map(|difference| format!("the worlds differ: {difference}")),
    );
    if wrong.is_empty() {
        if let Some(directory) = keep {
            // What went well is of no interest.
            let _ = fs::remove_dir_all(directory);
        }
        return Ok(());
    }
    Err(format!("{}\n({KEEP}=DIR keeps the logs and captures)", wrong.join("\n")))
}

/// The expectations that did not hold.
fn broken(scenario: &Scenario, outcome: &Outcome) -> Vec<String> {
    let verdicts = judge(scenario, outcome).into_iter().filter(|verdict| !verdict.held);
    let world = outcome.world;
    verdicts
        .map(|Verdict { expected, seen, .. }| format!("{world}: expected {expected}, saw {seen}"))
        .collect()
}
