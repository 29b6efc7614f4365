//! What the process tells its caller when it ends.

use std::io;
use std::process::ExitCode;

use locum_link::TapError;

use crate::command::NoSocket;
use crate::config::Report;
use crate::control::{BindError, ClientError};
use crate::output::Closed;

/// The exit codes of `locum`. The manual page and `docs/OPERATING.md` list the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done. A reader that closed the pipe early is no failure.
    Ok = 0,
    /// Something went wrong at run time; for `demo` and `scenario`, a check did not hold.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The configuration is wrong, or a file that it names.
    Config = 3,
    /// The system does not permit it: not root, no capability, a file of somebody else.
    Denied = 4,
    /// No node answers on the control socket.
    Unreachable = 5,
    /// The node answers, and refuses.
    Refused = 6,
    /// The node answers, and the group would not survive the death of its active node.
    AtRisk = 7,
}

impl Exit {
    /// Every exit code, in order.
    pub const ALL: [Exit; 8] = [
        Exit::Ok,
        Exit::Failure,
        Exit::Usage,
        Exit::Config,
        Exit::Denied,
        Exit::Unreachable,
        Exit::Refused,
        Exit::AtRisk,
    ];

    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// One line for the manual.
    pub const fn meaning(self) -> &'static str {
        match self {
            Exit::Ok => "done",
            Exit::Failure => {
                "something went wrong at run time; for `demo` and `scenario`, a check did not hold"
            }
            Exit::Usage => "the command line is wrong",
            Exit::Config => "the configuration is wrong, or a file that it names",
            Exit::Denied => "the system does not permit it: not root, no capability",
            Exit::Unreachable => "no node answers on the control socket",
            Exit::Refused => "the node answers, and refuses what it was asked for",
            Exit::AtRisk => "`status --check`: the death of the active node would be noticed",
        }
    }

    /// The exit code for an error: the first of its chain that says more than "failed" decides.
    pub fn of(error: &anyhow::Error) -> Exit {
        error.chain().find_map(Exit::of_link).unwrap_or(Exit::Failure)
    }

    fn of_link(error: &(dyn std::error::Error + 'static)) -> Option<Exit> {
        if error.is::<Closed>() {
            return Some(Exit::Ok);
        }
        if error.is::<Report>() {
            return Some(Exit::Config);
        }
        if let Some(error) = error.downcast_ref::<ClientError>() {
            return Some(match error {
                ClientError::Unreachable { .. } => Exit::Unreachable,
                ClientError::Denied { .. } => Exit::Denied,
                ClientError::Garbled { .. } => Exit::Failure,
                ClientError::Refused(_) => Exit::Refused,
            });
        }
        if let Some(error) = error.downcast_ref::<NoSocket>() {
            return Some(match error {
                NoSocket::None => Exit::Unreachable,
                NoSocket::Several(_) => Exit::Usage,
            });
        }
        if let Some(BindError::InUse { .. } | BindError::NotASocket { .. }) = error.downcast_ref() {
            return Some(Exit::Failure);
        }
        if let Some(TapError::NotPermitted { .. } | TapError::NoAccess(_)) = error.downcast_ref() {
            return Some(Exit::Denied);
        }
        let kind = error.downcast_ref::<io::Error>()?.kind();
        (kind == io::ErrorKind::PermissionDenied).then_some(Exit::Denied)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    fn permission_denied() -> io::Error {
        io::ErrorKind::PermissionDenied.into()
    }

    #[test]
    fn codes_are_listed_in_order_and_never_twice() {
        let codes: Vec<u8> = Exit::ALL.map(Exit::code).to_vec();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn what_the_system_forbids_is_found_through_any_context() {
        let error = Err::<(), _>(permission_denied()).context("open").context("start").unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Denied);
        let tap = TapError::NotPermitted { name: "tap0".into() };
        assert_eq!(Exit::of(&anyhow::Error::from(tap).context("start")), Exit::Denied);
    }

    #[test]
    fn everything_else_is_a_failure() {
        assert_eq!(Exit::of(&anyhow::anyhow!("broken")), Exit::Failure);
    }

    #[test]
    fn a_refusal_is_told_apart_from_silence() {
        let refused = ClientError::Refused("not active".into());
        assert_eq!(Exit::of(&refused.into()), Exit::Refused);
        let path = "/run/locum/node1.sock".into();
        let silent = ClientError::Unreachable { path, source: io::ErrorKind::NotFound.into() };
        assert_eq!(Exit::of(&silent.into()), Exit::Unreachable);
    }
}
