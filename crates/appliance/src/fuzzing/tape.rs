//! The input, read byte by byte.

/// What is left of the input. Whatever is read beyond its end is 0.
pub(super) struct Tape<'a>(&'a [u8]);

impl<'a> Tape<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Tape(input)
    }

    /// The next byte; `None` at the end.
    pub(super) fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// The next byte, or 0.
    pub(super) fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// The next byte as a small difference.
    pub(super) fn delta(&mut self) -> i8 {
        self.byte() as i8
    }

    /// As many bytes as the next one says, or fewer at the end.
    pub(super) fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }
}
