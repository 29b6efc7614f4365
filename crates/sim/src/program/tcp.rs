//! A program that talks to a service over one connection at a time: to an echo service, and it knows every byte
//! of both streams; or to `kv`, and it keeps what it was told.

use std::collections::VecDeque;
use std::time::Duration;

use locum_types::Instant;
use smoltcp::iface::Interface;
use smoltcp::socket::tcp;
use smoltcp::wire::IpEndpoint;

use super::dialect::Dialect;
use super::kv::{Asked, Keys};
use crate::record::{Loss, LossKind, Record};

/// A SYN that saw no answer for this long is given up.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);
/// Spreads the numbers of connections over the pattern of bytes.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// How a TCP program talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpHabits {
    /// Bytes of a request, and of its echo.
    pub request: usize,
    /// Requests that may be without an answer at once.
    pub pipeline: usize,
    /// Bytes of each of its two buffers; above 65 535 its window is scaled (RFC 7323 §2).
    pub buffer: usize,
    /// A connection on which nothing is answered for this long is given up.
    pub patience: Duration,
    /// How often it asks whether the server lives, when it has nothing else to say.
    pub keep_alive: Option<Duration>,
    /// After so many requests it closes its side, hears the rest, and connects anew; `None`: never.
    pub requests_max: Option<u32>,
    /// What its SYNs offer.
    pub dialect: Dialect,
}

impl Default for TcpHabits {
    /// 64 bytes at a time, buffers of 4 KiB, a patience of 3 s.
    fn default() -> Self {
        TcpHabits {
            request: 64,
            pipeline: 1,
            buffer: 4096,
            patience: Duration::from_secs(3),
            keep_alive: None,
            requests_max: None,
            dialect: Dialect::default(),
        }
    }
}

impl TcpHabits {
    pub(super) fn socket(&self) -> tcp::Socket<'static> {
        let buffer = || tcp::SocketBuffer::new(vec![0; self.buffer]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        socket.set_keep_alive(self.keep_alive.map(Into::into));
        socket
    }
}

/// Room that a command of `kv` and its answer take at most, values that grew included.
const COMMAND_MAX: usize = 128;

/// What smoltcp's keep-alives consist of.
const KEEP_ALIVE: u8 = 0;

/// The program, and its connection.
pub(super) struct TcpClient {
    habits: TcpHabits,
    local_port: u16,
    connection: Option<Connection>,
    /// Of a client of `kv`.
    keys: Option<Keys>,
}

/// One connection, from SYN on.
#[derive(Debug)]
struct Connection {
    /// Tells its bytes from those of others.
    salt: u64,
    /// When something was last sent that is to be answered, or an answer came.
    moved_at: Instant,
    opened_at: Option<Instant>,
    keeps_alive: bool,
    /// Requests that await their echo, and where in the stream each ends.
    pending: VecDeque<(u64, u64)>,
    requests: u32,
    /// Bytes; commands and answers of `kv`.
    sent: u64,
    heard: u64,
    /// Its side is closed.
    closing: bool,
    /// What came was no answer at all: nothing that comes after it means anything.
    garbled: bool,
}

impl Connection {
    /// The byte at a position of its streams, which are the same both ways.
    fn byte(&self, position: u64) -> u8 {
        ((position ^ self.salt).wrapping_mul(SPREAD) >> 56) as u8
    }

    fn is_complete(&self) -> bool {
        self.closing && self.heard == self.sent
    }
}

impl TcpClient {
    pub(super) fn new(habits: TcpHabits, local_port: u16, keys: Option<Keys>) -> Self {
        TcpClient { habits, local_port, connection: None, keys }
    }

    /// What was asked of `kv`, on all connections.
    pub(super) fn asked(&self) -> &[Asked] {
        self.keys.as_ref().map_or(&[], Keys::history)
    }

    /// Words an IP packet, if it is of this connection.
    pub(super) fn word(&self, packet: &mut [u8]) {
        self.habits.dialect.word(self.local_port, self.habits.buffer, packet);
    }

    /// Takes what has come, and sees what became of the connection.
    pub(super) fn hear(
        &mut self,
        now: Instant,
        socket: &mut tcp::Socket<'static>,
        record: &mut Record,
    ) {
        let Some(connection) = &mut self.connection else { return };
        if connection.opened_at.is_none() && socket.may_send() {
            connection.opened_at = Some(now);
            record.connection_opened(now);
        }
        while let Ok(len) = socket.recv(|bytes| {
            connection.check(now, bytes, self.keys.as_mut(), record);
            (bytes.len(), bytes.len())
        }) {
            if len == 0 {
                break;
            }
        }
        if connection.garbled {
            self.connection = None;
            socket.abort();
            return;
        }
        // The echo service closes when its client has, and after it has said everything.
        let ended = !socket.is_active() || !socket.may_recv() && socket.may_send();
        let done = ended || connection.closing && !socket.may_recv();
        if !done {
            return;
        }
        if !connection.is_complete() {
            let opened_at = connection.opened_at;
            let (port, how) = (self.local_port, LossKind::Ended);
            record.lost(Loss { port, opened_at, at: now, how });
        }
        self.connection = None;
        // Whoever waited in TIME-WAIT would have to wait with the next connection.
        socket.abort();
    }

    /// Sends the next request, if it is the time for one; connects first, if there is no connection.
    pub(super) fn send(
        &mut self,
        now: Instant,
        socket: &mut tcp::Socket<'static>,
        interface: &mut Interface,
        remote: IpEndpoint,
        record: &mut Record,
    ) {
        let Some(connection) = &mut self.connection else {
            if !socket.is_open() {
                self.connect(now, socket, interface, remote);
            }
            return;
        };
        let (patience, waits) = match connection.opened_at {
            None => (CONNECT_PATIENCE, true),
            Some(_) => (self.habits.patience, !connection.pending.is_empty() || connection.closing),
        };
        if waits && now - connection.moved_at > patience {
            let opened_at = connection.opened_at;
            let (port, how) = (self.local_port, LossKind::GivenUp);
            record.lost(Loss { port, opened_at, at: now, how });
            self.connection = None;
            socket.abort();
            return;
        }
        let len = if self.keys.is_some() { COMMAND_MAX } else { self.habits.request };
        let room = socket.send_capacity() - socket.send_queue() >= len;
        let open = socket.can_send() && !connection.closing;
        if !open || !room || connection.pending.len() >= self.habits.pipeline {
            return;
        }
        match &mut self.keys {
            None => connection.request(now, socket, self.habits.request, record),
            Some(keys) => connection.command(now, socket, keys, record),
        }
        if self.habits.requests_max.is_some_and(|max| connection.requests >= max) {
            connection.closing = true;
            socket.close();
        }
    }

    fn connect(
        &mut self,
        now: Instant,
        socket: &mut tcp::Socket<'static>,
        interface: &mut Interface,
        remote: IpEndpoint,
    ) {
        self.local_port = self.local_port.checked_add(1).unwrap_or(49_152);
        if socket.connect(interface.context(), remote, self.local_port).is_ok() {
            self.keys.iter_mut().for_each(Keys::connected);
            self.connection = Some(Connection {
                salt: u64::from(self.local_port).wrapping_mul(SPREAD),
                moved_at: now,
                opened_at: None,
                keeps_alive: self.habits.keep_alive.is_some(),
                pending: VecDeque::new(),
                requests: 0,
                sent: 0,
                heard: 0,
                closing: false,
                garbled: false,
            });
        }
    }
}

impl Connection {
    /// Compares what came with what was sent.
    fn check(&mut self, now: Instant, bytes: &[u8], keys: Option<&mut Keys>, record: &mut Record) {
        if bytes.is_empty() {
            return;
        }
        match keys {
            None => self.check_echo(now, bytes, record),
            Some(keys) => match keys.hear(now, bytes) {
                Ok(answers) => self.heard += answers,
                Err(what) => {
                    record.garble(now, self.opened_at.unwrap_or(now), what);
                    self.garbled = true;
                }
            },
        }
        while let Some(&(sequence, end)) =
            self.pending.front().filter(|(_, end)| *end <= self.heard)
        {
            debug_assert!(end <= self.sent, "requests end where they were sent");
            record.answered(now, Some(sequence));
            self.pending.pop_front();
        }
        self.moved_at = now;
    }

    fn check_echo(&mut self, now: Instant, bytes: &[u8], record: &mut Record) {
        for &byte in bytes {
            if self.heard >= self.sent {
                record.corrupt(now, format!("a byte was invented after {}", self.sent));
                break;
            }
            if byte == KEEP_ALIVE && self.keeps_alive && byte != self.byte(self.heard) {
                record.garble(
                    now,
                    self.opened_at.unwrap_or(now),
                    "a keep-alive was taken for data".into(),
                );
            } else if byte != self.byte(self.heard) {
                record.corrupt(now, format!("byte {} is another one", self.heard));
                break;
            }
            self.heard += 1;
        }
    }

    /// Asks `kv` for the next thing.
    fn command(
        &mut self,
        now: Instant,
        socket: &mut tcp::Socket<'static>,
        keys: &mut Keys,
        record: &mut Record,
    ) {
        // There is room for all of it.
        let Ok(_) = socket.send_slice(&keys.ask(now)) else { return };
        self.sent_something(now, 1, record);
    }

    fn request(
        &mut self,
        now: Instant,
        socket: &mut tcp::Socket<'static>,
        len: usize,
        record: &mut Record,
    ) {
        let bytes: Vec<u8> = (self.sent..self.sent + len as u64).map(|at| self.byte(at)).collect();
        // There is room for all of it.
        let Ok(written) = socket.send_slice(&bytes) else { return };
        self.sent_something(now, written as u64, record);
    }

    fn sent_something(&mut self, now: Instant, amount: u64, record: &mut Record) {
        if self.pending.is_empty() {
            self.moved_at = now;
        }
        self.requests += 1;
        self.sent += amount;
        let sequence = record.sent(now);
        self.pending.push_back((sequence, self.sent));
    }
}
