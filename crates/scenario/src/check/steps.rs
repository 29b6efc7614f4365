//! What each action needs, and what would mean nothing to it.

use std::time::Duration;

use locum_sim::Weapon;

use super::{Checker, Item, network};
use crate::model::{Action, SPAN_MAX, Scenario, Step, shares};

/// More frames than this say more about the machine that runs the scenario.
const ATTACK_EVERY_MIN: Duration = Duration::from_micros(100);

/// What an action has to do with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// It cannot do without.
    Must,
    /// It has a default.
    May,
    /// It means nothing.
    No,
}

/// The keys of an action, besides `at` and `do`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    pub(crate) action: Action,
    node: Need,
    link: Need,
    way: Need,
    to: Need,
    with: Need,
    hostile: Need,
    weapons: Need,
    every: Need,
    by: Need,
}

impl Needs {
    const fn nothing(action: Action) -> Needs {
        use Need::No;
        Needs {
            action,
            node: No,
            link: No,
            way: No,
            to: No,
            with: No,
            hostile: No,
            weapons: No,
            every: No,
            by: No,
        }
    }

    const fn node(action: Action) -> Needs {
        Needs { node: Need::Must, ..Needs::nothing(action) }
    }

    const fn port(action: Action) -> Needs {
        Needs { link: Need::Must, ..Needs::nothing(action) }
    }

    const fn cable(action: Action) -> Needs {
        Needs { way: Need::May, ..Needs::port(action) }
    }

    /// Each key, and what the action has to do with it.
    pub(crate) const fn keys(&self) -> [(&'static str, Need); 9] {
        [
            ("node", self.node),
            ("link", self.link),
            ("way", self.way),
            ("to", self.to),
            ("with", self.with),
            ("hostile", self.hostile),
            ("weapons", self.weapons),
            ("every", self.every),
            ("by", self.by),
        ]
    }
}

/// Every action, in the order of docs/SCENARIOS.md.
pub(crate) const NEEDS: [Needs; 16] = [
    Needs::node(Action::Start),
    Needs::node(Action::KillWorker),
    Needs::node(Action::Kill),
    Needs::node(Action::Terminate),
    Needs::node(Action::Freeze),
    Needs::node(Action::Thaw),
    Needs { node: Need::May, to: Need::May, ..Needs::nothing(Action::HandOver) },
    Needs::cable(Action::Cut),
    Needs::cable(Action::Heal),
    Needs::port(Action::LinkDown),
    Needs::port(Action::LinkUp),
    Needs { with: Need::Must, ..Needs::cable(Action::Impair) },
    Needs::cable(Action::Clear),
    Needs {
        hostile: Need::Must,
        weapons: Need::Must,
        every: Need::May,
        ..Needs::nothing(Action::Attack)
    },
    Needs { hostile: Need::Must, ..Needs::nothing(Action::Cease) },
    Needs { by: Need::Must, ..Needs::node(Action::JumpClock) },
];

/// How each key is written, for advice.
fn example(key: &str) -> &'static str {
    match key {
        "node" | "to" => "1",
        "link" => "\"node1\"",
        "way" => "\"tx\"",
        "with" => "{ loss = 0.1 }",
        "hostile" => "\"mallory\"",
        "weapons" => "[\"arp-claim\"]",
        _ => "\"1s\"",
    }
}

fn has(step: &Step, key: &str) -> bool {
    match key {
        "node" => step.node.is_some(),
        "link" => step.link.is_some(),
        "way" => step.way.is_some(),
        "to" => step.to.is_some(),
        "with" => step.with.is_some(),
        "hostile" => step.hostile.is_some(),
        "weapons" => step.weapons.is_some(),
        "every" => step.every.is_some(),
        _ => step.by.is_some(),
    }
}

impl Checker<'_> {
    pub(super) fn steps(&mut self) {
        for (item, step) in Item::all("step", &self.scenario.steps) {
            let Scenario { duration, .. } = self.scenario;
            if step.at > *duration {
                let what = format!("{} is after the end, which is at {duration}", step.at);
                self.report(item, "at", what, "do it earlier, or make `duration` longer");
            }
            self.step_keys(item, step);
            self.step_names(item, step);
            self.impairment(item, step);
            if step.action == Action::JumpClock && self.is_for_netns() {
                let what =
                    "is possible in the simulator alone: machines in namespaces share a clock";
                self.report(item, "do", what, "write `worlds = [\"sim\"]` at the top");
            }
        }
    }

    fn step_keys(&mut self, item: Item, step: &Step) {
        let Some(needs) = NEEDS.iter().find(|needs| needs.action == step.action) else { return };
        for (key, need) in needs.keys() {
            match (need, has(step, key)) {
                (Need::Must, false) => {
                    let what = format!("\"{}\" needs `{key}`", step.action);
                    self.report(item, "do", what, format!("add `{key} = {}`", example(key)));
                }
                (Need::No, true) => {
                    let what = format!("means nothing for \"{}\"", step.action);
                    self.report(item, key, what, "remove it");
                }
                (Need::Must | Need::May, true) | (Need::May | Need::No, false) => {}
            }
        }
    }

    fn step_names(&mut self, item: Item, step: &Step) {
        let scenario = self.scenario;
        for (key, node) in [("node", step.node), ("to", step.to)] {
            if let Some(id) = node {
                self.require_node(item, key, id);
            }
        }
        if step.to.is_some() && step.to == step.node {
            self.report(item, "to", "is the node itself", "name another, or none");
        }
        if let Some(link) = &step.link {
            let cables = network::cables(scenario);
            if !cables.contains(link) {
                self.unknown(item, "link", "cable", link, &cables);
            }
        }
        if let Some(hostile) = &step.hostile {
            let names = scenario.hostiles.iter().map(|hostile| hostile.get_ref().name.clone());
            let names: Vec<String> = names.collect();
            if !names.contains(hostile) {
                self.unknown(item, "hostile", "hostile machine", hostile, &names);
            }
        }
        for weapon in step.weapons.iter().flatten() {
            let names: Vec<String> = Weapon::ALL.map(|weapon| weapon.name().to_owned()).to_vec();
            if !names.contains(weapon) {
                self.unknown(item, "weapons", "weapon", weapon, &names);
            }
        }
        if step.every.is_some_and(|every| every.0 < ATTACK_EVERY_MIN) {
            let what = format!("must be at least {ATTACK_EVERY_MIN:?}");
            self.report(item, "every", what, "attack less often, or with more weapons");
        }
        if step.weapons.as_ref().is_some_and(Vec::is_empty) {
            self.report(item, "weapons", "is empty", "name one, or use \"cease\"");
        }
    }

    fn impairment(&mut self, item: Item, step: &Step) {
        let Some(with) = &step.with else { return };
        for (key, share) in shares(with) {
            if !(0.0..=1.0).contains(&share) {
                let what = format!("`{key}` is a share of all frames, 0 to 1, and is {share}");
                self.report(item, "with", what, format!("write, for example, `{key} = 0.1`"));
            }
        }
        for (key, span) in
            [("latency", with.latency), ("jitter", with.jitter), ("reorder_by", with.reorder_by)]
        {
            if span > SPAN_MAX {
                let what = format!("`{key}` is more than an hour, and scenarios are short");
                self.report(item, "with", what, format!("write, for example, `{key} = \"5ms\"`"));
            }
        }
        if with.is_clear() {
            let fix = "say what happens to frames, or use \"clear\"";
            self.report(item, "with", "is empty", fix);
        }
        if with.bandwidth == Some(0) {
            let what = "`bandwidth` must be above 0 bits a second";
            self.report(item, "with", what, "use \"cut\" for a cable that carries nothing");
        }
    }
}
