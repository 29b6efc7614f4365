//! The heartbeat: what one node tells one peer, many times a second.

use std::time::Duration;

use locum_types::{
    BootNonce, GroupId, Health, LogPosition, Mode, NodeId, Priority, ResignReason, Term,
};

/// What a beat asks of its receiver, beyond being heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Nothing: a plain heartbeat.
    None,
    /// The sender is no longer active, and says why: take over at once.
    Resign(ResignReason),
    /// The sender is active and asks the receiver to take over in the next term; it serves until it
    /// hears the receiver's first active beat, so that no request falls between the two.
    Offer(ResignReason),
    /// The sender is waiting, outranks the active receiver, and asks for an [`Intent::Offer`].
    Request,
}

/// A timestamp of the receiver, sent back to it: round-trip time without comparing clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampEcho {
    /// The `timestamp` of the last beat heard from the receiver.
    pub timestamp: u32,
    /// Microseconds between hearing it and sending this beat.
    pub held_us: u32,
}

/// One heartbeat, from one node to one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The group both belong to.
    pub group: GroupId,
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
    /// The sender's boot nonce: a new life has a new one.
    pub boot: BootNonce,
    /// The receiver's boot nonce as the sender knows it; without it a beat introduces, no more.
    pub echo: Option<BootNonce>,
    /// Counts the beats from this boot of the sender to this receiver, from 1. `u64::MAX` is the last
    /// word of a boot: the will that a warden sends.
    pub sequence: u64,
    /// The sender's term.
    pub term: Term,
    /// The sender's mode.
    pub mode: Mode,
    /// The sender's service health.
    pub health: Health,
    /// The sender's priority.
    pub priority: Priority,
    /// How far the sender's log reaches.
    pub position: LogPosition,
    /// The interval at which the sender beats; microseconds on the wire.
    pub interval: Duration,
    /// After how long a silence the sender wants to be thought dead; microseconds on the wire.
    pub dead_after: Duration,
    /// Which of the receiver's last 32 beats the sender heard: bit 0 is the latest heard sequence
    /// number, bit n the one n before it. 0: none yet. The receiver reads loss towards the sender from it.
    pub heard: u32,
    /// How long before this beat the sender last heard the receiver, in microseconds, saturating;
    /// `None` if never. The receiver sees one-way loss by it ("I hear you").
    pub heard_age_us: Option<u32>,
    /// The sender's clock in microseconds, wrapping; only the sender can read it.
    pub timestamp: u32,
    /// The receiver's last timestamp, sent back.
    pub timestamp_echo: Option<TimestampEcho>,
    /// What the beat asks for.
    pub intent: Intent,
}
