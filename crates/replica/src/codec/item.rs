//! What the stream of a log is made of: items, each after its length.

use locum_stack::log::Entry;
use locum_types::{Instant, LogPosition};

use super::Malformed;
use super::entry::{decode_entry, is_entry};
use super::varint::{Prefix, Reader, prefix, put};

/// The longest item in bytes, without its length: room for any entry that a stack can make.
pub const ITEM_LEN_MAX: usize = 256 * 1024;

const STATE_DIGEST: u8 = 32;

/// One item of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// The next entry.
    Entry {
        /// When it happened, in the time of the services.
        time: Instant,
        /// What happened.
        entry: Entry<'a>,
    },
    /// What the state of the services and flows is like after the entry before this item.
    StateDigest {
        /// The position of that entry.
        position: LogPosition,
        /// The digest that the leader computed.
        digest: u64,
    },
}

impl<'a> Item<'a> {
    /// Reads one item, without its length.
    ///
    /// # Errors
    /// Where `bytes` are no item.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        match bytes.first() {
            Some(&kind) if is_entry(kind) => {
                decode_entry(bytes).map(|(time, entry)| Item::Entry { time, entry })
            }
            Some(&STATE_DIGEST) => {
                let mut reader = Reader::new(&bytes[1..]);
                let position = LogPosition(reader.varint()?);
                let digest = reader.u64()?;
                reader.end()?;
                Ok(Item::StateDigest { position, digest })
            }
            Some(_) => Err(Malformed("an item of no known kind")),
            None => Err(Malformed("an item without a byte")),
        }
    }

    /// Appends the item, without its length.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Item::Entry { time, ref entry } => super::encode_entry(out, time, entry),
            Item::StateDigest { position, digest } => {
                out.push(STATE_DIGEST);
                put(out, position.0);
                out.extend_from_slice(&digest.to_be_bytes());
            }
        }
    }
}

/// Appends the length that goes before an item of `len` bytes.
pub(crate) fn put_item_len(out: &mut Vec<u8>, len: usize) {
    put(out, len as u64);
}

/// What the beginning of a stream says about its first item.
pub(crate) enum ItemPrefix {
    /// How many bytes its length takes, and how many the item.
    Len(usize, usize),
    /// The length is not all here.
    Partial,
}

/// Reads the length of the item at the beginning of `bytes`.
///
/// # Errors
/// A length that no item has.
pub(crate) fn item_prefix(bytes: &[u8]) -> Result<ItemPrefix, Malformed> {
    match prefix(bytes)? {
        Prefix::Whole(len, taken) => match usize::try_from(len) {
            Ok(len @ 1..=ITEM_LEN_MAX) => Ok(ItemPrefix::Len(taken, len)),
            Ok(_) | Err(_) => Err(Malformed("an item of a length that none has")),
        },
        // A length that is not refused takes three bytes.
        Prefix::Partial if bytes.len() > 2 => Err(Malformed("an item of a length that none has")),
        Prefix::Partial => Ok(ItemPrefix::Partial),
    }
}
