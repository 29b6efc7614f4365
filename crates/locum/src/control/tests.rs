use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::status::sample;

/// A node's socket in a directory of its own.
struct Place {
    _directory: TempDir,
    socket: PathBuf,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("node1.sock");
        Place { _directory: directory, socket }
    }

    fn serve(&self) -> ControlHandle {
        ControlServer::bind(&self.socket).unwrap().serve(answer).unwrap()
    }

    /// Sends `bytes` and reads one line.
    fn line(&self, bytes: &[u8]) -> String {
        let stream = UnixStream::connect(&self.socket).unwrap();
        (&stream).write_all(bytes).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    }
}

/// A node that hands over to anyone but node 9.
fn answer(request: Request) -> Reply {
    match request {
        Request::Status => Reply::Status(Box::new(sample())),
        Request::Handover { to: Some(9) } => Reply::Refused("node 9 is not alive".into()),
        Request::Handover { to } => Reply::Done(format!("handing over to {to:?}")),
    }
}

#[test]
fn requests_and_replies_are_the_lines_of_the_protocol() {
    let place = Place::new();
    let _node = place.serve();
    let line = place.line(b"{\"cmd\":\"handover\",\"to\":2}\n");
    assert_eq!(line, "{\"ok\":true,\"done\":\"handing over to Some(2)\"}\n");
    let line = place.line(b"{\"cmd\":\"handover\"}\r\n");
    assert_eq!(line, "{\"ok\":true,\"done\":\"handing over to None\"}\n");
    let line = place.line(b"{\"cmd\":\"handover\",\"to\":9}\n");
    assert_eq!(line, "{\"ok\":false,\"error\":\"node 9 is not alive\"}\n");
    assert!(place.line(b"{\"cmd\":\"status\"}\n").starts_with("{\"ok\":true,\"status\":{"));
}

#[test]
fn what_is_no_request_is_refused_and_the_client_may_go_on() {
    let place = Place::new();
    let _node = place.serve();
    for wrong in
        ["", "{}", "{\"cmd\":\"reboot\"}", "{\"cmd\":\"handover\",\"too\":2}", "\u{0}\u{ff}"]
    {
        let mut stream = UnixStream::connect(&place.socket).unwrap();
        stream.write_all(format!("{wrong}\n{{\"cmd\":\"handover\"}}\n").as_bytes()).unwrap();
        let mut lines = BufReader::new(stream).lines();
        let refusal = lines.next().unwrap().unwrap();
        assert!(
            refusal.starts_with("{\"ok\":false,\"error\":\"not a request"),
            "{wrong}: {refusal}"
        );
        assert!(lines.next().unwrap().unwrap().starts_with("{\"ok\":true"), "{wrong}");
    }
}

impl Place {
    /// Sends `bytes` in two pieces, and reads until the node hangs up.
    fn page(&self, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        stream.write_all(first).unwrap();
        // Its answer shows that the node has come round.
        self.line(b"{\"cmd\":\"handover\"}\n");
        stream.write_all(rest).unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    }
}

#[test]
fn metrics_are_had_by_http() {
    let place = Place::new();
    let _node = place.serve();
    let page = place.page(b"GET /metrics HTTP/1.1\r\nHost: node1\r\nAccept: */*\r\n\r\n");
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    assert_eq!(body, crate::status::metrics::render(&sample()));
}

#[test]
fn by_http_nothing_else_is_had() {
    let place = Place::new();
    let _node = place.serve();
    for wrong in ["/", "/metrics/", "/handover", ""] {
        let page = place.page(format!("GET {wrong} HTTP/1.1\r\n\r\n").as_bytes());
        assert!(page.starts_with("HTTP/1.1 404 Not Found\r\n"), "{wrong}: {page}");
    }
    let line = place.line(b"POST /metrics HTTP/1.1\r\n\r\n");
    assert!(line.starts_with("{\"ok\":false"), "{line}");
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(REQUEST_LEN_MAX));
    let mut stream = UnixStream::connect(&place.socket).unwrap();
    stream.write_all(&long.as_bytes()[..=REQUEST_LEN_MAX]).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 431 "), "{page}");
}

#[test]
fn a_request_that_never_ends_costs_no_more_than_a_line() {
    let place = Place::new();
    let _node = place.serve();
    let mut stream = UnixStream::connect(&place.socket).unwrap();
    stream.write_all(&[b'x'; REQUEST_LEN_MAX + 1]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(
        answer,
        "{\"ok\":false,\"error\":\"a request is one line of at most 1024 bytes\"}\n"
    );
}

#[test]
fn a_request_may_come_in_pieces_beside_other_clients() {
    let place = Place::new();
    let _node = place.serve();
    let mut slow = UnixStream::connect(&place.socket).unwrap();
    slow.write_all(b"{\"cmd\":").unwrap();
    assert_eq!(Client::connect(&place.socket).unwrap().status().unwrap(), sample());
    slow.write_all(b"\"handover\"}\n").unwrap();
    let mut line = String::new();
    BufReader::new(slow).read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"ok\":true"), "{line}");
}

#[test]
fn one_client_too_many_is_told_so_and_a_place_becomes_free_again() {
    let place = Place::new();
    let _node = place.serve();
    let connect = || {
        let mut client = Client::connect(&place.socket).unwrap();
        client.status().map(|_| client)
    };
    let mut clients: Vec<Client> = (0..CLIENTS_MAX).map(|_| connect().unwrap()).collect();
    let error = connect().err().unwrap();
    assert!(matches!(&error, ClientError::Refused(why) if why.contains("6 clients")), "{error}");
    clients.pop();
    // The node learns of the free place when it comes round to it.
    assert!((0..1000).any(|_| connect().is_ok()));
}

#[test]
fn the_client_hears_the_status_and_the_refusal() {
    let place = Place::new();
    let _node = place.serve();
    let mut client = Client::connect(&place.socket).unwrap();
    assert_eq!(client.status().unwrap(), sample());
    assert_eq!(client.handover(Some(2)).unwrap(), "handing over to Some(2)");
    let error = client.handover(Some(9)).unwrap_err();
    assert_eq!(error.to_string(), "node 9 is not alive");
}

#[test]
fn a_client_sees_the_node_go_away() {
    let place = Place::new();
    let node = place.serve();
    let mut client = Client::connect(&place.socket).unwrap();
    client.status().unwrap();
    client.wait(std::time::Duration::from_millis(1)).unwrap();
    drop(node);
    let error = client.wait(std::time::Duration::from_secs(60)).unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    assert!(!place.socket.exists());
    let error = Client::connect(&place.socket).unwrap_err();
    assert!(error.to_string().contains("is it running"), "{error}");
}

#[test]
fn somebody_else_behind_the_socket_is_no_node() {
    let place = Place::new();
    let listener = UnixListener::bind(&place.socket).unwrap();
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"220 mail.example.org ESMTP\n").unwrap();
    });
    let error = Client::connect(&place.socket).unwrap().status().unwrap_err();
    assert!(matches!(error, ClientError::Garbled { .. }), "{error}");
    other.join().unwrap();
}

#[test]
fn owner_and_group_may_talk_to_the_socket_and_nobody_else() {
    let place = Place::new();
    let _node = place.serve();
    let mode = std::fs::metadata(&place.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[test]
fn the_last_directory_of_the_path_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("locum/node1.sock");
    let server = ControlServer::bind(&socket).unwrap();
    assert!(socket.exists());
    drop(server);
    assert!(!socket.exists());
    assert!(ControlServer::bind(&directory.path().join("a/b/node1.sock")).is_err());
}

#[test]
fn a_socket_left_behind_is_replaced_and_one_in_use_is_not() {
    let place = Place::new();
    drop(UnixListener::bind(&place.socket).unwrap());
    assert!(place.socket.exists(), "a listener does not remove its socket");
    let _node = place.serve();
    let error = ControlServer::bind(&place.socket).unwrap_err();
    assert!(matches!(error, BindError::InUse { .. }), "{error}");
    Client::connect(&place.socket).unwrap().status().unwrap();
}

#[test]
fn a_file_is_never_replaced() {
    let place = Place::new();
    std::fs::write(&place.socket, "precious").unwrap();
    let error = ControlServer::bind(&place.socket).unwrap_err();
    assert!(matches!(error, BindError::NotASocket { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(&place.socket).unwrap(), "precious");
}

#[test]
fn a_node_does_not_remove_the_socket_of_its_successor() {
    let place = Place::new();
    let old = ControlServer::bind(&place.socket).unwrap();
    std::fs::remove_file(&place.socket).unwrap();
    let _new = place.serve();
    drop(old);
    Client::connect(&place.socket).unwrap().status().unwrap();
}
