//! What the copies of the log must be worth: no connection is lost as long as a node lives that has
//! everything, and nobody changes a byte.
//!
//! The rules know of no entry and no session. They see what every node says of its copy, who becomes
//! active with which log, and what the clients saw.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use locum_appliance::{History, LogCopy, ReplicationCounters};
use locum_monitor::Event;
use locum_stack::FlowImage;
use locum_types::{Cause, Instant, LogPosition, Mode, Protection};

use super::calm::Calm;
use super::excuse::{Excuse, Excuses};
use super::history;
use super::plan::Plan;
use super::stage::Stage;
use crate::sniff::{TcpNumbers, tcp_numbers};
use crate::{
    Garbled, HostId, KV_PORT, Loss, LossKind, NodeIndex, NodeState, Sight, Station, World,
    WorldEventKind,
};

/// A client that has said nothing for so long has forgotten to ask: smoltcp's do, now and then, and no server can help.
const FORGETFUL: Duration = Duration::from_secs(20);

/// In so many times the entries after which followers compare their state, each has done so.
const COMPARED_WITHIN: u64 = 8;

/// What each client last sent, by its port, and when; and how many streams wrapped.
#[derive(Debug, Default)]
struct Segments {
    last: BTreeMap<(HostId, u16), (Instant, TcpNumbers)>,
    wraps: u64,
}

/// What became of connections in one run, or in many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamTally {
    /// Connections that clients established.
    pub opened: u64,
    /// Connections that a node went on with when it took over, each time.
    pub carried: u64,
    /// Takeovers with a copy that was in sync.
    pub takeovers_with_copy: u64,
    /// Connections lost because nobody who had everything was there to take over.
    pub lost_unprotected: u64,
    /// Connections lost because two nodes had been active, and one had to yield.
    pub lost_split: u64,
    /// Connections lost because the successor had been dropped just before, and did not know yet.
    pub lost_trusted: u64,
    /// Connections lost in a takeover, to services that are left out of the log.
    pub lost_left_out: u64,
    /// Runs that ended with nobody who might serve ([`audit::is_stalled`](super::audit::is_stalled)).
    pub stalled: u64,
    /// Connections given up by clients that had forgotten to ask.
    pub forgotten: u64,
    /// Streams in which two nodes had spoken.
    pub garbled: u64,
    /// Times that the sequence numbers of a stream went beyond 2^32, in either direction.
    pub wraps: u64,
    /// Commands to `kv` that were answered, and judged.
    pub commands_judged: u64,
    /// Times that two copies at the same point were compared, connection by connection.
    pub copies_compared: u64,
}

impl StreamTally {
    /// Adds another run's.
    pub fn add(&mut self, other: &StreamTally) {
        self.opened += other.opened;
        self.carried += other.carried;
        self.takeovers_with_copy += other.takeovers_with_copy;
        self.lost_unprotected += other.lost_unprotected;
        self.lost_split += other.lost_split;
        self.lost_trusted += other.lost_trusted;
        self.lost_left_out += other.lost_left_out;
        self.stalled += other.stalled;
        self.forgotten += other.forgotten;
        self.garbled += other.garbled;
        self.wraps += other.wraps;
        self.commands_judged += other.commands_judged;
        self.copies_compared += other.copies_compared;
    }
}

/// Watches the copies and the streams of one run.
pub(super) struct Copies {
    calm: Calm,
    settling: Duration,
    /// How long it takes until others know that a node is in sync: beats say so.
    told_within: Duration,
    /// Whether only whole copies are served.
    consistent: bool,
    /// Whether clocks run, and as fast as others.
    keeps_time: bool,
    /// The port of the service that is left out of the log.
    left_out: Option<u16>,
    clients: Vec<HostId>,
    segments: Rc<RefCell<Segments>>,
    seen: usize,
    /// What each node said at the last look.
    copies: Vec<Option<LogCopy>>,
    /// Since when each node is in sync.
    in_sync_since: Vec<Option<Instant>>,
    /// Since when each could take over.
    waiting_since: Vec<Option<Instant>>,
    /// The last node that was active, and its copy then.
    led: Option<(NodeIndex, LogCopy)>,
    /// Since when that one has been, and where its log was then.
    led_since: (Instant, LogPosition),
    /// Who became active last: nothing is known of its copy before it has come to the end of a turn.
    latest: Option<NodeIndex>,
    /// When that was, and who had been before that moment.
    latest_at: Instant,
    latest_before: Option<NodeIndex>,
    /// When an active node last had each in its in-sync set.
    member_at: Vec<Instant>,
    excuses: Excuses,
    /// Losses, and bytes of keep-alives, that were judged, of each program.
    judged: Vec<Vec<(usize, usize)>>,
    tally: StreamTally,
}

/// A broken rule, and how.
pub(super) type Broken = (&'static str, String);

impl Copies {
    /// A watcher of a plan that replicates; `None` of any other.
    pub(super) fn of(plan: &Plan, calm: Calm, stage: &mut Stage<'_>) -> Option<Self> {
        plan.replication?;
        let segments = Rc::<RefCell<Segments>>::default();
        let listener = Rc::clone(&segments);
        stage.world.watch(move |sight| listener.borrow_mut().note(sight));
        let programs = plan.clients.iter().map(|client| vec![(0, 0); client.programs.len()]);
        let overlap_max = plan.interval * 2 + plan.one_way() * 4 + Duration::from_millis(1);
        Some(Copies {
            calm,
            settling: plan.settling(),
            told_within: plan.interval * 3 + plan.one_way() * 4,
            consistent: plan.prefers_consistency(),
            keeps_time: plan.keeps_time(),
            left_out: plan.left_out,
            clients: stage.clients.clone(),
            segments,
            seen: 0,
            copies: vec![None; plan.nodes.len()],
            in_sync_since: vec![None; plan.nodes.len()],
            waiting_since: vec![None; plan.nodes.len()],
            led: None,
            led_since: (Instant::ZERO, LogPosition::default()),
            member_at: vec![Instant::ZERO; plan.nodes.len()],
            latest: None,
            latest_at: Instant::ZERO,
            latest_before: None,
            excuses: Excuses::new(plan.settling(), overlap_max, plan.nodes.len()),
            judged: programs.collect(),
            tally: StreamTally::default(),
        })
    }

    fn excuse(&mut self, now: Instant, why: Excuse) {
        // Before anybody was active nobody was told anything.
        self.excuses.add(now, why, self.led.is_some());
    }

    /// What clients of `kv` were told.
    pub(super) fn judge_history(&mut self, world: &World) -> Option<Broken> {
        let kept = match self.left_out {
            Some(KV_PORT) => self.excuses.unchanged_until(),
            Some(_) | None => self.excuses.kept_until(),
        };
        let apart = self.excuses.apart_until();
        match history::judge(world, &self.clients, kept, apart) {
            Ok(answers) => {
                self.tally.commands_judged += answers;
                None
            }
            Err(broken) => Some(broken),
        }
    }

    /// Looks at everything that has happened since the last look.
    pub(super) fn look(&mut self, world: &World) -> Option<Broken> {
        let mut broken = None;
        let fresh = &world.events()[self.seen..];
        self.seen = world.events().len();
        for event in fresh {
            let Some(index) = world.nodes().find(|&index| world.id_of(index) == event.node) else {
                continue;
            };
            match event.kind {
                WorldEventKind::Reported(Event::ModeChanged {
                    to: Mode::Active, cause, ..
                }) => {
                    broken = broken.or(self.note_activation(world, index, cause));
                }
                // Its clock stood still: it cannot know that another took over before it hears so, which may be dead.
                WorldEventKind::Fault("resumed") if self.was_replaced(world, index) => {
                    self.excuse(world.now(), Excuse::Split);
                }
                // Its successor may be active, and it goes on.
                WorldEventKind::Reported(Event::HandoverFailed { .. })
                    if self.excuses.has_rival(world, index) =>
                {
                    self.excuse(world.now(), Excuse::Split);
                }
                WorldEventKind::Reported(_) | WorldEventKind::Fault(_) => {}
            }
            self.excuses.note(event.at, index, &event.kind);
        }
        let active = world.nodes().filter(|&index| serves(world, index)).count();
        if self.excuses.overlap(world.now(), active) {
            self.excuse(world.now(), Excuse::Split);
        }
        // What a node has done, but not come to tell, it has not done.
        for index in world.nodes().filter(|&index| !world.is_interrupted(index)) {
            self.copies[index.0] = world.copy(index);
            let copy = self.copies[index.0].as_ref();
            let in_sync = copy.is_some_and(|copy| copy.protection == Protection::InSync);
            let waits = world.mode(index) == Some(Mode::Waiting);
            for (since, holds) in
                [(&mut self.in_sync_since, in_sync), (&mut self.waiting_since, waits)]
            {
                let since = &mut since[index.0];
                *since = since.or(Some(world.now())).filter(|_| holds);
            }
            let is_outdone =
                self.latest.is_some_and(|latest| latest != index && serves(world, latest));
            let leads = serves(world, index) && !is_outdone;
            if let Some(copy) = self.copies[index.0].as_ref().filter(|_| leads) {
                if self.led.as_ref().is_none_or(|&(leader, _)| leader != index) {
                    let position = copy.point.map_or(LogPosition::default(), |it| it.position);
                    self.led_since = (world.now(), position);
                }
                self.led = Some((index, copy.clone()));
                for node in world.nodes().filter(|&node| is_member(world, copy, node)) {
                    self.member_at[node.0] = world.now();
                }
            }
        }
        broken
            .or_else(|| self.member_lacks(world))
            .or_else(|| self.outlives(world))
            .or_else(|| self.digests_differ(world))
            .or_else(|| self.judge_streams(world))
    }

    /// Whoever takes over goes on with the log, or nobody could have.
    fn note_activation(&mut self, world: &World, index: NodeIndex, cause: Cause) -> Option<Broken> {
        let now = world.now();
        if std::mem::replace(&mut self.latest_at, now) != now {
            self.latest_before = self.latest;
        }
        self.latest = Some(index);
        let latest = self.latest_before;
        if self.led.is_some() {
            self.excuses.change(now);
        }
        // Whoever gives its place away is active until it hears that it was taken; unless it has withdrawn its offer,
        // and answers again.
        let gives = |node: &NodeIndex| {
            matches!(cause, Cause::Resigned { peer, .. } if peer == world.id_of(*node))
                && !self.excuses.has_withdrawn(*node, now)
        };
        if self.excuses.rivals(world, index).any(|rival| !gives(&rival)) {
            self.excuse(now, Excuse::Split);
        }
        if !serves(world, index) {
            // It has given its place away again, at the same moment: its copy tells nothing of how it began.
            self.excuse(now, Excuse::NewLog);
            self.in_sync_since[index.0] = None;
            return None;
        }
        let worth = self.copies[index.0].as_ref().map(|copy| copy.protection);
        let before = history(self.copies[index.0].as_ref());
        if before.is_some() && before == history(world.copy(index).as_ref()) {
            let dropped = |(leader, copy): &&(NodeIndex, LogCopy)| {
                *leader != index && !is_member(world, copy, index) && latest == Some(*leader)
            };
            let mut broken = None;
            let is_whole = worth == Some(Protection::InSync);
            // Whoever led last finds, all of a sudden, that nobody has led since.
            let may_be = latest == Some(index) && worth == Some(Protection::Stale);
            if !is_whole && !may_be {
                let what = format!("node {} ({cause}), {worth:?}", index.0 + 1);
                broken = Some(("a copy was served that is not whole", what));
            }
            broken = broken.or_else(|| self.successor_lacks(world, index));
            if let Some(led) = self.led.as_ref().filter(dropped) {
                broken = broken.or_else(|| self.member_passed_over(world, index, led));
                // Where that is waited for, nothing has left that it lacks; as long as clocks tell how long that is.
                if !(self.consistent && self.keeps_time) {
                    self.excuse(now, Excuse::Trusted);
                }
            }
            self.tally.takeovers_with_copy += 1;
            let flows = world.status(index).map_or(0, |status| status.service.stack.flows);
            self.tally.carried += flows as u64;
            return broken;
        }
        if self.consistent && worth.is_some_and(|worth| worth != Protection::Alone) {
            let what = format!("node {} ({cause}), {worth:?}", index.0 + 1);
            return Some(("a copy was served that is not whole", what));
        }
        // Each side of a partition has a log, and one of them goes.
        let was_split = self.excuses.split_since(now);
        self.excuse(now, Excuse::NewLog);
        let calm = |node: NodeIndex| now - self.calm.disturbed_at(node.0, now) > self.settling;
        let had_everything = |node: &NodeIndex| {
            self.in_sync_since[node.0].is_some_and(|since| now - since > self.told_within)
                && world.state(*node) == NodeState::Running
                && calm(*node)
        };
        let heard = now - self.calm.delayed_at(index.0, now) > self.settling;
        // Of a log without an entry nothing is lost.
        let is_empty = |copy: &LogCopy| copy.point.is_some_and(|point| point.position.0 == 0);
        let had_some = !self.led.as_ref().is_some_and(|(_, copy)| is_empty(copy));
        let better =
            world.nodes().find(had_everything).filter(|_| heard && !was_split && had_some)?;
        let what = format!(
            "node {} ({cause}) begins a new log, node {} had everything",
            index.0 + 1,
            better.0 + 1
        );
        Some(("the log was thrown away", what))
    }

    /// Whoever goes on with a log has all of it that has left; where availability is preferred, at least if it was in the in-sync
    /// set to the end.
    fn successor_lacks(&self, world: &World, index: NodeIndex) -> Option<Broken> {
        let (_, copy) = self.led.as_ref().filter(|_| !self.excuses.split_since(world.now()))?;
        let must = is_member(world, copy, index) || self.consistent && self.keeps_time;
        let lacks = lack(copy, &world.copy(index)?).filter(|_| must)?;
        Some(("a successor lacks what has left", format!("node {}: {lacks}", index.0 + 1)))
    }

    /// Whoever is in the in-sync set has all that has left.
    fn member_lacks(&self, world: &World) -> Option<Broken> {
        let is_sole = |&&(leader, _): &&(NodeIndex, LogCopy)| {
            serves(world, leader) && !self.excuses.split_since(world.now())
        };
        let (leader, copy) = self.led.as_ref().filter(is_sole)?;
        let members = world.nodes().filter(|&index| is_member(world, copy, index));
        let mut lacking = members.filter_map(|index| {
            // It may have told, in the middle of a turn; and may follow another by now.
            let theirs = world.copy(index).filter(|it| it.protection == Protection::InSync)?;
            Some((index, lack(copy, &theirs)?))
        });
        let (index, what) = lacking.next()?;
        let what = format!("node {} of node {}: {what}", index.0 + 1, leader.0 + 1);
        Some(("a follower in sync lacks what has left", what))
    }

    /// A copy does not outlive its leader: whoever hears that another leads is in sync with that one, or not at all.
    fn outlives(&self, world: &World) -> Option<Broken> {
        let now = world.now();
        let (since, _) = self.led_since;
        let is_sole = |&&(leader, _): &&(NodeIndex, LogCopy)| {
            serves(world, leader) && !self.excuses.split_since(now)
        };
        let (leader, _) = self.led.as_ref().filter(is_sole)?;
        let calm = |node: NodeIndex| now - self.calm.disturbed_at(node.0, now) > self.settling;
        let has_heard = |node: NodeIndex| calm(node) && now - since > self.told_within;
        let is_of_another = |&node: &NodeIndex| {
            node != *leader
                && has_heard(node)
                && self.in_sync_since[node.0].is_some()
                && self.member_at[node.0] < since
        };
        let node = world.nodes().find(is_of_another).filter(|_| calm(*leader))?;
        let what = format!("node {}, node {} leads since {since}", node.0 + 1, leader.0 + 1);
        Some(("a copy outlived its leader", what))
    }

    /// Somebody who was left behind, and could know by now, has taken over in place of a member of the set.
    fn member_passed_over(
        &self,
        world: &World,
        index: NodeIndex,
        (leader, copy): &(NodeIndex, LogCopy),
    ) -> Option<Broken> {
        let now = world.now();
        let calm = |node: NodeIndex, for_at_least: Duration| {
            now - self.calm.disturbed_at(node.0, now) > for_at_least
                && now - self.calm.delayed_at(node.0, now) > for_at_least
        };
        let knows = now - self.member_at[index.0] > self.told_within;
        // Members must have heard of the new set, too.
        let (left_at, told_at) =
            (self.member_at[index.0], self.member_at[index.0] + self.told_within);
        let could_tell = self.calm.delayed_at(leader.0, told_at) <= left_at;
        let is_better = |node: &NodeIndex| {
            is_member(world, copy, *node)
                && world.state(*node) == NodeState::Running
                && calm(*node, self.told_within)
                && self.waiting_since[node.0].is_some_and(|since| now - since > self.told_within)
        };
        let better = world
            .nodes()
            .find(is_better)
            .filter(|_| knows && could_tell && calm(index, self.told_within))?;
        let what = format!("node {} in place of node {}", index.0 + 1, better.0 + 1);
        Some(("whoever was left behind took over", what))
    }

    /// Whether a node that has been out of time believes to be active, and another has been since.
    fn was_replaced(&self, world: &World, index: NodeIndex) -> bool {
        let by_another = self.led.as_ref().is_some_and(|(leader, _)| *leader != index);
        self.excuses.has_rival(world, index) || self.excuses.is_active(index) && by_another
    }

    /// Whoever is at the same point of the same log got there by the same entries.
    fn digests_differ(&self, world: &World) -> Option<Broken> {
        // Each side of a partition goes on with the log by itself.
        let now = world.now();
        // And a follower may have more of a dead leader's log than its successor had, until it hears of that.
        let (led_since, _) = self.led_since;
        if self.excuses.since(now).is_some() || now - led_since <= self.told_within {
            return None;
        }
        let whole = |index: NodeIndex| {
            let copy = self.copies[index.0].as_ref().filter(|copy| copy.protection.is_good())?;
            let has_heard = now - self.calm.asleep_at(index.0, now) > self.told_within;
            Some((index, copy.point.filter(|_| has_heard)?))
        };
        let points = || world.nodes().filter_map(whole);
        points().find_map(|(a, one)| {
            let same = |other: locum_appliance::LogPoint| {
                (other.history, other.position) == (one.history, one.position)
            };
            let (b, _) = points().find(|&(_, other)| same(other) && other.digest != one.digest)?;
            let what = format!("nodes {} and {} at {}", a.0 + 1, b.0 + 1, one.position.0);
            Some(("two logs differ", what))
        })
    }

    /// No byte is another one, and no connection is lost without an excuse.
    fn judge_streams(&mut self, world: &World) -> Option<Broken> {
        let mut broken = None;
        for (client, &host) in self.clients.iter().enumerate() {
            let name = world.host(host).name();
            for (position, program) in world.host(host).programs().iter().enumerate() {
                let record = program.record();
                if let Some((_, what)) = record.corruptions().first() {
                    return Some(("a stream was changed", format!("{name}: {what}")));
                }
                let (losses, garbled) = &mut self.judged[client][position];
                for Garbled { at, opened_at, what } in &record.garbled()[*garbled..] {
                    match self.excuses.mixed_since(*opened_at) {
                        true => self.tally.garbled += 1,
                        false => {
                            return Some((
                                "a stream was changed",
                                format!("{name}: {what} at {at}"),
                            ));
                        }
                    }
                }
                *garbled = record.garbled().len();
                for loss in &record.losses()[*losses..] {
                    let spoken = self.segments.borrow().last_heard(host, loss.port);
                    let forgot =
                        loss.at - spoken.unwrap_or_default() > FORGETFUL || is_misled(world, host);
                    let is_left_out =
                        self.left_out.is_some() && program.connects_to() == self.left_out;
                    let excuse = |opened_at| match is_left_out {
                        true => self.excuses.of_left_out_since(opened_at),
                        false => self.excuses.since(opened_at),
                    };
                    if let Some(rule) = judge(excuse, loss, forgot, &mut self.tally) {
                        let what = format!("{name}, program {position}: {loss:?}");
                        broken = broken.or(Some((rule, what)));
                    }
                }
                *losses = record.losses().len();
            }
        }
        broken
    }

    /// Compares what nodes at the same point know of connections and services.
    pub(super) fn compare(&mut self, world: &mut World) -> Option<Broken> {
        if let Some(broken) = diverged(world) {
            return Some(broken);
        }
        let active = *world.active().first()?;
        let point = world.copy(active)?.point?;
        let whole: Vec<NodeIndex> = world
            .nodes()
            .filter(|&index| index != active)
            .filter(|&index| {
                world.copy(index).is_some_and(|copy| {
                    copy.protection == Protection::InSync && copy.point == Some(point)
                })
            })
            .collect();
        let ours = self.state(world, active)?;
        for index in whole {
            self.tally.copies_compared += 1;
            if let Some(broken) = self.uncompared(world, index, point.position) {
                return Some(broken);
            }
            let theirs = self.state(world, index)?;
            if ours != theirs {
                let what =
                    format!("nodes {} and {}: {ours:?}, {theirs:?}", active.0 + 1, index.0 + 1);
                return Some(("two copies differ", what));
            }
        }
        None
    }

    /// A follower that was told much by one leader, and never to compare its state.
    fn uncompared(&self, world: &World, index: NodeIndex, head: LogPosition) -> Option<Broken> {
        let every = world.config_of(index).replication?.compare_every;
        let counters = world.status(index)?.service.replication?.counters;
        let (_, from) = self.led_since;
        let told = counters.entries_applied.min(head.0.saturating_sub(from.0));
        let was_asked = counters.states_compared > 0;
        (told > COMPARED_WITHIN * every && !was_asked)
            .then(|| ("copies are not compared", format!("node {}, {told} entries", index.0 + 1)))
    }

    /// What a node knows, but for connections that are left out. The window is left out too: it changes without an
    /// entry, and a client says it again.
    fn state(&self, world: &mut World, index: NodeIndex) -> Option<(Vec<FlowImage>, Vec<u8>)> {
        let (mut images, services) = world.node_state(index)?;
        images.retain(|image| Some(image.tuple.local.port()) != self.left_out);
        images.iter_mut().for_each(|image| image.window = 0);
        images.sort_by_key(|image| image.id);
        Some((images, services))
    }

    /// The run has ended with nobody who might serve.
    pub(super) fn note_stall(&mut self) {
        self.tally.stalled += 1;
    }

    /// What became of all connections.
    pub(super) fn finish(mut self, world: &World) -> StreamTally {
        let programs = self.clients.iter().flat_map(|&host| world.host(host).programs());
        self.tally.wraps = self.segments.borrow().wraps;
        self.tally.opened =
            programs.map(|program| program.record().connections_opened().len() as u64).sum();
        self.tally
    }
}

/// Whether a client believes that a service address is at a MAC which is no node's: a hostile host has said so, the nodes
/// have defended it as often as they may (RFC 5227 §2.4), and the client has yet to ask again.
fn is_misled(world: &World, host: HostId) -> bool {
    let is_of_the_group =
        |mac| world.nodes().any(|index| world.config_of(index).identity.service_mac() == mac);
    let addresses = world.nodes().next().map(|index| &world.config_of(index).identity.service);
    addresses.into_iter().flatten().any(|cidr| {
        let believed = world.host(host).neighbour(cidr.address());
        believed.is_some_and(|mac| !is_of_the_group(mac))
    })
}

/// The rule that was broken when a connection was lost; counts what broke none.
fn judge(
    excuse: impl Fn(Instant) -> Option<Excuse>,
    loss: &Loss,
    forgot: bool,
    tally: &mut StreamTally,
) -> Option<&'static str> {
    // A connection that was never open was never anybody's.
    let opened_at = loss.opened_at?;
    // What was said before may have been on its way.
    match (loss.how, excuse(opened_at)) {
        (LossKind::GivenUp, _) if forgot => tally.forgotten += 1,
        (LossKind::GivenUp, _) => return Some("a connection hangs"),
        (LossKind::Ended, None) => return Some("a connection was lost"),
        (LossKind::Ended, Some(Excuse::NewLog)) => tally.lost_unprotected += 1,
        (LossKind::Ended, Some(Excuse::Split)) => tally.lost_split += 1,
        (LossKind::Ended, Some(Excuse::Trusted)) => tally.lost_trusted += 1,
        (LossKind::Ended, Some(Excuse::LeftOut)) => tally.lost_left_out += 1,
    }
    None
}

impl Segments {
    fn note(&mut self, sight: &Sight<'_>) {
        let Station::Host(host) = sight.from else { return };
        let Some(numbers) = tcp_numbers(sight.frame) else { return };
        let Some((_, before)) = self.last.insert((host, numbers.port), (sight.at, numbers)) else {
            return;
        };
        let wraps = |before: u32, now: u32| before > u32::MAX / 4 * 3 && now < u32::MAX / 4;
        self.wraps += u64::from(wraps(before.sequence, numbers.sequence));
        self.wraps += u64::from(wraps(before.ack, numbers.ack));
    }

    fn last_heard(&self, host: HostId, port: u16) -> Option<Instant> {
        self.last.get(&(host, port)).map(|&(at, _)| at)
    }
}

/// Nodes that are told the same come to the same state.
fn diverged(world: &World) -> Option<Broken> {
    let counters = |index: NodeIndex| Some(world.status(index)?.service.replication?.counters);
    let find = |wrong: fn(ReplicationCounters) -> bool| {
        world.nodes().find(|&index| counters(index).is_some_and(wrong))
    };
    let has_diverged = find(|it| it.copies_diverged > 0).map(|it| ("a copy diverged", it));
    let is_lost = || find(|it| it.copies_lost > 0).map(|it| ("an entry did not fit", it));
    let (rule, index) = has_diverged.or_else(is_lost)?;
    Some((rule, format!("node {}", index.0 + 1)))
}

/// Whether a node is in the in-sync set of whoever has this copy.
fn is_member(world: &World, copy: &LogCopy, node: NodeIndex) -> bool {
    copy.followers.contains(&world.id_of(node))
}

/// What of the log of `leader` has left and is not in another copy of it, for people.
fn lack(leader: &LogCopy, copy: &LogCopy) -> Option<String> {
    let (theirs, ours) = (leader.point?, copy.point?);
    let left = leader.left.filter(|_| theirs.history == ours.history)?;
    (ours.position < left).then(|| format!("has {}, {} has left", ours.position, left))
}

fn serves(world: &World, index: NodeIndex) -> bool {
    world.state(index) == NodeState::Running && world.mode(index) == Some(Mode::Active)
}

fn history(copy: Option<&LogCopy>) -> Option<History> {
    copy?.point.map(|point| point.history)
}
