//! `locum-sim`: many runs of the swarm, one run line by line, or the least that still fails.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a command")]
#![allow(clippy::disallowed_methods, reason = "it tells how long it took, and draws fresh seeds")]

mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::main()
}
