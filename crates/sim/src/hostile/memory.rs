//! What a hostile machine heard, for later. Bounded: the newest displaces the oldest.

use std::collections::VecDeque;

use locum_wire::{BEAT_LEN, BeatPacket};
use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol};

const FRAMES_MAX: usize = 64;
const BEATS_MAX: usize = 256;
/// Resignations and wills are rare, and more dangerous than any other beat.
const LAST_WORDS_MAX: usize = 32;
const STATIONS_MAX: usize = 32;
/// The code of a resigning beat's intent, see [`BeatPacket::intent`].
const INTENT_RESIGN: u8 = 1;

/// Recorded frames, each kind for itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// IP packets and odd things; neither ARP nor ICMPv6, which would claim addresses if sent again.
    pub(super) frames: VecDeque<Vec<u8>>,
    pub(super) beats: VecDeque<Vec<u8>>,
    pub(super) last_words: VecDeque<Vec<u8>>,
    /// Who sent any.
    pub(super) stations: VecDeque<EthernetAddress>,
}

impl Memory {
    pub(super) fn note(&mut self, frame: &[u8]) {
        let Ok(ethernet) = EthernetFrame::new_checked(frame) else { return };
        let source = ethernet.src_addr();
        if source.is_unicast() && !self.stations.contains(&source) {
            keep(&mut self.stations, STATIONS_MAX, source);
        }
        match beat(frame) {
            Some(beat) => {
                let is_will = beat.sequence() == u64::MAX;
                if is_will || beat.intent() == INTENT_RESIGN {
                    keep(&mut self.last_words, LAST_WORDS_MAX, frame.to_vec());
                }
                keep(&mut self.beats, BEATS_MAX, frame.to_vec());
            }
            None if speaks_of_neighbours(&ethernet) => {}
            None => keep(&mut self.frames, FRAMES_MAX, frame.to_vec()),
        }
    }
}

/// The beat at the end of a frame. Nothing else ends like one, and a frame with one is long enough not
/// to be padded.
pub(super) fn beat(frame: &[u8]) -> Option<BeatPacket<&[u8]>> {
    let at = frame.len().checked_sub(BEAT_LEN)?;
    BeatPacket::new_checked(&frame[at..]).ok()
}

fn speaks_of_neighbours(ethernet: &EthernetFrame<&[u8]>) -> bool {
    /// Where the next header of an IPv6 packet stands, and what it is for ICMPv6 and for options
    /// before it.
    const NEXT_HEADER: usize = 6;
    match ethernet.ethertype() {
        EthernetProtocol::Arp => true,
        EthernetProtocol::Ipv6 => matches!(ethernet.payload().get(NEXT_HEADER), Some(58 | 0)),
        EthernetProtocol::Ipv4 | EthernetProtocol::Unknown(_) => false,
    }
}

fn keep<T>(ring: &mut VecDeque<T>, limit: usize, item: T) {
    if ring.len() == limit {
        ring.pop_front();
    }
    ring.push_back(item);
}
