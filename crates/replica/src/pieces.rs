//! Between a byte stream and its pieces: what has arrived in part, and what has left in part.

use crate::Refusal;
use crate::record::{Channel, LENGTH_LEN, RECORD_LEN_MAX, sealed_len};

/// What is expected next, as far as it is here. Never holds more than one record.
pub(crate) struct Inbound {
    bytes: Vec<u8>,
}

impl Inbound {
    pub(crate) fn new() -> Self {
        Inbound { bytes: Vec::with_capacity(RECORD_LEN_MAX) }
    }

    /// Takes of `input` what is missing of `len` bytes, and returns them once they are all here.
    pub(crate) fn take(&mut self, len: usize, input: &mut &[u8]) -> Option<&[u8]> {
        self.fill(len, input).then_some(&self.bytes[..])
    }

    /// Takes of `input` what is missing of a record, and returns it without its length once it is all here.
    ///
    /// # Errors
    /// A length that no record has.
    pub(crate) fn take_record(&mut self, input: &mut &[u8]) -> Result<Option<&[u8]>, Refusal> {
        if !self.fill(LENGTH_LEN, input) {
            return Ok(None);
        }
        let len = LENGTH_LEN + sealed_len([self.bytes[0], self.bytes[1]])?;
        Ok(self.fill(len, input).then(|| &self.bytes[LENGTH_LEN..]))
    }

    /// Forgets what was returned: the next one begins.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    fn fill(&mut self, len: usize, input: &mut &[u8]) -> bool {
        let missing = len.saturating_sub(self.bytes.len());
        let (taken, rest) = input.split_at(missing.min(input.len()));
        self.bytes.extend_from_slice(taken);
        *input = rest;
        self.bytes.len() >= len
    }
}

/// What was sealed and not taken yet: the rest of one record, or the answer of a handshake.
pub(crate) struct Outbound {
    bytes: Vec<u8>,
    taken: usize,
}

impl Outbound {
    pub(crate) fn new() -> Self {
        Outbound { bytes: Vec::with_capacity(RECORD_LEN_MAX), taken: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }

    /// Has these bytes sent next; nothing is waiting.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.taken = 0;
    }

    /// Moves what fits to the front of `out`; returns how much.
    pub(crate) fn move_to(&mut self, out: &mut [u8]) -> usize {
        let rest = &self.bytes[self.taken..];
        let len = rest.len().min(out.len());
        out[..len].copy_from_slice(&rest[..len]);
        self.taken += len;
        len
    }

    /// Seals `message` into the front of `out`; what does not fit waits. Returns how much fitted.
    ///
    /// # Errors
    /// A message longer than a record may be.
    pub(crate) fn seal(
        &mut self,
        channel: &mut Channel,
        message: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Refusal> {
        if out.len() >= RECORD_LEN_MAX {
            return channel.seal(message, out);
        }
        self.bytes.resize(RECORD_LEN_MAX, 0);
        let len = channel.seal(message, &mut self.bytes)?;
        self.bytes.truncate(len);
        self.taken = 0;
        Ok(self.move_to(out))
    }
}
