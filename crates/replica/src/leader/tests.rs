use locum_stack::log::Entry;
use locum_types::{BootNonce, GroupId};
use locum_wire::Key;

use super::*;
use crate::codec::Malformed;
use crate::io::Deadline;
use crate::point::History;
use crate::record::{ANSWER_LEN, Call, Channel, Greeting};

const NOW: Instant = Instant::from_millis(1_000);
const CONNECTION: ConnectionId = ConnectionId(1);

fn node(id: u8) -> NodeId {
    NodeId::new(id).unwrap()
}

/// A leader, and a follower that has the key and says what it likes.
struct Peer {
    leader: Leader,
    channel: Channel,
    points: Vec<LogPoint>,
}

impl Peer {
    fn new() -> Self {
        let (group, key) = (GroupId::new(7).unwrap(), Key::new([9; 32]));
        let boot = BootNonce(2);
        let start = LogPoint::start(History(3));
        let config = LeaderConfig::new(group, node(1), BootNonce(1), key.clone(), vec![node(2)]);
        let mut leader = Leader::new(config, start);
        let greeting = Greeting { group, from: node(2), to: node(1), boot };
        let (call, bytes) = Call::new(&SessionKey::new(&key), &greeting, [1; 32]).unwrap();
        leader.connected(NOW, CONNECTION, [2; 32]);
        leader.receive(NOW, CONNECTION, &bytes);
        let mut answer = [0; ANSWER_LEN];
        assert_eq!(leader.poll_transmit(NOW, CONNECTION, &mut answer), ANSWER_LEN);
        let (channel, _) = call.answered(&answer).unwrap();
        Peer { leader, channel, points: vec![start] }
    }

    /// One that goes on from the beginning of the log.
    fn resumed() -> Self {
        let mut peer = Peer::new();
        peer.say(&FromFollower::Hello { have: Some(peer.points[0]) });
        assert_eq!(peer.leader.status().counters.resumed, 1);
        peer
    }

    fn say(&mut self, message: &FromFollower) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let mut record = [0; RECORD_LEN_MAX];
        let len = self.channel.seal(&bytes, &mut record).unwrap();
        self.leader.receive(NOW, CONNECTION, &record[..len]);
    }

    fn append(&mut self, count: usize) {
        for _ in 0..count {
            self.leader.append(NOW, NOW, &Entry::Tick { port: 7 });
            self.points.push(self.leader.head());
        }
    }

    fn transmit(&mut self) {
        assert!(self.leader.poll_transmit(NOW, CONNECTION, &mut [0; 4096]) < 4096);
    }

    fn confirm(&mut self, position: usize) {
        let LogPoint { position, digest, .. } = self.points[position];
        self.say(&FromFollower::Confirm { position, digest, in_sync: None });
    }

    /// Why the leader has dropped it, if it has.
    fn dropped(&mut self) -> Option<DropReason> {
        std::iter::from_fn(|| self.leader.poll_event()).find_map(|event| match event {
            LeaderEvent::Dropped { reason, .. } => Some(reason),
            LeaderEvent::Joining { .. }
            | LeaderEvent::InSync { .. }
            | LeaderEvent::Protected
            | LeaderEvent::Unprotected
            | LeaderEvent::Refused { .. } => None,
        })
    }

    fn stage(&self) -> Stage {
        self.leader.status().followers[0].stage
    }
}

#[test]
fn a_confirmation_with_another_digest_ends_the_session_as_diverged() {
    let mut peer = Peer::resumed();
    peer.append(2);
    peer.transmit();
    peer.confirm(1);
    let LogPoint { position, digest, .. } = peer.points[2];
    peer.say(&FromFollower::Confirm { position, digest: !digest, in_sync: None });
    assert_eq!(peer.dropped(), Some(DropReason::Bye(ByeReason::Diverged)));
    assert_eq!(peer.leader.status().counters.diverged, 1);
    assert_eq!(peer.leader.commit_position(), peer.leader.head().position);
}

#[test]
fn what_was_not_sent_or_was_confirmed_before_cannot_be_confirmed() {
    let mut peer = Peer::resumed();
    peer.append(1);
    peer.confirm(1);
    assert_eq!(peer.dropped(), Some(DropReason::Bye(ByeReason::Protocol)), "not sent");
    let mut peer = Peer::resumed();
    peer.append(2);
    peer.transmit();
    peer.confirm(2);
    peer.confirm(2);
    assert_eq!(peer.dropped(), None, "once more is once too often, and no more");
    peer.confirm(1);
    assert_eq!(peer.dropped(), Some(DropReason::Bye(ByeReason::Protocol)), "less than before");
    let mut peer = Peer::resumed();
    peer.append(1);
    peer.transmit();
    peer.say(&FromFollower::Confirm { position: LogPosition(u64::MAX), digest: 0, in_sync: None });
    assert_eq!(peer.dropped(), Some(DropReason::Bye(ByeReason::Protocol)), "there is no such");
}

#[test]
fn the_first_message_is_a_hello_and_no_other_is() {
    let mut peer = Peer::new();
    peer.confirm(0);
    let refusal = Refusal::BadMessage(Malformed("the first message is no hello"));
    let expected = LeaderEvent::Refused { connection: CONNECTION, refusal };
    assert_eq!(peer.leader.poll_event(), Some(expected));
    let mut peer = Peer::resumed();
    peer.say(&FromFollower::Hello { have: None });
    assert_eq!(peer.dropped(), Some(DropReason::Bye(ByeReason::Protocol)));
}

#[test]
fn a_candidate_is_waited_for_and_in_sync_once_it_has_what_may_have_left_before() {
    let mut peer = Peer::resumed();
    peer.append(3);
    peer.transmit();
    assert_eq!(peer.leader.commit_position(), LogPosition(3), "nobody is waited for");
    peer.confirm(1);
    assert_eq!(peer.stage(), Stage::Candidate { until: LogPosition(3) });
    assert_eq!(peer.leader.commit_position(), LogPosition(3), "it does not go back");
    peer.append(1);
    assert_eq!(peer.leader.commit_position(), LogPosition(3), "the new one waits for it");
    peer.confirm(2);
    assert!(!peer.leader.is_protected(), "it lacks an entry that may have left");
    peer.confirm(3);
    assert_eq!(peer.stage(), Stage::InSync);
    assert_eq!(peer.leader.commit_position(), LogPosition(3));
    peer.transmit();
    peer.confirm(4);
    assert_eq!(peer.leader.commit_position(), LogPosition(4));
}

#[test]
fn a_candidate_that_stops_is_dropped_as_one_in_sync_is() {
    let mut peer = Peer::resumed();
    peer.append(2);
    peer.transmit();
    peer.confirm(1);
    peer.append(1);
    let dead_after = peer.leader.config.dead_after;
    for sign in 1..12 {
        let (at, why) = peer.leader.poll_deadline().unwrap();
        assert_eq!((at, why), (NOW + dead_after / 12 * sign, Deadline::KeepAlive));
        peer.leader.tick(at);
    }
    peer.leader.tick(NOW + dead_after);
    assert_eq!(peer.dropped(), Some(DropReason::Bye(ByeReason::TooSlow)));
    assert_eq!(peer.leader.commit_position(), LogPosition(3));
}

#[test]
fn whoever_is_far_behind_is_not_waited_for() {
    let mut peer = Peer::resumed();
    peer.append(2);
    peer.transmit();
    let late = NOW + peer.leader.config.dead_after / 2;
    peer.leader.append(late, late, &Entry::Tick { port: 7 });
    let LogPoint { position, digest, .. } = peer.points[1];
    let mut bytes = Vec::new();
    FromFollower::Confirm { position, digest, in_sync: None }.encode(&mut bytes);
    let mut record = [0; RECORD_LEN_MAX];
    let len = peer.channel.seal(&bytes, &mut record).unwrap();
    peer.leader.receive(late, CONNECTION, &record[..len]);
    assert_eq!(peer.stage(), Stage::CatchingUp, "it would only be dropped");
    assert_eq!(peer.leader.commit_position(), LogPosition(3));
}
