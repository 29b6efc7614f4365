//! ARP as a host hears it: `arp_process` of Linux's `net/ipv4/arp.c`.

use locum_types::Instant;
use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, IpAddress};

use super::NeighbourTable;
use super::entry::{Claim, Override};

impl NeighbourTable {
    /// Learns from an ARP packet, and answers one that asks for this host.
    pub(super) fn hear_arp(&mut self, now: Instant, frame: &EthernetFrame<&[u8]>) {
        let Some(heard) = Heard::parse(frame, self.station.mac) else { return };
        if heard.sender == heard.target && self.habits.ignores_gratuitous {
            return;
        }
        let (IpAddress::Ipv4(sender), IpAddress::Ipv4(target)) = (heard.sender, heard.target)
        else {
            return;
        };
        let asks = heard.operation == ArpOperation::Request;
        let asks_for_us = asks && self.station.owns(heard.target);
        if sender.is_unspecified() {
            // A probe for a duplicate is answered, and teaches nothing (RFC 5227 §2.1).
            if asks_for_us {
                self.transmit(self.station.arp_reply(target, (heard.mac, sender)));
            }
            return;
        }
        if !heard.sender.is_unicast() || self.station.owns(heard.sender) {
            return;
        }
        if asks_for_us {
            // Whoever asks for us will hear from us: its address is learned, whatever the locktime.
            if self.ensure(now, heard.sender) {
                self.learn(now, heard.sender, Some(heard.mac), Claim::Stale, Override::Replace);
                self.transmit(self.station.arp_reply(target, (heard.mac, sender)));
            }
            return;
        }
        self.hear_about_others(now, &heard);
    }

    /// A reply, or a request that somebody else is to answer.
    fn hear_about_others(&mut self, now: Instant, heard: &Heard) {
        let reply = heard.operation == ArpOperation::Reply;
        let gratuitous = heard.is_gratuitous();
        let creates = self.habits.accepts_gratuitous && (gratuitous || reply);
        if creates && !self.ensure(now, heard.sender) {
            return;
        }
        let Some(entry) = self.entries.get(&heard.sender) else { return };
        // The first of several answers wins (proxies), unless the owner itself says it has moved.
        let unlocked = now - entry.updated() > self.habits.locktime;
        let moved = gratuitous && self.habits.garp_overrides_locktime;
        let over = if unlocked || moved { Override::Replace } else { Override::Never };
        let claim = if reply && heard.to_us { Claim::Reachable } else { Claim::Stale };
        self.learn(now, heard.sender, Some(heard.mac), claim, over);
    }
}

/// An ARP packet.
struct Heard {
    operation: ArpOperation,
    mac: EthernetAddress,
    sender: IpAddress,
    target_mac: EthernetAddress,
    target: IpAddress,
    /// Sent to this station, not to all.
    to_us: bool,
}

impl Heard {
    fn parse(frame: &EthernetFrame<&[u8]>, ours: EthernetAddress) -> Option<Self> {
        let packet = ArpPacket::new_checked(frame.payload()).ok()?;
        let ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr,
            source_protocol_addr,
            target_hardware_addr,
            target_protocol_addr,
        } = ArpRepr::parse(&packet).ok()?
        else {
            return None;
        };
        let known = matches!(operation, ArpOperation::Request | ArpOperation::Reply);
        let sensible = !target_protocol_addr.is_multicast() && !target_protocol_addr.is_loopback();
        (known && sensible).then_some(Heard {
            operation,
            mac: source_hardware_addr,
            sender: source_protocol_addr.into(),
            target_mac: target_hardware_addr,
            target: target_protocol_addr.into(),
            to_us: frame.dst_addr() == ours,
        })
    }

    /// `arp_is_garp`: of replies only those count that name the sender's station twice.
    fn is_gratuitous(&self) -> bool {
        let reply = self.operation == ArpOperation::Reply;
        self.sender == self.target && (!reply || self.target_mac == self.mac)
    }
}
