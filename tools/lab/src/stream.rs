//! A client that must not notice: TCP connections to an echo service that write records at a fixed rate,
//! check every byte that comes back, and are never opened again.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::process::{Resource, getrlimit, setpriority_process, setrlimit};
use rustix::thread::gettid;

use crate::netns::Namespace;
use crate::wait;

/// Bytes of a record.
pub const RECORD: usize = 64;

/// After the last record, answers are awaited this long.
const LAST_ANSWER: Duration = Duration::from_secs(5);

/// The longest time in which the loop does not look up.
const LOOK_UP: Duration = Duration::from_millis(20);

/// What the connections do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many connections there are.
    pub connections: usize,
    /// The time between two records, over all connections: they take turns.
    pub period: Duration,
}

/// Running connections.
#[derive(Debug)]
pub struct StreamClient {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    lost: Arc<AtomicUsize>,
    thread: JoinHandle<(Vec<Connection>, Duration)>,
    load: Load,
}

/// One connection, and what it saw.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    index: usize,
    /// When each record was written that has not come back.
    open: VecDeque<Instant>,
    written: usize,
    unwritten: Vec<u8>,
    received: usize,
    /// Each record that came back: when it was written, and when all of it was here.
    pub answers: Vec<(Instant, Instant)>,
    /// Why the connection ended, if it did, or what was wrong with the bytes.
    pub failure: Option<String>,
}

/// What all connections saw.
#[derive(Debug)]
pub struct StreamRecord {
    /// The connections in the order in which they were opened.
    pub connections: Vec<Connection>,
    /// What they did.
    pub load: Load,
    /// The longest time by which the client itself was late to look up, on a machine that was busy elsewhere.
    pub late: Duration,
}

impl StreamClient {
    /// Opens connections to `target` from `namespace`, one after the other, and starts to write.
    ///
    /// # Errors
    /// When a connection cannot be opened.
    pub fn start(namespace: &Namespace, target: SocketAddr, load: Load) -> Result<StreamClient> {
        allow_files(load.connections)?;
        let connections = namespace
            .run(|| (0..load.connections).map(|index| Connection::open(index, target)).collect());
        let connections: Vec<Connection> = connections?;
        let poller = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for connection in &connections {
            let data = epoll::EventData::new_u64(connection.index as u64);
            epoll::add(&poller, &connection.stream, data, epoll::EventFlags::IN)?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let answers = Arc::new(AtomicUsize::new(0));
        let lost = Arc::new(AtomicUsize::new(0));
        let thread = thread::Builder::new().name("streams".into()).spawn({
            let (stop, answers, lost) =
                (Arc::clone(&stop), Arc::clone(&answers), Arc::clone(&lost));
            move || run(connections, &poller, load.period, &stop, (&answers, &lost))
        })?;
        Ok(StreamClient { stop, answers, lost, thread, load })
    }

    /// Waits for `count` more records to come back.
    ///
    /// # Errors
    /// When they do not within `timeout`, or no connection is left.
    pub fn wait_for_answers(&self, count: usize, timeout: Duration) -> Result<()> {
        let before = self.answers.load(Ordering::Relaxed);
        wait::until(&format!("{count} records"), timeout, || {
            let came = self.answers.load(Ordering::Relaxed) - before;
            let all_lost = self.lost() == self.load.connections;
            if came >= count || all_lost { Ok(()) } else { Err(format!("{came} came")) }
        })?;
        let lost = self.lost();
        ensure!(lost < self.load.connections, "every connection was lost");
        Ok(())
    }

    /// How many connections were lost so far.
    pub fn lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }

    /// Stops writing, waits for what is under way, and returns the record.
    ///
    /// # Errors
    /// When its thread has panicked.
    pub fn stop(self) -> Result<StreamRecord> {
        self.stop.store(true, Ordering::Relaxed);
        let record = self.thread.join().map_err(|_| anyhow!("the stream client panicked"))?;
        let (connections, late) = record;
        Ok(StreamRecord { connections, load: self.load, late })
    }
}

/// Lets this process have a descriptor for every connection.
fn allow_files(connections: usize) -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = connections as u64 + 256;
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        setrlimit(Resource::Nofile, limit).with_context(|| format!("{wanted} open files"))?;
    }
    Ok(())
}

/// Writes and reads until told to stop and everything has come back; says by how much it was late to look up, at worst.
fn run(
    mut connections: Vec<Connection>,
    poller: &OwnedFd,
    period: Duration,
    stop: &AtomicBool,
    (answers, lost): (&AtomicUsize, &AtomicUsize),
) -> (Vec<Connection>, Duration) {
    // Without the permission it measures as well, but notices less well on a busy machine.
    let _ = setpriority_process(Some(gettid()), -20);
    let mut events = Vec::with_capacity(1024);
    let mut due = Instant::now();
    let mut turn = 0;
    let mut end = None;
    let (mut looked, mut late) = (due, Duration::ZERO);
    loop {
        let now = Instant::now();
        late = late.max(now.duration_since(looked).saturating_sub(LOOK_UP));
        looked = now;
        if end.is_none() && stop.load(Ordering::Relaxed) {
            end = Some(now + LAST_ANSWER);
        }
        if end.is_none() && now >= due {
            let index = turn % connections.len();
            connections[index].write_record(now);
            turn += 1;
            due += period;
        }
        let is_done = || connections.iter().all(Connection::is_quiet);
        if end.is_some_and(|end| now >= end || is_done()) {
            return (connections, late);
        }
        let until = if end.is_none() { due } else { now + LOOK_UP };
        let patience = until.saturating_duration_since(now).min(LOOK_UP);
        let patience = Timespec { tv_sec: 0, tv_nsec: i64::from(patience.subsec_nanos()) };
        events.clear();
        // Interrupted: it comes round again.
        let _ = epoll::wait(poller, spare_capacity(&mut events), Some(&patience));
        let now = Instant::now();
        for event in &events {
            let connection = &mut connections[event.data.u64() as usize];
            answers.fetch_add(connection.read(now), Ordering::Relaxed);
            if connection.failure.is_some() {
                // It would be reported again and again. It is there, so this does not fail.
                let _ = epoll::delete(poller, &connection.stream);
                lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Connection {
    fn open(index: usize, target: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect_timeout(&target, Duration::from_secs(5));
        let stream = stream.with_context(|| format!("connection {index} to {target}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Connection {
            stream,
            index,
            open: VecDeque::new(),
            written: 0,
            unwritten: Vec::new(),
            received: 0,
            answers: Vec::new(),
            failure: None,
        })
    }

    /// The byte at a place of the stream; every connection has its own.
    fn byte(&self, at: usize) -> u8 {
        let mixed = (at as u64 ^ (self.index as u64) << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 56) as u8
    }

    fn write_record(&mut self, now: Instant) {
        let start = self.written + self.unwritten.len();
        let record = (start..start + RECORD).map(|at| self.byte(at));
        let record: Vec<u8> = record.collect();
        self.unwritten.extend(record);
        self.open.push_back(now);
        match self.stream.write(&self.unwritten) {
            Ok(len) => {
                self.written += len;
                self.unwritten.drain(..len);
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Reads what is there; returns how many records it completed.
    fn read(&mut self, now: Instant) -> usize {
        let mut buffer = [0; 4096];
        let before = self.answers.len();
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    let why = || "the service closed it".to_owned();
                    self.failure.get_or_insert_with(why);
                    break;
                }
                Ok(len) => self.check(&buffer[..len], now),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.fail(&error);
                    break;
                }
            }
        }
        self.answers.len() - before
    }

    fn check(&mut self, bytes: &[u8], now: Instant) {
        for &byte in bytes {
            if byte != self.byte(self.received) {
                let at = self.received;
                self.failure.get_or_insert_with(|| format!("byte {at} is another"));
            }
            self.received += 1;
            if self.received.is_multiple_of(RECORD)
                && let Some(written) = self.open.pop_front()
            {
                self.answers.push((written, now));
            }
        }
    }

    fn fail(&mut self, error: &std::io::Error) {
        if error.kind() != ErrorKind::WouldBlock {
            self.failure.get_or_insert_with(|| error.to_string());
        }
    }

    fn is_quiet(&self) -> bool {
        self.failure.is_some() || self.open.is_empty()
    }

    /// Whether it lived to the end, and every byte came back.
    pub fn survived(&self) -> bool {
        self.failure.is_none() && self.open.is_empty() && self.unwritten.is_empty()
    }
}

impl StreamRecord {
    /// How many connections lived to the end and got every byte back.
    pub fn survivors(&self) -> usize {
        self.connections.iter().filter(|connection| connection.survived()).count()
    }

    /// What became of the others, at most `most` of them.
    pub fn failures(&self, most: usize) -> Vec<String> {
        let failed = self.connections.iter().filter(|connection| !connection.survived());
        let describe = |connection: &Connection| {
            let why = connection.failure.clone();
            let why = why.unwrap_or_else(|| format!("{} records open", connection.open.len()));
            format!("connection {}: {why}", connection.index)
        };
        failed.take(most).map(describe).collect()
    }

    /// The longest time in which nothing came back on one connection, that ended after `fault`; less the time between
    /// two of its records. `None`: nothing came after it.
    pub fn stall(&self, fault: Instant) -> Option<Duration> {
        let answers = self.connections.iter().flat_map(|connection| connection.answers.windows(2));
        let gaps = answers.map(|pair| (pair[0].1, pair[1].1)).filter(|&(_, came)| came >= fault);
        let longest = gaps.map(|(before, came)| came.duration_since(before)).max()?;
        let turns = u32::try_from(self.connections.len()).unwrap_or(u32::MAX);
        Some(longest.saturating_sub(self.load.period.saturating_mul(turns)))
    }

    /// From the writing of a record to its whole echo, the longest time of all that came back after `fault`; less what
    /// the client itself was late. `None`: nothing came after it.
    pub fn worst(&self, fault: Instant) -> Option<Duration> {
        let answers = self.connections.iter().flat_map(|connection| &connection.answers);
        let after = answers.filter(|(_, came)| *came >= fault);
        let worst = after.map(|(written, came)| came.duration_since(*written)).max()?;
        Some(worst.saturating_sub(self.late))
    }

    /// How many connections have got back nothing that they wrote after `moment`.
    pub fn silent_since(&self, moment: Instant) -> usize {
        let answered = |connection: &&Connection| {
            connection.answers.last().is_some_and(|&(written, _)| written >= moment)
        };
        self.connections.len() - self.connections.iter().filter(answered).count()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Connections that write every 10 ms in turn, and got answers: (written, came), in milliseconds.
    fn record(zero: Instant, answers: &[&[(u32, u32)]]) -> StreamRecord {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = |ms: u32| zero + MS * ms;
        let connections = answers.iter().enumerate().map(|(index, answers)| {
            let mut connection = Connection::open(index, listener.local_addr().unwrap()).unwrap();
            connection.answers = answers.iter().map(|&(sent, came)| (at(sent), at(came))).collect();
            connection
        });
        let load = Load { connections: answers.len(), period: MS * 10 };
        StreamRecord { connections: connections.collect(), load, late: MS * 3 }
    }

    #[test]
    fn one_connection_that_stalls_is_not_hidden_by_another() {
        let zero = Instant::now();
        let record = record(zero, &[&[(0, 1), (20, 21), (40, 41)], &[(10, 11), (30, 131)]]);
        assert_eq!(record.stall(zero), Some(MS * 100));
        assert_eq!(record.worst(zero), Some(MS * 98));
    }

    #[test]
    fn what_came_before_the_fault_does_not_count() {
        let zero = Instant::now();
        let record = record(zero, &[&[(0, 1), (10, 111), (110, 112)]]);
        assert_eq!(record.worst(zero + MS * 112), Some(Duration::ZERO));
        assert_eq!(record.worst(zero + MS * 113), None);
    }

    #[test]
    fn a_connection_that_was_answered_before_alone_is_silent() {
        let zero = Instant::now();
        let record = record(zero, &[&[(0, 1), (20, 21)], &[(10, 30)], &[]]);
        assert_eq!(record.silent_since(zero + MS * 20), 2);
    }
}
