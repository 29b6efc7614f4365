//! Stacks that follow another one by its log, and take its place in the middle of everything.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{SERVER, SERVER_V6, World, config, millis, pattern, seconds};
use locum_gate::FrameQueue;
use locum_stack::log::{Entry, Journal};
use locum_stack::service::{Event, FlowId, Outputs, RestoreError, Service, Transports};
use locum_stack::{FlowImage, FlowsLost, Limits, Stack, Succession};
use locum_types::{Instant, LogPosition};
use proptest::prelude::*;
use smoltcp::iface::SocketHandle;

/// Bytes that may wait in the service before it pauses a flow.
const PENDING_MAX: usize = 3_000;

/// Sends back what it gets; closes when the client has. Resets every connection when its time has come.
#[derive(Default)]
struct Reverb(BTreeMap<FlowId, Pending>);

#[derive(Clone, Default, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
struct Pending {
    bytes: VecDeque<u8>,
    finished: bool,
}

impl Reverb {
    fn flush(&mut self, flow: FlowId, outputs: &mut dyn Outputs) {
        let Some(pending) = self.0.get_mut(&flow) else { return };
        let taken = outputs.send(flow, pending.bytes.make_contiguous());
        pending.bytes.drain(..taken);
        match pending.bytes.len() > PENDING_MAX {
            true => outputs.pause(flow),
            false => outputs.resume(flow),
        }
        if pending.finished && pending.bytes.is_empty() {
            outputs.close(flow);
        }
    }
}

impl Service for Reverb {
    fn kind(&self) -> &'static str {
        "reverb"
    }

    fn transports(&self) -> Transports {
        Transports { tcp: true, udp: false }
    }

    fn on_event(&mut self, _now: Instant, event: Event<'_>, outputs: &mut dyn Outputs) {
        match event {
            Event::Opened { flow, .. } => {
                self.0.insert(flow, Pending::default());
            }
            Event::Data { flow, bytes } => {
                self.0.get_mut(&flow).unwrap().bytes.extend(bytes);
                self.flush(flow, outputs);
            }
            Event::Acked { flow, .. } => self.flush(flow, outputs),
            Event::Finished { flow } => {
                self.0.get_mut(&flow).unwrap().finished = true;
                self.flush(flow, outputs);
            }
            Event::Closed { flow, .. } => {
                self.0.remove(&flow);
            }
            Event::Tick => self.0.keys().for_each(|&flow| outputs.abort(flow)),
            Event::Datagram { .. } => {}
        }
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        out.extend(postcard::to_stdvec(&self.0).unwrap());
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        self.0 = postcard::from_bytes(snapshot).unwrap();
        Ok(())
    }
}

/// Knows nothing to say to one of its clients, as a node does that lacks a file.
struct Terse {
    others: Reverb,
    to: FlowId,
}

impl Service for Terse {
    fn kind(&self) -> &'static str {
        self.others.kind()
    }

    fn transports(&self) -> Transports {
        self.others.transports()
    }

    fn on_event(&mut self, now: Instant, event: Event<'_>, outputs: &mut dyn Outputs) {
        let is_heard = match event {
            Event::Data { flow, .. } | Event::Acked { flow, .. } => flow != self.to,
            Event::Opened { .. }
            | Event::Finished { .. }
            | Event::Closed { .. }
            | Event::Datagram { .. }
            | Event::Tick => true,
        };
        if is_heard {
            self.others.on_event(now, event, outputs);
        }
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.others.snapshot(out);
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        self.others.restore(snapshot)
    }
}

type Shared = Arc<Mutex<Stack<FrameQueue>>>;

/// A journal whose entries are applied elsewhere at once.
struct Feed {
    follower: Shared,
    position: u64,
}

impl Journal for Feed {
    fn append(&mut self, now: Instant, time: Instant, entry: &Entry<'_>) -> LogPosition {
        self.position += 1;
        let position = LogPosition(self.position);
        self.follower.lock().unwrap().apply(now, time, position, entry).unwrap();
        position
    }
}

fn limits() -> Limits {
    Limits { rx_buffer: 5_000, tx_buffer: 4_000, ..Limits::default() }
}

fn stack(now: Instant) -> Stack<FrameQueue> {
    let mut stack = Stack::new(config(limits()), FrameQueue::new(1_500, 1_024), now);
    stack.add_service(common::PORT, Box::new(Reverb::default())).unwrap();
    stack
}

/// Gives the world's stack a follower that starts from a snapshot.
fn follow(world: &mut World) -> Shared {
    let mut follower = stack(world.now);
    let mut snapshot = Vec::new();
    let mut frozen = world.stack.freeze(world.now);
    while frozen.write(7, &mut snapshot) {}
    follower.restore_snapshot(world.now, &snapshot).unwrap();
    feed(world, follower)
}

/// Both know the same connections. The client's window is only as fresh as its last acknowledgement.
fn assert_same(active: &mut Stack<FrameQueue>, follower: &mut Stack<FrameQueue>) {
    assert_eq!(active.position(), follower.position());
    for id in (1..100).map(FlowId) {
        let [ours, theirs] = [&mut *active, &mut *follower].map(|stack| stack.image(id));
        let theirs = theirs.map(|image| FlowImage {
            window: ours.as_ref().map_or(0, |ours| ours.window),
            ..image
        });
        if ours != theirs {
            let brief = |image: Option<FlowImage>| {
                image.map(|image| {
                    (
                        image.held.len(),
                        image.unacked.len(),
                        FlowImage { held: vec![], unacked: vec![], ..image },
                    )
                })
            };
            panic!("flow {}: {:#?} and {:#?}", id.0, brief(ours), brief(theirs));
        }
    }
}

/// A journal for the world's stack, whose entries `follower` applies.
fn feed(world: &mut World, follower: Stack<FrameQueue>) -> Shared {
    let position = world.stack.position().0;
    let follower = Arc::new(Mutex::new(follower));
    world.stack.set_journal(Some(Box::new(Feed { follower: Arc::clone(&follower), position })));
    follower
}

/// The world's stack dies; its follower takes its place after a silence, and gets a follower itself.
fn take_over(world: &mut World, follower: Shared, silence: Duration) -> Shared {
    succeed(world, follower, silence);
    follow(world)
}

/// The world's stack gives its place to its follower, and follows it.
fn hand_over(world: &mut World, follower: Shared, silence: Duration) -> Shared {
    let mut retired = succeed(world, follower, silence);
    // What it has in its queues is nobody's any more.
    retired.device_mut().clear();
    retired.retire(world.now);
    feed(world, retired)
}

/// Puts the follower in the place of the world's stack, which is returned.
fn succeed(world: &mut World, follower: Shared, silence: Duration) -> Stack<FrameQueue> {
    assert_same(&mut world.stack, &mut follower.lock().unwrap());
    world.stack.set_journal(None);
    let mut successor = Arc::try_unwrap(follower).ok().unwrap().into_inner().unwrap();
    for _ in 0..silence.as_millis() {
        world.now += millis(1);
        world.client.poll(world.now);
        while world.client.frames.pop_transmit(|_| ()).is_some() {}
    }
    successor.succeed();
    std::mem::replace(&mut world.stack, successor)
}

/// One client's transfer.
struct Transfer {
    handle: SocketHandle,
    sent: Vec<u8>,
    at: usize,
    received: Vec<u8>,
    closed: bool,
}

impl Transfer {
    fn step(&mut self, world: &mut World) {
        let mut rest = &self.sent[self.at..];
        world.client.exchange(self.handle, &mut rest, &mut self.received);
        self.at = self.sent.len() - rest.len();
        if rest.is_empty() && !self.closed && world.client.tcp(self.handle).may_send() {
            world.client.tcp(self.handle).close();
            self.closed = true;
        }
    }

    fn is_done(&self) -> bool {
        self.received.len() == self.sent.len() && self.closed
    }
}

/// Each client sends and gets back `len` bytes, while the stack is replaced after so many milliseconds, each time with
/// so many of silence, and as planned or not.
fn survive(seed: u64, clients: usize, len: usize, takeovers: &[(u64, u64, bool)], loss: u8) {
    let mut world = World::new(limits());
    world.stack = stack(world.now);
    let mut follower = follow(&mut world);
    world.lose(seed, loss);
    let mut transfers: Vec<Transfer> = (0..clients)
        .map(|index| Transfer {
            handle: world.client.connect(if index % 2 == 0 { SERVER } else { SERVER_V6 }, 4_096),
            sent: pattern(seed ^ index as u64, len),
            at: 0,
            received: Vec::new(),
            closed: false,
        })
        .collect();
    for &(after, silence, planned) in takeovers {
        for _ in 0..after {
            transfers.iter_mut().for_each(|transfer| transfer.step(&mut world));
            world.run(millis(1));
        }
        let change = if planned { hand_over } else { take_over };
        follower = change(&mut world, follower, millis(silence));
    }
    world.run_until(seconds(120), |world| {
        transfers.iter_mut().for_each(|transfer| transfer.step(world));
        transfers.iter().all(Transfer::is_done)
    });
    for transfer in &transfers {
        assert!(transfer.received == transfer.sent, "bytes differ");
    }
    assert_eq!(world.stack.status().counters.flows_lost, FlowsLost::default());
}

#[test]
fn a_fin_behind_more_than_the_window_takes_is_not_taken() {
    survive(2978408757867776382, 5, 21145, &[(3, 0, false)], 3);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Connections are carried from stack to stack, at any moment, with loss: every byte comes back once,
    /// in order, and nobody sees a RST.
    #[test]
    fn streams_survive_any_number_of_takeovers(
        seed in any::<u64>(),
        clients in 1..6_usize,
        len in 1..40_000_usize,
        takeovers in proptest::collection::vec((0..60_u64, 0..250_u64, any::<bool>()), 1..4),
        loss in prop_oneof![3 => Just(0), 1 => 1..5_u8],
    ) {
        survive(seed, clients, len, &takeovers, loss);
    }
}

/// A client that has sent something, has all of the answer, and listens.
fn listener(world: &mut World) -> SocketHandle {
    let handle = world.client.connect(SERVER, 4_096);
    exchange(world, handle, 500);
    handle
}

/// The client sends so many bytes, and gets them back.
fn exchange(world: &mut World, handle: SocketHandle, len: usize) {
    let bytes = pattern(len as u64, len);
    let (mut rest, mut received) = (&bytes[..], Vec::new());
    world.run_until(seconds(5), |world| {
        world.client.exchange(handle, &mut rest, &mut received);
        received.len() == len
    });
    world.run(millis(5));
}

fn is_reset(world: &mut World, handle: SocketHandle) -> bool {
    world.client.tcp(handle).state() == smoltcp::socket::tcp::State::Closed
}

#[test]
fn clients_of_lost_connections_are_told_so_though_they_only_listen() {
    let mut world = World::new(limits());
    world.stack = stack(world.now);
    let follower = follow(&mut world);
    let handles = [listener(&mut world), listener(&mut world)];
    world.stack.set_journal(None);
    let mut successor = Arc::try_unwrap(follower).ok().unwrap().into_inner().unwrap();
    successor.begin_history(world.now);
    world.stack = successor;
    // The first question to one of them is lost.
    let mut frames = 0;
    world.to_client = Box::new(move |_| {
        frames += 1;
        frames != 1
    });
    world.run_until(seconds(2), |world| handles.iter().all(|&handle| is_reset(world, handle)));
    let counters = world.stack.status().counters;
    let lost = FlowsLost { no_copy: 2, ..FlowsLost::default() };
    assert_eq!((counters.flows_lost, counters.clients_tickled), (lost, 2));
    world.run(seconds(3));
    assert_eq!(world.stack.poll_deadline().map(|(_, why)| why), None, "it asks no more");
}

#[test]
fn a_follower_that_has_not_said_what_a_client_has_heard_loses_that_connection_alone() {
    let mut world = World::new(limits());
    world.stack = stack(world.now);
    let mut follower = Stack::new(config(limits()), FrameQueue::new(1_500, 1_024), world.now);
    let terse = Terse { others: Reverb::default(), to: FlowId(1) };
    follower.add_service(common::PORT, Box::new(terse)).unwrap();
    let follower = feed(&mut world, follower);
    let [lost, kept] = [listener(&mut world), listener(&mut world)];
    world.stack.set_journal(None);
    let mut successor = Arc::try_unwrap(follower).ok().unwrap().into_inner().unwrap();
    successor.succeed();
    world.stack = successor;
    world.run_until(seconds(2), |world| is_reset(world, lost));
    exchange(&mut world, kept, 700);
    let lost = FlowsLost { unlike: 1, ..FlowsLost::default() };
    assert_eq!(world.stack.status().counters.flows_lost, lost);
}

#[test]
fn what_its_service_has_reset_is_not_lost() {
    for has_whole_copy in [false, true] {
        let mut world = World::new(limits());
        world.stack = stack(world.now);
        let follower = follow(&mut world);
        let handle = listener(&mut world);
        world.stack.set_journal(None);
        let mut successor = Arc::try_unwrap(follower).ok().unwrap().into_inner().unwrap();
        // The active node had no time to say it.
        let (now, next) = (world.now, LogPosition(successor.position().0 + 1));
        successor.apply(now, now, next, &Entry::Tick { port: common::PORT }).unwrap();
        if has_whole_copy {
            assert_eq!(successor.succeed(), Succession::default());
        } else {
            assert_eq!(successor.begin_history(now), FlowsLost::default());
        }
        world.stack = successor;
        world.run_until(seconds(2), |world| is_reset(world, handle));
        assert_eq!(world.stack.status().counters.flows_lost, FlowsLost::default());
    }
}

#[test]
fn connections_for_which_there_is_no_room_are_refused_and_their_clients_told() {
    let mut world = World::new(limits());
    world.stack = stack(world.now);
    let limits = Limits { flows_max: 1, ..limits() };
    let mut small = Stack::new(config(limits), FrameQueue::new(1_500, 1_024), world.now);
    small.add_service(common::PORT, Box::new(Reverb::default())).unwrap();
    let follower = feed(&mut world, small);
    let handles = [listener(&mut world), listener(&mut world)];
    world.stack.set_journal(None);
    world.stack = Arc::try_unwrap(follower).ok().unwrap().into_inner().unwrap();
    assert_eq!(world.stack.succeed(), Succession { carried: 2, left_out: 0 });
    world.run_until(seconds(2), |world| is_reset(world, handles[1]));
    let lost = FlowsLost { refused: 1, ..FlowsLost::default() };
    assert_eq!(world.stack.status().counters.flows_lost, lost);
    assert!(!is_reset(&mut world, handles[0]));
}

#[test]
fn a_service_that_is_left_out_costs_no_entries_and_its_connections_end_at_a_change() {
    let left_out = |now| {
        let mut stack = stack(now);
        stack.leave_out(common::PORT);
        stack
    };
    for planned in [false, true] {
        let mut world = World::new(limits());
        world.stack = left_out(world.now);
        let first = world.client.connect(SERVER, 4_096);
        exchange(&mut world, first, 100);
        let mut follower = left_out(world.now);
        let mut snapshot = Vec::new();
        while world.stack.freeze(world.now).write(usize::MAX, &mut snapshot) {}
        follower.restore_snapshot(world.now, &snapshot).unwrap();
        let follower = feed(&mut world, follower);
        let before = world.stack.position().0;
        let second = listener(&mut world);
        assert_eq!(world.stack.position().0, before + 1, "its beginning");
        world.stack.set_journal(None);
        let mut successor = Arc::try_unwrap(follower).ok().unwrap().into_inner().unwrap();
        assert_eq!(successor.succeed(), Succession { carried: 0, left_out: 2 });
        let mut former = std::mem::replace(&mut world.stack, successor);
        let _follower = planned.then(|| {
            former.device_mut().clear();
            former.retire(world.now);
            feed(&mut world, former)
        });
        // smoltcp does not answer an acknowledgement that is older than what it has sent, as it should (RFC 9293
        // section 3.10.7.4): this client has to speak itself.
        world.run(millis(10));
        for handle in [first, second] {
            world.client.exchange(handle, &mut &b"?"[..], &mut Vec::new());
        }
        world.run_until(seconds(1), |world| is_reset(world, first) && is_reset(world, second));
        let counters = world.stack.status().counters;
        let lost = FlowsLost { left_out: 2, ..FlowsLost::default() };
        assert_eq!((counters.flows_lost, counters.clients_tickled), (lost, 2));
        exchange_anew(&mut world);
    }
}

/// The service goes on, for whoever connects.
fn exchange_anew(world: &mut World) {
    let handle = world.client.connect(SERVER, 4_096);
    exchange(world, handle, 300);
}
