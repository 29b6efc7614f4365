//! TAPs and wardens against a real kernel, in a network namespace of their own.
//!
//! Needs `/dev/net/tun`, and root or user namespaces. Without them the tests are reported as
//! ignored, or fail if `LOCUM_REQUIRE_NETNS=1`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "how a test's processes talk to it")]

#[path = "tap/device.rs"]
mod device;
#[path = "tap/support.rs"]
mod support;
#[path = "tap/warden.rs"]
mod warden;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use locum_lab::enter::{Entered, enter};

/// A test, by its name.
type Test = (&'static str, fn() -> anyhow::Result<()>);

fn main() -> ExitCode {
    // The process that a warden test starts is this program again, and must have no threads.
    if let Some(role) = warden::role() {
        return warden::play(&role);
    }
    let arguments = Arguments::from_args();
    let tests = device::TESTS.iter().chain(warden::TESTS);
    let trials = match enter(&[]) {
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
