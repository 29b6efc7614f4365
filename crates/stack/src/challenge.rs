//! Challenge acknowledgements: a client whose RST is near, but not at the expected number is asked to say it
//! again (RFC 5961 §3.2). One that meant it answers with an exact RST; a blind attacker cannot.

use std::time::Duration;

use locum_types::Instant;
use smoltcp::phy::Device;

use crate::parse::Segment;
use crate::restore::{ask, question};
use crate::stack::Stack;
use crate::table::Key;

/// At most one challenge per flow in this time (RFC 5961 §7).
const CHALLENGE_EVERY: Duration = Duration::from_millis(500);

impl<D: Device> Stack<D> {
    /// Answers a RST that is not at the expected number, if it is in the window.
    pub(crate) fn challenge(&mut self, now: Instant, key: Key, segment: &Segment) {
        self.counters.resets_inexact += 1;
        let Some(flow) = self.table.get_mut(key) else { return };
        let ahead = segment.sequence.wrapping_sub(flow.remote_next()) as usize;
        let lately = flow.challenged.is_some_and(|at| now < at + CHALLENGE_EVERY);
        if lately || !flow.opened || ahead >= flow.room() {
            return;
        }
        flow.challenged = Some(now);
        let frame = question(self.config.mac, flow, flow.local_unacked());
        ask(now, &mut self.interface, &mut self.device, &mut flow.set, &frame);
    }
}
