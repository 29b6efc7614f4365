//! Frames under the MAC of a member: the switch now thinks that member is at the attacker's port.

use locum_gate::virtual_mac;
use smoltcp::wire::EthernetAddress;

use super::build::ethernet;
use super::target::{Aim, strange_mac};

/// For local experiments (IEEE 802 §9.2.3): nobody takes it for a claim.
const ETHERTYPE: u16 = 0x88b5;

/// One such frame.
pub(super) fn spoof(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    let shared = virtual_mac(aim.victims.group);
    let (all, payload) = (EthernetAddress::BROADCAST, aim.bytes(46));
    Some(match aim.variant(5) {
        0 => ethernet(shared, all, ETHERTYPE, &payload),
        1 => ethernet(shared, strange_mac(aim.rng.u16(..)), ETHERTYPE, &payload),
        2 => ethernet(aim.node().mac, all, ETHERTYPE, &payload),
        3 => ethernet(aim.node().mac, aim.node().mac, ETHERTYPE, &payload),
        // A beat as it was, under the MAC of its author.
        _ => aim.rng.choice(&aim.memory.beats)?.clone(),
    })
}
