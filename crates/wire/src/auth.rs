//! Who may be believed: sealing and opening beats with the key of the group.
//!
//! What belongs here: the order in which a datagram is checked. What does not: the replay window
//! ([`ReplayWindow`](crate::ReplayWindow)), which is state of one peer, and the boot nonces, which
//! the monitor judges.

use hmac::{Hmac, KeyInit, Mac};
use locum_types::sabotage::{Sabotage, sabotaged};
use locum_types::{GroupId, NodeId};
use sha2::Sha256;

use crate::{BEAT_LEN, Beat, BeatPacket, Key, Refusal, TAG_LEN};

/// Writes `beat` with its tag; returns the length, always [`BEAT_LEN`].
pub fn seal(beat: &Beat, key: &Key, buffer: &mut [u8; BEAT_LEN]) -> usize {
    let mut packet = BeatPacket::new_unchecked(&mut buffer[..]);
    beat.emit(&mut packet);
    let tag = mac(key, packet.body()).finalize().into_bytes();
    packet.set_tag(&tag[..TAG_LEN]);
    BEAT_LEN
}

/// Reads a received datagram: the beat, if it is one of this group, sealed with its key, that
/// concerns `node`.
///
/// That is a beat *to* `node`; or one *from* it: no node hears itself, so this is a reflection, or
/// somebody else who was given the same id. The monitor tells them apart by the boot nonce.
///
/// The order of the checks is part of the protocol. First what costs nothing and needs no trust,
/// because a wrong answer only drops the datagram: magic, version, type, length, group, receiver.
/// Then the tag. No other field is looked at before it holds: whatever lies behind the tag cannot
/// be reached without the key, and a count of [`Refusal::BadField`] accuses a peer, not a stranger.
///
/// # Errors
/// The first reason not to believe it, in the order of the variants of [`Refusal`].
pub fn open(datagram: &[u8], key: &Key, group: GroupId, node: NodeId) -> Result<Beat, Refusal> {
    let packet = BeatPacket::new_checked(datagram)?;
    if packet.group() != group.get() {
        return Err(Refusal::WrongGroup);
    }
    if ![packet.to(), packet.from()].contains(&node.get()) {
        return Err(Refusal::NotForUs);
    }
    if !sabotaged(Sabotage::TagIgnored) {
        mac(key, packet.body())
            .verify_truncated_left(packet.tag()) // in constant time
            .map_err(|_| Refusal::BadTag)?;
    }
    Beat::parse(&packet)
}

/// HMAC-SHA256 (RFC 2104) of `body`.
pub(crate) fn mac(key: &Key, body: &[u8]) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes());
    mac.expect("HMAC takes keys of any length").chain_update(body)
}

#[cfg(test)]
mod tests;
