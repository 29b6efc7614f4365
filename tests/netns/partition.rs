//! A divided network: each side may have its active node. Reunited there is one, and clients reach it.

use std::time::Duration;

use anyhow::{Result, ensure};
use locum_lab::locum::Group;
use locum_lab::{Lab, SERVICE_V4, Topology, capture, wait};

use crate::trial::Case;

/// Within which clients must reach the winner: a few announcements.
const MOVED: Duration = Duration::from_secs(5);

pub(crate) fn cases() -> Vec<Case> {
    let two = Topology { clients: 2, ..Topology::default() };
    let three = Topology { nodes: 3, clients: 2, ..Topology::default() };
    vec![
        Case::group("a_healed_partition_has_one_winner_and_a_silent_loser", two, heal).divided(),
        Case::group("a_partition_without_the_active_node_elects_one_node", three, elect).divided(),
    ]
}

fn heal(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    let other = 3 - active;
    lab.partition(&[other], &[2])?;
    group.wait_for(&[(1, "active"), (2, "active")])?;
    reach(lab, 1)?;
    reach(lab, 2)?;
    lab.reunite(&[other], &[2])?;
    let winner = group.wait_steady()?;
    let since = capture::now();
    reach(lab, 1)?;
    reach(lab, 2)?;
    group.require_silence(3 - winner, since)
}

fn elect(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    let others: Vec<u8> = (1..=3).filter(|&node| node != active).collect();
    let start = capture::now();
    lab.partition(&others, &[2])?;
    let elected = wait::until("one active node among the others", MOVED, || {
        let modes: Vec<_> = others.iter().map(|&node| (node, group.mode(node))).collect();
        let active: Vec<_> = modes.iter().filter(|(_, mode)| mode == "active").collect();
        match active.as_slice() {
            [(node, _)] => Ok(*node),
            [] | [..] => Err(format!("{modes:?}")),
        }
    })?;
    reach(lab, 2)?;
    // The one that was not elected never jumped.
    let bystander = 6 - active - elected;
    group.require_silence(bystander, start)?;
    lab.reunite(&others, &[2])?;
    let winner = group.wait_steady()?;
    ensure!(winner != bystander, "node {winner} took over from two active nodes");
    reach(lab, 1)?;
    reach(lab, 2)?;
    group.require_silence(bystander, start)
}

fn reach(lab: &Lab, client: u8) -> Result<()> {
    let target = SERVICE_V4.to_string();
    wait::until(&format!("client {client} reaches the service"), MOVED, || {
        let ping = lab.client(client).run("ping", &["-c", "1", "-W", "0.2", &target]);
        match ping {
            Ok(ping) if ping.status.success() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
}
