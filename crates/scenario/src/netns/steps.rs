//! Carrying out the steps of a scenario at their times.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use locum_lab::capture;
use locum_types::Mode;

use super::Time;
use super::hostile::Attacker;
use super::life::conditions;
use super::log::LoggedChange;
use super::nodes::Nodes;
use super::plant::Plant;
use crate::model::{Action, Scenario, Step};
use crate::outcome::{Condition, Fault, ModeChange, News};

/// How often it is looked whether processes have ended, and how often whether their logs have grown.
const WATCH: Duration = Duration::from_millis(1);
const LOOK: Duration = Duration::from_millis(20);

/// A run that has settled.
pub(super) struct Stage<'a> {
    plant: &'a Plant,
    nodes: &'a mut Nodes,
    attackers: &'a BTreeMap<String, Attacker>,
    time: Time,
    looked: Duration,
}

impl<'a> Stage<'a> {
    pub(super) fn new(
        plant: &'a Plant,
        nodes: &'a mut Nodes,
        attackers: &'a BTreeMap<String, Attacker>,
        time: Time,
    ) -> Stage<'a> {
        // What was logged so far is old.
        nodes.news();
        Stage { plant, nodes, attackers, time, looked: Duration::ZERO }
    }

    /// Carries out all steps, and goes on to the end of the scenario.
    pub(super) fn play(
        mut self,
        scenario: &Scenario,
        tell: &mut dyn FnMut(News<'_>),
    ) -> Result<Vec<Fault>> {
        let mut steps: Vec<&Step> = scenario.steps.iter().map(|step| step.get_ref()).collect();
        steps.sort_by_key(|step| step.at);
        let mut faults = Vec::new();
        for step in steps {
            self.wait_until(step.at.0, tell);
            let node = self.subject(step);
            let fault = Fault { at: self.now(), what: step.to_string(), node };
            self.carry_out(step, node).with_context(|| format!("{}: {step}", step.at))?;
            tell(News::Fault(&fault));
            faults.push(fault);
        }
        self.wait_until(scenario.duration.0, tell);
        Ok(faults)
    }

    fn now(&self) -> Duration {
        self.time.of(capture::now()).unwrap_or_default()
    }

    fn wait_until(&mut self, time: Duration, tell: &mut dyn FnMut(News<'_>)) {
        loop {
            self.nodes.notice_ends();
            let now = self.now();
            if now >= self.looked + LOOK {
                self.looked = now;
                self.tell_changes(tell);
            }
            let Some(left) = time.checked_sub(now).filter(|left| !left.is_zero()) else { return };
            std::thread::sleep(left.min(WATCH));
        }
    }

    fn tell_changes(&mut self, tell: &mut dyn FnMut(News<'_>)) {
        for (node, LoggedChange { at, from, to, cause, term }) in self.nodes.news() {
            let at = self.time.of(at).unwrap_or_default();
            tell(News::Change { node, change: &ModeChange { at, from, to, cause, term } });
        }
    }

    fn carry_out(&mut self, step: &Step, subject: Option<u8>) -> Result<()> {
        let node = || subject.context("it needs a node");
        let link = || step.link.as_deref().context("it needs a link");
        let way = step.way.unwrap_or_default();
        let (nodes, fabric) = (&mut *self.nodes, self.plant.fabric());
        match step.action {
            Action::Start => nodes.start(node()?),
            Action::KillWorker => nodes.kill_worker(node()?),
            Action::Kill => nodes.kill(node()?),
            Action::Terminate => nodes.terminate(node()?),
            Action::Freeze => nodes.freeze(node()?),
            Action::Thaw => nodes.thaw(node()?),
            Action::HandOver => nodes.locum.handover(node()?, step.to),
            Action::Cut => fabric.set_cut(link()?, way, true),
            Action::Heal => fabric.set_cut(link()?, way, false),
            Action::Impair | Action::Clear => {
                let with = step.with.clone().unwrap_or_default();
                fabric.impair(link()?, way, &with)
            }
            Action::LinkDown => self.plant.set_link(link()?, false),
            Action::LinkUp => self.plant.set_link(link()?, true),
            Action::Attack | Action::Cease => {
                let name = step.hostile.as_deref().context("it needs a hostile machine")?;
                let attacker = self.attackers.get(name);
                attacker.context("the scenario has no such machine")?.arm(step.arsenal())
            }
            Action::JumpClock => bail!("network namespaces cannot do this"),
        }
    }

    /// The node that a step is done to: by name, as the owner of the cable, or as the active one.
    fn subject(&self, step: &Step) -> Option<u8> {
        let owner = step.link.as_deref().and_then(|link| self.plant.owner(link));
        let hands_over = step.action == Action::HandOver;
        step.node.or(owner).or_else(|| active(self.nodes).filter(|_| hands_over))
    }
}

/// The node that is active now, if one is.
fn active(nodes: &Nodes) -> Option<u8> {
    let mut all = nodes.all().iter();
    let active = all.find(|node| {
        let condition = conditions(&node.life, &node.changes()).pop();
        matches!(condition, Some((_, Condition::Running(Mode::Active))))
    });
    active.map(|node| node.id)
}
