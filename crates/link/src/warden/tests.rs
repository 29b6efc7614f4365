//! What needs no fork; the rest is in `tests/tap.rs`.

use super::*;

#[test]
fn a_will_keeps_its_frames_in_order_through_the_wire_form() {
    let mut will = Will::new();
    will.push(0, b"first").expect("room");
    will.push(1, b"").expect("room");
    will.push(7, &[9; 1518]).expect("room");
    let copy = Will::decode(will.encoded()).expect("well formed");
    assert_eq!(copy, will);
    assert_eq!(copy.len(), 3);
    let frames: Vec<(u8, &[u8])> = copy.frames().collect();
    assert_eq!(frames, [(0, &b"first"[..]), (1, &[]), (7, &[9; 1518])]);
}

#[test]
fn a_full_will_refuses_and_stays_as_it_was() {
    let mut will = Will::new();
    assert!(matches!(will.push(0, &[0; 1519]), Err(WillError::Full { len: 1519 })));
    assert!(will.is_empty());
    while will.push(0, &[0; 1000]).is_ok() {}
    assert!(will.encoded().len() <= WILL_LEN_MAX && will.len() == 32);
    assert_eq!(will.frames().count(), will.len());

    let mut will = Will::new();
    while will.push(0, &[0; 14]).is_ok() {}
    assert_eq!(will.len(), 255);
    assert_eq!(Will::decode(will.encoded()), Some(will));
}

#[test]
fn a_torn_or_padded_will_is_none() {
    let mut will = Will::new();
    will.push(0, b"frame").expect("room");
    let bytes = will.encoded();
    for cut in 0..bytes.len() {
        assert_eq!(Will::decode(&bytes[..cut]), None, "cut at {cut}");
    }
    assert_eq!(Will::decode(&[bytes, &[0]].concat()), None);
    assert_eq!(Will::decode(&vec![0; WILL_LEN_MAX + 1]), None);
}

#[test]
fn only_exit_code_zero_is_peaceful() {
    assert!(!WorkerEnd::Exited { code: 0 }.is_violent());
    assert!(WorkerEnd::Exited { code: 101 }.is_violent());
    assert!(WorkerEnd::Killed { signal: 9 }.is_violent());
    assert_eq!(WorkerEnd::Exited { code: 3 }.exit_code(), 3);
    assert_eq!(WorkerEnd::Killed { signal: 9 }.exit_code(), 137);
}

#[test]
fn a_process_with_threads_is_not_split() {
    // The test harness has at least two.
    let error = Warden::split().expect_err("refused");
    assert!(error.to_string().contains("threads"), "{error}");
}

/// A warden's end of the line without a worker process behind it.
fn line() -> (WillWriter, Warden) {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (wills, writer) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).expect("a pair");
    let worker = pidfd_open(getpid(), PidfdFlags::empty()).expect("this process exists");
    let signals = SignalSet::new(&[]).open_fd().expect("a signalfd");
    let lifeline = Lifeline::new().expect("a page of memory");
    (WillWriter { writer }, Warden { worker, signals, wills, lifeline })
}

#[test]
fn the_last_will_holds_and_an_empty_one_revokes_it() {
    let (writer, warden) = line();
    let mut inbox = vec![0; WILL_LEN_MAX + 1];
    let mut held = Will::new();
    for text in [&b"old"[..], b"new"] {
        let mut will = Will::new();
        will.push(0, text).expect("room");
        writer.write(&will).expect("a warden");
    }
    assert!(warden.read_wills(&mut inbox, &mut held) == Inbox::Open);
    assert_eq!(held.frames().collect::<Vec<_>>(), [(0, &b"new"[..])]);
    writer.write(&Will::new()).expect("a warden");
    drop(writer);
    assert!(warden.read_wills(&mut inbox, &mut held) == Inbox::Closed);
    assert!(held.is_empty());
}

#[test]
fn a_warden_that_does_not_read_never_blocks_its_worker() {
    let (writer, warden) = line();
    let mut will = Will::new();
    while will.push(0, &[0; 1000]).is_ok() {}
    let refusal = (0..10_000).find_map(|_| writer.write(&will).err());
    assert!(matches!(refusal, Some(WillError::Busy)));
    drop(warden);
    assert!(matches!(writer.write(&will), Err(WillError::Orphan)));
}
