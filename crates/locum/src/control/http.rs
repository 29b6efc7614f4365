//! What a scraper asks by HTTP on the same socket: `curl --unix-socket node1.sock http://node1/metrics`.
//!
//! One request, one answer, and the connection is closed: as much of RFC 9112 as that takes. It can only be asked how
//! the node is.

use super::{REQUEST_LEN_MAX, Reply, Request};
use crate::status::metrics;

/// The only method; its name tells HTTP from a line of JSON.
const METHOD: &[u8] = b"GET ";
/// What ends a request without a body.
const END: &[u8] = b"\r\n\r\n";

/// Whether what has come so far is a request by HTTP.
pub(super) fn is_http(input: &[u8]) -> bool {
    input.starts_with(METHOD)
}

/// The answer, when all of the request has come, or more than is taken; `None`: the rest is to be awaited.
pub(super) fn answer(input: &[u8], handler: &mut impl FnMut(Request) -> Reply) -> Option<Vec<u8>> {
    if input.len() > REQUEST_LEN_MAX {
        return Some(response("431 Request Header Fields Too Large", "too long\n"));
    }
    input.windows(END.len()).find(|window| *window == END)?;
    let target = input[METHOD.len()..].split(|byte| byte.is_ascii_whitespace()).next();
    if target != Some(b"/metrics") {
        return Some(response("404 Not Found", "there is /metrics\n"));
    }
    Some(match handler(Request::Status) {
        Reply::Status(status) => response("200 OK", &metrics::render(&status)),
        Reply::Refused(why) => response("503 Service Unavailable", &format!("{why}\n")),
        Reply::Done(_) => response("500 Internal Server Error", "no status\n"),
    })
}

fn response(status: &str, body: &str) -> Vec<u8> {
    let (kind, len) = (metrics::CONTENT_TYPE, body.len());
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\
         Connection: close\r\n\r\n"
    );
    [head.as_bytes(), body.as_bytes()].concat()
}
