//! When which flow wants attention again.
//!
//! Entries are not removed when a flow's deadline moves: a later deadline is found when the earlier
//! entry comes up, and a flow that is gone by its generation.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use locum_types::Instant;

use crate::table::Key;

/// The entries of all flows.
#[derive(Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(Instant, Key)>>);

impl Timers {
    /// Makes sure that the flow comes up by `at`, given the entries it has.
    pub(crate) fn arm(&mut self, at: Instant, key: Key, armed: &mut Armed) {
        if armed.needs(at) {
            self.0.push(Reverse((at, key)));
        }
    }

    /// The next entry that is due by `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, Key)> {
        let due = self.0.peek().is_some_and(|Reverse((at, _))| *at <= now);
        due.then(|| self.0.pop().map(|Reverse(entry)| entry)).flatten()
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The entries of one flow: the earliest, and one beyond.
///
/// The second one keeps the heap short. A flow alternates between a near deadline (retransmission) and a
/// far one (keep-alive, idle); if it remembered only the near one, it would add a far entry each time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Armed {
    near: Option<Instant>,
    far: Option<Instant>,
}

impl Armed {
    /// Notes a deadline; true if it is earlier than every entry there is.
    fn needs(&mut self, at: Instant) -> bool {
        if self.near.is_some_and(|near| near <= at) {
            return false;
        }
        self.far = self.far.or(self.near);
        self.near = Some(at);
        true
    }

    /// Takes the entry that came up; false if it had been displaced by an earlier one.
    pub(crate) fn take(&mut self, at: Instant) -> bool {
        let current = self.near == Some(at);
        if current {
            self.near = self.far.take();
        }
        current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1_000)
    }

    #[test]
    fn alternating_near_and_far_deadlines_leave_no_pile_of_entries() {
        let mut timers = Timers::default();
        let mut armed = Armed::default();
        let key = Key::default();
        for round in 0..50 {
            timers.arm(at(round + 60), key, &mut armed);
            timers.arm(at(round + 1), key, &mut armed);
            while let Some((at, _)) = timers.pop_due(at(round + 1)) {
                assert!(armed.take(at));
            }
        }
        assert!(timers.0.len() <= 2, "{} entries for one flow", timers.0.len());
    }

    #[test]
    fn a_displaced_entry_is_stale_and_the_far_one_is_not() {
        let mut armed = Armed::default();
        assert!(armed.needs(at(60)));
        assert!(armed.needs(at(5)));
        assert!(!armed.needs(at(7)));
        assert!(armed.needs(at(1)));
        assert!(armed.take(at(1)));
        assert!(!armed.take(at(5)));
        assert!(armed.take(at(60)));
    }
}
