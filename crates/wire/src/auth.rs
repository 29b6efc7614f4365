//! Authentication: HMAC-SHA256 (RFC 2104) under the group's key, cut to 16 bytes (RFC 2104 §5).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use locum_types::{GroupId, NodeId};
use sha2::Sha256;

use crate::codec::check_header;
use crate::packet::{TAG_LEN, field};
use crate::{BEAT_LEN, Beat, BeatPacket};

/// The length of a group key, in bytes.
pub const KEY_LEN: usize = 32;

/// The key that all nodes of a group share. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; KEY_LEN]);

/// A key file that holds no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No line with a key.
    #[error("no key found: expected one line of {} hexadecimal digits; make one with `locum keygen FILE`", 2 * KEY_LEN)]
    Missing,
    /// The key has the wrong length.
    #[error("line {line}: a key has {} hexadecimal digits, not {got}; make one with `locum keygen FILE`", 2 * KEY_LEN)]
    Length {
        /// The line, from 1.
        line: usize,
        /// How many characters it has.
        got: usize,
    },
    /// Something else than a hexadecimal digit.
    #[error("line {line}: {found:?} is not a hexadecimal digit")]
    Digit {
        /// The line, from 1.
        line: usize,
        /// The character.
        found: char,
    },
    /// A second key.
    #[error("line {line}: a second key; a key file holds one")]
    Second {
        /// The line, from 1.
        line: usize,
    },
}

impl Key {
    /// A key of 32 random bytes; how random is up to the caller.
    pub const fn new(bytes: [u8; KEY_LEN]) -> Self {
        Key(bytes)
    }

    /// Reads the text form: one line of 64 hexadecimal digits; empty lines and `#` comments are skipped.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let mut key = None;
        for (index, content) in text.lines().map(str::trim).enumerate() {
            let line = index + 1;
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            if key.is_some() {
                return Err(KeyError::Second { line });
            }
            key = Some(parse_hex(line, content)?);
        }
        key.map(Key).ok_or(KeyError::Missing)
    }

    /// The text form of a key file.
    pub fn to_text(&self) -> String {
        let mut text = String::from(
            "# Locum group key. Keep it secret; every node of the group has the same one.\n",
        );
        for byte in self.0 {
            text.push_str(&format!("{byte:02x}"));
        }
        text.push('\n');
        text
    }

    fn mac(&self, signed: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(signed);
        mac
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

fn parse_hex(line: usize, content: &str) -> Result<[u8; KEY_LEN], KeyError> {
    if let Some(found) = content.chars().find(|character| !character.is_ascii_hexdigit()) {
        return Err(KeyError::Digit { line, found });
    }
    let got = content.len();
    if got != 2 * KEY_LEN {
        return Err(KeyError::Length { line, got });
    }
    let mut bytes = [0; KEY_LEN];
    for (byte, pair) in bytes.iter_mut().zip(content.as_bytes().chunks_exact(2)) {
        *byte = pair.iter().fold(0, |value, &digit| value << 4 | nibble(digit));
    }
    Ok(bytes)
}

/// The value of a hexadecimal digit.
fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

macro_rules! refusals {
    ($($(#[doc = $doc:literal])+ $variant:ident, $field:ident, $text:literal;)+) => {
        /// Why a datagram is not a beat for us.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        pub enum Refusal {
            $($(#[doc = $doc])+ #[error($text)] $variant,)+
        }

        /// Datagrams refused, per reason.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
        pub struct RefusalCounters {
            $($(#[doc = $doc])+ pub $field: u64,)+
        }

        impl RefusalCounters {
            /// Counts one refusal.
            pub fn note(&mut self, refusal: Refusal) {
                match refusal {
                    $(Refusal::$variant => self.$field += 1,)+
                }
            }
        }
    };
}

refusals! {
    /// Shorter or longer than a beat.
    BadLength, bad_length, "not as long as a beat";
    /// Does not begin as one of ours.
    BadMagic, bad_magic, "not a Locum packet";
    /// Another version of the protocol.
    BadVersion, bad_version, "a protocol version this node does not speak";
    /// Another kind of packet.
    BadKind, bad_kind, "an unknown kind of packet";
    /// Another group on the same link.
    WrongGroup, wrong_group, "for another group";
    /// Addressed to another node of the group.
    NotForUs, not_for_us, "for another node";
    /// Made with another key, or changed on the way.
    BadTag, bad_tag, "not authentic: another key, or changed on the way";
    /// Authentic, with a value that this version does not know.
    BadField, bad_field, "a field has a value this node does not know";
}

/// Encodes and signs a beat; returns its length, [`BEAT_LEN`].
pub fn seal(beat: &Beat, key: &Key, buffer: &mut [u8; BEAT_LEN]) -> usize {
    let mut packet =
        BeatPacket::new_checked(&mut buffer[..]).expect("the buffer has BEAT_LEN bytes");
    beat.emit(&mut packet);
    let tag = key.mac(packet.signed()).finalize().into_bytes();
    packet.set_bytes(field::TAG, &tag[..TAG_LEN]);
    BEAT_LEN
}

/// Checks and decodes a datagram meant for node `to` of `group`.
///
/// Cheap checks of the header come first, then the tag; no other field is believed, or even read,
/// before the tag has held.
pub fn open(datagram: &[u8], key: &Key, group: GroupId, to: NodeId) -> Result<Beat, Refusal> {
    let packet = BeatPacket::new_checked(datagram).ok_or(Refusal::BadLength)?;
    check_header(&packet, group, to)?;
    let mac = key.mac(packet.signed());
    mac.verify_truncated_left(packet.tag()).map_err(|_| Refusal::BadTag)?;
    Beat::parse(&packet)
}
