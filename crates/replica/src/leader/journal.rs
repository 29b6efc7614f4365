//! The leader's log is what a stack tells everything to.

use locum_stack::log::{Entry, Journal};
use locum_types::{Instant, LogPosition};

use super::Leader;

impl Journal for Leader {
    fn append(&mut self, now: Instant, time: Instant, entry: &Entry<'_>) -> LogPosition {
        Leader::append(self, now, time, entry)
    }
}
