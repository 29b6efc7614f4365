//! The bytes of a beat: where each field is, and nothing about what it means.
//!
//! [`BeatPacket`] reads and writes raw numbers; [`Beat`](crate::Beat) is what they mean. The layout
//! is written down in `docs/PROTOCOL.md`, and a test holds that document to the table below.

use crate::Refusal;

/// The first four bytes of every packet: `LOCM`.
pub const MAGIC: u32 = u32::from_be_bytes(*b"LOCM");
/// The protocol version of this crate.
pub const VERSION: u8 = 1;
/// The packet type of a beat.
pub const TYPE_BEAT: u8 = 1;
/// The length of a sealed beat in bytes: the UDP payload, tag included.
pub const BEAT_LEN: usize = BODY_LEN + TAG_LEN;
/// The length of the authentication tag in bytes.
pub const TAG_LEN: usize = 16;
/// What comes before the tag, and is authenticated by it.
const BODY_LEN: usize = 88;
/// Magic to receiver: the part that is the same in every version.
const HEADER_LEN: usize = 12;

/// The bits of the field `flags`: which of the optional fields are present, and what is true or not.
pub(crate) mod flag {
    pub(crate) const ECHO: u8 = 1 << 0;
    pub(crate) const HEARD_AGE: u8 = 1 << 1;
    pub(crate) const TIMESTAMP_ECHO: u8 = 1 << 2;
    pub(crate) const ISOLATED: u8 = 1 << 3;
    pub(crate) const ALL: u8 = ECHO | HEARD_AGE | TIMESTAMP_ECHO | ISOLATED;
}

/// The bytes of a beat. Accessors give raw numbers, valid or not; numbers are big endian.
#[derive(Clone, Debug)]
pub struct BeatPacket<T> {
    buffer: T,
}

impl<T: AsRef<[u8]>> BeatPacket<T> {
    /// Wraps a buffer without a look at it, to fill it in.
    ///
    /// The accessors panic if it is shorter than [`BEAT_LEN`]: never do this to received bytes.
    pub const fn new_unchecked(buffer: T) -> Self {
        BeatPacket { buffer }
    }

    /// Wraps received bytes, if magic, version, type and length are those of a version 1 beat.
    ///
    /// No accessor panics afterwards. That the rest makes sense is for
    /// [`Beat::parse`](crate::Beat::parse), that it can be believed for [`open`](crate::open).
    ///
    /// # Errors
    /// [`Refusal::Truncated`], [`Refusal::BadMagic`], [`Refusal::BadVersion`], [`Refusal::BadType`]
    /// or [`Refusal::BadLength`], looked for in this order.
    pub fn new_checked(buffer: T) -> Result<Self, Refusal> {
        let received = buffer.as_ref().len();
        if received < HEADER_LEN {
            return Err(Refusal::Truncated);
        }
        let packet = BeatPacket { buffer };
        if packet.magic() != MAGIC {
            return Err(Refusal::BadMagic);
        }
        if packet.version() != VERSION {
            return Err(Refusal::BadVersion);
        }
        if packet.packet_type() != TYPE_BEAT {
            return Err(Refusal::BadType);
        }
        if usize::from(packet.length()) != BEAT_LEN || received > BEAT_LEN {
            return Err(Refusal::BadLength);
        }
        if received < BEAT_LEN {
            return Err(Refusal::Truncated);
        }
        Ok(packet)
    }

    /// Everything before the tag: what the tag covers.
    pub fn body(&self) -> &[u8] {
        &self.buffer.as_ref()[..BODY_LEN]
    }

    /// The tag: the first 16 bytes of an HMAC-SHA256 over [`body`](BeatPacket::body).
    pub fn tag(&self) -> &[u8] {
        &self.buffer.as_ref()[BODY_LEN..BEAT_LEN]
    }

    /// Whether every bit of `mask` is set in the flags.
    pub(crate) fn has(&self, mask: u8) -> bool {
        self.flags() & mask == mask
    }

    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.buffer.as_ref()[at..at + N]);
        bytes
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> BeatPacket<T> {
    /// Writes the tag, which has [`TAG_LEN`] bytes.
    pub(crate) fn set_tag(&mut self, tag: &[u8]) {
        self.buffer.as_mut()[BODY_LEN..BEAT_LEN].copy_from_slice(tag);
    }
}

/// One line per field, in the order of the bytes: offset, getter, setter, type.
macro_rules! layout {
    ($($(#[$doc:meta])* $at:literal $get:ident $set:ident $int:ty;)*) => {
        impl<T: AsRef<[u8]>> BeatPacket<T> {
            $($(#[$doc])*
            pub fn $get(&self) -> $int {
                <$int>::from_be_bytes(self.bytes($at))
            })*
        }

        impl<T: AsRef<[u8]> + AsMut<[u8]>> BeatPacket<T> {
            $(#[doc = concat!("Writes [`BeatPacket::", stringify!($get), "`].")]
            pub fn $set(&mut self, value: $int) {
                let bytes = value.to_be_bytes();
                self.buffer.as_mut()[$at..$at + bytes.len()].copy_from_slice(&bytes);
            })*
        }

        /// Offset, size and name of each field before the tag.
        #[cfg(test)]
        pub(crate) const LAYOUT: &[(usize, usize, &str)] =
            &[$(($at, size_of::<$int>(), stringify!($get))),*];
    };
}

layout! {
    /// [`MAGIC`], in every version.
    0 magic set_magic u32;
    /// The protocol version: [`VERSION`].
    4 version set_version u8;
    /// The packet type: [`TYPE_BEAT`].
    5 packet_type set_packet_type u8;
    /// The length of the whole packet in bytes, tag included: [`BEAT_LEN`].
    6 length set_length u16;
    /// The group id, 1 to 65535.
    8 group set_group u16;
    /// The id of the sender, 1 to 254.
    10 from set_from u8;
    /// The id of the receiver, 1 to 254.
    11 to set_to u8;
    /// The sender's mode: a code of `locum_types::Mode`.
    12 mode set_mode u8;
    /// The sender's service health: a code of `locum_types::Health`.
    13 health set_health u8;
    /// The sender's priority, 1 to 254.
    14 priority set_priority u8;
    /// What the beat asks for: 0 nothing, 1 resign, 2 offer, 3 request.
    15 intent set_intent u8;
    /// Why, a code of `locum_types::ResignReason`; 0 unless the intent is resign or offer.
    16 reason set_reason u8;
    /// Which optional fields are present: bit 0 `echo`, bit 1 `heard_age`, bit 2 `timestamp_echo`
    /// and `held`. The others are reserved, 0.
    17 flags set_flags u8;
    /// Reserved, 0.
    18 reserved set_reserved u16;
    /// Which of the receiver's last 32 beats arrived.
    20 heard set_heard u32;
    /// The sender's boot nonce.
    24 boot set_boot u64;
    /// The receiver's boot nonce as the sender knows it; 0 when absent.
    32 echo set_echo u64;
    /// The sequence number, from 1.
    40 sequence set_sequence u64;
    /// The sender's term.
    48 term set_term u64;
    /// The sender's log position.
    56 position set_position u64;
    /// The sender's interval in microseconds, from 1.
    64 interval set_interval u32;
    /// The silence after which the sender is dead, in microseconds, not less than the interval.
    68 dead_after set_dead_after u32;
    /// Microseconds since the sender heard the receiver, saturating; 0 when absent.
    72 heard_age set_heard_age u32;
    /// The sender's clock in microseconds, wrapping.
    76 timestamp set_timestamp u32;
    /// The receiver's last timestamp; 0 when absent.
    80 timestamp_echo set_timestamp_echo u32;
    /// Microseconds for which the sender held that timestamp; 0 when absent.
    84 held set_held u32;
}

#[cfg(test)]
mod tests;
