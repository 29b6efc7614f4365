//! Measures the service `kv` with redis-benchmark, beside redis-server in a network of the same shape: bridges and veth
//! pairs between namespaces, and at the end of the path a TAP for locum, the kernel's own stack for redis-server.
//! They are measured in turns, so that a noisy machine is noisy for all.

// This tool measures real time.
#![allow(clippy::disallowed_methods)]

mod contender;

use std::env;
use std::fs;
use std::io::{Write, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use locum_lab::enter::{self, Entered};
use serde_json::json;

use contender::{Contender, Test};

/// Measures the service kv beside redis-server: redis-benchmark with 50 connections, GET and SET of 100 000 keys.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Rounds: in each all are measured; the median counts
    #[arg(long, default_value_t = 5, value_name = "N")]
    rounds: usize,
    /// Requests per run with one at a time; with sixteen at a time it is four times as many
    #[arg(long, default_value_t = 200_000, value_name = "N")]
    requests: usize,
    /// Write all figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The locum to measure [default: beside this program]
    #[arg(long, value_name = "PATH")]
    locum: Option<PathBuf>,
}

const TESTS: [Test; 4] = [
    Test { command: "get", pipeline: 1 },
    Test { command: "set", pipeline: 1 },
    Test { command: "get", pipeline: 16 },
    Test { command: "set", pipeline: 16 },
];

fn main() -> ExitCode {
    let args = Args::parse();
    match enter::enter(&["redis-server", "redis-cli", "redis-benchmark"]) {
        Entered::Inside => match run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                say(&format!("kv-bench: {error:#}"));
                ExitCode::FAILURE
            }
        },
        Entered::Finished(code) => code,
        Entered::Unable(missing) => {
            say(&format!("kv-bench: {missing}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let binary = match &args.locum {
        Some(path) => path.clone(),
        None => env::current_exe()?.with_file_name("locum"),
    };
    let build = "build it first: cargo build --release -p locum";
    ensure!(binary.exists(), "{}: {build}", binary.display());
    // Absolute, as nodes run in a directory of their own.
    let binary = binary.canonicalize()?;
    let contenders =
        [Contender::redis()?, Contender::locum(&binary, false)?, Contender::locum(&binary, true)?];
    // Of each test and contender: the rate of each round.
    let mut rates = vec![vec![Vec::new(); contenders.len()]; TESTS.len()];
    for round in 1..=args.rounds {
        for (test, rates) in TESTS.iter().zip(&mut rates) {
            let requests = if test.pipeline > 1 { 4 * args.requests } else { args.requests };
            for (contender, rates) in contenders.iter().zip(rates) {
                let rate = contender
                    .measure(test, requests)
                    .with_context(|| format!("round {round}\n{}", contender.lab.logs()))?;
                rates.push(rate);
            }
        }
        say(&format!("round {round}/{}", args.rounds));
    }
    report(args, &contenders, &rates)
}

fn report(args: &Args, contenders: &[Contender], rates: &[Vec<Vec<f64>>]) -> Result<()> {
    let mut text = format!("{:<12}", "requests/s");
    for contender in contenders {
        text += &format!("{:>20}", contender.name);
    }
    text += "      unprotected/redis\n";
    let mut rows = Vec::new();
    for (test, rates) in TESTS.iter().zip(rates) {
        let medians: Vec<f64> = rates.iter().map(|rates| median(rates)).collect();
        text += &format!("{:<4} -P {:<4}", test.command.to_uppercase(), test.pipeline);
        for rate in &medians {
            text += &format!("{rate:>20.0}");
        }
        text += &format!("{:>21.2} x\n", medians[1] / medians[0]);
        rows.push(json!({ "command": test.command, "pipeline": test.pipeline, "rates": rates }));
    }
    if let Some(path) = &args.json {
        let names: Vec<&str> = contenders.iter().map(|contender| contender.name).collect();
        let document = json!({ "contenders": names, "tests": rows });
        let text = serde_json::to_string_pretty(&document)? + "\n";
        fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    stdout().lock().write_all(text.as_bytes()).context("write to standard output")
}

fn median(rates: &[f64]) -> f64 {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
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
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[]), 0.0);
    }
}
