//! The rules of the game, checked from outside after everything that happens.
//!
//! The referee knows the plan: which node was disturbed when. Rules that only hold among nodes that
//! can hear each other are applied to those that were left alone for long enough.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use locum_monitor::Event;
use locum_types::{Cause, Instant, Mode, ResignReason, Term};

use super::audit;
use super::calm::Calm;
use super::plan::Plan;
use super::wire::Wire;
use crate::{NodeIndex, NodeState, World, WorldEvent, WorldEventKind};

/// Violations kept of one run; the first one counts.
pub(super) const VIOLATIONS_MAX: usize = 16;

/// A rule was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When it was seen.
    pub at: Instant,
    /// Which rule.
    pub rule: &'static str,
    /// By whom, and how.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}", self.rule, self.at, self.what)
    }
}

/// One activation that lasts.
#[derive(Clone, Copy, Debug)]
struct Reign {
    since: Instant,
    term: Term,
    /// It heard nobody at some time in it.
    isolated: bool,
}

/// Sees to it that the rules are kept.
pub(super) struct Referee {
    calm: Calm,
    settling: Duration,
    /// How long an active node may speak after it last came round.
    lease: Duration,
    /// How long two actives that hear each other may go on.
    overlap_max: Duration,
    /// How long the last words of a node may be on their way.
    flight_max: Duration,
    /// How long it takes until beats have told what copies are worth, after a takeover or when a follower is left behind;
    /// until then ranks may differ.
    told_within: Duration,
    /// When a node was last missed by another.
    missed_at: Instant,
    /// How long a place may stay vacant with a healthy node waiting.
    vacancy_max: Duration,
    preempt: Option<Duration>,
    wire: Rc<RefCell<Wire>>,
    seen: usize,
    /// Who is active, by its own account.
    reigns: Vec<Option<Reign>>,
    /// The highest term a node was ever in, in this life.
    terms: Vec<Term>,
    /// Since when a node lives its present life.
    born: Vec<Instant>,
    /// Since when a node is dead.
    dead: Vec<Option<Instant>>,
    /// Since when a node is frozen.
    frozen: Vec<Option<Instant>>,
    /// Whether its clock stands still too.
    suspended: Vec<bool>,
    /// Who began each term, and when.
    began: BTreeMap<Term, (usize, Instant)>,
    /// Since when two nodes have both been active.
    overlaps: BTreeMap<(usize, usize), Instant>,
    vacant_since: Option<Instant>,
    violations: Vec<Violation>,
}

impl Referee {
    pub(super) fn new(plan: &Plan, calm: Calm, wire: Rc<RefCell<Wire>>) -> Self {
        let nodes = plan.nodes.len();
        let round_trip = plan.one_way() * 2;
        Referee {
            calm,
            settling: plan.settling(),
            lease: plan.dead_after,
            // A beat, its answer, and the last word of the one that yields; hand-overs take less.
            overlap_max: plan.interval * 2 + round_trip * 2 + Duration::from_millis(1),
            flight_max: plan.interval + round_trip * 2,
            told_within: match plan.replication {
                Some(_) => plan.interval * 3 + round_trip * 2,
                None => Duration::ZERO,
            },
            missed_at: Instant::ZERO,
            vacancy_max: plan.settling(),
            preempt: plan.preempt,
            wire,
            seen: 0,
            reigns: vec![None; nodes],
            terms: vec![Term(0); nodes],
            born: vec![Instant::ZERO; nodes],
            dead: vec![Some(Instant::ZERO); nodes],
            frozen: vec![None; nodes],
            suspended: vec![false; nodes],
            began: BTreeMap::new(),
            overlaps: BTreeMap::new(),
            vacant_since: None,
            violations: Vec::new(),
        }
    }

    /// Looks at everything that has happened since the last look.
    pub(super) fn look(&mut self, world: &World) {
        let events = world.events();
        let fresh = self.seen..events.len();
        self.seen = events.len();
        for event in &events[fresh] {
            self.note(world, event);
        }
        self.wire.borrow_mut().confirm();
        self.check_overlaps(world);
        self.check_vacancy(world);
    }

    /// What was broken so far, in the order it was seen.
    pub(super) fn finish(mut self, world: &World) -> Vec<Violation> {
        if let Some(leak) = world.leaks().first().first() {
            let what = format!("node {} while {}: {}", leak.node, leak.mode, leak.what);
            self.violations.push(Violation { at: leak.at, rule: "a frame leaked", what });
        }
        self.violations.append(&mut self.wire.borrow_mut().violations);
        self.violations.sort_by_key(|violation| violation.at);
        self.violations
    }

    pub(super) fn report(&mut self, at: Instant, rule: &'static str, what: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation { at, rule, what });
        }
    }

    pub(super) fn has_violations(&self) -> bool {
        !self.violations.is_empty() || !self.wire.borrow().violations.is_empty()
    }

    fn note(&mut self, world: &World, event: &WorldEvent) {
        let Some(node) = world.nodes().find(|&index| world.id_of(index) == event.node) else {
            return;
        };
        match &event.kind {
            WorldEventKind::Fault(what) => self.note_fault(event.at, node.0, what),
            WorldEventKind::Reported(Event::ModeChanged { from, to, cause, term, .. }) => {
                self.note_change(event.at, node.0, (*from, *to), *cause, *term);
            }
            WorldEventKind::Reported(Event::DuplicateId | Event::TwinHeard { .. })
                if self.is_calm(self.calm.haunted_at(node.0, event.at), event.at) =>
            {
                self.report(
                    event.at,
                    "a twin was seen where there is none",
                    format!("node {}", node.0 + 1),
                );
            }
            WorldEventKind::Reported(Event::PeerUp { peer }) => {
                self.check_life(event.at, node.0, usize::from(peer.get()) - 1);
            }
            WorldEventKind::Reported(Event::PeerDown { .. }) => self.missed_at = event.at,
            WorldEventKind::Reported(Event::Isolated) => {
                if let Some(reign) = &mut self.reigns[node.0] {
                    reign.isolated = true;
                }
            }
            WorldEventKind::Reported(_) => {}
        }
    }

    fn note_fault(&mut self, at: Instant, node: usize, what: &str) {
        match what {
            "started" => {
                self.terms[node] = Term(0);
                self.born[node] = at;
                self.dead[node] = None;
                self.wire.borrow_mut().allow(node);
            }
            "killed" | "exited" => {
                self.reigns[node] = None;
                self.frozen[node] = None;
                self.dead[node] = Some(at);
            }
            "frozen" => self.frozen[node] = Some(at),
            "thawed" => self.wake(at, node),
            "suspended" => self.suspended[node] = true,
            "resumed" => self.suspended[node] = false,
            _ => {}
        }
    }

    /// Whoever slept for less than its lease may still speak: it lost its place to one that could not
    /// hear it, or that it had offered it to.
    fn wake(&mut self, at: Instant, node: usize) {
        if self.frozen[node].take().is_some_and(|since| at - since < self.lease) {
            self.wire.borrow_mut().allow(node);
        }
    }

    fn note_change(
        &mut self,
        at: Instant,
        node: usize,
        (from, to): (Mode, Mode),
        cause: Cause,
        term: Term,
    ) {
        if term < self.terms[node] {
            let what = format!("node {}: from {} to {}", node + 1, self.terms[node].0, term.0);
            self.report(at, "a term went back", what);
        }
        if to == Mode::Active {
            if term <= self.terms[node] && self.terms[node] > Term(0) && from != Mode::Active {
                let what = format!("node {}: {} again", node + 1, term.0);
                self.report(at, "an activation began no term", what);
            }
            self.check_cause(at, node, cause);
            self.check_term(at, node, term);
            self.reigns[node] = Some(Reign { since: at, term, isolated: false });
            self.wire.borrow_mut().begin(node, at);
            self.silence_sleepers(at, node, term);
        } else {
            if let Cause::Rival { peer } = cause {
                self.check_yield(at, node, usize::from(peer.get()) - 1, term);
            }
            self.reigns[node] = None;
        }
        self.terms[node] = self.terms[node].max(term);
    }

    /// A node that sleeps as the active one while another takes over has lost its place. One whose
    /// clock stood still cannot know it before it hears a beat.
    fn silence_sleepers(&mut self, at: Instant, successor: usize, term: Term) {
        for node in 0..self.frozen.len() {
            let superseded = self.reigns[node].is_some_and(|reign| reign.term < term);
            if node != successor
                && superseded
                && self.frozen[node].is_some()
                && !self.suspended[node]
            {
                self.wire.borrow_mut().silence(node, at);
            }
        }
    }

    /// Nobody takes over from an active node that it could hear, unless it is asked to.
    fn check_cause(&mut self, at: Instant, node: usize, cause: Cause) {
        if let Cause::Resigned { reason: ResignReason::Preempt, .. } = cause
            && self.preempt.is_none()
        {
            self.report(at, "a pre-emption that nobody asked for", format!("by node {}", node + 1));
        }
        let asked = self.calm.requested_within(at, self.settling)
            || (self.preempt.is_some()
                && matches!(
                    cause,
                    Cause::Resigned { reason: ResignReason::Handover | ResignReason::Preempt, .. }
                ));
        // Whatever became of its process: before it claims it listens, and probes. Unless its clock stands still between
        // that and its claim.
        let disturbed = self.calm.link_disturbed_at(node, at).max(self.calm.paused_at(node, at));
        if asked || !self.is_calm(disturbed, at) {
            return;
        }
        for other in 0..self.reigns.len() {
            let Some(reign) = self.reigns[other].filter(|_| other != node) else { continue };
            let calm = self.is_calm(self.calm.hard_disturbed_at(other, at), at);
            if calm && at - reign.since > self.settling {
                let what =
                    format!("node {} ({cause}), while node {} was active", node + 1, other + 1);
                self.report(at, "a takeover without cause", what);
            }
        }
    }

    /// The dead are silent, whatever is repeated of what they said.
    fn check_life(&mut self, at: Instant, node: usize, peer: usize) {
        let Some(since) = self.dead[peer] else { return };
        let disturbed = self.calm.delayed_at(node, at).max(self.calm.delayed_at(peer, at));
        if at - since > self.flight_max && self.is_calm(disturbed, at) {
            let what = format!("node {} heard node {}, dead since {since}", node + 1, peer + 1);
            self.report(at, "a dead node was heard", what);
        }
    }

    /// Nodes that hear each other do not begin the same term, as long as one lives that knows of the first: itself, or
    /// one that heard of it.
    fn check_term(&mut self, at: Instant, node: usize, term: Term) {
        let Some((other, before)) = self.began.insert(term, (node, at)) else { return };
        let others = self.began.range(..term).map(|(_, &(_, at))| at);
        if others
            .chain([self.missed_at])
            .any(|earlier| before.saturating_since(earlier) < self.told_within)
        {
            return;
        }
        let calm = |node| self.is_calm(self.calm.disturbed_at(node, at), at);
        let lived = |index: usize| self.dead[index].is_none() && self.born[index] <= before;
        let told = at.min(before + self.settling);
        let hears = |index: usize| self.calm.disturbed_at(index, told) < before;
        let knows = |index: usize| index == other || (hears(index) && hears(other));
        let remembered =
            (0..self.born.len()).any(|index| lived(index) && knows(index) && calm(index));
        if other != node && remembered && calm(node) && calm(other) {
            let what =
                format!("term {}: node {} at {before}, node {}", term.0, other + 1, node + 1);
            self.report(at, "two nodes began one term", what);
        }
    }

    /// The one that yields has the lower claim; unless it was isolated, or heard, late but truly, of a higher `term`.
    fn check_yield(&mut self, at: Instant, node: usize, to: usize, term: Term) {
        let (Some(ours), Some(theirs)) =
            (self.reigns[node], self.reigns.get(to).copied().flatten())
        else {
            return;
        };
        if ours.term > theirs.term && term <= ours.term && !ours.isolated {
            let what = format!(
                "node {} in term {} to node {} in term {}",
                node + 1,
                ours.term.0,
                to + 1,
                theirs.term.0
            );
            self.report(at, "the better claim yielded", what);
        }
    }

    fn is_calm(&self, disturbed_at: Instant, now: Instant) -> bool {
        now - disturbed_at > self.settling
    }

    fn check_overlaps(&mut self, world: &World) {
        let active = |index: &NodeIndex| world.mode(*index) == Some(Mode::Active);
        let runs = |index: &NodeIndex| world.state(*index) == NodeState::Running;
        let mut actives = [0; 16];
        let mut count = 0;
        for index in world.nodes().filter(active).filter(runs) {
            actives[count.min(15)] = index.0;
            count += 1;
        }
        if count < 2 {
            if !self.overlaps.is_empty() {
                self.overlaps.clear();
            }
            return;
        }
        let now = world.now();
        let actives = &actives[..count.min(16)];
        self.overlaps.retain(|(a, b), _| actives.contains(a) && actives.contains(b));
        for (position, &a) in actives.iter().enumerate() {
            for &b in &actives[position + 1..] {
                let since = *self.overlaps.entry((a, b)).or_insert(now);
                let apart = self.calm.disturbed_at(a, now).max(self.calm.disturbed_at(b, now));
                let together = since.max(apart);
                if now - together > self.overlap_max {
                    let what = format!("nodes {} and {}, since {together}", a + 1, b + 1);
                    self.report(now, "two active nodes that hear each other", what);
                }
            }
        }
    }

    /// A place that is vacant is taken, if there is anybody healthy to take it.
    fn check_vacancy(&mut self, world: &World) {
        let now = world.now();
        let active = world.nodes().any(|index| world.mode(index) == Some(Mode::Active));
        let able = |index: NodeIndex| {
            world.state(index) == NodeState::Running
                && audit::may_serve(world, index)
                && self.is_calm(self.calm.disturbed_at(index.0, now), now)
        };
        if active || !world.nodes().any(able) {
            self.vacant_since = None;
            return;
        }
        let since = *self.vacant_since.get_or_insert(now);
        if now - since > self.vacancy_max {
            self.vacant_since = Some(now);
            self.report(now, "nobody took the vacant place", format!("since {since}"));
        }
    }
}
