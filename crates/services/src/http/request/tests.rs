use super::*;

#[test]
fn a_head_ends_at_its_first_empty_line() {
    for (bytes, expected) in [
        (&b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest"[..], Some(24)),
        (b"GET / HTTP/1.1\nA: b\n\nrest", Some(21)),
        (b"GET / HTTP/1.1\r\n\n", Some(17)),
        (b"GET / HTTP/1.1\n\r\n", Some(17)),
        (b"GET / HTTP/1.1\r\n\r", None),
        (b"GET / HTTP/1.1\r\n \r\n", None),
        (b"", None),
    ] {
        assert_eq!(head_length(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn fields_are_found_whatever_their_case_and_space() {
    let head = b"GET / HTTP/1.1\r\nhOsT: h \r\nx:\t1\r\nX: 2\r\n\r\n";
    let request = Request::parse(head).unwrap();
    assert_eq!(request.single("host"), Some(&b"h"[..]));
    assert_eq!(request.values("x").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(request.single("x"), None, "it occurs twice");
    assert!(request.has("x") && !request.has("y"));
}

#[test]
fn content_up_to_the_limit_is_accepted() {
    let parse = |length: u64| {
        let head = format!("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
        Request::parse(head.as_bytes()).map(|request| request.content)
    };
    assert_eq!(parse(CONTENT_MAX), Ok(CONTENT_MAX));
    assert_eq!(parse(CONTENT_MAX + 1), Err(Status::CONTENT_TOO_LARGE));
}

#[test]
fn only_a_whole_head_is_parsed() {
    let partial = Request::parse(b"GET / HTTP/1.1\r\nHost: h\r\n").unwrap_err();
    let overlong = Request::parse(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nrest").unwrap_err();
    assert_eq!((partial, overlong), (Status::BAD_REQUEST, Status::BAD_REQUEST));
}
