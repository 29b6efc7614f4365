use super::*;

fn key() -> SessionKey {
    SessionKey::new(&Key::new([9; 32]))
}

fn node(id: u8) -> NodeId {
    NodeId::new(id).unwrap()
}

fn group() -> GroupId {
    GroupId::new(7).unwrap()
}

const LEADER_BOOT: BootNonce = BootNonce(0xb007);

fn greeting() -> Greeting {
    Greeting { group: group(), from: node(2), to: node(1), boot: BootNonce(0xb002) }
}

fn called(call: &[u8]) -> Result<(Greeting, Channel, [u8; ANSWER_LEN]), Refusal> {
    answer(&key(), (group(), node(1), LEADER_BOOT), call, [0x11; 32])
}

/// The channels of a caller and of the called.
fn session(entropy: u8) -> (Channel, Channel) {
    let (call, bytes) = Call::new(&key(), &greeting(), [entropy; 32]).unwrap();
    let (_, leader, answer) = called(&bytes).unwrap();
    let (follower, _) = call.answered(&answer).unwrap();
    (follower, leader)
}

fn sealed(channel: &mut Channel, message: &[u8]) -> Vec<u8> {
    let mut record = vec![0; RECORD_LEN_MAX];
    let len = channel.seal(message, &mut record).unwrap();
    record.truncate(len);
    record
}

/// Opens a record with its length.
fn opened(channel: &mut Channel, record: &[u8]) -> Result<Vec<u8>, Refusal> {
    let (length, sealed) = record.split_first_chunk().unwrap();
    assert_eq!(sealed_len(*length), Ok(sealed.len()));
    let mut message = vec![0; RECORD_LEN_MAX];
    let len = channel.open(sealed, &mut message)?;
    message.truncate(len);
    Ok(message)
}

/// Why something was refused; channels have no `Debug`.
fn refusal<T>(result: Result<T, Refusal>) -> Refusal {
    result.err().expect("it is not believed")
}

#[test]
fn both_ends_learn_who_the_other_is_and_understand_each_other() {
    let (call, bytes) = Call::new(&key(), &greeting(), [1; 32]).unwrap();
    let (caller, mut leader, answer) = called(&bytes).unwrap();
    assert_eq!(caller, greeting());
    let (mut follower, boot) = call.answered(&answer).unwrap();
    assert_eq!(boot, LEADER_BOOT);
    for message in [&b"x"[..], &[7; MESSAGE_LEN_MAX]] {
        let record = sealed(&mut follower, message);
        assert!(record.len() <= RECORD_LEN_MAX);
        assert_eq!(opened(&mut leader, &record).unwrap(), message);
        let record = sealed(&mut leader, message);
        assert_eq!(opened(&mut follower, &record).unwrap(), message);
    }
}

#[test]
fn a_message_that_is_too_long_is_refused_before_it_is_sealed() {
    let (mut follower, _) = session(1);
    let result = follower.seal(&[0; MESSAGE_LEN_MAX + 1], &mut [0; RECORD_LEN_MAX]);
    assert_eq!(result, Err(Refusal::BadLength(MESSAGE_LEN_MAX + 1)));
}

#[test]
fn every_field_of_the_greeting_is_checked_and_each_has_a_reason() {
    let (_, bytes) = Call::new(&key(), &greeting(), [1; 32]).unwrap();
    for (at, value, expected) in [
        (0, b'l', Refusal::BadGreeting),
        (4, 2, Refusal::BadVersion(2)),
        (5, 1, Refusal::BadGreeting),
        (7, 8, Refusal::WrongGroup(8)),
        (8, 0, Refusal::NotForUs { from: 0, to: 1 }),
        (8, 1, Refusal::NotForUs { from: 1, to: 1 }),
        (8, 255, Refusal::NotForUs { from: 255, to: 1 }),
        (9, 3, Refusal::NotForUs { from: 2, to: 3 }),
        // What can be anything is authenticated.
        (8, 3, Refusal::BadHandshake),
        (17, 0xff, Refusal::BadHandshake),
    ] {
        let mut altered = bytes;
        altered[at] = value;
        assert_eq!(refusal(called(&altered)), expected, "byte {at}");
    }
    assert_eq!(refusal(called(&bytes[..GREETING_LEN - 1])), Refusal::BadGreeting);
    assert_eq!(refusal(called(&bytes[..CALL_LEN - 1])), Refusal::BadHandshake);
}

#[test]
fn no_bit_of_a_handshake_can_be_changed() {
    let (_, bytes) = Call::new(&key(), &greeting(), [1; 32]).unwrap();
    for bit in 0..CALL_LEN * 8 {
        let mut altered = bytes;
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(called(&altered).is_err(), "bit {bit} of the call");
    }
    for bit in 0..ANSWER_LEN * 8 {
        let (call, bytes) = Call::new(&key(), &greeting(), [1; 32]).unwrap();
        let (_, _, mut answer) = called(&bytes).unwrap();
        answer[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(refusal(call.answered(&answer)), Refusal::BadHandshake, "bit {bit}");
    }
}

#[test]
fn another_key_is_refused_by_both_ends() {
    let stranger = SessionKey::new(&Key::new([8; 32]));
    let (_, bytes) = Call::new(&stranger, &greeting(), [1; 32]).unwrap();
    assert_eq!(refusal(called(&bytes)), Refusal::BadHandshake);
    // A false leader that lets everybody in cannot answer what it cannot read.
    let (call, _) = Call::new(&key(), &greeting(), [1; 32]).unwrap();
    let (_, of_stranger) = Call::new(&stranger, &greeting(), [1; 32]).unwrap();
    let called = (group(), node(1), LEADER_BOOT);
    let (_, _, answer) = answer(&stranger, called, &of_stranger, [2; 32]).unwrap();
    assert_eq!(refusal(call.answered(&answer)), Refusal::BadHandshake);
}

#[test]
fn a_short_answer_is_refused() {
    let (call, bytes) = Call::new(&key(), &greeting(), [1; 32]).unwrap();
    let (_, _, answer) = called(&bytes).unwrap();
    assert_eq!(refusal(call.answered(&answer[..ANSWER_LEN - 1])), Refusal::BadHandshake);
}

#[test]
fn no_bit_of_a_record_can_be_changed() {
    let record = sealed(&mut session(1).0, b"hello");
    for bit in LENGTH_LEN * 8..record.len() * 8 {
        let mut altered = record.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(opened(&mut session(1).1, &altered), Err(Refusal::BadSeal), "bit {bit}");
    }
    assert_eq!(opened(&mut session(1).1, &record).unwrap(), b"hello", "as it is, it opens");
}

#[test]
fn a_record_that_is_cut_short_is_refused() {
    let (mut follower, mut leader) = session(1);
    let record = sealed(&mut follower, b"hello");
    let mut message = [0; RECORD_LEN_MAX];
    for len in [0, 1, TAG_LEN - 1, TAG_LEN, record.len() - LENGTH_LEN - 1] {
        let cut = &record[LENGTH_LEN..LENGTH_LEN + len];
        assert_eq!(leader.open(cut, &mut message), Err(Refusal::BadSeal), "{len} bytes");
    }
}

#[test]
fn a_record_that_is_repeated_moved_or_left_out_is_refused() {
    let (mut follower, mut leader) = session(1);
    let records = [b"one", b"two"].map(|message| sealed(&mut follower, message));
    assert_eq!(opened(&mut leader, &records[1]), Err(Refusal::BadSeal), "the first is missing");
    opened(&mut leader, &records[0]).unwrap();
    assert_eq!(opened(&mut leader, &records[0]), Err(Refusal::BadSeal), "it was there");
    opened(&mut leader, &records[1]).unwrap();
}

#[test]
fn a_record_that_comes_back_to_its_sender_is_refused() {
    let (mut follower, mut leader) = session(1);
    let record = sealed(&mut follower, b"hello");
    assert_eq!(opened(&mut follower, &record), Err(Refusal::BadSeal));
    let record = sealed(&mut leader, b"hello");
    assert_eq!(opened(&mut leader, &record), Err(Refusal::BadSeal));
}

#[test]
fn a_recorded_call_gets_an_answer_and_nothing_else() {
    let (call, bytes) = Call::new(&key(), &greeting(), [1; 32]).unwrap();
    let (_, _, recorded) = called(&bytes).unwrap();
    let (mut follower, _) = call.answered(&recorded).unwrap();
    let hello = sealed(&mut follower, b"hello");
    // Played back to a leader that drew another ephemeral key since.
    let identity = (group(), node(1), LEADER_BOOT);
    let (_, mut leader, _) = answer(&key(), identity, &bytes, [0x22; 32]).unwrap();
    assert_eq!(opened(&mut leader, &hello), Err(Refusal::BadSeal));
}

#[test]
fn a_recorded_answer_is_refused_by_another_call() {
    let (_, bytes) = Call::new(&key(), &greeting(), [1; 32]).unwrap();
    let (_, _, recorded) = called(&bytes).unwrap();
    let (call, _) = Call::new(&key(), &greeting(), [2; 32]).unwrap();
    assert_eq!(refusal(call.answered(&recorded)), Refusal::BadHandshake);
}

#[test]
fn keys_change_in_step_and_old_ones_open_nothing() {
    let (mut follower, mut leader) = session(1);
    let (mut kept, mut never_rekeyed) = session(1);
    let mut record = [0; RECORD_LEN_MAX];
    let mut message = [0; RECORD_LEN_MAX];
    for _ in 0..RECORDS_PER_KEY {
        let len = follower.seal(b"x", &mut record).unwrap();
        leader.open(&record[LENGTH_LEN..len], &mut message).unwrap();
        kept.state.write_message(b"x", &mut record).unwrap();
        never_rekeyed.state.read_message(&record[..TAG_LEN + 1], &mut message).unwrap();
    }
    let first_of_next_key = sealed(&mut follower, b"y");
    assert_eq!(opened(&mut never_rekeyed, &first_of_next_key), Err(Refusal::BadSeal));
    assert_eq!(opened(&mut leader, &first_of_next_key).unwrap(), b"y");
    // The other way keeps its key until it has carried as much.
    let answer = sealed(&mut leader, b"z");
    assert_eq!(opened(&mut follower, &answer).unwrap(), b"z");
}

#[test]
fn lengths_that_no_record_has_are_refused() {
    let check = |len: usize| sealed_len((len as u16).to_be_bytes());
    for len in [0, 1, TAG_LEN, RECORD_LEN_MAX - LENGTH_LEN + 1, usize::from(u16::MAX)] {
        assert_eq!(check(len), Err(Refusal::BadLength(len)));
    }
    for len in [TAG_LEN + 1, RECORD_LEN_MAX - LENGTH_LEN] {
        assert_eq!(check(len), Ok(len));
    }
}
