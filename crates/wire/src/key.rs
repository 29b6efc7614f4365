//! The key that the nodes of a group share, and its text form in key files.

use std::fmt;

use hmac::Mac;

use crate::auth::mac;

/// The length of a key in bytes.
pub const KEY_LEN: usize = 32;
/// The length of a key in hex digits.
const DIGITS: usize = 2 * KEY_LEN;

/// The secret of a group: whoever has it can speak as any of its nodes.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; KEY_LEN]);

/// Why a text is not a key file. Never says anything about the key itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing but comments and blank lines.
    #[error("there is no key in it: make one with `locum keygen`")]
    Missing,
    /// A character that is not a hex digit.
    #[error(
        "line {line}, column {column}: {found:?} is not a hex digit: \
         a key is {DIGITS} of 0-9 and a-f on one line, a comment starts with `#`"
    )]
    NotHex {
        /// The line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
        /// The character.
        found: char,
    },
    /// Too few digits, or too many.
    #[error(
        "line {line}: a key has {DIGITS} hex digits, not {digits}: \
         copy the whole line from another node, or make a new key with `locum keygen`"
    )]
    Length {
        /// The line, from 1.
        line: usize,
        /// How many digits it has.
        digits: usize,
    },
    /// More than one key.
    #[error(
        "line {line}: a second key, the first is in line {first}: \
         keep the one that the other nodes have"
    )]
    Second {
        /// The line of the second key, from 1.
        line: usize,
        /// The line of the first key, from 1.
        first: usize,
    },
}

impl Key {
    /// The key with these bytes, which should come from a good random source.
    pub const fn new(bytes: [u8; KEY_LEN]) -> Self {
        Key(bytes)
    }

    /// Reads a key file: 64 hex digits on one line, besides blank lines and `#` comments.
    ///
    /// # Errors
    /// A [`KeyError`] that names the line and the fix.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let mut found: Option<(usize, Key)> = None;
        for (index, content) in text.lines().enumerate() {
            let line = index + 1;
            if content.trim().is_empty() || content.trim_start().starts_with('#') {
                continue;
            }
            if let Some((first, _)) = found {
                return Err(KeyError::Second { line, first });
            }
            found = Some((line, Key::from_line(line, content)?));
        }
        found.map(|(_, key)| key).ok_or(KeyError::Missing)
    }

    /// The text of a key file: a comment that says what it is, and the 64 hex digits.
    pub fn to_hex(&self) -> String {
        use fmt::Write;
        let mut text = String::from("# locum group key\n");
        for byte in self.0 {
            write!(text, "{byte:02x}").expect("a String takes all that is written to it");
        }
        text.push('\n');
        text
    }

    /// A key for another protocol than the beats, which says nothing about this one: HMAC-SHA256 with
    /// this key over `purpose`, a sentence that no beat begins with.
    pub fn derive(&self, purpose: &str) -> [u8; KEY_LEN] {
        mac(self, purpose.as_bytes()).finalize().into_bytes().into()
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    fn from_line(line: usize, content: &str) -> Result<Self, KeyError> {
        let indent = content.chars().take_while(|found| found.is_whitespace()).count();
        let mut bytes = [0; KEY_LEN];
        let mut digits = 0;
        for (index, found) in content.trim().chars().enumerate() {
            let column = indent + index + 1;
            let digit = found.to_digit(16).ok_or(KeyError::NotHex { line, column, found })?;
            if let Some(byte) = bytes.get_mut(index / 2) {
                *byte = *byte << 4 | digit as u8;
            }
            digits += 1;
        }
        if digits == DIGITS { Ok(Key(bytes)) } else { Err(KeyError::Length { line, digits }) }
    }
}

/// Says that there is a key, and no more: keys must not end up in logs.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(redacted)")
    }
}

#[cfg(test)]
mod tests;
