//! The body of the `beat` fuzz target; `cargo test` replays its corpus through the same function.

use locum_types::{GroupId, NodeId};

use crate::{BEAT_LEN, Beat, BeatPacket, Key, open};

/// Arbitrary bytes never panic, are never authentic, and what parses is written back the same.
pub fn beat(data: &[u8]) {
    let key = Key::new([0x5a; 32]);
    let group = GroupId::new(7).expect("7 is in range");
    let node = NodeId::new(2).expect("2 is in range");
    assert!(open(data, &key, group, node).is_err(), "a forged beat was believed");
    let Some(packet) = BeatPacket::new_checked(data) else { return };
    let Ok(parsed) = Beat::parse(&packet) else { return };
    let mut again = [0; BEAT_LEN];
    let mut packet =
        BeatPacket::new_checked(&mut again[..]).expect("the buffer has BEAT_LEN bytes");
    parsed.emit(&mut packet);
    assert_eq!(Beat::parse(&packet), Ok(parsed));
}
