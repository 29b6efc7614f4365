//! Eyes on the world: what each node is, does and says, from moment to moment.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use locum_lab::frame;
use locum_monitor::Event;
use locum_sim::{NodeIndex, NodeState, Station, WorldEventKind};
use locum_types::{Instant, Mode};

use super::stage::Stage;
use super::status::status;
use crate::outcome::{Condition, ModeChange, News, NodeTrack, Word};
use crate::wire::{is_beat, word};

/// What the nodes were heard to say, in order; shared with the world's watcher.
type Heard = Rc<RefCell<Vec<(Instant, NodeIndex, Said)>>>;

#[derive(Clone, Copy)]
enum Said {
    Beat,
    Word(Word),
}

/// One node's track, while it is drawn.
struct Drawing {
    index: NodeIndex,
    /// The mode it told last.
    mode: Mode,
    track: NodeTrack,
}

/// The tracks of all nodes.
pub(super) struct Tracks {
    start: Option<Instant>,
    drawings: Vec<Drawing>,
    heard: Heard,
    /// Events of the world that were read.
    events: usize,
}

impl Tracks {
    /// Watches from now on.
    pub(super) fn watch(stage: &mut Stage) -> Tracks {
        let heard = Heard::default();
        let (ears, nodes) = (Rc::clone(&heard), stage.nodes.clone());
        stage.world.watch(move |sight| {
            let Station::Node(index) = sight.from else { return };
            let Some(parsed) = frame::parse(sight.frame) else { return };
            let Some(&(id, _)) = nodes.iter().find(|(_, other)| *other == index) else { return };
            let said = match is_beat(id, &parsed) {
                true => Some(Said::Beat),
                false => word(&parsed).map(Said::Word),
            };
            ears.borrow_mut().extend(said.map(|said| (sight.at, index, said)));
        });
        let drawing = |&(id, index): &(u8, NodeIndex)| Drawing {
            index,
            mode: Mode::Joining,
            track: NodeTrack {
                id,
                conditions: vec![(Duration::ZERO, Condition::Dead)],
                changes: Vec::new(),
                beats: Vec::new(),
                words: Vec::new(),
                status: serde_json::Value::Null,
            },
        };
        let drawings = stage.nodes.iter().map(drawing).collect();
        Tracks { start: None, drawings, heard, events: 0 }
    }

    /// The group has settled: time counts from now on, and what was before is forgotten.
    pub(super) fn begin(&mut self, stage: &Stage) {
        self.start = Some(stage.world.now());
        self.heard.borrow_mut().clear();
        for drawing in &mut self.drawings {
            let last = drawing.track.conditions.last().map(|&(_, condition)| condition);
            drawing.track.conditions = vec![(Duration::ZERO, last.unwrap_or(Condition::Dead))];
            drawing.track.changes.clear();
        }
    }

    /// The moment from which time counts.
    pub(super) fn start(&self) -> Instant {
        self.start.unwrap_or(Instant::ZERO)
    }

    /// Lets time pass until `end`, and looks whenever something happened.
    pub(super) fn play_until(
        &mut self,
        stage: &mut Stage,
        end: Duration,
        tell: &mut dyn FnMut(News<'_>),
    ) {
        let end = self.start() + end;
        loop {
            stage.world.step();
            self.look(stage, tell);
            if !stage.world.advance(end) {
                return;
            }
        }
    }

    /// Looks at every node.
    pub(super) fn look(&mut self, stage: &Stage, tell: &mut dyn FnMut(News<'_>)) {
        let now = stage.world.now().saturating_since(self.start());
        self.read_events(stage, tell);
        for drawing in &mut self.drawings {
            let condition = match stage.world.state(drawing.index) {
                NodeState::Dead => Condition::Dead,
                NodeState::Frozen => Condition::Frozen,
                NodeState::Running => Condition::Running(drawing.mode),
            };
            let conditions = &mut drawing.track.conditions;
            if conditions.last().is_none_or(|&(_, last)| last != condition) {
                conditions.push((now, condition));
            }
        }
    }

    fn read_events(&mut self, stage: &Stage, tell: &mut dyn FnMut(News<'_>)) {
        let events = stage.world.events();
        let news = events.get(self.events..).unwrap_or_default();
        self.events = events.len();
        for event in news {
            let start = self.start();
            let node = event.node.get();
            let drawing = self.drawings.iter_mut().find(|drawing| drawing.track.id == node);
            let Some(drawing) = drawing else { continue };
            match event.kind {
                // Whatever it was before, a new process begins by joining.
                WorldEventKind::Fault("started") => drawing.mode = Mode::Joining,
                WorldEventKind::Fault(_) => {}
                WorldEventKind::Reported(Event::ModeChanged { from, to, cause, term, .. }) => {
                    drawing.mode = to;
                    let at = event.at.saturating_since(start);
                    let (cause, term) = (cause.to_string(), term.0);
                    let change = ModeChange { at, from, to, cause, term };
                    tell(News::Change { node, change: &change });
                    drawing.track.changes.push(change);
                }
                WorldEventKind::Reported(
                    Event::PeerUp { .. }
                    | Event::PeerDown { .. }
                    | Event::Degraded { .. }
                    | Event::Isolated
                    | Event::Recovered { .. }
                    | Event::HandoverRefused { .. }
                    | Event::HandedOver { .. }
                    | Event::HandoverFailed { .. }
                    | Event::RivalHeard { .. }
                    | Event::DuplicateId
                    | Event::TwinHeard { .. }
                    | Event::ConfigRefused,
                ) => {}
            }
        }
    }

    /// The finished tracks.
    pub(super) fn into_nodes(mut self, stage: &Stage) -> Vec<NodeTrack> {
        let start = self.start();
        for &(at, index, said) in self.heard.borrow().iter() {
            let drawing = self.drawings.iter_mut().find(|drawing| drawing.index == index);
            let Some(Drawing { track, .. }) = drawing else { continue };
            let at = at.saturating_since(start);
            match said {
                Said::Word(word) => track.words.push((at, word)),
                // One to each peer, at once: that is one beat.
                Said::Beat if track.beats.last() == Some(&at) => {}
                Said::Beat => track.beats.push(at),
            }
        }
        let finish = |Drawing { index, track, .. }: Drawing| NodeTrack {
            status: status(&stage.world, index, track.id),
            ..track
        };
        self.drawings.into_iter().map(finish).collect()
    }
}
