//! Nodes, clients, hostile machines, switches and cables.

use std::time::Duration;

use super::{Checker, Item};
use crate::model::{Program, Scenario, Span};

const NODES: std::ops::RangeInclusive<usize> = 2..=5;
const NODE_IDS: std::ops::RangeInclusive<u8> = 1..=16;
const PRIORITIES: std::ops::RangeInclusive<u8> = 1..=254;
const SEGMENTS_MAX: usize = 8;
const MACHINES_MAX: usize = 16;
const PROGRAMS_MAX: usize = 8;
const NAME_LEN_MAX: usize = 12;
const EVERY_MIN: Duration = Duration::from_millis(1);
/// The switch of a scenario that names none.
const LAN: &str = "lan";

/// The names of the switches.
pub(super) fn segments(scenario: &Scenario) -> Vec<String> {
    if scenario.segments.is_empty() {
        return vec![LAN.to_owned()];
    }
    scenario.segments.iter().map(|segment| segment.get_ref().name.clone()).collect()
}

/// The names of the cables: those of nodes, clients, hostile machines and trunks.
pub(super) fn cables(scenario: &Scenario) -> Vec<String> {
    let Scenario { nodes, clients, hostiles, trunks, .. } = scenario;
    let nodes = nodes.iter().map(|node| format!("node{}", node.get_ref().id));
    let clients = clients.iter().map(|client| client.get_ref().name.clone());
    let hostiles = hostiles.iter().map(|hostile| hostile.get_ref().name.clone());
    let trunks = trunks.iter().map(|trunk| trunk.get_ref().name.clone());
    nodes.chain(clients).chain(hostiles).chain(trunks).collect()
}

impl Checker<'_> {
    pub(super) fn network(&mut self) {
        self.segments();
        self.trunks();
        self.nodes();
        self.clients();
        for (item, hostile) in Item::all("hostile", &self.scenario.hostiles) {
            self.name(item, &hostile.name);
            self.plug(item, hostile.segment.as_ref());
        }
        let scenario = self.scenario;
        if scenario.clients.len() + scenario.hostiles.len() > MACHINES_MAX {
            let what = format!("there may be {MACHINES_MAX} clients and hostile machines");
            let kind = if scenario.clients.is_empty() { "hostile" } else { "client" };
            self.report(Item { kind, index: 0 }, "", what, "remove some");
        }
        self.cable_names();
    }

    fn segments(&mut self) {
        let scenario = self.scenario;
        for (item, segment) in Item::all("segment", &scenario.segments) {
            self.name(item, &segment.name);
            let before = &scenario.segments[..item.index];
            if before.iter().any(|other| other.get_ref().name == segment.name) {
                let what = format!("\"{}\" is the name of another switch too", segment.name);
                self.report(item, "name", what, "give each switch its own name");
            }
        }
        if scenario.segments.len() > SEGMENTS_MAX {
            let item = Item { kind: "segment", index: SEGMENTS_MAX };
            self.report(item, "", format!("there may be {SEGMENTS_MAX} switches"), "remove some");
        }
    }

    /// Trunks join two switches each, and never make a loop: there is no spanning tree.
    fn trunks(&mut self) {
        let scenario = self.scenario;
        let segments = segments(scenario);
        // Which switches are joined already: each points at one of its kind.
        let mut joined: Vec<usize> = (0..segments.len()).collect();
        for (item, trunk) in Item::all("trunk", &scenario.trunks) {
            self.name(item, &trunk.name);
            let ends = trunk.between.each_ref().map(|name| {
                let end = segments.iter().position(|segment| segment == name);
                if end.is_none() {
                    self.unknown(item, "between", "switch", name, &segments);
                }
                end
            });
            let [Some(a), Some(b)] = ends else { continue };
            if joined[a] == joined[b] {
                let what = "closes a loop, in which frames would go round for ever";
                self.report(item, "between", what, "join switches as a tree");
            }
            let (old, new) = (joined[b], joined[a]);
            joined.iter_mut().filter(|kind| **kind == old).for_each(|kind| *kind = new);
        }
    }

    fn nodes(&mut self) {
        let scenario = self.scenario;
        for (item, node) in Item::all("node", &scenario.nodes) {
            if !NODE_IDS.contains(&node.id) {
                let what =
                    format!("must be {NODE_IDS:?}, and is {}", node.id).replace("..=", " to ");
                self.report(item, "id", what, "count the nodes from 1");
            }
            let before = &scenario.nodes[..item.index];
            if before.iter().any(|other| other.get_ref().id == node.id) {
                let what = format!("{} is the id of another node too", node.id);
                self.report(item, "id", what, "give every node its own id");
            }
            if node.priority.is_some_and(|priority| !PRIORITIES.contains(&priority)) {
                let what = "must be 1 to 254";
                self.report(item, "priority", what, "write, for example, `priority = 200`");
            }
            self.plug(item, node.segment.as_ref());
        }
        if !NODES.contains(&scenario.nodes.len()) {
            let what =
                format!("there must be 2 to 5 nodes, and there are {}", scenario.nodes.len());
            self.report(Item { kind: "node", index: 0 }, "", what, "write [[node]] for each");
        } else if !scenario.nodes.iter().any(|node| node.get_ref().starts) {
            let what = "no node starts with the scenario, and so it can never settle";
            self.report(Item { kind: "node", index: 0 }, "starts", what, "let one of them start");
        }
    }

    fn clients(&mut self) {
        for (item, client) in Item::all("client", &self.scenario.clients) {
            self.name(item, &client.name);
            self.plug(item, client.segment.as_ref());
            let programs = &client.programs;
            if programs.is_empty() || programs.len() > PROGRAMS_MAX {
                let what = format!("a client runs 1 to {PROGRAMS_MAX} programs");
                let fix = "write, for example, `programs = [{ kind = \"udp-echo\" }]`";
                self.report(item, "programs", what, fix);
            }
            let same = |(index, program): (usize, &Program)| {
                programs[..index].iter().any(|other| other.kind == program.kind)
            };
            if programs.iter().enumerate().any(same) {
                let what = "has two programs of one kind, which nobody could tell apart";
                self.report(item, "programs", what, "use a second client");
            }
            let hurries = |program: &&Program| program.every() < EVERY_MIN;
            if let Some(Program { every: Some(Span(every)), .. }) = programs.iter().find(hurries) {
                let what = format!("one sends every {every:?}, and the least is {EVERY_MIN:?}");
                self.report(item, "programs", what, "send less often");
            }
        }
    }

    fn name(&mut self, item: Item, name: &str) {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let starts = name.starts_with(|first: char| first.is_ascii_lowercase());
        if !starts || name.len() > NAME_LEN_MAX || !name.bytes().all(plain) {
            let what = format!(
                "{name:?} is no name: a letter, then letters, digits and `-`, {NAME_LEN_MAX} in all"
            );
            self.report(item, "name", what, "write, for example, `name = \"alice\"`");
        }
    }

    /// Every cable has a name of its own.
    fn cable_names(&mut self) {
        let scenario = self.scenario;
        let names = cables(scenario);
        let counts = [
            ("node", scenario.nodes.len()),
            ("client", scenario.clients.len()),
            ("hostile", scenario.hostiles.len()),
            ("trunk", scenario.trunks.len()),
        ];
        let items = counts
            .into_iter()
            .flat_map(|(kind, count)| (0..count).map(move |index| Item { kind, index }));
        for (position, item) in items.enumerate() {
            let name = &names[position];
            // Nodes that share an id were reported for that.
            if item.kind != "node" && names[..position].contains(name) {
                let what = format!("\"{name}\" is the name of another cable too");
                let fix = "give each client, hostile machine and trunk its own name";
                self.report(item, "name", what, fix);
            }
        }
    }

    fn plug(&mut self, item: Item, segment: Option<&String>) {
        let Some(name) = segment else { return };
        let segments = segments(self.scenario);
        if !segments.contains(name) {
            self.unknown(item, "segment", "switch", name, &segments);
        }
    }
}
