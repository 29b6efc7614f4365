//! Patterns of keys and channels: `*`, `?`, `[a-z]`, `[^x]` and `\`.

/// Whether a text fits a pattern. Takes time in proportion to the product of the lengths at most.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // Where the last star was, and the text it has not swallowed yet.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            star = Some((rest, text));
            pattern = rest;
            continue;
        }
        match (pattern.is_empty(), text.split_first()) {
            (true, None) => return true,
            (false, Some((byte, after))) => {
                if let Some(rest) = one(pattern, *byte) {
                    (pattern, text) = (rest, after);
                    continue;
                }
            }
            (true, Some(_)) | (false, None) => {}
        }
        let Some((after_star, swallowed)) = star else { return false };
        let Some((_, left)) = swallowed.split_first() else { return false };
        star = Some((after_star, left));
        (pattern, text) = (after_star, left);
    }
}

/// What is left of the pattern when its first element fits the byte.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [b'?', rest @ ..] => Some(rest),
        [b'[', b'^', rest @ ..] => {
            class(rest, byte).and_then(|(fits, rest)| (!fits).then_some(rest))
        }
        [b'[', rest @ ..] => class(rest, byte).and_then(|(fits, rest)| fits.then_some(rest)),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal == byte).then_some(rest),
        [] => None,
    }
}

/// Whether a byte is in a class, and what follows the class. One without an end ends with the pattern.
fn class(mut rest: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let mut fits = false;
    loop {
        rest = match rest {
            [] => return Some((fits, rest)),
            [b']', after @ ..] => return Some((fits, after)),
            [b'\\', literal, after @ ..] => {
                fits |= *literal == byte;
                after
            }
            [low, b'-', high, after @ ..] => {
                fits |= (*low.min(high)..=*low.max(high)).contains(&byte);
                after
            }
            [literal, after @ ..] => {
                fits |= *literal == byte;
                after
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_fit_what_they_should() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("h?llo", "hello", true),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[a-b]llo", "hbllo", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("*a*b", "xxaxxb", true),
            ("*a*b", "xxaxxbc", false),
            ("", "", true),
            ("[", "x", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
        let hostile = "*a".repeat(200);
        assert!(!matches(hostile.as_bytes(), &[b'a'; 10_000][..199]));
    }
}
