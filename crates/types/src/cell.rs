//! The mode cell: one atomic word in which the heartbeat thread tells the gate what it may do.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::sabotage::{Sabotage, sabotaged};
use crate::{Instant, Mode, Term};

/// What the monitor allows: the node is in `mode`, in `term`, and if active it may speak until `lease`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The node's mode.
    pub mode: Mode,
    /// The term the node is in.
    pub term: Term,
    /// An active node is silent from here on, unless the lease is renewed first.
    pub lease: Instant,
}

/// The word: bits 0–1 the mode, 2–17 the low bits of the term, 18–63 the lease in 64 µs units.
///
/// Written by the heartbeat half alone, read by the gate at every frame. A single word, so a reader
/// never sees the mode of one grant with the lease of another.
#[derive(Debug)]
pub struct ModeCell(AtomicU64);

const TERM_BITS: u32 = 16;
const TERM_SHIFT: u32 = 2;
const LEASE_SHIFT: u32 = TERM_SHIFT + TERM_BITS;
/// Rounded down, so a lease is never longer in the cell than it was granted.
const LEASE_UNIT_NANOS: u64 = 64_000;

impl ModeCell {
    /// A cell of a node that has said nothing yet: joining, term 0, no lease.
    pub const fn new() -> Self {
        ModeCell(AtomicU64::new(Mode::Joining as u64))
    }

    /// Publishes a grant.
    pub fn store(&self, grant: Grant) {
        let lease = (grant.lease.as_nanos() / LEASE_UNIT_NANOS).min(u64::MAX >> LEASE_SHIFT);
        let term = grant.term.0 & ((1 << TERM_BITS) - 1);
        let word = u64::from(grant.mode.code()) | term << TERM_SHIFT | lease << LEASE_SHIFT;
        self.0.store(word, Ordering::Release);
    }

    /// What the cell says at this moment, as a whole.
    #[inline]
    pub fn read(&self) -> Reading {
        Reading(self.0.load(Ordering::Acquire))
    }

    /// The mode that holds at `now`: an active node whose lease has run out counts as fenced.
    #[inline]
    pub fn mode_at(&self, now: Instant) -> Mode {
        self.read().mode_at(now)
    }

    /// The mode as it was granted, whether or not the lease still holds.
    pub fn granted_mode(&self) -> Mode {
        self.read().granted_mode()
    }

    /// The low 16 bits of the term: enough to notice that a new activation has begun.
    pub fn term_tag(&self) -> u16 {
        self.read().term_tag()
    }
}

/// What a [`ModeCell`] said at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading(u64);

impl Reading {
    /// The mode that holds at `now`: an active node whose lease has run out counts as fenced.
    #[inline]
    pub fn mode_at(self, now: Instant) -> Mode {
        let mode = self.granted_mode();
        let has_ended = now.as_nanos() / LEASE_UNIT_NANOS >= self.0 >> LEASE_SHIFT;
        if sabotaged(Sabotage::GateOpen) && mode == Mode::Waiting {
            return Mode::Active;
        }
        if mode == Mode::Active && has_ended { Mode::Fenced } else { mode }
    }

    /// The mode as it was granted, whether or not the lease still holds.
    #[inline]
    pub fn granted_mode(self) -> Mode {
        Mode::from_code((self.0 & 0b11) as u8).unwrap_or(Mode::Fenced)
    }

    /// The low 16 bits of the term.
    #[inline]
    pub fn term_tag(self) -> u16 {
        (self.0 >> TERM_SHIFT) as u16
    }
}

impl Default for ModeCell {
    fn default() -> Self {
        ModeCell::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_new_cell_is_silent() {
        assert_eq!(ModeCell::new().mode_at(Instant::ZERO), Mode::Joining);
    }

    #[test]
    fn an_active_grant_ends_with_its_lease() {
        let cell = ModeCell::new();
        let lease = Instant::from_millis(100);
        cell.store(Grant { mode: Mode::Active, term: Term(9), lease });
        assert_eq!(cell.mode_at(lease.saturating_sub(Duration::from_micros(64))), Mode::Active);
        assert_eq!(cell.mode_at(lease), Mode::Fenced);
        assert_eq!(cell.granted_mode(), Mode::Active);
        assert_eq!(cell.term_tag(), 9);
    }

    #[test]
    fn the_lease_never_grows_by_rounding_and_holds_for_decades() {
        let cell = ModeCell::new();
        let lease = Instant::from_nanos(3_000_000_000_000_000_001);
        cell.store(Grant { mode: Mode::Active, term: Term(u64::MAX), lease });
        assert_eq!(cell.mode_at(lease.saturating_sub(Duration::from_millis(1))), Mode::Active);
        assert_eq!(cell.mode_at(lease), Mode::Fenced);
        assert_eq!(cell.term_tag(), u16::MAX);
    }

    #[test]
    fn other_modes_do_not_depend_on_the_lease() {
        let cell = ModeCell::new();
        for mode in [Mode::Joining, Mode::Waiting, Mode::Fenced] {
            cell.store(Grant { mode, term: Term(1), lease: Instant::ZERO });
            assert_eq!(cell.mode_at(Instant::from_millis(5)), mode);
        }
    }
}
