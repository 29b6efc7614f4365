//! Requests as clients write them: RESP arrays of bulk strings, and inline commands.
//!
//! The parser goes over borrowed bytes and remembers how far it came with a command that is incomplete,
//! so that no argument is looked at twice. What it remembers follows from the bytes alone: a snapshot
//! holds the bytes, and a fresh parser comes to the same.

use std::borrow::Cow;

/// How much of a request a client may make the service keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Arguments of one command.
    pub(super) args: usize,
    /// Bytes of one argument.
    pub(super) bulk: usize,
    /// Bytes of one command.
    pub(super) request: usize,
    /// Bytes kept for all connections together.
    pub(super) held: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { args: 1024 * 1024, bulk: 64 << 20, request: 256 << 20, held: 1 << 30 }
    }
}

impl Limits {
    /// Bytes of a string, which may be put together from several arguments.
    pub(super) fn string(&self) -> usize {
        self.bulk.saturating_mul(2)
    }

    /// Bytes that a command, or all commands of an EXEC, may reply.
    pub(super) fn reply(&self) -> usize {
        self.bulk.saturating_mul(4)
    }
}

/// Bytes of a line: an inline command, or the header of an array or a bulk string.
const LINE_MAX: usize = 64 * 1024;

/// Where an argument is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    len: u32,
}

/// The arguments of a command, its name included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    pub(super) fn len(self) -> usize {
        self.spans.len()
    }

    /// The argument at `index`; empty when there is none, which the arity check rules out.
    pub(super) fn get(self, index: usize) -> &'a [u8] {
        self.spans.get(index).and_then(|span| cut(self.bytes, *span)).unwrap_or_default()
    }

    /// The arguments from `index` on.
    pub(super) fn from(self, index: usize) -> Args<'a> {
        Args { bytes: self.bytes, spans: self.spans.get(index..).unwrap_or_default() }
    }

    /// The first `count` arguments.
    pub(super) fn first(self, count: usize) -> Args<'a> {
        Args { bytes: self.bytes, spans: self.spans.get(..count).unwrap_or(self.spans) }
    }

    pub(super) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        self.spans.iter().map(move |span| cut(self.bytes, *span).unwrap_or_default())
    }

    /// In pairs; an odd one at the end is left out.
    pub(super) fn pairs(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        (0..self.len() / 2).map(move |pair| (self.get(pair * 2), self.get(pair * 2 + 1)))
    }
}

fn cut(bytes: &[u8], span: Span) -> Option<&[u8]> {
    let start = span.start as usize;
    bytes.get(start..start + span.len as usize)
}

/// Arguments that outlive the input they came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OwnedArgs {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl OwnedArgs {
    pub(super) fn push(&mut self, arg: &[u8]) {
        let span = Span { start: self.bytes.len() as u32, len: arg.len() as u32 };
        self.bytes.extend_from_slice(arg);
        self.spans.push(span);
    }

    pub(super) fn args(&self) -> Args<'_> {
        Args { bytes: &self.bytes, spans: &self.spans }
    }

    /// Bytes it takes, roughly.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.spans.len() * size_of::<Span>() + 64
    }
}

impl<'a> FromIterator<&'a [u8]> for OwnedArgs {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(args: I) -> Self {
        let mut owned = OwnedArgs::default();
        args.into_iter().for_each(|arg| owned.push(arg));
        owned
    }
}

/// What the bytes at hand amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// No whole command yet.
    Incomplete,
    /// No command ever: the connection has to go, after this text.
    Error(Cow<'static, str>),
    /// A command of so many bytes; [`Parser::args`] has its arguments, which may be none.
    Command {
        /// Bytes to take from the front of the input.
        consumed: usize,
    },
}

/// Reads one command after the other.
#[derive(Debug, Default)]
pub(super) struct Parser {
    spans: Vec<Span>,
    /// The arguments of an inline command, without quotes and escapes.
    inline: Vec<u8>,
    is_inline: bool,
    /// How far this command is parsed.
    pos: usize,
    /// Bytes from `pos` on in which there is no end of line.
    searched: usize,
    /// Arguments still to come, once the array header is read.
    missing: Option<usize>,
    /// Length of the argument at `pos`, once its header is read.
    bulk: Option<usize>,
}

impl Parser {
    /// Goes on with the command at the start of `bytes`: the same bytes as last time, and more.
    pub(super) fn parse(&mut self, bytes: &[u8], limits: &Limits) -> Parsed {
        if self.pos == 0 && self.missing.is_none() {
            self.spans.clear();
            self.is_inline = false;
            match bytes.first() {
                None => return Parsed::Incomplete,
                Some(b'*') => {}
                Some(_) => return self.parse_inline(bytes),
            }
        }
        match self.parse_array(bytes, limits) {
            Ok(Some(consumed)) => {
                self.rewind();
                Parsed::Command { consumed }
            }
            Ok(None) if bytes.len() > limits.request => {
                Parsed::Error("Protocol error: too big request".into())
            }
            Ok(None) => Parsed::Incomplete,
            Err(text) => Parsed::Error(text),
        }
    }

    /// The arguments of the command that was just found at the start of `bytes`.
    pub(super) fn args<'a>(&'a self, bytes: &'a [u8]) -> Args<'a> {
        Args { bytes: if self.is_inline { &self.inline } else { bytes }, spans: &self.spans }
    }

    fn rewind(&mut self) {
        (self.pos, self.searched, self.missing, self.bulk) = (0, 0, None, None);
    }

    /// The line at `pos`, without its end, and where the next one begins.
    fn line<'b>(&mut self, bytes: &'b [u8]) -> Option<(&'b [u8], usize)> {
        let rest = bytes.get(self.pos..)?;
        let fresh = rest.get(self.searched..)?;
        let Some(found) = fresh.iter().position(|byte| *byte == b'\n') else {
            self.searched = rest.len();
            return None;
        };
        let end = self.searched + found;
        self.searched = 0;
        let line = rest.get(..end)?;
        Some((line.strip_suffix(b"\r").unwrap_or(line), self.pos + end + 1))
    }

    /// A line of the form `*123`, whose mark has been checked.
    fn header(
        &mut self,
        bytes: &[u8],
        too_big: &'static str,
        invalid: &'static str,
    ) -> Result<Option<i64>, Cow<'static, str>> {
        let Some((line, next)) = self.line(bytes) else {
            return if self.searched > LINE_MAX { Err(too_big.into()) } else { Ok(None) };
        };
        let digits = line.get(1..).unwrap_or_default();
        let number = super::number::integer(digits).ok_or(invalid)?;
        self.pos = next;
        Ok(Some(number))
    }

    fn parse_array(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Option<usize>, Cow<'static, str>> {
        const COUNT: &str = "Protocol error: invalid multibulk length";
        let mut missing = match self.missing {
            Some(missing) => missing,
            None => {
                let big = "Protocol error: too big mbulk count string";
                let Some(count) = self.header(bytes, big, COUNT)? else { return Ok(None) };
                let count = usize::try_from(count).unwrap_or(0);
                if count > limits.args {
                    return Err(COUNT.into());
                }
                count
            }
        };
        while missing > 0 {
            self.missing = Some(missing);
            let Some(span) = self.parse_bulk(bytes, limits)? else { return Ok(None) };
            self.spans.push(span);
            missing -= 1;
        }
        Ok(Some(self.pos))
    }

    fn parse_bulk(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Option<Span>, Cow<'static, str>> {
        const LENGTH: &str = "Protocol error: invalid bulk length";
        let len = match self.bulk {
            Some(len) => len,
            None => {
                match bytes.get(self.pos) {
                    None => return Ok(None),
                    Some(b'$') => {}
                    Some(other) => {
                        let shown = char::from(*other);
                        return Err(format!("Protocol error: expected '$', got '{shown}'").into());
                    }
                }
                let big = "Protocol error: too big bulk count string";
                let Some(len) = self.header(bytes, big, LENGTH)? else { return Ok(None) };
                usize::try_from(len).ok().filter(|len| *len <= limits.bulk).ok_or(LENGTH)?
            }
        };
        let start = self.pos;
        let next = start + len + 2;
        if bytes.len() < next {
            self.bulk = Some(len);
            return Ok(None);
        }
        let start = u32::try_from(start).map_err(|_| "Protocol error: too big request")?;
        self.bulk = None;
        self.pos = next;
        Ok(Some(Span { start, len: len as u32 }))
    }

    fn parse_inline(&mut self, bytes: &[u8]) -> Parsed {
        let Some((line, next)) = self.line(bytes) else {
            if self.searched > LINE_MAX {
                return Parsed::Error("Protocol error: too big inline request".into());
            }
            return Parsed::Incomplete;
        };
        self.is_inline = true;
        self.inline.clear();
        if split_line(line, &mut self.inline, &mut self.spans).is_none() {
            return Parsed::Error("Protocol error: unbalanced quotes in request".into());
        }
        self.rewind();
        Parsed::Command { consumed: next }
    }
}

/// Splits a line into words, with quotes and escapes as in a shell; `None` if quotes do not match.
fn split_line(line: &[u8], out: &mut Vec<u8>, spans: &mut Vec<Span>) -> Option<()> {
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Some(());
        }
        let start = out.len();
        while let Some((byte, after)) = rest.split_first() {
            rest = match byte {
                b'"' => double_quoted(after, out)?,
                b'\'' => single_quoted(after, out)?,
                space if space.is_ascii_whitespace() || *space == 0 => break,
                other => {
                    out.push(*other);
                    after
                }
            };
        }
        spans.push(Span { start: start as u32, len: (out.len() - start) as u32 });
        rest = rest.strip_prefix(b"\0").unwrap_or(rest);
    }
}

/// After a closing quote there must be a space or the end.
fn after_quote(rest: &[u8]) -> Option<&[u8]> {
    rest.first().is_none_or(u8::is_ascii_whitespace).then_some(rest)
}

fn single_quoted<'l>(mut rest: &'l [u8], out: &mut Vec<u8>) -> Option<&'l [u8]> {
    loop {
        rest = match rest {
            [b'\\', b'\'', after @ ..] => {
                out.push(b'\'');
                after
            }
            [b'\'', after @ ..] => return after_quote(after),
            [byte, after @ ..] => {
                out.push(*byte);
                after
            }
            [] => return None,
        };
    }
}

fn double_quoted<'l>(mut rest: &'l [u8], out: &mut Vec<u8>) -> Option<&'l [u8]> {
    loop {
        rest = match rest {
            [b'\\', b'x', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                out.push(hex(*high) << 4 | hex(*low));
                after
            }
            [b'\\', escaped, after @ ..] => {
                out.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                after
            }
            [b'"', after @ ..] => return after_quote(after),
            [byte, after @ ..] => {
                out.push(*byte);
                after
            }
            [] => return None,
        };
    }
}

fn hex(digit: u8) -> u8 {
    char::from(digit).to_digit(16).map_or(0, |value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut input: &[u8]) -> (Vec<Vec<Vec<u8>>>, Parsed) {
        let mut parser = Parser::default();
        let mut commands = Vec::new();
        loop {
            match parser.parse(input, &Limits::default()) {
                Parsed::Command { consumed } => {
                    commands.push(parser.args(input).iter().map(<[u8]>::to_vec).collect());
                    input = &input[consumed..];
                }
                end @ (Parsed::Incomplete | Parsed::Error(_)) => return (commands, end),
            }
        }
    }

    #[test]
    fn a_command_that_comes_byte_by_byte_is_the_same_command() {
        let input = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n";
        let mut parser = Parser::default();
        for end in 0..input.len() {
            assert_eq!(parser.parse(&input[..end], &Limits::default()), Parsed::Incomplete);
        }
        let whole = parser.parse(input, &Limits::default());
        assert_eq!(whole, Parsed::Command { consumed: input.len() });
        let args: Vec<&[u8]> = parser.args(input).iter().collect();
        assert_eq!(args, [b"SET".as_slice(), b"k", b"a\r\nb"]);
    }

    #[test]
    fn inline_commands_know_quotes_and_escapes() {
        let (commands, end) = all(b"set k \"a\\x41\\n\" 'it\\'s'\r\n\r\nPING\n*0\r\n");
        assert_eq!(commands[0], [b"set".as_slice(), b"k", b"aA\n", b"it's"]);
        assert!(commands[1].is_empty() && commands[3].is_empty());
        assert_eq!(commands[2], [b"PING"]);
        assert_eq!(end, Parsed::Incomplete);
    }

    #[test]
    fn what_is_no_command_is_called_by_its_name() {
        for (input, text) in [
            ("*x\r\n", "invalid multibulk length"),
            ("*1048577\r\n", "invalid multibulk length"),
            ("*1\r\n:1\r\n", "expected '$', got ':'"),
            ("*1\r\n$-1\r\n", "invalid bulk length"),
            ("*1\r\n$67108865\r\n", "invalid bulk length"),
            ("get \"a\r\n", "unbalanced quotes in request"),
        ] {
            let expected = Parsed::Error(format!("Protocol error: {text}").into());
            assert_eq!(all(input.as_bytes()).1, expected, "{input}");
        }
        let endless = vec![b'x'; LINE_MAX + 1];
        let expected = Parsed::Error("Protocol error: too big inline request".into());
        assert_eq!(all(&endless).1, expected);
    }
}
