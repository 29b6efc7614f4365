//! One round: a client asks a thousand times a second, the active node is struck, the client is read.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use locum_lab::echo::{EchoClient, EchoRecord};
use locum_lab::{Lab, keepalived};

use crate::contender::{Contender, ECHO_PORT, Fault};

/// The client's rate: one request per millisecond.
const PERIOD: Duration = Duration::from_millis(1);

/// Answers before the fault, so that the client's ARP entry is confirmed and the path is warm.
const LEAD_IN: usize = 100;

/// How long the client goes on after the fault, at least.
const AFTERMATH: Duration = Duration::from_millis(300);

/// Answers after that: the service is back.
const LEAD_OUT: usize = 20;

/// Within which the service has to be back.
const BACK: Duration = Duration::from_secs(20);

/// How long before the fault a request may have been sent and yet be hit by it.
const ON_THEIR_WAY: Duration = Duration::from_millis(10);

/// Between two faults. Linux takes no new MAC address for an ARP entry that is younger than a second
/// (`locktime`), which would add up to a second to contenders without a virtual MAC.
const PACE: Duration = Duration::from_millis(1200);

/// What the client saw in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// The longest time without an answer, less the client's period.
    pub(crate) outage: Duration,
    /// Requests without an answer, from just before the fault on.
    pub(crate) lost: usize,
}

/// Strikes whoever is active and restores the pair.
pub(crate) fn play(lab: &Lab, contender: &mut dyn Contender, fault: Fault) -> Result<Outcome> {
    let active = contender.wait_steady()?;
    let client =
        EchoClient::start(lab.client(1).namespace(), keepalived::service(ECHO_PORT), PERIOD)?;
    client.wait_for_answers(LEAD_IN, BACK).context("before the fault")?;
    let struck = Instant::now();
    contender.strike(fault, active)?;
    thread::sleep(AFTERMATH.saturating_sub(struck.elapsed()));
    client.wait_for_answers(LEAD_OUT, BACK).context("after the fault")?;
    let record = client.stop()?;
    contender.restore(fault, active)?;
    contender.wait_steady()?;
    thread::sleep(PACE.saturating_sub(struck.elapsed()));
    outcome(&record, struck)
}

fn outcome(record: &EchoRecord, struck: Instant) -> Result<Outcome> {
    let outage = record.outage(struck).context("no answer after the fault")?;
    // With those that were on their way when the fault came.
    let from = struck.checked_sub(ON_THEIR_WAY).unwrap_or(struck);
    Ok(Outcome { outage, lost: record.lost_since(from) })
}
