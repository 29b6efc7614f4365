//! Frames in: which flow or port each is for, and what it teaches about neighbours.

use locum_types::Instant;
use smoltcp::phy::{Device, RxToken as _};
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, TcpControl};

use crate::filter::{Verdict, judge};
use crate::forge::FromClient;
use crate::neighbours::introduction;
use crate::parse::{Parsed, Payload, Segment, parse, with_sequence, without_fin};
use crate::service::CloseReason;
use crate::slot::Slot;
use crate::stack::Stack;
use crate::table::Key;

/// Where a frame goes.
#[derive(Clone, Copy)]
enum Destination {
    Flow(Key),
    Udp(usize),
    /// No socket at all: smoltcp answers by itself, if at all.
    Misc,
}

impl<D: Device> Stack<D> {
    /// Takes frames up to the budget; true if it was used up.
    pub fn take_frames(&mut self, now: Instant) -> bool {
        for _ in 0..self.config.limits.ingress_budget {
            let mut frame = std::mem::take(&mut self.frame);
            frame.clear();
            let received = self.device.receive(now.into()).map(|(token, _)| {
                token.consume(|bytes| frame.extend_from_slice(bytes));
            });
            if received.is_some() {
                self.take_frame(now, &frame);
            }
            self.frame = frame;
            if received.is_none() {
                self.serve_in_hand(now);
                return false;
            }
        }
        self.serve_in_hand(now);
        true
    }

    /// Serves the flow whose segments were taken last.
    fn serve_in_hand(&mut self, now: Instant) {
        if let Some(key) = self.in_hand.take() {
            self.serve(now, key);
        }
    }

    /// Whether a payload is one more segment of the flow whose segments were taken last.
    fn goes_on(&self, payload: &Payload) -> bool {
        let flow = self.in_hand.and_then(|key| self.table.get(key));
        matches!((flow, payload), (Some(flow), Payload::Tcp(segment)) if flow.tuple == segment.tuple)
    }

    fn take_frame(&mut self, now: Instant, frame: &[u8]) {
        let Some(parsed) = parse(frame) else {
            self.counters.frames_empty += 1;
            return;
        };
        // No station has a group address (IEEE 802.3 §3.2.5): nobody could be answered there.
        if !parsed.source_mac.is_unicast() {
            self.counters.frames_malformed += 1;
            return;
        }
        let before = if self.goes_on(&parsed.payload) { None } else { self.in_hand.take() };
        self.learn(now, &parsed);
        match parsed.payload {
            Payload::Tcp(segment) => {
                self.counters.frames_tcp += 1;
                self.take_segment(now, frame, &parsed, &segment);
            }
            Payload::Udp(port) => match self.listener(port) {
                Some(index) if self.listeners[index].udp.is_some() => {
                    self.counters.frames_udp += 1;
                    self.feed(now, frame, Destination::Udp(index));
                    self.receive_datagrams(now, index);
                }
                Some(_) | None => {
                    self.counters.frames_other += 1;
                    self.feed(now, frame, Destination::Misc);
                }
            },
            Payload::Malformed => self.counters.frames_malformed += 1,
            Payload::Other => {
                self.counters.frames_other += 1;
                self.feed(now, frame, Destination::Misc);
            }
        }
        // Not before: it may take the room that there was for an answer to this frame.
        if let Some(key) = before {
            self.serve(now, key);
        }
    }

    fn take_segment(&mut self, now: Instant, frame: &[u8], parsed: &Parsed, segment: &Segment) {
        self.awaken_client(now, &segment.tuple);
        if let Some(key) = self.table.find(&segment.tuple) {
            if !self.is_reopened(key, segment) {
                self.take_flow_segment(now, frame, key, segment);
                return;
            }
            self.counters.time_waits_reused += 1;
            self.end(now, key);
        }
        match self.tcp_listener(segment.tuple.local.port()) {
            Some(listener) if segment.opens() && self.is_for_us(parsed) => {
                self.admit(now, frame, segment, listener);
            }
            Some(_) | None if self.forbears => self.counters.segments_forborne += 1,
            Some(_) | None => {
                self.counters.segments_stray += 1;
                // Among no sockets: smoltcp answers with RST (RFC 9293 §3.10.7.1).
                self.feed(now, frame, Destination::Misc);
            }
        }
    }

    fn take_flow_segment(&mut self, now: Instant, frame: &[u8], key: Key, segment: &Segment) {
        let Some(flow) = self.table.get_mut(key) else { return };
        let verdict = judge(now, flow, segment, self.config.limits.rx_buffer);
        flow.hear(now, segment);
        match verdict {
            Verdict::Pass => {
                self.feed(now, frame, Destination::Flow(key));
                self.in_hand = Some(key);
                // Where ACKs wait for followers, those of a burst would leave at once: one says it all, and one entry.
                // Where they do not, each is of use to the client's congestion control.
                if self.journal.is_none() || !segment.is_plain() {
                    self.serve_in_hand(now);
                }
            }
            Verdict::Renumber(sequence) => {
                self.counters.acks_renumbered += 1;
                if let Some(frame) = with_sequence(frame, sequence) {
                    self.feed(now, &frame, Destination::Flow(key));
                }
                self.serve(now, key);
            }
            Verdict::FinApart => {
                self.feed_fin_apart(now, frame, key, segment);
                self.serve(now, key);
            }
            Verdict::InexactReset => self.challenge(now, key, segment),
            Verdict::Forsaken if self.forbears => self.counters.segments_forborne += 1,
            Verdict::Forsaken => {
                self.counters.flows_lost.forsaken += 1;
                flow.ended_by = Some(CloseReason::Aborted);
                flow.socket_mut().abort();
                self.serve(now, key);
                // The number of our RST is not the one that the client expects: as by a stranger it is answered with that.
                self.feed(now, frame, Destination::Misc);
            }
            Verdict::DuplicateAckOfFin => self.counters.acks_of_fin_repeated += 1,
        }
    }

    /// Lets smoltcp see a payload, and then, if it has all of it, the FIN behind it.
    fn feed_fin_apart(&mut self, now: Instant, frame: &[u8], key: Key, segment: &Segment) {
        let Some(payload) = without_fin(frame) else { return };
        self.feed(now, &payload, Destination::Flow(key));
        let Some(flow) = self.table.get(key) else { return };
        let end = segment.sequence.wrapping_add(segment.len as u32 - 1);
        if flow.remote_next() != end {
            return;
        }
        let fin = FromClient {
            tuple: &flow.tuple,
            control: TcpControl::Fin,
            sequence: end,
            ack: segment.ack,
            window: segment.window,
            payload: &[],
        };
        self.feed(now, &fin.frame(self.config.mac, self.config.mac), Destination::Flow(key));
    }

    /// Whether a client uses the four-tuple of a connection in TIME-WAIT again, with a sequence number
    /// beyond it (RFC 9293 §3.10.7.4, RFC 6191).
    fn is_reopened(&self, key: Key, segment: &Segment) -> bool {
        segment.opens()
            && self.table.get(key).is_some_and(|flow| {
                let ahead = segment.sequence.wrapping_sub(flow.remote_next());
                flow.is_time_wait() && (ahead as i32) > 0
            })
    }

    /// Whether a frame is addressed to this stack, by somebody else, and from one place to one place.
    fn is_for_us(&self, parsed: &Parsed) -> bool {
        let Some((source, destination)) = parsed.ends else { return false };
        let is_ours =
            |address| self.config.addresses.iter().any(|cidr: &IpCidr| cidr.address() == address);
        parsed.destination_mac == self.config.mac
            && source.is_unicast()
            && is_ours(destination)
            && !is_ours(source)
    }

    /// Lets smoltcp see a frame, with the sockets it is for.
    fn feed(&mut self, now: Instant, frame: &[u8], destination: Destination) {
        let set = match destination {
            Destination::Flow(key) => self.table.get_mut(key).map(|flow| &mut flow.set),
            Destination::Udp(index) => self.listeners[index].udp.as_mut().map(|port| &mut port.set),
            Destination::Misc => Some(&mut self.misc),
        };
        if let Some(set) = set {
            let mut slot = Slot::new(frame, &mut self.device);
            self.interface.poll_ingress_single(now.into(), &mut slot, set);
        }
    }

    /// Tells smoltcp where a client is, before it has to ask.
    fn learn(&mut self, now: Instant, parsed: &Parsed) {
        // Nobody has the MAC 0; a frame that was relayed without its sender's says so by it.
        let Some(ends) = parsed.ends.filter(|_| parsed.source_mac.0 != [0; 6]) else { return };
        self.introduce(now, ends, parsed.source_mac);
    }

    /// Tells smoltcp by which MAC the source of a packet to one of our addresses is reached.
    pub(crate) fn introduce(
        &mut self,
        now: Instant,
        (source, destination): (IpAddress, IpAddress),
        mac: EthernetAddress,
    ) {
        if !source.is_unicast() {
            return;
        }
        let Some((ours, neighbour)) = self.next_hop(source, destination) else { return };
        if self.neighbours.note(now, neighbour, mac) {
            self.counters.neighbours_learned += 1;
            if let Some(frame) = introduction(self.config.mac, ours, mac, neighbour) {
                self.feed(now, &frame, Destination::Misc);
            }
        }
    }

    /// Which of our addresses shares a link with the neighbour that a packet from `source` came by, and
    /// that neighbour.
    fn next_hop(
        &self,
        source: IpAddress,
        destination: IpAddress,
    ) -> Option<(IpAddress, IpAddress)> {
        let family = |address: &IpAddress| address.version() == source.version();
        let ours = |cidr: &&IpCidr| cidr.address() == destination;
        let own = self.config.addresses.iter().find(ours)?;
        if own.contains_addr(&source) {
            return Some((destination, source));
        }
        let gateway = *self.config.gateways.iter().find(|gateway| family(gateway))?;
        let on_link = |cidr: &&IpCidr| cidr.contains_addr(&gateway);
        let own = self.config.addresses.iter().find(on_link)?;
        Some((own.address(), gateway))
    }
}
