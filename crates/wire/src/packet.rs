//! A beat as raw bytes: bounds-checked access to its fields, and nothing that interprets them.
//!
//! ```text
//!  0        4    5    6        8       10   11   12   13   14   15   16
//!  | "LOCM" |vers|kind| length | group |from| to |mode|hlth|prio|intn|
//! 16          24          32          40          48          56
//!  |   boot   |   echo    | sequence  |   term    | position  |
//! 56       60         64      68        72          76          80     84  100
//!  |interval|dead after|heard|heard age|timestamp|ts echo   |held | tag |
//! ```
//! All numbers are big endian. `docs/PROTOCOL.md` has the meaning of each.

use core::ops::Range;

/// The length of a sealed beat, in bytes.
pub const BEAT_LEN: usize = field::TAG.end;
/// The length of the part that the tag authenticates, in bytes.
pub(crate) const SIGNED_LEN: usize = field::TAG.start;
pub(crate) const TAG_LEN: usize = 16;

pub(crate) const MAGIC: [u8; 4] = *b"LOCM";
pub(crate) const VERSION: u8 = 1;
pub(crate) const KIND_BEAT: u8 = 1;

pub(crate) mod field {
    use super::Range;

    pub(crate) const MAGIC: Range<usize> = 0..4;
    pub(crate) const VERSION: usize = 4;
    pub(crate) const KIND: usize = 5;
    pub(crate) const LENGTH: Range<usize> = 6..8;
    pub(crate) const GROUP: Range<usize> = 8..10;
    pub(crate) const FROM: usize = 10;
    pub(crate) const TO: usize = 11;
    pub(crate) const MODE: usize = 12;
    pub(crate) const HEALTH: usize = 13;
    pub(crate) const PRIORITY: usize = 14;
    pub(crate) const INTENT: usize = 15;
    pub(crate) const BOOT: Range<usize> = 16..24;
    pub(crate) const ECHO: Range<usize> = 24..32;
    pub(crate) const SEQUENCE: Range<usize> = 32..40;
    pub(crate) const TERM: Range<usize> = 40..48;
    pub(crate) const POSITION: Range<usize> = 48..56;
    pub(crate) const INTERVAL: Range<usize> = 56..60;
    pub(crate) const DEAD_AFTER: Range<usize> = 60..64;
    pub(crate) const HEARD: Range<usize> = 64..68;
    pub(crate) const HEARD_AGE: Range<usize> = 68..72;
    pub(crate) const TIMESTAMP: Range<usize> = 72..76;
    pub(crate) const TIMESTAMP_ECHO: Range<usize> = 76..80;
    pub(crate) const TIMESTAMP_HELD: Range<usize> = 80..84;
    pub(crate) const TAG: Range<usize> = 84..84 + super::TAG_LEN;
}

/// The bytes of a beat, known to be exactly as many as a beat has.
#[derive(Clone, Copy, Debug)]
pub struct BeatPacket<T: AsRef<[u8]>> {
    buffer: T,
}

impl<T: AsRef<[u8]>> BeatPacket<T> {
    /// Wraps a buffer; `None` unless its length is [`BEAT_LEN`].
    pub fn new_checked(buffer: T) -> Option<Self> {
        (buffer.as_ref().len() == BEAT_LEN).then_some(BeatPacket { buffer })
    }

    /// One byte.
    pub(crate) fn byte(&self, at: usize) -> u8 {
        self.buffer.as_ref()[at]
    }

    /// The bytes of one field.
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.buffer.as_ref()[range]
    }

    /// A big-endian number of up to eight bytes.
    pub(crate) fn number(&self, range: Range<usize>) -> u64 {
        self.bytes(range).iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
    }

    /// A big-endian number of four bytes.
    pub(crate) fn word(&self, range: Range<usize>) -> u32 {
        self.number(range) as u32
    }

    /// What the tag authenticates.
    pub(crate) fn signed(&self) -> &[u8] {
        self.bytes(0..SIGNED_LEN)
    }

    /// The authentication tag.
    pub(crate) fn tag(&self) -> &[u8] {
        self.bytes(field::TAG)
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> BeatPacket<T> {
    pub(crate) fn set_byte(&mut self, at: usize, value: u8) {
        self.buffer.as_mut()[at] = value;
    }

    pub(crate) fn set_bytes(&mut self, range: Range<usize>, bytes: &[u8]) {
        self.buffer.as_mut()[range].copy_from_slice(bytes);
    }

    /// Writes the low bytes of a number, as many as the field has.
    pub(crate) fn set_number(&mut self, range: Range<usize>, number: u64) {
        let bytes = number.to_be_bytes();
        let skip = bytes.len() - range.len();
        self.set_bytes(range, &bytes[skip..]);
    }
}
