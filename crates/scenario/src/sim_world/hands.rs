//! Doing what a step says.

use locum_link::segment::rule::Direction;
use locum_sim::Jack;
use locum_types::NodeId;

use super::stage::{Cable, Stage};
use crate::model::{Action, Step, Way};

/// Does it, now. What a step names exists, and what its action needs is there: that was checked.
pub(super) fn carry_out(stage: &mut Stage, step: &Step) {
    match step.action {
        Action::Start
        | Action::KillWorker
        | Action::Kill
        | Action::Terminate
        | Action::Freeze
        | Action::Thaw
        | Action::HandOver
        | Action::JumpClock => on_node(stage, step),
        Action::Cut
        | Action::Heal
        | Action::LinkDown
        | Action::LinkUp
        | Action::Impair
        | Action::Clear => on_cable(stage, step),
        Action::Attack | Action::Cease => on_hostile(stage, step),
    }
}

fn on_node(stage: &mut Stage, step: &Step) {
    let Some(index) = stage.subject(step).and_then(|id| stage.node(id)) else { return };
    let world = &mut stage.world;
    match step.action {
        Action::Start => world.start(index),
        Action::KillWorker => world.kill(index, true),
        Action::Kill => world.kill(index, false),
        Action::Terminate => world.shut_down(index),
        Action::Freeze => world.freeze(index),
        Action::Thaw => world.thaw(index),
        Action::HandOver => world.hand_over(index, step.to.and_then(|id| NodeId::new(id).ok())),
        Action::JumpClock => world.jump_clock(index, step.by.unwrap_or_default().0),
        Action::Cut
        | Action::Heal
        | Action::LinkDown
        | Action::LinkUp
        | Action::Impair
        | Action::Clear
        | Action::Attack
        | Action::Cease => {}
    }
}

fn on_cable(stage: &mut Stage, step: &Step) {
    let cable = step.link.as_ref().and_then(|link| stage.cables.get(link));
    let Some(&cable) = cable else { return };
    let way = step.way.unwrap_or_default();
    match step.action {
        Action::Cut | Action::Heal => {
            for (jack, direction) in directions(stage, cable, way) {
                stage.world.cut_jack_one_way(jack, direction, step.action == Action::Cut);
            }
        }
        Action::Impair | Action::Clear => {
            let impairment = step.with.clone().unwrap_or_default();
            for (jack, direction) in directions(stage, cable, way) {
                stage.world.impair(jack, direction, impairment.clone());
            }
        }
        Action::LinkDown | Action::LinkUp => set_link(stage, cable, step.action == Action::LinkUp),
        Action::Start
        | Action::KillWorker
        | Action::Kill
        | Action::Terminate
        | Action::Freeze
        | Action::Thaw
        | Action::HandOver
        | Action::Attack
        | Action::Cease
        | Action::JumpClock => {}
    }
}

/// Where each direction of a cable is a direction of a jack. What a trunk transmits goes from its first
/// switch into the second.
fn directions(stage: &Stage, cable: Cable, way: Way) -> Vec<(Jack, Direction)> {
    let (tx, rx) = match cable {
        Cable::Node(index) => {
            let jack = stage.world.jack_of(index);
            ((jack, Direction::Transmit), (jack, Direction::Receive))
        }
        Cable::Machine(jack) => ((jack, Direction::Transmit), (jack, Direction::Receive)),
        Cable::Trunk([first, second]) => {
            ((second, Direction::Transmit), (first, Direction::Transmit))
        }
    };
    match way {
        Way::Both => vec![tx, rx],
        Way::Tx => vec![tx],
        Way::Rx => vec![rx],
    }
}

fn set_link(stage: &mut Stage, cable: Cable, up: bool) {
    match cable {
        Cable::Node(index) => stage.world.set_link(index, up),
        Cable::Machine(jack) => stage.world.set_port(jack, up),
        Cable::Trunk(ends) => ends.into_iter().for_each(|jack| stage.world.set_port(jack, up)),
    }
}

fn on_hostile(stage: &mut Stage, step: &Step) {
    let id = step.hostile.as_ref().and_then(|name| stage.hostiles.get(name));
    let Some(&id) = id else { return };
    let now = stage.world.now();
    stage.world.hostile_mut(id).set_arsenal(now, &step.arsenal());
}
