//! A node that joins: how long until the group is protected, and what clients see of it meanwhile.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use locum_lab::locum::Group;
use locum_lab::stream::{Load, StreamClient};
use locum_lab::{Lab, SERVICE_V4, wait};

use crate::load;

/// Keys that are written at once.
const BATCH: usize = 1000;
/// The time between two requests of the client that measures pauses.
const PROBE_EVERY: Duration = Duration::from_micros(500);
/// The time between two records of the live connections, which take turns.
const RECORD_EVERY: Duration = Duration::from_millis(1);
/// How long pauses are measured before the node joins.
const BEFORE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);

/// What a join came to.
#[derive(Debug)]
pub(crate) struct Joined {
    /// From the start of the process until the active node is protected.
    pub(crate) time: Duration,
    /// The longest time in which a client that asks all the time got no answer.
    pub(crate) pause: Duration,
    /// The same in the two seconds before.
    pub(crate) pause_before: Duration,
}

/// Ends the waiting node, writes `keys` keys, opens `flows` connections, and starts the node again.
pub(crate) fn measure(
    lab: &Lab,
    group: &mut Group<'_>,
    keys: usize,
    flows: usize,
) -> Result<Joined> {
    let active = group.steady().map_err(anyhow::Error::msg)?;
    let other = lab.nodes().iter().map(|node| node.id()).find(|&id| id != active);
    let other = other.context("a group of two")?;
    group.kill(other)?;
    fill(lab, keys)?;
    let target = (SERVICE_V4, 7).into();
    let streams = Load { connections: flows, period: RECORD_EVERY };
    let streams = StreamClient::start(lab.client(1).namespace(), target, streams)?;
    let before = Probe::start(lab)?;
    thread::sleep(BEFORE);
    let pause_before = before.stop()?;
    let probe = Probe::start(lab)?;
    let start = Instant::now();
    group.start_node(other)?;
    wait::until("a protected group", PATIENCE, || group.protected())?;
    let time = start.elapsed();
    let pause = probe.stop()?;
    for connection in streams.stop()?.connections {
        let failure = connection.failure;
        ensure!(failure.is_none(), "a connection was lost: {}", failure.unwrap_or_default());
    }
    Ok(Joined { time, pause, pause_before })
}

/// Writes keys of 16 bytes with values of 16 bytes.
fn fill(lab: &Lab, keys: usize) -> Result<()> {
    let mut stream = load::connect(lab, KV)?;
    let mut answers = vec![0; BATCH * OK.len()];
    for start in (0..keys).step_by(BATCH) {
        let batch = start..keys.min(start + BATCH);
        let answers = &mut answers[..batch.len() * OK.len()];
        let requests: String = batch.map(|key| set(&format!("key:{key:012}"))).collect();
        stream.write_all(requests.as_bytes())?;
        stream.read_exact(answers)?;
        ensure!(answers.chunks(OK.len()).all(|answer| answer == OK), "a key was refused");
    }
    Ok(())
}

/// The port of the service `kv`.
const KV: u16 = 6379;
const OK: &[u8] = b"+OK\r\n";

/// The request that writes a key.
fn set(key: &str) -> String {
    format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n$16\r\n0123456789abcdef\r\n", key.len())
}

/// A client that writes one key after the other, and measures how long that takes at worst.
struct Probe {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Result<Duration>>,
}

impl Probe {
    fn start(lab: &Lab) -> Result<Probe> {
        let stream = load::connect(lab, KV)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || run(stream, &stopped));
        Ok(Probe { stop, thread })
    }

    fn stop(self) -> Result<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the probe panicked"))?
    }
}

fn run(mut stream: TcpStream, stop: &AtomicBool) -> Result<Duration> {
    let mut longest = Duration::ZERO;
    let mut answer = [0; OK.len()];
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let request = set(&format!("key:{:012}", number * 7_919 % 1_000_003));
        let sent = Instant::now();
        stream.write_all(request.as_bytes())?;
        stream.read_exact(&mut answer)?;
        longest = longest.max(sent.elapsed());
        ensure!(answer == OK, "a key was refused");
        thread::sleep(PROBE_EVERY);
    }
    Ok(longest)
}
