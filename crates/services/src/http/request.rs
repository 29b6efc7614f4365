//! The head of a request: where it ends, what it says, and whether it can be trusted.
//!
//! Framing is where servers get robbed, so whatever is ambiguous is refused and the connection closed:
//! two lengths, a length beside a transfer coding, a head that is too long.

use super::answer::Status;
use super::condition::parse_date;

/// The longest head, in bytes (request line, fields and the empty line).
pub(super) const HEAD_MAX: usize = 8 * 1024;
/// The longest request target, in bytes.
const TARGET_MAX: usize = 4 * 1024;
/// The most fields in a head.
const FIELDS_MAX: usize = 64;
/// The longest content that is read and thrown away, in bytes. This server never wants any.
pub(super) const CONTENT_MAX: u64 = 64 * 1024;

/// The methods there are, as far as this server tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// Answered with content.
    Get,
    /// Answered without it.
    Head,
    /// Known, but nothing here allows it.
    Other,
    /// Not known.
    Unknown,
}

/// A request whose framing is beyond doubt.
#[derive(Debug)]
pub(super) struct Request<'h> {
    pub(super) method: Method,
    pub(super) target: &'h str,
    /// HTTP/1.0: a connection is kept only if the client asks for it, and is told so.
    pub(super) old: bool,
    /// The client wants to send another request after this one.
    pub(super) keep_alive: bool,
    /// The client waits for a word before it sends its content.
    pub(super) expects_continue: bool,
    /// Bytes of content that follow the head.
    pub(super) content: u64,
    fields: Vec<httparse::Header<'h>>,
}

/// The length of the head at the start of `bytes`, once its empty line is there.
pub(super) fn head_length(bytes: &[u8]) -> Option<usize> {
    let mut line = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' {
            let empty = matches!(bytes.get(line..index), Some([] | [b'\r']));
            if empty {
                return Some(index + 1);
            }
            line = index + 1;
        }
    }
    None
}

impl<'h> Request<'h> {
    /// Parses a whole head.
    ///
    /// # Errors
    /// The status to refuse it with; the connection has to be closed then, for nobody knows where the next
    /// request would begin.
    pub(super) fn parse(head: &'h [u8]) -> Result<Self, Status> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut parsed = httparse::Request::new(&mut fields);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {}
            Ok(httparse::Status::Complete(_) | httparse::Status::Partial) => {
                return Err(Status::BAD_REQUEST);
            }
            Err(error) => return Err(refusal(error, head)),
        }
        let (Some(method), Some(target), Some(version)) =
            (parsed.method, parsed.path, parsed.version)
        else {
            return Err(Status::BAD_REQUEST);
        };
        if target.len() > TARGET_MAX {
            return Err(Status::URI_TOO_LONG);
        }
        let mut request = Request {
            method: method_of(method),
            target,
            old: version == 0,
            keep_alive: false,
            expects_continue: false,
            content: 0,
            fields: parsed.headers.to_vec(),
        };
        request.check_host()?;
        request.content = request.content_length()?;
        request.keep_alive = request.wants_to_stay();
        request.expects_continue = request.expectation()? && request.content > 0;
        Ok(request)
    }

    /// The values of all fields of that name, which is given in lower case.
    pub(super) fn values(&self, name: &'static str) -> impl Iterator<Item = &'h [u8]> {
        let fields = self.fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        fields.map(|field| field.value.trim_ascii())
    }

    /// Whether there is a field of that name.
    pub(super) fn has(&self, name: &'static str) -> bool {
        self.values(name).next().is_some()
    }

    /// The value of a field that may occur only once, if it does.
    pub(super) fn single(&self, name: &'static str) -> Option<&'h [u8]> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// The date in a field, in seconds since 1970; what is no date counts as no field.
    pub(super) fn date(&self, name: &'static str) -> Option<i64> {
        parse_date(self.single(name)?)
    }

    /// RFC 9112 section 3.2: exactly one `Host`, and no nonsense in it.
    fn check_host(&self) -> Result<(), Status> {
        let valid = |host: &[u8]| {
            host.iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%:[]".contains(byte))
        };
        match (self.single("host"), self.has("host")) {
            (Some(host), _) if valid(host) => Ok(()),
            (None, false) if self.old => Ok(()),
            (Some(_) | None, _) => Err(Status::BAD_REQUEST),
        }
    }

    /// RFC 9112 section 6: how much content there is.
    fn content_length(&self) -> Result<u64, Status> {
        if self.has("transfer-encoding") {
            if self.old || self.has("content-length") {
                return Err(Status::BAD_REQUEST);
            }
            // Content is never wanted here, so its codings are not even undone.
            let chunked = |value: &[u8]| value.eq_ignore_ascii_case(b"chunked");
            let known = self.single("transfer-encoding").is_some_and(chunked);
            return Err(if known { Status::LENGTH_REQUIRED } else { Status::NOT_IMPLEMENTED });
        }
        if !self.has("content-length") {
            return Ok(0);
        }
        let digits = self.single("content-length").ok_or(Status::BAD_REQUEST)?;
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(Status::BAD_REQUEST);
        }
        let length = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        length.filter(|length| *length <= CONTENT_MAX).ok_or(Status::CONTENT_TOO_LARGE)
    }

    fn wants_to_stay(&self) -> bool {
        let says = |option: &[u8]| {
            self.values("connection")
                .flat_map(|value| value.split(|byte| *byte == b','))
                .any(|token| token.trim_ascii().eq_ignore_ascii_case(option))
        };
        !says(b"close") && (!self.old || says(b"keep-alive"))
    }

    /// RFC 9110 section 10.1.1. An HTTP/1.0 client cannot expect anything.
    fn expectation(&self) -> Result<bool, Status> {
        if self.old || !self.has("expect") {
            return Ok(false);
        }
        let known = |value: &[u8]| value.eq_ignore_ascii_case(b"100-continue");
        if self.single("expect").is_some_and(known) {
            Ok(true)
        } else {
            Err(Status::EXPECTATION_FAILED)
        }
    }
}

fn method_of(method: &str) -> Method {
    match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "CONNECT" | "DELETE" | "OPTIONS" | "PATCH" | "POST" | "PUT" | "TRACE" => Method::Other,
        _ => Method::Unknown,
    }
}

fn refusal(error: httparse::Error, head: &[u8]) -> Status {
    match error {
        httparse::Error::TooManyHeaders => Status::FIELDS_TOO_LARGE,
        httparse::Error::Version => {
            let line =
                head.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
            let version = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
            if version.starts_with(b"HTTP/") {
                Status::VERSION_NOT_SUPPORTED
            } else {
                Status::BAD_REQUEST
            }
        }
        httparse::Error::HeaderName
        | httparse::Error::HeaderValue
        | httparse::Error::NewLine
        | httparse::Error::Status
        | httparse::Error::Token => Status::BAD_REQUEST,
    }
}

#[cfg(test)]
mod tests;
