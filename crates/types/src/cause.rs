//! Why a mode changed: one word for logs, counters, hooks and tests.

use std::fmt;

use crate::NodeId;

/// Why a node gives up being active before anyone times it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum ResignReason {
    /// SIGTERM or SIGINT.
    Shutdown = 1,
    /// The operator asked for a hand-over.
    Handover = 2,
    /// The service reports that it cannot serve.
    Health = 3,
    /// The process died; its warden, or its panic handler, says so.
    Crash = 4,
    /// A node that should be active by policy came back (`preempt = true`).
    Preempt = 5,
}

impl ResignReason {
    /// The code on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The reason with this code, if there is one.
    pub const fn from_code(code: u8) -> Option<ResignReason> {
        match code {
            1 => Some(ResignReason::Shutdown),
            2 => Some(ResignReason::Handover),
            3 => Some(ResignReason::Health),
            4 => Some(ResignReason::Crash),
            5 => Some(ResignReason::Preempt),
            _ => None,
        }
    }

    /// The word used in logs and hooks.
    pub const fn name(self) -> &'static str {
        match self {
            ResignReason::Shutdown => "shutdown",
            ResignReason::Handover => "handover",
            ResignReason::Health => "health",
            ResignReason::Crash => "crash",
            ResignReason::Preempt => "preempt",
        }
    }
}

/// Why a mode changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum Cause {
    /// The node has caught up and is eligible.
    Joined,
    /// No active node was heard while listening after start; this one was elected.
    NoActive,
    /// The active node has been silent for the detection time, on beats and on probes.
    Silence {
        /// The node that went silent.
        peer: NodeId,
    },
    /// The active node said goodbye.
    Resigned {
        /// The node that resigned.
        peer: NodeId,
        /// What it gave as its reason.
        reason: ResignReason,
    },
    /// This node resigned.
    Resigning {
        /// Why it did.
        reason: ResignReason,
    },
    /// Another active node has the better claim: a higher (term, copy of the log, priority, id).
    Rival {
        /// The node with the better claim.
        peer: NodeId,
    },
    /// This node's own loop did not run for longer than its lease.
    Stall,
    /// The link went down.
    LinkDown,
    /// Heard the group again after being fenced.
    Heard,
    /// Nobody else was heard while fenced: the group is this node.
    Alone,
    /// Another node uses this node's id: refused loudly, silent until it is gone.
    DuplicateId,
}

impl Cause {
    /// The word used in logs, counters and hooks.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Joined => "joined",
            Cause::NoActive => "no-active",
            Cause::Silence { .. } => "silence",
            Cause::Resigned { .. } => "resigned",
            Cause::Resigning { .. } => "resigning",
            Cause::Rival { .. } => "rival",
            Cause::Stall => "stall",
            Cause::LinkDown => "link-down",
            Cause::Heard => "heard",
            Cause::Alone => "alone",
            Cause::DuplicateId => "duplicate-id",
        }
    }
}

/// The word, and in brackets the node and reason it carries: `resigned(node 1, crash)`.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Cause::Silence { peer } | Cause::Rival { peer } => {
                write!(f, "{}(node {peer})", self.name())
            }
            Cause::Resigned { peer, reason } => {
                write!(f, "{}(node {peer}, {})", self.name(), reason.name())
            }
            Cause::Resigning { reason } => write!(f, "{}({})", self.name(), reason.name()),
            Cause::Joined
            | Cause::NoActive
            | Cause::Stall
            | Cause::LinkDown
            | Cause::Heard
            | Cause::Alone
            | Cause::DuplicateId => f.write_str(self.name()),
        }
    }
}
