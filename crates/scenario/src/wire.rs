//! What a frame says, as far as a timeline shows it: the same for both worlds.

use locum_lab::frame::{Content, Parsed};
use locum_lab::node::{address, identity};

use crate::outcome::Word;

/// The port of heartbeats, at both ends.
const BEAT_PORT: u16 = 3780;
const UDP: u8 = 17;

/// Whether it is a beat of `node`.
pub(crate) fn is_beat(node: u8, frame: &Parsed) -> bool {
    match frame.content {
        Content::Ip { source, protocol: UDP, ports: (_, BEAT_PORT), .. } => source == address(node),
        Content::Ip { .. }
        | Content::Arp { .. }
        | Content::NeighbourSolicitation { .. }
        | Content::NeighbourAdvertisement { .. }
        | Content::Other { .. } => false,
    }
}

/// What it says about where the service address is.
pub(crate) fn word(frame: &Parsed) -> Option<Word> {
    const REQUEST: u16 = 1;
    let identity = identity();
    let is_service = |address| identity.service.contains(&address);
    if identity.announces(frame) {
        return Some(Word::Announcement);
    }
    match frame.content {
        Content::Arp { operation, sender, target, .. } => {
            match (is_service(sender.into()), operation == REQUEST) {
                (true, false) => Some(Word::Answer),
                (false, true) if is_service(target.into()) => Some(Word::Probe),
                (true, true) | (false, _) => None,
            }
        }
        Content::NeighbourAdvertisement { target, .. } => {
            is_service(target.into()).then_some(Word::Answer)
        }
        Content::NeighbourSolicitation { source, target } => {
            (is_service(target.into()) && !is_service(source.into())).then_some(Word::Probe)
        }
        Content::Ip { .. } | Content::Other { .. } => None,
    }
}
