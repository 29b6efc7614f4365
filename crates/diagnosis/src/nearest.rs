//! What somebody may have meant.

/// The word of `known` that `word` is most likely a slip of.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // Long texts are no slips, and would only cost time.
    if word.len() > 32 {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    let ranked = known.iter().map(|name| (distance(&word, name), *name));
    let (slips, name) = ranked.min_by_key(|(slips, _)| *slips)?;
    (slips <= 1 + name.len() / 5).then_some(name)
}

/// Edits (insert, remove, replace a character) between two words: Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, (to, window)) in b.iter().zip(row.windows(2)).enumerate() {
            let replaced = window[0] + usize::from(from != *to);
            next.push(replaced.min(window[1] + 1).min(next[j] + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshteins() {
        for (a, b, expected) in
            [("", "", 0), ("", "ab", 2), ("kitten", "sitting", 3), ("tap", "tap", 0)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
