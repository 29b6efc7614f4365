//! The opposite measurement: busy cores, nobody struck. No node may take over.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use locum_lab::echo::EchoClient;
use locum_lab::locum::Config;
use locum_lab::{Lab, keepalived};
use serde::Serialize;

use crate::contender::{ECHO_PORT, LocumPair};
use crate::say;

/// Busy loops per core. Each takes all the time the scheduler gives to a process of normal priority.
const LOOPS_PER_CORE: usize = 3;

/// How often the nodes are asked how they are.
const LOOK: Duration = Duration::from_secs(1);

/// What happened under load.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Verdict {
    /// How long the cores were kept busy.
    pub(crate) seconds: u64,
    /// Busy loops.
    pub(crate) loops: usize,
    /// How often the group's term grew: each is a takeover that had no reason.
    pub(crate) takeovers: u64,
    /// The longest time without an answer to the client, less its period, in milliseconds.
    pub(crate) longest_gap_ms: f64,
    /// Requests, and those without an answer.
    pub(crate) requests: usize,
    pub(crate) lost: usize,
    /// The longest time between two turns of each node's heartbeat loop, in milliseconds.
    pub(crate) loop_gaps_ms: Vec<f64>,
}

/// Keeps every core busy for `period` beside a pair at locum's default intervals.
pub(crate) fn run(lab: &Lab, binary: &Path, period: Duration) -> Result<Verdict> {
    let pair = LocumPair::start(lab, binary, &Config::default())?;
    let before = term(&pair)?;
    let target = keepalived::service(ECHO_PORT);
    let client = EchoClient::start(lab.client(1).namespace(), target, Duration::from_millis(1))?;
    client.wait_for_answers(100, Duration::from_secs(5))?;

    let loops = thread::available_parallelism()?.get() * LOOPS_PER_CORE;
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..loops {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let watched = watch(&pair, start, period, before);
        stop.store(true, Ordering::Relaxed);
        watched
    })?;

    let record = client.stop()?;
    let gap = record.outage(start).context("no answer under load")?;
    Ok(Verdict {
        seconds: period.as_secs(),
        loops,
        takeovers: term(&pair)? - before,
        longest_gap_ms: gap.as_secs_f64() * 1000.0,
        requests: record.sent.iter().filter(|&&sent| sent >= start).count(),
        lost: record.lost_since(start),
        loop_gaps_ms: lab
            .nodes()
            .iter()
            .map(|node| loop_gap(&pair, node.id()))
            .collect::<Result<_>>()?,
    })
}

fn watch(pair: &LocumPair<'_>, start: Instant, period: Duration, before: u64) -> Result<()> {
    while start.elapsed() < period {
        thread::sleep(LOOK.min(period.saturating_sub(start.elapsed())));
        let takeovers = term(pair)? - before;
        say(&format!("{:>4} s under load, {takeovers} takeovers", start.elapsed().as_secs()));
    }
    Ok(())
}

fn loop_gap(pair: &LocumPair<'_>, node: u8) -> Result<f64> {
    let status = pair.group().status(node)?;
    let micros = status["loop_gap_max_us"].as_f64().context("no loop gap in the status")?;
    Ok(micros / 1000.0)
}

/// The highest term that any node has seen: one more with each activation.
fn term(pair: &LocumPair<'_>) -> Result<u64> {
    let mut highest = 0;
    for node in [1, 2] {
        let status = pair.group().status(node)?;
        highest = highest.max(status["term"].as_u64().context("no term in the status")?);
    }
    Ok(highest)
}
