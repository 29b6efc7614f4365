//! Who else claims a service address: address conflict detection (RFC 5227 §2.4).
//!
//! Sees ARP and neighbour discovery only. A claim from a MAC outside the group is a conflict; one
//! from inside it, while this node is active, is a second active node. While this node is not
//! active, the active node's claims are the normal state of affairs.

use std::fmt;
use std::time::Duration;

use locum_types::{Instant, Mode};
use smoltcp::wire::{EthernetAddress, IpAddress};

use crate::frame::{Body, Kind, NdpMessage, View};
use crate::{Identity, Member};

/// A conflict is answered with one announcement, and no other for this long (RFC 5227 §2.4:
/// DEFEND_INTERVAL).
pub const DEFEND_INTERVAL: Duration = Duration::from_secs(10);
/// The same claim is reported once in this time, however often it is made.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Claims remembered for [`REPORT_INTERVAL`], and addresses remembered for [`DEFEND_INTERVAL`].
const REMEMBERED_MAX: usize = 16;

/// Someone says that a service address is theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The MAC that claims it.
    pub mac: EthernetAddress,
    /// The service address claimed.
    pub address: IpAddress,
    /// In what kind of frame.
    pub kind: Kind,
}

/// What the gate saw others claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// Someone outside the group claims a service address. Seen in every mode; an active node
    /// defends.
    Claim(Claim),
    /// Another node of the group speaks for a service address while this one is active. From the
    /// virtual MAC it may also be this node's own frame, returned by a loop.
    PeerClaim {
        /// What was claimed.
        claim: Claim,
        /// Whose MAC it is.
        member: Member,
    },
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} claims {} ({:?})", self.mac, self.address, self.kind)
    }
}

/// One line for the log.
impl fmt::Display for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sighting::Claim(claim) => {
                write!(f, "address conflict: {claim}, and is not of the group")
            }
            Sighting::PeerClaim { claim, member: Member::Node(node) } => {
                write!(f, "second active node: {claim}, and is node {node}")
            }
            Sighting::PeerClaim { claim, member: Member::Virtual } => {
                write!(f, "second active node, or a loop: {claim}, the virtual MAC")
            }
        }
    }
}

/// The claim in a frame, whoever makes it: ARP whose sender, an advertisement whose target, or a
/// solicitation whose source is a service address.
pub fn claim(identity: &Identity, view: &View) -> Option<Claim> {
    let kind = view.kind();
    let (mac, address) = match view.body {
        Body::Arp(arp) => (arp.sender_mac, arp.sender.into()),
        Body::Ndp(ndp) => {
            let address = match ndp.message {
                NdpMessage::Advert { target, .. } => target,
                NdpMessage::Solicit { .. } => ndp.source,
                NdpMessage::Router => return None,
            };
            (ndp.link_layer.unwrap_or(view.source), IpAddress::Ipv6(address))
        }
        Body::Ip(_) | Body::Other | Body::Malformed => return None,
    };
    // A claim behind a VLAN tag, or from beyond a router, is about another link.
    let here = view.tags == 0 && !matches!(view.body, Body::Ndp(ndp) if ndp.hop_limit != 255);
    (here && identity.is_service(address)).then_some(Claim { mac, address, kind })
}

/// What a received frame tells about others' claims, if anything.
pub fn sighting(mode: Mode, identity: &Identity, view: &View) -> Option<Sighting> {
    let claim = claim(identity, view)?;
    match (identity.member(claim.mac), mode) {
        (None, Mode::Joining | Mode::Waiting | Mode::Active | Mode::Fenced) => {
            Some(Sighting::Claim(claim))
        }
        (Some(member), Mode::Active) => Some(Sighting::PeerClaim { claim, member }),
        (Some(_), Mode::Joining | Mode::Waiting | Mode::Fenced) => None,
    }
}

/// Remembers when something last happened, for a bounded number of things: "at most once per
/// interval".
#[derive(Clone, Debug)]
pub(crate) struct Limiter<K> {
    interval: Duration,
    last: Vec<(K, Instant)>,
}

impl<K: PartialEq> Limiter<K> {
    pub(crate) fn new(interval: Duration) -> Self {
        Limiter { interval, last: Vec::with_capacity(REMEMBERED_MAX) }
    }

    /// Whether it may happen now; if so, it has.
    pub(crate) fn permits(&mut self, now: Instant, key: K) -> bool {
        self.last.retain(|&(_, at)| now - at < self.interval);
        if self.last.iter().any(|(known, _)| *known == key) {
            return false;
        }
        if self.last.len() == REMEMBERED_MAX {
            // Someone claims from ever new MACs: the oldest makes room, what is bounded stays
            // bounded.
            self.last.remove(0);
        }
        self.last.push((key, now));
        true
    }
}

#[cfg(test)]
mod tests;
