use locum_stack::service::FlowId;

use super::*;

const NOW: Instant = Instant::from_millis(5);

fn start() -> LogPoint {
    LogPoint { history: History(3), position: LogPosition(100), digest: 77 }
}

fn data(bytes: &[u8]) -> Entry<'_> {
    Entry::Data { flow: FlowId(1), bytes }
}

/// Appends an entry whose bytes are all `byte`, after as many evictions as that takes.
fn append(buffer: &mut LogBuffer, byte: u8, len: usize) -> LogPoint {
    let bytes = vec![byte; len];
    let len = buffer.encode(NOW, &data(&bytes));
    while !buffer.has_room(len) {
        assert!(buffer.evict(), "there is room when all is forgotten");
    }
    buffer.commit(NOW)
}

/// All that is kept after `offset`, copied in pieces of at most `piece` bytes.
fn copied(buffer: &LogBuffer, mut offset: u64, piece: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let len = buffer.copy(offset, piece, &mut out);
        assert!(len <= piece);
        offset += len as u64;
        if len == 0 {
            assert_eq!(offset, buffer.end(), "it ends where the stream does");
            return out;
        }
    }
}

#[test]
fn an_empty_buffer_knows_where_it_starts_and_no_more() {
    let buffer = LogBuffer::new(start(), 100, 10);
    assert_eq!((buffer.head(), buffer.floor()), (start(), start().position));
    assert_eq!(buffer.locate(start().position), Some((start(), 0)));
    assert_eq!(buffer.locate(LogPosition(99)), None, "it was never here");
    assert_eq!(buffer.locate(LogPosition(101)), None, "it is not here yet");
    assert_eq!(buffer.appended_after(start().position), None);
    assert!(copied(&buffer, 0, 10).is_empty());
}

#[test]
fn entries_are_found_by_position_with_their_digests_and_ends() {
    let mut buffer = LogBuffer::new(start(), 1000, 10);
    let mut points = vec![(start(), 0)];
    for byte in 1..=5 {
        let point = append(&mut buffer, byte, usize::from(byte));
        points.push((point, buffer.end()));
    }
    for (point, end) in points {
        assert_eq!(buffer.locate(point.position), Some((point, end)));
    }
    assert_eq!(buffer.appended_after(LogPosition(104)), Some(NOW));
    assert_eq!(buffer.appended_after(LogPosition(105)), None, "nothing is unconfirmed");
    assert_eq!(buffer.locate(LogPosition(u64::MAX)), None);
}

#[test]
fn the_digest_depends_on_every_entry_and_on_the_order() {
    let digest = |entries: &[u8]| {
        let mut buffer = LogBuffer::new(start(), 1000, 10);
        for byte in entries {
            append(&mut buffer, *byte, 3);
        }
        buffer.head().digest
    };
    assert_eq!(digest(&[1, 2, 3]), digest(&[1, 2, 3]));
    assert_ne!(digest(&[1, 2, 3]), digest(&[2, 1, 3]));
    assert_ne!(digest(&[1, 2, 3]), digest(&[1, 2, 4]));
}

#[test]
fn neither_bytes_nor_entries_go_beyond_their_bounds() {
    for (bytes_max, marks_max) in [(64, 100), (1000, 3)] {
        let mut buffer = LogBuffer::new(start(), bytes_max, marks_max);
        let capacities = (buffer.bytes.capacity(), buffer.marks.capacity());
        for byte in 0..200 {
            append(&mut buffer, byte, 1 + usize::from(byte) % 20);
            assert!(buffer.len() <= bytes_max && buffer.entries() <= marks_max);
        }
        assert_eq!((buffer.bytes.capacity(), buffer.marks.capacity()), capacities);
        assert_eq!(buffer.head().position, LogPosition(300));
        assert_eq!(buffer.floor().0 + buffer.entries() as u64, 300);
    }
}

#[test]
fn what_is_left_after_evictions_is_the_end_of_the_stream() {
    let mut all = LogBuffer::new(start(), 100_000, 1000);
    let mut some = LogBuffer::new(start(), 100, 1000);
    for byte in 0..150 {
        append(&mut all, byte, 1 + usize::from(byte) % 30);
        append(&mut some, byte, 1 + usize::from(byte) % 30);
        let (_, offset) = all.locate(some.floor()).unwrap();
        assert_eq!(some.locate(some.floor()), all.locate(some.floor()));
        for piece in [1, 7, 1000] {
            assert_eq!(copied(&some, offset, piece), copied(&all, offset, 1000));
        }
    }
    assert_eq!((some.head(), some.end()), (all.head(), all.end()));
}

#[test]
fn a_state_digest_comes_after_its_entry_and_goes_with_the_next_one() {
    let mut buffer = LogBuffer::new(start(), 1000, 10);
    let point = append(&mut buffer, 1, 10);
    let end = buffer.end();
    let len = buffer.encode_state_digest(9);
    buffer.append_item();
    assert_eq!(buffer.end(), end + len as u64);
    assert_eq!(buffer.locate(point.position), Some((point, end)), "before the digest");
    assert_eq!(copied(&buffer, end, 100).len(), len, "whoever goes on from here is told it");
    append(&mut buffer, 2, 10);
    assert!(buffer.evict(), "the entry");
    assert_eq!(buffer.len() as u64, buffer.end() - end, "the digest is still here");
    assert!(buffer.evict(), "the next entry, and the digest before it");
    assert_eq!((buffer.len(), buffer.entries()), (0, 0));
}

#[test]
fn a_state_digest_at_the_head_is_forgotten_with_everything() {
    let mut buffer = LogBuffer::new(start(), 1000, 10);
    append(&mut buffer, 1, 10);
    buffer.encode_state_digest(9);
    buffer.append_item();
    assert!(buffer.evict(), "an entry");
    assert!(buffer.len() > 0);
    assert!(!buffer.evict(), "there was no other");
    assert_eq!(buffer.len(), 0);
    assert_eq!(buffer.locate(LogPosition(101)), Some((buffer.head(), buffer.end())));
}

#[test]
fn an_entry_that_is_passed_counts_but_cannot_be_gone_back_behind() {
    let mut buffer = LogBuffer::new(start(), 100, 10);
    append(&mut buffer, 1, 10);
    let len = buffer.encode(NOW, &data(&[2; 200]));
    assert!(!buffer.can_carry(len));
    let expected = buffer.head().after(&buffer.item);
    assert_eq!(buffer.pass(), expected);
    assert_eq!((buffer.head(), buffer.floor()), (expected, expected.position));
    assert_eq!(buffer.locate(LogPosition(101)), None);
    assert_eq!((buffer.len(), buffer.entries()), (0, 0));
    append(&mut buffer, 3, 10);
    assert_eq!(copied(&buffer, buffer.locate(expected.position).unwrap().1, 9).len(), buffer.len());
}

#[test]
fn what_can_be_carried_fits_once_everything_else_is_forgotten() {
    let mut buffer = LogBuffer::new(start(), 100, 10);
    let len = buffer.encode(NOW, &data(&[1; 90]));
    assert!(len <= 100 && buffer.can_carry(len));
    let len = buffer.encode(NOW, &data(&[1; 100]));
    assert!(!buffer.can_carry(len), "more bytes than there may be");
    let mut none = LogBuffer::new(start(), 100, 0);
    let len = none.encode(NOW, &data(&[1]));
    assert!(!none.can_carry(len), "no entry at all");
    let mut large = LogBuffer::new(start(), 10 * ITEM_LEN_MAX, 10);
    let head = large.encode(NOW, &data(&[1; 0]));
    let most = ITEM_LEN_MAX - (head - 1);
    let len = large.encode(NOW, &data(&vec![1; most]));
    assert!(large.can_carry(len), "the longest item");
    let len = large.encode(NOW, &data(&vec![1; most + 1]));
    assert!(!large.can_carry(len), "one that no decoder takes");
}
