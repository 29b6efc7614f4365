//! The stage: the world with its nodes and clients, the hands that follow the script, and the eyes
//! that write down what happens.

mod copies;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use locum_gate::virtual_mac;
use locum_monitor::Event;
use locum_sim::{
    ECHO_PORT, Host, HostId, KV_PORT, Lan, NodeIndex, NodeState, Program, Record, TcpHabits, World,
    WorldEventKind,
};
use locum_stack::FlowsLost;
use locum_types::{Cause, Instant, Mode, NodeId, Term};
use locum_wire::{Beat, Intent};
use smoltcp::iface::SocketSet;
use smoltcp::wire::{IpAddress, IpEndpoint};

use super::pace::Pace;
use super::script::{self, Act, Action, Client};
use super::sniffer::{Kind, Seen, Sender, Sniffer};
use super::timeline::{
    ClientLane, Condition, Copies, Deed, Entry, FrameCounts, Leaks, NodeLane, NodeView, Report,
    Scene, Timeline, What,
};

/// A silence is told when it was longer than this many requests.
const SILENT_REQUESTS: u32 = 3;

/// Who hears of every entry as it happens.
pub(super) type Tell<'a> = &'a mut dyn FnMut(&Entry) -> io::Result<()>;

/// Plays the acts at a pace, tells each entry, and returns the whole timeline.
///
/// # Errors
/// What `tell` or the pace says.
pub(super) fn play(
    seed: u64,
    acts: &'static [Act],
    beats: bool,
    pace: &mut dyn Pace,
    tell: Tell<'_>,
) -> io::Result<Timeline> {
    let mut stage = Stage::new(seed, beats, pace, tell);
    for (index, act) in acts.iter().enumerate() {
        stage.play(index + 1, act)?;
    }
    Ok(stage.timeline)
}

/// A node with what the stage knows about it.
struct Member {
    index: NodeIndex,
    id: NodeId,
    cut: bool,
    /// Whether its first announcement since it became active is still to come.
    unannounced: bool,
    /// Whether its first probe in this act is still to come.
    unprobed: bool,
    /// What it has said so far of connections that go on with it, and of those that do not.
    carried: u64,
    lost: FlowsLost,
}

/// A client with how much of its record was read.
struct Watched {
    client: Client,
    host: HostId,
    /// Its place among the programs of the machine.
    program: usize,
    answers: usize,
    connections_lost: usize,
}

impl Watched {
    fn record<'a>(&self, world: &'a World) -> &'a Record {
        world.host(self.host).programs()[self.program].record()
    }

    /// Adds what is new in the record since the last time.
    fn read(&mut self, world: &World, news: &mut Vec<What>) {
        let (client, record) = (self.client, self.record(world));
        let lost = record.connections_lost().len();
        if lost > std::mem::replace(&mut self.connections_lost, lost) {
            news.push(What::ConnectionLost { client });
        }
        let answers = record.answers();
        let unread = answers.get(self.answers.saturating_sub(1)..).unwrap_or_default();
        self.answers = answers.len();
        let silences = unread.windows(2).filter_map(|pair| Some(*pair.get(1)? - *pair.first()?));
        for silence in silences.filter(|silence| *silence > client.every() * SILENT_REQUESTS) {
            news.push(What::AnsweredAgain { client, silence });
        }
    }
}

struct Stage<'a> {
    world: World,
    sniffer: Rc<RefCell<Sniffer>>,
    members: Vec<Member>,
    watched: Vec<Watched>,
    timeline: Timeline,
    /// What came of connections in this act.
    copies: Copies,
    /// Events of the world that were read.
    events: usize,
    beats: bool,
    pace: &'a mut dyn Pace,
    tell: Tell<'a>,
}

/// What the stage remembers of an act while it is played.
struct Playing {
    from: Instant,
    victim: Option<usize>,
    deeds: Vec<Deed>,
    frames: FrameCounts,
    /// What the victim had said when it was thawed.
    spoken: Option<u64>,
}

impl<'a> Stage<'a> {
    fn new(seed: u64, beats: bool, pace: &'a mut dyn Pace, tell: Tell<'a>) -> Self {
        let mut world = World::new(seed);
        let config = lan().node(1);
        let mac = virtual_mac(config.identity.group);
        let sniffer = Sniffer::watch(world.segment_mut(), mac, config.port);
        Stage {
            world,
            sniffer,
            members: Vec::new(),
            watched: Vec::new(),
            timeline: Timeline::default(),
            copies: Copies::default(),
            events: 0,
            beats,
            pace,
            tell,
        }
    }

    fn play(&mut self, number: usize, act: &'static Act) -> io::Result<()> {
        let from = self.world.now();
        let frames = self.sniffer.borrow().counts();
        let active = self.world.active();
        let reachable = |member: &Member| !member.cut && active.contains(&member.index);
        let victim = self.members.iter().position(reachable);
        let mut playing = Playing { from, victim, deeds: Vec::new(), frames, spoken: None };
        self.members.iter_mut().for_each(|member| member.unprobed = true);
        self.tell(What::Act { number, act })?;
        for step in act.steps {
            self.advance(from + step.after)?;
            self.carry_out(step.action, &mut playing)?;
        }
        self.advance(from + act.lasts)?;
        self.end(act, playing)
    }

    /// Judges an act, and keeps it.
    fn end(&mut self, act: &'static Act, playing: Playing) -> io::Result<()> {
        for (lane, watched) in self.timeline.clients.iter_mut().zip(&self.watched) {
            lane.record = watched.record(&self.world).clone();
        }
        let spoken = playing.victim.map(|victim| self.spoken(victim));
        let leaks = self.world.leaks();
        let mut scene = Scene {
            act,
            from: playing.from,
            until: self.world.now(),
            deeds: playing.deeds,
            frames: self.sniffer.borrow().counts().since(playing.frames),
            zombie_frames: playing.spoken.map_or(0, |before| spoken.unwrap_or(0) - before),
            leaks: Leaks { checked: leaks.checked(), leaked: leaks.count() },
            copies: std::mem::take(&mut self.copies),
            outcomes: Vec::new(),
        };
        let clients = self.timeline.reports(&scene);
        let report = Report { clients, frames: scene.frames, copies: scene.copies };
        self.tell(What::Seen(report))?;
        for check in act.checks {
            let outcome = check.judge(&self.timeline, &scene);
            self.tell(What::Checked(outcome.clone()))?;
            scene.outcomes.push(outcome);
        }
        self.timeline.scenes.push(scene);
        Ok(())
    }

    fn carry_out(&mut self, action: Action, playing: &mut Playing) -> io::Result<()> {
        let at = self.world.now();
        match action {
            Action::StartNodes => self.start_nodes(),
            Action::StartClients => self.start_clients(),
            Action::Kill
            | Action::Restart
            | Action::HandOver(_)
            | Action::Cut
            | Action::Heal
            | Action::Freeze
            | Action::Thaw => return self.carry_out_on_victim(action, playing),
        }
        self.did(Deed { at, action, node: None }, playing)
    }

    fn carry_out_on_victim(&mut self, action: Action, playing: &mut Playing) -> io::Result<()> {
        // Without an active node there is nobody to do it to; the checks will say so.
        let Some(victim) = playing.victim else { return Ok(()) };
        let Member { index, id, .. } = self.members[victim];
        let world = &mut self.world;
        match action {
            Action::StartNodes | Action::StartClients => {}
            Action::Kill => world.kill(index, true),
            Action::Restart => world.start(index),
            Action::HandOver(to) => world.hand_over(index, NodeId::new(to).ok()),
            Action::Cut => {
                world.cut(index);
                self.members[victim].cut = true;
            }
            Action::Heal => {
                world.heal(index);
                self.members[victim].cut = false;
            }
            Action::Freeze => world.freeze(index),
            Action::Thaw => {
                world.thaw(index);
                playing.spoken = Some(self.spoken(victim));
            }
        }
        let at = self.world.now();
        self.did(Deed { at, action, node: Some(id) }, playing)
    }

    fn did(&mut self, deed: Deed, playing: &mut Playing) -> io::Result<()> {
        playing.deeds.push(deed);
        self.note_views();
        self.tell(What::Did(deed))?;
        // What it causes at this very instant comes before what that causes later.
        self.look()
    }

    /// Frames that a node has sent from the virtual MAC so far.
    fn spoken(&self, member: usize) -> u64 {
        self.sniffer.borrow().spoken_by(self.members[member].id)
    }

    fn start_nodes(&mut self) {
        let lan = lan();
        for id in 1..=lan.nodes {
            let index = self.world.add_node(lan.node(id));
            let (id, port) = (self.world.id_of(index), self.world.jack_of(index).port);
            self.world.segment_mut().set_latency(port, script::CABLE);
            self.sniffer.borrow_mut().introduce(port, Sender::Node(id));
            let member = Member {
                index,
                id,
                cut: false,
                unannounced: true,
                unprobed: true,
                carried: 0,
                lost: FlowsLost::default(),
            };
            self.timeline.nodes.push(NodeLane::new(id, self.view(&member)));
            self.members.push(member);
        }
    }

    fn start_clients(&mut self) {
        for machine in 0..Client::MACHINES {
            self.start_machine(machine);
        }
        self.watched.sort_by_key(|watched| watched.client.index());
        for watched in &self.watched {
            let record = watched.record(&self.world).clone();
            self.timeline.clients.push(ClientLane { client: watched.client, record });
        }
    }

    /// Starts a machine with its clients.
    fn start_machine(&mut self, number: u8) {
        let now = self.world.now();
        let (mac, addresses) = (Lan::client_mac(number), Lan::client_addresses(number));
        let seed = script::SEED + u64::from(number);
        let mut machine = Host::new(&format!("machine {number}"), mac, &addresses, seed, now);
        let clients = Client::ALL.into_iter().filter(|client| client.machine() == number);
        let programs: Vec<(Client, usize)> = clients
            .map(|client| (client, machine.run(|sockets| program(client, sockets, now))))
            .collect();
        let host = self.world.add_host(machine);
        let port = self.world.jack_of_host(host).port;
        self.world.segment_mut().set_latency(port, script::CABLE);
        let asks = programs.first().map(|&(client, _)| Sender::Client(client));
        asks.into_iter().for_each(|asks| self.sniffer.borrow_mut().introduce(port, asks));
        for (client, program) in programs {
            let watched = Watched { client, host, program, answers: 0, connections_lost: 0 };
            self.watched.push(watched);
        }
    }

    /// Lets time pass until `end`, instant by instant, and looks around at each.
    fn advance(&mut self, end: Instant) -> io::Result<()> {
        while let Some(at) = self.world.next_event().filter(|&at| at < end) {
            self.pace.wait_until(at)?;
            self.world.run_until(at);
            self.look()?;
        }
        self.pace.wait_until(end)?;
        self.world.run_until(end);
        self.look()
    }

    fn look(&mut self) -> io::Result<()> {
        self.look_at_nodes()?;
        self.look_at_copies()?;
        self.look_at_wire()?;
        self.look_at_clients()
    }

    /// Mode changes with their causes, then those that nobody reported: a lease that ran out.
    fn look_at_nodes(&mut self) -> io::Result<()> {
        let events = self.world.events();
        let reported: Vec<(NodeId, Change)> = events[self.events..]
            .iter()
            .filter_map(|event| match &event.kind {
                WorldEventKind::Reported(reported) => Some((event.node, change(reported)?)),
                WorldEventKind::Fault(_) => None,
            })
            .collect();
        self.events = events.len();
        let silent = self.note_views();
        for (node, change) in &reported {
            self.changed(*node, *change)?;
        }
        for (node, view) in silent {
            let Condition::Running(to) = view.condition else { continue };
            if !reported.iter().any(|(other, _)| *other == node) {
                self.changed(node, Change { to, cause: None, term: None, detection: None })?;
            }
        }
        Ok(())
    }

    fn changed(&mut self, node: NodeId, change: Change) -> io::Result<()> {
        let Change { to, cause, term, detection } = change;
        if let Some(member) = self.member_mut(node) {
            member.unannounced = true;
        }
        self.tell(What::Changed { node, to, cause, term, detection })
    }

    /// Writes down how every node is now; returns those that are different from before.
    fn note_views(&mut self) -> Vec<(NodeId, NodeView)> {
        let now = self.world.now();
        let views: Vec<NodeView> = self.members.iter().map(|member| self.view(member)).collect();
        let lanes = self.timeline.nodes.iter_mut().zip(views);
        lanes.filter_map(|(lane, view)| lane.note(now, view).then_some((lane.id, view))).collect()
    }

    fn view(&self, member: &Member) -> NodeView {
        let condition = match (self.world.state(member.index), self.world.mode(member.index)) {
            (NodeState::Frozen, _) => Condition::Frozen,
            (NodeState::Running, Some(mode)) => Condition::Running(mode),
            (NodeState::Dead, _) | (NodeState::Running, None) => Condition::Dead,
        };
        NodeView { condition, cut: member.cut }
    }

    fn look_at_wire(&mut self) -> io::Result<()> {
        let seen = self.sniffer.borrow_mut().drain();
        for (index, frame) in seen.iter().enumerate() {
            match (frame.kind, frame.sender) {
                (Kind::Beat(beat), Sender::Node(_)) => self.heard(&beat, &seen, index)?,
                (Kind::Question, Sender::Client(client)) => self.tell(What::Asked { client })?,
                (Kind::Question, Sender::Node(node)) => self.probed(node)?,
                (Kind::Answer, Sender::Node(node)) => self.answered(node)?,
                (Kind::AnnouncementArp | Kind::AnnouncementNa, Sender::Node(node)) => {
                    self.announced(node, &seen)?;
                }
                // A client that spoke like a node would be a stranger to this play.
                (
                    Kind::Beat(_) | Kind::Answer | Kind::AnnouncementArp | Kind::AnnouncementNa,
                    Sender::Client(_),
                ) => {}
            }
        }
        Ok(())
    }

    /// Every beat if wanted; otherwise those that ask for something.
    fn heard(&mut self, beat: &Beat, seen: &[Seen], index: usize) -> io::Result<()> {
        let Beat { from, to, mode, term, sequence, .. } = *beat;
        if self.beats {
            self.tell(What::Beat { from, to, mode, term, sequence })?;
        }
        match beat.intent {
            Intent::Resign(_) if first(seen, index) => {
                let peers = seen.iter().filter(|frame| same(frame, &seen[index])).count() as u64;
                let by_warden = sequence == u64::MAX;
                self.tell(What::Resigned { node: from, peers, by_warden })
            }
            Intent::Offer(_) => self.tell(What::Offered { node: from, to }),
            Intent::Resign(_) | Intent::Request | Intent::None => Ok(()),
        }
    }

    fn answered(&mut self, node: NodeId) -> io::Result<()> {
        let active = self.timeline.nodes.iter().find(|lane| lane.id == node);
        if !active.is_some_and(|lane| lane.view().is_active()) {
            self.sniffer.borrow_mut().count_wrong_answer();
        }
        self.tell(What::Answered { node })
    }

    /// Tells the first probe of a node in an act; the others are only counted.
    fn probed(&mut self, node: NodeId) -> io::Result<()> {
        let first = self.member_mut(node).is_some_and(|it| std::mem::take(&mut it.unprobed));
        if first { self.tell(What::Probed { node }) } else { Ok(()) }
    }

    /// Tells the first announcement of an activation; the repetitions are only counted.
    fn announced(&mut self, node: NodeId, seen: &[Seen]) -> io::Result<()> {
        if !self.member_mut(node).is_some_and(|it| std::mem::take(&mut it.unannounced)) {
            return Ok(());
        }
        let count = |kind: Kind| {
            let frames = seen.iter().filter(|frame| frame.sender == Sender::Node(node));
            frames.filter(|frame| frame.kind == kind).count() as u64
        };
        let (arp, na) = (count(Kind::AnnouncementArp), count(Kind::AnnouncementNa));
        self.tell(What::Announced { node, arp, na })
    }

    fn member_mut(&mut self, node: NodeId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == node)
    }

    fn look_at_clients(&mut self) -> io::Result<()> {
        let mut news = Vec::new();
        for watched in &mut self.watched {
            watched.read(&self.world, &mut news);
        }
        news.into_iter().try_for_each(|what| self.tell(what))
    }

    fn tell(&mut self, what: What) -> io::Result<()> {
        let nodes = self.timeline.nodes.iter().map(NodeLane::view).collect();
        (self.tell)(&Entry { at: self.world.now(), nodes, what })
    }
}

/// The group of the play.
fn lan() -> Lan {
    Lan {
        nodes: script::PRIORITIES.len() as u8,
        priorities: script::PRIORITIES.to_vec(),
        interval: script::INTERVAL,
        dead_after: script::DEAD_AFTER,
        replication: Some(Lan::REPLICATION),
        ..Lan::default()
    }
}

/// A change of mode as a node reports it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Change {
    to: Mode,
    cause: Option<Cause>,
    term: Option<Term>,
    detection: Option<Duration>,
}

/// The change of mode in an event, if it is one.
fn change(event: &Event) -> Option<Change> {
    let Event::ModeChanged { from: _, to, cause, term, detection } = event else { return None };
    Some(Change { to: *to, cause: Some(*cause), term: Some(*term), detection: *detection })
}

/// Whether no earlier frame at this instant is of the same kind and sender.
fn first(seen: &[Seen], index: usize) -> bool {
    !seen[..index].iter().any(|earlier| same(earlier, &seen[index]))
}

/// The same sender says the same thing; both forms of an announcement count as one.
fn same(one: &Seen, other: &Seen) -> bool {
    let announcement = |kind: Kind| matches!(kind, Kind::AnnouncementArp | Kind::AnnouncementNa);
    let same_kind = match (one.kind, other.kind) {
        (Kind::Beat(one), Kind::Beat(other)) => one.intent == other.intent,
        (one, other) => one == other || (announcement(one) && announcement(other)),
    };
    one.sender == other.sender && same_kind
}

fn program(client: Client, sockets: &mut SocketSet<'static>, start: Instant) -> Program {
    let (v4, v6) = (IpAddress::Ipv4(Lan::SERVICE_V4), IpAddress::Ipv6(Lan::SERVICE_V6));
    let every = client.every();
    match client {
        Client::Udp => Program::udp_echo(sockets, v4, ECHO_PORT, 40_000, every, start),
        Client::Ping => Program::ping(sockets, v6, every, 1, start),
        Client::Tcp => Program::tcp_echo(sockets, v4, ECHO_PORT, 50_000, every, start),
        Client::Tcp6 => Program::tcp_echo(sockets, v6, ECHO_PORT, 50_000, every, start),
        Client::Kv => {
            let (remote, habits) = (IpEndpoint::new(v4, KV_PORT), TcpHabits::default());
            let (who, when) = ((0, script::SEED), (every, start));
            Program::kv(sockets, remote, 50_000, habits, who, when)
        }
    }
}
