//! Probe before claim: a waiting node asks for the service address, from its own MAC (RFC 5227
//! §2.1).
//!
//! The active node answers from the very loop that serves clients. An answer therefore says more
//! than a beat: it is alive, and clients reach it.

use smoltcp::wire::{EthernetAddress, IpAddress, Ipv6Address};

use crate::Identity;
use crate::craft::{self, FRAME_LEN_MAX};
use crate::frame::{Body, Ndp, NdpMessage, View};

/// Writes the question for the service address `address` into `buffer` and returns its length: an
/// ARP probe, or a neighbour solicitation from the node's IPv6 address, or from `::` if it has
/// none. 0 if it does not fit; 96 bytes are enough.
pub fn request(identity: &Identity, address: IpAddress, buffer: &mut [u8]) -> usize {
    let mut frame = [0; FRAME_LEN_MAX];
    let mac = identity.node_mac();
    let len = match address {
        IpAddress::Ipv4(target) => craft::arp_probe(mac, target, &mut frame),
        IpAddress::Ipv6(target) => {
            let source = match identity.node_address.address() {
                IpAddress::Ipv6(address) => address,
                IpAddress::Ipv4(_) => Ipv6Address::UNSPECIFIED,
            };
            craft::solicit((mac, source), target, &mut frame)
        }
    };
    match (buffer.get_mut(..len), frame.get(..len)) {
        (Some(room), Some(frame)) => {
            room.copy_from_slice(frame);
            len
        }
        (Some(_) | None, Some(_) | None) => 0,
    }
}

/// The service address that another node of the group says it serves, if `frame` is an answer to
/// this node.
///
/// Only the group's MACs count, and not this node's own: a stranger who answers is a conflict, not
/// a sign of life. A neighbour advertisement to all nodes counts too, for that is how a question
/// from `::` is answered (RFC 4861 §7.2.4).
pub fn answer(identity: &Identity, frame: &[u8]) -> Option<IpAddress> {
    let view = View::parse(frame);
    let to_us = view.destination == identity.node_mac();
    let (mac, address) = match view.body {
        Body::Arp(arp) if !arp.request && to_us => (arp.sender_mac, IpAddress::from(arp.sender)),
        Body::Ndp(ndp) if ndp.hop_limit == 255 => match ndp.message {
            NdpMessage::Advert { target, .. } if to_us || to_all(&view, ndp) => {
                (ndp.link_layer.unwrap_or(view.source), target.into())
            }
            NdpMessage::Advert { .. } | NdpMessage::Solicit { .. } | NdpMessage::Router => {
                return None;
            }
        },
        Body::Arp(_) | Body::Ndp(_) | Body::Ip(_) | Body::Other | Body::Malformed => return None,
    };
    let answered = view.tags == 0 && is_another_node(identity, mac) && identity.is_service(address);
    answered.then_some(address)
}

fn to_all(view: &View, ndp: Ndp) -> bool {
    view.destination.is_multicast() && ndp.destination == craft::ALL_NODES
}

fn is_another_node(identity: &Identity, mac: EthernetAddress) -> bool {
    identity.member(mac).is_some() && mac != identity.node_mac()
}

#[cfg(test)]
mod tests;
