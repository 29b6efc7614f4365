//! How sessions begin, go on and end, and what is committed meanwhile: one story each.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use common::{State, TURN, World, follower_config, leader_config, node};
use locum_replica::{
    ByeReason, ConnectionId, Deadline, DropReason, Follower, FollowerEvent, History, ITEM_LEN_MAX,
    Leader, LeaderConfig, LeaderEvent, LeaderRequest, LogPoint, SnapshotRefused, Standing,
    encode_entry,
};
use locum_stack::log::Entry;
use locum_stack::service::FlowId;
use locum_types::{BootNonce, Instant, LogPosition};

const DEAD_AFTER: Duration = Duration::from_millis(30);

/// Everybody has the same log of some entries.
fn settled(config: LeaderConfig) -> World {
    let mut world = World::new(config, 1);
    world.append_many(10, 100);
    world.settle();
    world.events.clear();
    world.nodes.iter_mut().for_each(|node| node.events.clear());
    world
}

fn drops(world: &World) -> Vec<(u8, DropReason, bool)> {
    let drops = world.events.iter().filter_map(|event| match *event {
        LeaderEvent::Dropped { follower, reason, was_in_sync, .. } => {
            Some((follower.get(), reason, was_in_sync))
        }
        LeaderEvent::Joining { .. }
        | LeaderEvent::InSync { .. }
        | LeaderEvent::Protected
        | LeaderEvent::Unprotected
        | LeaderEvent::Refused { .. } => None,
    });
    drops.collect()
}

#[test]
fn whoever_was_away_for_a_little_while_goes_on_from_its_own_copy() {
    let mut world = settled(leader_config(1));
    world.cut(0);
    world.append_many(10, 100);
    world.settle();
    let counters = world.leader.status().counters;
    assert_eq!((counters.by_snapshot, counters.resumed), (1, 1));
    assert_eq!(world.nodes[0].snapshots, 1, "the first one, and no other");
    assert_eq!(drops(&world), [(2, DropReason::Disconnected, true)]);
}

#[test]
fn whoever_was_away_for_too_long_for_the_buffer_is_given_a_snapshot() {
    let mut world = settled(leader_config(1));
    world.nodes[0].kept_out = true;
    world.cut(0);
    world.append_many(30, 10_000);
    world.turns(10);
    world.settle();
    let counters = world.leader.status().counters;
    assert_eq!((counters.by_snapshot, counters.resumed), (2, 0));
    assert_eq!(world.nodes[0].snapshots, 2);
    assert_eq!(
        drops(&world),
        [(2, DropReason::Disconnected, true)],
        "it joins at the first attempt"
    );
}

#[test]
fn whoever_has_another_log_of_the_same_length_is_given_a_snapshot() {
    let mut world = settled(leader_config(1));
    world.cut(0);
    let have = world.nodes[0].follower.point().unwrap();
    for other in [
        LogPoint { digest: !have.digest, ..have },
        LogPoint { history: History(!have.history.0), ..have },
        LogPoint { position: have.position.next(), ..have },
    ] {
        let before = world.nodes[0].snapshots;
        world.cut(0);
        world.nodes[0].follower = Follower::new(follower_config(0, 5), Some(other));
        world.nodes[0].state = State(vec![vec![0]; other.position.0 as usize]);
        world.settle();
        assert_eq!(world.nodes[0].snapshots, before + 1, "{other:?}");
    }
}

#[test]
fn a_slow_follower_is_dropped_within_dead_after_and_everything_is_committed_then() {
    let mut world = settled(leader_config(1));
    world.nodes[0].stalled = true;
    let before = world.leader.commit_position();
    let appended = world.now;
    let head = world.append(100);
    assert_eq!(world.leader.commit_position(), before, "one that is in sync does not have it");
    while world.now + TURN < appended + DEAD_AFTER {
        world.turn();
        assert_eq!(world.leader.commit_position(), before);
    }
    let (at, why) = world.leader.poll_deadline().unwrap();
    assert_eq!((at, why), (appended + DEAD_AFTER, Deadline::Confirmation));
    world.turn();
    assert_eq!(world.leader.commit_position(), head);
    assert!(!world.leader.is_protected());
    assert_eq!(drops(&world), [(2, DropReason::Bye(ByeReason::TooSlow), true)]);
    assert!(world.events.contains(&LeaderEvent::Unprotected));
    let head = world.append(100);
    assert_eq!(world.leader.commit_position(), head, "and nobody is waited for any more");
}

#[test]
fn a_leader_that_was_busy_with_an_entry_gives_its_followers_time_for_it() {
    let mut world = settled(leader_config(1));
    world.nodes[0].stalled = true;
    let appended = world.now;
    let head = world.append(100);
    world.leader.note_turn(appended, 2 * DEAD_AFTER);
    // Twice as long as the leader itself took.
    let patience = 5 * DEAD_AFTER;
    while world.leader.commit_position() < head {
        // It needs some turns for what has come meanwhile.
        world.nodes[0].stalled = world.now + 20 * TURN < appended + patience;
        world.turn();
        assert!(world.leader.is_protected(), "after {:?}", world.now - appended);
    }
    assert!(world.now > appended + 4 * DEAD_AFTER);

    world.nodes[0].stalled = true;
    let appended = world.now;
    world.append(100);
    while world.now < appended + DEAD_AFTER {
        world.turn();
    }
    assert!(!world.leader.is_protected(), "entries of short turns have no longer than ever");
}

#[test]
fn a_follower_that_confirms_little_by_little_is_dropped_as_well() {
    let mut world = settled(leader_config(1));
    // What is on its way is more than it takes in time, though it takes something all the time.
    let appended = world.now;
    world.append_many(200, 1_000);
    for turn in 0..DEAD_AFTER.as_millis() {
        world.nodes[0].stalled = turn % 5 != 0;
        world.turn();
    }
    assert_eq!(world.now, appended + DEAD_AFTER);
    assert_eq!(world.leader.commit_position(), world.leader.head().position);
    assert_eq!(drops(&world), [(2, DropReason::Bye(ByeReason::TooSlow), true)]);
}

#[test]
fn with_two_followers_in_sync_the_slower_one_is_waited_for_until_it_is_dropped() {
    let mut world = settled(leader_config(2));
    world.nodes[1].stalled = true;
    let before = world.leader.commit_position();
    let head = world.append(100);
    world.turns(20);
    assert_eq!(world.nodes[0].state, world.state, "one has it");
    assert_eq!(world.leader.commit_position(), before, "one has not");
    world.turns(9);
    let set = world.leader.generation();
    assert_eq!(set, world.nodes[0].follower.generation());
    while drops(&world).is_empty() {
        world.turn();
    }
    assert_eq!(drops(&world), [(3, DropReason::Bye(ByeReason::TooSlow), true)]);
    assert_eq!(world.leader.generation(), set.next());
    assert_eq!(world.leader.commit_position(), before, "the one left behind could take over");
    world.turns(15);
    assert_eq!(world.nodes[0].follower.generation(), set.next());
    assert_eq!(world.leader.commit_position(), head, "the one that has it has the better claim");
    assert!(world.leader.is_protected());
    assert_eq!(world.nodes[1].follower.generation(), set, "it does not know");
}

#[test]
fn where_it_is_waited_for_nothing_leaves_while_whoever_is_left_behind_counts_itself_in_sync() {
    let trust_for = follower_config(0, 1).trust_for;
    let config = LeaderConfig { wait_for_trust: Some(trust_for), ..leader_config(1) };
    let mut world = settled(config);
    let before = world.leader.commit_position();
    world.nodes[0].stalled = true;
    let head = world.append(100);
    let in_sync = |world: &World| {
        let standing = world.nodes[0].follower.standing(world.now);
        matches!(standing, Standing::InSync(_))
    };
    let mut held = 0;
    while world.leader.commit_position() == before {
        held += 1;
        world.turn();
    }
    assert_eq!(world.leader.commit_position(), head);
    assert!(!in_sync(&world), "by then it knows");
    assert!(held > DEAD_AFTER.as_millis() && held <= trust_for.as_millis(), "{held} ms");
    assert!(!world.leader.is_protected());
}

/// Another member of the set may be asked to take over as this node was, and lacks what is said from now on.
#[test]
fn where_it_is_waited_for_a_successor_says_nothing_that_another_may_lack_who_counts_itself_in_sync()
{
    let trust_for = follower_config(0, 1).trust_for;
    let config = LeaderConfig { wait_for_trust: Some(trust_for), ..leader_config(1) };
    let mut world = settled(config.clone());
    let (now, start, set) = (world.now, world.leader.head(), world.leader.generation());
    let successor = || Leader::new(config.clone(), start).succeeding(set);
    let mut leader = successor().beside(now, [node(2)]);
    let head = leader.append(now, now, &Entry::FinReceived { flow: FlowId(1) });
    assert_eq!(leader.commit_position(), start.position);
    assert_eq!(leader.poll_deadline(), Some((now + trust_for, Deadline::Trust)));
    leader.tick(now + trust_for);
    assert_eq!(leader.commit_position(), head, "by then it knows");
    let mut alone = successor().beside(now, []);
    let head = alone.append(now, now, &Entry::FinReceived { flow: FlowId(1) });
    assert_eq!(alone.commit_position(), head);

    world.leader = successor().beside(now, [node(2)]);
    world.nodes[0].follower.disconnected(now);
    world.nodes[0].connection = None;
    let head = world.append(100);
    assert_eq!(world.leader.commit_position(), start.position);
    while world.leader.commit_position() < head {
        world.turn();
    }
    assert!(world.now < now + trust_for / 2, "it has said hello after {:?}", world.now - now);
}

#[test]
fn whoever_comes_back_while_that_is_waited_for_stays() {
    let trust_for = follower_config(0, 1).trust_for;
    let config = LeaderConfig { wait_for_trust: Some(trust_for), ..leader_config(1) };
    let mut world = settled(config);
    world.nodes[0].stalled = true;
    let head = world.append(100);
    while world.leader.is_protected() {
        world.turn();
    }
    // Longer than a member has to confirm that there is a new set, and before nobody trusts the old one any more.
    world.turns(DEAD_AFTER.as_millis() as usize + 5);
    world.nodes[0].stalled = false;
    world.turns(2 * trust_for.as_millis() as usize);
    assert_eq!(drops(&world).len(), 1, "{:?}", drops(&world));
    assert!(world.leader.is_protected());
    assert_eq!(world.leader.commit_position(), head);
}

/// Once trust has run out, only those who have not heard of the new set are waited for: by what they say.
#[test]
fn a_time_that_has_passed_is_no_reason_for_another_turn() {
    let trust_for = Duration::from_millis(3);
    let config = LeaderConfig { wait_for_trust: Some(trust_for), ..leader_config(2) };
    let mut world = settled(config);
    world.nodes[1].stalled = true;
    world.append(100);
    while drops(&world).is_empty() {
        world.turn();
    }
    let before = world.leader.commit_position();
    world.nodes[0].stalled = true;
    for _ in 0..DEAD_AFTER.as_millis() / 2 {
        world.turn();
        world.leader.tick(world.now);
        let deadline = world.leader.poll_deadline();
        // Signs of life are sent by the turn that comes.
        let lies_ahead = deadline.is_none_or(|(at, why)| at > world.now || why != Deadline::Trust);
        assert!(lies_ahead, "{deadline:?} at {}", world.now);
        assert_eq!(world.leader.commit_position(), before, "the other may take over");
    }
}

#[test]
fn overflow_drops_the_slowest_and_nobody_else() {
    let config = LeaderConfig { dead_after: Duration::from_secs(10), ..leader_config(3) };
    let mut world = settled(config);
    world.nodes[1].stalled = true;
    for _ in 0..60 {
        world.append(10_000);
        world.turns(5);
    }
    assert_eq!(drops(&world), [(3, DropReason::Bye(ByeReason::Overflow), true)]);
    assert_eq!(world.leader.status().counters.overflowed, 1);
    world.nodes[1].stalled = false;
    world.settle();
}

#[test]
fn an_overflow_by_the_number_of_entries_drops_the_slowest_too() {
    let config = LeaderConfig {
        dead_after: Duration::from_secs(10),
        buffer_entries: 50,
        ..leader_config(1)
    };
    let mut world = settled(config);
    world.append_many(50, 10);
    assert_eq!(world.leader.status().followers.len(), 1, "exactly what there is room for");
    let before = world.leader.commit_position();
    let head = world.append(10);
    assert_eq!(world.leader.status().followers.len(), 0);
    assert!(before < world.leader.commit_position());
    assert_eq!(world.leader.commit_position(), head);
}

#[test]
fn an_entry_that_cannot_be_carried_drops_everybody_and_is_committed() {
    let mut world = settled(leader_config(2));
    let head = world.append(ITEM_LEN_MAX + 1);
    assert_eq!(world.leader.commit_position(), head);
    world.turn();
    let why = DropReason::Bye(ByeReason::Overflow);
    assert_eq!(drops(&world), [(2, why, true), (3, why, true)]);
    world.settle();
    assert_eq!(world.nodes[0].snapshots, 2, "it cannot go on from before that entry");
}

#[test]
fn a_buffer_without_room_for_anything_holds_nothing_up() {
    for (buffer_bytes, buffer_entries) in [(0, 10), (1000, 0), (8, 10)] {
        let config = LeaderConfig { buffer_bytes, buffer_entries, ..leader_config(1) };
        let mut world = World::new(config, 3);
        world.turns(20);
        let head = world.append(100);
        let digest_taken = world.leader.state_digest(world.now, head, 1);
        assert_eq!(world.leader.commit_position(), head);
        assert!(!digest_taken, "{buffer_bytes} bytes, {buffer_entries} entries");
    }
}

#[test]
fn a_follower_that_was_restarted_joins_as_another_boot() {
    let mut world = settled(leader_config(1));
    world.restart(0);
    assert_eq!(world.nodes[0].standing(world.now), Standing::Alone);
    world.settle();
    let joined = world.events.iter().filter_map(|event| match *event {
        LeaderEvent::Joining { boot, resumes, .. } => Some((boot, resumes)),
        LeaderEvent::InSync { .. }
        | LeaderEvent::Dropped { .. }
        | LeaderEvent::Protected
        | LeaderEvent::Unprotected
        | LeaderEvent::Refused { .. } => None,
    });
    let joined: Vec<_> = joined.collect();
    assert!(matches!(joined[..], [(boot, false)] if boot != BootNonce(200)), "{joined:?}");
}

#[test]
fn the_followers_of_a_dead_leader_go_on_with_its_successor() {
    let mut world = settled(leader_config(3));
    let committed = world.leader.commit_position();
    world.take_over(1);
    assert_eq!(world.leader.head().position, committed);
    world.append(100);
    world.settle();
    let counters = world.leader.status().counters;
    assert_eq!(counters.resumed, 2, "those that had the same log");
    assert_eq!(counters.by_snapshot, 1, "the old leader, which starts anew");
}

#[test]
fn a_follower_that_came_to_another_state_joins_again_by_a_snapshot() {
    let mut world = settled(leader_config(1));
    world.nodes[0].miscounts = true;
    world.append_many(10, 10);
    world.turns(20);
    let position = world.nodes[0].events.iter().find_map(|event| match *event {
        FollowerEvent::Diverged { position } => Some(position),
        FollowerEvent::Connected { .. }
        | FollowerEvent::Standing { .. }
        | FollowerEvent::Dropped { .. }
        | FollowerEvent::Refused { .. } => None,
    });
    assert!(position.is_some(), "it has noticed");
    assert_eq!(drops(&world), [(2, DropReason::Told(ByeReason::Diverged), true)]);
    world.settle();
    assert_eq!(world.nodes[0].snapshots, 2);
    assert_eq!(world.nodes[0].follower.status(world.now).counters.diverged, 1);
}

#[test]
fn the_state_is_compared_at_exactly_the_position_that_was_asked_about() {
    let mut world = settled(leader_config(1));
    let asked = loop {
        world.append(10);
        match world.leader.poll_request() {
            Some(LeaderRequest::StateDigest { position }) => break position,
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    };
    assert_eq!(asked, world.leader.head().position, "of the state as it is now");
    assert_eq!(world.leader.poll_request(), None, "asked once");
    world.append(10);
    assert!(!world.leader.state_digest(world.now, asked, 0), "that comes too late");
    assert_eq!(world.leader.status().counters.state_digests_left_out, 1);
    let compared =
        |world: &World| world.nodes[0].follower.status(world.now).counters.states_compared;
    let before = compared(&world);
    world.settle();
    assert_eq!(compared(&world), before, "nothing was sent to compare with");
    world.append_many(5, 10);
    world.turns(50);
    assert_eq!(compared(&world), before + 1, "and the next one is");
    assert_eq!(drops(&world), []);
}

#[test]
fn a_follower_that_hears_nothing_is_trusted_for_a_while_and_then_stale() {
    let mut world = settled(leader_config(1));
    let point = world.nodes[0].follower.point().unwrap();
    world.nodes[0].kept_out = true;
    world.cut(0);
    let trust_for = follower_config(0, 1).trust_for;
    assert_eq!(world.nodes[0].standing(world.now), Standing::InSync(point));
    let (at, why) = world.nodes[0].follower.poll_deadline().unwrap();
    assert_eq!(why, Deadline::Trust);
    assert!(at <= world.now + trust_for);
    world.now = at;
    world.nodes[0].follower.tick(at);
    assert_eq!(world.nodes[0].standing(at), Standing::Stale(point));
    let told = world.nodes[0].follower.poll_event();
    assert_eq!(told, Some(FollowerEvent::Standing { standing: Standing::Stale(point) }));
    assert_eq!(world.nodes[0].follower.poll_deadline(), None);
}

/// The successor of its leader goes on without it.
#[test]
fn a_follower_whose_leader_was_succeeded_is_stale_at_once() {
    let mut world = settled(leader_config(1));
    let (at, point) = (world.now, world.nodes[0].follower.point().unwrap());
    world.nodes[0].follower.disconnected(at);
    assert_eq!(world.nodes[0].standing(at), Standing::InSync(point), "its leader may be dead");
    world.nodes[0].follower.superseded(at);
    assert_eq!(world.nodes[0].standing(at), Standing::Stale(point));
}

/// Its copy has all there is, for as long as nobody else has led since.
#[test]
fn a_node_that_has_led_is_in_sync_while_nobody_has_led_since() {
    let world = settled(leader_config(1));
    let (at, head) = (world.now, world.leader.head());
    let mut follower =
        Follower::new(follower_config(0, 5), Some(head)).keeping(world.leader.generation());
    assert_eq!(follower.standing(at), Standing::Stale(head), "that is not known yet");
    follower.set_unsucceeded(at, true);
    assert_eq!(follower.standing(at), Standing::InSync(head));
    assert_eq!(follower.generation(), world.leader.generation());
    assert_eq!(follower.trusted_until(), None);
    follower.set_unsucceeded(at, false);
    assert_eq!(follower.standing(at), Standing::Stale(head));
    follower.connected(at, node(1), [7; 32]);
    follower.set_unsucceeded(at, true);
    assert_eq!(follower.standing(at), Standing::Stale(head), "another leads");
}

#[test]
fn a_follower_that_is_told_that_it_was_dropped_is_stale_at_once() {
    let mut world = settled(leader_config(1));
    // It hears again just in time to be told.
    world.nodes[0].stalled = true;
    world.append(100);
    world.turns(30);
    world.nodes[0].stalled = false;
    world.nodes[0].kept_out = true;
    world.turns(10);
    assert!(matches!(world.nodes[0].standing(world.now), Standing::Stale(_)));
    let told = FollowerEvent::Dropped { reason: ByeReason::TooSlow };
    assert!(world.nodes[0].events.contains(&told));
}

#[test]
fn a_follower_that_comes_back_is_not_in_sync_before_the_leader_says_so() {
    // Nothing of the log is left to be sent: a welcome, and then that it is in sync.
    let config = LeaderConfig { state_digest_every: None, ..leader_config(1) };
    let mut world = settled(config);
    world.cut(0);
    assert!(matches!(world.nodes[0].standing(world.now), Standing::InSync(_)), "for a while");
    world.turns(50);
    let standings = world.nodes[0].events.iter().filter_map(|event| match *event {
        FollowerEvent::Standing { standing } => Some(standing),
        FollowerEvent::Connected { .. }
        | FollowerEvent::Diverged { .. }
        | FollowerEvent::Dropped { .. }
        | FollowerEvent::Refused { .. } => None,
    });
    let standings: Vec<_> = standings.collect();
    assert!(matches!(standings[..], [Standing::Joining, Standing::InSync(_)]), "{standings:?}");
}

#[test]
fn half_a_snapshot_is_worth_nothing() {
    let mut world = settled(leader_config(1));
    world.restart(0);
    world.append_many(20, 5_000);
    while world.nodes[0].snapshots == 0 {
        world.turn();
    }
    world.nodes[0].kept_out = true;
    world.cut(0);
    assert_eq!(world.nodes[0].follower.point(), None);
    assert_eq!(world.nodes[0].standing(world.now), Standing::Joining, "but it is no longer blank");
    world.settle();
}

#[test]
fn no_more_of_a_snapshot_waits_than_the_window() {
    let mut world = World::new(leader_config(1), 4);
    let window = world.config.snapshot_window;
    world.append(1);
    world.connect(0);
    let position = loop {
        world.nodes[0].kept_out = true;
        let connection = world.nodes[0].connection.unwrap();
        let mut bytes = vec![0; 4096];
        let len = world.nodes[0].follower.poll_transmit(world.now, &mut bytes);
        world.leader.receive(world.now, connection, &bytes[..len]);
        let len = world.leader.poll_transmit(world.now, connection, &mut bytes);
        world.nodes[0].receive(world.now, &bytes[..len]);
        match world.leader.poll_request() {
            Some(LeaderRequest::Snapshot { follower }) => {
                assert_eq!(follower, node(2));
                break world.leader.head().position;
            }
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    };
    let mut begin = |position| world.leader.begin_snapshot(world.now, node(2), position);
    assert_eq!(begin(LogPosition(7)), Err(SnapshotRefused::OutOfReach(LogPosition(7))));
    assert_eq!(begin(position), Ok(()));
    assert_eq!(begin(position), Err(SnapshotRefused::NotWanted(node(2))));
    assert_eq!(world.leader.offer_chunk(node(2), &vec![1; 3 * window]), window);
    assert_eq!(world.leader.snapshot_room(node(2)), 0);
    assert_eq!(world.leader.offer_chunk(node(2), &[1]), 0);
    assert_eq!(world.leader.offer_chunk(node(3), &[1]), 0, "nobody's");
}

#[test]
fn a_joiner_that_takes_nothing_is_dropped() {
    let mut world = settled(leader_config(1));
    world.restart(0);
    world.append_many(20, 5_000);
    while world.nodes[0].snapshots == 0 {
        world.turn();
    }
    world.events.clear();
    world.nodes[0].stalled = true;
    world.turns(world.config.join_stall.as_millis() as usize + 20);
    assert_eq!(drops(&world), [(2, DropReason::Bye(ByeReason::TooSlow), false)]);
}

#[test]
fn a_connection_that_takes_nothing_keeps_nobody_busy() {
    let mut world = settled(leader_config(1));
    for _ in 0..10 {
        let (at, _) = world.leader.poll_deadline().unwrap();
        assert!(at > world.now, "the deadline lies ahead");
        world.now = at;
        world.leader.tick(at);
    }
    assert_eq!(world.leader.poll_deadline().map(|(_, why)| why), Some(Deadline::KeepAlive));
    let connection = world.nodes[0].connection.unwrap();
    let mut bytes = [0; 1000];
    let one = world.leader.poll_transmit(world.now, connection, &mut bytes);
    assert!((20..30).contains(&one), "one sign of life, not ten: {one} bytes");
}

#[test]
fn an_idle_follower_stays_in_sync() {
    let mut world = settled(leader_config(1));
    for _ in 0..500 {
        world.turn();
        assert!(matches!(world.nodes[0].standing(world.now), Standing::InSync(_)));
    }
    assert_eq!(drops(&world), []);
}

#[test]
fn events_that_nobody_takes_are_counted_and_lost() {
    let mut world = World::new(leader_config(1), 6);
    for _ in 0..400 {
        world.connect(0);
        let connection = world.nodes[0].connection.unwrap();
        world.leader.receive(world.now, connection, &[b'?'; 100]);
    }
    assert_eq!(std::iter::from_fn(|| world.leader.poll_event()).count(), 256);
    assert_eq!(world.leader.status().counters.events_lost, 400 - 256);
}

#[test]
fn whoever_says_hello_again_takes_the_place_of_its_older_session() {
    let mut world = settled(leader_config(1));
    let older = world.nodes[0].connection.unwrap();
    // The older connection is still open for the leader.
    world.connect(0);
    world.turns(50);
    world.settle();
    assert_eq!(drops(&world), [(2, DropReason::Bye(ByeReason::Replaced), true)]);
    assert_ne!(world.nodes[0].connection, Some(older));
    assert_eq!(world.leader.status().followers.len(), 1);
}

#[test]
fn two_leaders_that_were_told_the_same_say_the_same() {
    let run = || {
        let mut world = settled(leader_config(2));
        world.cut(1);
        world.append_many(10, 1_000);
        world.settle();
        (world.leader.status(), world.now, world.events)
    };
    assert_eq!(run(), run());
}

#[test]
fn without_followers_everything_is_committed_at_once() {
    let config = leader_config(0);
    let mut leader = Leader::new(config, LogPoint::start(History(1)));
    let now = Instant::from_millis(1);
    let entry = Entry::Data { flow: FlowId(1), bytes: b"x" };
    for _ in 0..10_000 {
        let position = leader.append(now, now, &entry);
        assert_eq!(leader.commit_position(), position);
    }
    assert_eq!(leader.poll_deadline(), None);
    assert_eq!(leader.poll_transmit(now, ConnectionId(1), &mut [0; 100]), 0);
    let mut encoded = Vec::new();
    encode_entry(&mut encoded, now, &entry);
    let point = (0..10_000).fold(LogPoint::start(History(1)), |point, _| point.after(&encoded));
    assert_eq!(leader.head(), point);
}
