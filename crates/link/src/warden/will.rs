//! The will as bytes: a count, then for each frame its port, its length, and the frame.

use std::io;

/// The longest encoded will, in bytes: fifteen beats and more on each of two ports.
pub const WILL_LEN_MAX: usize = 32 * 1024;

/// The longest frame in a will: MTU 1500, the Ethernet header and a VLAN tag.
const FRAME_LEN_MAX: usize = 1518;
const ENTRY_HEADER_LEN: usize = 3;

/// Why a will could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WillError {
    /// More than a will can hold.
    #[error(
        "a frame of {len} bytes does not fit into the will (255 frames of up to {FRAME_LEN_MAX} \
         bytes, {WILL_LEN_MAX} bytes in all)"
    )]
    Full {
        /// The length of the frame that did not fit.
        len: usize,
    },
    /// The warden does not read.
    #[error("the warden is busy: write the will again")]
    Busy,
    /// There is no warden.
    #[error("the warden is gone")]
    Orphan,
    /// Anything else.
    #[error("cannot write the will: {0}")]
    System(#[source] io::Error),
}

/// Frames to send in the name of a dead worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    bytes: Vec<u8>,
}

impl Will {
    /// A will that says nothing.
    pub fn new() -> Will {
        Will { bytes: vec![0] }
    }

    /// Adds a whole Ethernet frame, to be sent to the TAP with this number.
    ///
    /// # Errors
    /// [`WillError::Full`], and the will stays as it was.
    pub fn push(&mut self, port: u8, frame: &[u8]) -> Result<(), WillError> {
        let full = WillError::Full { len: frame.len() };
        let len = match u16::try_from(frame.len()) {
            Ok(len) if frame.len() <= FRAME_LEN_MAX => len,
            Ok(_) | Err(_) => return Err(full),
        };
        if self.bytes.len() + ENTRY_HEADER_LEN + frame.len() > WILL_LEN_MAX {
            return Err(full);
        }
        let Some(count) = self.bytes.first_mut().filter(|count| **count < u8::MAX) else {
            return Err(full);
        };
        *count += 1;
        self.bytes.push(port);
        self.bytes.extend(len.to_be_bytes());
        self.bytes.extend_from_slice(frame);
        Ok(())
    }

    /// The frames, each with its port.
    pub fn frames(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut rest = self.bytes.get(1..).unwrap_or(&[]);
        std::iter::from_fn(move || {
            let (port, frame, after) = split_entry(rest)?;
            rest = after;
            Some((port, frame))
        })
    }

    /// How many frames there are.
    pub fn len(&self) -> usize {
        self.bytes.first().copied().unwrap_or(0).into()
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn encoded(&self) -> &[u8] {
        &self.bytes
    }

    /// The will in a message, if there is exactly one.
    pub(super) fn decode(message: &[u8]) -> Option<Will> {
        let (&count, mut rest) = message.split_first()?;
        if message.len() > WILL_LEN_MAX {
            return None;
        }
        for _ in 0..count {
            (_, _, rest) = split_entry(rest)?;
        }
        rest.is_empty().then(|| Will { bytes: message.to_vec() })
    }
}

impl Default for Will {
    fn default() -> Self {
        Will::new()
    }
}

/// The first port and frame, and what comes after.
fn split_entry(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[port, high, low], rest) = bytes.split_first_chunk()?;
    let (frame, rest) = rest.split_at_checked(u16::from_be_bytes([high, low]).into())?;
    Some((port, frame, rest))
}
