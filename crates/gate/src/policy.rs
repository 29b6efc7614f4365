//! What may pass: pure functions from (mode, identity, frame) to a verdict with its reason.
//!
//! Silence is the default: a rule must say why a frame may leave. Each rule names the text it
//! follows. What does *not* belong here: doing anything about a verdict ([`crate::Gate`]), or
//! watching who else claims the address ([`crate::conflict`]).

use locum_types::Mode;
use smoltcp::wire::{EthernetAddress, IpAddress, Ipv4Address, Ipv6Address};

use crate::Identity;
use crate::conflict::claim;
use crate::frame::{Arp, Body, Ip, Kind, Ndp, NdpMessage, View};

/// What becomes of a frame that the service stack sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Egress {
    /// Leaves as it is.
    Pass,
    /// Leaves repaired: what smoltcp gets wrong for a shared address.
    Rewrite(Rewrite),
    /// Dies here.
    Drop(EgressDrop),
}

/// What has to be repaired in a frame of the service stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// Set the override flag of a neighbour advertisement: without it a client's entry for the
    /// former active node stays (RFC 4861 §7.2.4, §7.2.5).
    OverrideFlag,
    /// Turn "include nothing" into "exclude nothing" in a multicast listener report: the former
    /// leaves the group (RFC 3810 §5.2.12, §5.1).
    JoinRecord,
}

/// Why a frame of the service stack does not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EgressDrop {
    /// The node is not active: nothing may speak for the service address.
    NotActive(Kind),
    /// Not a frame that can be read, so not one that can be allowed.
    Malformed,
    /// VLAN-tagged: the service address lives on the untagged link alone.
    Tagged,
    /// The Ethernet source is not the service MAC.
    SourceMac,
    /// The source or sender address is not a service address.
    SourceAddress,
    /// ARP or neighbour discovery that offers another MAC than the service MAC.
    OfferedMac,
    /// A protocol that the service has no business with: router discovery, anything but ARP and IP.
    Protocol,
}

/// What becomes of a received frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// The stack gets it.
    Pass,
    /// The gate answers; the stack gets an empty frame.
    Answer(Answer),
    /// The stack gets an empty frame.
    Drop(IngressDrop),
}

/// A question that smoltcp would not answer, or not well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An ARP reply, unicast to whoever asked.
    Arp {
        /// The service address asked for.
        address: Ipv4Address,
        /// Who asked: hardware address.
        mac: EthernetAddress,
        /// Who asked: protocol address, 0.0.0.0 in a probe.
        sender: Ipv4Address,
    },
    /// A solicited neighbour advertisement, unicast to whoever asked.
    Solicited {
        /// The service address asked for.
        address: Ipv6Address,
        /// Who asked: hardware address.
        mac: EthernetAddress,
        /// Who asked: IPv6 address.
        sender: Ipv6Address,
    },
    /// A neighbour advertisement to all nodes: the asker has no address yet.
    AllNodes {
        /// The service address asked for.
        address: Ipv6Address,
    },
}

/// Why the stack does not get a received frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IngressDrop {
    /// The node is not active.
    NotActive(Kind),
    /// Truncated, inconsistent, a wrong checksum in neighbour discovery, or a group address as the
    /// Ethernet source.
    Malformed,
    /// VLAN-tagged: the service address lives on the untagged link alone.
    Tagged,
    /// The Ethernet source is the service MAC: a loop, or a second active node.
    Echo,
    /// Unicast to another MAC.
    NotForUs,
    /// Neighbour discovery that has crossed a router.
    HopLimit,
    /// A fragment: the stack is built without reassembly and would take it for a whole packet.
    Fragment,
    /// ARP or neighbour discovery in which someone else claims a service address: the stack must
    /// not learn from it.
    Claim,
    /// The IP source is a service address, or not that of one station.
    SourceAddress,
    /// The gate was to answer, but too many answers wait.
    AnswersFull,
}

/// What becomes of a frame that the node itself, its heartbeat half, sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeEgress {
    /// Leaves.
    Pass,
    /// Dies here.
    Drop(NodeDrop),
}

/// Why a frame of the node itself does not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeDrop {
    /// Not a frame that can be read, so not one that can be allowed.
    Malformed,
    /// VLAN-tagged.
    Tagged,
    /// The Ethernet source is not the node MAC.
    SourceMac,
    /// The source or sender address is not the node address.
    SourceAddress,
    /// ARP or neighbour discovery that offers another MAC than the node MAC.
    OfferedMac,
    /// Router discovery, or anything but ARP and IP.
    Protocol,
}

/// Judges a frame that the service stack wants to send, or the gate in its place.
///
/// Not active: nothing leaves, whatever it is (RFC 9568 §6.4.2; the RST, ICMP and SYN|ACK that RFC
/// 9293 §3.10.7.1 and RFC 1122 ask of a host are the active node's to send). Active: what speaks
/// for a service address from the service MAC leaves, and nothing else does.
#[inline]
pub fn egress(mode: Mode, identity: &Identity, view: &View) -> Egress {
    match mode {
        Mode::Joining | Mode::Waiting | Mode::Fenced => {
            return Egress::Drop(EgressDrop::NotActive(view.kind()));
        }
        Mode::Active => {}
    }
    if view.tags != 0 {
        return Egress::Drop(EgressDrop::Tagged);
    }
    // RFC 9568 §7.2, §8.1.2: the service address speaks from the service MAC, never from another.
    if view.source != identity.service_mac() {
        return Egress::Drop(match view.body {
            Body::Malformed => EgressDrop::Malformed,
            Body::Arp(_) | Body::Ndp(_) | Body::Ip(_) | Body::Other => EgressDrop::SourceMac,
        });
    }
    match view.body {
        Body::Ip(ip) => egress_ip(identity, ip),
        Body::Arp(arp) => egress_arp(identity, arp),
        Body::Ndp(ndp) => egress_ndp(identity, ndp),
        Body::Other => Egress::Drop(EgressDrop::Protocol),
        Body::Malformed => Egress::Drop(EgressDrop::Malformed),
    }
}

#[inline]
fn egress_ip(identity: &Identity, ip: Ip) -> Egress {
    // RFC 3810 §5.2.13, RFC 3590: reports come from a link-local address or from `::`.
    if ip.kind == Kind::Mld && is_local_source(ip.source) {
        return Egress::Rewrite(Rewrite::JoinRecord);
    }
    // RFC 1122 §3.2.1.3: the source is an address of the sender.
    if identity.is_service(ip.source) {
        return Egress::Pass;
    }
    Egress::Drop(EgressDrop::SourceAddress)
}

fn egress_arp(identity: &Identity, arp: Arp) -> Egress {
    // RFC 9568 §6.4.3, §8.1.2: the service address is at the service MAC, never at the node MAC.
    if arp.sender_mac != identity.service_mac() {
        return Egress::Drop(EgressDrop::OfferedMac);
    }
    if identity.is_service(arp.sender) {
        return Egress::Pass;
    }
    Egress::Drop(EgressDrop::SourceAddress)
}

fn egress_ndp(identity: &Identity, ndp: Ndp) -> Egress {
    // RFC 9568 §8.2.2: solicitations and advertisements carry the service MAC.
    if ndp.link_layer.is_some_and(|mac| mac != identity.service_mac()) {
        return Egress::Drop(EgressDrop::OfferedMac);
    }
    match ndp.message {
        NdpMessage::Solicit { .. } if identity.is_service(ndp.source) => Egress::Pass,
        NdpMessage::Solicit { .. } if is_local_source(ndp.source.into()) => Egress::Pass,
        // RFC 4861 §7.2.4: override, unless anycast or proxy.
        NdpMessage::Advert { target, .. } if identity.is_service(target) => {
            Egress::Rewrite(Rewrite::OverrideFlag)
        }
        NdpMessage::Solicit { .. } | NdpMessage::Advert { .. } => {
            Egress::Drop(EgressDrop::SourceAddress)
        }
        // A host sends no router advertisement (RFC 4861 §6.2.2), and this one needs no router
        // solicited.
        NdpMessage::Router => Egress::Drop(EgressDrop::Protocol),
    }
}

fn is_local_source(address: IpAddress) -> bool {
    match address {
        IpAddress::Ipv6(address) => address.is_unspecified() || address.is_unicast_link_local(),
        IpAddress::Ipv4(_) => false,
    }
}

/// Judges a received frame on its way to the service stack.
///
/// Not active: the stack sees nothing (RFC 9568 §6.4.2: discard what is sent to the virtual MAC, do
/// not accept what is sent to the service address).
#[inline]
pub fn ingress(mode: Mode, identity: &Identity, view: &View) -> Ingress {
    match mode {
        Mode::Joining | Mode::Waiting | Mode::Fenced => {
            return Ingress::Drop(IngressDrop::NotActive(view.kind()));
        }
        Mode::Active => {}
    }
    if view.tags != 0 {
        return Ingress::Drop(IngressDrop::Tagged);
    }
    let service_mac = identity.service_mac();
    if view.source == service_mac {
        return Ingress::Drop(IngressDrop::Echo);
    }
    if view.source.is_multicast() {
        return Ingress::Drop(IngressDrop::Malformed);
    }
    // The group bit covers broadcast.
    if view.destination != service_mac && !view.destination.is_multicast() {
        return Ingress::Drop(match view.body {
            Body::Malformed => IngressDrop::Malformed,
            Body::Arp(_) | Body::Ndp(_) | Body::Ip(_) | Body::Other => IngressDrop::NotForUs,
        });
    }
    match view.body {
        Body::Ip(ip) => ingress_ip(identity, ip),
        Body::Arp(arp) => ingress_arp(identity, view, arp),
        Body::Ndp(ndp) => ingress_ndp(identity, view, ndp),
        Body::Other => Ingress::Pass,
        Body::Malformed => Ingress::Drop(IngressDrop::Malformed),
    }
}

#[inline]
fn ingress_ip(identity: &Identity, ip: Ip) -> Ingress {
    if ip.kind == Kind::Fragment {
        return Ingress::Drop(IngressDrop::Fragment);
    }
    // RFC 1122 §3.2.1.3, RFC 4291 §2.7: no source address is a group's; ours does not come from
    // outside.
    if ip.source.is_multicast() || ip.source.is_broadcast() || identity.is_service(ip.source) {
        return Ingress::Drop(IngressDrop::SourceAddress);
    }
    Ingress::Pass
}

fn ingress_arp(identity: &Identity, view: &View, arp: Arp) -> Ingress {
    if claim(identity, view).is_some() {
        return Ingress::Drop(IngressDrop::Claim);
    }
    if !arp.request {
        return Ingress::Pass;
    }
    let Some(cidr) = identity.service_cidr(arp.target.into()) else { return Ingress::Pass };
    if !arp.sender_mac.is_unicast() {
        return Ingress::Drop(IngressDrop::Malformed);
    }
    // smoltcp answers neither a probe (RFC 5227 §2.1.1) nor a station of another subnet; RFC 826
    // asks for both.
    if arp.sender.is_unspecified() || !cidr.contains_addr(&arp.sender.into()) {
        return Ingress::Answer(Answer::Arp {
            address: arp.target,
            mac: arp.sender_mac,
            sender: arp.sender,
        });
    }
    Ingress::Pass
}

fn ingress_ndp(identity: &Identity, view: &View, ndp: Ndp) -> Ingress {
    // RFC 4861 §6.1, §7.1, §8.1: a hop limit below 255 has crossed a router.
    if ndp.hop_limit != 255 {
        return Ingress::Drop(IngressDrop::HopLimit);
    }
    if claim(identity, view).is_some() {
        return Ingress::Drop(IngressDrop::Claim);
    }
    let address = match ndp.message {
        NdpMessage::Solicit { target } if identity.is_service(target) => target,
        NdpMessage::Solicit { .. } | NdpMessage::Advert { .. } | NdpMessage::Router => {
            return Ingress::Pass;
        }
    };
    if ndp.source.is_unspecified() {
        // RFC 4861 §7.2.4, RFC 4862 §5.4.3: the address is taken; tell everyone, for the asker has
        // no address.
        return Ingress::Answer(Answer::AllNodes { address });
    }
    let cidr = identity.service_cidr(address.into());
    let is_near = cidr.is_some_and(|cidr| cidr.contains_addr(&ndp.source.into()));
    match ndp.link_layer {
        Some(_) if is_near => Ingress::Pass,
        // A neighbour by its link-local address, as routers ask: smoltcp has no route to that, but it is on the link
        // (RFC 4861 §7.2.4).
        Some(mac) if !mac.is_unicast() => Ingress::Drop(IngressDrop::Malformed),
        Some(mac) => Ingress::Answer(Answer::Solicited { address, mac, sender: ndp.source }),
        // RFC 4861 §7.2.4, §7.3.3: a unicast probe may come without the option, and smoltcp would
        // lose the answer while it asks for the asker.
        None => {
            Ingress::Answer(Answer::Solicited { address, mac: view.source, sender: ndp.source })
        }
    }
}

/// Judges a frame of the heartbeat half: it speaks from the node MAC, for the node address, in
/// every mode.
///
/// The one exception is a question without a sender: an ARP probe (RFC 5227 §2.1) or duplicate
/// address detection (RFC 4862 §5.4.2), by which a waiting node asks whether the active one is
/// alive.
pub fn node_egress(identity: &Identity, view: &View) -> NodeEgress {
    if view.tags != 0 {
        return NodeEgress::Drop(NodeDrop::Tagged);
    }
    // RFC 9568 §7.2: a waiting node that sends from the virtual MAC steals the active node's switch
    // port.
    if view.source != identity.node_mac() {
        return NodeEgress::Drop(match view.body {
            Body::Malformed => NodeDrop::Malformed,
            Body::Arp(_) | Body::Ndp(_) | Body::Ip(_) | Body::Other => NodeDrop::SourceMac,
        });
    }
    match view.body {
        Body::Ip(ip) => {
            let report = ip.kind == Kind::Mld && is_local_source(ip.source);
            node_speaks_if(report || identity.is_node(ip.source))
        }
        Body::Arp(arp) if arp.sender_mac != identity.node_mac() => {
            NodeEgress::Drop(NodeDrop::OfferedMac)
        }
        Body::Arp(arp) => {
            node_speaks_if(view.kind() == Kind::ArpProbe || identity.is_node(arp.sender))
        }
        Body::Ndp(ndp) => node_ndp(identity, ndp),
        Body::Other => NodeEgress::Drop(NodeDrop::Protocol),
        Body::Malformed => NodeEgress::Drop(NodeDrop::Malformed),
    }
}

fn node_ndp(identity: &Identity, ndp: Ndp) -> NodeEgress {
    if ndp.link_layer.is_some_and(|mac| mac != identity.node_mac()) {
        return NodeEgress::Drop(NodeDrop::OfferedMac);
    }
    match ndp.message {
        NdpMessage::Solicit { .. } => {
            node_speaks_if(ndp.source.is_unspecified() || identity.is_node(ndp.source))
        }
        NdpMessage::Advert { target, .. } => {
            node_speaks_if(identity.is_node(target) && identity.is_node(ndp.source))
        }
        NdpMessage::Router => NodeEgress::Drop(NodeDrop::Protocol),
    }
}

fn node_speaks_if(entitled: bool) -> NodeEgress {
    if entitled { NodeEgress::Pass } else { NodeEgress::Drop(NodeDrop::SourceAddress) }
}

#[cfg(test)]
mod tests;
