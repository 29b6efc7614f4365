//! TCP connections of real kernels through takeovers: none is lost, and every byte comes back.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use locum_lab::locum::{Config, Group, MacMode};
use locum_lab::stream::{Load, StreamClient, StreamRecord};
use locum_lab::{Lab, SERVICE_V4, SERVICE_V6, Topology, capture, wait};

use crate::fault::Fault;
use crate::trial::Case;

const PATIENCE: Duration = Duration::from_secs(10);

/// What a client that goes on writing may wait for: as long as it takes Linux, at least, to find by a timer of its own that
/// something was lost.
const PROMPT: Duration = Duration::from_millis(200);

/// What a client may wait for that has nothing more to write, and whose last segment was lost with the node: its timer, once.
/// The second time it would be three times as long.
const ONE_TIMER: Duration = Duration::from_millis(600);

/// The same where so many connections keep both cores busy that the first try may be too early: its timer, twice. The third
/// time it would be 1.4 seconds.
const TWO_TIMERS: Duration = Duration::from_secs(1);

/// What a client may wait for whose kernel has to learn a new MAC address: it takes none while the old one is younger than a
/// second, and the announcement after that comes within another.
const RELEARNT: Duration = Duration::from_secs(3);

pub(crate) fn cases() -> Vec<Case> {
    let two = Topology::default();
    let three = Topology { nodes: 3, ..two };
    let own = Config { mac: MacMode::Own, ..Config::default() };
    vec![
        Case::group("an_idle_connection_survives_every_fault", two, idle).divided(),
        Case::group("connections_survive_sigkill", two, |lab, group| {
            survive(lab, group, Fault::Sigkill)
        }),
        Case::group("connections_survive_a_hand_over", two, |lab, group| {
            survive(lab, group, Fault::HandOver)
        }),
        Case::group("connections_survive_sigterm", two, sigterm),
        Case::group("connections_survive_a_cut_cable", two, |lab, group| {
            survive(lab, group, Fault::Cut)
        })
        .divided(),
        Case::group("connections_survive_a_zombie", two, |lab, group| {
            survive(lab, group, Fault::Zombie)
        }),
        Case::group("connections_survive_there_and_back_again", two, there_and_back),
        Case::group("connections_survive_two_deaths_of_three", three, two_deaths),
        Case::group("connections_by_ipv6_survive_every_fault", two, by_ipv6).divided(),
        Case::configured("connections_survive_every_fault_with_own_macs", two, own, own_macs)
            .divided(),
        Case::group("a_thousand_connections_survive_every_fault", two, |lab, group| {
            let load = Load { connections: 1_000, period: Duration::from_millis(1) };
            every_fault(lab, group, SERVICE_V4.into(), load, ONE_TIMER)
        })
        .unwatched(),
        Case::group("ten_thousand_connections_survive_every_fault", two, |lab, group| {
            let load = Load { connections: 10_000, period: Duration::from_micros(200) };
            every_fault(lab, group, SERVICE_V4.into(), load, TWO_TIMERS)
        })
        .unwatched(),
        Case::group("a_download_of_a_gigabyte_survives_three_takeovers", two, download).unwatched(),
        Case::group("an_upload_of_a_gigabyte_survives_three_takeovers", two, upload).unwatched(),
        Case::group("a_connection_that_is_left_out_is_reset_at_once", two, left_out),
    ]
}

/// Connections that write all the time while something happens, and live on: each is answered afterwards.
fn through<T>(
    lab: &Lab,
    group: &mut Group<'_>,
    service: IpAddr,
    load: Load,
    happen: impl FnOnce(&mut Group<'_>) -> Result<T>,
) -> Result<(T, Stalls)> {
    let client = StreamClient::start(lab.client(1).namespace(), (service, 7).into(), load)?;
    client.wait_for_answers(100, PATIENCE).context("before the fault")?;
    group.wait_protected()?;
    let struck = Instant::now();
    let happened = happen(group)?;
    let over = Instant::now();
    client.wait_for_answers(200.max(2 * load.connections), 3 * PATIENCE).context("afterwards")?;
    let record = client.stop()?;
    let (survivors, all) = (record.survivors(), load.connections);
    ensure!(survivors == all, "{survivors} of {all} survived: {:?}", record.failures(5));
    let silent = record.silent_since(over);
    ensure!(silent == 0, "{silent} of {all} were not answered afterwards");
    Ok((happened, Stalls { record, struck }))
}

/// How long records took on their way, from a fault on.
struct Stalls {
    record: StreamRecord,
    struck: Instant,
}

impl Stalls {
    fn require_below(&self, limit: Duration) -> Result<()> {
        let worst = self.record.worst(self.struck).context("no answer after the fault")?;
        let late = self.record.late;
        ensure!(worst <= limit, "an answer took {worst:?}, its client being up to {late:?} late");
        Ok(())
    }
}

/// Five hundred records a second on one connection.
const ONE: Load = Load { connections: 1, period: Duration::from_millis(2) };

fn survive(lab: &Lab, group: &mut Group<'_>, fault: Fault) -> Result<()> {
    let ((node, back), stalls) = through(lab, group, SERVICE_V4.into(), ONE, |group| {
        let node = fault.strike(lab, group)?;
        fault.mend(lab, group, node)?;
        Ok((node, capture::now()))
    })?;
    stalls.require_below(PROMPT)?;
    group.require_silence(node, back)
}

fn sigterm(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    let ((), stalls) = through(lab, group, SERVICE_V4.into(), ONE, |group| {
        group.process(active)?.terminate()?;
        group.wait_for_end(active).map(drop)
    })?;
    stalls.require_below(PROMPT)
}

/// The same connections, through one fault after the other.
fn every_fault(
    lab: &Lab,
    group: &mut Group<'_>,
    service: IpAddr,
    load: Load,
    limit: Duration,
) -> Result<()> {
    let ((), stalls) = through(lab, group, service, load, |group| {
        for fault in Fault::ALL {
            let node = fault.strike(lab, group).with_context(|| format!("{fault:?}"))?;
            fault.mend(lab, group, node).with_context(|| format!("after {fault:?}"))?;
        }
        Ok(())
    })?;
    stalls.require_below(limit)
}

fn by_ipv6(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    every_fault(lab, group, SERVICE_V6.into(), ONE, PROMPT)
}

fn own_macs(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    every_fault(lab, group, SERVICE_V4.into(), ONE, RELEARNT)
}

/// The same connections, back and forth.
fn there_and_back(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let load = Load { connections: 5, period: Duration::from_millis(1) };
    let ((), stalls) = through(lab, group, SERVICE_V4.into(), load, |group| {
        for round in 0..6 {
            let fault = if round % 2 == 0 { Fault::HandOver } else { Fault::Sigkill };
            let node = fault.strike(lab, group)?;
            fault.mend(lab, group, node)?;
        }
        Ok(())
    })?;
    stalls.require_below(PROMPT)
}

fn two_deaths(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let ((), stalls) = through(lab, group, SERVICE_V4.into(), ONE, |group| {
        for _ in 0..2 {
            group.wait_protected()?;
            let active = group.wait_steady()?;
            group.process(active)?.kill_worker()?;
            group.wait_for_end(active)?;
            group.wait_steady()?;
        }
        Ok(())
    })?;
    stalls.require_below(PROMPT)
}

/// What is transferred: all of it through three takeovers.
const FILE_LEN: u64 = 1 << 30;

/// curl, which never retries: one connection, and the file is the same in the end.
fn download(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let curl = format!("curl -sS -f --limit-rate 60M http://{SERVICE_V4}/file");
    transfer(lab, group, |_, here| format!("{curl} | tee {here} | sha256sum"))
}

/// curl again: what the echo service sends back of this request reads as its response, since the method is the beginning of
/// a status line, and the length is its own. An upload and a download at once.
fn upload(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let curl = "curl -sS -f -H 'Expect:' -X 'HTTP/1.1 200'";
    transfer(lab, group, |there, here| {
        format!("{curl} -T {there} http://{SERVICE_V4}:7/ | tee {here} | sha256sum")
    })
}

/// Runs a script that writes what it receives to a file and its checksum to standard output, given the names of the file
/// on the server and of that one; with three takeovers meanwhile.
fn transfer(
    lab: &Lab,
    group: &mut Group<'_>,
    script: impl FnOnce(&str, &str) -> String,
) -> Result<()> {
    let (there, here) = (lab.files().join("www/file"), lab.files().join("received"));
    let sum = write_random(&there)?;
    let script = script(&there.to_string_lossy(), &here.to_string_lossy());
    let client = lab.client(1).spawn("sh", &["-c", &script])?;
    let received = || std::fs::metadata(&here).map_or(0, |file| file.len());
    for (share, fault) in (1..).zip([Fault::Sigkill, Fault::Cut, Fault::HandOver]) {
        wait::until("the next part of the file", 6 * PATIENCE, || {
            let came = received();
            if came >= FILE_LEN * share / 5 { Ok(()) } else { Err(format!("{came} bytes")) }
        })?;
        let node = fault.strike(lab, group).with_context(|| format!("{fault:?}"))?;
        ensure!(received() < FILE_LEN, "it was over before {fault:?}");
        fault.mend(lab, group, node).with_context(|| format!("after {fault:?}"))?;
    }
    let said = client.output(12 * PATIENCE)?.success()?;
    ensure!(said.starts_with(&sum), "the file is another: {said} where {sum} was sent");
    Ok(())
}

/// Writes a file that no compression makes shorter; returns its checksum as sha256sum writes it.
fn write_random(path: &Path) -> Result<String> {
    let mut numbers = fastrand::Rng::with_seed(7);
    let mut file = BufWriter::new(File::create(path)?);
    let mut block = vec![0; 1 << 20];
    for _ in 0..FILE_LEN >> 20 {
        numbers.fill(&mut block);
        file.write_all(&block)?;
    }
    file.flush()?;
    let output = Command::new("sha256sum").arg(path).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let sum = text.split_whitespace().next().context("sha256sum says nothing")?;
    Ok(sum.to_owned())
}

/// For how long nobody types: longer than the stack waits before it asks whether a silent peer is still there, and for an
/// answer to that.
const QUIET: Duration = Duration::from_secs(130);

/// As ssh sessions in which nobody types: a record, minutes without one while the group changes places, and another one.
fn idle(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let load = Load { connections: 1, period: QUIET };
    let services = [IpAddr::from(SERVICE_V4), IpAddr::from(SERVICE_V6)];
    let start = |service| StreamClient::start(lab.client(1).namespace(), (service, 7).into(), load);
    let clients = services.map(start).into_iter().collect::<Result<Vec<_>>>()?;
    for fault in Fault::ALL {
        let node = fault.strike(lab, group).with_context(|| format!("{fault:?}"))?;
        fault.mend(lab, group, node).with_context(|| format!("after {fault:?}"))?;
        let quarter = QUIET / Fault::ALL.len() as u32;
        wait::all_through("both connections live", quarter, || {
            let lost: usize = clients.iter().map(StreamClient::lost).sum();
            if lost == 0 { Ok(()) } else { Err(format!("{lost} are lost, after {fault:?}")) }
        })?;
    }
    for client in clients {
        let record = client.stop()?;
        ensure!(record.survivors() == 1, "{:?}", record.failures(1));
        let answers = record.connections.iter().map(|connection| connection.answers.len());
        ensure!(answers.eq([2]), "one record before the silence and one after it");
    }
    Ok(())
}

/// Only listens, and would do so for ever.
fn left_out(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let here = lab.files().join("characters");
    let script = format!(
        "curl -sS --http0.9 --limit-rate 1M -o {} http://{SERVICE_V4}:19/; echo code $?",
        here.display()
    );
    let curl = lab.client(1).spawn("sh", &["-c", &script])?;
    wait::until("characters", PATIENCE, || {
        let came = std::fs::metadata(&here).map_or(0, |file| file.len());
        if came > 100_000 { Ok(()) } else { Err(format!("{came} bytes")) }
    })?;
    let (struck, stalls) = through(lab, group, SERVICE_V4.into(), ONE, |group| {
        let struck = Instant::now();
        Fault::Sigkill.strike(lab, group)?;
        Ok(struck)
    })?;
    let output = curl.output(PATIENCE)?.success()?;
    ensure!(output.contains("code 56"), "it was to be reset: {output}");
    ensure!(struck.elapsed() < PATIENCE, "it hung");
    stalls.require_below(PROMPT)
}
