//! Replies as clients read them, in RESP2 and RESP3.

use super::number;

/// Bytes that every reply may have, however little room is left: so that a command which has changed something
/// can say so.
const ALWAYS: usize = 256;
/// Bytes around a number, or around a text in a reply.
const FRAME: usize = 32;

/// The output of a connection: replies are written straight into it.
#[derive(Debug, Default)]
pub(super) struct Out {
    /// What is written and not yet sent.
    pub(super) bytes: Vec<u8>,
    /// The client speaks RESP3.
    pub(super) resp3: bool,
    /// How long `bytes` may become, while a command writes its reply.
    ceiling: Option<usize>,
    /// Something did not fit, and was left out.
    is_cut: bool,
}

/// A reply under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    start: usize,
    outer: Option<usize>,
}

impl Out {
    /// Begins a reply of at most `most` bytes; one that is part of another shares its bound.
    pub(super) fn begin(&mut self, most: usize) -> Begun {
        let begun = Begun { start: self.bytes.len(), outer: self.ceiling };
        let ceiling = begun.outer.unwrap_or(begun.start.saturating_add(most));
        self.ceiling = Some(ceiling.max(begun.start + ALWAYS));
        begun
    }

    /// Ends a reply.
    pub(super) fn end(&mut self, begun: Begun) {
        self.ceiling = begun.outer;
        self.is_cut = false;
    }

    /// Takes back what was written since the reply began.
    pub(super) fn take_back(&mut self, begun: Begun) {
        self.bytes.truncate(begun.start);
    }

    /// Whether something did not fit into the reply under way.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether so many elements, of so many bytes together, fit into the reply under way.
    pub(super) fn has_room(&self, elements: usize, bytes: usize) -> bool {
        let more = elements.saturating_mul(FRAME).saturating_add(bytes);
        self.ceiling.is_none_or(|ceiling| self.bytes.len().saturating_add(more) <= ceiling)
    }

    /// Writes something that is no part of the reply under way.
    pub(super) fn aside(&mut self, write: impl FnOnce(&mut Out)) {
        let (ceiling, start) = (self.ceiling.take(), self.bytes.len());
        write(self);
        self.ceiling = ceiling.map(|ceiling| ceiling + self.bytes.len() - start);
    }

    fn fits(&mut self, bytes: usize) -> bool {
        let fits = self.ceiling.is_none_or(|ceiling| self.bytes.len() + bytes <= ceiling);
        self.is_cut |= !fits;
        fits
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.fits(bytes.len()) {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn head(&mut self, mark: u8, count: usize) {
        if self.fits(FRAME) {
            self.bytes.push(mark);
            number::write_integer(&mut self.bytes, count as i64);
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    fn line(&mut self, mark: u8, text: &[u8]) {
        if self.fits(text.len() + 3) {
            self.bytes.push(mark);
            self.bytes.extend_from_slice(text);
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    pub(super) fn ok(&mut self) {
        self.put(b"+OK\r\n");
    }

    pub(super) fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error, which always fits; what would break its line becomes spaces.
    pub(super) fn error(&mut self, text: &str) {
        self.bytes.push(b'-');
        let clean = |byte| if byte == b'\r' || byte == b'\n' { b' ' } else { byte };
        self.bytes.extend(text.bytes().map(clean));
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(super) fn integer(&mut self, value: i64) {
        if self.fits(FRAME) {
            self.bytes.push(b':');
            number::write_integer(&mut self.bytes, value);
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    /// A number of things.
    pub(super) fn count(&mut self, count: usize) {
        self.integer(count as i64);
    }

    /// 1 or 0, in both protocols.
    pub(super) fn flag(&mut self, flag: bool) {
        self.put(if flag { b":1\r\n" } else { b":0\r\n" });
    }

    pub(super) fn bulk(&mut self, bytes: &[u8]) {
        if self.fits(bytes.len() + FRAME) {
            self.head(b'$', bytes.len());
            self.bytes.extend_from_slice(bytes);
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bulk(text.as_bytes());
    }

    /// Text for people.
    pub(super) fn verbatim(&mut self, text: &str) {
        if self.resp3 {
            self.head(b'=', text.len() + 4);
            self.put(b"txt:");
            self.put(text.as_bytes());
            self.put(b"\r\n");
        } else {
            self.text(text);
        }
    }

    pub(super) fn null(&mut self) {
        self.put(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// Null where an array was due.
    pub(super) fn null_array(&mut self) {
        self.put(if self.resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    pub(super) fn bulk_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    pub(super) fn array(&mut self, count: usize) {
        self.head(b'*', count);
    }

    /// An array of bulk strings.
    pub(super) fn bulks<'b>(&mut self, bulks: impl ExactSizeIterator<Item = &'b [u8]>) {
        self.array(bulks.len());
        bulks.for_each(|bulk| self.bulk(bulk));
    }

    /// A map of so many pairs, which follow.
    pub(super) fn map(&mut self, pairs: usize) {
        if self.resp3 { self.head(b'%', pairs) } else { self.head(b'*', pairs * 2) }
    }

    pub(super) fn set(&mut self, count: usize) {
        self.head(if self.resp3 { b'~' } else { b'*' }, count);
    }

    /// Something the client did not ask for.
    pub(super) fn push(&mut self, count: usize) {
        self.head(if self.resp3 { b'>' } else { b'*' }, count);
    }

    pub(super) fn double(&mut self, value: f64) {
        let text = number::precise(value);
        if self.resp3 { self.line(b',', text.as_bytes()) } else { self.text(&text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(resp3: bool, write: impl FnOnce(&mut Out)) -> String {
        let mut out = Out { resp3, ..Out::default() };
        write(&mut out);
        String::from_utf8(out.bytes).unwrap()
    }

    #[test]
    fn each_protocol_has_its_own_spelling() {
        type Case = (fn(&mut Out), &'static str, &'static str);
        let cases: [Case; 7] = [
            (Out::null, "$-1\r\n", "_\r\n"),
            (Out::null_array, "*-1\r\n", "_\r\n"),
            (|out| out.map(2), "*4\r\n", "%2\r\n"),
            (|out| out.set(2), "*2\r\n", "~2\r\n"),
            (|out| out.push(3), "*3\r\n", ">3\r\n"),
            (|out| out.double(2.5), "$3\r\n2.5\r\n", ",2.5\r\n"),
            (|out| out.verbatim("a"), "$1\r\na\r\n", "=5\r\ntxt:a\r\n"),
        ];
        for (write, old, new) in cases {
            assert_eq!((written(false, write), written(true, write)), (old.into(), new.into()));
        }
    }

    #[test]
    fn a_reply_keeps_its_bound_and_parts_share_that_of_the_whole() {
        let mut out = Out::default();
        let whole = out.begin(1000);
        out.array(2);
        out.bulk(&[b'x'; 900]);
        let part = out.begin(1000);
        assert!(!out.is_cut() && !out.has_room(1, ALWAYS));
        out.bulk(&[b'y'; 200]);
        out.ok();
        assert!(!out.is_cut(), "small replies always fit");
        out.bulk(&[b'z'; 300]);
        assert!(out.is_cut());
        out.take_back(part);
        out.end(part);
        out.aside(|out| out.bulk(&[b'm'; 5000]));
        out.end(whole);
        assert!(out.bytes.len() > 5900 && !out.is_cut());
    }

    #[test]
    fn an_error_stays_on_its_line() {
        assert_eq!(written(false, |out| out.error("ERR a\r\nb")), "-ERR a  b\r\n");
    }
}
