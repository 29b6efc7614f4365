//! Patterns of keys and channels: `*`, `?`, `[a-z]`, `[^x]` and `\`.
//!
//! A pattern is matched by all its places at once, one bit for each: that takes time in proportion to the text, and
//! to a sixty-fourth of the pattern, whatever both look like.

use super::call::Outcome;

/// Bytes of a pattern.
pub(super) const PATTERN_MAX: usize = 1024;

/// Refuses a pattern that is too long to be tried on every key.
pub(super) fn check(pattern: &[u8]) -> Outcome {
    (pattern.len() <= PATTERN_MAX).then_some(()).ok_or("ERR pattern is too long".into())
}

/// A pattern, ready to be tried on many texts.
#[derive(Clone, Debug)]
pub(super) struct Pattern<'p> {
    /// What comes before the first element that is no plain byte.
    prefix: &'p [u8],
    rest: Rest,
}

/// What follows the prefix.
#[derive(Clone, Debug)]
enum Rest {
    Nothing,
    Anything,
    Elements(Elements),
}

/// Bit `i` of a row of words stands for the place after the first `i` elements.
#[derive(Clone, Debug, Default)]
struct Elements {
    /// For each byte the places from which it leads to the next.
    steps: Vec<[u64; 256]>,
    /// Places from which every byte leads to the next.
    any: Vec<u64>,
    /// Places that a star lets the text stay at.
    stars: Vec<u64>,
    count: usize,
}

impl<'p> Pattern<'p> {
    pub(super) fn new(pattern: &'p [u8]) -> Self {
        let (prefix, rest) = split_plain(pattern);
        let rest = match rest {
            [] => Rest::Nothing,
            [b'*'] => Rest::Anything,
            [..] => Rest::Elements(Elements::new(rest)),
        };
        Pattern { prefix, rest }
    }

    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let Some(text) = text.strip_prefix(self.prefix) else { return false };
        match &self.rest {
            Rest::Nothing => text.is_empty(),
            Rest::Anything => true,
            Rest::Elements(elements) => elements.match_all(text),
        }
    }
}

/// Whether a text fits a pattern, which is tried only once: only if it can fit is the pattern made ready.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (prefix, _) = split_plain(pattern);
    text.starts_with(prefix) && Pattern::new(pattern).matches(text)
}

/// What comes before the first element that is no plain byte, and what follows.
fn split_plain(pattern: &[u8]) -> (&[u8], &[u8]) {
    let plain = pattern.iter().position(|byte| b"*?[\\".contains(byte));
    pattern.split_at(plain.unwrap_or(pattern.len()))
}

impl Elements {
    fn new(mut pattern: &[u8]) -> Self {
        let words = pattern.len() / 64 + 1;
        let mut elements = Elements {
            steps: vec![[0; 256]; words],
            any: vec![0; words],
            stars: vec![0; words],
            count: 0,
        };
        while let Some((first, after)) = pattern.split_first() {
            pattern = match (first, after) {
                (b'*', _) => {
                    set(&mut elements.stars, elements.count);
                    after
                }
                (b'?', _) => {
                    set(&mut elements.any, elements.count);
                    elements.count += 1;
                    after
                }
                (b'[', [b'^', class @ ..]) => elements.class(class, true),
                (b'[', class) => elements.class(class, false),
                (b'\\', [literal, rest @ ..]) => {
                    elements.step(*literal);
                    elements.count += 1;
                    rest
                }
                (literal, rest) => {
                    elements.step(*literal);
                    elements.count += 1;
                    rest
                }
            };
        }
        elements
    }

    /// Lets a byte lead on from the last place.
    fn step(&mut self, byte: u8) {
        if let Some(steps) = self.steps.get_mut(self.count / 64) {
            steps[usize::from(byte)] |= 1 << (self.count % 64);
        }
    }

    /// Adds a class; returns what follows it. One without an end ends with the pattern.
    fn class<'c>(&mut self, mut class: &'c [u8], is_negated: bool) -> &'c [u8] {
        let mut bytes = [false; 256];
        let rest = loop {
            class = match class {
                [] => break class,
                [b']', after @ ..] => break after,
                [b'\\', literal, after @ ..] => {
                    bytes[usize::from(*literal)] = true;
                    after
                }
                [low, b'-', high, after @ ..] => {
                    let (low, high) = (usize::from(*low.min(high)), usize::from(*low.max(high)));
                    bytes[low..=high].fill(true);
                    after
                }
                [literal, after @ ..] => {
                    bytes[usize::from(*literal)] = true;
                    after
                }
            };
        };
        for byte in u8::MIN..=u8::MAX {
            if bytes[usize::from(byte)] != is_negated {
                self.step(byte);
            }
        }
        self.count += 1;
        rest
    }

    fn match_all(&self, text: &[u8]) -> bool {
        let mut places = vec![0; self.any.len()];
        set(&mut places, 0);
        for byte in text {
            let mut carry = 0;
            let mut left = 0;
            let masks = self.steps.iter().zip(&self.any).zip(&self.stars);
            for (word, ((steps, any), stars)) in places.iter_mut().zip(masks) {
                let moved = *word & (steps[usize::from(*byte)] | any);
                let stayed = *word & stars;
                *word = moved << 1 | carry | stayed;
                carry = moved >> 63;
                left |= *word;
            }
            if left == 0 {
                return false;
            }
        }
        places.get(self.count / 64).is_some_and(|word| word >> (self.count % 64) & 1 == 1)
    }
}

fn set(words: &mut [u64], place: usize) {
    if let Some(word) = words.get_mut(place / 64) {
        *word |= 1 << (place % 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_what_they_should() {
        let long = "x".repeat(130);
        let (across, wild) = (format!("{long}?b*c"), format!("*{}", "?".repeat(200)));
        for (pattern, text, expected) in [
            ("*", "", true),
            ("h?llo", "hello", true),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hallo", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("a\\", "a\\", true),
            ("*a*b", "xxaxxb", true),
            ("*a*b", "xxaxxbc", false),
            ("a*", "ba", false),
            ("", "", true),
            ("", "x", false),
            ("[", "x", false),
            ("[^", "x", true),
            ("[]", "x", false),
            (&across, &format!("{long}abxc"), true),
            (&across, &format!("{long}acxc"), false),
            (&wild, &"y".repeat(200), true),
            (&wild, &"y".repeat(199), false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn hostile_patterns_take_no_longer_than_others() {
        let classes = "[^b]*".repeat(PATTERN_MAX / 5);
        let stars = "*a".repeat(PATTERN_MAX / 2 - 1) + "*b";
        for hostile in [classes + "b", stars] {
            assert!(check(hostile.as_bytes()).is_ok());
            assert!(!matches(hostile.as_bytes(), &vec![b'a'; 1 << 17]));
        }
        assert!(check(&[b'*'; PATTERN_MAX + 1]).is_err());
    }
}
