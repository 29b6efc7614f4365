//! Own stalls, the lease, the link: when a node does not trust itself.

use std::time::Duration;

use locum_types::{Cause, Mode, ResignReason, Term};
use locum_wire::Intent;

use super::group::Group;
use super::solo::{DEAD_AFTER, INTERVAL, Puppet, Solo, config, ms, node};
use crate::{Input, Output};

fn active_solo() -> (Solo, Puppet) {
    let mut peer = Puppet::new(2);
    let solo = Solo::active(config(1, &[2]), &mut [&mut peer]);
    (solo, peer)
}

#[test]
fn the_lease_ends_one_detection_time_after_the_last_beats() {
    let (mut solo, mut peer) = active_solo();
    for _ in 0..200 {
        solo.take();
        let (at, _) = solo.monitor.poll_deadline().expect("an active node has deadlines");
        solo.now = at;
        solo.turn([Input::Beat(peer.speak())]);
        if let Some(grant) = solo.grants().last() {
            assert_eq!(solo.beats().len(), 1, "a lease goes with a beat to every peer");
            assert_eq!(grant.lease, solo.now + DEAD_AFTER);
        }
    }
}

#[test]
fn beats_leave_up_to_a_quarter_of_the_interval_early_and_never_late() {
    let (mut solo, _) = active_solo();
    let mut gaps = Vec::new();
    let mut last = None;
    for _ in 0..200 {
        solo.take();
        let (at, _) = solo.monitor.poll_deadline().expect("an active node has deadlines");
        solo.now = at;
        solo.turn([]);
        if !solo.beats().is_empty() {
            gaps.extend(last.replace(solo.now).map(|last| solo.now - last));
        }
    }
    assert!(gaps.iter().all(|gap| (INTERVAL * 3 / 4..=INTERVAL).contains(gap)), "{gaps:?}");
    let (min, max) = (gaps.iter().min(), gaps.iter().max());
    assert!(max > min, "jitter varies");
}

#[test]
fn an_active_node_that_stalled_is_fenced_before_its_first_output() {
    let (mut solo, _) = active_solo();
    solo.freeze(DEAD_AFTER * 3);
    solo.turn([]);
    assert_eq!(solo.changes()[0], (Mode::Active, Mode::Fenced, Cause::Stall));
    let first = solo.outputs.first();
    assert!(matches!(first, Some(Output::Grant(grant)) if grant.mode == Mode::Fenced), "{first:?}");
    assert!(solo.beats().iter().all(|beat| beat.mode == Mode::Fenced));
    assert_eq!(solo.monitor.status(solo.now).counters.stalls, 1);
    assert!(solo.monitor.status(solo.now).counters.loop_gap_max_us >= 90_000);
}

#[test]
fn a_short_stall_fences_nobody() {
    let (mut solo, _) = active_solo();
    let (at, _) = solo.monitor.poll_deadline().expect("an active node has deadlines");
    solo.now = at + (DEAD_AFTER - INTERVAL - ms(1));
    solo.turn([]);
    assert_eq!(solo.mode(), Mode::Active);
}

#[test]
fn a_fenced_node_that_hears_the_group_waits() {
    let (mut solo, mut peer) = active_solo();
    solo.freeze(ms(100));
    solo.turn([]);
    solo.take();
    (peer.beat.mode, peer.beat.term) = (Mode::Active, Term(9));
    solo.run_with(ms(200), &mut [&mut peer]);
    assert_eq!(solo.changes(), [(Mode::Fenced, Mode::Waiting, Cause::Heard)]);
    assert_eq!(solo.term(), Term(9));
    assert_eq!(solo.count(&Output::Announce), 0);
}

#[test]
fn a_beat_that_was_queued_before_the_stall_ends_does_not_lift_the_fence() {
    let (mut solo, mut peer) = active_solo();
    solo.freeze(ms(100));
    solo.turn([Input::Beat(peer.speak())]);
    assert_eq!(solo.mode(), Mode::Fenced);
}

#[test]
fn a_fenced_node_that_hears_nobody_serves_again_after_one_detection_time() {
    let (mut solo, _) = active_solo();
    solo.freeze(ms(100));
    solo.turn([]);
    let fenced = solo.now;
    solo.run_until_mode(Mode::Active);
    assert_eq!(solo.now - fenced, DEAD_AFTER);
    let changes = solo.changes();
    assert_eq!(
        changes[1..],
        [
            (Mode::Fenced, Mode::Waiting, Cause::Alone),
            (Mode::Waiting, Mode::Active, Cause::NoActive)
        ]
    );
}

#[test]
fn a_fenced_node_gives_a_slow_peer_its_own_time() {
    let (mut solo, mut peer) = active_solo();
    peer.beat.dead_after = ms(300);
    solo.hear(peer.speak());
    solo.freeze(ms(100));
    solo.turn([]);
    solo.run(ms(299));
    assert_eq!(solo.mode(), Mode::Fenced, "it may be active and beat every 100 ms");
}

#[test]
fn a_waiting_node_that_stalled_takes_nobody_for_dead() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    solo.freeze(ms(5_000));
    solo.turn([]);
    assert_eq!(solo.mode(), Mode::Waiting);
    let thawed = solo.now;
    solo.run(DEAD_AFTER - ms(1));
    assert_eq!(solo.mode(), Mode::Waiting);
    solo.hear(active.speak());
    solo.run_with(ms(100), &mut [&mut active]);
    assert_eq!(solo.mode(), Mode::Waiting);
    solo.run_until_mode(Mode::Active);
    assert!(solo.now - thawed > ms(100));
}

#[test]
fn a_link_that_goes_down_fences_and_one_that_comes_back_is_listened_to() {
    let (mut solo, _) = active_solo();
    solo.turn([Input::Link { up: false }]);
    assert_eq!(solo.changes(), [(Mode::Active, Mode::Fenced, Cause::LinkDown)]);
    solo.run(ms(5_000));
    assert_eq!(solo.mode(), Mode::Fenced, "without a link it is silent");
    solo.turn([Input::Link { up: true }]);
    let up = solo.now;
    solo.take();
    solo.run_until_mode(Mode::Active);
    assert_eq!(solo.now - up, DEAD_AFTER);
    assert_eq!(solo.count(&Output::Announce), 1);
}

#[test]
fn a_waiting_node_without_a_link_never_claims() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    solo.turn([Input::Link { up: false }]);
    solo.run(ms(5_000));
    assert_eq!(solo.mode(), Mode::Waiting);
    assert_eq!(solo.count(&Output::Probe), 0);
    solo.turn([Input::Link { up: true }]);
    solo.run(DEAD_AFTER - ms(1));
    assert_eq!(solo.mode(), Mode::Waiting);
    solo.hear(active.say(Intent::Resign(ResignReason::Crash)));
    assert_eq!(solo.mode(), Mode::Active);
}

/// Hard scenario 2.
#[test]
fn a_zombie_says_nothing_and_its_successor_stays() {
    for (frozen_ms, takes_over) in [(15, false), (60, true), (3_000, true)] {
        for seed in 0..10 {
            let mut group = Group::new(2, seed);
            group.run_ms(400);
            group.freeze(2);
            group.run_ms(frozen_ms);
            let expected = if takes_over { 1 } else { 2 };
            group.thaw(2);
            assert_eq!(group.speaking(), [node(expected)], "right after {frozen_ms} ms");
            group.run_ms(300);
            assert_eq!(group.settled(), expected, "{frozen_ms} ms, seed {seed}");
            assert!(group.longest_overlap.is_zero());
        }
    }
}

#[test]
fn both_nodes_paused_at_once_agree_again() {
    for seed in 0..20 {
        let mut group = Group::new(2, seed);
        group.run_ms(400);
        group.freeze(1);
        group.freeze(2);
        group.run_ms(1_000);
        group.thaw(1);
        group.thaw(2);
        group.run_ms(400);
        group.settled();
        assert!(group.longest_overlap.is_zero(), "seed {seed}");
    }
}

/// Hard scenario 6.
#[test]
fn a_flapping_link_ends_with_one_active_node() {
    for flapping in [&[1][..], &[2], &[1, 2]] {
        let mut group = Group::new(2, 5);
        group.run_ms(400);
        for _ in 0..20 {
            for up in [false, true] {
                flapping.iter().for_each(|&id| group.tell(id, Input::Link { up }));
                group.run_ms(50);
            }
        }
        group.run_ms(500);
        group.settled();
    }
}

/// Hard scenario 9: a starved node that still runs once in each lease keeps its place.
#[test]
fn stalls_below_the_detection_time_move_nothing() {
    let mut group = Group::new(2, 6);
    group.run_ms(400);
    for id in [1, 2] {
        for _ in 0..50 {
            group.freeze(id);
            group.run_ms(17);
            group.thaw(id);
            group.run_ms(11);
        }
    }
    assert_eq!(group.settled(), 2);
    assert_eq!(group.announcements.len(), 1);
    let gap = group.member(2).monitor.status(group.now).counters.loop_gap_max_us;
    assert!(gap >= 17_000, "the longest gap is known: {gap}");
}

#[test]
fn a_stop_in_the_middle_of_a_turn_is_a_stall_too() {
    let (mut solo, _) = active_solo();
    solo.monitor.begin_turn(solo.now);
    solo.freeze(DEAD_AFTER);
    solo.monitor.end_turn(solo.now);
    solo.outputs.extend(std::iter::from_fn(|| solo.monitor.poll_output()));
    assert_eq!(solo.changes(), [(Mode::Active, Mode::Fenced, Cause::Stall)]);

    let (mut solo, _) = Solo::behind(config(1, &[2]));
    solo.monitor.begin_turn(solo.now);
    solo.freeze(DEAD_AFTER * 10);
    solo.monitor.end_turn(solo.now);
    assert_eq!(solo.mode(), Mode::Waiting, "the queue was read before the stop, if at all");
    assert_eq!(solo.monitor.status(solo.now).counters.stalls, 1);
}

#[test]
fn the_fence_falls_at_the_very_end_of_the_lease() {
    for (early, mode) in [(1, Mode::Active), (0, Mode::Fenced)] {
        let (mut solo, _) = active_solo();
        solo.run(INTERVAL);
        let lease = solo.grants().last().expect("it is renewed with the beats").lease;
        solo.now = lease.saturating_sub(Duration::from_nanos(early));
        solo.turn([]);
        assert_eq!(solo.mode(), mode, "{early} ns before");
    }
}

#[test]
fn a_fenced_node_leaves_its_place_to_who_hears_it_at_once_and_to_others_if_nobody_has_it() {
    for link_was_down in [false, true] {
        let (mut solo, mut active) = Solo::behind(config(1, &[2, 3]));
        if link_was_down {
            solo.turn([Input::Link { up: false }]);
            solo.run(DEAD_AFTER * 3);
            solo.turn([Input::Link { up: true }]);
        }
        active.beat.mode = Mode::Fenced;
        solo.hear(active.speak());
        let expected = if link_was_down { Mode::Waiting } else { Mode::Active };
        assert_eq!(solo.mode(), expected, "link was down: {link_was_down}");
        solo.run_until_mode(Mode::Active);
    }
}
