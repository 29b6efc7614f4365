//! Which mode may follow which, and for what causes. Data, so that it can be tested and drawn.

use locum_types::{Cause, Mode};

/// One legal change of mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The mode before.
    pub from: Mode,
    /// The mode after.
    pub to: Mode,
    /// The names of the causes that allow it ([`Cause::name`]).
    pub causes: &'static [&'static str],
}

/// Every legal change. Only a waiting node becomes active; a node that is unsure becomes silent first.
pub const TRANSITIONS: [Transition; 8] = [
    Transition { from: Mode::Joining, to: Mode::Waiting, causes: &["joined"] },
    Transition { from: Mode::Joining, to: Mode::Fenced, causes: &["duplicate-id"] },
    Transition {
        from: Mode::Waiting,
        to: Mode::Active,
        causes: &["no-active", "silence", "resigned"],
    },
    Transition { from: Mode::Waiting, to: Mode::Fenced, causes: &["duplicate-id"] },
    Transition { from: Mode::Active, to: Mode::Waiting, causes: &["resigning"] },
    Transition { from: Mode::Active, to: Mode::Joining, causes: &["rival"] },
    Transition {
        from: Mode::Active,
        to: Mode::Fenced,
        causes: &["stall", "link-down", "resigning", "duplicate-id"],
    },
    Transition { from: Mode::Fenced, to: Mode::Waiting, causes: &["heard", "alone"] },
];

/// Whether a change is in the table.
pub fn is_legal(from: Mode, to: Mode, cause: &Cause) -> bool {
    TRANSITIONS
        .iter()
        .any(|row| row.from == from && row.to == to && row.causes.contains(&cause.name()))
}
