//! The `Range` field (RFC 9110 section 14): one range of bytes, or the whole file.

/// What a `Range` field asks of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// No range, or one that is ignored: malformed, of several parts, or of another unit.
    Whole,
    /// From the first byte to before the second, never empty.
    Part(u64, u64),
    /// There is no such byte in the file.
    Unsatisfiable,
}

/// Reads the value of a `Range` field for a file of `len` bytes.
pub(super) fn select(value: &[u8], len: u64) -> Selection {
    parse(value, len).unwrap_or(Selection::Whole)
}

fn parse(value: &[u8], len: u64) -> Option<Selection> {
    let value = std::str::from_utf8(value).ok()?;
    let (unit, range) = value.split_once('=')?;
    let (first, last) = range.trim_matches([' ', '\t']).split_once('-')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    if first.is_empty() {
        // The suffix of an empty file is the whole of it, which no Content-Range can say.
        return Some(match (number(last)?, len) {
            (0, _) => Selection::Unsatisfiable,
            (_, 0) => Selection::Whole,
            (suffix, _) => Selection::Part(len.saturating_sub(suffix), len),
        });
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    if first >= len {
        return Some(Selection::Unsatisfiable);
    }
    Some(Selection::Part(first, last.saturating_add(1).min(len)))
}

/// A decimal number; one too large for 64 bits is as good as the largest.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::Selection::{Part, Unsatisfiable, Whole};
    use super::*;

    #[test]
    fn one_range_is_understood_and_everything_else_ignored() {
        for (value, len, expected) in [
            ("bytes=0-0", 10, Part(0, 1)),
            ("bytes=2-5", 10, Part(2, 6)),
            ("Bytes=2-", 10, Part(2, 10)),
            ("bytes= 2-99 ", 10, Part(2, 10)),
            ("bytes=9-99999999999999999999999", 10, Part(9, 10)),
            ("bytes=-3", 10, Part(7, 10)),
            ("bytes=-99", 10, Part(0, 10)),
            ("bytes=10-", 10, Unsatisfiable),
            ("bytes=99999999999999999999999-", 10, Unsatisfiable),
            ("bytes=0-", 0, Unsatisfiable),
            ("bytes=-0", 10, Unsatisfiable),
            ("bytes=-1", 0, Whole),
            ("bytes=5-2", 10, Whole),
            ("bytes=0-1,4-5", 10, Whole),
            ("bytes=-", 10, Whole),
            ("bytes=+1-2", 10, Whole),
            ("bytes=a-b", 10, Whole),
            ("lines=0-1", 10, Whole),
            ("bytes", 10, Whole),
            ("", 10, Whole),
        ] {
            assert_eq!(select(value.as_bytes(), len), expected, "{value:?} of {len}");
        }
        assert_eq!(select(b"bytes=0-\xff", 10), Whole);
    }
}
