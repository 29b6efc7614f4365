use super::*;
use crate::samples::{active, sealed};

fn checked(change: impl FnOnce(&mut [u8; BEAT_LEN])) -> Result<(), Refusal> {
    let mut bytes = sealed(&active());
    change(&mut bytes);
    BeatPacket::new_checked(bytes).map(|_| ())
}

#[test]
fn the_fields_follow_each_other_without_gaps() {
    let mut next = 0;
    for &(at, size, name) in LAYOUT {
        assert_eq!(at, next, "{name}");
        assert_eq!(at % size, 0, "{name} is aligned");
        next = at + size;
    }
    assert_eq!(next, BODY_LEN);
}

#[test]
fn each_setter_writes_what_its_getter_reads_and_nothing_else() {
    let mut packet = BeatPacket::new_unchecked([0; BEAT_LEN]);
    packet.set_length(0x0102);
    packet.set_boot(0x1112_1314_1516_1718);
    packet.set_held(0x2122_2324);
    packet.set_tag(&[0xee; TAG_LEN]);
    assert_eq!(packet.length(), 0x0102);
    assert_eq!(packet.boot(), 0x1112_1314_1516_1718);
    assert_eq!(packet.held(), 0x2122_2324);
    assert_eq!(packet.tag(), [0xee; TAG_LEN]);
    let set = packet.body().iter().filter(|byte| **byte != 0).count();
    assert_eq!(set, 2 + 8 + 4);
}

#[test]
fn only_a_whole_beat_is_wrapped() {
    let bytes = sealed(&active());
    for len in 0..BEAT_LEN {
        let cut = BeatPacket::new_checked(&bytes[..len]);
        assert_eq!(cut.err(), Some(Refusal::Truncated), "{len} bytes");
    }
    assert!(BeatPacket::new_checked(&bytes[..]).is_ok());
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(BeatPacket::new_checked(longer).err(), Some(Refusal::BadLength));
}

#[test]
fn the_header_is_checked_in_the_order_of_its_bytes() {
    assert_eq!(checked(|bytes| bytes[..8].fill(0xff)), Err(Refusal::BadMagic));
    assert_eq!(checked(|bytes| bytes[4..8].fill(0xff)), Err(Refusal::BadVersion));
    assert_eq!(checked(|bytes| bytes[5..8].fill(0xff)), Err(Refusal::BadType));
    assert_eq!(checked(|bytes| bytes[6..8].fill(0xff)), Err(Refusal::BadLength));
    assert_eq!(checked(|bytes| bytes[7] -= 1), Err(Refusal::BadLength));
    assert_eq!(checked(|_| ()), Ok(()));
}

#[test]
fn a_short_packet_of_another_version_is_known_as_such() {
    let mut bytes = sealed(&active());
    bytes[4] = 2;
    assert_eq!(BeatPacket::new_checked(&bytes[..20]).err(), Some(Refusal::BadVersion));
}
