//! Conversations whose server is replaced in their midst: the client keeps its socket, and every byte
//! arrives, in both directions, to the end.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use common::cut::{Counting, Cut, DELAY, Link};
use common::raw::{Raw, poll, run};
use common::script::{Handle, Order, Seen};
use common::{config, millis, pattern, seconds, server};
use locum_gate::FrameQueue;
use locum_stack::service::{CloseReason, FlowId};
use locum_stack::{FlowImage, Limits, Stack, TcpState};
use locum_types::Instant;
use proptest::prelude::*;
use smoltcp::socket::tcp;
use smoltcp::wire::TcpControl;

const START: Instant = Instant::from_millis(1_000);
const FLOW: FlowId = FlowId(1);
const BUFFER: usize = 16 * 1024;
/// Whoever needs longer hangs.
const PATIENCE: Duration = Duration::from_secs(600);
/// Streams go on beyond 4 GiB: as many bytes more change no sequence number.
const FAR: u64 = 1 << 32;

/// Who says what, and who closes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Talk {
    /// The service echoes; the client closes, then the service does.
    Echo,
    /// The service sends its bytes and closes; the client sends its own after that.
    ServiceFirst,
    /// Both send and close without waiting for the other.
    AtOnce,
    /// The service sends, and takes nothing for a while, then everything; then it closes.
    Paused,
    /// As `Echo`, but the client reads nothing for a while.
    SlowReader,
}

#[derive(Clone, Debug)]
struct Case {
    talk: Talk,
    link: Link,
    v6: bool,
    /// The client's receive buffer: its window scale follows from it.
    window: usize,
    len: usize,
    /// When the server is cut off, counted from the start or from when it was last restored.
    cuts: Vec<Duration>,
    silence: Duration,
    lost_on_the_way: bool,
    /// So many acknowledged bytes are not known to be acknowledged.
    lag: usize,
    start: Instant,
}

impl Case {
    fn new(talk: Talk, link: Link) -> Self {
        Case {
            talk,
            link,
            v6: false,
            window: BUFFER,
            len: 60_000,
            cuts: Vec::new(),
            silence: millis(20),
            lost_on_the_way: true,
            lag: 0,
            start: START,
        }
    }
}

/// The client's and the service's side of a talk, and how far they are.
struct Talkers {
    talk: Talk,
    said: Vec<u8>,
    sent: usize,
    heard: Vec<u8>,
    answer: Vec<u8>,
    ordered: bool,
    resumed: bool,
}

impl Talkers {
    fn new(case: &Case, cut: &Cut) -> Self {
        let said = pattern(1, case.len);
        let echoes = matches!(case.talk, Talk::Echo | Talk::SlowReader);
        cut.service.notes().mute = !echoes;
        cut.service.notes().paused = case.talk == Talk::Paused;
        let answer = if echoes { said.clone() } else { pattern(2, case.len) };
        let talk = case.talk;
        Talkers { talk, said, sent: 0, heard: Vec::new(), answer, ordered: false, resumed: false }
    }

    /// Both do what they can.
    fn talk(&mut self, cut: &mut Cut, elapsed: Duration) {
        let opened = !cut.service.notes().opened().is_empty();
        if opened && !self.ordered && !matches!(self.talk, Talk::Echo | Talk::SlowReader) {
            self.ordered = true;
            cut.service.order(Order::Send(FLOW, self.answer.clone()));
            if self.talk != Talk::Paused {
                cut.service.order(Order::Close(FLOW));
            }
        }
        if opened && self.talk == Talk::Paused && !self.resumed && elapsed > millis(400) {
            self.resumed = true;
            cut.service.order(Order::Resume(FLOW));
            cut.service.order(Order::Close(FLOW));
        }
        if self.talk != Talk::SlowReader || elapsed > millis(400) {
            let socket = cut.socket;
            cut.client.read(socket, &mut self.heard);
        }
        let may_speak = self.talk != Talk::ServiceFirst || self.heard == self.answer;
        let socket = cut.tcp();
        if may_speak && socket.may_send() {
            self.sent += socket.send_slice(&self.said[self.sent..]).unwrap();
            if self.sent == self.said.len() {
                socket.close();
            }
        }
        cut.settle();
    }

    /// How much each side has, and knows that the other has; an open connection counts for one byte.
    fn progress(&self, cut: &Cut) -> usize {
        let notes = cut.service.notes();
        let acked = notes.of(FLOW).into_iter().map(|seen| match seen {
            Seen::Acked(bytes) => bytes,
            Seen::Opened | Seen::Data(_) | Seen::Finished | Seen::Closed(_) => 0,
        });
        let received = notes.received.get(&FLOW.0).map_or(0, Vec::len);
        notes.opened().len() + acked.sum::<usize>() + received + self.heard.len()
    }

    fn is_done(&self, cut: &mut Cut) -> bool {
        let over = cut.stack.as_ref().is_some_and(|stack| stack.status().flows == 0);
        let state = cut.tcp().state();
        let gone = matches!(state, tcp::State::Closed | tcp::State::TimeWait);
        over && gone && self.heard.len() >= self.answer.len()
    }

    fn check(&self, cut: &Cut) {
        let notes = cut.service.notes();
        assert!(notes.received[&FLOW.0] == self.said, "the client's bytes");
        assert!(self.heard == self.answer, "the service's bytes");
        assert_eq!(notes.closed(), [CloseReason::Finished]);
        notes.check_order();
    }
}

/// The image of a longer connection, in which the client's last acknowledgements were not recorded: output of
/// the service that it has may be taken for missing, as long as it fits the buffer.
fn aged(mut image: FlowImage, answer: &[u8], lag: usize) -> FlowImage {
    if !image.opened {
        return image;
    }
    let acked = image.acked as usize % FAR as usize;
    let lag = lag.min(acked).min(BUFFER - image.unacked.len());
    if lag > 0 && image.state() != TcpState::TimeWait {
        let known = acked - lag;
        image.unacked = answer[known..acked + image.unacked.len()].to_vec();
        image.acked -= lag as u64;
        image.fin_acked = false;
    }
    image.delivered += FAR;
    image.acked += 3 * FAR;
    image
}

/// A conversation under way.
struct Conversation<'a> {
    case: &'a Case,
    cut: Cut,
    talkers: Talkers,
}

impl<'a> Conversation<'a> {
    fn new(case: &'a Case) -> Self {
        let limits = Limits { rx_buffer: BUFFER, tx_buffer: BUFFER, ..Limits::default() };
        let cut = Cut::new(case.link.clone(), limits, case.start, case.v6, case.window);
        let talkers = Talkers::new(case, &cut);
        Conversation { case, cut, talkers }
    }

    fn elapsed(&self) -> Duration {
        self.cut.now - self.case.start
    }

    fn step(&mut self) {
        let elapsed = self.elapsed();
        self.talkers.talk(&mut self.cut, elapsed);
        self.cut.step();
    }

    /// Talks for a while, and is then cut and restored; returns the images of that moment.
    fn interrupt(&mut self, after: Duration) -> Vec<FlowImage> {
        let at = self.cut.now + after;
        while self.cut.now < at {
            self.step();
        }
        let images = self.cut.cut(self.case.lost_on_the_way);
        let until = self.cut.now + self.case.silence;
        while self.cut.now < until {
            self.cut.step();
        }
        let aged = |image: &FlowImage| aged(image.clone(), &self.talkers.answer, self.case.lag);
        let images: Vec<_> = images.iter().map(aged).collect();
        self.cut.restore(&images);
        images
    }

    /// Talks to the end.
    fn finish(&mut self) {
        while !self.talkers.is_done(&mut self.cut) {
            self.step();
            let status = self.cut.stack.as_ref().unwrap().status();
            let client = self.cut.tcp().state();
            assert!(self.elapsed() < PATIENCE, "it hangs; client {client:?}, {status:?}");
        }
        self.talkers.check(&self.cut);
    }
}

/// Holds a conversation to its end; returns the images that it went on from.
fn converse(case: &Case) -> Vec<FlowImage> {
    let mut conversation = Conversation::new(case);
    let mut images = Vec::new();
    for &after in &case.cuts {
        images.extend(conversation.interrupt(after));
    }
    conversation.finish();
    images
}

#[test]
fn a_conversation_goes_on_wherever_it_is_cut() {
    let mut seen = Vec::new();
    for talk in [Talk::Echo, Talk::ServiceFirst, Talk::AtOnce, Talk::Paused, Talk::SlowReader] {
        for after in (0..120).step_by(3) {
            let mut case = Case::new(talk, Link { seed: after, ..Link::default() });
            case.cuts = vec![Duration::from_micros(after * 997)];
            case.v6 = after % 2 == 0;
            seen.extend(converse(&case).iter().map(FlowImage::state));
        }
    }
    let all = [
        TcpState::SynReceived,
        TcpState::Established,
        TcpState::CloseWait,
        TcpState::FinWait1,
        TcpState::FinWait2,
        TcpState::Closing,
        TcpState::TimeWait,
    ];
    for state in all {
        assert!(seen.contains(&state), "never cut in {state:?}");
    }
}

/// smoltcp's generator; the second number of a new interface is the client's initial one.
fn client_isn(seed: u64) -> u32 {
    let step = |state: u64| state.wrapping_mul(0xbb2e_fcec_3c39_611d).wrapping_add(0x7590_ef39);
    let second = step(step(seed));
    (second >> (29 - (second >> 61))) as u32
}

/// Arranges for both streams to wrap: both initial numbers are less than `before` below the top.
fn wrapping(case: &mut Case, before: u32) {
    let mut rng = fastrand::Rng::with_seed(case.link.seed);
    let seeds = std::iter::repeat_with(|| rng.u64(..));
    let is_near = |seed: &u64| u32::MAX - client_isn(*seed) < before;
    case.link.seed = seeds.take(10_000_000).find(is_near).unwrap();
    // The server's number grows by one every 4 µs.
    let probe = Case { link: Link { percent_lost: 0, ..case.link.clone() }, ..case.clone() };
    let mut probe = Conversation::new(&probe);
    let images = probe.interrupt(millis(10));
    let missing = (u32::MAX - before / 2).wrapping_sub(images[0].local_isn);
    case.start += Duration::from_micros(4) * missing;
}

#[test]
fn sequence_numbers_may_wrap_on_both_sides() {
    for seed in 0..20 {
        let mut case = Case::new(Talk::AtOnce, Link { seed, ..Link::default() });
        wrapping(&mut case, 10_000);
        case.cuts = (0..6).map(|cut| millis(8 + cut * 3 + seed % 3)).collect();
        let images = converse(&case);
        let first = images.first().unwrap();
        assert!(u32::MAX - first.local_isn < 10_000 && u32::MAX - first.remote_isn < 10_000);
        let last = images.last().unwrap();
        assert!(last.local_unacked() < 1 << 20 && last.remote_next() < 1 << 20, "no wrap");
    }
}

#[test]
fn bytes_move_again_within_a_round_trip() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut longest = Duration::ZERO;
    let mut moved = 0;
    for seed in 0..400 {
        let talk = [Talk::Echo, Talk::ServiceFirst, Talk::AtOnce][seed as usize % 3];
        let mut case = Case::new(talk, Link { seed, ..Link::default() });
        case.silence = Duration::from_millis(rng.u64(0..500));
        case.v6 = rng.bool();
        let mut conversation = Conversation::new(&case);
        let images = conversation.interrupt(Duration::from_micros(rng.u64(8_100..60_000)));
        let Some(image) = images.first() else { continue };
        let Conversation { cut, talkers, .. } = &mut conversation;
        let output = (image.acked % FAR) as usize + image.unacked.len();
        let received = cut.service.notes().received.get(&FLOW.0).map_or(0, Vec::len);
        let missing =
            output > talkers.heard.len() + cut.tcp().recv_queue() || talkers.sent > received;
        // In LAST-ACK smoltcp does not count duplicates, and waits for its timeout.
        if !missing || cut.tcp().state() == tcp::State::LastAck {
            continue;
        }
        moved += 1;
        let (restored, before) = (cut.now, talkers.progress(cut));
        while conversation.talkers.progress(&conversation.cut) == before {
            conversation.step();
            let stall = conversation.cut.now - restored;
            assert!(stall <= 2 * DELAY + millis(1), "seed {seed}: {stall:?}, {:?}", image.state());
        }
        longest = longest.max(conversation.cut.now - restored);
        conversation.finish();
    }
    assert!(moved > 200, "only {moved} conversations had something to move");
    assert!(longest > DELAY, "faster than the wire");
}

/// A connection of which smoltcp has lost sight: data is on its way, and the client's window closes without an
/// acknowledgement of any of it. The client says nothing for half a minute.
fn forgotten(journal: bool) -> (Stack<FrameQueue>, Raw, Handle, Instant) {
    let (mut stack, service) = server(config(Limits::default()));
    if journal {
        stack.set_journal(Some(Box::new(Counting::default())));
    }
    let mut client = Raw::new(40_000);
    let mut now = START;
    client.connect(&mut stack, now);
    service.notes().mute = true;
    service.order(Order::Send(FLOW, pattern(2, 1_000)));
    assert_eq!(poll(&mut stack, now).len(), 1);
    client.window = 0;
    client.send(&mut stack, now, TcpControl::None, &[]);
    run(&mut stack, &mut now, START + seconds(30));
    (stack, client, service, now)
}

#[test]
fn a_flow_that_smoltcp_forgot_gets_a_new_socket_and_goes_on() {
    let (mut stack, mut client, service, now) = forgotten(true);
    let counters = stack.status().counters;
    assert!(counters.flows_healed >= 1, "{counters:?}");
    assert_eq!((counters.flows_wedged, stack.status().flows), (0, 1));

    client.window = 60_000;
    let answers = client.send(&mut stack, now, TcpControl::None, &[]);
    let data = answers.iter().find(|answer| answer.len > 1).unwrap();
    assert_eq!((Some(data.sequence), data.len), (client.ack, 1_000));
    client.ack = client.ack.map(|ack| ack.wrapping_add(1_000));
    client.send(&mut stack, now, TcpControl::Psh, b"on");
    assert_eq!(service.notes().received[&FLOW.0], b"on");
    assert!(service.notes().of(FLOW).contains(&Seen::Acked(1_000)));
}

#[test]
fn a_flow_that_smoltcp_forgot_is_reset_if_no_copy_of_its_output_was_kept() {
    let (stack, _, service, _) = forgotten(false);
    assert_eq!((stack.status().counters.flows_wedged, stack.status().flows), (1, 0));
    assert_eq!(service.notes().closed(), [CloseReason::TimedOut]);
}

#[test]
fn a_copy_of_the_output_is_kept_from_the_first_byte_after_a_journal_came() {
    let (mut stack, service) = server(config(Limits::default()));
    let mut client = Raw::new(40_000);
    client.connect(&mut stack, START);
    service.notes().mute = true;
    service.order(Order::Send(FLOW, b"early".to_vec()));
    poll(&mut stack, START);
    stack.set_journal(Some(Box::new(Counting::default())));
    assert_eq!(stack.image(FLOW), None, "nobody knows what is outstanding");
    client.ack = client.ack.map(|ack| ack.wrapping_add(5));
    client.send(&mut stack, START, TcpControl::None, &[]);
    service.order(Order::Send(FLOW, b"late".to_vec()));
    poll(&mut stack, START);
    let image = stack.image(FLOW).unwrap();
    assert_eq!((image.acked, &image.unacked[..]), (5, &b"late"[..]));
}

prop_compose! {
    fn case()(
        talk in prop::sample::select(vec![
            Talk::Echo, Talk::ServiceFirst, Talk::AtOnce, Talk::Paused, Talk::SlowReader,
        ]),
        link in (576usize..=9_000, 0u8..=5, any::<bool>(), any::<bool>(), any::<bool>(), any::<u64>()),
        v6 in any::<bool>(),
        scale in 0u32..=9,
        len in 1usize..100_000,
        cuts in prop::collection::vec(0u64..200_000, 1..5),
        silence in 0u64..500,
        lost_on_the_way in any::<bool>(),
        lag in prop_oneof![Just(0), 0..10_000usize],
        wraps in prop::bool::weighted(0.3),
    ) -> Case {
        let (mtu, percent_lost, no_sack, no_scale, introduced, seed) = link;
        let link = Link {
            // The smallest for IPv6 (RFC 8200 §5).
            mtu: if v6 { mtu.max(1_280) } else { mtu },
            percent_lost,
            no_sack,
            no_scale,
            introduced,
            seed,
        };
        let mut case = Case {
            talk,
            link,
            v6,
            window: (4_096 + seed as usize % 4_096) << scale,
            len,
            cuts: cuts.into_iter().map(Duration::from_micros).collect(),
            silence: millis(silence),
            lost_on_the_way,
            lag,
            start: START,
        };
        if wraps {
            wrapping(&mut case, 50_000);
        }
        case
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_byte_is_lost_or_changed_whatever_happens(case in case()) {
        converse(&case);
    }
}
