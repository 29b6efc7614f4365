//! TCP connections of real kernels through takeovers: none is lost, and every byte comes back.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use locum_lab::locum::Group;
use locum_lab::stream::{Load, StreamClient, StreamRecord};
use locum_lab::{Lab, SERVICE_V4, Topology, wait};
use rustix::process::Signal;

use crate::trial::Case;

const PATIENCE: Duration = Duration::from_secs(10);

/// A takeover takes milliseconds; a segment that was lost with the node, a client's retransmission timeout.
const STALL_MAX: Duration = Duration::from_secs(1);

pub(crate) fn cases() -> Vec<Case> {
    let two = Topology::default();
    let three = Topology { nodes: 3, ..two };
    vec![
        Case::group("connections_survive_sigkill", two, sigkill),
        Case::group("connections_survive_a_hand_over", two, hand_over),
        Case::group("connections_survive_sigterm", two, sigterm),
        Case::group("connections_survive_a_cut_cable", two, cut).divided(),
        Case::group("connections_survive_a_zombie", two, zombie),
        Case::group("connections_survive_there_and_back_again", two, there_and_back),
        Case::group("connections_survive_two_deaths_of_three", three, two_deaths),
        Case::group("a_thousand_connections_survive", two, thousand).unwatched(),
        Case::group("a_download_of_a_gigabyte_survives_three_takeovers", two, download).unwatched(),
        Case::group("an_upload_of_a_gigabyte_survives_three_takeovers", two, upload).unwatched(),
        Case::group("an_idle_connection_survives", two, idle),
        Case::group("a_connection_that_is_left_out_is_reset_at_once", two, left_out),
        Case::group("ten_thousand_connections_survive", two, ten_thousand).unwatched(),
    ]
}

/// Connections that write all the time while something happens, and live on.
fn through(
    lab: &Lab,
    group: &mut Group<'_>,
    load: Load,
    happen: impl FnOnce(&mut Group<'_>) -> Result<()>,
) -> Result<(StreamRecord, Instant)> {
    let target = SocketAddr::from((SERVICE_V4, 7));
    let client = StreamClient::start(lab.client(1).namespace(), target, load)?;
    client.wait_for_answers(100, PATIENCE).context("before the fault")?;
    group.wait_protected()?;
    let struck = Instant::now();
    happen(group)?;
    client.wait_for_answers(200.max(load.connections), 3 * PATIENCE).context("after the fault")?;
    let record = client.stop()?;
    let (survivors, all) = (record.survivors(), load.connections);
    ensure!(survivors == all, "{survivors} of {all} survived: {:?}", record.failures(5));
    Ok((record, struck))
}

/// Five hundred records a second on one connection.
const ONE: Load = Load { connections: 1, period: Duration::from_millis(2) };

fn require_short(record: &StreamRecord, struck: Instant) -> Result<()> {
    let stall = record.stall(struck).context("no answer after the fault")?;
    ensure!(stall <= STALL_MAX, "the connection stalled for {stall:?}");
    Ok(())
}

fn sigkill(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    let (record, struck) = through(lab, group, ONE, |group| group.process(active)?.kill_worker())?;
    group.wait_for_end(active)?;
    require_short(&record, struck)
}

fn sigterm(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    let (record, struck) = through(lab, group, ONE, |group| group.process(active)?.terminate())?;
    group.wait_for_end(active)?;
    require_short(&record, struck)
}

fn hand_over(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    let (record, struck) = through(lab, group, ONE, |group| group.handover(active))?;
    group.wait_for(&[(active, "waiting"), (3 - active, "active")])?;
    require_short(&record, struck)
}

fn cut(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    let (record, struck) = through(lab, group, ONE, |_| lab.cut(active))?;
    require_short(&record, struck)?;
    lab.heal(active)?;
    group.wait_for(&[(active, "waiting"), (3 - active, "active")])?;
    group.wait_protected()
}

fn zombie(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    let (record, struck) = through(lab, group, ONE, |group| {
        group.process(active)?.signal_worker(Signal::STOP)?;
        group.wait_for(&[(3 - active, "active")])?;
        group.process(active)?.signal_worker(Signal::CONT)?;
        group.wait_for(&[(active, "waiting"), (3 - active, "active")])
    })?;
    require_short(&record, struck)?;
    group.wait_protected()
}

/// The same connections, back and forth, by every way there is.
fn there_and_back(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let load = Load { connections: 5, period: Duration::from_millis(1) };
    let (record, struck) = through(lab, group, load, |group| {
        for round in 0..6 {
            let active = group.wait_steady()?;
            group.wait_protected()?;
            if round % 2 == 0 {
                group.handover(active)?;
                group.wait_for(&[(active, "waiting"), (3 - active, "active")])?;
            } else {
                group.process(active)?.kill_worker()?;
                group.wait_for_end(active)?;
                group.wait_for(&[(3 - active, "active")])?;
                group.start_node(active)?;
            }
        }
        Ok(())
    })?;
    require_short(&record, struck)
}

fn two_deaths(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let (record, struck) = through(lab, group, ONE, |group| {
        for _ in 0..2 {
            group.wait_protected()?;
            let active = group.wait_steady()?;
            group.process(active)?.kill_worker()?;
            group.wait_for_end(active)?;
            group.wait_steady()?;
        }
        Ok(())
    })?;
    require_short(&record, struck)
}

/// What is transferred: all of it through three takeovers.
const FILE_LEN: u64 = 1 << 30;

/// curl, which never retries: one connection, and the file is the same in the end.
fn download(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let curl = format!("curl -sS -f --limit-rate 60M http://{SERVICE_V4}/file");
    transfer(lab, group, |_, here| format!("{curl} | tee {here} | sha256sum"))
}

/// The echo service gets it, and sends it back: an upload and a download at once.
fn upload(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    transfer(lab, group, |there, here| {
        format!("nc -N {SERVICE_V4} 7 < {there} | tee {here} | sha256sum")
    })
}

/// Runs a script that writes what it receives to a file and its checksum to standard output, given the names of the file
/// on the server and of that one; with a kill, a hand-over, and another kill meanwhile.
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
    for share in 1..=3 {
        wait::until("the next part of the file", 6 * PATIENCE, || {
            let came = received();
            if came >= FILE_LEN * share / 5 { Ok(()) } else { Err(format!("{came} bytes")) }
        })?;
        group.wait_protected()?;
        let active = group.wait_steady()?;
        ensure!(received() < FILE_LEN, "it was over before takeover {share}");
        if share == 2 {
            group.handover(active)?;
            group.wait_for(&[(active, "waiting"), (3 - active, "active")])?;
        } else {
            group.process(active)?.kill_worker()?;
            group.wait_for_end(active)?;
            group.wait_for(&[(3 - active, "active")])?;
            group.start_node(active)?;
        }
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

/// As an ssh session in which nobody types: nothing is said for longer than a takeover takes.
fn idle(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let load = Load { connections: 1, period: Duration::from_secs(2) };
    let target = SocketAddr::from((SERVICE_V4, 7));
    let client = StreamClient::start(lab.client(1).namespace(), target, load)?;
    client.wait_for_answers(1, PATIENCE)?;
    for _ in 0..2 {
        group.wait_protected()?;
        let active = group.wait_steady()?;
        group.kill(active)?;
        group.wait_for(&[(3 - active, "active")])?;
        group.start_node(active)?;
        client.wait_for_answers(1, PATIENCE).context("after a takeover")?;
    }
    let record = client.stop()?;
    ensure!(record.survivors() == 1, "{:?}", record.failures(1));
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
    let active = group.wait_steady()?;
    let (record, struck) = through(lab, group, ONE, |group| group.process(active)?.kill_worker())?;
    let output = curl.output(PATIENCE)?.success()?;
    ensure!(output.contains("code 56"), "it was to be reset: {output}");
    ensure!(struck.elapsed() < PATIENCE, "it hung");
    group.wait_for_end(active)?;
    require_short(&record, struck)
}

fn ten_thousand(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let load = Load { connections: 10_000, period: Duration::from_micros(200) };
    let active = group.wait_steady()?;
    let (record, struck) = through(lab, group, load, |group| group.process(active)?.kill_worker())?;
    group.wait_for_end(active)?;
    require_short(&record, struck)
}

fn thousand(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let load = Load { connections: 1_000, period: Duration::from_millis(1) };
    let active = group.wait_steady()?;
    let (record, struck) = through(lab, group, load, |group| group.process(active)?.kill_worker())?;
    group.wait_for_end(active)?;
    require_short(&record, struck)
}
