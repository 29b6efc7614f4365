//! Conditional requests (RFC 9110 section 13).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::request::Request;

/// What the conditions of a request make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Answer as if there were none.
    Proceed,
    /// The client has it already: 304.
    NotModified,
    /// The client wants another version: 412.
    Failed,
}

/// Evaluates the conditions in the order of RFC 9110 section 13.2.2 against a file with the strong
/// entity tag `tag`, modified `modified` seconds after 1970.
pub(super) fn evaluate(request: &Request<'_>, tag: &str, modified: i64) -> Outcome {
    if request.has("if-match") {
        if !request.values("if-match").any(|value| names(value, tag, Strength::Strong)) {
            return Outcome::Failed;
        }
    } else if request.date("if-unmodified-since").is_some_and(|date| modified > date) {
        return Outcome::Failed;
    }
    if request.has("if-none-match") {
        if request.values("if-none-match").any(|value| names(value, tag, Strength::Weak)) {
            return Outcome::NotModified;
        }
    } else if request.date("if-modified-since").is_some_and(|date| modified <= date) {
        return Outcome::NotModified;
    }
    Outcome::Proceed
}

/// Whether a `Range` field may be heeded, as far as `If-Range` is concerned.
///
/// A date never matches: without a clock nobody can tell whether the file changed twice in that second,
/// and joining parts of two versions is worse than sending the whole again (section 13.1.5).
pub(super) fn range_may_apply(request: &Request<'_>, tag: &str) -> bool {
    !request.has("if-range")
        || request.single("if-range").is_some_and(|value| value == tag.as_bytes())
}

/// How entity tags are compared (RFC 9110 section 8.8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strength {
    /// A weak tag matches nothing.
    Strong,
    /// The `W/` does not matter.
    Weak,
}

/// Whether a list of entity tags, or `*`, names the strong `tag`.
fn names(list: &[u8], tag: &str, strength: Strength) -> bool {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return true;
    }
    loop {
        rest = rest.trim_ascii_start();
        if let Some(after) = rest.strip_prefix(b",") {
            rest = after;
            continue;
        }
        let (weak, quoted) = match rest.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let Some(length) = quoted_length(quoted) else { return false };
        let Some((opaque, after)) = quoted.split_at_checked(length) else { return false };
        if opaque == tag.as_bytes() && (strength == Strength::Weak || !weak) {
            return true;
        }
        rest = after;
    }
}

/// The length of the quoted string at the start, quotes included.
fn quoted_length(text: &[u8]) -> Option<usize> {
    let inner = text.strip_prefix(b"\"")?;
    Some(inner.iter().position(|byte| *byte == b'"')? + 2)
}

/// An HTTP date as seconds since 1970.
pub(super) fn parse_date(value: &[u8]) -> Option<i64> {
    let date = httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()?;
    i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// Seconds since 1970 as an HTTP date; `None` outside the years 1970 to 9999, which no such date can say.
pub(super) fn format_date(seconds: i64) -> Option<String> {
    const YEAR_10000: u64 = 253_402_300_800;
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds < YEAR_10000)?;
    let date: SystemTime = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    Some(httpdate::fmt_http_date(date))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags_are_found_in_lists() {
        for (list, strong, weak) in [
            ("\"a\"", true, true),
            ("W/\"a\"", false, true),
            ("\"b\", \"a\"", true, true),
            ("\"b\" ,,W/\"a\"", false, true),
            ("*", true, true),
            ("\"b\"", false, false),
            ("\"b,\"a\"", false, false),
            ("a", false, false),
            ("\"a", false, false),
            ("w/\"a\"", false, false),
            ("", false, false),
            (",", false, false),
        ] {
            assert_eq!(names(list.as_bytes(), "\"a\"", Strength::Strong), strong, "{list}");
            assert_eq!(names(list.as_bytes(), "\"a\"", Strength::Weak), weak, "{list}");
        }
    }

    #[test]
    fn dates_round_trip_and_impossible_ones_are_left_out() {
        let date = format_date(784_111_777).unwrap();
        assert_eq!(date, "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(parse_date(date.as_bytes()), Some(784_111_777));
        assert_eq!(format_date(253_402_300_799).unwrap(), "Fri, 31 Dec 9999 23:59:59 GMT");
        for impossible in [-1, 253_402_300_800, i64::MAX, i64::MIN] {
            assert_eq!(format_date(impossible), None);
        }
        assert_eq!(parse_date(b"yesterday"), None);
        assert_eq!(parse_date(b"\xff"), None);
    }
}
