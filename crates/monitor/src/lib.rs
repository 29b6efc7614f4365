//! The monitor: the sans-IO state machine that owns a node's mode.
//!
//! Beats, probes and operator commands go in; grants, beats and events come out. It has no clock, no
//! thread and no socket: `now` is a parameter, randomness is seeded, and two monitors that were told the
//! same have said the same.
//!
//! One turn of the loop around it is
//! [`begin_turn`](Monitor::begin_turn) (notice own stalls, send the beats that are due),
//! [`handle`](Monitor::handle) for everything that was queued, and
//! [`end_turn`](Monitor::end_turn) (judge the others, now that they were heard).
//!
//! What belongs here: when the mode changes, and why. What does not: bytes (`locum-wire`), frames
//! (`locum-gate`), threads (`locum`). `docs/MONITOR.md` has the chart and the timing.

#![forbid(unsafe_code)]

mod config;
mod detector;
mod duties;
mod election;
mod handover;
mod hearing;
mod io;
mod monitor;
mod peer;
mod status;
mod succession;
mod transition;

pub use config::Config;
pub use io::{Deadline, Event, Input, Output};
pub use monitor::Monitor;
pub use status::{Counters, PeerStatus, RefusedBeats, Status, Takeover};
pub use transition::{TRANSITIONS, Transition, is_legal};

#[cfg(test)]
mod tests;
