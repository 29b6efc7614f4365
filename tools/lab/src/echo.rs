//! A client that measures an outage: UDP echo requests at a fixed rate, and when each came back. And the service of
//! those who have none.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use rustix::process::setpriority_process;
use rustix::thread::{ClockId, clock_nanosleep_absolute, gettid};
use rustix::time::{Timespec, clock_gettime};

use crate::netns::Namespace;
use crate::wait;

/// How long after the last request an answer still counts.
const LAST_ANSWER: Duration = Duration::from_millis(100);

/// How often the receiver looks up from its socket.
const LOOK_UP: Duration = Duration::from_millis(20);

/// A running echo client.
#[derive(Debug)]
pub struct EchoClient {
    stop: Arc<AtomicBool>,
    sender: JoinHandle<Vec<Instant>>,
    receiver: JoinHandle<Vec<Reply>>,
    all_sent: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    period: Duration,
}

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Which request it answers, from 0.
    pub sequence: usize,
    /// When it arrived.
    pub at: Instant,
}

/// What an echo client saw.
#[derive(Clone, Debug)]
pub struct EchoRecord {
    /// When each request was sent.
    pub sent: Vec<Instant>,
    /// The answers in the order of their arrival.
    pub replies: Vec<Reply>,
    /// The time between two requests.
    pub period: Duration,
}

impl EchoClient {
    /// Starts a client in `namespace` that asks `target` once every `period`.
    ///
    /// # Errors
    /// When the socket or a thread cannot be made.
    pub fn start(
        namespace: &Namespace,
        target: SocketAddr,
        period: Duration,
    ) -> Result<EchoClient> {
        let socket = namespace.run(|| {
            let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).context("bind the echo client")?;
            socket.connect(target).with_context(|| format!("connect to {target}"))?;
            socket.set_read_timeout(Some(LOOK_UP))?;
            Ok(socket)
        })?;
        let stop = Arc::new(AtomicBool::new(false));
        let all_sent = Arc::new(AtomicBool::new(false));
        let answers = Arc::new(AtomicUsize::new(0));
        let sender = thread::Builder::new().name("echo-send".into()).spawn({
            let (socket, stop) = (socket.try_clone()?, Arc::clone(&stop));
            move || send(&socket, period, &stop)
        })?;
        let receiver = thread::Builder::new().name("echo-receive".into()).spawn({
            let (all_sent, answers) = (Arc::clone(&all_sent), Arc::clone(&answers));
            move || receive(&socket, &all_sent, &answers)
        })?;
        Ok(EchoClient { stop, sender, receiver, all_sent, answers, period })
    }

    /// How many answers have arrived so far.
    pub fn answers(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }

    /// Waits for `count` more answers.
    ///
    /// # Errors
    /// When they do not come within `timeout`.
    pub fn wait_for_answers(&self, count: usize, timeout: Duration) -> Result<()> {
        let before = self.answers();
        wait::until(&format!("{count} echo answers"), timeout, || {
            let came = self.answers() - before;
            if came >= count { Ok(()) } else { Err(format!("{came} came")) }
        })
    }

    /// Stops asking, waits for the last answers and returns the record.
    ///
    /// # Errors
    /// When one of its threads has panicked.
    pub fn stop(self) -> Result<EchoRecord> {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.sender.join().map_err(|_| anyhow!("the echo sender panicked"))?;
        self.all_sent.store(true, Ordering::Relaxed);
        let replies = self.receiver.join().map_err(|_| anyhow!("the echo receiver panicked"))?;
        Ok(EchoRecord { sent, replies, period: self.period })
    }
}

/// The client is the measuring instrument: other programs must not delay it.
fn go_first() {
    // Without the permission it measures as well, but notices less well on a busy machine.
    let _ = setpriority_process(Some(gettid()), -20);
}

/// Sends on absolute deadlines: a late request does not delay the ones after it.
fn send(socket: &UdpSocket, period: Duration, stop: &AtomicBool) -> Vec<Instant> {
    go_first();
    let step = Timespec::try_from(period).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
    let mut deadline = clock_gettime(ClockId::Monotonic);
    let mut sent = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let sequence = (sent.len() as u64).to_be_bytes();
        sent.push(Instant::now());
        // Refused, unreachable, or no buffer: a request without an answer, as any other.
        let _ = socket.send(&sequence);
        deadline += step;
        let _ = clock_nanosleep_absolute(ClockId::Monotonic, &deadline);
    }
    sent
}

fn receive(socket: &UdpSocket, all_sent: &AtomicBool, answers: &AtomicUsize) -> Vec<Reply> {
    go_first();
    let mut replies = Vec::new();
    let mut buffer = [0; 64];
    let mut end = None;
    while end.is_none_or(|end| Instant::now() < end) {
        if end.is_none() && all_sent.load(Ordering::Relaxed) {
            end = Some(Instant::now() + LAST_ANSWER);
        }
        // An error is the time to look up, or ICMP of a node that is going down: no answer, as any other.
        let Ok(len) = socket.recv(&mut buffer) else { continue };
        let at = Instant::now();
        if let Ok(sequence) = <[u8; 8]>::try_from(&buffer[..len]) {
            replies.push(Reply { sequence: u64::from_be_bytes(sequence) as usize, at });
            answers.store(replies.len(), Ordering::Relaxed);
        }
    }
    replies
}

impl EchoRecord {
    /// How long the service was out around a fault: the longest time between two answers, the second of
    /// which came after `fault`, less the period. `None` when no answer came after it.
    pub fn outage(&self, fault: Instant) -> Option<Duration> {
        let pairs = self.replies.windows(2);
        let after = pairs.filter(|pair| pair[1].at >= fault);
        let longest = after.map(|pair| pair[1].at.duration_since(pair[0].at)).max()?;
        Some(longest.saturating_sub(self.period))
    }

    /// How many requests that were sent at `from` or later were never answered.
    pub fn lost_since(&self, from: Instant) -> usize {
        let mut answered = vec![false; self.sent.len()];
        for reply in &self.replies {
            if let Some(answered) = answered.get_mut(reply.sequence) {
                *answered = true;
            }
        }
        let requests = self.sent.iter().zip(answered);
        requests.filter(|&(&sent, answered)| sent >= from && !answered).count()
    }
}

/// Answers every datagram and every byte of a connection, forever: the service of a node whose kernel has the
/// address.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve(address: SocketAddr) -> Result<()> {
    let socket = UdpSocket::bind(address).with_context(|| format!("bind {address}"))?;
    let listener = TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
    thread::Builder::new().name("echo-accept".into()).spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || echo(&stream));
        }
    })?;
    let mut buffer = [0; 2048];
    loop {
        // Errors are of single datagrams (a client that is gone), never of the socket.
        if let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..len], from);
        }
    }
}

/// Sends back what a connection brings, until it ends.
fn echo(mut stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut buffer = [0; 16 * 1024];
    while let Ok(len @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..len]).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(answered_at_ms: &[(usize, u64)]) -> (Instant, EchoRecord) {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let replies =
            answered_at_ms.iter().map(|&(sequence, ms)| Reply { sequence, at: at(ms) }).collect();
        let sent = (0..10).map(at).collect();
        (start, EchoRecord { sent, replies, period: Duration::from_millis(1) })
    }

    #[test]
    fn the_outage_is_the_longest_gap_after_the_fault_less_the_period() {
        let (start, record) = record(&[(0, 0), (1, 50), (2, 51), (7, 59), (8, 60)]);
        assert_eq!(
            record.outage(start + Duration::from_millis(55)),
            Some(Duration::from_millis(7))
        );
        assert_eq!(record.outage(start), Some(Duration::from_millis(49)));
        assert_eq!(record.outage(start + Duration::from_millis(61)), None);
    }

    #[test]
    fn requests_without_an_answer_are_lost_and_duplicates_count_once() {
        let (start, record) = record(&[(0, 0), (0, 1), (9, 9)]);
        assert_eq!(record.lost_since(start), 8);
        assert_eq!(record.lost_since(start + Duration::from_millis(8)), 1);
    }
}
