//! Replies as clients read them, in RESP2 and RESP3.

use super::number;

/// The output of a connection: replies are written straight into it.
#[derive(Debug, Default)]
pub(super) struct Out {
    /// What is written and not yet sent.
    pub(super) bytes: Vec<u8>,
    /// The client speaks RESP3.
    pub(super) resp3: bool,
}

impl Out {
    fn head(&mut self, mark: u8, count: usize) {
        self.bytes.push(mark);
        number::write_integer(&mut self.bytes, count as i64);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn line(&mut self, mark: u8, text: &[u8]) {
        self.bytes.push(mark);
        self.bytes.extend_from_slice(text);
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(super) fn ok(&mut self) {
        self.bytes.extend_from_slice(b"+OK\r\n");
    }

    pub(super) fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error; what would break its line becomes spaces.
    pub(super) fn error(&mut self, text: &str) {
        self.bytes.push(b'-');
        let clean = |byte| if byte == b'\r' || byte == b'\n' { b' ' } else { byte };
        self.bytes.extend(text.bytes().map(clean));
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(super) fn integer(&mut self, value: i64) {
        self.bytes.push(b':');
        number::write_integer(&mut self.bytes, value);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// A number of things.
    pub(super) fn count(&mut self, count: usize) {
        self.integer(count as i64);
    }

    /// 1 or 0, in both protocols.
    pub(super) fn flag(&mut self, flag: bool) {
        self.bytes.extend_from_slice(if flag { b":1\r\n" } else { b":0\r\n" });
    }

    pub(super) fn bulk(&mut self, bytes: &[u8]) {
        self.head(b'$', bytes.len());
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bulk(text.as_bytes());
    }

    /// Text for people.
    pub(super) fn verbatim(&mut self, text: &str) {
        if self.resp3 {
            self.head(b'=', text.len() + 4);
            self.bytes.extend_from_slice(b"txt:");
            self.bytes.extend_from_slice(text.as_bytes());
            self.bytes.extend_from_slice(b"\r\n");
        } else {
            self.text(text);
        }
    }

    pub(super) fn null(&mut self) {
        self.bytes.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// Null where an array was due.
    pub(super) fn null_array(&mut self) {
        self.bytes.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"*-1\r\n" });
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
    fn an_error_stays_on_its_line() {
        assert_eq!(written(false, |out| out.error("ERR a\r\nb")), "-ERR a  b\r\n");
    }
}
