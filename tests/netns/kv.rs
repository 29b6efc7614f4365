//! Clients of Redis, through takeovers: no error, no second connection, and everything they were told holds.

use std::fs;
use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use locum_lab::locum::{Group, config_file};
use locum_lab::process::Process;
use locum_lab::{Lab, SERVICE_V4, SERVICE_V6, Topology, enter};

use crate::fault::Fault;
use crate::trial::Case;

const PATIENCE: Duration = Duration::from_secs(20);

/// The second is Debian's own, which has the module `redis` where a newer python beside it has not.
const PYTHONS: [&str; 2] = ["python3", "/usr/bin/python3"];

/// redis-py on several connections.
const REDIS_PY: &str = include_str!("kv_client.py");
/// redis-cli at a terminal.
const TERMINAL: &str = include_str!("kv_terminal.py");

pub(crate) fn cases() -> Vec<Case> {
    let two = Topology::default();
    // One client works; the other one looks on, so that the first one's connections can be counted.
    let observed = Topology { clients: 2, ..two };
    vec![
        Case::group("redis_py_does_not_notice_sigkill", two, |lab, group| {
            work_through(lab, group, REDIS_PY, SERVICE_V4, &[Fault::Sigkill; 2])
        })
        .needs_what(no_redis_py),
        Case::group("redis_py_does_not_notice_a_hand_over", two, |lab, group| {
            work_through(lab, group, REDIS_PY, SERVICE_V4, &[Fault::HandOver; 3])
        })
        .needs_what(no_redis_py),
        Case::group("redis_py_does_not_notice_a_zombie", two, |lab, group| {
            work_through(lab, group, REDIS_PY, SERVICE_V4, &[Fault::Zombie])
        })
        .needs_what(no_redis_py),
        Case::group("redis_py_does_not_notice_a_cut_cable", two, |lab, group| {
            work_through(lab, group, REDIS_PY, SERVICE_V4, &[Fault::Cut])
        })
        .needs_what(no_redis_py)
        .divided(),
        Case::group("redis_py_by_ipv6_does_not_notice_any_fault", two, |lab, group| {
            work_through(lab, group, REDIS_PY, SERVICE_V6, &Fault::ALL)
        })
        .needs_what(no_redis_py)
        .divided(),
        Case::group("redis_cli_at_a_terminal_does_not_notice_any_fault", two, |lab, group| {
            work_through(lab, group, TERMINAL, SERVICE_V4, &Fault::ALL)
        })
        .needs_what(no_redis_tools)
        .divided(),
        Case::group("redis_cli_does_not_notice_any_fault", observed, cli)
            .needs_what(no_redis_tools)
            .divided(),
        Case::group("redis_benchmark_does_not_notice_any_fault", observed, |lab, group| {
            benchmark(lab, group, "1", 150_000)
        })
        .needs_what(no_redis_tools)
        .unwatched(),
        Case::group(
            "redis_benchmark_does_not_notice_a_waiting_node_that_is_cut_off",
            observed,
            cut_off,
        )
        .needs_what(no_redis_tools)
        .unwatched(),
        Case::group("a_node_whose_cable_comes_late_takes_nothing_away", two, comes_late)
            .needs_what(no_redis_tools)
            .divided(),
        Case::group("redis_benchmark_in_pipelines_does_not_notice_any_fault", observed, |l, g| {
            benchmark(l, g, "16", 600_000)
        })
        .needs_what(no_redis_tools)
        .unwatched(),
        Case::group("the_suite_of_redis_benchmark_does_not_notice_takeovers", observed, suite)
            .needs_what(no_redis_tools)
            .unwatched(),
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

/// A client that works in rounds until it is told to stop, and knows what it must be answered.
struct Client<'lab> {
    lab: &'lab Lab,
    process: Process,
}

impl<'lab> Client<'lab> {
    fn start(lab: &'lab Lab, script: &str, service: IpAddr) -> Result<Client<'lab>> {
        let file = lab.files().join("client.py");
        fs::write(&file, script)?;
        let python = python().unwrap_or("python3");
        let (file, stop) = (file.to_string_lossy(), Self::stop_file(lab));
        let words = [python, &*file, &service.to_string(), &*stop.to_string_lossy()];
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

fn work_through(
    lab: &Lab,
    group: &mut Group<'_>,
    script: &str,
    service: impl Into<IpAddr>,
    faults: &[Fault],
) -> Result<()> {
    let mut client = Client::start(lab, script, service.into())?;
    for fault in faults {
        let node = fault.strike(lab, group).with_context(|| format!("{fault:?}"))?;
        client.work(20).with_context(|| format!("after {fault:?}"))?;
        fault.mend(lab, group, node).with_context(|| format!("after {fault:?}"))?;
    }
    client.finish()
}

/// How many connections redis-benchmark keeps.
const CONNECTIONS: u64 = 50;

/// Every increment counts exactly once.
fn benchmark(lab: &Lab, group: &mut Group<'_>, pipeline: &str, requests: usize) -> Result<()> {
    let (target, count) = (SERVICE_V4.to_string(), requests.to_string());
    let words = ["-h", &target, "-c", "50", "-P", pipeline, "-n", &count, "INCR", "counter"];
    let benchmark = lab.client(1).spawn("redis-benchmark", &words)?;
    wait_for_more(lab, requests / 20)?;
    for fault in Fault::ALL {
        let node = fault.strike(lab, group).with_context(|| format!("{fault:?}"))?;
        ensure!(counter(lab)? < requests, "it was over before {fault:?}");
        fault.mend(lab, group, node).with_context(|| format!("after {fault:?}"))?;
    }
    require_no_error(benchmark)?;
    let held = counter(lab)?;
    ensure!(held == requests, "{held} where {requests} requests were answered");
    require_opened(lab, 1 + CONNECTIONS)
}

/// The waiting node takes over, on its side of the cut alone; what it says when it is back, it says to nobody.
fn cut_off(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    const REQUESTS: usize = 100_000;
    let (target, count) = (SERVICE_V4.to_string(), REQUESTS.to_string());
    let words = ["-h", &target, "-c", "50", "-n", &count, "INCR", "counter"];
    let mut benchmark = lab.client(1).spawn("redis-benchmark", &words)?;
    wait_for_more(lab, REQUESTS / 20)?;
    for _ in 0..3 {
        group.wait_protected()?;
        let active = group.wait_steady()?;
        let other = 3 - active;
        lab.cut(other)?;
        wait_isolated(group, other)?;
        ensure!(benchmark.is_running(), "it was over before the cable was mended");
        lab.heal(other)?;
        group.wait_for(&[(active, "active"), (other, "waiting")])?;
    }
    require_no_error(benchmark)?;
    let held = counter(lab)?;
    ensure!(held == REQUESTS, "{held} where {REQUESTS} requests were answered");
    require_opened(lab, 1 + CONNECTIONS)
}

/// A node that starts before it is connected serves, behind its cable, and has nothing to serve.
fn comes_late(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let say = |words: &[&str]| -> Result<String> {
        let target = SERVICE_V4.to_string();
        let words = [&["-h", &target], words].concat();
        Ok(lab.client(1).run("redis-cli", &words)?.success()?.trim().to_owned())
    };
    group.wait_protected()?;
    ensure!(say(&["SET", "key", "value"])? == "OK");
    // From now on clients are silent.
    let active = group.wait_steady()?;
    let other = 3 - active;
    group.process(other)?.kill_worker()?;
    group.wait_for_end(other)?;
    // So that its claim would be the better one.
    let file = config_file(lab, other);
    let config = fs::read_to_string(&file)?.replacen("\npriority = ", "\npriority = 254 # ", 1);
    fs::write(&file, config)?;
    lab.cut(other)?;
    group.start_node(other)?;
    wait_isolated(group, other)?;
    lab.heal(other)?;
    group.wait_for(&[(active, "active"), (other, "waiting")])?;
    ensure!(say(&["GET", "key"])? == "value");
    Ok(())
}

fn wait_isolated(group: &Group<'_>, node: u8) -> Result<()> {
    locum_lab::wait::until("an isolated node", PATIENCE, || match group.status(node) {
        Ok(status) if status["isolated"] == true => Ok(()),
        other => Err(format!("{other:?}")),
    })
}

/// Everything that redis-benchmark measures unless it is told what, with takeovers in it.
fn suite(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let target = SERVICE_V4.to_string();
    let words = ["-h", &target, "-c", "50", "-n", "6000", "-q"];
    let mut benchmark = lab.client(1).spawn("redis-benchmark", &words)?;
    for (fault, test) in
        [(Fault::Sigkill, "GET:"), (Fault::HandOver, "SADD:"), (Fault::Cut, "LRANGE_100 ")]
    {
        benchmark.wait_for_text(test, 3 * PATIENCE)?;
        let node = fault.strike(lab, group).with_context(|| format!("{fault:?}"))?;
        fault.mend(lab, group, node).with_context(|| format!("after {fault:?}"))?;
        ensure!(benchmark.is_running(), "it was over before {fault:?} was mended");
    }
    let said = require_no_error(benchmark)?;
    let tests = said.matches("requests per second").count() as u64;
    ensure!(tests >= 20, "{tests} tests: {said}");
    require_opened(lab, 1 + tests * CONNECTIONS)
}

fn require_no_error(benchmark: Process) -> Result<String> {
    let output = benchmark.output(6 * PATIENCE)?;
    let said = format!("{}{}", output.stdout, output.stderr);
    ensure!(output.status.success() && !said.to_lowercase().contains("error"), "{said}");
    Ok(said)
}

/// Requires that the client's kernel has opened so many connections: a program that opens one again is found out.
fn require_opened(lab: &Lab, right: u64) -> Result<()> {
    let opened = lab.client(1).namespace().active_opens()?;
    ensure!(opened == right, "{opened} connections were opened where {right} are right");
    Ok(())
}

/// What redis-cli says to one command of somebody who looks on.
fn ask(lab: &Lab, words: &[&str]) -> Result<String> {
    let target = SERVICE_V4.to_string();
    let words = [&["-h", &target], words].concat();
    let output = lab.client(2).spawn("redis-cli", &words)?.output(PATIENCE)?;
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

/// One connection with a command after each fault; another one waits for an element all the time.
fn cli(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let struck = |number: usize| lab.files().join(format!("struck{number}"));
    let script = format!(
        "(echo SET k before; echo GET k; for n in 1 2 3 4; do \
         while [ ! -e {}$n ]; do sleep 0.05; done; echo APPEND k +$n; done; echo GET k) \
         | redis-cli -3 -h {SERVICE_V4}",
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
    for (number, fault) in (1..).zip(Fault::ALL) {
        let node = fault.strike(lab, group).with_context(|| format!("{fault:?}"))?;
        fs::write(struck(number), "")?;
        let length = "before".len() + 2 * number;
        session.wait_for_text(&format!("\n{length}\n"), PATIENCE)?;
        fault.mend(lab, group, node).with_context(|| format!("after {fault:?}"))?;
    }
    let said = session.output(PATIENCE)?.success()?;
    ensure!(said == "OK\nbefore\n8\n10\n12\n14\nbefore+1+2+3+4\n", "{said}");
    ensure!(ask(lab, &["RPUSH", "queue", "element"])? == "1");
    let served = waiting.output(PATIENCE)?.success()?;
    ensure!(served == "queue\nelement\n", "{served}");
    require_opened(lab, 2)
}
