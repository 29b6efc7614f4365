//! The network of a scenario: its switches, and a namespace for each machine.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use locum_lab::Namespace;
use locum_lab::room::Room;
use locum_lab::wiring::{MUTE, PROMPT, uplink};

use super::fabric::{Fabric, MACHINE_DEVICE, Plug};
use crate::model::Scenario;

/// The network. Dropping it takes down its namespaces and everything in them.
#[derive(Debug)]
pub(super) struct Plant {
    room: Room,
    fabric: Fabric,
    nodes: BTreeMap<u8, Namespace>,
    machines: BTreeMap<String, Namespace>,
}

impl Plant {
    /// Builds the network of a scenario. Call it inside.
    pub(super) fn build(scenario: &Scenario, seed: u64) -> Result<Plant> {
        let room = Room::new("s")?;
        let prefix = &room.prefix;
        let machines = Machine::all(scenario);
        let mut names = vec![format!("{prefix}-lan")];
        names.extend((0..machines.len()).map(|index| format!("{prefix}-machine{index}")));
        let mut namespaces = Namespace::create(&names)?.into_iter();
        let lan = namespaces.next().context("the lan was just created")?;
        let inside: Vec<Namespace> = namespaces.collect();
        let plugs: Vec<Plug<'_>> = machines
            .iter()
            .zip(&inside)
            .map(|(machine, inside)| Plug {
                link: &machine.link,
                segment: machine.segment,
                machine: inside,
            })
            .collect();
        let fabric = Fabric::build(lan, scenario, &plugs, seed)?;
        let mut plant = Plant { room, fabric, nodes: BTreeMap::new(), machines: BTreeMap::new() };
        for (machine, inside) in machines.into_iter().zip(inside) {
            machine.role.set_up(&inside)?;
            match machine.role {
                Role::Node(id) => plant.nodes.insert(id, inside).is_none(),
                Role::Client(_) | Role::Hostile => {
                    plant.machines.insert(machine.link, inside).is_none()
                }
            };
        }
        Ok(plant)
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

    /// The switches and the cables.
    pub(super) fn fabric(&self) -> &Fabric {
        &self.fabric
    }

    /// The node whose cable this is.
    pub(super) fn owner(&self, link: &str) -> Option<u8> {
        self.nodes.keys().copied().find(|&id| node_link(id) == link)
    }

    /// Takes a port at the switch down or up, and with it the carrier that the machine sees. A bridge in
    /// a node's machine does not pass that on to the TAP, so it is told as well; and by its state, because
    /// the kernel may keep a change of a carrier to itself for a second.
    pub(super) fn set_link(&self, link: &str, up: bool) -> Result<()> {
        if let Some(node) = self.owner(link) {
            let state = if up { "up" } else { "down" };
            self.node(node)?.ip(&format!("link set {} {state}\n", super::nodes::TAP))?;
        }
        self.fabric.set_link(link, up)
    }
}

impl Drop for Plant {
    fn drop(&mut self) {
        let machines = self.nodes.values().chain(self.machines.values());
        Namespace::delete(machines.chain([self.fabric.lan()]));
    }
}

fn node_link(id: u8) -> String {
    format!("node{id}")
}

/// One machine, before it has a namespace.
struct Machine<'a> {
    /// The name of its cable.
    link: String,
    segment: Option<&'a str>,
    role: Role,
}

#[derive(Clone, Copy)]
enum Role {
    Node(u8),
    /// The position among the clients.
    Client(usize),
    Hostile,
}

impl<'a> Machine<'a> {
    fn all(scenario: &'a Scenario) -> Vec<Machine<'a>> {
        let nodes = scenario.nodes.iter().map(|node| node.get_ref()).map(|node| Machine {
            link: node_link(node.id),
            segment: node.segment.as_deref(),
            role: Role::Node(node.id),
        });
        let clients = scenario.clients.iter().map(|client| client.get_ref());
        let clients = clients.enumerate().map(|(index, client)| Machine {
            link: client.name.clone(),
            segment: client.segment.as_deref(),
            role: Role::Client(index),
        });
        let hostiles = scenario.hostiles.iter().map(|hostile| hostile.get_ref());
        let hostiles = hostiles.map(|hostile| Machine {
            link: hostile.name.clone(),
            segment: hostile.segment.as_deref(),
            role: Role::Hostile,
        });
        nodes.chain(clients).chain(hostiles).collect()
    }
}

impl Role {
    /// Makes a namespace with a cable into this kind of machine.
    fn set_up(self, inside: &Namespace) -> Result<()> {
        match self {
            // What a hostile machine sends comes from a program on a TAP, too. The bridge is a piece of
            // cable: it remembers nothing, and so passes on all that the switch floods.
            Role::Node(_) | Role::Hostile => {
                inside.sysctl(&MUTE)?;
                inside.ip(&uplink("br0", MACHINE_DEVICE, super::nodes::TAP, Duration::ZERO))
            }
            Role::Client(index) => set_up_client(inside, index),
        }
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
