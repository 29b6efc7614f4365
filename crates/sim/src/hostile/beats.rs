//! Attacks on the heartbeat: beats of the group sent again, and beats made without its key.

use std::time::Duration;

use locum_types::{BootNonce, Health, LogPosition, Mode, NodeId, Priority, ResignReason, Term};
use locum_wire::{BEAT_LEN, Beat, Intent, Key, TAG_LEN, seal};
use smoltcp::wire::{EthernetAddress, IpAddress};

use super::BEAT_PORT;
use super::build::udp;
use super::memory::beat;
use super::target::{Aim, Station};

/// Beats must not cross a router; these look as if they had.
const ROUTED: u8 = 64;
const ON_LINK: u8 = 255;
/// The longest payload that fits a packet of either family.
const PAYLOAD_MAX: usize = 1400;

/// A beat that was heard, again.
pub(super) fn replay(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    let any = aim.rng.choice(&aim.memory.beats)?.clone();
    Some(match aim.variant(6) {
        // A duplicate of what was just said; the source is the attacker's all the same.
        0 => aim.memory.beats.back()?.clone(),
        1 => any,
        2 => aim.rng.choice(&aim.memory.last_words)?.clone(),
        // To another node than the one it was for.
        3 => {
            let ends = (peer(aim)?, aim.node());
            resend(ends, ON_LINK, &any)?
        }
        // Back to its author, as a reflection.
        4 => {
            let author = beat(&any)?.from();
            let index = aim.victims.ids.iter().position(|id| id.get() == author)?;
            let ends = (peer(aim)?, aim.victims.nodes[index]);
            resend(ends, ON_LINK, &any)?
        }
        _ => {
            let mut frame = any;
            frame.get_mut(..6)?.copy_from_slice(EthernetAddress::BROADCAST.as_bytes());
            frame
        }
    })
}

/// A beat that was not made with the key of the group, or not sent on this link.
pub(super) fn forge(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    let ends = (peer(aim)?, aim.node());
    let mut bytes = sealed(aim, ends.1)?;
    match aim.variant(9) {
        0 => {}
        1 => {
            let tag = aim.bytes(TAG_LEN);
            bytes[BEAT_LEN - TAG_LEN..].copy_from_slice(&tag);
        }
        2 => bytes[BEAT_LEN - TAG_LEN..].fill(0),
        3 => bytes.truncate(aim.rng.usize(..BEAT_LEN)),
        // The version, the type or the length is another one.
        4 => bytes[aim.rng.usize(4..8)] ^= 1 << aim.rng.u8(..8),
        5 => {
            let more = aim.rng.usize(1..PAYLOAD_MAX - BEAT_LEN);
            bytes.extend(aim.bytes(more));
        }
        6 => {
            let heard = aim.rng.choice(&aim.memory.beats)?;
            return resend(ends, ROUTED, heard);
        }
        // An authentic beat with one bit of its body changed.
        7 => {
            bytes = heard(aim)?;
            bytes[aim.rng.usize(8..BEAT_LEN - TAG_LEN)] ^= 1 << aim.rng.u8(..8);
        }
        // From a MAC that looks like one of the group's.
        _ => {
            let source = Station { mac: aim.victims.lookalike(), ..ends.0 };
            return Some(udp((source, ends.1), (BEAT_PORT, BEAT_PORT), ON_LINK, &bytes));
        }
    }
    Some(udp(ends, (BEAT_PORT, BEAT_PORT), ON_LINK, &bytes))
}

/// A node's address at the attacker's MAC.
fn peer(aim: &mut Aim<'_>) -> Option<Station> {
    let address = aim.node().address;
    Some(Station { mac: aim.mac, address })
}

fn heard(aim: &mut Aim<'_>) -> Option<Vec<u8>> {
    let frame = aim.rng.choice(&aim.memory.beats)?;
    let at = frame.len().checked_sub(BEAT_LEN)?;
    Some(frame[at..].to_vec())
}

/// The beat of a frame in a datagram of its own; `None` when the ends are of two families.
fn resend(ends: (Station, Station), hop_limit: u8, frame: &[u8]) -> Option<Vec<u8>> {
    let same_family = matches!(
        (ends.0.address, ends.1.address),
        (IpAddress::Ipv4(_), IpAddress::Ipv4(_)) | (IpAddress::Ipv6(_), IpAddress::Ipv6(_))
    );
    let at = frame.len().checked_sub(BEAT_LEN)?;
    same_family.then(|| udp(ends, (BEAT_PORT, BEAT_PORT), hop_limit, &frame[at..]))
}

/// The most harmful beat to `receiver` that can be thought of, under the wrong key.
fn sealed(aim: &mut Aim<'_>, receiver: Station) -> Option<Vec<u8>> {
    let index = aim.victims.nodes.iter().position(|node| *node == receiver)?;
    let to = aim.victims.ids[index];
    let others: Vec<_> = aim.victims.ids.iter().copied().filter(|id| *id != to).collect();
    let stranger = NodeId::new(to.get() % 200 + 1).ok()?;
    let from = aim.rng.choice(others).unwrap_or(stranger);
    let intents = [
        Intent::None,
        Intent::Resign(ResignReason::Crash),
        Intent::Offer(ResignReason::Crash),
        Intent::Request,
    ];
    let beat = Beat {
        group: aim.victims.group,
        from,
        to,
        boot: BootNonce(aim.rng.u64(..)),
        echo: aim.rng.bool().then(|| BootNonce(aim.rng.u64(..))),
        sequence: aim.rng.u64(1..),
        term: Term(aim.rng.u64(..)),
        mode: aim.rng.choice(Mode::ALL)?,
        health: Health::Ok,
        priority: Priority::new(254).ok()?,
        position: LogPosition(u64::MAX),
        isolated: false,
        interval: Duration::from_millis(1),
        dead_after: Duration::from_millis(3),
        heard: u32::MAX,
        heard_age_us: Some(0),
        timestamp: aim.rng.u32(..),
        timestamp_echo: None,
        intent: intents[aim.rng.usize(..intents.len())],
    };
    let mut buffer = [0; BEAT_LEN];
    let len = seal(&beat, &Key::new([0xbd; 32]), &mut buffer);
    Some(buffer[..len].to_vec())
}
