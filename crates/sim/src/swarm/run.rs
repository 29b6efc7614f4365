//! One run: the safety phase, in which anything may break, and the liveness phase, after which
//! everything works.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use locum_types::Instant;

use super::audit;
use super::calm::Calm;
use super::copies::{Copies, StreamTally};
use super::plan::{FaultKind, Plan};
use super::promise::Promise;
use super::referee::{Referee, Violation};
use super::stage::{Cue, Stage};
use super::wire::Wire;
use crate::{HostId, NodeState, Weapon, World};

/// Turns at one moment, after which nothing can be left to do.
const STUCK_MAX: u32 = 1_000;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The rules that were broken, in the order it was seen.
    pub violations: Vec<Violation>,
    /// Equal for equal runs, see [`World::trace_hash`].
    pub trace_hash: u64,
    /// How much virtual time passed.
    pub simulated: Duration,
    /// Frames that nodes sent and that were looked at.
    pub frames: u64,
    /// How often a node became active.
    pub takeovers: u64,
    /// The longest time with two active nodes.
    pub overlap: Duration,
    /// What became of connections that are replicated.
    pub streams: StreamTally,
}

/// Somebody who wants to be told what happens, line by line.
pub trait Narrator {
    /// Called once, before anything happens, to add observers.
    fn begin(&mut self, _world: &mut World) {}
    /// A fault began or ended.
    fn fault(&mut self, at: Instant, what: &str);
    /// Called after everything that happens.
    fn look(&mut self, world: &World);
}

/// A narrator that says nothing.
#[derive(Debug)]
pub struct Silent;

impl Narrator for Silent {
    fn fault(&mut self, _at: Instant, _what: &str) {}
    fn look(&mut self, _world: &World) {}
}

/// Runs a plan without the faults in `skip`. A panic of anything in it is a violation like any other.
pub fn run(plan: &Plan, skip: &[usize], narrator: &mut dyn Narrator) -> Report {
    let result = catch_unwind(AssertUnwindSafe(|| Run::new(plan, skip, narrator).play()));
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let what = text.unwrap_or("with an unknown payload").to_owned();
        let violation = Violation { at: Instant::ZERO, rule: "a panic", what };
        Report {
            violations: vec![violation],
            trace_hash: 0,
            simulated: Duration::ZERO,
            frames: 0,
            takeovers: 0,
            overlap: Duration::ZERO,
            streams: StreamTally::default(),
        }
    })
}

struct Run<'a> {
    plan: &'a Plan,
    skip: Vec<usize>,
    stage: Stage<'a>,
    referee: Referee,
    promises: Vec<Promise>,
    copies: Option<Copies>,
    wire: Rc<RefCell<Wire>>,
    narrator: &'a mut dyn Narrator,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, skip: &[usize], narrator: &'a mut dyn Narrator) -> Self {
        let mut stage = Stage::new(plan, skip);
        let world = &mut stage.world;
        let identities =
            world.nodes().map(|index| world.config_of(index).identity.clone()).collect();
        let wire = Rc::new(RefCell::new(Wire::new(identities, plan.dead_after)));
        let listener = Rc::clone(&wire);
        world.watch(move |sight| listener.borrow_mut().note(sight));
        narrator.begin(world);
        let calm = Calm::of(plan, skip);
        let copies = Copies::of(plan, calm.clone(), &mut stage);
        let referee = Referee::new(plan, calm, Rc::clone(&wire));
        let (skip, promises) = (skip.to_vec(), Vec::new());
        Run { plan, skip, stage, referee, promises, copies, wire, narrator }
    }

    fn play(mut self) -> Report {
        self.safety();
        self.stage.heal();
        self.narrator.fault(self.stage.world.now(), "everything is mended");
        // A signal that waited for a frozen process may end it now, and what waited in the queues of
        // bad cables arrives.
        let drained = self.plan.dead_after * 8 + Duration::from_millis(160);
        self.run_until(self.stage.world.now() + drained);
        self.stage.gather();
        if !self.referee.has_violations() {
            self.liveness();
        }
        self.check_promises();
        let world = &self.stage.world;
        let (trace_hash, simulated) = (world.trace_hash(), world.now() - Instant::ZERO);
        let frames = world.leaks().checked();
        let takeovers = audit::takeovers(world);
        let (_, overlap) = world.overlap();
        let streams = self.copies.map(|copies| copies.finish(world)).unwrap_or_default();
        let violations = self.referee.finish(world);
        Report { violations, trace_hash, simulated, frames, takeovers, overlap, streams }
    }

    /// Anything may break.
    fn safety(&mut self) {
        let end = Instant::ZERO + self.plan.safety;
        loop {
            self.play_cues();
            let next = self.stage.next_cue().map_or(end, |at| at.min(end));
            self.run_until(next);
            if next == end || self.referee.has_violations() {
                return;
            }
        }
    }

    fn play_cues(&mut self) {
        while let Some(cue) = self.stage.next_due() {
            if let Cue::Begin(fault) = cue {
                let world = &self.stage.world;
                self.promises.extend(Promise::for_fault(self.plan, &self.skip, fault, world));
            }
            self.stage.play(cue);
            let what = match cue {
                Cue::Start(node) => format!("start node {}", node + 1),
                Cue::Begin(fault) => {
                    format!("fault {fault} begins: {}", self.plan.faults[fault].kind)
                }
                Cue::End(fault) => format!("fault {fault} ends: {}", self.plan.faults[fault].kind),
            };
            self.narrator.fault(self.stage.world.now(), &what);
            self.look();
        }
    }

    /// Everything works within a bounded time, and then goes on working.
    fn liveness(&mut self) {
        let healed = self.stage.world.now();
        if !self.await_modes(healed + self.modes_bound()) {
            if audit::is_stalled(&self.stage.world) {
                self.copies.iter_mut().for_each(Copies::note_stall);
                return;
            }
            let modes = audit::modes(&self.stage.world);
            return self.fail("the group does not settle", modes);
        }
        let answered_by = healed + self.clients_bound();
        let since = self.stage.world.now();
        let takeovers = audit::takeovers(&self.stage.world);
        if !self.await_clients(since, answered_by) {
            let clients = audit::unanswered(&self.stage.world, &self.stage.clients, since);
            return self.fail("a client is not answered", clients);
        }
        // What had piled up while a neighbour was sought may come all at once, and be too much.
        let from = self.stage.world.now() + self.plan.one_way() * 2 + Duration::from_millis(1);
        self.run_until(
            from + self.plan.dead_after * 10 + self.answer_bound() + Duration::from_millis(20),
        );
        self.hold(from, takeovers);
    }

    /// What must be true after a while in which nothing was wrong.
    fn hold(&mut self, from: Instant, takeovers: u64) {
        if !audit::is_settled(&self.stage.world) {
            let modes = audit::modes(&self.stage.world);
            return self.fail("the group did not stay settled", modes);
        }
        let world = &mut self.stage.world;
        if let Some((rule, what)) = self.copies.as_mut().and_then(|it| it.compare(world)) {
            return self.fail(rule, what);
        }
        let world = &self.stage.world;
        if let Some((rule, what)) = self.copies.as_mut().and_then(|it| it.judge_history(world)) {
            return self.fail(rule, what);
        }
        // What was asked last may still be on its way.
        let to = world.now().saturating_sub(self.answer_bound());
        // A pre-emption costs connections, if nothing else.
        let moved = audit::takeovers(world) > takeovers;
        let costs = moved && !self.plan.changes_without_loss();
        let clients = if costs { &[] } else { &self.stage.clients[..] };
        // What comes out of order is lost to smoltcp, and sent again after a second: by clients, and between nodes,
        // where all that leaves waits for as long as a follower is believed to live.
        let prompt = self.plan.replication.is_none() || self.plan.keeps_order();
        let clients = if prompt { clients } else { &[] };
        let lost = audit::lost(world, clients, (from, to), !moved);
        if let Some(lost) = lost {
            return self.fail("a calm group lost a request", lost);
        }
        let speaker = self.wire.borrow().last_speaker;
        let active = world.active().first().map(|index| index.0);
        if speaker != active {
            let what = format!("{speaker:?} spoke last, {active:?} is active");
            return self.fail("the address sticks to another node", what);
        }
        for index in world.nodes().filter(|&index| world.state(index) == NodeState::Running) {
            if let Some(what) = audit::imbalance(world, index) {
                return self.fail("the counters do not add up", what);
            }
        }
    }

    fn check_promises(&mut self) {
        for promise in std::mem::take(&mut self.promises) {
            if let Some(what) = promise.broken(self.plan, &self.stage.world) {
                return self.fail("a promise was broken", what);
            }
        }
    }

    fn await_modes(&mut self, until: Instant) -> bool {
        self.run_until_holds(until, |world, _| audit::is_settled(world))
    }

    fn await_clients(&mut self, since: Instant, until: Instant) -> bool {
        self.run_until_holds(until, |world, clients| {
            clients.iter().all(|&client| audit::is_served(world, client, since))
        })
    }

    /// How long an answer may take when nothing is wrong: over a connection with replication its bytes wait for one
    /// another, and for followers; under consistency for as long as one that has died may take itself for a member.
    fn answer_bound(&self) -> Duration {
        let trips = if self.plan.replication.is_some() { 32 } else { 2 };
        let trusted = if self.plan.prefers_consistency() { 6 } else { 0 };
        self.plan.one_way() * trips + self.plan.dead_after * trusted + Duration::from_millis(40)
    }

    fn modes_bound(&self) -> Duration {
        self.plan.settling() * 2 + self.plan.preempt.unwrap_or_default()
    }

    /// A TCP connection that is gone is noticed by retransmission, and given up after 3 s; a
    /// neighbour that does not answer is asked three times, a second apart.
    fn clients_bound(&self) -> Duration {
        let poisons = |weapon: &Weapon| {
            matches!(weapon, Weapon::ArpClaim | Weapon::NaClaim | Weapon::MacSpoof)
        };
        // What noise makes of an ARP reply, no checksum tells.
        let poisoned = self.plan.faults.iter().any(|fault| {
            matches!(&fault.kind, FaultKind::Attack { weapons } if weapons.iter().any(poisons))
                || matches!(&fault.kind, FaultKind::Impair { with, .. } if with.corrupt > 0.0)
        });
        // A client of smoltcp's loses what comes out of order, its timeouts double, and now and then it forgets to
        // ask at all, until its program gives up.
        let streams = self.plan.replication.is_some();
        let clients = if poisoned {
            60
        } else if streams {
            50
        } else {
            8
        };
        self.modes_bound() + Duration::from_secs(clients)
    }

    fn run_until(&mut self, end: Instant) {
        self.run_until_holds(end, |_, _| false);
    }

    /// Lets time pass until `condition` holds; false if it did not by `end`, or a rule was broken.
    fn run_until_holds(
        &mut self,
        end: Instant,
        condition: impl Fn(&World, &[HostId]) -> bool,
    ) -> bool {
        let mut stuck = 0;
        loop {
            let before = self.stage.world.now();
            self.stage.world.step();
            self.look();
            if self.referee.has_violations() {
                return false;
            }
            if condition(&self.stage.world, &self.stage.clients) {
                return true;
            }
            if !self.stage.world.advance(end) {
                return false;
            }
            stuck = if self.stage.world.now() == before { stuck + 1 } else { 0 };
            if stuck > STUCK_MAX {
                self.fail("a node does not come to rest", audit::restless(&self.stage.world));
                return false;
            }
        }
    }

    fn look(&mut self) {
        self.referee.look(&self.stage.world);
        if let Some((rule, what)) = self.copies.as_mut().and_then(|it| it.look(&self.stage.world)) {
            self.referee.report(self.stage.world.now(), rule, what);
        }
        self.narrator.look(&self.stage.world);
    }

    fn fail(&mut self, rule: &'static str, what: String) {
        if !self.referee.has_violations() {
            self.referee.report(self.stage.world.now(), rule, what);
        }
    }
}
