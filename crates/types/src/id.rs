//! Identities and the numbers that order claims. Values that cannot be wrong once built.

use std::fmt;

/// A number outside its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {min} to {max}, not {got}")]
pub struct IdError {
    what: &'static str,
    min: u64,
    max: u64,
    got: u64,
}

macro_rules! bounded {
    ($(#[$doc:meta])* $name:ident($repr:ty), $what:literal, $min:literal..=$max:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name($repr);

        impl $name {
            #[doc = concat!("Checks the range ", stringify!($min), " to ", stringify!($max), ".")]
            pub const fn new(value: $repr) -> Result<Self, IdError> {
                let got = value as u64;
                if got < $min || got > $max {
                    return Err(IdError { what: $what, min: $min, max: $max, got });
                }
                Ok($name(value))
            }

            /// The plain number.
            pub const fn get(self) -> $repr {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

bounded! {
    /// A group of nodes on one LAN. The virtual MAC derives from it.
    GroupId(u16), "a group id", 1..=65535
}
bounded! {
    /// One node of a group.
    NodeId(u8), "a node id", 1..=254
}
bounded! {
    /// A node's configured rank in elections; higher wins.
    Priority(u8), "a priority", 1..=254
}

/// Grows by one at each activation of any node of the group; the higher term is always right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Term(pub u64);

impl Term {
    /// The term of the next activation.
    pub const fn next(self) -> Term {
        Term(self.0.saturating_add(1))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Drawn at random when a node starts: tells this life of a node from the ones before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootNonce(pub u64);

impl fmt::Display for BootNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// How far a node's copy of the group's log reaches: the fresher node wins an election.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct LogPosition(pub u64);

impl LogPosition {
    const COMPLETE: u64 = 1 << 63;

    /// In beats: a copy of which nothing is known but that it may not be whole.
    pub const NOT_WHOLE: LogPosition = LogPosition(1);

    /// A copy that is whole, because nothing has happened yet.
    pub const NOTHING_YET: LogPosition = LogPosition::complete(0);

    /// In beats: whatever has left is in this copy, as of in-sync set number `generation`. Copies of one generation
    /// are equally good, though what each knows of the others' last entries is out of date all the time; one of a later
    /// generation has what those that were left behind may lack.
    pub const fn complete(generation: u64) -> LogPosition {
        LogPosition(LogPosition::COMPLETE | generation)
    }

    /// Whether this is a whole copy, of some generation.
    pub const fn is_complete(self) -> bool {
        self.0 >= LogPosition::COMPLETE
    }

    /// The position of the next entry.
    pub const fn next(self) -> LogPosition {
        LogPosition(self.0.saturating_add(1))
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_enforced_and_named() {
        assert_eq!(NodeId::new(7).map(NodeId::get), Ok(7));
        let error = NodeId::new(0).expect_err("0 is out of range");
        assert_eq!(error.to_string(), "a node id must be 1 to 254, not 0");
        assert!(Priority::new(255).is_err());
        assert!(GroupId::new(65535).is_ok());
    }
}
