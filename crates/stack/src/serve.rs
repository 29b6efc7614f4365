//! Frames out: serving flows, by themselves or because their time has come, and everything else that
//! has something to say.

use std::time::Duration;

use locum_types::Instant;
use smoltcp::iface::PollResult;
use smoltcp::phy::Device;

use crate::flow::Overdue;
use crate::service::{CloseReason, Event};
use crate::stack::Stack;
use crate::table::Key;

/// Packets of one flow in one go; a flow that has more is served again.
const PACKETS_MAX: usize = 64;
/// No timer is set closer than this: what is due now waits in the queue, not among the timers.
const TIMER_STEP: Duration = Duration::from_micros(1);

impl<D: Device> Stack<D> {
    /// Tells the service what happened on a flow, sends what it has to say, and sees to it that the flow
    /// is looked at again in time.
    pub(crate) fn serve(&mut self, now: Instant, key: Key) {
        let told = self.deliver(now, key);
        let sent = self.transmit(now, key);
        self.nudge_client(now, key, sent);
        self.record_received(now, key);
        let Some(flow) = self.table.get_mut(key) else { return };
        if !flow.socket().is_open() {
            // It closed while sending: there is a last word to say.
            self.deliver(now, key);
        }
        let Some(flow) = self.table.get_mut(key) else { return };
        let stack_at = flow.stack_at(now, &mut self.interface);
        let sent = stack_at.is_none_or(|at| at > now);
        flow.dirty = !(told && sent);
        if flow.dirty {
            flow.line_up(key, &mut self.dirty);
        } else {
            let at = flow.deadline(now, stack_at, &self.config.limits).max(now + TIMER_STEP);
            self.timers.arm(at, key, &mut flow.armed);
        }
    }

    /// Has a flow served when its turn comes.
    pub(crate) fn serve_later(&mut self, key: Key) {
        if let Some(flow) = self.table.get_mut(key) {
            flow.line_up(key, &mut self.dirty);
        }
    }

    /// Sends what a flow has to send, as far as there is room; true if something was sent.
    fn transmit(&mut self, now: Instant, key: Key) -> bool {
        let Some(flow) = self.table.get_mut(key) else { return false };
        flow.finish_sending();
        let mut sent = false;
        for _ in 0..PACKETS_MAX {
            let result = self.interface.poll_egress(now.into(), &mut self.device, &mut flow.set);
            if matches!(result, PollResult::None) {
                break;
            }
            sent = true;
        }
        flow.probe_sent();
        sent
    }

    /// Serves flows that wait, up to the budget; true if some are left.
    pub(crate) fn serve_dirty(&mut self, now: Instant) -> bool {
        for _ in 0..self.config.limits.flow_budget.min(self.dirty.len()) {
            if self.device.transmit(now.into()).is_none() {
                // No room for what they have to say: they keep their places.
                break;
            }
            let Some(key) = self.dirty.pop_front() else { break };
            let Some(flow) = self.table.get_mut(key) else { continue };
            flow.queued = false;
            if flow.dirty {
                self.serve(now, key);
            }
        }
        !self.dirty.is_empty()
    }

    /// Looks at flows whose time has come, up to the budget; true if more are due.
    pub(crate) fn run_timers(&mut self, now: Instant) -> bool {
        for _ in 0..self.config.limits.flow_budget {
            let Some((at, key)) = self.timers.pop_due(now) else { return false };
            let Some(flow) = self.table.get_mut(key) else { continue };
            if !flow.armed.take(at) {
                continue;
            }
            let stack_at = flow.stack_at(now, &mut self.interface);
            if let Some(overdue) = flow.overdue(now, stack_at, &self.config.limits) {
                self.expire(now, key, overdue);
            }
            self.serve(now, key);
        }
        self.timers.next().is_some_and(|at| at <= now)
    }

    fn expire(&mut self, now: Instant, key: Key, overdue: Overdue) {
        let Some(flow) = self.table.get_mut(key) else { return };
        if flow.ended_by.is_some() {
            // It was reset already, but there is no way to say so.
            self.end(now, key);
            return;
        }
        let counter = match overdue {
            Overdue::HalfOpen => {
                self.counters.half_open_expired += 1;
                self.end(now, key);
                return;
            }
            Overdue::Silent => {
                self.counters.keep_alives += 1;
                flow.probe(now);
                return;
            }
            Overdue::Astray => {
                flow.remind(now);
                return;
            }
            Overdue::Stalled => {
                self.counters.flows_nudged += 1;
                flow.nudge(now);
                return;
            }
            Overdue::Wedged if self.heal(now, key) => {
                self.counters.flows_healed += 1;
                return;
            }
            Overdue::Idle => &mut self.counters.flows_idle,
            Overdue::FinWait => &mut self.counters.flows_fin_wait,
            Overdue::Unanswered => &mut self.counters.flows_unanswered,
            Overdue::Wedged => &mut self.counters.flows_wedged,
        };
        *counter += 1;
        let Some(flow) = self.table.get_mut(key) else { return };
        flow.ended_by = Some(CloseReason::TimedOut);
        flow.socket_mut().abort();
    }

    /// Tells services whose time has come.
    pub(crate) fn tick(&mut self, now: Instant) {
        let time = self.time.at(now);
        for index in 0..self.listeners.len() {
            if self.listeners[index].service.next_tick().is_some_and(|at| at <= time) {
                self.tell(now, index, None, Event::Tick);
            }
        }
    }

    /// Hands received datagrams to their service, and sends its answers.
    pub(crate) fn receive_datagrams(&mut self, now: Instant, index: usize) {
        let mut payload = std::mem::take(&mut self.scratch);
        for _ in 0..self.config.limits.datagrams_max {
            let port = self.listeners[index].udp.as_mut();
            let Some(ends) = port.and_then(|port| port.receive(&mut payload)) else { break };
            let (local, remote) = (ends.local, ends.remote);
            let event = Event::Datagram { local, remote, bytes: &payload };
            self.tell(now, index, None, event);
        }
        self.scratch = payload;
        self.send_datagrams(now, index);
    }

    /// Sends datagrams of a service; returns when it has to go on.
    fn send_datagrams(&mut self, now: Instant, index: usize) -> Option<Instant> {
        let port = self.listeners[index].udp.as_mut().filter(|port| port.has_output())?;
        for _ in 0..self.config.limits.datagrams_max {
            let result = self.interface.poll_egress(now.into(), &mut self.device, &mut port.set);
            if matches!(result, PollResult::None) {
                break;
            }
            port.note_sent();
        }
        let at = self.interface.poll_at(now.into(), &port.set).map(Instant::from)?;
        // A device without room is a reason to come back at once.
        if at > now {
            self.counters.datagrams_unsent += port.note_stuck(now);
        }
        port.has_output().then_some(at)
    }

    /// Sends what services have said by datagram, and what the interface says by itself (multicast
    /// memberships). True if there is more.
    pub(crate) fn send_rest(&mut self, now: Instant) -> bool {
        self.rest_at =
            (0..self.listeners.len()).filter_map(|index| self.send_datagrams(now, index)).min();
        self.interface.poll_maintenance(now.into());
        self.interface.poll_egress(now.into(), &mut self.device, &mut self.misc);
        self.rest_at.is_some_and(|at| at <= now)
    }
}
