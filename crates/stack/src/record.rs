//! Telling the journal, when there is one: each entry before the service hears of it, and all of them
//! before the embedding lets frames of the same poll leave.

use std::any::Any;
use std::time::Duration;

use locum_types::sabotage::{Sabotage, sabotaged};
use locum_types::{Instant, LogPosition};
use smoltcp::phy::Device;
use smoltcp::socket::tcp;

use crate::log::{Entry, Journal};
use crate::service::{Event, FlowId};
use crate::stack::Stack;
use crate::table::Key;

/// The services' own time: it goes on where the log that was followed has ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ServiceTime {
    /// Of this node's clock,
    local: Instant,
    /// and what it was then for the services.
    service: Instant,
}

impl ServiceTime {
    /// A time that is `service` now.
    pub(crate) fn starting(now: Instant, service: Instant) -> Self {
        ServiceTime { local: now, service }
    }

    pub(crate) fn at(self, now: Instant) -> Instant {
        self.service + now.saturating_since(self.local)
    }

    /// When this node's clock shows it.
    pub(crate) fn local(self, service: Instant) -> Instant {
        let ahead: Duration = service.saturating_since(self.service);
        self.local + ahead
    }
}

impl<D: Device> Stack<D> {
    /// From now on every event is appended to `journal` before a service hears of it. Returns the journal
    /// that was in use.
    pub fn set_journal(&mut self, journal: Option<Box<dyn Journal>>) -> Option<Box<dyn Journal>> {
        std::mem::replace(&mut self.journal, journal)
    }

    /// The journal in use, if it is a `J`.
    pub fn journal<J: Journal>(&self) -> Option<&J> {
        let journal: &dyn Any = self.journal.as_deref()?;
        journal.downcast_ref()
    }

    /// The journal in use, if it is a `J`.
    pub fn journal_mut<J: Journal>(&mut self) -> Option<&mut J> {
        let journal: &mut dyn Any = self.journal.as_deref_mut()?;
        journal.downcast_mut()
    }

    /// The position of the last entry appended or applied: no frame that was made up to now depends on a
    /// later one.
    pub fn position(&self) -> LogPosition {
        self.position
    }

    pub(crate) fn record(&mut self, now: Instant, entry: &Entry<'_>) {
        if let Some(journal) = &mut self.journal {
            self.position = journal.append(now, self.time.at(now), entry);
        }
    }

    /// Records what a service is about to be told.
    pub(crate) fn record_event(
        &mut self,
        now: Instant,
        port: u16,
        key: Option<Key>,
        event: &Event<'_>,
    ) {
        let unlogged = matches!(event, Event::Acked { .. }) && sabotaged(Sabotage::AckUnlogged);
        if self.journal.is_none() || unlogged {
            return;
        }
        // Of a service that is left out only what connections there are is told.
        if !self.is_replicated(port) && !matches!(event, Event::Closed { .. }) {
            return;
        }
        let flow = key.and_then(|key| self.table.get(key));
        let window = flow.map_or(0, |flow| flow.window);
        let entry = match *event {
            Event::Opened { flow, .. } => Entry::Opened { flow, window },
            Event::Data { flow: id, bytes } => {
                let held = flow.map_or(0, |flow| flow.held);
                return self.record_data(now, id, key, held, bytes);
            }
            Event::Acked { flow, bytes } => Entry::Acked { flow, bytes, window },
            Event::Finished { flow } => Entry::Finished { flow },
            Event::Closed { flow, reason } => Entry::Closed { flow, reason },
            Event::Datagram { local, remote, bytes } => Entry::Datagram { local, remote, bytes },
            Event::Tick => Entry::Tick { port },
        };
        self.record(now, &entry);
    }

    /// Records a delivery, of which the first `held` bytes are in the log already.
    fn record_data(
        &mut self,
        now: Instant,
        flow: FlowId,
        key: Option<Key>,
        held: usize,
        bytes: &[u8],
    ) {
        if held == 0 {
            return self.record(now, &Entry::Data { flow, bytes });
        }
        if let Some(bytes) = bytes.get(held..).filter(|bytes| !bytes.is_empty()) {
            self.record(now, &Entry::Held { flow, bytes });
        }
        self.record(now, &Entry::Released { flow, bytes: bytes.len() });
        if let Some(flow) = key.and_then(|key| self.table.get_mut(key)) {
            flow.held = 0;
        }
    }

    /// Records what the client will be told that we have, and the service does not want to know yet.
    pub(crate) fn record_received(&mut self, now: Instant, key: Key) {
        if self.journal.is_none() {
            return;
        }
        let listener = self.table.get(key).and_then(|flow| self.listeners.get(flow.listener));
        if listener.is_none_or(|listener| !listener.replicated) {
            return;
        }
        let Some(flow) = self.table.get_mut(key) else { return };
        let (id, held, queued) = (flow.id, flow.held, flow.socket().recv_queue());
        let state = flow.socket().state();
        let fin_received = flow.client_finished() && !std::mem::replace(&mut flow.fin_noted, true);
        let our_fin_acked = matches!(state, tcp::State::FinWait2 | tcp::State::TimeWait);
        let fin_acked = our_fin_acked && !std::mem::replace(&mut flow.fin_acked_noted, true);
        if queued > held {
            let mut bytes = vec![0; queued];
            // All of the queue is there to be looked at.
            let _ = flow.socket_mut().peek_slice(&mut bytes);
            flow.held = queued;
            self.record(now, &Entry::Held { flow: id, bytes: &bytes[held..] });
        }
        if fin_received && !sabotaged(Sabotage::FinUnlogged) {
            self.record(now, &Entry::FinReceived { flow: id });
        }
        if fin_acked {
            self.record(now, &Entry::FinAcked { flow: id });
        }
    }
}
