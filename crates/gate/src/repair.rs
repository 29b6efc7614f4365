//! Repairing, in place, what smoltcp gets wrong for an address that moves between machines.
//!
//! The policy says which frames need it. Nothing here panics on a frame of another shape: it is
//! left alone.

use smoltcp::wire::{EthernetFrame, Icmpv6Packet, Ipv6Address, Ipv6Packet};

use crate::craft::CHANGE_TO_EXCLUDE_MODE;
use crate::policy::Rewrite;

/// Where the flags of an advertisement are, and the override flag (RFC 4861 §4.4).
const ADVERT_FLAGS: usize = 4;
const FLAG_OVERRIDE: u8 = 0x20;
const HOP_BY_HOP: u8 = 0;
const MLD_REPORT: u8 = 143;
/// Where the records of a report begin, and how long one without sources is (RFC 3810 §5.2).
const RECORDS: usize = 8;
const RECORD_LEN: usize = 20;
const CHANGE_TO_INCLUDE_MODE: u8 = 3;

/// Applies `rewrite` to an untagged frame; true if bytes changed.
pub(crate) fn apply(rewrite: Rewrite, frame: &mut [u8]) -> bool {
    let Some((source, destination, message)) = icmpv6(frame) else { return false };
    let changed = match rewrite {
        Rewrite::OverrideFlag => set_override_flag(message),
        Rewrite::JoinRecord => join_instead_of_leave(message),
    };
    if changed == Some(true) {
        Icmpv6Packet::new_unchecked(message).fill_checksum(&source, &destination);
        return true;
    }
    false
}

fn set_override_flag(message: &mut [u8]) -> Option<bool> {
    let flags = message.get_mut(ADVERT_FLAGS)?;
    let before = *flags;
    *flags |= FLAG_OVERRIDE;
    Some(*flags != before)
}

/// smoltcp 0.14 joins with "change to include mode, no sources", which means leave. The service
/// stack never leaves.
fn join_instead_of_leave(message: &mut [u8]) -> Option<bool> {
    if *message.first()? != MLD_REPORT {
        return Some(false);
    }
    let mut changed = false;
    for record in message.get_mut(RECORDS..)?.chunks_exact_mut(RECORD_LEN) {
        if let [kind @ CHANGE_TO_INCLUDE_MODE, 0, 0, 0, ..] = record {
            *kind = CHANGE_TO_EXCLUDE_MODE;
            changed = true;
        }
    }
    Some(changed)
}

/// The addresses and the ICMPv6 message of a frame, behind one hop-by-hop header at most: all that
/// smoltcp sends.
fn icmpv6(frame: &mut [u8]) -> Option<(Ipv6Address, Ipv6Address, &mut [u8])> {
    let payload = frame.get_mut(EthernetFrame::<&[u8]>::header_len()..)?;
    let packet = Ipv6Packet::new_checked(&*payload).ok()?;
    let (source, destination) = (packet.src_addr(), packet.dst_addr());
    let (start, end) = (packet.header_len(), packet.total_len());
    let hop_by_hop = u8::from(packet.next_header()) == HOP_BY_HOP;
    let message = payload.get_mut(start..end)?;
    let skip = if hop_by_hop { (usize::from(*message.get(1)?) + 1) * 8 } else { 0 };
    let message = message.get_mut(skip..)?;
    // The checksum ends at byte 4.
    (message.len() >= 4).then_some((source, destination, message))
}

#[cfg(test)]
mod tests;
