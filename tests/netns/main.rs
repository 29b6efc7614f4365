//! The namespace suite: real `locum` processes on real TAPs, real clients, real faults.
//!
//! Each trial builds a small network in namespaces of its own (see `locum_lab`), runs, and is then
//! judged by what tcpdump recorded in each node: not one frame for the service from a node whose turn it
//! was not. On a machine that cannot do this the trials are *ignored*; with `LOCUM_REQUIRE_NETNS=1` they
//! fail and say what is missing. `LOCUM_LAB_KEEP=DIR` keeps the logs and captures of failed trials.
//!
//! Timings are asserted with wide bounds. Exact timing belongs to the simulator and `takeover-bench`.

// The suite waits for real programs in real time.
#![allow(clippy::disallowed_methods)]

mod addresses;
mod clients;
mod fault;
mod harness;
mod kv;
mod operator;
mod partition;
mod silence;
mod streams;
mod takeover;
mod trial;

use std::env;
use std::io::Write;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use locum_lab::enter::{self, Entered, Missing};

use crate::trial::Case;

/// The programs that trials run.
const TOOLS: [&str; 7] = ["arping", "curl", "nc", "ndisc6", "ping", "stress", "tcpdump"];

/// Turns a machine that cannot run the suite from a reason to ignore it into a failure.
const REQUIRE: &str = "LOCUM_REQUIRE_NETNS";

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some(harness::HOLD) {
        return harness::hold();
    }
    let mut args = Arguments::from_args();
    if args.list {
        return libtest_mimic::run(&args, trials(None)).exit_code();
    }
    // One after the other: trials keep both cores busy already, and takeovers are timed.
    args.test_threads = args.test_threads.or(Some(1));
    match enter::enter(&TOOLS) {
        Entered::Inside => libtest_mimic::run(&args, trials(None)).exit_code(),
        Entered::Finished(code) => code,
        Entered::Unable(missing) => {
            let _ = writeln!(std::io::stderr(), "netns: {missing}");
            libtest_mimic::run(&args, trials(Some(&missing))).exit_code()
        }
    }
}

/// Every case as a trial: able to run, or ignored, or failing because it had to be able to.
fn trials(missing: Option<&Missing>) -> Vec<Trial> {
    let required = env::var_os(REQUIRE).is_some_and(|value| value != "0");
    cases()
        .map(|case| {
            let lacks = missing.map(Missing::to_string).or_else(|| case.lacks());
            let ignored = lacks.is_some() && !required;
            Trial::test(case.name, move || match lacks {
                Some(lacks) => Err(Failed::from(lacks)),
                None => case.play().map_err(Failed::from),
            })
            .with_ignored_flag(ignored)
        })
        .collect()
}

fn cases() -> impl Iterator<Item = Case> {
    [
        harness::cases(),
        silence::cases(),
        takeover::cases(),
        partition::cases(),
        addresses::cases(),
        clients::cases(),
        streams::cases(),
        kv::cases(),
        operator::cases(),
    ]
    .into_iter()
    .flatten()
}
