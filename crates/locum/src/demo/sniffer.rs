//! Somebody with a capture on every port of the segment: tells frames apart, counts them, and keeps
//! the few that are worth a line.

use std::cell::RefCell;
use std::rc::Rc;

use locum_link::segment::rule::{Direction, Fate, Observation};
use locum_link::segment::{PortId, Segment};
use locum_sim::Lan;
use locum_types::NodeId;
use locum_wire::{Beat, BeatPacket};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    Icmpv6Message, Icmpv6Packet, IpProtocol, Ipv4Packet, Ipv6Packet, UdpPacket,
};

use super::script::Client;
use super::timeline::FrameCounts;

/// What a frame is, if it matters to the story.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// One node tells another that it is there, or more.
    Beat(Beat),
    /// Who has the service address? From a node it is a probe: does anyone serve it?
    Question,
    /// I have it.
    Answer,
    /// Gratuitous ARP: from now on I have it.
    AnnouncementArp,
    /// The same in IPv6: an unsolicited neighbour advertisement.
    AnnouncementNa,
}

/// Who is plugged into a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// A node.
    Node(NodeId),
    /// A client.
    Client(Client),
}

/// A frame that left its sender. When is known to whoever drains the sniffer at each instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) sender: Sender,
    pub(super) kind: Kind,
}

/// The capture.
#[derive(Debug)]
pub(super) struct Sniffer {
    senders: Vec<(PortId, Sender)>,
    virtual_mac: EthernetAddress,
    beat_port: u16,
    counts: FrameCounts,
    /// Frames from the virtual MAC, by node.
    spoken: Vec<(NodeId, u64)>,
    seen: Vec<Seen>,
}

impl Sniffer {
    /// Watches a segment from now on.
    pub(super) fn watch(
        segment: &mut Segment,
        virtual_mac: EthernetAddress,
        beat_port: u16,
    ) -> Rc<RefCell<Sniffer>> {
        let sniffer = Rc::new(RefCell::new(Sniffer {
            senders: Vec::new(),
            virtual_mac,
            beat_port,
            counts: FrameCounts::default(),
            spoken: Vec::new(),
            seen: Vec::new(),
        }));
        let shared = Rc::clone(&sniffer);
        segment.observe(move |observation| shared.borrow_mut().look(observation));
        sniffer
    }

    /// Says who is plugged into a port.
    pub(super) fn introduce(&mut self, port: PortId, sender: Sender) {
        self.senders.push((port, sender));
    }

    /// What was counted so far.
    pub(super) fn counts(&self) -> FrameCounts {
        self.counts
    }

    /// Counts an answer that did not come from the active node.
    pub(super) fn count_wrong_answer(&mut self) {
        self.counts.wrong_answers += 1;
    }

    /// How many frames a node has sent from the virtual MAC.
    pub(super) fn spoken_by(&self, node: NodeId) -> u64 {
        self.spoken.iter().find(|(id, _)| *id == node).map_or(0, |&(_, count)| count)
    }

    /// Takes what was seen since the last time, in order.
    pub(super) fn drain(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }

    fn look(&mut self, observation: &Observation<'_>) {
        if observation.direction != Direction::Transmit || observation.fate != Fate::Passed {
            return;
        }
        let sender = self.senders.iter().find(|(port, _)| *port == observation.port);
        let Some(&(_, sender)) = sender else { return };
        if let Sender::Node(node) = sender {
            self.note_source(node, observation.frame);
        }
        let Some(kind) = classify(observation.frame, self.beat_port) else { return };
        let counter = match (kind, sender) {
            (Kind::Beat(_), _) => &mut self.counts.beats,
            (Kind::Question, Sender::Client(_)) => &mut self.counts.questions,
            (Kind::Question, Sender::Node(_)) => &mut self.counts.probes,
            (Kind::Answer, _) => &mut self.counts.answers,
            (Kind::AnnouncementArp, _) => &mut self.counts.announcements_arp,
            (Kind::AnnouncementNa, _) => &mut self.counts.announcements_na,
        };
        *counter += 1;
        self.seen.push(Seen { sender, kind });
    }

    fn note_source(&mut self, node: NodeId, frame: &[u8]) {
        let source = EthernetFrame::new_checked(frame).map(|frame| frame.src_addr());
        if source != Ok(self.virtual_mac) {
            return;
        }
        match self.spoken.iter_mut().find(|(id, _)| *id == node) {
            Some((_, count)) => *count += 1,
            None => self.spoken.push((node, 1)),
        }
    }
}

fn classify(frame: &[u8], beat_port: u16) -> Option<Kind> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    match ethernet.ethertype() {
        EthernetProtocol::Arp => classify_arp(ethernet.payload()),
        EthernetProtocol::Ipv4 => beat(ethernet.payload(), beat_port).map(Kind::Beat),
        EthernetProtocol::Ipv6 => classify_ndp(ethernet.payload()),
        EthernetProtocol::Unknown(_) => None,
    }
}

fn classify_arp(payload: &[u8]) -> Option<Kind> {
    let packet = ArpPacket::new_checked(payload).ok()?;
    let ArpRepr::EthernetIpv4 { operation, source_protocol_addr, target_protocol_addr, .. } =
        ArpRepr::parse(&packet).ok()?
    else {
        return None;
    };
    let (source, target) = (source_protocol_addr, target_protocol_addr);
    let (from_service, to_service) = (source == Lan::SERVICE_V4, target == Lan::SERVICE_V4);
    match operation {
        _ if from_service && to_service => Some(Kind::AnnouncementArp),
        ArpOperation::Request if to_service => Some(Kind::Question),
        ArpOperation::Reply if from_service => Some(Kind::Answer),
        ArpOperation::Request | ArpOperation::Reply | ArpOperation::Unknown(_) => None,
    }
}

/// Neighbour solicitations and advertisements carry their target at octets 8 to 24, advertisements
/// their solicited flag in octet 4 (RFC 4861 §4.3, §4.4).
fn classify_ndp(payload: &[u8]) -> Option<Kind> {
    let packet = Ipv6Packet::new_checked(payload).ok()?;
    if packet.next_header() != IpProtocol::Icmpv6 {
        return None;
    }
    let message = Icmpv6Packet::new_checked(packet.payload()).ok()?.msg_type();
    let target: [u8; 16] = *packet.payload().get(8..24)?.first_chunk()?;
    if target != Lan::SERVICE_V6.octets() {
        return None;
    }
    let solicited = packet.payload().get(4)? & 0x40 != 0;
    if message == Icmpv6Message::NeighborSolicit {
        Some(Kind::Question)
    } else if message == Icmpv6Message::NeighborAdvert {
        Some(if solicited { Kind::Answer } else { Kind::AnnouncementNa })
    } else {
        None
    }
}

fn beat(payload: &[u8], port: u16) -> Option<Beat> {
    let packet = Ipv4Packet::new_checked(payload).ok()?;
    if packet.next_header() != IpProtocol::Udp {
        return None;
    }
    let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
    if datagram.dst_port() != port {
        return None;
    }
    Beat::parse(&BeatPacket::new_checked(datagram.payload()).ok()?).ok()
}

#[cfg(test)]
mod tests;
