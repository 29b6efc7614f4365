//! Holds the section "Replication" of `docs/PROTOCOL.md` to the code: its vectors in both directions, and the
//! numbers in its text.

use std::fmt::Write;

use locum_stack::Tuple;
use locum_stack::forge::Negotiated;
use locum_stack::log::Entry;
use locum_stack::service::{CloseReason, FlowId};
use locum_types::{BootNonce, GroupId, Instant, LogPosition, NodeId};
use locum_wire::Key;

use crate::codec::put_item_len;
use crate::record::{self, ANSWER_LEN, CALL_LEN, Call, Channel, Greeting, SessionKey};
use crate::{
    ByeReason, FromFollower, FromLeader, Generation, History, ITEM_LEN_MAX, Item, LogPoint,
};

const DOCUMENT: &str = include_str!("../../../docs/PROTOCOL.md");
const HISTORY: History = History(0x0c0f_fee0_0000_0001);
const TIME: Instant = Instant::from_nanos(1_500_000_000);
const FLOW: FlowId = FlowId(300);

/// The section, from its headline on.
fn section() -> &'static str {
    DOCUMENT.split_once("\n## Replication\n").expect("there is a section").1
}

/// The block of vectors under a headline, as names and bytes.
fn vectors(headline: &str) -> Vec<(&'static str, Vec<u8>)> {
    let headline = format!("#### Vectors: {headline}\n");
    let (_, rest) = section().split_once(&headline).unwrap_or_else(|| panic!("no `{headline}`"));
    let (_, rest) = rest.split_once("```text\n").expect("a block follows");
    let block = rest.split_once("```").expect("the block ends").0;
    block.lines().map(vector).collect()
}

fn vector(line: &'static str) -> (&'static str, Vec<u8>) {
    let (name, digits) = line.rsplit_once(' ').expect("a name and its bytes");
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex digits");
    (name.trim_end(), (0..digits.len()).step_by(2).map(byte).collect())
}

/// The block under a headline must show these.
fn holds(headline: &str, expected: &[(&str, Vec<u8>)]) {
    let mut text = String::new();
    for (name, bytes) in expected {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{name:26}  {hex}").unwrap();
    }
    assert_eq!(vectors(headline), expected, "docs/PROTOCOL.md should show:\n{text}");
}

fn encoded(item: &Item<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    item.encode(&mut bytes);
    bytes
}

fn entries() -> Vec<(&'static str, Entry<'static>)> {
    let v4 = |last, port| ([192, 0, 2, last], port).into();
    let v6 = |last, port| ([0x2001, 0xdb8, 0, 0, 0, 0, 0, last], port).into();
    let negotiated = Negotiated { mss: 1460, window_scale: Some(7), sack: true };
    let plain = Negotiated { mss: 536, window_scale: None, sack: false };
    let via = [2, 0, 0, 0, 0, 9];
    let accepted = |remote, local, negotiated| Entry::Accepted {
        flow: FLOW,
        tuple: Tuple { remote, local },
        negotiated,
        local_isn: 0x0102_0304,
        remote_isn: 0xa1a2_a3a4,
        via,
    };
    vec![
        ("accepted, IPv4", accepted(v4(9, 50_000), v4(1, 80), negotiated)),
        ("accepted, IPv6, no options", accepted(v6(9, 50_000), v6(1, 80), plain)),
        ("opened", Entry::Opened { flow: FLOW, window: 64_240 }),
        ("data", Entry::Data { flow: FLOW, bytes: b"hello" }),
        ("held", Entry::Held { flow: FLOW, bytes: b"hello" }),
        ("released", Entry::Released { flow: FLOW, bytes: 5 }),
        ("acked", Entry::Acked { flow: FLOW, bytes: 1460, window: 64_240 }),
        ("fin_received", Entry::FinReceived { flow: FLOW }),
        ("finished", Entry::Finished { flow: FLOW }),
        ("fin_acked", Entry::FinAcked { flow: FLOW }),
        ("closed, reset", Entry::Closed { flow: FLOW, reason: CloseReason::Reset }),
        ("datagram", Entry::Datagram { local: v4(1, 7), remote: v4(9, 50_000), bytes: b"ping" }),
        ("tick", Entry::Tick { port: 7 }),
    ]
}

#[test]
fn the_vectors_of_items_hold_in_both_directions() {
    let mut expected = Vec::new();
    for (name, entry) in entries() {
        let item = Item::Entry { time: TIME, entry };
        let bytes = encoded(&item);
        assert_eq!(Item::decode(&bytes), Ok(item));
        expected.push((name, bytes));
    }
    let item = Item::StateDigest { position: LogPosition(1000), digest: 0x0123_4567_89ab_cdef };
    expected.push(("state_digest", encoded(&item)));
    holds("items", &expected);
}

#[test]
fn the_vectors_of_messages_hold_in_both_directions() {
    let point =
        LogPoint { history: HISTORY, position: LogPosition(1000), digest: 0x0123_4567_89ab_cdef };
    let LogPoint { position, digest, .. } = point;
    let leader = [
        ("welcome, by snapshot", FromLeader::Welcome { history: HISTORY, resumes: false }),
        ("welcome, resumes", FromLeader::Welcome { history: HISTORY, resumes: true }),
        ("snapshot", FromLeader::Snapshot { point }),
        ("chunk", FromLeader::Chunk { bytes: b"state" }),
        ("chunk, the end", FromLeader::Chunk { bytes: b"" }),
        ("log, a sign of life", FromLeader::Log { in_sync: None, heard: 0, bytes: &[] }),
        (
            "log, in sync",
            FromLeader::Log { in_sync: Some(Generation(3)), heard: 130, bytes: &[0x05, 0x0c] },
        ),
        ("bye, too_slow", FromLeader::Bye { reason: ByeReason::TooSlow }),
        ("bye, leaving", FromLeader::Bye { reason: ByeReason::Leaving }),
    ];
    let follower = [
        ("hello, without a log", FromFollower::Hello { have: None }),
        ("hello, with a log", FromFollower::Hello { have: Some(point) }),
        ("confirm", FromFollower::Confirm { position, digest, in_sync: Some(Generation(3)) }),
        ("bye, diverged", FromFollower::Bye { reason: ByeReason::Diverged }),
    ];
    let mut expected = Vec::new();
    for (name, message) in leader {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        assert_eq!(FromLeader::decode(&bytes), Ok(message));
        expected.push((name, bytes));
    }
    for (name, message) in follower {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        assert_eq!(FromFollower::decode(&bytes), Ok(message));
        expected.push((name, bytes));
    }
    holds("messages", &expected);
}

#[test]
fn the_vectors_of_the_digest_hold() {
    let tick = |port| encoded(&Item::Entry { time: TIME, entry: Entry::Tick { port } });
    let (one, two) = (tick(7), tick(80));
    let mut stream = Vec::new();
    for item in [&one, &two] {
        put_item_len(&mut stream, item.len());
        stream.extend(item);
    }
    let after_one = LogPoint::start(HISTORY).after(&one);
    let after_two = after_one.after(&two);
    assert_eq!(after_two.position, LogPosition(2));
    holds(
        "digest",
        &[
            ("two ticks in the stream", stream),
            ("digest after the first", after_one.digest.to_be_bytes().to_vec()),
            ("digest after the second", after_two.digest.to_be_bytes().to_vec()),
        ],
    );
}

fn sealed(channel: &mut Channel, message: &[u8]) -> Vec<u8> {
    let mut record = vec![0; record::RECORD_LEN_MAX];
    let len = channel.seal(message, &mut record).unwrap();
    record.truncate(len);
    record
}

#[test]
fn the_vectors_of_a_session_hold_in_both_directions() {
    let key = SessionKey::new(&Key::new(std::array::from_fn(|index| index as u8)));
    let caller_private: [u8; 32] = std::array::from_fn(|index| 0x20 + index as u8);
    let called_private: [u8; 32] = std::array::from_fn(|index| 0x40 + index as u8);
    let group = GroupId::new(7).unwrap();
    let (from, to) = (NodeId::new(2).unwrap(), NodeId::new(1).unwrap());
    let leader_boot = BootNonce(0x0b00_7000_0000_0001);
    let greeting = Greeting { group, from, to, boot: BootNonce(0x0b00_7000_0000_0002) };

    let (caller, call) = Call::new(&key, &greeting, caller_private).unwrap();
    let identity = (group, to, leader_boot);
    let (heard, mut leader, answer) =
        record::answer(&key, identity, &call, called_private).unwrap();
    assert_eq!(heard, greeting);
    let (mut follower, boot) = caller.answered(&answer).unwrap();
    assert_eq!(boot, leader_boot);

    let (mut hello, mut welcome) = (Vec::new(), Vec::new());
    FromFollower::Hello { have: None }.encode(&mut hello);
    FromLeader::Welcome { history: HISTORY, resumes: false }.encode(&mut welcome);
    holds(
        "session",
        &[
            ("session key", key.bytes().to_vec()),
            ("call", call.to_vec()),
            ("answer", answer.to_vec()),
            ("record with hello", sealed(&mut follower, &hello)),
            ("record with welcome", sealed(&mut leader, &welcome)),
        ],
    );
}

#[test]
fn the_tables_list_every_code() {
    let codes: Vec<(u8, &str)> = section()
        .lines()
        .filter_map(|line| {
            let (code, rest) = line.strip_prefix("| ")?.split_once(" | `")?;
            Some((code.parse().ok()?, rest.split_once('`')?.0))
        })
        .collect();
    let vectors = ["items", "messages"].map(vectors).concat();
    for (name, bytes) in vectors {
        let name = name.split(',').next().unwrap_or(name);
        assert!(codes.contains(&(bytes[0], name)), "{name} is {}", bytes[0]);
    }
    assert_eq!(codes.len(), 12 + 1 + 4 + 2 + 1, "no code that there is not");
}

#[test]
fn lengths_in_the_text_are_those_of_the_code() {
    for words in [
        format!("a call of {CALL_LEN} bytes"),
        format!("an answer of {ANSWER_LEN} bytes"),
        format!("at most {} bytes", record::RECORD_LEN_MAX),
        format!("at most {} bytes", record::MESSAGE_LEN_MAX),
        format!("at most {ITEM_LEN_MAX} bytes"),
        format!("after {} records", record::RECORDS_PER_KEY),
        record::PROTOCOL.to_string(),
        format!("`{}`", record::PURPOSE),
    ] {
        assert!(section().contains(&words), "docs/PROTOCOL.md does not say `{words}`");
    }
}
