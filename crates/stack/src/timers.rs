//! When which flow wants attention again.
//!
//! Entries are not removed when a flow's deadline moves: a later deadline is found when the earlier
//! entry comes up, and a flow that is gone by its generation.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use locum_types::Instant;

use crate::table::Key;

#[derive(Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(Instant, Key)>>);

impl Timers {
    pub(crate) fn arm(&mut self, at: Instant, key: Key) {
        self.0.push(Reverse((at, key)));
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
