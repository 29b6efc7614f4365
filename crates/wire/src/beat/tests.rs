use proptest::prelude::*;

use super::*;
use crate::samples::{active, any_beat, waiting};

fn emitted(beat: &Beat) -> BeatPacket<[u8; BEAT_LEN]> {
    let mut packet = BeatPacket::new_unchecked([0; BEAT_LEN]);
    beat.emit(&mut packet);
    packet
}

/// What parsing says, after `change`, of a beat in which every optional field is present.
fn parsed(change: impl FnOnce(&mut BeatPacket<[u8; BEAT_LEN]>)) -> Result<Beat, Refusal> {
    let mut packet = emitted(&active());
    change(&mut packet);
    Beat::parse(&packet)
}

proptest! {
    #[test]
    fn every_beat_survives_the_wire(beat in any_beat()) {
        prop_assert_eq!(Beat::parse(&emitted(&beat)), Ok(beat));
    }
}

#[test]
fn emit_overwrites_whatever_the_buffer_held() {
    let mut packet = BeatPacket::new_unchecked([0xff; BEAT_LEN]);
    waiting().emit(&mut packet);
    assert_eq!(packet.body(), emitted(&waiting()).body());
}

#[test]
fn durations_are_whole_microseconds_within_their_fields() {
    let beat = |interval, dead_after| {
        let beat = Beat { interval, dead_after, ..waiting() };
        let read = Beat::parse(&emitted(&beat)).unwrap();
        (read.interval.as_micros(), read.dead_after.as_micros())
    };
    assert_eq!(beat(Duration::from_nanos(1_999), Duration::from_nanos(3_000)), (1, 3));
    assert_eq!(beat(Duration::from_nanos(1), Duration::MAX), (1, u32::MAX.into()));
}

#[test]
fn ids_and_priorities_out_of_range_are_refused() {
    let cases: [(&str, Result<Beat, Refusal>); 8] = [
        ("group", parsed(|packet| packet.set_group(0))),
        ("from", parsed(|packet| packet.set_from(0))),
        ("from", parsed(|packet| packet.set_from(255))),
        ("to", parsed(|packet| packet.set_to(0))),
        ("to", parsed(|packet| packet.set_to(255))),
        ("to", parsed(|packet| packet.set_to(packet.from()))),
        ("priority", parsed(|packet| packet.set_priority(0))),
        ("priority", parsed(|packet| packet.set_priority(255))),
    ];
    for (field, result) in cases {
        assert_eq!(result, Err(Refusal::BadField(field)));
    }
}

#[test]
fn unknown_codes_are_refused() {
    for code in 0..=u8::MAX {
        let mode = parsed(|packet| packet.set_mode(code));
        assert_eq!(mode.is_ok(), Mode::from_code(code).is_some(), "mode {code}");
        let health = parsed(|packet| packet.set_health(code));
        assert_eq!(health.is_ok(), Health::from_code(code).is_some(), "health {code}");
    }
}

#[test]
fn a_reason_comes_with_resign_and_offer_alone() {
    for (intent, reason) in (0..=u8::MAX).flat_map(|i| (0..=u8::MAX).map(move |r| (i, r))) {
        let expected = match (intent, ResignReason::from_code(reason)) {
            (0 | 3, _) if reason != 0 => Err(Refusal::BadField("reason")),
            (0, _) => Ok(Intent::None),
            (1, Some(reason)) => Ok(Intent::Resign(reason)),
            (2, Some(reason)) => Ok(Intent::Offer(reason)),
            (3, _) => Ok(Intent::Request),
            (1 | 2, None) => Err(Refusal::BadField("reason")),
            (4.., _) => Err(Refusal::BadField("intent")),
        };
        let result = parsed(|packet| {
            packet.set_intent(intent);
            packet.set_reason(reason);
        });
        assert_eq!(result.map(|beat| beat.intent), expected, "intent {intent}, reason {reason}");
    }
}

#[test]
fn reserved_bits_must_be_zero() {
    for bit in 4..8 {
        let flags = parsed(|packet| packet.set_flags(packet.flags() | 1 << bit));
        assert_eq!(flags, Err(Refusal::BadField("flags")), "bit {bit}");
    }
    for bit in 0..16 {
        let reserved = parsed(|packet| packet.set_reserved(1 << bit));
        assert_eq!(reserved, Err(Refusal::BadField("reserved")), "bit {bit}");
    }
}

#[test]
fn an_absent_field_must_be_zero() {
    let without = |mask: u8| parsed(|packet| packet.set_flags(packet.flags() & !mask));
    assert_eq!(without(flag::ECHO), Err(Refusal::BadField("echo")));
    assert_eq!(without(flag::HEARD_AGE), Err(Refusal::BadField("heard_age")));
    assert_eq!(without(flag::TIMESTAMP_ECHO), Err(Refusal::BadField("timestamp_echo")));
    let held_alone = parsed(|packet| {
        packet.set_flags(packet.flags() & !flag::TIMESTAMP_ECHO);
        packet.set_timestamp_echo(0);
    });
    assert_eq!(held_alone, Err(Refusal::BadField("held")));
}

#[test]
fn a_present_field_may_be_zero() {
    let beat = Beat {
        echo: Some(BootNonce(0)),
        heard_age_us: Some(0),
        timestamp_echo: Some(TimestampEcho { timestamp: 0, held_us: 0 }),
        ..waiting()
    };
    assert_eq!(Beat::parse(&emitted(&beat)), Ok(beat));
}

#[test]
fn sequence_and_interval_start_at_one() {
    let sequence = parsed(|packet| packet.set_sequence(0));
    assert_eq!(sequence, Err(Refusal::BadField("sequence")));
    let interval = parsed(|packet| packet.set_interval(0));
    assert_eq!(interval, Err(Refusal::BadField("interval")));
}

#[test]
fn dead_after_is_not_shorter_than_the_interval() {
    let equal = parsed(|packet| packet.set_dead_after(packet.interval()));
    assert_eq!(equal.map(|beat| beat.dead_after), Ok(active().interval));
    let shorter = parsed(|packet| packet.set_dead_after(packet.interval() - 1));
    assert_eq!(shorter, Err(Refusal::BadField("dead_after")));
}
