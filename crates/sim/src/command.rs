//! The command line.

mod replay;
mod shrink;
mod swarm;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Breaks groups of nodes in a deterministic world, and checks from outside that they hold.
#[derive(Debug, Parser)]
#[command(name = "locum-sim", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run many seeds
    ///
    /// Every seed has its own topology, timings and faults. Every hundredth run is made twice, and must
    /// come out the same. Prints each seed that fails, with the command that replays it; succeeds only
    /// if none does.
    Swarm {
        /// How many seeds.
        #[arg(long, default_value_t = 2_000)]
        seeds: u64,
        /// The first one; `fresh` begins where nobody has been.
        #[arg(long, default_value = "0", value_parser = first_seed)]
        first: u64,
        /// How many threads [default: one per processor].
        #[arg(long)]
        jobs: Option<usize>,
    },
    /// Run one seed, one line per event
    Replay {
        #[command(flatten)]
        run: RunArgs,
        /// Write what every station sends into this directory, a pcap file each.
        #[arg(long, value_name = "DIR")]
        pcap: Option<PathBuf>,
    },
    /// Find the faults without which a failing seed would not fail
    Shrink {
        #[command(flatten)]
        run: RunArgs,
    },
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// The seed.
    #[arg(long)]
    seed: u64,
    /// Faults to leave out, by number.
    #[arg(long, value_delimiter = ',', value_name = "N,N,...")]
    without: Vec<usize>,
}

fn first_seed(text: &str) -> Result<u64, String> {
    if text == "fresh" {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        return Ok(now.map_or(0, |now| now.as_nanos() as u64 >> 8));
    }
    text.parse().map_err(|error| format!("{error}; give a number, or `fresh`"))
}

pub(crate) fn main() -> ExitCode {
    // A panic inside a run is a result; its text is reported with the seed.
    std::panic::set_hook(Box::new(|_| {}));
    let held = match Cli::parse().command {
        Command::Swarm { seeds, first, jobs } => swarm::swarm(first, seeds, jobs),
        Command::Replay { run, pcap } => match replay::replay(run.seed, &run.without, pcap) {
            Ok(held) => held,
            Err(error) => {
                eprintln!("locum-sim: {error}");
                return ExitCode::from(2);
            }
        },
        Command::Shrink { run } => shrink::shrink(run.seed, &run.without),
    };
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
