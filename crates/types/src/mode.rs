//! What a node is doing, and how well its service is.

use std::fmt;

/// The mode of a node. Only an active node speaks for the service address.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Mode {
    /// Catching up: silent, and not eligible to take over.
    Joining = 0,
    /// Silent, in step, ready to take over.
    Waiting = 1,
    /// Serves the service address.
    Active = 2,
    /// Unsure of itself (it was paused, or lost its link): silent until it has heard the group.
    Fenced = 3,
}

impl Mode {
    /// Every mode, in the order of their codes.
    pub const ALL: [Mode; 4] = [Mode::Joining, Mode::Waiting, Mode::Active, Mode::Fenced];

    /// The code on the wire and in the mode cell.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The mode with this code, if there is one.
    pub const fn from_code(code: u8) -> Option<Mode> {
        match code {
            0 => Some(Mode::Joining),
            1 => Some(Mode::Waiting),
            2 => Some(Mode::Active),
            3 => Some(Mode::Fenced),
            _ => None,
        }
    }

    /// The word used in logs, status and hooks.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Joining => "joining",
            Mode::Waiting => "waiting",
            Mode::Active => "active",
            Mode::Fenced => "fenced",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How well the service of a node is. Ordered: the healthier node wins an election.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Health {
    /// Cannot serve: must not be active.
    Failed = 0,
    /// Serves, but a healthy node would do better.
    Degraded = 1,
    /// Serves.
    #[default]
    Ok = 2,
}

impl Health {
    /// The code on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The health with this code, if there is one.
    pub const fn from_code(code: u8) -> Option<Health> {
        match code {
            0 => Some(Health::Failed),
            1 => Some(Health::Degraded),
            2 => Some(Health::Ok),
            _ => None,
        }
    }

    /// The word used in logs and status.
    pub const fn name(self) -> &'static str {
        match self {
            Health::Failed => "failed",
            Health::Degraded => "degraded",
            Health::Ok => "ok",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_unknown_codes_are_refused() {
        for mode in Mode::ALL {
            assert_eq!(Mode::from_code(mode.code()), Some(mode));
        }
        assert_eq!(Mode::from_code(4), None);
        for health in [Health::Failed, Health::Degraded, Health::Ok] {
            assert_eq!(Health::from_code(health.code()), Some(health));
        }
        assert_eq!(Health::from_code(3), None);
    }

    #[test]
    fn the_healthier_node_compares_greater() {
        assert!(Health::Ok > Health::Degraded && Health::Degraded > Health::Failed);
    }
}
