//! Which half of a node a received frame is for.
//!
//! Every frame that may matter to the service address reaches the gate, where it is counted and
//! watched for conflicts; the heartbeat half gets what is for the node address, and the answers to
//! its probes. TCP to the node address carries the log.

use smoltcp::wire::{EthernetFrame, IpAddress, Ipv6Address};

use crate::craft::ALL_NODES;
use crate::frame::{Arp, Body, Ip, Kind, Ndp, NdpMessage, View};
use crate::{Identity, MacMode, Member};

/// Where a received frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Steer {
    /// To the service stack, through its gate.
    Service,
    /// To the heartbeat half.
    Heartbeat,
    /// To the replication channels: TCP to the node address.
    Replication,
    /// To the service stack, once [`crate::relay::restore`] has made it what it was: a former active node got it, and
    /// its successor is to answer.
    Relayed,
    /// To both.
    Both,
    /// Nowhere: unicast to another station, flooded by a switch. It is not even queued, so that a
    /// flood of it displaces nothing.
    Neither,
}

/// Decides which half of the node the frame is for.
pub fn steer(identity: &Identity, frame: &[u8]) -> Steer {
    let view = View::parse(frame);
    let to_group = view.destination.is_multicast();
    let to_node = view.destination == identity.node_mac();
    let to_service = view.destination == identity.service_mac();
    let unaddressed = frame.len() < EthernetFrame::<&[u8]>::header_len();
    if unaddressed || view.tags != 0 && (to_group || to_node || to_service) {
        // The gate drops and counts it.
        return Steer::Service;
    }
    if to_group {
        return steer_group(identity, &view);
    }
    if view.source == identity.node_mac() && matches!(view.body, Body::Ip(_)) {
        // Our own voice, or a node with our id: whomever it talks to, the monitor has to know.
        return Steer::Heartbeat;
    }
    if to_node && is_relayed(identity, &view) {
        return Steer::Relayed;
    }
    match identity.mac_mode {
        // Both halves have the same MAC: the addresses inside decide.
        MacMode::Own if to_node => steer_shared(identity, &view),
        MacMode::Virtual if to_node => steer_node(&view),
        MacMode::Virtual if to_service => Steer::Service,
        MacMode::Own | MacMode::Virtual => Steer::Neither,
    }
}

/// From a node of the group, for the service.
fn is_relayed(identity: &Identity, view: &View) -> bool {
    let is_peer = matches!(identity.member(view.source), Some(Member::Node(_)));
    is_peer && matches!(view.body, Body::Ip(ip) if identity.is_service(ip.destination))
}

/// Broadcast and multicast.
fn steer_group(identity: &Identity, view: &View) -> Steer {
    match view.body {
        // A question for the node address is the heartbeat half's, unless its sender claims the
        // service address.
        Body::Arp(arp) if identity.is_node(arp.target) && !identity.is_service(arp.sender) => {
            Steer::Heartbeat
        }
        Body::Arp(arp) if identity.is_node(arp.target) => Steer::Both,
        // The heartbeat half knows its peers' MACs; all other ARP matters to the service address
        // alone.
        Body::Arp(_) => Steer::Service,
        Body::Ndp(ndp) => match ndp.message {
            NdpMessage::Solicit { target } => by_target(identity, target, ndp.source),
            NdpMessage::Advert { .. } | NdpMessage::Router => both_if_all_nodes(ndp.destination),
        },
        Body::Ip(ip) => match ip.destination {
            IpAddress::Ipv6(destination) => both_if_all_nodes(destination),
            IpAddress::Ipv4(_) => Steer::Service,
        },
        Body::Other | Body::Malformed => Steer::Service,
    }
}

fn both_if_all_nodes(destination: Ipv6Address) -> Steer {
    if destination == ALL_NODES { Steer::Both } else { Steer::Service }
}

fn by_target(identity: &Identity, target: Ipv6Address, source: Ipv6Address) -> Steer {
    match (identity.is_node(target), identity.is_service(source)) {
        (true, false) => Steer::Heartbeat,
        (true, true) => Steer::Both,
        (false, _) => Steer::Service,
    }
}

/// Unicast to the MAC that both halves share.
fn steer_shared(identity: &Identity, view: &View) -> Steer {
    match view.body {
        Body::Arp(arp) => shared_arp(identity, arp),
        Body::Ndp(ndp) => shared_ndp(identity, ndp),
        Body::Ip(ip) if identity.is_node(ip.destination) => steer_node(view),
        Body::Ip(ip) if identity.is_service(ip.destination) => Steer::Service,
        Body::Ip(_) => Steer::Both,
        Body::Other | Body::Malformed => Steer::Service,
    }
}

/// Unicast to the node: beats and everything about neighbours, or the streams of replication.
fn steer_node(view: &View) -> Steer {
    match view.body {
        Body::Ip(Ip { kind: Kind::Tcp | Kind::TcpReset, .. }) => Steer::Replication,
        Body::Ip(_) | Body::Arp(_) | Body::Ndp(_) | Body::Other | Body::Malformed => {
            Steer::Heartbeat
        }
    }
}

fn shared_arp(identity: &Identity, arp: Arp) -> Steer {
    match (identity.is_node(arp.target), identity.is_service(arp.target)) {
        (_, true) => Steer::Service,
        (true, false) if identity.is_service(arp.sender) => Steer::Both,
        (true, false) => Steer::Heartbeat,
        // The answer to a probe has no target address; whoever sent it may also be in conflict.
        (false, false) => Steer::Both,
    }
}

fn shared_ndp(identity: &Identity, ndp: Ndp) -> Steer {
    match ndp.message {
        NdpMessage::Solicit { target } => by_target(identity, target, ndp.source),
        // An advertisement goes to whoever asked; one for the service address is also watched for
        // conflicts.
        NdpMessage::Advert { target, .. } if identity.is_node(ndp.destination) => {
            if identity.is_service(target) { Steer::Both } else { Steer::Heartbeat }
        }
        NdpMessage::Advert { .. } if identity.is_service(ndp.destination) => Steer::Service,
        NdpMessage::Advert { .. } | NdpMessage::Router => Steer::Both,
    }
}

#[cfg(test)]
mod tests;
