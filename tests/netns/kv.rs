//! Clients of Redis, through takeovers: no error, no second connection, and everything they were told holds.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use locum_lab::locum::Group;
use locum_lab::process::Process;
use locum_lab::{Lab, SERVICE_V4, Topology, enter};
use rustix::process::Signal;

use crate::trial::Case;

const PATIENCE: Duration = Duration::from_secs(20);

/// The second is Debian's own, which has the module `redis` where a newer python beside it has not.
const PYTHONS: [&str; 2] = ["python3", "/usr/bin/python3"];
const SCRIPT: &str = include_str!("kv_client.py");

pub(crate) fn cases() -> Vec<Case> {
    let two = Topology::default();
    vec![
        Case::group("redis_py_does_not_notice_sigkill", two, py_sigkill).needs_what(no_redis_py),
        Case::group("redis_py_does_not_notice_a_hand_over", two, py_hand_over)
            .needs_what(no_redis_py),
        Case::group("redis_py_does_not_notice_a_zombie", two, py_zombie).needs_what(no_redis_py),
        Case::group("redis_py_does_not_notice_a_cut_cable", two, py_cut)
            .needs_what(no_redis_py)
            .divided(),
        Case::group("redis_benchmark_does_not_notice_two_takeovers", two, benchmark)
            .needs_what(no_redis_tools)
            .unwatched(),
        Case::group("redis_cli_does_not_notice_sigkill", two, cli).needs_what(no_redis_tools),
    ]
}

/// A python that has the module.
fn python() -> Option<&'static str> {
    PYTHONS.into_iter().find(|python| {
        let probe = Command::new(python).args(["-c", "import redis"]).output();
        probe.is_ok_and(|output| output.status.success())
    })
}

fn no_redis_py() -> Option<String> {
    let lacks = || "no python module `redis`: apt-get install python3-redis".to_owned();
    python().is_none().then(lacks)
}

fn no_redis_tools() -> Option<String> {
    let lacks = || "no `redis-benchmark`, `redis-cli`: apt-get install redis-tools".to_owned();
    let tools = ["redis-benchmark", "redis-cli"];
    tools.iter().any(|tool| enter::find_tool(tool).is_none()).then(lacks)
}

/// The python client, at work.
struct Client<'lab> {
    lab: &'lab Lab,
    process: Process,
}

impl<'lab> Client<'lab> {
    fn start(lab: &'lab Lab) -> Result<Client<'lab>> {
        let script = lab.files().join("kv_client.py");
        fs::write(&script, SCRIPT)?;
        let python = python().context("no python")?;
        let (script, stop) = (script.to_string_lossy(), Self::stop_file(lab));
        let words = [python, &*script, &SERVICE_V4.to_string(), &*stop.to_string_lossy()];
        let process = lab.client(1).spawn("env", &words)?;
        let mut client = Client { lab, process };
        client.work(20).context("before the fault")?;
        Ok(client)
    }

    fn stop_file(lab: &Lab) -> std::path::PathBuf {
        lab.files().join("stop")
    }

    /// Waits until it has done so many more rounds.
    fn work(&mut self, rounds: usize) -> Result<()> {
        let done = self.process.stdout().matches("round ").count();
        self.process.wait_for_text(&format!("round {}\n", done + rounds), PATIENCE)
    }

    /// Requires that it saw nothing.
    fn finish(mut self) -> Result<()> {
        self.work(50).context("after the fault")?;
        fs::write(Self::stop_file(self.lab), "")?;
        let output = self.process.output(PATIENCE)?.success()?;
        ensure!(output.contains("\ndone "), "{output}");
        Ok(())
    }
}

fn py_sigkill(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let mut client = Client::start(lab)?;
    for _ in 0..2 {
        group.wait_protected()?;
        let active = group.wait_steady()?;
        group.process(active)?.kill_worker()?;
        client.work(20)?;
        group.wait_for_end(active)?;
        group.start_node(active)?;
    }
    client.finish()
}

fn py_hand_over(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let mut client = Client::start(lab)?;
    for _ in 0..3 {
        group.wait_protected()?;
        let active = group.wait_steady()?;
        group.handover(active)?;
        group.wait_for(&[(active, "waiting"), (3 - active, "active")])?;
        client.work(10)?;
    }
    client.finish()
}

fn py_zombie(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let mut client = Client::start(lab)?;
    group.wait_protected()?;
    let active = group.wait_steady()?;
    group.process(active)?.signal_worker(Signal::STOP)?;
    group.wait_for(&[(3 - active, "active")])?;
    client.work(20)?;
    group.process(active)?.signal_worker(Signal::CONT)?;
    group.wait_for(&[(active, "waiting"), (3 - active, "active")])?;
    client.finish()?;
    group.wait_protected()
}

fn py_cut(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let mut client = Client::start(lab)?;
    group.wait_protected()?;
    let active = group.wait_steady()?;
    lab.cut(active)?;
    client.work(20)?;
    lab.heal(active)?;
    group.wait_for(&[(active, "waiting"), (3 - active, "active")])?;
    client.finish()?;
    group.wait_protected()
}

/// Fifty connections, one request and sixteen at a time: every increment counts exactly once.
fn benchmark(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    const REQUESTS: usize = 150_000;
    let mut total = 0;
    for (pipeline, requests) in [("1", REQUESTS), ("16", 4 * REQUESTS)] {
        let target = SERVICE_V4.to_string();
        let count = requests.to_string();
        let words = ["-h", &target, "-c", "50", "-P", pipeline, "-n", &count, "INCR", "counter"];
        let benchmark = lab.client(1).spawn("redis-benchmark", &words)?;
        wait_for_more(lab, total + requests / 10)?;
        group.wait_protected()?;
        let active = group.wait_steady()?;
        group.process(active)?.kill_worker()?;
        group.wait_for_end(active)?;
        group.wait_for(&[(3 - active, "active")])?;
        group.start_node(active)?;
        group.wait_for(&[(active, "waiting"), (3 - active, "active")])?;
        group.wait_protected()?;
        ensure!(counter(lab)? < total + requests, "it was over before the hand-over");
        group.handover(3 - active)?;
        let output = benchmark.output(3 * PATIENCE)?;
        let said = format!("{}{}", output.stdout, output.stderr);
        ensure!(output.status.success() && !said.to_lowercase().contains("error"), "{said}");
        total += requests;
        group.wait_steady()?;
        let held = counter(lab)?;
        ensure!(held == total, "{held} where {total} requests were answered");
    }
    Ok(())
}

/// What redis-cli says to one command.
fn ask(lab: &Lab, words: &[&str]) -> Result<String> {
    let target = SERVICE_V4.to_string();
    let words = [&["-h", &target], words].concat();
    let output = lab.client(1).spawn("redis-cli", &words)?.output(PATIENCE)?;
    Ok(output.success()?.trim().to_owned())
}

fn counter(lab: &Lab) -> Result<usize> {
    let said = ask(lab, &["GET", "counter"])?;
    if said.is_empty() { Ok(0) } else { said.parse().with_context(|| said.clone()) }
}

fn wait_for_more(lab: &Lab, least: usize) -> Result<()> {
    locum_lab::wait::until("requests", PATIENCE, || match counter(lab) {
        Ok(count) if count >= least => Ok(()),
        Ok(count) => Err(format!("{count} of {least}")),
        Err(error) => Err(format!("{error:#}")),
    })
}

/// One connection with commands before and after; another one waits for an element all the time.
fn cli(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let script = format!(
        "(echo SET k before; echo GET k; while [ ! -e {} ]; do sleep 0.05; done; \
         echo GET k; echo APPEND k +after; echo GET k) | redis-cli -3 -h {SERVICE_V4}",
        lab.files().join("struck").display()
    );
    let mut session = lab.client(1).spawn("sh", &["-c", &script])?;
    session.wait_for_text("before\n", PATIENCE)?;
    let target = SERVICE_V4.to_string();
    let waiting = lab.client(1).spawn("redis-cli", &["-h", &target, "BLPOP", "queue", "0"])?;
    locum_lab::wait::until("a client that waits", PATIENCE, || match ask(lab, &["INFO"]) {
        Ok(info) if info.contains("blocked_clients:1") => Ok(()),
        Ok(info) => Err(info),
        Err(error) => Err(format!("{error:#}")),
    })?;
    group.wait_protected()?;
    let active = group.wait_steady()?;
    group.process(active)?.kill_worker()?;
    group.wait_for_end(active)?;
    group.wait_for(&[(3 - active, "active")])?;
    fs::write(lab.files().join("struck"), "")?;
    let said = session.output(PATIENCE)?.success()?;
    ensure!(said == "OK\nbefore\nbefore\n12\nbefore+after\n", "{said}");
    ensure!(ask(lab, &["RPUSH", "queue", "element"])? == "1");
    let served = waiting.output(PATIENCE)?.success()?;
    ensure!(served == "queue\nelement\n", "{served}");
    Ok(())
}
