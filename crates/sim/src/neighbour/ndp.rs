//! Neighbour discovery as a host hears it: `ndisc_recv_ns` and `ndisc_recv_na` of Linux's
//! `net/ipv6/ndisc.c`, which follow RFC 4861 §7.

use locum_types::Instant;
use smoltcp::phy::{ChecksumCapabilities, Medium};
use smoltcp::wire::{
    EthernetAddress, HardwareAddress, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv6Address,
    Ipv6Packet, NdiscNeighborFlags, NdiscRepr, RawHardwareAddress,
};

use super::entry::{Claim, Override};
use super::station::solicited_node;
use super::{NeighbourState, NeighbourTable};

/// Router solicitation to redirect: what a hop limit of 255 protects.
const TYPES: std::ops::RangeInclusive<u8> = 133..=137;

/// Whether an IPv6 packet is one of neighbour discovery.
pub(super) fn is_ndp(packet: &[u8]) -> bool {
    const NEXT_HEADER: usize = 6;
    const BODY: usize = 40;
    packet.get(NEXT_HEADER).is_some_and(|&next| IpProtocol::from(next) == IpProtocol::Icmpv6)
        && packet.get(BODY).is_some_and(|kind| TYPES.contains(kind))
}

impl NeighbourTable {
    /// Learns from a neighbour discovery message, and answers one that asks for this host.
    pub(super) fn hear_ndp(&mut self, now: Instant, packet: &[u8]) {
        let Ok(packet) = Ipv6Packet::new_checked(packet) else { return };
        if packet.hop_limit() != 255 {
            return;
        }
        let (source, to) = (packet.src_addr(), packet.dst_addr());
        let Ok(body) = Icmpv6Packet::new_checked(packet.payload()) else { return };
        let checksums = ChecksumCapabilities::default();
        match Icmpv6Repr::parse(&source, &to, &body, &checksums) {
            Ok(Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit { target_addr, lladdr })) => {
                self.hear_solicit(now, (source, to), target_addr, lladdr);
            }
            Ok(Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert { flags, target_addr, lladdr })) => {
                self.hear_advert(now, to, flags, target_addr, lladdr);
            }
            // Hosts of the simulator are configured, not told by routers.
            Ok(_) | Err(_) => {}
        }
    }

    fn hear_solicit(
        &mut self,
        now: Instant,
        (source, to): (Ipv6Address, Ipv6Address),
        target: Ipv6Address,
        lladdr: Option<RawHardwareAddress>,
    ) {
        if !self.station.owns(target.into()) || self.station.owns(source.into()) {
            return;
        }
        if source.is_unspecified() {
            // RFC 4861 §7.1.1: from `::` only to the group, and without an address of its own.
            if to == solicited_node(target) && lladdr.is_none() {
                self.send(now, self.station.defence(target));
            }
            return;
        }
        let was_multicast = to.is_multicast();
        match lladdr.and_then(ethernet) {
            Some(mac) => {
                if !self.ensure(now, source.into()) {
                    return;
                }
                self.learn(now, source.into(), Some(mac), Claim::Stale, Override::Replace);
            }
            // Asked by all means but not told where to answer: only a known station is answered.
            None if was_multicast && !self.entries.contains_key(&source.into()) => return,
            None => {}
        }
        self.send(now, self.station.advert(target, source, was_multicast));
    }

    fn hear_advert(
        &mut self,
        now: Instant,
        to: Ipv6Address,
        flags: NdiscNeighborFlags,
        target: Ipv6Address,
        lladdr: Option<RawHardwareAddress>,
    ) {
        let solicited = flags.contains(NdiscNeighborFlags::SOLICITED);
        // RFC 4861 §7.1.2.
        let impossible = target.is_multicast() || (to.is_multicast() && solicited);
        if impossible || (!solicited && self.habits.ignores_gratuitous) {
            return;
        }
        let Some(entry) = self.entries.get(&target.into()) else { return };
        if entry.state() == NeighbourState::Failed {
            return;
        }
        let claim = if solicited { Claim::Reachable } else { Claim::Stale };
        let overrides = flags.contains(NdiscNeighborFlags::OVERRIDE);
        let over = if overrides { Override::Replace } else { Override::Suspect };
        self.learn(now, target.into(), lladdr.and_then(ethernet), claim, over);
    }
}

fn ethernet(address: RawHardwareAddress) -> Option<EthernetAddress> {
    match address.parse(Medium::Ethernet) {
        Ok(HardwareAddress::Ethernet(mac)) => Some(mac),
        Ok(HardwareAddress::Ip) | Err(_) => None,
    }
}
