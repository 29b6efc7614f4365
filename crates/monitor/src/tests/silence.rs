//! Detection, probes, claims: unplanned takeovers.

use std::time::Duration;

use locum_types::{Cause, LogPosition, Mode, ResignReason, Term};
use locum_wire::Intent;

use super::group::Group;
use super::solo::{DEAD_AFTER, INTERVAL, Puppet, Solo, config, ms, node};
use crate::{Config, Event, Input, Output};

const SILENCE: Cause = Cause::Silence { peer: ACTIVE };
const ACTIVE: locum_types::NodeId = match locum_types::NodeId::new(2) {
    Ok(id) => id,
    Err(_) => panic!("2 is in range"),
};

#[test]
fn a_silent_node_is_replaced_exactly_after_the_detection_time() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    solo.hear(active.speak());
    let last = solo.now;
    solo.run_until_mode(Mode::Active);
    assert_eq!(solo.now - last, DEAD_AFTER, "probes do not make it longer");
    assert_eq!(solo.count(&Output::Probe), 3);
    assert_eq!(solo.changes(), [(Mode::Waiting, Mode::Active, SILENCE)]);
    assert_eq!(solo.term(), Term(6));
    let status = solo.monitor.status(solo.now);
    assert_eq!(status.takeovers[0].detection, Some(DEAD_AFTER));
    assert_eq!(status.counters.takeovers, 1);
}

#[test]
fn the_longer_of_both_nodes_detection_times_holds() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    active.beat.dead_after = ms(90);
    solo.hear(active.speak());
    let last = solo.now;
    solo.run_until_mode(Mode::Active);
    assert_eq!(solo.now - last, ms(90));
}

#[test]
fn probes_leave_in_the_second_half_of_the_detection_time() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    solo.hear(active.speak());
    let last = solo.now;
    let mut ages = Vec::new();
    while solo.mode() == Mode::Waiting {
        solo.take();
        let (at, _) = solo.monitor.poll_deadline().expect("a waiting node has deadlines");
        solo.now = at;
        solo.turn([]);
        ages.extend(solo.outputs.iter().filter(|out| **out == Output::Probe).map(|_| at - last));
    }
    assert_eq!(ages, [ms(15), ms(20), ms(25)]);
}

// Seed 1819 of the swarm: beats lost, and the waiting node slept for less than a stall.
#[test]
fn a_node_that_slept_through_the_times_to_probe_asks_before_it_claims() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    solo.hear(active.speak());
    // Until just before the first probe, and on to just after the claim.
    solo.run(DEAD_AFTER * 7 / 15);
    solo.take();
    solo.now += DEAD_AFTER * 9 / 15;
    solo.turn([]);
    assert_eq!((solo.mode(), solo.count(&Output::Probe)), (Mode::Waiting, 1));
    solo.turn([Input::ProbeAnswered]);
    solo.run(DEAD_AFTER / 3);
    assert_eq!(solo.mode(), Mode::Waiting, "the active node answered");
    solo.run(DEAD_AFTER);
    assert_eq!(solo.mode(), Mode::Active, "and then no more");
}

#[test]
fn an_answered_probe_keeps_the_node_waiting_and_says_so_once() {
    let (mut solo, _) = Solo::behind(config(1, &[2]));
    for _ in 0..1_000 {
        solo.run(ms(1));
        if solo.count(&Output::Probe) > 0 {
            solo.outputs.retain(|output| *output != Output::Probe);
            solo.turn([Input::ProbeAnswered]);
        }
    }
    assert_eq!(solo.mode(), Mode::Waiting);
    let degraded: Vec<_> =
        solo.events().into_iter().filter(|event| matches!(event, Event::Degraded { .. })).collect();
    assert_eq!(degraded, [Event::Degraded { peer: ACTIVE }]);
    assert!(solo.monitor.status(solo.now).degraded);
    let probes = solo.monitor.status(solo.now).counters.probes_sent;
    assert!((60..=70).contains(&probes), "one after each half of the detection time: {probes}");
}

#[test]
fn beats_that_return_end_the_degraded_state() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    solo.run(ms(25));
    solo.turn([Input::ProbeAnswered]);
    solo.run(DEAD_AFTER - ms(1));
    assert!(solo.monitor.status(solo.now).degraded);
    solo.hear(active.speak());
    assert!(!solo.monitor.status(solo.now).degraded);
    assert_eq!(solo.events().last(), Some(&Event::Recovered { peer: ACTIVE }));
}

#[test]
fn an_answer_while_beats_arrive_means_nothing() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    solo.hear(active.speak());
    solo.turn([Input::ProbeAnswered]);
    assert!(!solo.monitor.status(solo.now).degraded);
    let last = solo.now;
    solo.run_until_mode(Mode::Active);
    assert_eq!(solo.now - last, DEAD_AFTER);
}

#[test]
fn beats_and_answers_must_both_be_silent() {
    let (mut solo, _) = Solo::behind(config(1, &[2]));
    solo.run(ms(25));
    solo.turn([Input::ProbeAnswered]);
    let answered = solo.now;
    solo.run_until_mode(Mode::Active);
    assert_eq!(solo.now - answered, DEAD_AFTER);
}

#[test]
fn after_a_resignation_nobody_is_asked_and_the_best_claims_at_once() {
    for reason in [ResignReason::Crash, ResignReason::Shutdown, ResignReason::Health] {
        let (mut solo, mut active) = Solo::behind(config(1, &[2]));
        active.beat.mode = Mode::Fenced;
        solo.hear(active.say(Intent::Resign(reason)));
        assert_eq!(solo.mode(), Mode::Active, "{reason:?}");
        assert_eq!(solo.count(&Output::Probe), 0);
        let cause = Cause::Resigned { peer: ACTIVE, reason };
        assert_eq!(solo.changes(), [(Mode::Waiting, Mode::Active, cause)]);
    }
}

#[test]
fn lower_ranks_claim_later_by_a_stagger_each() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2, 3, 4]));
    let (mut third, mut fourth) = (Puppet::new(3), Puppet::new(4));
    solo.turn([Input::Beat(third.speak()), Input::Beat(fourth.speak())]);
    solo.hear(active.say(Intent::Resign(ResignReason::Crash)));
    let resigned = solo.now;
    assert_eq!(solo.mode(), Mode::Waiting);
    solo.run_with(INTERVAL * 2 - ms(1), &mut [&mut third, &mut fourth]);
    assert_eq!(solo.mode(), Mode::Waiting, "two better nodes go first");
    solo.run_with(ms(1), &mut [&mut third, &mut fourth]);
    assert_eq!((solo.mode(), solo.now - resigned), (Mode::Active, INTERVAL * 2));
}

#[test]
fn a_better_nodes_claim_ends_the_vacancy() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2, 3]));
    let mut third = Puppet::new(3);
    solo.hear(third.speak());
    solo.hear(active.say(Intent::Resign(ResignReason::Crash)));
    (third.beat.mode, third.beat.term) = (Mode::Active, Term(6));
    solo.run_with(ms(500), &mut [&mut third]);
    assert_eq!((solo.mode(), solo.term()), (Mode::Waiting, Term(6)));
}

#[test]
fn a_restarted_active_node_leaves_a_vacancy_that_is_filled_soon() {
    let (mut solo, _) = Solo::behind(config(1, &[2]));
    let mut reborn = Puppet::new(2);
    reborn.beat.boot = locum_types::BootNonce(0x2222);
    reborn.beat.mode = Mode::Joining;
    solo.run(ms(20));
    let heard = solo.now;
    solo.run_with(ms(40), &mut [&mut reborn]);
    assert_eq!(solo.mode(), Mode::Active);
    let since = solo.monitor.status(solo.now).since;
    assert!(since - heard <= DEAD_AFTER, "{:?}", since - heard);
}

#[test]
fn every_node_but_the_best_waits_for_it() {
    for size in 2..=5 {
        for seed in 0..10 {
            let mut group = Group::new(size, seed);
            group.run_ms(400);
            let first = group.settled();
            let killed = group.now;
            group.kill(first);
            group.run_ms(200);
            assert_eq!(group.settled(), size - 1);
            let (at, _) = group.announcements[1];
            // The last beat left up to an interval before; rank 0 waits for nobody.
            assert!(at - killed <= DEAD_AFTER + ms(1), "{:?}", at - killed);
            assert!(group.longest_overlap.is_zero());
        }
    }
}

#[test]
fn a_will_makes_the_takeover_immediate() {
    let mut group = Group::new(3, 1);
    group.run_ms(400);
    let first = group.settled();
    let crashed = group.now;
    group.crash(first);
    group.run_ms(200);
    group.settled();
    let (at, _) = group.announcements[1];
    assert!(at - crashed < ms(1), "{:?}", at - crashed);
}

/// Hard scenario 1: each direction of the beats is lost, then both, with the LAN intact.
#[test]
fn lost_beats_with_the_lan_intact_move_nothing() {
    for (there, back) in [(true, false), (false, true), (true, true)] {
        let mut group = Group::new(2, 1);
        group.run_ms(400);
        assert_eq!(group.settled(), 2);
        group.link(2, 1).cut = there;
        group.link(1, 2).cut = back;
        group.run_ms(5_000);
        assert_eq!(group.settled(), 2);
        assert_eq!(group.member(1).monitor.status(group.now).degraded, there);
        for (id, is_heard) in [(1, !back), (2, !there)] {
            let peer = &group.member(id).monitor.status(group.now).peers[0];
            if peer.alive {
                assert_eq!(peer.hears_us, Some(is_heard), "node {id} sees one-way loss");
            }
        }
        group.heal();
        group.run_ms(100);
        assert!(!group.member(1).monitor.status(group.now).degraded);
        assert!(group.announcements.iter().all(|&(_, id)| id == node(2)));
    }
}

/// Hard scenario 1, with the LAN cut as well.
#[test]
fn a_healed_partition_has_one_winner_that_announces_again_within_a_beat() {
    for seed in 0..20 {
        let mut group = Group::new(2, seed);
        group.run_ms(400);
        group.partition(&[1], &[2]);
        group.run_ms(1_000);
        assert_eq!(group.speaking().len(), 2, "without a witness each side serves");
        let cut = group.announcements.len();
        group.heal();
        let healed = group.now;
        group.longest_overlap = Duration::ZERO;
        group.run(INTERVAL + ms(2));
        assert_eq!(group.speaking(), [node(1)], "the higher term stays");
        let again = &group.announcements[cut..];
        // When the other one is heard, and when it has yielded, unless that comes first.
        assert!((1..=2).contains(&again.len()), "seed {seed}: {again:?}");
        assert!(again.iter().all(|&(at, by)| by == node(1) && at - healed <= INTERVAL + ms(2)));
        group.run_ms(500);
        assert_eq!(group.settled(), 1);
    }
}

#[test]
fn lossy_links_move_nothing() {
    for seed in 0..5 {
        let mut group = Group::new(3, seed);
        group.run_ms(400);
        let active = group.settled();
        for link in group.links.values_mut() {
            (link.loss, link.duplicate, link.jitter) = (10, 30, ms(15));
        }
        group.run_ms(5_000);
        group.heal();
        group.run_ms(100);
        assert_eq!(group.settled(), active);
        assert_eq!(group.changes().len(), 4, "probes are answered: seed {seed}");
    }
}

/// Hard scenario 3: everything that was ever said is said again, in any order.
#[test]
fn a_replay_of_everything_moves_nothing() {
    let mut group = Group::new(3, 4);
    group.run_ms(400);
    group.crash(3);
    group.run_ms(200);
    group.restart(3);
    group.run_ms(400);
    let active = group.settled();
    let changes = group.changes().len();
    let mut recorded = group.recorded.clone();
    group.rng.clone().shuffle(&mut recorded);
    for beat in recorded {
        group.inject(beat);
        group.run(Duration::from_micros(100));
    }
    group.run_ms(200);
    assert_eq!(group.settled(), active);
    assert_eq!(group.changes().len(), changes);
}

#[test]
fn a_node_whose_frames_wait_to_be_read_takes_nobody_for_dead() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    solo.hear(active.speak());
    let last = solo.now;
    while solo.now < last + 20 * DEAD_AFTER {
        solo.now += INTERVAL / 2;
        solo.turn([Input::Deaf]);
    }
    assert_eq!(solo.mode(), Mode::Waiting);
    let listens_since = solo.now;
    solo.run_until_mode(Mode::Active);
    assert_eq!(solo.now - listens_since, DEAD_AFTER, "from then on silence counts");
}

#[test]
fn where_consistency_is_preferred_no_copy_is_served_that_is_not_whole() {
    let whole = LogPosition::complete(1);
    for (position, expected) in
        [(LogPosition(0), Mode::Active), (LogPosition(7), Mode::Waiting), (whole, Mode::Active)]
    {
        let config = Config { complete_only: true, ..config(1, &[2]) };
        let (mut solo, mut active) = Solo::behind(config);
        solo.hear(active.speak());
        solo.turn([Input::Position { position, until: None }]);
        solo.run(20 * DEAD_AFTER);
        assert_eq!(solo.mode(), expected, "{position}");
        let refused = solo.monitor.status(solo.now).counters.takeovers_refused;
        assert_eq!(refused, u64::from(expected == Mode::Waiting), "{position}: counted once");
    }
}
