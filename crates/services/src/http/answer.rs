//! From a request to its answer: status line, fields and where the content comes from.

use std::fmt::Display;
use std::io::Write as _;

use locum_types::Health;

use super::catalog::{Catalog, Found, OpenFile};
use super::condition::{self, Outcome, format_date};
use super::connection::Body;
use super::files::OpenError;
use super::media::media_type;
use super::range::{self, Selection};
use super::request::{Method, Request};
use super::target::{Target, TargetError};

/// A status code with its phrase (RFC 9110 section 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status(u16, &'static str);

impl Status {
    const OK: Status = Status(200, "OK");
    const PARTIAL_CONTENT: Status = Status(206, "Partial Content");
    const MOVED_PERMANENTLY: Status = Status(301, "Moved Permanently");
    const NOT_MODIFIED: Status = Status(304, "Not Modified");
    pub(super) const BAD_REQUEST: Status = Status(400, "Bad Request");
    const FORBIDDEN: Status = Status(403, "Forbidden");
    const NOT_FOUND: Status = Status(404, "Not Found");
    const METHOD_NOT_ALLOWED: Status = Status(405, "Method Not Allowed");
    pub(super) const REQUEST_TIMEOUT: Status = Status(408, "Request Timeout");
    pub(super) const LENGTH_REQUIRED: Status = Status(411, "Length Required");
    const PRECONDITION_FAILED: Status = Status(412, "Precondition Failed");
    pub(super) const CONTENT_TOO_LARGE: Status = Status(413, "Content Too Large");
    pub(super) const URI_TOO_LONG: Status = Status(414, "URI Too Long");
    const RANGE_NOT_SATISFIABLE: Status = Status(416, "Range Not Satisfiable");
    pub(super) const EXPECTATION_FAILED: Status = Status(417, "Expectation Failed");
    pub(super) const FIELDS_TOO_LARGE: Status = Status(431, "Request Header Fields Too Large");
    pub(super) const NOT_IMPLEMENTED: Status = Status(501, "Not Implemented");
    const UNAVAILABLE: Status = Status(503, "Service Unavailable");
    pub(super) const VERSION_NOT_SUPPORTED: Status = Status(505, "HTTP Version Not Supported");
}

/// What goes back to the client.
pub(super) struct Answer {
    /// The head, and the content too when it is not that of a file.
    pub(super) bytes: Vec<u8>,
    /// The file whose bytes follow.
    pub(super) body: Option<Body>,
    /// The connection is closed after it.
    pub(super) last: bool,
}

/// Refuses a request that cannot be understood, so that the connection cannot go on either.
pub(super) fn refuse(status: Status, head: &[u8]) -> Answer {
    let manner = Manner { bare: head.starts_with(b"HEAD "), old: false, last: true };
    text(status, manner, &[])
}

/// Answers a request that is understood.
pub(super) fn answer(request: &Request<'_>, catalog: &mut Catalog) -> Answer {
    // A client that waits for a "100 Continue" gets the final answer instead: the content is not wanted.
    // It may then send it or not, and nobody could tell it from the next request: so this is the last one.
    let manner = Manner {
        bare: request.method == Method::Head,
        old: request.old,
        last: !request.keep_alive || request.expects_continue,
    };
    match request.method {
        Method::Get | Method::Head => {}
        Method::Other => {
            return text(Status::METHOD_NOT_ALLOWED, manner, &[("Allow", "GET, HEAD")]);
        }
        Method::Unknown => return text(Status::NOT_IMPLEMENTED, manner, &[]),
    }
    let target = match Target::parse(request.target) {
        Ok(target) => target,
        Err(TargetError::Malformed) => return text(Status::BAD_REQUEST, manner, &[]),
        Err(TargetError::NeverServed) => return text(Status::NOT_FOUND, manner, &[]),
    };
    if target.path == "healthz" && !target.slash {
        return health(catalog.health(), manner);
    }
    match find(&target, catalog) {
        Ok(Resource::File(path, open)) => file(request, manner, path, open),
        Ok(Resource::Redirect(location)) => {
            text(Status::MOVED_PERMANENTLY, manner, &[("Location", &location)])
        }
        Err(OpenError::NotFound) => text(Status::NOT_FOUND, manner, &[]),
        Err(OpenError::Forbidden) => text(Status::FORBIDDEN, manner, &[]),
        Err(OpenError::Unavailable(_)) => text(Status::UNAVAILABLE, manner, &[]),
    }
}

/// What a target turned out to name.
enum Resource {
    File(String, OpenFile),
    Redirect(String),
}

fn find(target: &Target<'_>, catalog: &mut Catalog) -> Result<Resource, OpenError> {
    match (catalog.open(&target.path)?, target.slash) {
        (Found::File(open), false) => Ok(Resource::File(target.path.clone(), open)),
        (Found::File(_), true) => Err(OpenError::NotFound),
        (Found::Directory, false) => Ok(Resource::Redirect(target.with_slash())),
        (Found::Directory, true) => {
            let separator = if target.path.is_empty() { "" } else { "/" };
            let path = format!("{}{separator}index.html", target.path);
            match catalog.open(&path)? {
                Found::File(open) => Ok(Resource::File(path, open)),
                Found::Directory => Err(OpenError::NotFound),
            }
        }
    }
}

fn file(request: &Request<'_>, manner: Manner, path: String, open: OpenFile) -> Answer {
    let validators = |head: Head| {
        let head = head.field("ETag", &open.tag);
        match format_date(open.modified) {
            Some(date) => head.field("Last-Modified", date),
            None => head,
        }
    };
    match condition::evaluate(request, &open.tag, open.modified) {
        Outcome::Proceed => {}
        Outcome::NotModified => {
            return validators(Head::new(Status::NOT_MODIFIED)).end(manner);
        }
        Outcome::Failed => return text(Status::PRECONDITION_FAILED, manner, &[]),
    }
    let (status, start, end) = match selection(request, &open) {
        Selection::Whole => (Status::OK, 0, open.len),
        Selection::Part(start, end) => (Status::PARTIAL_CONTENT, start, end),
        Selection::Unsatisfiable => {
            let whole = format!("bytes */{}", open.len);
            return text(Status::RANGE_NOT_SATISFIABLE, manner, &[("Content-Range", &whole)]);
        }
    };
    let mut head = validators(Head::new(status))
        .field("Accept-Ranges", "bytes")
        .field("Content-Type", media_type(&path))
        .field("Content-Length", end - start);
    if status == Status::PARTIAL_CONTENT {
        // A part is never empty, so there is a last byte.
        let last = end.saturating_sub(1);
        head = head.field("Content-Range", format_args!("bytes {start}-{last}/{}", open.len));
    }
    let mut answer = head.end(manner);
    if !manner.bare && start < end {
        answer.body = Some(Body::new(path, open, start, end));
    }
    answer
}

/// RFC 9110 section 14.2: a range of a GET, unless `If-Range` says otherwise.
fn selection(request: &Request<'_>, open: &OpenFile) -> Selection {
    match request.single("range") {
        Some(value)
            if request.method == Method::Get && condition::range_may_apply(request, &open.tag) =>
        {
            range::select(value, open.len)
        }
        Some(_) | None => Selection::Whole,
    }
}

fn health(health: Health, manner: Manner) -> Answer {
    let status = match health {
        Health::Ok => Status::OK,
        Health::Degraded | Health::Failed => Status::UNAVAILABLE,
    };
    content(status, manner, &[("Cache-Control", "no-store")], health.name())
}

/// An answer whose content is its own status.
fn text(status: Status, manner: Manner, fields: &[(&str, &str)]) -> Answer {
    content(status, manner, fields, &format!("{} {}\n", status.0, status.1))
}

fn content(status: Status, manner: Manner, fields: &[(&str, &str)], content: &str) -> Answer {
    let head = fields.iter().fold(Head::new(status), |head, (name, value)| head.field(name, value));
    let head = head
        .field("Content-Type", "text/plain; charset=utf-8")
        .field("Content-Length", content.len());
    let mut answer = head.end(manner);
    if !manner.bare {
        answer.bytes.extend_from_slice(content.as_bytes());
    }
    answer
}

/// How a request wants its answer, whatever it says.
#[derive(Clone, Copy)]
struct Manner {
    /// Without content: it was a HEAD.
    bare: bool,
    /// By HTTP/1.0.
    old: bool,
    /// The connection is closed after it.
    last: bool,
}

/// The head of an answer while it is written.
struct Head(Vec<u8>);

impl Head {
    fn new(Status(code, phrase): Status) -> Self {
        Head(format!("HTTP/1.1 {code} {phrase}\r\n").into_bytes()).field("Server", "locum")
    }

    fn field(mut self, name: &str, value: impl Display) -> Self {
        write!(self.0, "{name}: {value}\r\n").expect("writing to a Vec cannot fail");
        self
    }

    fn end(self, manner: Manner) -> Answer {
        let mut head = match manner {
            Manner { last: true, .. } => self.field("Connection", "close"),
            Manner { old: true, .. } => self.field("Connection", "keep-alive"),
            Manner { .. } => self,
        };
        head.0.extend_from_slice(b"\r\n");
        Answer { bytes: head.0, body: None, last: manner.last }
    }
}
