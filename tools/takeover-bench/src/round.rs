//! One round: a client asks a thousand times a second, and writes five hundred records a second on one TCP
//! connection; the active node is struck; the client is read.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use locum_lab::echo::{EchoClient, EchoRecord};
use locum_lab::stream::{Load, StreamClient, StreamRecord};
use locum_lab::{Lab, keepalived};

use crate::contender::{Contender, ECHO_PORT, Fault};

/// The client's rate: one request per millisecond.
const PERIOD: Duration = Duration::from_millis(1);

/// The TCP connection.
const STREAM: Load = Load { connections: 1, period: Duration::from_millis(2) };

/// Answers before the fault, so that the client's ARP entry is confirmed and the path is warm.
const LEAD_IN: usize = 100;

/// How long the client goes on after the fault, at least.
const AFTERMATH: Duration = Duration::from_millis(300);

/// Answers after that: the service is back.
const LEAD_OUT: usize = 20;

/// Within which the service has to be back. A Linux client whose ARP entry went wrong finds out by
/// itself within a minute, and a round then shows that.
const BACK: Duration = Duration::from_secs(90);

/// Within which a pair must be back in its steady state after a round.
const STEADY: Duration = Duration::from_secs(30);

/// How long before the fault a request may have been sent and yet be hit by it.
const ON_THEIR_WAY: Duration = Duration::from_millis(10);

/// How long nothing may have changed before a fault. Linux takes no new MAC address for an ARP entry
/// that is younger than a second (`locktime`), which would add up to a second to contenders without a
/// virtual MAC.
const CALM: Duration = Duration::from_millis(1200);

/// How often a calm pair is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What the client saw in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// The longest time without an answer, less the client's period.
    pub(crate) outage: Duration,
    /// Requests without an answer, from just before the fault on.
    pub(crate) lost: usize,
    /// The longest time in which nothing came back on the TCP connection, less the time between records; `None`: the
    /// connection was lost.
    pub(crate) stall: Option<Duration>,
}

/// Strikes whoever is active and restores the pair.
pub(crate) fn play(lab: &Lab, contender: &mut dyn Contender, fault: Fault) -> Result<Outcome> {
    let active = settle(contender)?;
    let target = keepalived::service(ECHO_PORT);
    let client = EchoClient::start(lab.client(1).namespace(), target, PERIOD)?;
    let stream = StreamClient::start(lab.client(1).namespace(), target, STREAM)?;
    client.wait_for_answers(LEAD_IN, BACK).context("before the fault")?;
    stream.wait_for_answers(LEAD_IN / 2, BACK).context("on the connection before the fault")?;
    let struck = Instant::now();
    contender.strike(fault, active)?;
    thread::sleep(AFTERMATH.saturating_sub(struck.elapsed()));
    client.wait_for_answers(LEAD_OUT, BACK).context("after the fault")?;
    let record = client.stop()?;
    let stream = stream.stop()?;
    contender.restore(fault, active)?;
    outcome(&record, &stream, struck)
}

/// Waits until a pair is in its steady state and has been for a while.
fn settle(contender: &dyn Contender) -> Result<u8> {
    let mut since = Instant::now();
    let mut active = None;
    let deadline = since + STEADY;
    loop {
        let now = contender.steady();
        if active != now.as_ref().ok().copied() {
            active = now.as_ref().ok().copied();
            since = Instant::now();
        }
        match (now, active) {
            (Ok(_), Some(active)) if since.elapsed() >= CALM => return Ok(active),
            (Err(how), _) if Instant::now() >= deadline => bail!("no steady pair: {how}"),
            (Ok(_) | Err(_), _) => thread::sleep(LOOK),
        }
    }
}

fn outcome(record: &EchoRecord, stream: &StreamRecord, struck: Instant) -> Result<Outcome> {
    let outage = record.outage(struck).context("no answer after the fault")?;
    // With those that were on their way when the fault came.
    let from = struck.checked_sub(ON_THEIR_WAY).unwrap_or(struck);
    let stall = stream.stall(struck).filter(|_| stream.survivors() == STREAM.connections);
    Ok(Outcome { outage, lost: record.lost_since(from), stall })
}
