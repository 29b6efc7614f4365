//! Bodies of the fuzz targets, as plain functions that libFuzzer and the corpus tests both call.

use locum_types::{GroupId, NodeId};

use crate::{
    BEAT_LEN, Beat, BeatPacket, Key, MAGIC, Refusal, TAG_LEN, TYPE_BEAT, VERSION, open, seal,
};

/// A key with which no input was sealed: a fuzzer cannot guess it, and the corpus has another.
const KEY: Key = Key::new(*b"no input was ever sealed by this");

/// Any bytes at all as a received datagram.
///
/// # Panics
/// When the decoder does not keep a promise. That is a defect.
pub fn beat(input: &[u8]) {
    as_received(input);
    with_a_good_header(input);
}

/// A stranger's datagram is never believed, not even when it is meant for us.
fn as_received(input: &[u8]) {
    let packet = match BeatPacket::new_checked(input) {
        Ok(packet) => packet,
        Err(refusal) => {
            let (group, node) = (GroupId::new(7), NodeId::new(2));
            let opened = open(input, &KEY, group.expect("in range"), node.expect("in range"));
            assert_eq!(opened, Err(refusal), "the header is checked first");
            return;
        }
    };
    if let (Ok(group), Ok(node)) = (GroupId::new(packet.group()), NodeId::new(packet.to())) {
        assert_eq!(open(input, &KEY, group, node), Err(Refusal::BadTag), "it has no key of ours");
    }
}

/// What a peer with a key may write behind a good header is refused by name, or has one encoding
/// only and survives the way over the wire. Sparing the fuzzer the header lets it get to the
/// fields.
fn with_a_good_header(input: &[u8]) {
    let mut bytes = [0; BEAT_LEN];
    bytes.iter_mut().zip(input).for_each(|(byte, given)| *byte = *given);
    let mut packet = BeatPacket::new_unchecked(&mut bytes[..]);
    packet.set_magic(MAGIC);
    packet.set_version(VERSION);
    packet.set_packet_type(TYPE_BEAT);
    packet.set_length(BEAT_LEN as u16);

    let packet = BeatPacket::new_checked(&bytes[..]).expect("the header was made good");
    let beat = match Beat::parse(&packet) {
        Ok(beat) => beat,
        Err(Refusal::BadField(_)) => return,
        Err(refusal) => panic!("only a field can be wrong, not: {refusal}"),
    };
    let mut sealed = [0; BEAT_LEN];
    seal(&beat, &KEY, &mut sealed);
    assert_eq!(sealed[..BEAT_LEN - TAG_LEN], *packet.body(), "one beat has one encoding");
    assert_eq!(open(&sealed, &KEY, beat.group, beat.to), Ok(beat), "what is sealed can be opened");
    alter(&mut sealed, input);
    assert!(open(&sealed, &KEY, beat.group, beat.to).is_err(), "an altered beat was believed");
}

/// Changes one bit, chosen by the bytes that the beat left over, or by its tag.
fn alter(sealed: &mut [u8; BEAT_LEN], input: &[u8]) {
    let choice = input
        .iter()
        .skip(BEAT_LEN - TAG_LEN)
        .fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let bit = choice % (BEAT_LEN * 8);
    sealed[bit / 8] ^= 1 << (bit % 8);
}
