use std::collections::BTreeSet;
use std::time::Duration;

use locum_types::{
    BootNonce, GroupId, Health, LogPosition, Mode, NodeId, Priority, ResignReason, Term,
};
use proptest::prelude::*;

use super::*;

fn group() -> GroupId {
    GroupId::new(7).expect("7 is in range")
}

fn node(id: u8) -> NodeId {
    NodeId::new(id).expect("test ids are in range")
}

fn beat() -> Beat {
    Beat {
        group: group(),
        from: node(1),
        to: node(2),
        boot: BootNonce(0x1122_3344_5566_7788),
        echo: None,
        sequence: 1,
        term: Term(3),
        mode: Mode::Waiting,
        health: Health::Ok,
        priority: Priority::new(200).expect("200 is in range"),
        position: LogPosition(0),
        interval: Duration::from_millis(10),
        dead_after: Duration::from_millis(30),
        heard: 0,
        heard_age_us: None,
        timestamp: 0x0001_0203,
        timestamp_echo: None,
        intent: Intent::None,
    }
}

fn active_beat() -> Beat {
    Beat {
        echo: Some(BootNonce(0x99aa_bbcc_ddee_ff00)),
        sequence: 4711,
        term: Term(4),
        mode: Mode::Active,
        position: LogPosition(123_456),
        heard: 0xffff_fffe,
        heard_age_us: Some(9_876),
        timestamp_echo: Some(TimestampEcho { timestamp: 0xdead_beef, held_us: 120 }),
        ..beat()
    }
}

fn will() -> Beat {
    Beat { sequence: u64::MAX, intent: Intent::Resign(ResignReason::Crash), ..active_beat() }
}

fn key() -> Key {
    Key::new([0x0b; 32])
}

fn sealed(beat: &Beat) -> [u8; BEAT_LEN] {
    let mut bytes = [0; BEAT_LEN];
    assert_eq!(seal(beat, &key(), &mut bytes), BEAT_LEN);
    bytes
}

/// The hexadecimal block under the heading `vector: NAME` of the protocol document.
fn golden(name: &str) -> Vec<u8> {
    let document = include_str!("../../../docs/PROTOCOL.md");
    let heading = format!("vector: {name}\n");
    let (_, block) = document.split_once(&heading).expect("the document has this vector");
    let hex = block.split("```").nth(1).expect("the vector is a code block");
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let value = |digit: u8| char::from(digit).to_digit(16).expect("a hexadecimal digit") as u8;
    digits.chunks_exact(2).map(|pair| value(pair[0]) << 4 | value(pair[1])).collect()
}

#[test]
fn the_documents_vectors_are_what_the_code_writes_and_reads() {
    for (name, beat) in [("waiting", beat()), ("active", active_beat()), ("will", will())] {
        let bytes = sealed(&beat);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(golden(name), bytes, "{name} is {hex}");
        assert_eq!(open(&golden(name), &key(), group(), node(2)), Ok(beat));
    }
}

#[test]
fn every_changed_bit_is_noticed() {
    let bytes = sealed(&active_beat());
    for bit in 0..BEAT_LEN * 8 {
        let mut changed = bytes;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&changed, &key(), group(), node(2)).is_err(), "bit {bit}");
    }
}

#[test]
fn each_reason_for_refusal_is_named() {
    let bytes = sealed(&beat());
    let opened = |bytes: &[u8]| open(bytes, &key(), group(), node(2));
    let changed = |at: usize, value: u8| {
        let mut bytes = bytes;
        bytes[at] = value;
        opened(&bytes)
    };
    assert_eq!(opened(&bytes[1..]), Err(Refusal::BadLength));
    assert_eq!(opened(&[]), Err(Refusal::BadLength));
    assert_eq!(changed(0, b'X'), Err(Refusal::BadMagic));
    assert_eq!(changed(4, 2), Err(Refusal::BadVersion));
    assert_eq!(changed(5, 9), Err(Refusal::BadKind));
    assert_eq!(changed(7, 99), Err(Refusal::BadLength));
    assert_eq!(changed(9, 8), Err(Refusal::WrongGroup));
    assert_eq!(changed(11, 3), Err(Refusal::NotForUs));
    assert_eq!(changed(40, 1), Err(Refusal::BadTag));
    let other_key = Key::new([0x0c; 32]);
    assert_eq!(open(&bytes, &other_key, group(), node(2)), Err(Refusal::BadTag));
}

#[test]
fn authentic_nonsense_is_refused_field_by_field() {
    let cases: [(&str, Beat); 4] = [
        ("interval 0", Beat { interval: Duration::ZERO, ..beat() }),
        ("dead_after < interval", Beat { dead_after: Duration::from_millis(9), ..beat() }),
        ("boot 0", Beat { boot: BootNonce(0), ..beat() }),
        ("sequence 0", Beat { sequence: 0, ..beat() }),
    ];
    for (what, beat) in cases {
        let result = open(&sealed(&beat), &key(), group(), node(2));
        assert_eq!(result, Err(Refusal::BadField), "{what}");
    }
}

#[test]
fn unknown_codes_are_refused() {
    for (at, value) in [(12, 4), (13, 3), (14, 0), (14, 255), (15, 0x01), (15, 0x16), (15, 0x40)] {
        let mut bytes = [0; BEAT_LEN];
        let mut packet = BeatPacket::new_checked(&mut bytes[..]).expect("the right length");
        beat().emit(&mut packet);
        packet.set_byte(at, value);
        assert_eq!(Beat::parse(&packet), Err(Refusal::BadField), "byte {at} = {value:#x}");
    }
}

#[test]
fn refusals_are_counted_by_reason() {
    let mut counters = RefusalCounters::default();
    counters.note(Refusal::BadTag);
    counters.note(Refusal::BadTag);
    counters.note(Refusal::WrongGroup);
    assert_eq!(counters, RefusalCounters { bad_tag: 2, wrong_group: 1, ..Default::default() });
}

#[test]
fn a_key_file_reads_back_and_its_errors_name_the_line() {
    assert_eq!(Key::from_text(&key().to_text()), Ok(key()));
    let hex = "0B".repeat(32);
    assert_eq!(Key::from_text(&format!("\n# note\n  {hex}\n")), Ok(key()));
    assert_eq!(Key::from_text("# only a comment"), Err(KeyError::Missing));
    assert_eq!(Key::from_text("\nabc"), Err(KeyError::Length { line: 2, got: 3 }));
    assert_eq!(Key::from_text("xyz"), Err(KeyError::Digit { line: 1, found: 'x' }));
    assert_eq!(Key::from_text(&format!("{hex}\n{hex}")), Err(KeyError::Second { line: 2 }));
}

#[test]
fn a_key_is_never_printed() {
    assert_eq!(format!("{:?}", key()), "Key(..)");
}

#[test]
fn the_will_is_the_last_word_of_a_boot() {
    let mut window = ReplayWindow::new();
    assert!(window.accept(5));
    assert!(window.accept(u64::MAX));
    assert!(!window.accept(u64::MAX));
    assert!(!window.accept(6));
}

fn arbitrary_intent() -> impl Strategy<Value = Intent> {
    let reason = (1u8..=5).prop_map(|code| ResignReason::from_code(code).expect("a known code"));
    (0..4, reason).prop_map(|(kind, reason)| match kind {
        0 => Intent::None,
        1 => Intent::Resign(reason),
        2 => Intent::Offer(reason),
        _ => Intent::Request,
    })
}

prop_compose! {
    fn arbitrary_beat()(
        from in 1u8..=254, sequence in 1u64.., term: u64, boot in 1u64.., echo: u64, position: u64,
        mode in 0u8..4, health in 0u8..3, priority in 1u8..=254, interval in 1u32..1_000_000,
        more in 0u32..1_000_000, heard: u32, age in 0..u32::MAX, never: bool, timestamp: u32,
        echoed: Option<u32>, held_us in 0..u32::MAX, intent in arbitrary_intent(),
    ) -> Beat {
        Beat {
            group: group(),
            from: node(from),
            to: node(2),
            boot: BootNonce(boot),
            echo: (echo != 0).then_some(BootNonce(echo)),
            sequence,
            term: Term(term),
            mode: Mode::from_code(mode).expect("a known code"),
            health: Health::from_code(health).expect("a known code"),
            priority: Priority::new(priority).expect("in range"),
            position: LogPosition(position),
            interval: Duration::from_micros(interval.into()),
            dead_after: Duration::from_micros(u64::from(interval) + u64::from(more)),
            heard,
            heard_age_us: (!never).then_some(age),
            timestamp,
            timestamp_echo: echoed.map(|timestamp| TimestampEcho { timestamp, held_us }),
            intent,
        }
    }
}

proptest! {
    #[test]
    fn every_beat_survives_the_wire(beat in arbitrary_beat()) {
        prop_assert_eq!(open(&sealed(&beat), &key(), group(), node(2)), Ok(beat));
    }

    #[test]
    fn random_bytes_are_never_believed(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzzing::beat(&data);
    }

    #[test]
    fn the_window_agrees_with_a_set(
        steps in proptest::collection::vec((any::<bool>(), 0u64..200), 1..400),
    ) {
        let mut window = ReplayWindow::new();
        let (mut seen, mut highest) = (BTreeSet::new(), 0u64);
        for (jump, value) in steps {
            let sequence = if jump { highest.saturating_add(value * 3) } else { highest.saturating_sub(value) };
            let fresh = sequence > 0
                && highest.saturating_sub(sequence) < REPLAY_WINDOW
                && !seen.contains(&sequence);
            prop_assert_eq!(window.accept(sequence), fresh);
            if fresh {
                seen.insert(sequence);
                highest = highest.max(sequence);
            }
        }
    }
}
