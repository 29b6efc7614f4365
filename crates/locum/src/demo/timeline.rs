//! What happened, as plain data. The renderers and the checks read it, and measure nothing of their
//! own.

use std::time::Duration;

use locum_sim::Record;
use locum_stack::FlowsLost;
use locum_types::{Cause, Instant, Mode, NodeId, Protection, Term};

use super::check::Outcome;
use super::script::{Act, Action, Client};

/// What a node's process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// There is none.
    Dead,
    /// It is stopped.
    Frozen,
    /// It runs, in this mode.
    Running(Mode),
}

/// A node at one moment, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeView {
    pub(super) condition: Condition,
    /// Whether its cable is cut.
    pub(super) cut: bool,
}

impl NodeView {
    /// Whether the node runs and is active, reachable or not.
    pub(super) fn is_active(self) -> bool {
        self.condition == Condition::Running(Mode::Active)
    }
}

/// Something that stayed the same for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span<T> {
    pub(super) from: Instant,
    pub(super) until: Instant,
    pub(super) view: T,
}

/// Something through the whole play.
#[derive(Clone, Debug)]
pub(super) struct Course<T> {
    changes: Vec<(Instant, T)>,
}

impl<T: Copy + PartialEq> Course<T> {
    /// Something that is `view` from the beginning.
    fn new(view: T) -> Self {
        Course { changes: vec![(Instant::ZERO, view)] }
    }

    /// Notes how it is at `at`; true if it was different before.
    pub(super) fn note(&mut self, at: Instant, view: T) -> bool {
        let changed = self.view() != view;
        if changed {
            self.changes.push((at, view));
        }
        changed
    }

    /// How it is at the end.
    pub(super) fn view(&self) -> T {
        self.changes.last().expect("a course begins with a view").1
    }

    /// What it was, one thing after another, until `end`. What lasted no time is left out.
    pub(super) fn spans(&self, end: Instant) -> impl Iterator<Item = Span<T>> {
        let ends = self.changes.iter().skip(1).map(|&(at, _)| at).chain([end]);
        let spans = self.changes.iter().zip(ends).map(move |(&(from, view), until)| {
            let until = until.min(end);
            Span { from, until, view }
        });
        spans.filter(|span| span.from < span.until)
    }
}

impl<T: Copy + PartialEq + Default> Default for Course<T> {
    fn default() -> Self {
        Course::new(T::default())
    }
}

/// One node through the whole play.
#[derive(Clone, Debug)]
pub(super) struct NodeLane {
    pub(super) id: NodeId,
    course: Course<NodeView>,
}

impl NodeLane {
    /// A node that is `view` from the beginning.
    pub(super) fn new(id: NodeId, view: NodeView) -> Self {
        NodeLane { id, course: Course::new(view) }
    }

    /// Notes how the node is at `at`; true if it was different before.
    pub(super) fn note(&mut self, at: Instant, view: NodeView) -> bool {
        self.course.note(at, view)
    }

    /// The node at the end.
    pub(super) fn view(&self) -> NodeView {
        self.course.view()
    }

    /// What the node was, one thing after another, until `end`.
    pub(super) fn spans(&self, end: Instant) -> impl Iterator<Item = Span<NodeView>> {
        self.course.spans(end)
    }
}

/// One client through the whole play.
#[derive(Clone, Debug)]
pub(super) struct ClientLane {
    pub(super) client: Client,
    pub(super) record: Record,
}

/// A time without answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silence {
    /// The last answer before it.
    pub(super) from: Instant,
    /// How long it lasted.
    pub(super) length: Duration,
}

impl ClientLane {
    /// The longest time without an answer within an act.
    pub(super) fn silence(&self, scene: &Scene) -> Option<Silence> {
        let gap = self.record.longest_gap_between(scene.from, scene.until);
        gap.map(|(from, length)| Silence { from, length })
    }

    /// Requests sent within an act. The very last may still be on its way: it counts to none.
    pub(super) fn sent(&self, scene: &Scene) -> usize {
        self.record.sent_between(scene.from, self.last_call(scene))
    }

    /// Requests sent within an act and never answered, of those that [`sent`](Self::sent) counts.
    pub(super) fn lost(&self, scene: &Scene) -> usize {
        self.record.lost_between(scene.from, self.last_call(scene))
    }

    /// Bytes within an act that were not what they must be. After one that is changed no further is looked at.
    pub(super) fn wrong(&self, scene: &Scene) -> usize {
        let corrupt = self.record.corruptions().iter().map(|(at, _)| *at);
        let garbled = self.record.garbled().iter().map(|garbled| garbled.at);
        corrupt.chain(garbled).filter(|at| *at >= scene.from && *at < scene.until).count()
    }

    fn last_call(&self, scene: &Scene) -> Instant {
        scene.until.saturating_sub(self.client.every())
    }

    /// When a connection was lost within an act, if one was, and how long after that came the first
    /// answer on a new one.
    pub(super) fn reconnection(&self, scene: &Scene) -> Option<(Instant, Option<Duration>)> {
        let within = |at: &&Instant| **at >= scene.from && **at < scene.until;
        let lost = *self.record.connections_lost().iter().find(within)?;
        let answers = self.record.answers();
        let next = answers.get(answers.partition_point(|&at| at < lost));
        Some((lost, next.map(|&at| at - lost)))
    }
}

/// What passed over the wire, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FrameCounts {
    /// Beats from node to node.
    pub(super) beats: u64,
    /// ARP requests and neighbour solicitations of clients for the service address.
    pub(super) questions: u64,
    /// Answers to them.
    pub(super) answers: u64,
    /// Answers that another node than the active one gave.
    pub(super) wrong_answers: u64,
    /// Probes for the service address by waiting nodes.
    pub(super) probes: u64,
    /// Gratuitous ARP, requests and replies.
    pub(super) announcements_arp: u64,
    /// Unsolicited neighbour advertisements.
    pub(super) announcements_na: u64,
}

impl FrameCounts {
    /// What was counted since `earlier`.
    pub(super) fn since(self, earlier: FrameCounts) -> FrameCounts {
        FrameCounts {
            beats: self.beats - earlier.beats,
            questions: self.questions - earlier.questions,
            answers: self.answers - earlier.answers,
            wrong_answers: self.wrong_answers - earlier.wrong_answers,
            probes: self.probes - earlier.probes,
            announcements_arp: self.announcements_arp - earlier.announcements_arp,
            announcements_na: self.announcements_na - earlier.announcements_na,
        }
    }
}

/// The oracle's count of frames that left nodes for the service address without right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Leaks {
    /// Frames looked at.
    pub(super) checked: u64,
    /// Frames that should not have left.
    pub(super) leaked: u64,
}

/// What came of connections in an act, and how far followers were behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Copies {
    /// Connections that were to go on with another node.
    pub(super) carried: u64,
    /// Those that could not.
    pub(super) lost: FlowsLost,
    /// The most entries of the log that a follower in sync had not confirmed, and the most bytes.
    pub(super) lag_entries: u64,
    pub(super) lag_bytes: u64,
}

/// A step as it was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deed {
    pub(super) at: Instant,
    pub(super) action: Action,
    /// To whom; `None` for what concerns no node.
    pub(super) node: Option<NodeId>,
}

/// One act as it was played.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) act: &'static Act,
    pub(super) from: Instant,
    pub(super) until: Instant,
    pub(super) deeds: Vec<Deed>,
    /// What passed over the wire in this act.
    pub(super) frames: FrameCounts,
    /// Frames with the virtual MAC that the victim sent since it was thawed.
    pub(super) zombie_frames: u64,
    /// The oracle's count from the beginning of the play to the end of this act.
    pub(super) leaks: Leaks,
    pub(super) copies: Copies,
    pub(super) outcomes: Vec<Outcome>,
}

impl Scene {
    /// When its first fault came, or when it began.
    pub(super) fn begins(&self) -> Instant {
        self.fault().map_or(self.from, |deed| deed.at)
    }

    /// Who the act was played on.
    pub(super) fn victim(&self) -> Option<NodeId> {
        self.deeds.iter().find_map(|deed| deed.node)
    }

    /// The first thing done to a node, if there was one.
    pub(super) fn fault(&self) -> Option<Deed> {
        self.deeds.iter().copied().find(|deed| deed.node.is_some())
    }
}

/// Everything that happened, in four views: node by node, the group, client by client, act by act.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    pub(super) nodes: Vec<NodeLane>,
    /// What would survive, by what the active node says that clients reach; `None`: there is none.
    pub(super) protection: Course<Option<Protection>>,
    pub(super) clients: Vec<ClientLane>,
    pub(super) scenes: Vec<Scene>,
}

impl Timeline {
    /// When the last act ended.
    pub(super) fn end(&self) -> Instant {
        self.scenes.last().map_or(Instant::ZERO, |scene| scene.until)
    }

    /// The lane of a client, once it has started.
    pub(super) fn client(&self, client: Client) -> Option<&ClientLane> {
        self.clients.iter().find(|lane| lane.client == client)
    }

    /// The lanes of the clients that keep a connection.
    pub(super) fn connected(&self) -> impl Iterator<Item = &ClientLane> {
        self.clients.iter().filter(|lane| lane.client.is_connected())
    }

    /// Who became active first in an act, other than its victim, and how long after its fault.
    pub(super) fn successor(&self, scene: &Scene) -> Option<(NodeId, Duration)> {
        let since = scene.begins();
        let others = self.nodes.iter().filter(|lane| Some(lane.id) != scene.victim());
        let activations = others.filter_map(|lane| {
            let mut spans = lane.spans(scene.until);
            let span = spans.find(|span| span.from >= since && span.view.is_active())?;
            Some((lane.id, span.from - since))
        });
        activations.min_by_key(|&(_, after)| after)
    }

    /// The nodes that are active at the end of an act.
    pub(super) fn active_after(&self, scene: &Scene) -> Vec<NodeId> {
        let active = self.nodes.iter().filter(|lane| {
            lane.spans(scene.until).last().is_some_and(|span| span.view.is_active())
        });
        active.map(|lane| lane.id).collect()
    }

    /// For how long after its fault the group was not protected, if it is at the end of the act.
    pub(super) fn protected_after(&self, scene: &Scene) -> Option<Duration> {
        let last = self.protection.spans(scene.until).last()?;
        let is_protected = last.view == Some(Protection::Protected);
        is_protected.then(|| last.from.max(scene.begins()) - scene.begins())
    }

    /// How long in an act two nodes or more were active, in all, and when that ended.
    pub(super) fn overlap(&self, scene: &Scene) -> Option<Overlap> {
        let spans = self.nodes.iter().flat_map(|lane| lane.spans(scene.until));
        let active = spans.filter(|span| span.view.is_active() && span.until > scene.from);
        // Sweep over the edges; at one instant ends come first.
        let mut edges: Vec<(Instant, bool)> = active
            .flat_map(|span| [(span.from.max(scene.from), true), (span.until, false)])
            .collect();
        edges.sort();
        let (mut depth, mut since, mut overlap) = (0u32, scene.from, None::<Overlap>);
        for (at, begins) in edges {
            if depth > 1 && at > since {
                let before = overlap.map_or(Duration::ZERO, |overlap| overlap.total);
                overlap = Some(Overlap { total: before + (at - since), ended: at });
            }
            depth = if begins { depth + 1 } else { depth.saturating_sub(1) };
            since = at;
        }
        overlap
    }

    /// What each client saw of an act.
    pub(super) fn reports(&self, scene: &Scene) -> Vec<ClientReport> {
        let report = |lane: &ClientLane| ClientReport {
            client: lane.client,
            longest_silence: lane.silence(scene).map(|silence| silence.length),
            lost: lane.lost(scene),
            reconnected: lane.reconnection(scene).map(|(_, after)| after),
        };
        self.clients.iter().map(report).collect()
    }
}

/// A time with more than one active node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overlap {
    pub(super) total: Duration,
    pub(super) ended: Instant,
}

/// One thing worth telling, at its time, with all nodes as they were just then.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) at: Instant,
    pub(super) nodes: Vec<NodeView>,
    pub(super) what: What,
}

/// What is worth telling.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// An act begins; acts count from 1.
    Act { number: usize, act: &'static Act },
    /// The play did something.
    Did(Deed),
    /// A node changed its mode, or its lease ran out (then there is no cause).
    Changed {
        node: NodeId,
        to: Mode,
        cause: Option<Cause>,
        term: Option<Term>,
        /// The time from the predecessor's last sign of life, as the node measured it.
        detection: Option<Duration>,
    },
    /// A client asked who has the service address.
    Asked { client: Client },
    /// A node answered that.
    Answered { node: NodeId },
    /// A node asked for the service address from its own MAC, to see whether anyone serves it.
    Probed { node: NodeId },
    /// A node told its peers that it is no longer active; a dead one by its warden.
    Resigned { node: NodeId, peers: u64, by_warden: bool },
    /// An active node offered the service address to another.
    Offered { node: NodeId, to: NodeId },
    /// A node's first announcement since it became active.
    Announced { node: NodeId, arp: u64, na: u64 },
    /// One beat.
    Beat { from: NodeId, to: NodeId, mode: Mode, term: Term, sequence: u64 },
    /// The active node is protected now, by those that have everything, or not any more.
    Protection { node: NodeId, protection: Protection, followers: Vec<NodeId> },
    /// A node that has become active goes on with connections of the one before it.
    Carried { node: NodeId, flows: u64 },
    /// It could not go on with these.
    FlowsLost { node: NodeId, lost: FlowsLost },
    /// A client lost its connection.
    ConnectionLost { client: Client },
    /// A client got an answer again after a silence.
    AnsweredAgain { client: Client, silence: Duration },
    /// The act is over: what each client saw and what passed over the wire.
    Seen(Report),
    /// A check was made.
    Checked(Outcome),
}

/// What an act looked like from outside.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Report {
    pub(super) clients: Vec<ClientReport>,
    pub(super) frames: FrameCounts,
    pub(super) copies: Copies,
}

/// What one client saw of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientReport {
    pub(super) client: Client,
    pub(super) longest_silence: Option<Duration>,
    pub(super) lost: usize,
    /// For a client whose connection was lost: the time to the first answer on a new one.
    pub(super) reconnected: Option<Option<Duration>>,
}

#[cfg(test)]
mod tests;
