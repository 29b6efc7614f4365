//! IPv6, and the mode in which each node has its own MAC address.

use std::time::Duration;

use anyhow::{Result, ensure};
use locum_lab::locum::{Config, Group, MacMode};
use locum_lab::{Lab, SERVICE_V4, SERVICE_V6, Topology, wait};

use crate::trial::Case;

/// Within which announcements must have moved a neighbour entry: Linux keeps a young one for a second.
const MOVED: Duration = Duration::from_secs(4);

pub(crate) fn cases() -> Vec<Case> {
    let two = Topology::default();
    let own = Config { mac: MacMode::Own, ..Config::default() };
    vec![
        Case::group("ipv6_clients_reach_the_service_before_and_after_a_takeover", two, ipv6),
        Case::configured("own_mac_ipv4_moves_a_warm_arp_entry", two, own.clone(), |lab, group| {
            own_mac(lab, group, &SERVICE_V4.to_string())
        }),
        Case::configured("own_mac_ipv6_moves_a_warm_neighbour_entry", two, own, |lab, group| {
            own_mac(lab, group, &SERVICE_V6.to_string())
        }),
        Case::group("virtual_mac_stays_in_a_warm_arp_entry", two, virtual_mac),
    ]
}

fn take_over(group: &mut Group<'_>) -> Result<(u8, u8)> {
    let first = group.wait_steady()?;
    group.process(first)?.kill_worker()?;
    group.wait_for_end(first)?;
    Ok((first, group.wait_steady()?))
}

fn ipv6(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let client = lab.client(1);
    let target = SERVICE_V6.to_string();
    let url = format!("http://[{SERVICE_V6}]/");
    let reach = |group: &Group<'_>| -> Result<()> {
        let active = group.wait_steady()?;
        client.run("ping", &["-6", "-c", "3", "-i", "0.2", &target])?.success()?;
        let found = client.run("ndisc6", &["-1", "-w", "1000", &target, "eth0"])?.success()?;
        let mac = group.service_mac(active).to_string();
        ensure!(found.to_lowercase().contains(&mac), "not at {mac}:\n{found}");
        let page = client.run("curl", &["-6", "-s", "-f", "-m", "3", &url])?.success()?;
        ensure!(page == "the same on every node\n", "{page:?}");
        Ok(())
    };
    reach(group)?;
    take_over(group)?;
    reach(group)
}

/// The client knows the old MAC address, and nobody but the announcement tells it the new one.
fn own_mac(lab: &Lab, group: &mut Group<'_>, target: &str) -> Result<()> {
    let client = lab.client(1);
    let address = target.parse()?;
    let first = group.wait_steady()?;
    client.run("ping", &["-c", "1", "-W", "1", target])?.success()?;
    let expect = |node: u8, group: &Group<'_>| {
        let wanted = group.service_mac(node).to_string();
        wait::until(&format!("{target} at {wanted}"), MOVED, || {
            let known = client.neighbour(address).map_err(|error| error.to_string())?;
            if known.as_deref() == Some(&wanted) { Ok(()) } else { Err(format!("at {known:?}")) }
        })
    };
    expect(first, group)?;
    let (_, second) = take_over(group)?;
    expect(second, group)?;
    client.run("ping", &["-c", "3", "-i", "0.2", "-W", "1", target])?.success()?;
    Ok(())
}

fn virtual_mac(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let client = lab.client(1);
    let target = SERVICE_V4.to_string();
    client.run("ping", &["-c", "1", "-W", "1", &target])?.success()?;
    let before = client.neighbour(SERVICE_V4.into())?;
    take_over(group)?;
    client.run("ping", &["-c", "3", "-i", "0.2", "-W", "1", &target])?.success()?;
    let after = client.neighbour(SERVICE_V4.into())?;
    ensure!(before.is_some() && before == after, "it was {before:?} and is {after:?}");
    Ok(())
}
