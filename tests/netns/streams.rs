//! TCP connections of real kernels through takeovers: none is lost, and every byte comes back.

use std::net::SocketAddr;
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
        Case::group("a_download_survives_three_takeovers", two, download).unwatched(),
        Case::group("an_idle_connection_survives", two, idle),
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

/// curl, which never retries: one connection, and the file is the same in the end.
fn download(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    const MIB: usize = 256;
    let (there, here) = (lab.files().join("www/file"), lab.files().join("downloaded"));
    let mut numbers = fastrand::Rng::with_seed(7);
    let content: Vec<u8> = (0..MIB << 20).map(|_| numbers.u8(..)).collect();
    std::fs::write(&there, &content)?;
    let script = format!(
        "curl -sS -f --limit-rate 40M -o {} http://{SERVICE_V4}/file && echo done",
        here.display()
    );
    let curl = lab.client(1).spawn("sh", &["-c", &script])?;
    let received = || std::fs::metadata(&here).map_or(0, |file| file.len());
    for share in 1..=3 {
        let enough = (content.len() * share / 5) as u64;
        wait::until("the next part of the file", 6 * PATIENCE, || {
            let came = received();
            if came >= enough { Ok(()) } else { Err(format!("{came} bytes")) }
        })?;
        group.wait_protected()?;
        let active = group.wait_steady()?;
        ensure!(received() < content.len() as u64, "it was over before takeover {share}");
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
    curl.output(6 * PATIENCE)?.success()?;
    ensure!(std::fs::read(&here)? == content, "the file is another");
    Ok(())
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
