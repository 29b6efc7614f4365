//! Carrying out the steps of a scenario at their times.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use locum_lab::capture;
use locum_types::Mode;

use super::Time;
use super::life::conditions;
use super::nodes::Nodes;
use super::plant::Plant;
use crate::model::{Action, Scenario, Step};
use crate::outcome::{Condition, Fault};

/// How often the ends of processes are looked for while nothing else is to be done.
const WATCH: Duration = Duration::from_millis(1);

/// A run that has settled.
pub(super) struct Stage<'a> {
    pub(super) plant: &'a Plant,
    pub(super) nodes: &'a mut Nodes,
    pub(super) time: Time,
}

impl Stage<'_> {
    /// Carries out all steps, and goes on to the end of the scenario.
    pub(super) fn play(
        &mut self,
        scenario: &Scenario,
        progress: &mut dyn FnMut(&Fault),
    ) -> Result<Vec<Fault>> {
        let mut steps: Vec<&Step> = scenario.steps.iter().map(|step| step.get_ref()).collect();
        steps.sort_by_key(|step| step.at);
        let mut faults = Vec::new();
        for step in steps {
            self.wait_until(step.at.0);
            let fault = Fault {
                at: self.time.of(capture::now()).unwrap_or_default(),
                what: step.to_string(),
                node: self.subject(step),
            };
            progress(&fault);
            self.carry_out(step).with_context(|| format!("{:?}: {step}", step.at.0))?;
            faults.push(fault);
        }
        self.wait_until(scenario.duration.0);
        Ok(faults)
    }

    fn wait_until(&mut self, time: Duration) {
        loop {
            self.nodes.notice_ends();
            let now = self.time.of(capture::now()).unwrap_or_default();
            let Some(left) = time.checked_sub(now).filter(|left| !left.is_zero()) else { return };
            std::thread::sleep(left.min(WATCH));
        }
    }

    fn carry_out(&mut self, step: &Step) -> Result<()> {
        let node = || step.node.context("it needs a node");
        let link = || step.link.as_deref().context("it needs a link");
        let (nodes, fabric) = (&mut *self.nodes, self.plant.fabric());
        match step.action {
            Action::Start => nodes.start(node()?),
            Action::KillWorker => nodes.kill_worker(node()?),
            Action::Kill => nodes.kill(node()?),
            Action::Terminate => nodes.terminate(node()?),
            Action::Freeze => nodes.freeze(node()?),
            Action::Thaw => nodes.thaw(node()?),
            Action::HandOver => {
                let from = step.node.or_else(|| active(nodes)).context("no node is active")?;
                nodes.locum.handover(from, step.to)
            }
            Action::Cut => fabric.cut(link()?, step.way.unwrap_or_default()),
            Action::Heal => fabric.heal(link()?, step.way.unwrap_or_default()),
            Action::LinkDown => self.plant.set_link(link()?, false),
            Action::LinkUp => self.plant.set_link(link()?, true),
            Action::Impair | Action::Clear | Action::Attack | Action::Cease | Action::JumpClock => {
                bail!("network namespaces cannot do this")
            }
        }
    }

    /// The node that a step is done to: by name, or as the owner of the cable.
    fn subject(&self, step: &Step) -> Option<u8> {
        let owner = step.link.as_deref().and_then(|link| self.plant.owner(link));
        step.node.or(owner)
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
