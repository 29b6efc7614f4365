//! A mode change as the outside hears of it: one line in the log, one run of the hook.

use std::fmt;
use std::time::Duration;

use locum_types::{Cause, Mode, Term};

/// One change of this node's mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModeChange {
    /// The mode before.
    pub from: Mode,
    /// The mode from now on.
    pub to: Mode,
    /// Why.
    pub cause: Cause,
    /// The term the node is in now.
    pub term: Term,
    /// For a takeover: the time from the predecessor's last beat to this change.
    pub detection: Option<Duration>,
}

/// The line of the log, in fixed fields, so that it can be searched and parsed:
/// `mode from=waiting to=active cause=silence(node 1) term=8 detection_ms=30.2`.
impl fmt::Display for ModeChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ModeChange { from, to, cause, term, detection } = self;
        write!(f, "mode from={from} to={to} cause={cause} term={term}")?;
        match detection {
            Some(detection) => write!(f, " detection_ms={:.1}", detection.as_secs_f64() * 1e3),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use locum_types::{NodeId, ResignReason};

    use super::*;

    fn node(id: u8) -> NodeId {
        NodeId::new(id).unwrap()
    }

    #[test]
    fn a_takeover_is_one_line_of_fixed_fields() {
        let change = ModeChange {
            from: Mode::Waiting,
            to: Mode::Active,
            cause: Cause::Silence { peer: node(1) },
            term: Term(8),
            detection: Some(Duration::from_micros(30_249)),
        };
        assert_eq!(
            change.to_string(),
            "mode from=waiting to=active cause=silence(node 1) term=8 detection_ms=30.2"
        );
    }

    #[test]
    fn a_change_without_a_predecessor_has_no_detection_time() {
        let change = ModeChange {
            from: Mode::Active,
            to: Mode::Waiting,
            cause: Cause::Resigning { reason: ResignReason::Handover },
            term: Term(8),
            detection: None,
        };
        assert_eq!(
            change.to_string(),
            "mode from=active to=waiting cause=resigning(handover) term=8"
        );
    }
}
