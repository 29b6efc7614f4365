//! What goes into the monitor and what comes out.

use std::time::Duration;

use locum_types::{Cause, Grant, Health, Instant, LogPosition, Mode, NodeId, ResignReason, Term};
use locum_wire::Beat;

use crate::Config;

/// What a monitor is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// An authentic beat of this group for this node, or one that bears this node's own id.
    Beat(Beat),
    /// A node of the group answered a probe for a service address: the active one's service loop lives.
    ProbeAnswered,
    /// The service's health.
    Health(Health),
    /// What this node's copy of the log is worth.
    Position {
        /// How far it reaches.
        position: LogPosition,
        /// From when on it is not known to be whole, unless that is said anew; `None`: that does not end by itself.
        until: Option<Instant>,
    },
    /// The operator wants another node to be active.
    Handover {
        /// Which one; `None`: the best.
        to: Option<NodeId>,
    },
    /// The process is about to end.
    Shutdown(ResignReason),
    /// The link went up or down.
    Link {
        /// Whether it is up now.
        up: bool,
    },
    /// Frames for this node wait to be read: whoever reads them is busy with something else. Told at least once
    /// an interval as long as that is so.
    Deaf,
    /// This node hears nobody on the service link since its start, or since a peer fell silent, or it does again: while
    /// it is active and isolated, clients are not with it.
    Isolated(bool),
    /// Somebody else spoke for a service address.
    Rival,
    /// The configuration was read again.
    Reconfigure(Config),
}

/// What a monitor wants done. Outputs are to be carried out in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Put this into the mode cell, before anything else.
    Grant(Grant),
    /// Send this beat to the node it is addressed to.
    Beat(Beat),
    /// Ask the link for the service addresses, from the node's own MAC.
    Probe,
    /// Start the announcement burst, again.
    Announce,
    /// A rival has yielded to this node: what clients said to it meanwhile is lost.
    Prevailed,
    /// [`Monitor::will`](crate::Monitor::will) has a new answer.
    WillChanged,
    /// Log it, count it, tell the hooks.
    Event(Event),
    /// The shutdown is complete; nothing more will come.
    Finished,
}

/// Something worth telling people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The mode changed.
    ModeChanged {
        /// The mode before.
        from: Mode,
        /// The mode from now on.
        to: Mode,
        /// Why.
        cause: Cause,
        /// The node's term from now on.
        term: Term,
        /// For a takeover: the time since the predecessor's last beat.
        detection: Option<Duration>,
    },
    /// A peer was heard for the first time, or again.
    PeerUp {
        /// Which one.
        peer: NodeId,
    },
    /// A peer is no longer heard.
    PeerDown {
        /// Which one.
        peer: NodeId,
        /// It said nothing for its detection time; otherwise it, or its warden, said goodbye.
        silent: bool,
    },
    /// The active node's beats are lost, but it answers probes: stay waiting.
    Degraded {
        /// The active node.
        peer: NodeId,
    },
    /// This node is active, and hears nobody on the service link since its start, or since a peer fell silent.
    Isolated,
    /// Its beats arrive again.
    Recovered {
        /// The active node.
        peer: NodeId,
    },
    /// A hand-over was asked for that cannot be.
    HandoverRefused {
        /// Why not.
        why: &'static str,
    },
    /// The successor was heard, and this node is silent.
    HandedOver {
        /// The node that is active now.
        to: NodeId,
        /// From the first offer to the successor's first beat: both were active for less than that.
        took: Duration,
    },
    /// The offered successor did not take over in time; this node stays active.
    HandoverFailed {
        /// Who was offered it.
        to: NodeId,
    },
    /// Another active node was heard that must yield.
    RivalHeard {
        /// Which one.
        peer: NodeId,
    },
    /// Another node uses this node's id.
    DuplicateId,
    /// Two nodes use the id of one peer; the one that was first is heard.
    TwinHeard {
        /// Which id.
        peer: NodeId,
    },
    /// A reload tried to change the group or the node's id.
    ConfigRefused,
}

/// Why the monitor wants its next turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Beats are due.
    Beat,
    /// An offer or a request is due again, or to be given up.
    Handover,
    /// Listening after the start ends.
    Join,
    /// A fenced node may look whether it is alone.
    Fence,
    /// A probe is due.
    Probe,
    /// A claim is due.
    Claim,
    /// A peer's detection time ends.
    PeerSilence,
}

impl Deadline {
    /// The reason in words, for traces.
    pub const fn name(self) -> &'static str {
        match self {
            Deadline::Beat => "beat",
            Deadline::Handover => "hand-over",
            Deadline::Join => "join",
            Deadline::Fence => "fence",
            Deadline::Probe => "probe",
            Deadline::Claim => "claim",
            Deadline::PeerSilence => "peer silence",
        }
    }
}
