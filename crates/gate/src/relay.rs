//! Frames that a node received for the service while it gave its place away: its successor gets them.
//!
//! A relayed frame goes from node MAC to node MAC, so that no switch learns anything from it; the packet is that of the
//! client, unchanged. The client's MAC follows the packet as a trailer, where padding would be, unless the frame
//! would be too long for the link with it. Those are full segments of connections that the successor knows, and
//! with them where their client is.

use locum_types::Mode;
use smoltcp::wire::{EthernetAddress, EthernetFrame, Ipv4Packet, Ipv6Packet};

use crate::Identity;
use crate::frame::{Body, View};
use crate::policy::{self, Ingress};

const HEADER_LEN: usize = 14;
const MAC_LEN: usize = 6;
/// The MAC of whoever cannot be told: nobody's, and never learned.
const NOBODY: EthernetAddress = EthernetAddress([0; MAC_LEN]);

/// Writes to `out` what the node with the MAC `to` gets of a frame; false if the frame is of no use to it: no IP packet
/// from one station to the service. `mtu` is the largest IP packet of the link.
pub fn relay(
    identity: &Identity,
    to: EthernetAddress,
    mtu: usize,
    frame: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    let view = View::parse(frame);
    let is_service = matches!(view.body, Body::Ip(ip) if identity.is_service(ip.destination));
    let is_for_us = is_service && view.destination == identity.service_mac();
    // What would not have been let in must not go out either: it could claim to come from the service.
    let passes = policy::ingress(Mode::Active, identity, &view) == Ingress::Pass;
    let Some(end) = packet_end(frame).filter(|_| is_for_us && passes) else { return false };
    out.clear();
    out.extend_from_slice(to.as_bytes());
    out.extend_from_slice(identity.node_mac().as_bytes());
    out.extend_from_slice(&frame[2 * MAC_LEN..end]);
    if end + MAC_LEN <= HEADER_LEN + mtu {
        out.extend_from_slice(view.source.as_bytes());
    }
    true
}

/// Writes to `out` the frame as the former active node got it; false if it is none that was relayed.
pub fn restore(identity: &Identity, frame: &[u8], out: &mut Vec<u8>) -> bool {
    let Some(end) = packet_end(frame) else { return false };
    let trailer = frame.get(end..end + MAC_LEN);
    out.clear();
    out.extend_from_slice(identity.service_mac().as_bytes());
    out.extend_from_slice(trailer.unwrap_or(NOBODY.as_bytes()));
    out.extend_from_slice(&frame[2 * MAC_LEN..end]);
    true
}

/// Where the IP packet in a frame ends, and padding begins.
fn packet_end(frame: &[u8]) -> Option<usize> {
    let packet = EthernetFrame::new_checked(frame).ok()?.payload();
    let len = match packet.first()? >> 4 {
        4 => usize::from(Ipv4Packet::new_checked(packet).ok()?.total_len()),
        6 => Ipv6Packet::new_checked(packet).ok()?.total_len(),
        _ => return None,
    };
    let end = HEADER_LEN + len;
    (end <= frame.len()).then_some(end)
}

#[cfg(test)]
mod tests;
