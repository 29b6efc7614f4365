//! Measures what it costs that connections survive: two pairs of nodes, one replicated and one not, in networks of
//! the same shape, measured in turns so that a noisy machine is noisy for both.
//!
//! The added latency of a request is compared with the round trip between the nodes, as beats measure it: waiting for a
//! follower is one such trip, and what both do about it.

// This tool measures real time.
#![allow(clippy::disallowed_methods)]

mod join;
mod load;

use std::env;
use std::fs;
use std::io::{Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use locum_lab::enter::{self, Entered};
use locum_lab::locum::{Config, Group};
use locum_lab::{Lab, Topology};
use serde_json::json;

use join::Joined;

/// Measures what it costs that connections survive: protected beside unprotected, on the same path.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Rounds: in each both pairs are measured
    #[arg(long, default_value_t = 5, value_name = "N")]
    rounds: usize,
    /// Requests per round, each answered before the next is sent
    #[arg(long, default_value_t = 2000, value_name = "N")]
    requests: usize,
    /// MiB per round and direction
    #[arg(long, default_value_t = 256, value_name = "MIB")]
    bulk: usize,
    /// Keys that a joining node is given
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    keys: usize,
    /// Live connections while it joins
    #[arg(long, default_value_t = 1000, value_name = "N")]
    flows: usize,
    /// Write all figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The locum to measure [default: beside this program]
    #[arg(long, value_name = "PATH")]
    locum: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match enter::enter(&[]) {
        Entered::Inside => match run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                say(&format!("replication-bench: {error:#}"));
                ExitCode::FAILURE
            }
        },
        Entered::Finished(code) => code,
        Entered::Unable(missing) => {
            say(&format!("replication-bench: {missing}"));
            ExitCode::FAILURE
        }
    }
}

/// What one pair came to.
#[derive(Debug, Default)]
struct Figures {
    /// Median of all requests, per round.
    latencies: Vec<Duration>,
    /// MB/s per round.
    downloads: Vec<f64>,
    uploads: Vec<f64>,
}

fn run(args: &Args) -> Result<()> {
    let binary = locum_binary(args)?;
    let labs = [Lab::new("plain", Topology::default())?, Lab::new("copied", Topology::default())?];
    let mut groups = Vec::new();
    for (lab, replication) in labs.iter().zip([false, true]) {
        let config = Config { replication, recorded: false, ..Config::default() };
        let group = Group::start(lab, &binary, &config)?;
        group.wait_steady()?;
        if replication {
            group.wait_protected()?;
        }
        load::prepare(lab, args.bulk)?;
        groups.push(group);
    }
    let mut figures = [Figures::default(), Figures::default()];
    for round in 1..=args.rounds {
        for ((lab, name), figures) in labs.iter().zip(NAMES).zip(&mut figures) {
            measure(args, lab, figures)
                .with_context(|| format!("{name}, round {round}\n{}", lab.logs()))?;
            say(&format!(
                "round {round}/{}: {name}: {:.0} us, {:.0} MB/s down, {:.0} MB/s up",
                args.rounds,
                micros(figures.latencies.last()),
                figures.downloads.last().copied().unwrap_or_default(),
                figures.uploads.last().copied().unwrap_or_default(),
            ));
        }
        groups[1].protected().map_err(anyhow::Error::msg).context("at the end of a round")?;
    }
    let trip = node_round_trip(&groups[1])?;
    let joined = join::measure(&labs[1], &mut groups[1], args.keys, args.flows)
        .with_context(|| format!("a node joins\n{}", labs[1].logs()))?;
    report(args, &figures, trip, &joined)
}

/// The pairs, in the order in which they are measured.
const NAMES: [&str; 2] = ["unprotected", "protected"];

fn measure(args: &Args, lab: &Lab, figures: &mut Figures) -> Result<()> {
    let mut times = load::requests(lab, args.requests)?;
    times.sort();
    figures.latencies.push(times[times.len() / 2]);
    figures.downloads.push(load::download(lab, args.bulk)?);
    figures.uploads.push(load::upload(lab, args.bulk)?);
    Ok(())
}

/// The round trip between the nodes as the beats of the active one measure it.
fn node_round_trip(group: &Group<'_>) -> Result<Duration> {
    let active = group.steady().map_err(anyhow::Error::msg)?;
    let status = group.status(active)?;
    let micros = status["peers"][0]["rtt_us"].as_u64().context("no round trip in the status")?;
    Ok(Duration::from_micros(micros))
}

fn report(args: &Args, figures: &[Figures; 2], trip: Duration, joined: &Joined) -> Result<()> {
    let [plain, copied] = figures;
    let latency = [plain, copied].map(|it| micros(median(&it.latencies).as_ref()));
    let down = [plain, copied].map(|it| median(&it.downloads).unwrap_or_default());
    let up = [plain, copied].map(|it| median(&it.uploads).unwrap_or_default());
    let added = latency[1] - latency[0];
    let mut text = format!("{:<28}{:>14}{:>14}{:>16}\n", "", NAMES[0], NAMES[1], "");
    text += &format!(
        "{:<28}{:>11.0} us{:>11.0} us{:>+13.0} us\n",
        "64-byte request, median", latency[0], latency[1], added
    );
    for (what, [plain, copied]) in [("download", down), ("upload", up)] {
        let ratio = copied / plain;
        text += &format!("{what:<28}{plain:>9.0} MB/s{copied:>9.0} MB/s{ratio:>14.2} x\n");
    }
    text += &format!("round trip between the nodes {:.0} us\n", micros(Some(&trip)));
    text += &format!(
        "join of a node, {} keys and {} live connections: protected after {:.2} s; the longest pause of \
         a client {:.1} ms (before: {:.1} ms)\n",
        args.keys,
        args.flows,
        joined.time.as_secs_f64(),
        micros(Some(&joined.pause)) / 1e3,
        micros(Some(&joined.pause_before)) / 1e3,
    );
    if let Some(path) = &args.json {
        let document = json!({
            "rounds": args.rounds,
            "latency_us": { NAMES[0]: latency[0], NAMES[1]: latency[1], "added": added },
            "download_mb_s": { NAMES[0]: down[0], NAMES[1]: down[1] },
            "upload_mb_s": { NAMES[0]: up[0], NAMES[1]: up[1] },
            "node_round_trip_us": micros(Some(&trip)),
            "join": {
                "keys": args.keys,
                "flows": args.flows,
                "seconds": joined.time.as_secs_f64(),
                "longest_pause_ms": micros(Some(&joined.pause)) / 1e3,
                "longest_pause_before_ms": micros(Some(&joined.pause_before)) / 1e3,
            },
        });
        let text = serde_json::to_string_pretty(&document)? + "\n";
        fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    stdout().lock().write_all(text.as_bytes()).context("write to standard output")
}

fn median<T: Copy + PartialOrd>(figures: &[T]) -> Option<T> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(|one, other| one.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal));
    sorted.get(sorted.len() / 2).copied()
}

fn micros(duration: Option<&Duration>) -> f64 {
    duration.map_or(0.0, |duration| duration.as_secs_f64() * 1e6)
}

fn locum_binary(args: &Args) -> Result<PathBuf> {
    let path = match &args.locum {
        Some(path) => path.clone(),
        None => env::current_exe()?.with_file_name("locum"),
    };
    ensure!(
        Path::new(&path).exists(),
        "{}: build it first: cargo build --release -p locum",
        path.display()
    );
    // Absolute, as nodes run in a directory of their own.
    Ok(path.canonicalize()?)
}

/// Progress: to standard error, where nobody minds if it is closed.
fn say(line: &str) {
    let _ = writeln!(stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_a_measured_value() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median::<f64>(&[]), None);
    }
}
