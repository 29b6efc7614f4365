//! What the process tells its caller when it ends.

use std::process::ExitCode;

/// The exit codes of `locum`. The manual page and `docs/OPERATING.md` list the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done. A reader that closed the pipe early is no failure.
    Ok = 0,
    /// Something went wrong at run time; for `demo`, a check did not hold.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The configuration or the group key is wrong.
    Config = 3,
    /// The system does not permit it: not root, no capability, a file of somebody else.
    Denied = 4,
    /// No node answers on the control socket.
    Unreachable = 5,
    /// The node answered, and refused what it was asked for.
    Refused = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
