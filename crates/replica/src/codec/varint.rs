//! Numbers in as few bytes as they need (LEB128, each in its shortest form), and a reader of fields.

use super::Malformed;

/// The most bytes of a number.
pub(crate) const VARINT_LEN_MAX: usize = 10;

/// Appends `value`: seven bits a byte, the low ones first; all bytes but the last have their top bit set.
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A number at the beginning of bytes that may not all be here yet.
pub(crate) enum Prefix {
    /// Its value, and how many bytes it took.
    Whole(u64, usize),
    /// More bytes are needed.
    Partial,
}

/// Reads a number at the beginning of `bytes`.
///
/// # Errors
/// It does not fit 64 bits, or there is a shorter form of it.
pub(crate) fn prefix(bytes: &[u8]) -> Result<Prefix, Malformed> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(VARINT_LEN_MAX).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if index == VARINT_LEN_MAX - 1 && byte > 1 {
            return Err(Malformed("a number beyond 64 bits"));
        }
        value |= bits << (7 * index);
        if byte < 0x80 {
            if byte == 0 && index > 0 {
                return Err(Malformed("a number in a longer form than it needs"));
            }
            return Ok(Prefix::Whole(value, index + 1));
        }
    }
    Ok(Prefix::Partial)
}

/// Takes fields off the front of bytes.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn mac(&mut self) -> Result<[u8; 6], Malformed> {
        self.array()
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        match prefix(self.rest)? {
            Prefix::Whole(value, len) => {
                self.rest = &self.rest[len..];
                Ok(value)
            }
            Prefix::Partial => Err(TRUNCATED),
        }
    }

    /// All that is left.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Nothing may be left.
    pub(crate) const fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed("bytes after the last field")) }
    }
}

const TRUNCATED: Malformed = Malformed("cut short");

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<u64, Malformed> {
        let mut reader = Reader::new(bytes);
        let value = reader.varint()?;
        reader.end().map(|()| value)
    }

    #[test]
    fn numbers_survive_and_take_no_more_bytes_than_they_need() {
        for (value, len) in [
            (0, 1),
            (0x7f, 1),
            (0x80, 2),
            (0x3fff, 2),
            (0x4000, 3),
            (u64::MAX >> 1, 9),
            (u64::MAX, 10),
        ] {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            assert_eq!((read(&bytes), bytes.len()), (Ok(value), len));
        }
    }

    #[test]
    fn longer_forms_and_larger_numbers_are_refused() {
        assert!(read(&[0x80, 0x00]).is_err(), "a zero in two bytes");
        assert!(read(&[0xff; 10]).is_err(), "more than 64 bits");
        assert_eq!(read(&[0x80]), Err(TRUNCATED));
        let mut beyond = [0xff; 11];
        beyond[9] = 0x02;
        assert!(read(&beyond[..10]).is_err(), "2 to the power of 64");
    }
}
