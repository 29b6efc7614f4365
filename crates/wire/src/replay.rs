//! Each beat once: the sliding window over the sequence numbers of one peer's boot.

use locum_types::sabotage::{Sabotage, sabotaged};

/// How many sequence numbers, down from the highest one, a [`ReplayWindow`] can tell apart.
pub const REPLAY_WINDOW: u64 = u64::BITS as u64;

/// Remembers which of a sender's last 64 sequence numbers were heard (RFC 4303 §3.4.3).
///
/// One window belongs to one boot of one peer. A new boot nonce needs a new window, and the boot
/// before it must stay retired, or its beats could be replayed into a fresh window.
///
/// A late number that was not heard yet is accepted: the beat was delivered, which is all that loss
/// and silence are about. What it says is older than [`highest`](ReplayWindow::highest), and must
/// not undo it.
///
/// `u64::MAX` is a number like any other: newer than all, and so far ahead of those in use that
/// none of them is in the window behind it. So no beat of a boot is believed after its will.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayWindow {
    highest: u64,
    seen: u64,
}

impl ReplayWindow {
    /// A window that has heard nothing.
    pub const fn new() -> Self {
        ReplayWindow { highest: 0, seen: 0 }
    }

    /// Whether `sequence` is new; it is not, from then on. Zero, which no beat has, never is.
    #[must_use]
    pub fn accept(&mut self, sequence: u64) -> bool {
        if sequence > self.highest {
            self.seen = match sequence - self.highest {
                steps @ 0..REPLAY_WINDOW => self.seen << steps,
                REPLAY_WINDOW.. => 0,
            };
            self.seen |= 1;
            self.highest = sequence;
            return true;
        }
        if sabotaged(Sabotage::ReplayAccepted) {
            self.highest = sequence.saturating_sub(1);
            return true;
        }
        let age = self.highest - sequence;
        if age >= REPLAY_WINDOW || sequence == 0 {
            return false;
        }
        let bit = 1 << age;
        let is_new = self.seen & bit == 0;
        self.seen |= bit;
        is_new
    }

    /// The highest number accepted, 0 before the first.
    pub const fn highest(&self) -> u64 {
        self.highest
    }

    /// Which of the last 32 numbers were heard, as [`Beat::heard`](crate::Beat::heard) has it.
    pub const fn recent(&self) -> u32 {
        self.seen as u32
    }
}

#[cfg(test)]
mod tests;
