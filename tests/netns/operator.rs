//! What an operator does: hand over, and get a configuration wrong.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use locum_lab::echo::EchoClient;
use locum_lab::locum::{Config, Group, config_file};
use locum_lab::{Lab, SERVICE_V4, Topology, wait};
use rustix::process::Signal;

use crate::trial::Case;

const PATIENCE: Duration = Duration::from_secs(5);

/// The exit code that the manual names.
const CONFIGURATION_IS_WRONG: i32 = 3;

pub(crate) fn cases() -> Vec<Case> {
    let two = Topology::default();
    vec![
        Case::group("handover_moves_the_service_without_a_lost_request", two, handover),
        Case::group("handover_there_and_back", two, there_and_back),
        Case::group("sighup_takes_what_can_change_live_and_names_the_rest", two, reload),
        Case::lab("a_bad_configuration_is_refused_with_its_key", two, bad_configuration),
    ]
}

fn handover(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    let target = SocketAddr::from((SERVICE_V4, 7));
    let client = EchoClient::start(lab.client(1).namespace(), target, Duration::from_millis(1))?;
    client.wait_for_answers(100, PATIENCE)?;
    let asked = Instant::now();
    group.handover(active)?;
    group.wait_for(&[(active, "waiting"), (3 - active, "active")])?;
    client.wait_for_answers(100, PATIENCE)?;
    let lost = client.stop()?.lost_since(asked);
    ensure!(lost == 0, "{lost} requests lost");
    group.require_cause(3 - active, &format!("resigned(node {active}, handover)"))
}

fn there_and_back(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let first = group.wait_steady()?;
    let target = SERVICE_V4.to_string();
    for active in [first, 3 - first, first, 3 - first] {
        group.handover(active)?;
        group.wait_for(&[(active, "waiting"), (3 - active, "active")])?;
        lab.client(1).run("ping", &["-c", "1", "-W", "1", &target])?.success()?;
    }
    Ok(())
}

/// First a file that is wrong, which changes nothing, then one that is right but for a key that cannot
/// change live. The node goes on in its mode, and its peer hears of the new priority.
fn reload(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    let waiting = 3 - active;
    let file = config_file(lab, waiting);
    let text = fs::read_to_string(&file)?;
    let line = text.lines().find(|line| line.starts_with("priority")).context("a priority")?;
    let changed = text.replace(line, "priority = 77").replace("group]\nid = 7", "group]\nid = 8");
    for (text, says) in [
        (format!("nonsense\n{text}"), "the configuration was not changed"),
        (changed, "changed: [node.priority]"),
    ] {
        fs::write(&file, text)?;
        let process = group.process(waiting)?;
        process.signal(Signal::HUP)?;
        process.wait_for_text(says, PATIENCE)?;
    }
    let words = group.process(waiting)?.stderr();
    ensure!(words.contains("`group.id` changes at the next start"), "{words}");
    wait::until("the peer to hear the new priority", PATIENCE, || {
        let status = group.status(active).map_err(|error| format!("{error:#}"))?;
        let priority = &status["peers"][0]["priority"];
        if priority == 77 { Ok(()) } else { Err(format!("it hears {priority}")) }
    })?;
    group.wait_for(&[(active, "active"), (waiting, "waiting")])
}

fn bad_configuration(lab: &Lab) -> Result<()> {
    let binary = Path::new(env!("CARGO_BIN_EXE_locum"));
    let slow = (Duration::from_millis(10), Duration::from_millis(15));
    let config = Config { heartbeat: Some(slow), ..Config::default() };
    let group = Group::prepare(lab, binary, &config)?;
    drop(group);
    refused(lab, binary, "dead_after")?;
    let good = Config::default().file(lab, 1).text();
    fs::write(config_file(lab, 1), good.replace("priority = ", "priorty = "))?;
    refused(lab, binary, "priorty")
}

/// `run` ends at once, and both it and `check` name the file and the key.
fn refused(lab: &Lab, binary: &Path, key: &str) -> Result<()> {
    let config = config_file(lab, 1).to_string_lossy().into_owned();
    for (number, command) in ["check", "run"].iter().enumerate() {
        let name = format!("{command}-{key}-{number}");
        let process = lab.node(1).spawn(&name, binary, &[command, "-c", &config])?;
        let output = process.output(PATIENCE)?;
        let code = output.status.code();
        ensure!(code == Some(CONFIGURATION_IS_WRONG), "locum {command} ended with {code:?}");
        let words = output.stderr;
        ensure!(words.contains(key) && words.contains("node1.toml"), "locum {command}: {words}");
    }
    Ok(())
}
