//! Beats for tests: the ones whose bytes `docs/PROTOCOL.md` shows, and arbitrary ones.

use std::time::Duration;

use locum_types::{
    BootNonce, GroupId, Health, LogPosition, Mode, NodeId, Priority, ResignReason, Term,
};
use proptest::prelude::*;

use crate::{BEAT_LEN, Beat, Intent, Key, TimestampEcho, seal};

/// The key of the vectors: the bytes 00 to 1f.
pub(crate) fn key() -> Key {
    Key::new(std::array::from_fn(|index| index as u8))
}

pub(crate) fn group(id: u16) -> GroupId {
    GroupId::new(id).unwrap()
}

pub(crate) fn node(id: u8) -> NodeId {
    NodeId::new(id).unwrap()
}

/// The first beat of node 2 to node 1, which it has not heard yet.
pub(crate) fn waiting() -> Beat {
    Beat {
        group: group(7),
        from: node(2),
        to: node(1),
        boot: BootNonce(0x0b00_7000_0000_0002),
        echo: None,
        sequence: 1,
        term: Term(0),
        mode: Mode::Waiting,
        health: Health::Ok,
        priority: Priority::new(100).unwrap(),
        position: LogPosition(0),
        isolated: false,
        interval: Duration::from_millis(10),
        dead_after: Duration::from_millis(30),
        heard: 0,
        heard_age_us: None,
        timestamp: 5_000_000,
        timestamp_echo: None,
        intent: Intent::None,
    }
}

/// Node 1 serves, and has heard all but two of node 2's last 32 beats.
pub(crate) fn active() -> Beat {
    Beat {
        from: node(1),
        to: node(2),
        boot: BootNonce(0x0b00_7000_0000_0001),
        echo: Some(BootNonce(0x0b00_7000_0000_0002)),
        sequence: 4711,
        term: Term(3),
        mode: Mode::Active,
        priority: Priority::new(200).unwrap(),
        position: LogPosition(1_000_000),
        heard: 0xffff_ff6f,
        heard_age_us: Some(4_321),
        timestamp: 52_110_000,
        timestamp_echo: Some(TimestampEcho { timestamp: 51_900_000, held_us: 4_321 }),
        ..waiting()
    }
}

/// What node 1's warden sends when node 1 has died without a word.
pub(crate) fn will() -> Beat {
    Beat { sequence: u64::MAX, intent: Intent::Resign(ResignReason::Crash), ..active() }
}

pub(crate) fn sealed(beat: &Beat) -> [u8; BEAT_LEN] {
    let mut bytes = [0; BEAT_LEN];
    assert_eq!(seal(beat, &key(), &mut bytes), BEAT_LEN);
    bytes
}

fn intent() -> impl Strategy<Value = Intent> {
    let reason = || (1u8..=5).prop_map(|code| ResignReason::from_code(code).unwrap());
    prop_oneof![
        Just(Intent::None),
        reason().prop_map(Intent::Resign),
        reason().prop_map(Intent::Offer),
        Just(Intent::Request),
    ]
}

prop_compose! {
    fn timing()(interval in 1u32.., longer: u32) -> (Duration, Duration) {
        let dead_after = interval.saturating_add(longer);
        (Duration::from_micros(interval.into()), Duration::from_micros(dead_after.into()))
    }
}

prop_compose! {
    /// Every beat that can be written.
    pub(crate) fn any_beat()(
        (group, from, other) in (1u16.., 1u8..=254, 1u8..=253),
        (mode, health, priority) in (0u8..4, 0u8..3, 1u8..=254),
        (boot, echo, sequence) in (any::<u64>(), any::<Option<u64>>(), 1u64..),
        (term, position) in any::<(u64, u64)>(),
        (interval, dead_after) in timing(),
        (heard, heard_age_us, timestamp) in any::<(u32, Option<u32>, u32)>(),
        timestamp_echo in any::<Option<(u32, u32)>>(),
        (intent, isolated) in (intent(), any::<bool>()),
    ) -> Beat {
        Beat {
            group: GroupId::new(group).unwrap(),
            from: node(from),
            to: node(if other < from { other } else { other + 1 }),
            boot: BootNonce(boot),
            echo: echo.map(BootNonce),
            sequence,
            term: Term(term),
            mode: Mode::from_code(mode).unwrap(),
            health: Health::from_code(health).unwrap(),
            priority: Priority::new(priority).unwrap(),
            position: LogPosition(position),
            isolated,
            interval,
            dead_after,
            heard,
            heard_age_us,
            timestamp,
            timestamp_echo: timestamp_echo
                .map(|(timestamp, held_us)| TimestampEcho { timestamp, held_us }),
            intent,
        }
    }
}
