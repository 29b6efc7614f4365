//! The binary as its users meet it: exit codes, files, pipes, and a node on the other end of a
//! socket.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use locum::control::{ControlHandle, ControlServer, Reply, Request};
use locum::exit::Exit;
use locum::status::NodeStatus;
use locum_types::Protection;
use tempfile::TempDir;

fn locum(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_locum"));
    command.args(args).env_remove("RUST_LOG").env_remove("NO_COLOR");
    command
}

fn run(args: &[&str]) -> Output {
    locum(args).output().expect("the binary is built")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn exit(exit: Exit) -> Option<i32> {
    Some(exit.code().into())
}

#[test]
fn a_key_is_made_for_its_owner_alone_and_never_twice() {
    let directory = tempfile::tempdir().unwrap();
    let [one, two] = ["one.key", "two.key"].map(|name| directory.path().join(name));
    for path in [&one, &two] {
        let output = run(&["keygen", path.to_str().unwrap()]);
        assert_eq!(code(&output), exit(Exit::Ok), "{}", stderr(&output));
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o600);
        locum_wire::Key::from_hex(&fs::read_to_string(path).unwrap()).unwrap();
    }
    let first = fs::read_to_string(&one).unwrap();
    assert_ne!(first, fs::read_to_string(&two).unwrap());
    let output = run(&["keygen", one.to_str().unwrap()]);
    assert_eq!(code(&output), exit(Exit::Failure));
    assert!(stderr(&output).contains("one.key exists"), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(&one).unwrap(), first);
}

#[test]
fn a_configuration_of_a_new_key_is_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("group.key");
    run(&["keygen", key.to_str().unwrap()]);
    let config = directory.path().join("node1.toml");
    let text = include_str!("config/good-minimal.toml");
    fs::write(&config, text).unwrap();
    let output = run(&["check", "--config", config.to_str().unwrap()]);
    assert_eq!(code(&output), exit(Exit::Ok), "{}", stderr(&output));
    assert!(!stdout(&output).contains(fs::read_to_string(key).unwrap().lines().last().unwrap()));
}

#[test]
fn run_refuses_a_bad_configuration_as_check_does() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("node1.toml"), "[group]\nid = 0\n").unwrap();
    let [check, run] = ["check", "run"].map(|command| {
        locum(&[command, "-c", "node1.toml"]).current_dir(&directory).output().unwrap()
    });
    assert_eq!(code(&check), exit(Exit::Config));
    assert_eq!(code(&run), exit(Exit::Config));
    assert!(stderr(&run).contains("error: group.id: must be 1 to 65535"), "{}", stderr(&run));
    assert_eq!(stderr(&check), stderr(&run));
}

#[test]
fn a_wrong_command_line_is_told_apart_from_asking_for_help() {
    for wrong in
        [&["take-over"][..], &[], &["run"], &["handover", "--to", "0"], &["demo", "--speed", "0"]]
    {
        let output = run(wrong);
        assert_eq!(code(&output), exit(Exit::Usage), "{wrong:?}");
        assert!(stdout(&output).is_empty() && !stderr(&output).is_empty(), "{wrong:?}");
    }
    for right in [&["--help"][..], &["--version"], &["status", "--help"]] {
        let output = run(right);
        assert_eq!(code(&output), exit(Exit::Ok), "{right:?}");
        assert!(stderr(&output).is_empty() && stdout(&output).contains("locum"), "{right:?}");
    }
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell]);
        assert_eq!(code(&output), exit(Exit::Ok));
        let script = stdout(&output);
        for command in [
            "run",
            "check",
            "keygen",
            "demo",
            "scenario",
            "status",
            "handover",
            "completions",
            "man",
        ] {
            assert!(script.contains(command), "{shell} does not know {command}");
        }
    }
}

#[test]
fn the_manual_has_every_command_option_and_exit_code() {
    let output = run(&["man"]);
    let page = stdout(&output);
    assert!(page.contains(".TH locum 8"), "{page}");
    for part in [
        ".SS locum run",
        ".SS locum check",
        ".SS locum keygen",
        ".SS locum demo",
        ".SS locum scenario run",
        ".SS locum scenario list",
        ".SS locum scenario check",
        ".SS locum status",
        ".SS locum handover",
        ".SS locum completions",
        ".SS locum man",
        "\\-\\-watch",
        "\\-\\-speed",
        "\\-\\-to",
        ".SH ENVIRONMENT",
        ".SH SIGNALS",
    ] {
        assert!(page.contains(part), "{part} is not in the manual");
    }
    for exit in Exit::ALL {
        let entry = format!("\\fB{}\\fR\n{}", exit.code(), exit.meaning().replace('`', ""));
        assert!(page.contains(&entry), "{entry} is not in the manual");
    }
}

#[test]
fn the_operating_page_lists_the_exit_codes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/OPERATING.md")).unwrap();
    for exit in Exit::ALL {
        let row = format!("| {} | {} |", exit.code(), exit.meaning());
        assert!(page.contains(&row), "{row} is not in docs/OPERATING.md");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = locum(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Closed before anything is read: the script is longer than a pipe takes, or finds it closed.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), exit(Exit::Ok));
    assert_eq!(stderr(&output), "");
}

/// A node that is only its control socket.
struct Node {
    _directory: TempDir,
    socket: String,
    handle: Option<ControlHandle>,
}

impl Node {
    fn start() -> Node {
        Node::saying(sample())
    }

    fn saying(status: NodeStatus) -> Node {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node2.sock");
        let mut uptime_ms = 0;
        let handle = ControlServer::bind(&path).unwrap().serve(move |request| match request {
            Request::Status => {
                uptime_ms += 1;
                Reply::Status(Box::new(NodeStatus { uptime_ms, ..status.clone() }))
            }
            Request::Handover { to: Some(9) } => Reply::Refused("node 9 is not alive".into()),
            Request::Handover { .. } => Reply::Done("handing over".into()),
        });
        let socket = path.to_str().unwrap().to_owned();
        Node { _directory: directory, socket, handle: Some(handle.unwrap()) }
    }
}

fn sample() -> NodeStatus {
    serde_json::from_str(include_str!("../src/status/sample.json")).unwrap()
}

#[test]
fn status_is_words_for_people_and_one_line_for_machines() {
    let node = Node::start();
    let output = run(&["status", "-s", &node.socket]);
    assert_eq!(code(&output), exit(Exit::Ok), "{}", stderr(&output));
    let words = stdout(&output);
    assert!(words.starts_with("node2 has been ACTIVE for 1m 15s"), "{words}");
    assert!(!words.contains('\x1b'), "no colours in a pipe: {words}");
    let output = run(&["status", "--json", "--socket", &node.socket]);
    let lines = stdout(&output);
    assert_eq!(lines.lines().count(), 1);
    let status: NodeStatus = serde_json::from_str(&lines).unwrap();
    assert_eq!(NodeStatus { uptime_ms: sample().uptime_ms, ..status }, sample());
}

/// A node whose group would survive the death of the active one.
fn sound() -> NodeStatus {
    let mut status = sample();
    status.links.retain(|link| link.up);
    status.peers.iter_mut().for_each(|peer| peer.hears_us = Some(true));
    status
}

fn check(status: NodeStatus) -> (Option<i32>, String) {
    let node = Node::saying(status);
    let output = run(&["status", "--check", "-s", &node.socket]);
    assert_eq!(stderr(&output), "");
    (code(&output), stdout(&output))
}

#[test]
fn a_check_is_silent_if_the_death_of_the_active_node_would_not_be_noticed() {
    assert_eq!(check(sound()), (exit(Exit::Ok), String::new()));
}

#[test]
fn a_check_fails_and_says_why_if_connections_would_be_lost() {
    let at_risk = |spoil: &dyn Fn(&mut NodeStatus)| {
        let mut status = sound();
        spoil(&mut status);
        let (code, words) = check(status);
        assert_eq!(code, exit(Exit::AtRisk), "{words}");
        words
    };
    let unprotected = at_risk(&|status| {
        status.replication.as_mut().unwrap().protection = Protection::Unprotected;
    });
    assert_eq!(unprotected, "connections would be lost: this node is unprotected\n");
    let off = at_risk(&|status| status.replication = None);
    assert_eq!(off, "connections would be lost: replication is off\n");
    let left_out = at_risk(&|status| status.services[0].replicated = false);
    let words = "connections to echo on port 7 would be lost: it is not replicated\n";
    assert_eq!(left_out, words);
    let several = at_risk(&|status| {
        status.peers.clear();
        status.replication = None;
    });
    assert_eq!(several, format!("no other node is waiting: nobody would take over\n{off}"));
}

#[test]
fn a_check_fails_if_nobody_answers() {
    let output = run(&["status", "--check", "-s", "/nowhere/node1.sock"]);
    assert_eq!(code(&output), exit(Exit::Unreachable));
}

#[test]
fn metrics_are_printed_once_and_with_nothing_else() {
    let node = Node::start();
    let output = run(&["status", "--metrics", "-s", &node.socket]);
    assert_eq!(code(&output), exit(Exit::Ok), "{}", stderr(&output));
    let page = stdout(&output);
    assert!(page.starts_with("# HELP locum_info "), "{page}");
    assert!(page.contains("\nlocum_mode{mode=\"active\"} 1\n"), "{page}");
    for other in ["--json", "--watch", "--check"] {
        let output = run(&["status", "--metrics", other]);
        assert_eq!(code(&output), exit(Exit::Usage), "{other}");
    }
}

#[test]
fn watching_goes_on_until_the_node_goes_away() {
    let mut node = Node::start();
    let mut child = locum(&["status", "--json", "--watch", "-s", &node.socket])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut uptime = || {
        let line = lines.next().unwrap().unwrap();
        serde_json::from_str::<NodeStatus>(&line).unwrap().uptime_ms
    };
    let (first, second) = (uptime(), uptime());
    assert!(second > first, "{first} {second}");
    node.handle = None;
    let mut words = String::new();
    child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
    assert_eq!(child.wait().unwrap().code(), exit(Exit::Unreachable));
    assert!(words.contains("node2.sock"), "{words}");
}

#[test]
fn a_handover_says_what_happens_or_why_not() {
    let node = Node::start();
    let output = run(&["handover", "-s", &node.socket]);
    assert_eq!((code(&output), stdout(&output).as_str()), (exit(Exit::Ok), "handing over\n"));
    let output = run(&["handover", "--to", "9", "-s", &node.socket]);
    assert_eq!(code(&output), exit(Exit::Refused));
    assert_eq!(stderr(&output), "locum: node 9 is not alive\n");
}

#[test]
fn nobody_behind_the_socket_has_a_code_of_its_own() {
    let output = run(&["status", "-s", "/nowhere/node1.sock"]);
    assert_eq!(code(&output), exit(Exit::Unreachable));
    let words = stderr(&output);
    assert!(words.contains("/nowhere/node1.sock") && words.contains("is it running"), "{words}");
}

fn scenario_file(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    root.join(name).to_string_lossy().into_owned()
}

#[test]
fn a_scenario_is_told_judged_and_reported() {
    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("report");
    let file = scenario_file("hand-over.toml");
    let output = run(&["scenario", "run", &file, "--report", report.to_str().unwrap()]);
    assert_eq!(code(&output), exit(Exit::Ok), "{}", stderr(&output));
    let text = stdout(&output);
    for part in [
        "hand-over node 1 to node 2",
        "node 2: waiting → active, resigned(node 1, handover), term 2",
        "only node 2 is active from 230ms to 600ms",
        "connections lost",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let outcome = fs::read_to_string(report.join("outcome.json")).unwrap();
    let outcome: serde_json::Value = serde_json::from_str(&outcome).unwrap();
    assert_eq!(outcome["schema"], "locum.scenario.v1");
    assert_eq!(outcome["outcome"]["scenario"], "hand-over");
    assert!(fs::read_to_string(report.join("report.html")).unwrap().contains("<svg"));
    assert!(report.join("node1.pcap").exists());
}

#[test]
fn an_expectation_that_does_not_hold_has_its_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("hopeful.toml");
    let text = fs::read_to_string(scenario_file("kill.toml")).unwrap();
    fs::write(&file, text.replace("outage_max = \"45ms\"", "outage_max = \"16ms\"")).unwrap();
    let output = run(&["scenario", "run", file.to_str().unwrap(), &scenario_file("ipv6.toml")]);
    assert_eq!(code(&output), exit(Exit::Failure));
    let text = stdout(&output);
    assert!(text.contains("  NO "), "{text}");
    assert!(text.ends_with("2 scenarios, 1 failed: hopeful\n"), "{text}");
}

#[test]
fn a_wrong_scenario_is_refused_whatever_it_was_for() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("wrong.toml");
    fs::write(&file, "about = \"too little\"\n").unwrap();
    let file = file.to_str().unwrap();
    for command in ["run", "check"] {
        let output = run(&["scenario", command, file, &scenario_file("kill.toml")]);
        assert_eq!(code(&output), exit(Exit::Config), "{command}");
        assert!(stderr(&output).contains("error: duration: is missing"), "{}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
    let output = run(&["scenario", "check", &scenario_file("kill.toml")]);
    assert_eq!(code(&output), exit(Exit::Ok));
    assert_eq!(stdout(&output), "kill: nothing is wrong with it\n");
}

#[test]
fn scenarios_are_listed_with_what_they_are_about() {
    let output = run(&["scenario", "list", &scenario_file("")]);
    assert_eq!(code(&output), exit(Exit::Ok), "{}", stderr(&output));
    let text = stdout(&output);
    let line = text.lines().find(|line| line.trim_start().starts_with("clock-jump "));
    let line = line.expect("clock-jump is listed");
    assert!(line.contains(" sim ") && line.contains(" 3s "), "{line}");
    assert!(line.ends_with("two seconds further at once."), "{line}");
    assert!(text.lines().count() >= 24);
    let output = run(&["scenario", "list", "/nowhere"]);
    assert_eq!(code(&output), exit(Exit::Failure));
}
