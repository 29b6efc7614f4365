//! The oracle: did a node speak for the service address when it was not its turn?
//!
//! It judges by recorded frames and by times that the *test* noted, never by what a node says about
//! itself. A frame speaks for the service when its Ethernet source is the virtual MAC, its ARP sender or
//! the target of its neighbour advertisement a service address, or its IP source one.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use crate::capture::Frame;
use crate::frame::{Content, Mac, Parsed, parse};

/// What only the active node may speak for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The service addresses.
    pub service: Vec<IpAddr>,
    /// The virtual MAC.
    pub virtual_mac: Mac,
}

/// How a frame speaks for the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Its Ethernet source, or the MAC address it announces by ARP, is the virtual MAC.
    VirtualMac,
    /// The sender of its ARP is a service address.
    ArpSender,
    /// It advertises a service address to neighbours.
    NeighbourAdvertisement,
    /// Its IP source is a service address.
    Source,
}

/// A frame that should not have been sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// Which node sent it.
    pub node: u8,
    /// When, on the clock of [`crate::capture::now`].
    pub at: u64,
    /// What is wrong with it.
    pub claim: Claim,
    /// The frame.
    pub frame: Parsed,
}

/// How long after its successor's announcement a node may answer what came before, in nanoseconds.
pub const RELIEF: u64 = 5_000_000;

/// Whose turn it is.
#[derive(Clone, Copy, Debug)]
struct Turn {
    holder: u8,
    since: u64,
    former: Option<u8>,
}

impl Turn {
    fn permits(self, spoken: &Leak) -> bool {
        let is_answer = matches!(spoken.frame.content, Content::Ip { .. });
        let last_words = self.former == Some(spoken.node)
            && spoken.claim == Claim::Source
            && is_answer
            && spoken.at - self.since < RELIEF;
        self.holder == spoken.node || last_words
    }
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Leak { node, at, claim, frame } = self;
        write!(f, "node {node} at {} ms: {claim:?}: {frame}", at / 1_000_000)
    }
}

impl Identity {
    /// How a frame speaks for the service, or `None` when it does not.
    pub fn claim(&self, frame: &Parsed) -> Option<Claim> {
        if frame.source == self.virtual_mac {
            return Some(Claim::VirtualMac);
        }
        let is_service = |address: IpAddr| self.service.contains(&address);
        match frame.content {
            Content::Arp { sender, .. } if is_service(sender.into()) => Some(Claim::ArpSender),
            Content::Arp { sender_mac, .. } if sender_mac == self.virtual_mac => {
                Some(Claim::VirtualMac)
            }
            Content::NeighbourAdvertisement { target, .. } if is_service(target.into()) => {
                Some(Claim::NeighbourAdvertisement)
            }
            Content::NeighbourAdvertisement { source, .. } if is_service(source.into()) => {
                Some(Claim::Source)
            }
            Content::NeighbourSolicitation { source, .. } if is_service(source.into()) => {
                Some(Claim::Source)
            }
            Content::Ip { source, .. } if is_service(source) => Some(Claim::Source),
            Content::Arp { .. }
            | Content::NeighbourSolicitation { .. }
            | Content::NeighbourAdvertisement { .. }
            | Content::Ip { .. }
            | Content::Other { .. } => None,
        }
    }

    /// Whether a frame tells the network that its sender now has a service address.
    pub fn announces(&self, frame: &Parsed) -> bool {
        match frame.content {
            Content::Arp { sender, target, .. } => {
                sender == target && self.service.contains(&sender.into())
            }
            Content::NeighbourAdvertisement { target, .. } => {
                self.service.contains(&target.into()) && frame.destination.0[0] == 0x33
            }
            Content::NeighbourSolicitation { .. } | Content::Ip { .. } | Content::Other { .. } => {
                false
            }
        }
    }

    fn claims<'a>(
        &'a self,
        frames: &'a [Frame],
    ) -> impl Iterator<Item = (u64, Claim, Parsed)> + 'a {
        frames.iter().filter_map(|frame| {
            let parsed = parse(&frame.bytes)?;
            Some((frame.at, self.claim(&parsed)?, parsed))
        })
    }

    /// The frames for the service that a node sent while it had to be silent.
    pub fn leaks(&self, node: u8, frames: &[Frame], silence: Range<u64>) -> Vec<Leak> {
        self.claims(frames)
            .filter(|(at, ..)| silence.contains(at))
            .map(|(at, claim, frame)| Leak { node, at, claim, frame })
            .collect()
    }

    /// The frames for the service that a node sent out of turn, in a network that was never divided.
    ///
    /// A turn begins with the node's announcement and ends with another node's. In a planned change the
    /// former node still answers what switches sent it before, from its own MAC so that none of them takes
    /// the announcement back, until it hears that it is relieved: not for longer than [`RELIEF`].
    pub fn out_of_turn(&self, recorded: &[(u8, Vec<Frame>)]) -> Vec<Leak> {
        let mut spoken: Vec<Leak> = recorded
            .iter()
            .flat_map(|(node, frames)| {
                self.claims(frames).map(|(at, claim, frame)| Leak { node: *node, at, claim, frame })
            })
            .collect();
        spoken.sort_by_key(|leak| leak.at);
        let mut turn: Option<Turn> = None;
        spoken.retain(|spoken| {
            if self.announces(&spoken.frame) && turn.is_none_or(|turn| turn.holder != spoken.node) {
                let former = turn.map(|turn| turn.holder);
                turn = Some(Turn { holder: spoken.node, since: spoken.at, former });
            }
            !turn.is_some_and(|turn| turn.permits(spoken))
        });
        spoken
    }

    /// How many frames for the service were recorded: a test that saw none has proved nothing.
    pub fn spoken(&self, frames: &[Frame]) -> usize {
        self.claims(frames).count()
    }
}

#[cfg(test)]
mod tests;
