//! A program that asks on one TCP connection, and makes another when it is lost.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use locum_lab::SERVICE_V4;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use super::{Conversation, Record, nanoseconds};
use crate::netns::ECHO_PORT;

/// Length of a request and of its echo, in bytes.
const REQUEST: usize = 64;

/// A request that saw no answer for this long is given up, and the connection with it.
const PATIENCE: Duration = Duration::from_secs(3);

/// The connection.
pub(super) struct Stream(State);

enum State {
    Closed,
    Connecting(TcpStream),
    Open { stream: TcpStream, pending: Option<Pending> },
}

/// The request that awaits its echo.
struct Pending {
    sequence: u64,
    sent_at: u64,
    /// How much of the echo has come.
    got: usize,
}

impl Stream {
    pub(super) fn new() -> Stream {
        Stream(State::Closed)
    }

    /// The kernel has finished what it was asked to do with a new connection.
    fn connected(stream: TcpStream) -> Result<State, TcpStream> {
        match stream.take_error() {
            Ok(None) if stream.peer_addr().is_ok() => Ok(State::Open { stream, pending: None }),
            Ok(None) => Ok(State::Connecting(stream)),
            Ok(Some(_)) | Err(_) => Err(stream),
        }
    }
}

fn open() -> Result<TcpStream, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    match connect(&socket, &SocketAddrV4::new(SERVICE_V4, ECHO_PORT)) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error),
    }
    let stream = TcpStream::from(socket);
    // A delayed request would only measure the delay.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// What a look into the connection found.
enum Heard {
    Nothing,
    Bytes(usize),
    End,
}

fn read(stream: &mut TcpStream) -> Heard {
    let mut buffer = [0; 4 * REQUEST];
    match stream.read(&mut buffer) {
        Ok(0) => Heard::End,
        Ok(len) => Heard::Bytes(len),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Heard::Nothing,
        Err(_) => Heard::End,
    }
}

impl Conversation for Stream {
    fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match &self.0 {
            State::Closed => None,
            State::Connecting(stream) => Some((stream.as_fd(), PollFlags::OUT)),
            State::Open { stream, .. } => Some((stream.as_fd(), PollFlags::IN)),
        }
    }

    fn hear(&mut self, now: u64, record: &mut Record) {
        self.0 = match std::mem::replace(&mut self.0, State::Closed) {
            State::Closed => State::Closed,
            State::Connecting(stream) => Stream::connected(stream).unwrap_or_else(|_| {
                record.connections_lost.push(now);
                State::Closed
            }),
            State::Open { mut stream, mut pending } => loop {
                match read(&mut stream) {
                    Heard::Nothing => break State::Open { stream, pending },
                    Heard::Bytes(len) => {
                        pending = pending.and_then(|pending| pending.heard(len, now, record));
                    }
                    Heard::End => {
                        record.connections_lost.push(now);
                        break State::Closed;
                    }
                }
            },
        };
    }

    fn ask(&mut self, now: u64, record: &mut Record) {
        self.0 = match std::mem::replace(&mut self.0, State::Closed) {
            // A kernel without a route has nothing to lose: again at the next turn.
            State::Closed => open().map_or(State::Closed, State::Connecting),
            State::Open { stream, pending: Some(pending) }
                if now - pending.sent_at > nanoseconds(PATIENCE) =>
            {
                // The peer, if it lives, learns that nobody listens any more.
                let _ = set_socket_linger(&stream, Some(Duration::ZERO));
                record.connections_lost.push(now);
                State::Closed
            }
            State::Open { mut stream, pending: None } => {
                let sequence = record.note_request(now);
                let mut request = [0; REQUEST];
                request[..8].copy_from_slice(&sequence.to_be_bytes());
                // What cannot be written is lost with the connection, which the next look will tell.
                let _ = stream.write_all(&request);
                State::Open { stream, pending: Some(Pending { sequence, sent_at: now, got: 0 }) }
            }
            unchanged @ (State::Connecting(_) | State::Open { .. }) => unchanged,
        };
    }
}

impl Pending {
    /// What is left to wait for after `len` bytes of the echo.
    fn heard(mut self, len: usize, now: u64, record: &mut Record) -> Option<Pending> {
        self.got += len;
        if self.got < REQUEST {
            return Some(self);
        }
        record.note_answer(now, self.sequence);
        None
    }
}
