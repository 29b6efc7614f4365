//! The replay window: each sequence number of one boot of a peer counts once (RFC 4303 §3.4.3).

/// How many numbers behind the highest one are remembered.
pub const REPLAY_WINDOW: u64 = 64;

/// Which of the latest sequence numbers have been seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayWindow {
    highest: u64,
    /// Bit n: the number n below the highest one was seen.
    seen: u64,
}

impl ReplayWindow {
    /// A window that has seen nothing.
    pub const fn new() -> Self {
        ReplayWindow { highest: 0, seen: 0 }
    }

    /// Takes a sequence number; false if it was seen before, or is too old to tell. 0 is never taken.
    pub fn accept(&mut self, sequence: u64) -> bool {
        if sequence > self.highest {
            let ahead = sequence - self.highest;
            self.seen = if ahead < REPLAY_WINDOW { self.seen << ahead } else { 0 };
            self.seen |= 1;
            self.highest = sequence;
            return true;
        }
        let behind = self.highest - sequence;
        if sequence == 0 || behind >= REPLAY_WINDOW || self.seen & (1 << behind) != 0 {
            return false;
        }
        self.seen |= 1 << behind;
        true
    }

    /// The highest number taken; 0 if none was.
    pub const fn highest(&self) -> u64 {
        self.highest
    }

    /// Which of the last 32 numbers were seen: bit 0 is the highest one.
    pub const fn recent(&self) -> u32 {
        self.seen as u32
    }
}
