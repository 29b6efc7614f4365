//! What http answers to what, as data: one request in, one exact answer out.

use locum_services::Http;
use locum_services::http::MemFiles;
use locum_services::testing::Bench;

/// What happens to the connection after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Stays,
    Closes,
}
use Then::{Closes, Stays};

struct Case {
    name: &'static str,
    request: &'static str,
    status: &'static str,
    /// All fields in order, but for `Server` at the start of every answer, and `Connection: close` at the
    /// end of one that closes.
    fields: Vec<Field>,
    content: Content,
    then: Then,
}

enum Content {
    /// Exactly this.
    Exactly(&'static str),
    /// The status as a line of text, with the `Content-Type` and `Content-Length` of it.
    Status,
    /// As `Status`, but the answer to a HEAD: only the fields speak of it.
    StatusUnsent,
}
use Content::{Exactly, Status, StatusUnsent};

type Field = (&'static str, &'static str);

/// A GET of the file of ten digits with these further fields.
macro_rules! get {
    ($fields:literal) => {
        concat!("GET /digits.txt HTTP/1.1\r\nHost: h\r\n", $fields, "\r\n\r\n")
    };
}

/// Pinned: nodes of different releases must agree on the entity tag of a file.
const TAG: Field = ("ETag", "\"16e5330425b9620d5acf6cd3dbb0693e\"");
const DATE: Field = ("Last-Modified", "Sun, 09 Sep 2001 01:46:40 GMT");
const RANGES: Field = ("Accept-Ranges", "bytes");
const PLAIN: Field = ("Content-Type", "text/plain; charset=utf-8");
const HTML: Field = ("Content-Type", "text/html; charset=utf-8");
const TEN: Field = ("Content-Length", "10");
const CLOSE: Field = ("Connection", "close");
const PAGE_TAG: Field = ("ETag", "\"9da2b6844332713b82615100a74c1557\"");
const EPOCH: Field = ("Last-Modified", "Thu, 01 Jan 1970 00:00:00 GMT");

fn files() -> MemFiles {
    MemFiles::new()
        .with("digits.txt", "0123456789", 1_000_000_000)
        .with("index.html", "<h1>", 0)
        .with("docs/index.html", "<h1>", 0)
        .with("docs/empty.bin", "", 1_000_000_000)
        .with("bare/file", "x", 0)
        .with("a b/é.txt", "0123456789", 1_000_000_000)
        .with(".git/config", "secret", 0)
}

const WHOLE: &[Field] = &[TAG, DATE, RANGES, PLAIN, TEN];
const PAGE: &[Field] = &[PAGE_TAG, EPOCH, RANGES, HTML, ("Content-Length", "4")];

fn cases() -> Vec<Case> {
    vec![
        // Methods
        ok("get_sends_the_file", "GET /digits.txt HTTP/1.1\r\nHost: h\r\n\r\n"),
        Case {
            name: "head_sends_the_same_fields_without_content",
            request: "HEAD /digits.txt HTTP/1.1\r\nHost: h\r\n\r\n",
            status: "200 OK",
            fields: WHOLE.to_vec(),
            content: Exactly(""),
            then: Stays,
        },
        Case {
            name: "head_of_nothing_has_no_content_either",
            request: "HEAD /none HTTP/1.1\r\nHost: h\r\n\r\n",
            status: "404 Not Found",
            fields: vec![],
            content: StatusUnsent,
            then: Stays,
        },
        Case {
            name: "a_refused_head_has_no_content_either",
            request: "HEAD / HTTP/1.1\r\n\r\n",
            status: "400 Bad Request",
            fields: vec![],
            content: StatusUnsent,
            then: Closes,
        },
        not_allowed("post_is_not_allowed", "POST / HTTP/1.1\r\nHost: h\r\n\r\n"),
        not_allowed("options_is_not_allowed", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"),
        not_allowed("connect_is_not_allowed", "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n"),
        not_allowed(
            "the_content_of_a_post_is_skipped",
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nGET /",
        ),
        status(
            "an_unknown_method_is_not_implemented",
            "BREW / HTTP/1.1\r\nHost: h\r\n\r\n",
            "501 Not Implemented",
            Stays,
        ),
        status(
            "methods_are_case_sensitive",
            "get / HTTP/1.1\r\nHost: h\r\n\r\n",
            "501 Not Implemented",
            Stays,
        ),
        // Targets
        page("the_root_is_its_index", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        page("a_directory_is_its_index", "GET /docs/ HTTP/1.1\r\nHost: h\r\n\r\n"),
        ok("the_query_does_not_matter", "GET /digits.txt?v=/../2 HTTP/1.1\r\nHost: h\r\n\r\n"),
        ok("absolute_form_is_accepted", "GET http://h/digits.txt HTTP/1.1\r\nHost: h\r\n\r\n"),
        ok("escapes_are_decoded", "GET /a%20b/%C3%A9.txt HTTP/1.1\r\nHost: h\r\n\r\n"),
        Case {
            name: "a_directory_without_its_slash_is_redirected",
            request: "GET /docs?x=1 HTTP/1.1\r\nHost: h\r\n\r\n",
            status: "301 Moved Permanently",
            fields: vec![("Location", "/docs/?x=1")],
            content: Status,
            then: Stays,
        },
        not_found("a_directory_is_never_listed", "GET /bare/ HTTP/1.1\r\nHost: h\r\n\r\n"),
        not_found("a_file_is_no_directory", "GET /digits.txt/ HTTP/1.1\r\nHost: h\r\n\r\n"),
        not_found("a_file_has_no_children", "GET /digits.txt/x HTTP/1.1\r\nHost: h\r\n\r\n"),
        not_found("hidden_files_do_not_exist", "GET /.git/config HTTP/1.1\r\nHost: h\r\n\r\n"),
        not_found("double_slashes_name_nothing", "GET //digits.txt HTTP/1.1\r\nHost: h\r\n\r\n"),
        status(
            "dot_segments_are_refused",
            "GET /docs/../digits.txt HTTP/1.1\r\nHost: h\r\n\r\n",
            "400 Bad Request",
            Stays,
        ),
        status(
            "encoded_dot_segments_are_refused",
            "GET /%2e%2e/etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n",
            "400 Bad Request",
            Stays,
        ),
        status(
            "encoded_slashes_are_refused",
            "GET /docs%2findex.html HTTP/1.1\r\nHost: h\r\n\r\n",
            "400 Bad Request",
            Stays,
        ),
        status(
            "nul_is_refused",
            "GET /digits.txt%00.html HTTP/1.1\r\nHost: h\r\n\r\n",
            "400 Bad Request",
            Stays,
        ),
        status(
            "bad_escapes_are_refused",
            "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n",
            "400 Bad Request",
            Stays,
        ),
        status(
            "other_schemes_are_refused",
            "GET ftp://h/x HTTP/1.1\r\nHost: h\r\n\r\n",
            "400 Bad Request",
            Stays,
        ),
        Case {
            name: "an_empty_file_is_a_file",
            request: "GET /docs/empty.bin HTTP/1.1\r\nHost: h\r\n\r\n",
            status: "200 OK",
            fields: vec![
                ("ETag", "\"9ddcabcca2183c5fec4827ee54e8eed6\""),
                DATE,
                RANGES,
                ("Content-Type", "application/octet-stream"),
                ("Content-Length", "0"),
            ],
            content: Exactly(""),
            then: Stays,
        },
        Case {
            name: "healthz_says_ok",
            request: "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
            status: "200 OK",
            fields: vec![("Cache-Control", "no-store"), PLAIN, ("Content-Length", "2")],
            content: Exactly("ok"),
            then: Stays,
        },
        // Versions and connections
        Case {
            name: "http_1_0_closes",
            request: "GET /digits.txt HTTP/1.0\r\n\r\n",
            status: "200 OK",
            fields: WHOLE.to_vec(),
            content: Exactly("0123456789"),
            then: Closes,
        },
        Case {
            name: "http_1_0_stays_if_asked",
            request: "GET /digits.txt HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
            status: "200 OK",
            fields: vec![TAG, DATE, RANGES, PLAIN, TEN, ("Connection", "keep-alive")],
            content: Exactly("0123456789"),
            then: Stays,
        },
        Case {
            name: "http_1_1_closes_if_asked",
            request: "GET /digits.txt HTTP/1.1\r\nHost: h\r\nConnection: x, CLOSE\r\n\r\n",
            status: "200 OK",
            fields: WHOLE.to_vec(),
            content: Exactly("0123456789"),
            then: Closes,
        },
        ok(
            "empty_lines_ahead_are_let_pass",
            "\r\n\n\r\nGET /digits.txt HTTP/1.1\r\nHost: h\r\n\r\n",
        ),
        ok("bare_line_feeds_end_lines", "GET /digits.txt HTTP/1.1\nHost: h\n\n"),
        refused(
            "http_2_is_not_supported",
            "PRI * HTTP/2.0\r\n\r\n",
            "505 HTTP Version Not Supported",
        ),
        refused(
            "http_1_2_is_not_supported",
            "GET / HTTP/1.2\r\nHost: h\r\n\r\n",
            "505 HTTP Version Not Supported",
        ),
        refused("http_0_9_is_refused", "GET /\r\n\r\n", "400 Bad Request"),
        refused("what_is_not_http_is_refused_at_once", "\x16\x03\x01\x02", "400 Bad Request"),
        // Fields and framing
        refused("a_host_is_needed", "GET / HTTP/1.1\r\n\r\n", "400 Bad Request"),
        refused(
            "two_hosts_are_refused",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "400 Bad Request",
        ),
        refused(
            "a_nonsense_host_is_refused",
            "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "400 Bad Request",
        ),
        ok("an_empty_host_is_a_host", "GET /digits.txt HTTP/1.1\r\nHost:\r\n\r\n"),
        refused(
            "space_before_a_colon_is_refused",
            "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
            "400 Bad Request",
        ),
        refused(
            "folded_fields_are_refused",
            "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n",
            "400 Bad Request",
        ),
        refused(
            "a_nul_in_a_field_is_refused",
            "GET / HTTP/1.1\r\nHost: h\r\nA: \0\r\n\r\n",
            "400 Bad Request",
        ),
        refused(
            "bare_carriage_returns_are_refused",
            "GET / HTTP/1.1\r\nHost: h\r\nA: b\rC: d\r\n\r\n",
            "400 Bad Request",
        ),
        refused(
            "two_lengths_are_refused",
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            "400 Bad Request",
        ),
        refused(
            "a_signed_length_is_refused",
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\nx",
            "400 Bad Request",
        ),
        refused(
            "too_much_content_is_refused",
            "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n",
            "413 Content Too Large",
        ),
        refused(
            "an_absurd_length_is_refused",
            "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "413 Content Too Large",
        ),
        refused(
            "chunked_content_needs_a_length",
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "411 Length Required",
        ),
        refused(
            "other_transfer_codings_are_not_implemented",
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "501 Not Implemented",
        ),
        refused(
            "a_length_beside_a_coding_is_refused",
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            "400 Bad Request",
        ),
        refused(
            "a_coding_in_http_1_0_is_refused",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "400 Bad Request",
        ),
        Case {
            name: "who_waits_for_a_continue_gets_the_answer_instead",
            request: "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nExpect: 100-Continue\r\n\r\n",
            status: "405 Method Not Allowed",
            fields: vec![("Allow", "GET, HEAD")],
            content: Status,
            then: Closes,
        },
        ok(
            "a_continue_without_content_means_nothing",
            "GET /digits.txt HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n",
        ),
        refused(
            "other_expectations_fail",
            "GET / HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\n\r\n",
            "417 Expectation Failed",
        ),
        // Conditions
        not_modified(
            "if_none_match_of_this_version",
            get!("If-None-Match: \"16e5330425b9620d5acf6cd3dbb0693e\""),
        ),
        not_modified(
            "if_none_match_compares_weakly",
            get!("If-None-Match: \"x\", W/\"16e5330425b9620d5acf6cd3dbb0693e\""),
        ),
        not_modified(
            "if_none_match_of_anything_in_any_line",
            get!("If-None-Match: \"x\"\r\nIf-None-Match: *"),
        ),
        not_modified(
            "if_modified_since_this_version",
            get!("If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT"),
        ),
        ok(
            "if_modified_since_an_earlier_version",
            get!("If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT"),
        ),
        ok("if_modified_since_no_date", get!("If-Modified-Since: lately")),
        ok(
            "if_none_match_outranks_if_modified_since",
            get!("If-None-Match: \"x\"\r\nIf-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT"),
        ),
        ok("if_match_of_this_version", get!("If-Match: \"16e5330425b9620d5acf6cd3dbb0693e\"")),
        failed("if_match_of_another_version", get!("If-Match: \"x\"")),
        failed(
            "if_match_compares_strongly",
            get!("If-Match: W/\"16e5330425b9620d5acf6cd3dbb0693e\""),
        ),
        failed(
            "if_unmodified_since_before",
            get!("If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT"),
        ),
        ok(
            "if_unmodified_since_this_version",
            get!("If-Unmodified-Since: Sun, 09 Sep 2001 01:46:40 GMT"),
        ),
        // Ranges
        part("a_range_has_both_ends", get!("Range: bytes=2-4"), "bytes 2-4/10", "3", "234"),
        part("a_range_may_lack_its_end", get!("Range: bytes=7-"), "bytes 7-9/10", "3", "789"),
        part("a_range_may_count_from_the_end", get!("Range: bytes=-1"), "bytes 9-9/10", "1", "9"),
        part(
            "a_range_ends_with_the_file",
            get!("Range: bytes=0-99"),
            "bytes 0-9/10",
            "10",
            "0123456789",
        ),
        part(
            "a_range_of_this_version",
            get!("Range: bytes=0-0\r\nIf-Range: \"16e5330425b9620d5acf6cd3dbb0693e\""),
            "bytes 0-0/10",
            "1",
            "0",
        ),
        ok("another_version_has_no_range", get!("Range: bytes=0-0\r\nIf-Range: \"x\"")),
        ok(
            "a_weak_tag_joins_no_parts",
            get!("Range: bytes=0-0\r\nIf-Range: W/\"16e5330425b9620d5acf6cd3dbb0693e\""),
        ),
        ok(
            "a_date_joins_no_parts",
            get!("Range: bytes=0-0\r\nIf-Range: Sun, 09 Sep 2001 01:46:40 GMT"),
        ),
        ok("several_ranges_are_ignored", get!("Range: bytes=0-1,4-5")),
        ok("several_range_fields_are_ignored", get!("Range: bytes=0-1\r\nRange: bytes=4-5")),
        ok("a_malformed_range_is_ignored", get!("Range: bytes=4-1")),
        Case {
            name: "a_range_beyond_the_end_says_where_the_end_is",
            request: get!("Range: bytes=10-"),
            status: "416 Range Not Satisfiable",
            fields: vec![("Content-Range", "bytes */10")],
            content: Status,
            then: Stays,
        },
        Case {
            name: "head_ignores_ranges",
            request: "HEAD /digits.txt HTTP/1.1\r\nHost: h\r\nRange: bytes=0-0\r\n\r\n",
            status: "200 OK",
            fields: WHOLE.to_vec(),
            content: Exactly(""),
            then: Stays,
        },
    ]
}

fn ok(name: &'static str, request: &'static str) -> Case {
    let content = Exactly("0123456789");
    Case { name, request, status: "200 OK", fields: WHOLE.to_vec(), content, then: Stays }
}

fn page(name: &'static str, request: &'static str) -> Case {
    Case {
        name,
        request,
        status: "200 OK",
        fields: PAGE.to_vec(),
        content: Exactly("<h1>"),
        then: Stays,
    }
}

fn status(name: &'static str, request: &'static str, status: &'static str, then: Then) -> Case {
    Case { name, request, status, fields: vec![], content: Status, then }
}

fn refused(name: &'static str, request: &'static str, line: &'static str) -> Case {
    status(name, request, line, Closes)
}

fn not_found(name: &'static str, request: &'static str) -> Case {
    status(name, request, "404 Not Found", Stays)
}

fn not_allowed(name: &'static str, request: &'static str) -> Case {
    let fields = vec![("Allow", "GET, HEAD")];
    Case { name, request, status: "405 Method Not Allowed", fields, content: Status, then: Stays }
}

fn not_modified(name: &'static str, request: &'static str) -> Case {
    let (fields, content) = (vec![TAG, DATE], Exactly(""));
    Case { name, request, status: "304 Not Modified", fields, content, then: Stays }
}

fn failed(name: &'static str, request: &'static str) -> Case {
    status(name, request, "412 Precondition Failed", Stays)
}

fn part(
    name: &'static str,
    request: &'static str,
    range: &'static str,
    length: &'static str,
    content: &'static str,
) -> Case {
    let length = ("Content-Length", length);
    let fields = vec![TAG, DATE, RANGES, PLAIN, length, ("Content-Range", range)];
    let content = Exactly(content);
    Case { name, request, status: "206 Partial Content", fields, content, then: Stays }
}

impl Case {
    /// The bytes of the answer, and whether the connection is closed after it.
    fn expected(&self) -> (String, bool) {
        let line = format!("{}\n", self.status);
        let length = line.len().to_string();
        let status = [PLAIN, ("Content-Length", length.as_str())];
        let (spoken, content): (&[(&str, &str)], &str) = match self.content {
            Exactly(content) => (&[], content),
            Status => (&status, &line),
            StatusUnsent => (&status, ""),
        };
        let (connection, fields): (Vec<Field>, Vec<Field>) =
            self.fields.iter().copied().partition(|field| field.0 == "Connection");
        let mut head = format!("HTTP/1.1 {}\r\nServer: locum\r\n", self.status);
        let implied = (self.then == Closes).then_some(CLOSE);
        let connection = connection.first().copied().or(implied);
        for (name, value) in fields.iter().chain(spoken).copied().chain(connection) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        (format!("{head}\r\n{content}"), self.then == Closes)
    }
}

#[test]
fn every_request_gets_its_exact_answer() {
    for case in cases() {
        let mut bench = Bench::new(Http::new(files()));
        let flow = bench.open();
        bench.data(flow, case.request.as_bytes());
        let record = bench.record(flow);
        let answer = String::from_utf8(record.sent.clone()).unwrap();
        assert_eq!((answer, record.closed), case.expected(), "{}", case.name);
        assert!(!record.aborted && !record.paused, "{}", case.name);
    }
}

#[test]
fn a_connection_that_stays_answers_all_requests_in_order() {
    let mut bench = Bench::new(Http::new(files()));
    let flow = bench.open();
    for case in cases().iter().filter(|case| case.then == Stays) {
        let before = bench.record(flow).sent.len();
        bench.data(flow, case.request.as_bytes());
        bench.drain(flow);
        let answer = String::from_utf8_lossy(&bench.record(flow).sent[before..]).into_owned();
        assert_eq!((answer, bench.record(flow).closed), case.expected(), "{}", case.name);
    }
}

#[test]
fn no_two_cases_have_the_same_name() {
    let mut names: Vec<&str> = cases().iter().map(|case| case.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
}
