use proptest::prelude::*;

use super::*;
use crate::RefusalCounters;
use crate::samples::{active, any_beat, group, key, node, sealed, waiting};

/// What node 2 of group 7 makes of `datagram`.
fn opened(datagram: &[u8]) -> Result<Beat, Refusal> {
    open(datagram, &key(), group(7), node(2))
}

proptest! {
    #[test]
    fn what_is_sealed_can_be_opened(beat in any_beat()) {
        prop_assert_eq!(open(&sealed(&beat), &key(), beat.group, beat.to), Ok(beat));
    }

    #[test]
    fn random_bytes_are_never_believed(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        crate::fuzzing::beat(&bytes);
    }
}

#[test]
fn every_altered_bit_is_noticed() {
    let bytes = sealed(&active());
    for bit in 0..BEAT_LEN * 8 {
        let mut altered = bytes;
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(opened(&altered).is_err(), "bit {bit}");
    }
}

#[test]
fn another_key_is_refused() {
    let other = Key::new([0x0b; 32]);
    assert_eq!(open(&sealed(&active()), &other, group(7), node(2)), Err(Refusal::BadTag));
}

#[test]
fn another_group_and_another_receiver_are_told_apart_without_a_key() {
    let mut unsealed = sealed(&active());
    unsealed[BEAT_LEN - 1] ^= 1;
    let open_as = |group, node| open(&unsealed, &key(), group, node);
    assert_eq!(open_as(group(8), node(3)), Err(Refusal::WrongGroup));
    assert_eq!(open_as(group(7), node(3)), Err(Refusal::NotForUs));
    assert_eq!(open_as(group(7), node(2)), Err(Refusal::BadTag));
}

#[test]
fn a_beat_with_our_own_id_reaches_the_monitor_whoever_it_is_for() {
    assert_eq!(open(&sealed(&waiting()), &key(), group(7), node(2)), Ok(waiting()));
}

#[test]
fn no_field_is_looked_at_before_the_tag() {
    let mut bytes = sealed(&active());
    let mut packet = BeatPacket::new_unchecked(&mut bytes[..]);
    packet.set_mode(99);
    assert_eq!(opened(&bytes), Err(Refusal::BadTag));

    let mut packet = BeatPacket::new_unchecked(&mut bytes[..]);
    let tag = mac(&key(), packet.body()).finalize().into_bytes();
    packet.set_tag(&tag[..TAG_LEN]);
    assert_eq!(opened(&bytes), Err(Refusal::BadField("mode")));
}

#[test]
fn the_tag_is_hmac_sha256_as_in_rfc_4231() {
    // Test case 2 (§4.3). Its short key is padded with zeros, as HMAC itself does (RFC 2104 §2).
    let mut padded = [0; 32];
    padded[..4].copy_from_slice(b"Jefe");
    let tag = mac(&Key::new(padded), b"what do ya want for nothing?").finalize().into_bytes();
    assert_eq!(tag[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    assert_eq!(tag[28..], [0x64, 0xec, 0x38, 0x43]);
}

#[test]
fn each_refusal_is_counted_under_its_own_name() {
    let mut counters = RefusalCounters::default();
    for refusal in [
        Refusal::Truncated,
        Refusal::BadMagic,
        Refusal::BadVersion,
        Refusal::BadType,
        Refusal::BadLength,
        Refusal::WrongGroup,
        Refusal::NotForUs,
        Refusal::BadTag,
        Refusal::BadField("mode"),
        Refusal::BadField("term"),
    ] {
        counters.note(refusal);
    }
    let once = RefusalCounters {
        truncated: 1,
        bad_magic: 1,
        bad_version: 1,
        bad_type: 1,
        bad_length: 1,
        wrong_group: 1,
        not_for_us: 1,
        bad_tag: 1,
        bad_field: 2,
    };
    assert_eq!(counters, once);
}
