//! Measures the outage a client sees at a takeover, beside keepalived in the same topology.
//!
//! Two nodes and a client on one bridge, all in network namespaces. The client sends a UDP echo request
//! every millisecond, and writes a record every two on one TCP connection to the same service; in each round the
//! active node is struck, and the longest time without an answer (less the client's period) is the outage, or the stall
//! of the connection. keepalived plays the same rounds at its fastest: VRRPv3, an
//! advert every 10 ms, the highest priorities (so the shortest skew), real-time priority, and without its
//! virtual MAC, which makes it a few milliseconds slower (`--keepalived-vmac` shows by how much).

// This tool measures real time.
#![allow(clippy::disallowed_methods)]

mod contender;
mod plot;
mod round;
mod stats;
mod stress;
mod table;

use std::env;
use std::fs;
use std::io::{Write, stderr, stdout};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use locum_lab::enter::{self, Entered};
use locum_lab::{NodeKind, echo, keepalived, locum};
use serde_json::json;

use crate::contender::{Contender, Fault, KeepalivedPair, LocumPair};
use crate::stats::Series;

/// As its first argument makes this program the echo server of a keepalived node.
pub(crate) const ECHO_SERVER: &str = "echo-server";

/// The name of the yardstick in tables.
const KEEPALIVED: &str = "keepalived";

/// Measures the outage a client sees at a takeover, beside keepalived in the same topology.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Rounds per contender and fault
    #[arg(long, default_value_t = 20, value_name = "N")]
    rounds: usize,
    /// Which faults to bring
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Fault::Cut, Fault::Kill, Fault::Term, Fault::Handover])]
    faults: Vec<Fault>,
    /// Locum's heartbeat interval; without it, locum plays twice: by default and with 2ms/6ms
    #[arg(long, value_parser = humantime::parse_duration, requires = "dead_after")]
    interval: Option<Duration>,
    /// Locum's dead_after
    #[arg(long, value_parser = humantime::parse_duration, requires = "interval")]
    dead_after: Option<Duration>,
    /// Write all outcomes to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw all outcomes into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Do not measure keepalived
    #[arg(long)]
    no_keepalived: bool,
    /// Locum without replication: connections die with their node
    #[arg(long)]
    unreplicated: bool,
    /// Measure only keepalived
    #[arg(long, conflicts_with = "no_keepalived")]
    no_locum: bool,
    /// Let keepalived use a virtual MAC (a macvlan) instead of gratuitous ARP alone
    #[arg(long)]
    keepalived_vmac: bool,
    /// The locum to measure [default: beside this program]
    #[arg(long, value_name = "PATH")]
    locum: Option<PathBuf>,
    /// Instead of striking anyone, keep all cores busy for this long and count takeovers: must be 0
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "300s", value_parser = humantime::parse_duration)]
    stress: Option<Duration>,
}

fn main() -> ExitCode {
    if let [_, command, address] = env::args().collect::<Vec<_>>().as_slice()
        && command == ECHO_SERVER
    {
        return exit(serve(address));
    }
    let args = Args::parse();
    match enter::enter(&[]) {
        Entered::Inside => exit(run(&args)),
        Entered::Finished(code) => code,
        Entered::Unable(missing) => {
            say(&format!("takeover-bench: {missing}"));
            ExitCode::FAILURE
        }
    }
}

fn serve(address: &str) -> Result<()> {
    echo::serve(address.parse::<SocketAddr>()?)
}

fn exit(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("takeover-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if let Some(period) = args.stress {
        return stress(args, period);
    }
    let mut series = Vec::new();
    if !args.no_locum {
        let binary = locum_binary(args)?;
        for (name, heartbeat) in locum_contenders(args) {
            let lab = contender::lab("locum", NodeKind::Tap)?;
            let replication = !args.unreplicated;
            let config = locum::Config { heartbeat, replication, ..locum::Config::default() };
            let mut pair = LocumPair::start(&lab, &binary, &config)?;
            measure(args, &lab, &name, &mut pair, &mut series)?;
        }
    }
    if !args.no_keepalived {
        if enter::find_tool("keepalived").is_some() {
            let lab = contender::lab("keepalived", NodeKind::Kernel)?;
            let config = keepalived::Config {
                use_vmac: args.keepalived_vmac,
                ..keepalived::Config::FASTEST
            };
            let mut pair = KeepalivedPair::start(&lab, config)?;
            measure(args, &lab, KEEPALIVED, &mut pair, &mut series)?;
        } else {
            say("keepalived is not installed, so it is not measured: apt-get install keepalived");
        }
    }
    ensure!(!series.is_empty(), "nothing was measured");
    print(&table::render(&series, KEEPALIVED))
}

/// How often one round may be played again.
const REPEATS_MAX: usize = 2;

/// Plays all rounds of one contender. Results are written after each fault, so that a failure loses none.
fn measure(
    args: &Args,
    lab: &locum_lab::Lab,
    name: &str,
    contender: &mut dyn Contender,
    series: &mut Vec<Series>,
) -> Result<()> {
    let faults = args.faults.iter().filter(|&&fault| contender.supports(fault));
    for &fault in faults.collect::<Vec<_>>() {
        let mut outcomes = Vec::new();
        for number in 1..=args.rounds {
            let outcome = play(lab, name, contender, fault, number)?;
            say(&format!(
                "{name}: {} {number}/{}: {:.1} ms, {} lost, TCP {}",
                fault.name(),
                args.rounds,
                outcome.outage.as_secs_f64() * 1000.0,
                outcome.lost,
                outcome.stall.map_or("lost".to_owned(), |stall| format!(
                    "{:.1} ms",
                    stall.as_secs_f64() * 1000.0
                ))
            ));
            outcomes.push(outcome);
        }
        series.extend(Series::new(name, fault, &outcomes));
        write_results(args, series)?;
    }
    Ok(())
}

/// Plays one round; again, and says so, if the pair moved by itself just before the fault, as it may with
/// detection times below the hiccups of the machine.
fn play(
    lab: &locum_lab::Lab,
    name: &str,
    contender: &mut dyn Contender,
    fault: contender::Fault,
    number: usize,
) -> Result<round::Outcome> {
    let mut repeats = 0;
    loop {
        let error = match round::play(lab, contender, fault) {
            Ok(outcome) => return Ok(outcome),
            Err(error) => error,
        };
        let round = format!("{name}, {}, round {number}", fault.name());
        if repeats == REPEATS_MAX {
            return Err(error.context(format!("{round}\n{}{}", contender.report(), lab.logs())));
        }
        repeats += 1;
        say(&format!("{round} is played again: {error:#}"));
    }
}

/// Names and heartbeats of the locum pairs to measure.
fn locum_contenders(args: &Args) -> Vec<(String, Option<(Duration, Duration)>)> {
    match (args.interval, args.dead_after) {
        (Some(interval), Some(dead_after)) => {
            let text = |duration| humantime::format_duration(duration).to_string();
            let name = format!("locum {}/{}", text(interval), text(dead_after));
            vec![(name, Some((interval, dead_after)))]
        }
        (Some(_), None) | (None, _) => {
            let fast = (Duration::from_millis(2), Duration::from_millis(6));
            vec![("locum (default)".into(), None), ("locum 2ms/6ms".into(), Some(fast))]
        }
    }
}

fn locum_binary(args: &Args) -> Result<PathBuf> {
    let path = match &args.locum {
        Some(path) => path.clone(),
        None => env::current_exe()?.with_file_name("locum"),
    };
    // Absolute, as nodes run in a directory of their own.
    path.canonicalize().with_context(|| {
        format!("{}: build it first: cargo build --release -p locum", path.display())
    })
}

fn stress(args: &Args, period: Duration) -> Result<()> {
    let lab = contender::lab("stress", NodeKind::Tap)?;
    let verdict = stress::run(&lab, &locum_binary(args)?, period)
        .map_err(|error| error.context(lab.logs()))?;
    write_to(args.json.as_deref(), &serde_json::to_string_pretty(&verdict)?)?;
    print(&format!(
        "{} s with {} busy loops: {} takeovers; {} requests, {} lost, longest gap {:.1} ms; \
         longest heartbeat loop gaps {:.1?} ms\n",
        verdict.seconds,
        verdict.loops,
        verdict.takeovers,
        verdict.requests,
        verdict.lost,
        verdict.longest_gap_ms,
        verdict.loop_gaps_ms,
    ))?;
    ensure!(verdict.takeovers == 0, "{} takeovers without a reason", verdict.takeovers);
    Ok(())
}

fn write_results(args: &Args, series: &[Series]) -> Result<()> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cores = std::thread::available_parallelism()?;
    let document = json!({
        "machine": { "kernel": kernel.trim(), "cores": cores },
        "rounds": args.rounds,
        "client_period_ms": 1,
        "keepalived": {
            "version": 3,
            "advert_ms": keepalived::Config::FASTEST.advert.as_millis(),
            "use_vmac": args.keepalived_vmac,
        },
        "series": series,
        "median_ratio_to_keepalived": ratios(series),
    });
    write_to(args.json.as_deref(), &serde_json::to_string_pretty(&document)?)?;
    let caption = format!(
        "{} rounds each; one dot per round, bar at the median; UDP echo at 1 kHz; {cores} cores",
        args.rounds
    );
    write_to(args.svg.as_deref(), &plot::render(series, &caption))
}

fn ratios(series: &[Series]) -> Vec<serde_json::Value> {
    let ratio = |one: &Series| {
        let ratio = table::ratio(series, one, KEEPALIVED)?;
        Some(json!({ "contender": one.contender, "fault": one.fault, "ratio": ratio }))
    };
    series.iter().filter_map(ratio).collect()
}

fn write_to(path: Option<&Path>, text: &str) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    fs::write(path, format!("{}\n", text.trim_end()))
        .with_context(|| format!("write {}", path.display()))
}

/// Results: to standard output.
fn print(text: &str) -> Result<()> {
    stdout().lock().write_all(text.as_bytes()).context("write to standard output")
}

/// Progress: to standard error, where nobody minds if it is closed.
pub(crate) fn say(line: &str) {
    let _ = writeln!(stderr().lock(), "{line}");
}
