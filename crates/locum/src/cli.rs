//! The command line: what there is to say, in the words of its help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "locum",
    version,
    about = "One IP address, several machines: one serves, another takes over in milliseconds",
    long_about = "Locum is a hot-standby server appliance. The nodes of a group share one service \
        address. Every node runs the same services; one is active and answers for the address, the \
        others wait in silence. When the active node dies, a waiting one takes over within \
        milliseconds.",
    after_help = "Try `locum demo` first: it needs no root and no network.",
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What there is to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a node
    ///
    /// Runs a node until SIGTERM or SIGINT; an active node hands over first. SIGHUP reads the file
    /// again: priority, peers, times of the heartbeat, pre-emption, the hook and the log level
    /// change at once, everything else waits for a restart.
    Run(ConfigFile),
    /// Check a configuration and print it with all defaults
    ///
    /// Reports everything that is wrong with the file, with the line and the fix. Prints the
    /// configuration as the node would use it if nothing is; that output is itself a
    /// configuration.
    Check(ConfigFile),
    /// Make a group key
    ///
    /// Writes 32 random bytes as text into a new file that only its owner can read. Copy it to
    /// every node of the group, and to nobody else. An existing file is left alone.
    Keygen {
        /// The file to make.
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Watch a group at work, without root or network
    ///
    /// Runs three nodes and their clients on a simulated Ethernet in this process: kills the
    /// active node, hands over, cuts a link and heals it, and shows what the clients saw of it.
    /// Succeeds only if every check it announces held.
    Demo(Demo),
    /// Break groups of nodes on purpose, as a file says, and check what comes of it
    ///
    /// A scenario is a TOML file: nodes, switches, clients, a timeline of faults, and what is expected.
    /// docs/SCENARIOS.md teaches writing one.
    #[command(subcommand)]
    Scenario(Scenario),
    /// Show how a node is
    ///
    /// Asks the node for its mode and why, its peers, takeovers and counters.
    Status(Status),
    /// Ask the active node to hand over
    ///
    /// The service moves to the node named, or to the best one, without a gap for the clients.
    /// Refused if the node is not active, or if the other cannot serve.
    Handover {
        /// The id of the node that shall be active [default: the group elects one].
        #[arg(long, value_name = "NODE", value_parser = clap::value_parser!(u8).range(1..=254))]
        to: Option<u8>,
        /// Where the node listens.
        #[command(flatten)]
        socket: Socket,
    },
    /// Print a completion script for a shell
    ///
    /// For example: `locum completions bash > /etc/bash_completion.d/locum`
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page
    ///
    /// For example: `locum man | man -l -`
    Man,
}

/// The configuration of a node.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// The configuration of the node, a TOML file.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: PathBuf,
}

/// The socket of a node.
#[derive(Debug, Args)]
pub struct Socket {
    /// The control socket of the node [default: the only one in /run/locum].
    #[arg(short, long, value_name = "SOCKET", value_hint = ValueHint::FilePath)]
    pub socket: Option<PathBuf>,
}

/// How to show the demonstration.
#[derive(Debug, Args)]
pub struct Demo {
    /// Write the timeline as a picture into this file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub svg: Option<PathBuf>,
    /// One JSON object per line instead of the timeline.
    #[arg(long)]
    pub json: bool,
    /// How many times faster than real time, 0.1 to 100.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// Show every beat.
    #[arg(long)]
    pub beats: bool,
}

/// What to do with scenarios.
#[derive(Debug, Subcommand)]
pub enum Scenario {
    /// Run scenarios
    ///
    /// Shows what happens as it happens, and what came of every expectation. Succeeds only if all of
    /// them held.
    Run(RunScenarios),
    /// List the scenarios of a directory
    List {
        /// The directory.
        #[arg(value_name = "DIR", default_value = "tests/scenarios", value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
    /// Check scenarios without running them
    ///
    /// Reports everything that is wrong with each file, with the line and the fix.
    Check {
        /// The scenarios, TOML files.
        #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
    },
}

/// Which scenarios to run, and how.
#[derive(Debug, Args)]
pub struct RunScenarios {
    /// The scenarios, TOML files.
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Where: in virtual time, or with real processes in network namespaces, which needs root.
    #[arg(long, value_enum, default_value_t = ScenarioWorld::Sim)]
    pub world: ScenarioWorld,
    /// What everything is drawn from that is left to chance; the same gives the same run in `sim`.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Write the outcome as JSON, a page that shows it, and a capture of every cable into this
    /// directory; for several scenarios into one below it each.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub report: Option<PathBuf>,
}

/// Where scenarios run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScenarioWorld {
    /// The simulator.
    Sim,
    /// Network namespaces.
    Netns,
}

/// How to show a status.
#[derive(Debug, Args)]
pub struct Status {
    /// One JSON object per line, schema `locum.status.v1`.
    #[arg(long)]
    pub json: bool,
    /// Go on: twice a second, and whenever a mode changes.
    #[arg(short, long)]
    pub watch: bool,
    /// Say what keeps the group from surviving the death of its active node, and fail if anything does.
    #[arg(long, conflicts_with_all = ["json", "watch"])]
    pub check: bool,
    /// Metrics in the text format of Prometheus.
    #[arg(long, conflicts_with_all = ["json", "watch", "check"])]
    pub metrics: bool,
    /// Where the node listens.
    #[command(flatten)]
    pub socket: Socket,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "must be a number, such as 2 or 0.5".to_owned())?;
    if (0.1..=100.0).contains(&speed) { Ok(speed) } else { Err("must be 0.1 to 100".to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn speeds_that_make_no_sense_are_refused() {
        for text in ["0", "-1", "nan", "inf", "101", "fast"] {
            assert!(speed(text).is_err(), "{text}");
        }
        assert_eq!(speed("0.5"), Ok(0.5));
    }
}
