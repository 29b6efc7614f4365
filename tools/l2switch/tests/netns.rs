//! The switch between real kernels, in network namespaces of their own.
//!
//! Needs `/dev/net/tun`, and root or user namespaces. Without them the tests are reported as
//! ignored, or fail if `LOCUM_REQUIRE_NETNS=1`.

// Real programs in real time.
#![allow(clippy::disallowed_methods)]

#[path = "netns/cases.rs"]
mod cases;
#[path = "netns/pair.rs"]
mod pair;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use locum_lab::enter::{Entered, enter};

/// The programs that the tests run.
const TOOLS: [&str; 1] = ["ping"];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One after the other: they measure time.
    arguments.test_threads = arguments.test_threads.or(Some(1));
    let tests = cases::TESTS.iter();
    let trials = match enter(&TOOLS) {
        Entered::Finished(code) => return code,
        Entered::Inside => tests
            .map(|(name, test)| Trial::test(*name, || test().map_err(|e| format!("{e:?}").into())))
            .collect(),
        Entered::Unable(missing) => {
            let required = std::env::var_os("LOCUM_REQUIRE_NETNS").is_some_and(|v| v == "1");
            let why = missing.to_string();
            tests
                .map(|(name, _)| {
                    let why = why.clone();
                    Trial::test(*name, || Err(Failed::from(why))).with_ignored_flag(!required)
                })
                .collect()
        }
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}
