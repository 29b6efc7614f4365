use locum_stack::Tuple;
use locum_stack::forge::Negotiated;
use locum_stack::log::Entry;
use locum_stack::service::{CloseReason, FlowId};
use locum_types::{Instant, LogPosition};
use proptest::prelude::*;

use super::varint::put;
use super::*;
use crate::point::{Generation, History, LogPoint};

/// What entries and messages carry; never empty.
const PAYLOAD: &[u8] = b"a payload";

fn encoded(item: &Item<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    item.encode(&mut bytes);
    bytes
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..300u64, any::<u64>()]
}

/// A number of bytes: never 0.
fn count() -> impl Strategy<Value = usize> {
    prop_oneof![1..300usize, 1..=usize::MAX]
}

fn close_reason() -> impl Strategy<Value = CloseReason> {
    prop_oneof![
        Just(CloseReason::Finished),
        Just(CloseReason::Reset),
        Just(CloseReason::TimedOut),
        Just(CloseReason::Aborted),
    ]
}

fn negotiated() -> impl Strategy<Value = Negotiated> {
    (any::<u16>(), prop::option::of(0..=14u8), any::<bool>())
        .prop_map(|(mss, window_scale, sack)| Negotiated { mss, window_scale, sack })
}

/// Any address that the codec keeps: flow labels and scopes are no part of an entry.
fn address() -> impl Strategy<Value = std::net::SocketAddr> {
    (any::<std::net::IpAddr>(), any::<u16>())
        .prop_map(|(ip, port)| std::net::SocketAddr::new(ip, port))
}

fn generation() -> impl Strategy<Value = Option<Generation>> {
    prop::option::of((1..u64::MAX).prop_map(Generation))
}

fn entry() -> impl Strategy<Value = Entry<'static>> {
    let bytes = PAYLOAD;
    let flow = || number().prop_map(FlowId);
    let tuple = (address(), address()).prop_map(|(remote, local)| Tuple { remote, local });
    let accepted = (flow(), tuple, negotiated(), any::<(u32, u32, [u8; 6])>());
    prop_oneof![
        accepted.prop_map(|(flow, tuple, negotiated, (local_isn, remote_isn, via))| {
            Entry::Accepted { flow, tuple, negotiated, local_isn, remote_isn, via }
        }),
        (flow(), any::<u16>()).prop_map(|(flow, window)| Entry::Opened { flow, window }),
        flow().prop_map(move |flow| Entry::Data { flow, bytes }),
        flow().prop_map(move |flow| Entry::Held { flow, bytes }),
        (flow(), count()).prop_map(|(flow, bytes)| Entry::Released { flow, bytes }),
        (flow(), count(), any::<u16>()).prop_map(|(flow, bytes, window)| Entry::Acked {
            flow,
            bytes,
            window
        }),
        flow().prop_map(|flow| Entry::FinReceived { flow }),
        flow().prop_map(|flow| Entry::Finished { flow }),
        flow().prop_map(|flow| Entry::FinAcked { flow }),
        (flow(), close_reason()).prop_map(|(flow, reason)| Entry::Closed { flow, reason }),
        (address(), address()).prop_map(move |(local, remote)| Entry::Datagram {
            local,
            remote,
            bytes
        }),
        any::<u16>().prop_map(|port| Entry::Tick { port }),
    ]
}

fn item() -> impl Strategy<Value = Item<'static>> {
    prop_oneof![
        12 => (number(), entry()).prop_map(|(time, entry)| {
            Item::Entry { time: Instant::from_nanos(time), entry }
        }),
        1 => (number(), any::<u64>()).prop_map(|(position, digest)| {
            Item::StateDigest { position: LogPosition(position), digest }
        }),
    ]
}

fn point() -> impl Strategy<Value = LogPoint> {
    (any::<u64>(), number(), any::<u64>()).prop_map(|(history, position, digest)| LogPoint {
        history: History(history),
        position: LogPosition(position),
        digest,
    })
}

fn bye_reason() -> impl Strategy<Value = ByeReason> {
    prop_oneof![
        Just(ByeReason::TooSlow),
        Just(ByeReason::Overflow),
        Just(ByeReason::Diverged),
        Just(ByeReason::Protocol),
        Just(ByeReason::Replaced),
        Just(ByeReason::Leaving),
    ]
}

fn from_leader() -> impl Strategy<Value = FromLeader<'static>> {
    let bytes = PAYLOAD;
    prop_oneof![
        any::<(u64, bool)>().prop_map(|(history, resumes)| {
            FromLeader::Welcome { history: History(history), resumes }
        }),
        point().prop_map(|point| FromLeader::Snapshot { point }),
        Just(FromLeader::Chunk { bytes }),
        (generation(), number()).prop_map(move |(in_sync, heard)| FromLeader::Log {
            in_sync,
            heard,
            bytes
        }),
        (generation(), number()).prop_map(|(in_sync, heard)| FromLeader::Log {
            in_sync,
            heard,
            bytes: &[]
        }),
        bye_reason().prop_map(|reason| FromLeader::Bye { reason }),
    ]
}

fn from_follower() -> impl Strategy<Value = FromFollower> {
    prop_oneof![
        prop::option::of(point()).prop_map(|have| FromFollower::Hello { have }),
        (number(), any::<u64>(), generation()).prop_map(|(position, digest, in_sync)| {
            FromFollower::Confirm { in_sync, position: LogPosition(position), digest }
        }),
        bye_reason().prop_map(|reason| FromFollower::Bye { reason }),
    ]
}

/// Whether bytes that carry no payload are refused when one is cut off or added.
fn is_exact(bytes: &[u8], is_something: impl Fn(&[u8]) -> bool) -> bool {
    let longer = [bytes, &[0]].concat();
    !is_something(&longer) && !(0..bytes.len()).any(|len| is_something(&bytes[..len]))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn items_survive_and_without_a_payload_have_a_definite_length(item in item()) {
        let bytes = encoded(&item);
        prop_assert_eq!(Item::decode(&bytes), Ok(item));
        if !bytes.ends_with(PAYLOAD) {
            prop_assert!(is_exact(&bytes, |bytes| Item::decode(bytes).is_ok()));
        }
    }

    #[test]
    fn messages_of_leaders_survive(message in from_leader()) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        prop_assert_eq!(FromLeader::decode(&bytes), Ok(message));
        if !matches!(message, FromLeader::Chunk { .. } | FromLeader::Log { .. }) {
            prop_assert!(is_exact(&bytes, |bytes| FromLeader::decode(bytes).is_ok()));
        }
    }

    #[test]
    fn messages_of_followers_survive(message in from_follower()) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        prop_assert_eq!(FromFollower::decode(&bytes), Ok(message));
        prop_assert!(is_exact(&bytes, |bytes| FromFollower::decode(bytes).is_ok()));
    }

    #[test]
    fn whatever_can_be_decoded_has_one_encoding(
        kind in prop_oneof![0..40u8, any::<u8>()],
        rest in prop::collection::vec(prop_oneof![0..8u8, any::<u8>()], 0..60),
    ) {
        let bytes = [&[kind][..], &rest].concat();
        if let Ok(item) = Item::decode(&bytes) {
            prop_assert_eq!(&encoded(&item), &bytes);
        }
        let mut again = Vec::new();
        if let Ok(message) = FromLeader::decode(&bytes) {
            message.encode(&mut again);
            prop_assert_eq!(&again, &bytes);
        }
        again.clear();
        if let Ok(message) = FromFollower::decode(&bytes) {
            message.encode(&mut again);
            prop_assert_eq!(&again, &bytes);
        }
    }

    #[test]
    fn a_stream_of_items_can_be_taken_apart_again(lens in prop::collection::vec(1..70_000usize, 0..5)) {
        let mut stream = Vec::new();
        for len in &lens {
            put_item_len(&mut stream, *len);
            stream.resize(stream.len() + len, 0xff);
        }
        let mut rest = &stream[..];
        for len in lens {
            let ItemPrefix::Len(head, found) = item_prefix(rest).unwrap() else {
                panic!("the length is all here");
            };
            prop_assert_eq!(found, len);
            rest = &rest[head + len..];
        }
        prop_assert!(rest.is_empty());
    }
}

/// A kind, the time 1, and the rest.
fn refused(kind: u8, rest: &[u8]) -> &'static str {
    let bytes = [&[kind, 1], rest].concat();
    Item::decode(&bytes).expect_err("it is no item").0
}

#[test]
fn every_defect_of_an_entry_is_refused_with_its_reason() {
    const FLOW: u8 = 5;
    assert_eq!(Item::decode(&[]).unwrap_err().0, "an item without a byte");
    assert_eq!(refused(0, &[]), "an item of no known kind");
    assert_eq!(refused(13, &[]), "an item of no known kind");
    assert_eq!(refused(33, &[]), "an item of no known kind");
    assert_eq!(decode_entry(&[13, 1, FLOW]).unwrap_err().0, "an entry of no known kind");
    assert_eq!(
        Item::decode(&[2, 0x80, 0]).unwrap_err().0,
        "a number in a longer form than it needs"
    );
    assert_eq!(refused(3, &[FLOW]), "an entry about no bytes");
    assert_eq!(refused(4, &[FLOW]), "an entry about no bytes");
    assert_eq!(refused(5, &[FLOW, 0]), "an entry about no bytes");
    assert_eq!(refused(6, &[FLOW, 0, 0, 1]), "an entry about no bytes");
    assert_eq!(refused(10, &[FLOW, 0]), "a flow that ended in no known way");
    assert_eq!(refused(10, &[FLOW, 5]), "a flow that ended in no known way");
    assert_eq!(refused(7, &[FLOW, 0]), "bytes after the last field");
    assert_eq!(refused(12, &[0]), "cut short");
    assert_eq!(refused(11, &[5, 0, 0]), "an address of no known family");
}

#[test]
fn options_that_cannot_have_been_negotiated_are_refused() {
    let accepted = |flags: u8, scale: u8| {
        let address = [4, 10, 0, 0, 1, 0, 7];
        let bytes = [&[1, 1, 5][..], &address, &address, &[5, 0xb4, flags, scale], &[0; 14]];
        Item::decode(&bytes.concat()).map(|_| ()).map_err(|malformed| malformed.0)
    };
    for (flags, scale) in [(0, 0), (1, 0), (2, 0), (3, 14)] {
        assert_eq!(accepted(flags, scale), Ok(()));
    }
    assert_eq!(accepted(4, 0), Err("an option of no known meaning"));
    assert_eq!(accepted(0, 1), Err("a window scale that cannot be"), "there is none");
    assert_eq!(accepted(2, 15), Err("a window scale that cannot be"), "RFC 7323 section 2.3");
}

#[test]
fn every_defect_of_a_message_is_refused_with_its_reason() {
    let leader = |bytes: &[u8]| FromLeader::decode(bytes).unwrap_err().0;
    let follower = |bytes: &[u8]| FromFollower::decode(bytes).unwrap_err().0;
    for bytes in [&[][..], &[1, 0, 0], &[2], &[4], &[31]] {
        assert_eq!(leader(bytes), "cut short");
    }
    for bytes in [&[][..], &[16], &[16, 1, 0], &[17], &[31]] {
        assert_eq!(follower(bytes), "cut short");
    }
    assert_eq!(leader(&[0]), "nothing that a leader says");
    assert_eq!(leader(&[16, 0]), "nothing that a leader says", "a follower does");
    assert_eq!(follower(&[4, 0]), "nothing that a follower says", "a leader does");
    assert_eq!(leader(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 2]), "neither yes nor no");
    assert_eq!(follower(&[16, 2]), "neither yes nor no");
    assert_eq!(leader(&[31, 0]), "a farewell of no known reason");
    assert_eq!(follower(&[31, 7]), "a farewell of no known reason");
    assert_eq!(follower(&[16, 0, 0]), "bytes after the last field");
}

#[test]
fn lengths_that_no_item_has_are_refused_before_the_item_is_here() {
    let prefix = |len: u64| {
        let mut bytes = Vec::new();
        put(&mut bytes, len);
        item_prefix(&bytes).map(|prefix| matches!(prefix, ItemPrefix::Len(..)))
    };
    let too_long = Err(Malformed("an item of a length that none has"));
    assert_eq!(prefix(0), too_long);
    assert_eq!(prefix(1), Ok(true));
    assert_eq!(prefix(ITEM_LEN_MAX as u64), Ok(true));
    assert_eq!(prefix(ITEM_LEN_MAX as u64 + 1), too_long);
    assert_eq!(prefix(u64::MAX), too_long);
    for partial in [&[][..], &[0xff], &[0xff, 0xff]] {
        assert!(matches!(item_prefix(partial), Ok(ItemPrefix::Partial)));
    }
    assert!(item_prefix(&[0xff; 3]).is_err(), "it can only become too long");
}
