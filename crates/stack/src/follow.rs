//! Following the active node by its log, and taking its place.
//!
//! What belongs here: what a waiting node's stack does with entries, and how connections come to life at a
//! takeover. What does not: how entries get here (`locum-replica`), and when it is time.

use locum_types::sabotage::{Sabotage, sabotaged};
use locum_types::{Instant, LogPosition};
use smoltcp::phy::Device;

use crate::image::TcpState;
use crate::log::Entry;
use crate::record::ServiceTime;
use crate::service::{CloseReason, Event, FlowId};
use crate::shadow::{Misfit, Outlook};
use crate::stack::Stack;
use crate::{FlowsLost, Tuple};

/// Connections that come to life in one poll beside those whose clients speak: each takes some ten microseconds.
const AWAKEN_MAX: usize = 16;

/// What a takeover finds of the former active node's connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Succession {
    /// Those that are to go on.
    pub carried: usize,
    /// Those that end, because their service is left out of the log.
    pub left_out: usize,
}

impl<D: Device> Stack<D> {
    /// Applies an entry of the log, which happened at `time` of the services and got here `now`: they see what
    /// those of the active node saw. After an error this copy is worthless, and has to be made anew.
    pub fn apply(
        &mut self,
        now: Instant,
        time: Instant,
        position: LogPosition,
        entry: &Entry<'_>,
    ) -> Result<(), Misfit> {
        let port = self.shadows.port_of(entry)?;
        let index = self.listener(port).ok_or(Misfit::NoService { port })?;
        let Some(listener) = self.listeners.get_mut(index) else {
            return Err(Misfit::NoService { port });
        };
        self.shadows.apply(time, entry, &mut *listener.service)?;
        self.time = ServiceTime::starting(now, time);
        self.position = position;
        Ok(())
    }

    /// Takes the active node's place: the services' time goes on from the last entry, and the connections come
    /// to life, those whose clients speak first, the others in the polls to come.
    pub fn succeed(&mut self) -> Succession {
        self.table.skip_ids(self.shadows.highest());
        self.asleep = self.shadows.ids().collect();
        let mut succession = Succession::default();
        for port in self.shadows.ports() {
            if self.is_replicated(port) {
                succession.carried += 1;
            } else {
                succession.left_out += 1;
            }
        }
        succession
    }

    /// Begins a log of its own. Connections that were followed are lost, and services and clients told so: what this
    /// stack knows of them may be old. Returns how many are lost, and why.
    pub fn begin_history(&mut self, now: Instant) -> FlowsLost {
        let before = self.counters.flows_lost;
        let ids: Vec<FlowId> = self.shadows.ids().collect();
        for id in ids {
            let Some((image, outlook)) = self.shadows.take(id) else { continue };
            self.tickles.add(now, &image);
            let port = image.tuple.local.port();
            if outlook != Outlook::Aborted && image.state() != TcpState::TimeWait {
                self.count_lost(port);
            }
            if let Some(index) = self.listener(port).filter(|_| image.opened) {
                let event = Event::Closed { flow: id, reason: CloseReason::TimedOut };
                self.tell(now, index, None, event);
            }
        }
        self.asleep.clear();
        self.table.skip_ids(self.shadows.highest());
        self.position = LogPosition::default();
        self.counters.flows_lost.since(before)
    }

    /// A connection to this port was followed, and cannot be known.
    fn count_lost(&mut self, port: u16) {
        if self.is_replicated(port) {
            self.counters.flows_lost.no_copy += 1;
        } else {
            self.counters.flows_lost.left_out += 1;
        }
    }

    /// Gives its place to another node, and may follow it: what this stack knows of its connections it goes on
    /// knowing, but they are the other node's now. Services are told nothing, but for those that are left out of the
    /// log: their connections end here.
    pub fn retire(&mut self, now: Instant) {
        for id in self.table.ids() {
            self.end_left_out(now, id);
            // Without a copy of its output a connection cannot be known; whoever follows is given all of them.
            let Some(image) = self.image(id) else { continue };
            if let Err(why) = self.shadows.restore(image) {
                log::warn!("a connection is not carried over: {why}");
            }
        }
        self.shadows.skip_ids(self.table.highest_id());
        self.asleep.clear();
        self.tickles.clear();
        self.table.clear();
        self.timers.clear();
        self.dirty.clear();
        self.half_open.clear();
    }

    /// Tells a service that is left out of the log that one of its connections has ended.
    fn end_left_out(&mut self, now: Instant, id: FlowId) {
        let flow = self.table.find_id(id).and_then(|key| self.table.get(key));
        let Some((listener, true)) = flow.map(|flow| (flow.listener, flow.opened)) else { return };
        if self.listeners.get(listener).is_some_and(|listener| !listener.replicated) {
            let event = Event::Closed { flow: id, reason: CloseReason::Aborted };
            self.tell(now, listener, None, event);
        }
    }

    /// Forgets every connection, and what is left of those that never came to life. Services are told
    /// nothing: their state is to be replaced.
    pub fn forget(&mut self) {
        self.table.clear();
        self.timers.clear();
        self.dirty.clear();
        self.half_open.clear();
        self.shadows.clear();
        self.asleep.clear();
    }

    /// Brings the connections to life that nobody asked for yet, up to the budget; true if some are left.
    pub(crate) fn awaken_some(&mut self, now: Instant) -> bool {
        for _ in 0..AWAKEN_MAX {
            let Some(flow) = self.asleep.pop_front() else { return false };
            self.awaken(now, flow);
        }
        !self.asleep.is_empty()
    }

    /// Brings a connection to life whose client speaks.
    pub(crate) fn awaken_client(&mut self, now: Instant, tuple: &Tuple) {
        if self.asleep.is_empty() {
            return;
        }
        if let Some(flow) = self.shadows.find(tuple) {
            self.awaken(now, flow);
        }
    }

    fn awaken(&mut self, now: Instant, id: FlowId) {
        let Some((mut image, outlook)) = self.shadows.take(id) else { return };
        if sabotaged(Sabotage::IsnOffByOne) {
            image.local_isn = image.local_isn.wrapping_add(1);
        }
        let is_left_out = !self.is_replicated(image.tuple.local.port());
        let reason = match outlook {
            Outlook::Aborted => CloseReason::Aborted,
            Outlook::Unlike => {
                log::warn!(
                    "connection lost at the takeover: its client has heard what nobody here said"
                );
                self.counters.flows_lost.unlike += 1;
                CloseReason::TimedOut
            }
            Outlook::GoesOn if is_left_out => {
                self.counters.flows_lost.left_out += 1;
                CloseReason::Aborted
            }
            Outlook::GoesOn => {
                let Err(why) = self.restore(now, &image) else { return };
                log::warn!("connection lost at the takeover: {why}");
                self.counters.flows_lost.refused += 1;
                CloseReason::TimedOut
            }
        };
        self.tickles.add(now, &image);
        match self.listener(image.tuple.local.port()).filter(|_| image.opened) {
            Some(index) => self.tell(now, index, None, Event::Closed { flow: id, reason }),
            None => self.record(now, &Entry::Closed { flow: id, reason }),
        }
    }
}
