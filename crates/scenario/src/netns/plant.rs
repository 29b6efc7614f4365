//! The network of a scenario: one namespace with the switches, one for each machine, and the cables.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use locum_lab::Namespace;
use locum_lab::room::Room;
use locum_lab::wiring::{MUTE, PROMPT, bridge, cable, uplink};

use crate::model::{Scenario, Segment, Way};

/// When a switch forgets a silent station, unless the file says otherwise.
const AGEING: Duration = Duration::from_secs(300);

/// The name of the switch of a scenario that has none of its own.
const ONLY_SEGMENT: &str = "lan";

/// The states of a bridge port in the words of `bridge link set`: `BR_STATE_DISABLED` and `_FORWARDING`.
const DISABLED: u8 = 0;
const FORWARDING: u8 = 3;

/// The device of a machine's namespace into which its cable is plugged.
const MACHINE_DEVICE: &str = "eth0";

/// The network. Dropping it takes down its namespaces and everything in them.
#[derive(Debug)]
pub(super) struct Plant {
    room: Room,
    lan: Namespace,
    nodes: BTreeMap<u8, Namespace>,
    machines: BTreeMap<String, Namespace>,
    ports: BTreeMap<String, Port>,
}

/// Where a cable is plugged in.
#[derive(Clone, Debug)]
struct Port {
    /// The device at the switch: of a trunk, at the first one.
    device: String,
    /// The node at the other end.
    node: Option<u8>,
}

impl Plant {
    /// Builds the network of a scenario. Call it inside.
    pub(super) fn build(scenario: &Scenario) -> Result<Plant> {
        let room = Room::new("s")?;
        let prefix = &room.prefix;
        let clients = scenario.clients.iter().map(|client| &client.get_ref().name);
        let hostiles = scenario.hostiles.iter().map(|hostile| &hostile.get_ref().name);
        let machines: Vec<&String> = clients.chain(hostiles).collect();
        let ids: Vec<u8> = scenario.nodes.iter().map(|node| node.get_ref().id).collect();
        let mut names = vec![format!("{prefix}-lan")];
        names.extend(ids.iter().map(|id| format!("{prefix}-node{id}")));
        names.extend((0..machines.len()).map(|index| format!("{prefix}-machine{index}")));
        let mut namespaces = Namespace::create(&names)?.into_iter();
        let plant = Plant {
            lan: namespaces.next().context("the lan was just created")?,
            nodes: ids.into_iter().zip(namespaces.by_ref()).collect(),
            machines: machines.into_iter().cloned().zip(namespaces).collect(),
            ports: BTreeMap::new(),
            room,
        };
        plant.furnish(scenario)
    }

    fn furnish(mut self, scenario: &Scenario) -> Result<Plant> {
        self.lan.sysctl(&MUTE)?;
        let switches = Switches::of(scenario);
        let mut lines = switches.lines();
        for node in scenario.nodes.iter().map(|node| node.get_ref()) {
            let device = format!("node{}", node.id);
            let inside = self.node(node.id)?;
            lines += &cable(&device, switches.find(&node.segment)?, MACHINE_DEVICE, inside.name());
            self.plug(device.clone(), Port { device, node: Some(node.id) });
        }
        let clients = scenario.clients.iter().map(|client| client.get_ref());
        let clients = clients.map(|client| (&client.name, &client.segment));
        let hostiles = scenario.hostiles.iter().map(|hostile| hostile.get_ref());
        let hostiles = hostiles.map(|hostile| (&hostile.name, &hostile.segment));
        for (index, (name, segment)) in clients.chain(hostiles).enumerate() {
            // Devices have short names, machines any.
            let device = format!("machine{index}");
            let inside = self.machine(name)?;
            lines += &cable(&device, switches.find(segment)?, MACHINE_DEVICE, inside.name());
            self.plug(name.clone(), Port { device, node: None });
        }
        for (index, trunk) in scenario.trunks.iter().map(|trunk| trunk.get_ref()).enumerate() {
            let [first, second] = [0, 1].map(|end| format!("trunk{index}.{end}"));
            writeln!(lines, "link add {first} type veth peer name {second}")?;
            for (device, segment) in [&first, &second].into_iter().zip(&trunk.between) {
                let switch = switches.find(&Some(segment.clone()))?;
                writeln!(lines, "link set {device} master {switch} up")?;
            }
            self.plug(trunk.name.clone(), Port { device: first, node: None });
        }
        self.lan.ip(&lines)?;
        for inside in self.nodes.values() {
            inside.sysctl(&MUTE)?;
            inside.ip(&uplink("br0", MACHINE_DEVICE, super::nodes::TAP, AGEING))?;
        }
        for (index, client) in scenario.clients.iter().enumerate() {
            set_up_client(self.machine(&client.get_ref().name)?, index)?;
        }
        for hostile in &scenario.hostiles {
            let inside = self.machine(&hostile.get_ref().name)?;
            inside.sysctl(&MUTE)?;
            inside.ip(&format!("link set {MACHINE_DEVICE} up\n"))?;
        }
        Ok(self)
    }

    fn plug(&mut self, link: String, port: Port) {
        self.ports.insert(link, port);
    }

    /// The directory of the run's files.
    pub(super) fn files(&self) -> &Path {
        &self.room.files
    }

    /// The namespace of a node.
    pub(super) fn node(&self, id: u8) -> Result<&Namespace> {
        self.nodes.get(&id).with_context(|| format!("the scenario has no node {id}"))
    }

    /// The namespace of a client or of a hostile machine.
    pub(super) fn machine(&self, name: &str) -> Result<&Namespace> {
        self.machines.get(name).with_context(|| format!("the scenario has no machine {name:?}"))
    }

    fn port(&self, link: &str) -> Result<&Port> {
        self.ports.get(link).with_context(|| format!("the scenario has no cable {link:?}"))
    }

    /// The node whose cable this is.
    pub(super) fn owner(&self, link: &str) -> Option<u8> {
        self.ports.get(link)?.node
    }

    /// Cuts a cable where nobody sees it: the switch neither forwards nor floods by its port.
    pub(super) fn cut(&self, link: &str, way: Way) -> Result<()> {
        ensure!(way == Way::Both, "a bridge cuts both ways");
        self.set_state(link, DISABLED)
    }

    /// Mends a cable that was cut.
    pub(super) fn heal(&self, link: &str, way: Way) -> Result<()> {
        ensure!(way == Way::Both, "a bridge heals both ways");
        self.set_state(link, FORWARDING)
    }

    fn set_state(&self, link: &str, state: u8) -> Result<()> {
        let device = &self.port(link)?.device;
        self.lan.bridge(&format!("link set dev {device} state {state}\n"))
    }

    /// Takes a port at the switch down or up, and with it the carrier that the machine sees. A bridge in
    /// a node's machine does not pass that on to the TAP, so it is told as well; and by its state, because
    /// the kernel may keep a change of a carrier to itself for a second.
    pub(super) fn set_link(&self, link: &str, up: bool) -> Result<()> {
        let port = self.port(link)?;
        let state = if up { "up" } else { "down" };
        if let Some(node) = port.node {
            self.node(node)?.ip(&format!("link set {} {state}\n", super::nodes::TAP))?;
        }
        self.lan.ip(&format!("link set {} {state}\n", port.device))
    }
}

impl Drop for Plant {
    fn drop(&mut self) {
        let machines = self.nodes.values().chain(self.machines.values());
        Namespace::delete(machines.chain([&self.lan]));
    }
}

/// A client's kernel: ready to talk the moment it has its addresses, and allowed to ping.
fn set_up_client(inside: &Namespace, index: usize) -> Result<()> {
    inside.sysctl(&PROMPT)?;
    inside.sysctl(&[("net/ipv4/ping_group_range", "0 2147483647")])?;
    let number = u8::try_from(index).ok().filter(|&number| number < 50);
    let number = number.context("more than 50 clients")?;
    let v4 = Ipv4Addr::new(10, 77, 0, 201 + number);
    let v6 = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x201 + u16::from(number));
    inside.ip(&format!(
        "addr add {v4}/24 dev {MACHINE_DEVICE}\n\
         addr add {v6}/64 dev {MACHINE_DEVICE} nodad\n\
         link set {MACHINE_DEVICE} up\n"
    ))
}

/// The switches of a scenario: their names in the file, their ageing, and the names of their bridges.
struct Switches(Vec<(String, Duration, String)>);

impl Switches {
    fn of(scenario: &Scenario) -> Switches {
        let lan = Segment { name: ONLY_SEGMENT.to_owned(), ageing: None };
        let segments = scenario.segments.iter().map(|segment| segment.get_ref());
        let segments: Vec<&Segment> =
            if scenario.segments.is_empty() { vec![&lan] } else { segments.collect() };
        let switch = |(index, segment): (usize, &Segment)| {
            let ageing = segment.ageing.map_or(AGEING, |ageing| ageing.0);
            (segment.name.clone(), ageing, format!("switch{index}"))
        };
        Switches(segments.into_iter().enumerate().map(switch).collect())
    }

    fn lines(&self) -> String {
        self.0.iter().map(|(_, ageing, device)| bridge(device, *ageing)).collect()
    }

    /// The bridge of a segment; the first if none is named.
    fn find(&self, segment: &Option<String>) -> Result<&str> {
        let mut switches = self.0.iter();
        let found = match segment {
            None => switches.next(),
            Some(wanted) => switches.find(|(name, ..)| name == wanted),
        };
        ensure!(found.is_some(), "the scenario has no segment {segment:?}");
        found.map(|(.., device)| device.as_str()).context("just found")
    }
}
