//! Events to services, and what services do about them.

use std::collections::VecDeque;
use std::net::SocketAddr;

use locum_types::Instant;
use smoltcp::phy::Device;
use smoltcp::socket::tcp;

use crate::Config;
use crate::flow::Flow;
use crate::log::Entry;
use crate::service::{CloseReason, Event, FlowId, Outputs};
use crate::shadow::Shadows;
use crate::stack::Stack;
use crate::status::Counters;
use crate::table::{Key, Table};
use crate::udp::UdpPort;

/// Events of one flow in one go; a flow that has more is served again.
const EVENTS_MAX: usize = 32;

/// What the socket has to tell, as plain data: the service is told while nobody holds the socket.
enum News {
    Opened,
    Acked(usize),
    /// The next bytes are in the buffer that was given.
    Data,
    Finished,
    Ended,
    Nothing,
}

impl<D: Device> Stack<D> {
    /// Tells the service what happened on a flow. False if there is more.
    pub(crate) fn deliver(&mut self, now: Instant, key: Key) -> bool {
        let mut bytes = std::mem::take(&mut self.scratch);
        let mut told = false;
        for _ in 0..EVENTS_MAX {
            told = !self.deliver_one(now, key, &mut bytes);
            if told {
                break;
            }
        }
        self.scratch = bytes;
        told
    }

    /// Tells one thing; false if there was nothing to tell. `bytes` is room for data.
    fn deliver_one(&mut self, now: Instant, key: Key, bytes: &mut Vec<u8>) -> bool {
        let Some(flow) = self.table.get_mut(key) else { return false };
        let (listener, id, tuple) = (flow.listener, flow.id, flow.tuple);
        let event = match news(now, flow, bytes) {
            News::Opened => {
                self.half_open.len -= 1;
                self.counters.flows_opened += 1;
                Event::Opened { flow: id, local: tuple.local, remote: tuple.remote }
            }
            News::Acked(bytes) => Event::Acked { flow: id, bytes },
            News::Data => Event::Data { flow: id, bytes },
            News::Finished => Event::Finished { flow: id },
            News::Ended => {
                self.end(now, key);
                return false;
            }
            News::Nothing => return false,
        };
        self.tell(now, listener, Some((id, key)), event);
        true
    }

    /// Forgets a flow, and tells the service if it ever knew of it.
    pub(crate) fn end(&mut self, now: Instant, key: Key) {
        let Some(flow) = self.table.remove(key) else { return };
        self.counters.flows_closed += 1;
        if flow.opened {
            let event = Event::Closed { flow: flow.id, reason: flow.close_reason() };
            self.tell(now, flow.listener, None, event);
        } else {
            self.half_open.len -= 1;
            self.record(now, &Entry::Closed { flow: flow.id, reason: flow.close_reason() });
        }
    }

    /// Tells one service something, about the flow `current` if any.
    pub(crate) fn tell(
        &mut self,
        now: Instant,
        listener: usize,
        current: Option<(FlowId, Key)>,
        event: Event<'_>,
    ) {
        let Some(port) = self.listeners.get(listener).map(|listener| listener.port) else { return };
        self.record_event(now, port, current.map(|(_, key)| key), &event);
        let time = self.time.at(now);
        let Some(listener) = self.listeners.get_mut(listener) else { return };
        let mut mouth = Mouth {
            table: &mut self.table,
            current,
            dirty: &mut self.dirty,
            shadows: &mut self.shadows,
            udp: listener.udp.as_mut(),
            config: &self.config,
            mtu: self.mtu,
            counters: &mut self.counters,
            keep_output: self.journal.is_some() && listener.replicated,
        };
        listener.service.on_event(time, event, &mut mouth);
    }
}

/// The next thing to tell about a flow; data is moved into `bytes`.
fn news(now: Instant, flow: &mut Flow, bytes: &mut Vec<u8>) -> News {
    if !flow.opened {
        return match flow.socket().state() {
            tcp::State::SynReceived => News::Nothing,
            tcp::State::Listen | tcp::State::Closed | tcp::State::SynSent => News::Ended,
            tcp::State::Established
            | tcp::State::FinWait1
            | tcp::State::FinWait2
            | tcp::State::CloseWait
            | tcp::State::Closing
            | tcp::State::LastAck
            | tcp::State::TimeWait => {
                flow.opened = true;
                flow.touch(now);
                News::Opened
            }
        };
    }
    if flow.ended_by.is_some() {
        // Once it is reset, nothing but its end is news.
        return if flow.is_over() { News::Ended } else { News::Nothing };
    }
    let queued = flow.socket().send_queue();
    if queued < flow.unacked {
        flow.touch(now);
        return News::Acked(flow.note_acked(queued));
    }
    // smoltcp takes what lies beyond a FIN if it came before it, out of order: nothing follows a FIN.
    if !flow.paused && !flow.finished && flow.socket().recv_queue() > 0 {
        bytes.resize(flow.socket().recv_queue(), 0);
        if let Ok(len) = flow.socket_mut().recv_slice(bytes) {
            bytes.truncate(len);
            flow.delivered += len as u64;
            flow.touch(now);
            return News::Data;
        }
    }
    if !flow.paused && !flow.finished && flow.client_finished() {
        flow.finished = true;
        flow.touch(now);
        return News::Finished;
    }
    if flow.is_over() { News::Ended } else { News::Nothing }
}

/// What a service may do, on behalf of the stack that called it.
struct Mouth<'a> {
    table: &'a mut Table,
    /// The flow at hand: what a service does is mostly about the flow it was told of.
    current: Option<(FlowId, Key)>,
    dirty: &'a mut VecDeque<Key>,
    /// Connections that have not come to life yet: what is said to them is kept.
    shadows: &'a mut Shadows,
    udp: Option<&'a mut UdpPort>,
    config: &'a Config,
    mtu: usize,
    counters: &'a mut Counters,
    /// Whether flows keep what the client has not acknowledged.
    keep_output: bool,
}

impl Mouth<'_> {
    fn find(&self, id: FlowId) -> Option<Key> {
        match self.current {
            Some((current, key)) if current == id => Some(key),
            Some(_) | None => self.table.find_id(id),
        }
    }

    /// The flow, marked to be served.
    fn touch(&mut self, id: FlowId) -> Option<&mut Flow> {
        let key = self.find(id)?;
        let flow = self.table.get_mut(key)?;
        flow.line_up(key, self.dirty);
        Some(flow)
    }
}

impl Outputs for Mouth<'_> {
    fn credit(&self, flow: FlowId) -> usize {
        let Some(flow) = self.find(flow).and_then(|key| self.table.get(key)) else {
            return self.shadows.credit(flow);
        };
        self.config.limits.tx_buffer.saturating_sub(flow.unacked)
    }

    fn send(&mut self, id: FlowId, bytes: &[u8]) -> usize {
        let bytes = &bytes[..bytes.len().min(self.credit(id))];
        let keep = self.keep_output;
        let Some(flow) = self.touch(id) else { return self.shadows.send(id, bytes) };
        if flow.closing || flow.ended_by == Some(CloseReason::Aborted) {
            return 0;
        }
        // The client may have reset a flow that the service still believes in. What the service sees must not
        // depend on that before it is told, or its copies would see something else.
        let _ = flow.socket_mut().send_slice(bytes);
        flow.note_sent(bytes, keep);
        bytes.len()
    }

    fn close(&mut self, id: FlowId) {
        if let Some(flow) = self.touch(id) {
            flow.closing = true;
            flow.finish_sending();
        } else {
            self.shadows.close(id);
        }
    }

    fn abort(&mut self, id: FlowId) {
        if let Some(flow) = self.touch(id) {
            flow.ended_by = Some(CloseReason::Aborted);
            flow.socket_mut().abort();
        } else {
            self.shadows.abort(id);
        }
    }

    fn pause(&mut self, id: FlowId) {
        if let Some(flow) = self.touch(id) {
            flow.paused = true;
        } else {
            self.shadows.pause(id);
        }
    }

    fn resume(&mut self, id: FlowId) {
        if let Some(flow) = self.touch(id) {
            flow.paused = false;
        } else {
            self.shadows.resume(id);
        }
    }

    fn datagram(&mut self, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        // smoltcp would keep what has no route at the head of its queue, before everything else, for ever.
        let sent = self.config.reaches(remote.ip().into())
            && self.udp.as_mut().is_some_and(|port| port.send(local, remote, bytes, self.mtu));
        if !sent {
            self.counters.datagrams_unsent += 1;
        }
    }
}
