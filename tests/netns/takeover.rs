//! The active node dies, is cut off or is stopped: another takes over, and the old one stays silent.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use locum_lab::echo::{EchoClient, EchoRecord};
use locum_lab::locum::{Config, Group};
use locum_lab::{Lab, SERVICE_V4, Topology, capture};

use crate::trial::Case;

/// A takeover takes milliseconds; this is what a starved machine may make of it.
const OUTAGE_MAX: Duration = Duration::from_secs(1);

const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn cases() -> Vec<Case> {
    let two = Topology::default();
    let three = Topology { nodes: 3, ..two };
    // Frames for the service reach the stopped node, too: there is a backlog when it wakes up.
    let hub = Topology { ageing: Duration::ZERO, ..two };
    let heartbeat_network = Topology { heartbeat_network: true, ..two };
    let heartbeat_tap = Config { heartbeat_tap: true, ..Config::default() };
    vec![
        Case::group("sigkill_of_the_worker_moves_the_service", two, sigkill),
        Case::group("sigterm_moves_the_service_without_a_lost_request", two, sigterm),
        Case::group("death_of_worker_and_warden_moves_the_service", two, both_die),
        Case::group("a_cut_cable_moves_the_service_and_the_healed_node_is_silent", two, cut)
            .divided(),
        Case::group("a_zombie_says_nothing_when_it_wakes_up", hub, zombie),
        Case::group("a_node_that_comes_back_waits", two, rejoin),
        Case::group("three_nodes_survive_two_deaths", three, two_deaths),
        Case::configured(
            "heartbeats_on_their_own_network_move_the_service",
            heartbeat_network,
            heartbeat_tap.clone(),
            sigkill,
        ),
        Case::configured(
            "a_broken_heartbeat_network_is_no_dead_node",
            heartbeat_network,
            heartbeat_tap,
            heartbeat_cut,
        ),
    ]
}

/// Starts a client, and has the service struck while it asks a thousand times a second.
fn watched(
    lab: &Lab,
    group: &mut Group<'_>,
    strike: impl FnOnce(&mut Group<'_>) -> Result<()>,
) -> Result<(EchoRecord, Instant)> {
    let target = SocketAddr::from((SERVICE_V4, 7));
    let client = EchoClient::start(lab.client(1).namespace(), target, Duration::from_millis(1))?;
    client.wait_for_answers(50, PATIENCE).context("before the fault")?;
    let struck = Instant::now();
    strike(group)?;
    client.wait_for_answers(200, PATIENCE).context("after the fault")?;
    Ok((client.stop()?, struck))
}

fn require_short(record: &EchoRecord, struck: Instant) -> Result<()> {
    let outage = record.outage(struck).context("no answer after the fault")?;
    ensure!(outage <= OUTAGE_MAX, "the client saw an outage of {outage:?}");
    Ok(())
}

fn other(node: u8) -> u8 {
    3 - node
}

fn sigkill(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    let (record, struck) = watched(lab, group, |group| group.process(active)?.kill_worker())?;
    require_short(&record, struck)?;
    group.wait_for_end(active)?;
    group.wait_for(&[(other(active), "active")])?;
    // The warden's word, not the timeout.
    group.require_cause(other(active), &format!("resigned(node {active}, crash)"))
}

fn sigterm(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    let (record, struck) = watched(lab, group, |group| group.process(active)?.terminate())?;
    require_short(&record, struck)?;
    let lost = record.lost_since(struck);
    ensure!(lost == 0, "{lost} requests lost");
    let status = group.wait_for_end(active)?;
    ensure!(status.success(), "a clean shutdown ends with {status}");
    group.wait_for(&[(other(active), "active")])?;
    group.require_cause(other(active), &format!("resigned(node {active}, shutdown)"))
}

/// Nobody says goodbye: the timeout finds out.
fn both_die(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    let (record, struck) = watched(lab, group, |group| group.kill(active))?;
    require_short(&record, struck)?;
    group.wait_for(&[(other(active), "active")])?;
    group.require_cause(other(active), &format!("silence(node {active})"))
}

fn cut(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    let (record, struck) = watched(lab, group, |_| lab.cut(active))?;
    require_short(&record, struck)?;
    group.wait_for(&[(other(active), "active")])?;
    lab.heal(active)?;
    group.wait_for(&[(active, "waiting"), (other(active), "active")])?;
    let healed = capture::now();
    let (record, struck) = watched(lab, group, |_| Ok(()))?;
    require_short(&record, struck)?;
    group.require_silence(active, healed)
}

fn zombie(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    let mut stopped_at = 0;
    let (record, struck) = watched(lab, group, |group| {
        group.freeze(active)?;
        stopped_at = capture::now();
        Ok(())
    })?;
    require_short(&record, struck)?;
    group.wait_for(&[(other(active), "active")])?;
    let (record, struck) = watched(lab, group, |group| group.thaw(active))?;
    require_short(&record, struck)?;
    group.wait_for(&[(active, "waiting"), (other(active), "active")])?;
    group.require_silence(active, stopped_at)
}

fn rejoin(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    group.kill(active)?;
    group.wait_for(&[(other(active), "active")])?;
    let back = capture::now();
    let (record, struck) = watched(lab, group, |group| {
        group.start_node(active)?;
        group.wait_for(&[(active, "waiting"), (other(active), "active")])
    })?;
    require_short(&record, struck)?;
    group.require_silence(active, back)
}

fn two_deaths(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let first = group.wait_steady()?;
    let (record, struck) = watched(lab, group, |group| group.process(first)?.kill_worker())?;
    require_short(&record, struck)?;
    group.wait_for_end(first)?;
    let second = group.wait_steady()?;
    let (record, struck) = watched(lab, group, |group| group.kill(second))?;
    require_short(&record, struck)?;
    let third = group.wait_steady()?;
    ensure!(third != first && third != second, "node {third} is dead");
    Ok(())
}

/// The beats stop but the active node answers the probe: nothing moves.
fn heartbeat_cut(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    let start = capture::now();
    let (record, struck) = watched(lab, group, |_| lab.cut_heartbeat(active))?;
    require_short(&record, struck)?;
    group.wait_for(&[(active, "active"), (other(active), "waiting")])?;
    group.require_silence(other(active), start)
}
