//! Which mode may follow which, for what causes, and when. Data, so that it can be tested and drawn.

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
    /// When it happens, in words.
    pub when: &'static str,
}

/// Every legal change. Only a waiting node becomes active; a node that is unsure becomes silent first.
pub const TRANSITIONS: [Transition; 8] = [
    Transition {
        from: Mode::Joining,
        to: Mode::Waiting,
        causes: &["joined"],
        when: "it has listened for long enough",
    },
    Transition {
        from: Mode::Joining,
        to: Mode::Fenced,
        causes: &["duplicate-id"],
        when: "another node uses its id",
    },
    Transition {
        from: Mode::Waiting,
        to: Mode::Active,
        causes: &["no-active", "silence", "resigned"],
        when: "it was elected, or was offered the place",
    },
    Transition {
        from: Mode::Waiting,
        to: Mode::Fenced,
        causes: &["duplicate-id"],
        when: "another node uses its id",
    },
    Transition {
        from: Mode::Active,
        to: Mode::Waiting,
        causes: &["resigning"],
        when: "its successor was heard",
    },
    Transition {
        from: Mode::Active,
        to: Mode::Joining,
        causes: &["rival"],
        when: "another active node has the better claim",
    },
    Transition {
        from: Mode::Active,
        to: Mode::Fenced,
        causes: &["stall", "link-down", "resigning", "duplicate-id"],
        when: "it may not speak any more, and nobody took over",
    },
    Transition {
        from: Mode::Fenced,
        to: Mode::Waiting,
        causes: &["heard", "alone"],
        when: "it has heard the group, or that there is none",
    },
];

/// Whether a change is in the table.
pub fn is_legal(from: Mode, to: Mode, cause: &Cause) -> bool {
    let name = cause.name();
    TRANSITIONS.iter().any(|row| row.from == from && row.to == to && row.causes.contains(&name))
}
