//! From the first turn to the first active node.

use locum_types::{Cause, Health, Mode};

use super::group::Group;
use super::solo::{DEAD_AFTER, Puppet, Solo, config, ms, node};
use crate::{Input, Output};

#[test]
fn a_lonely_node_listens_for_100_ms_and_probes_before_it_is_active() {
    let mut solo = Solo::new(&[2]);
    let start = solo.now;
    solo.run_until_mode(Mode::Waiting);
    assert_eq!(solo.now - start, DEAD_AFTER.saturating_mul(4).max(ms(100)));
    assert_eq!(solo.count(&Output::Probe), 0);
    solo.run_until_mode(Mode::Active);
    assert!((2..=3).contains(&solo.count(&Output::Probe)), "it asks before it claims");
    assert!(solo.now - start >= DEAD_AFTER * 5);
    assert_eq!(
        solo.changes(),
        [
            (Mode::Joining, Mode::Waiting, Cause::Joined),
            (Mode::Waiting, Mode::Active, Cause::NoActive)
        ]
    );
}

#[test]
fn a_node_that_hears_an_active_one_joins_after_two_detection_times() {
    let mut solo = Solo::new(&[2]);
    let start = solo.now;
    let mut active = Puppet::active(2, 5);
    solo.run_with(DEAD_AFTER * 2 - ms(1), &mut [&mut active]);
    assert_eq!(solo.mode(), Mode::Joining);
    solo.run_with(ms(2), &mut [&mut active]);
    assert_eq!(solo.mode(), Mode::Waiting);
    assert!(solo.now - start < ms(100));
    solo.run_with(ms(1_000), &mut [&mut active]);
    assert_eq!(solo.mode(), Mode::Waiting);
    assert_eq!(solo.term(), active.beat.term);
}

#[test]
fn a_joining_node_takes_no_offer_and_claims_nothing() {
    let mut solo = Solo::new(&[2]);
    let mut active = Puppet::active(2, 5);
    let reason = locum_types::ResignReason::Handover;
    solo.hear(active.say(locum_wire::Intent::Offer(reason)));
    assert_eq!(solo.mode(), Mode::Joining);
}

#[test]
fn without_a_link_or_with_a_failed_service_nobody_claims() {
    for input in [Input::Link { up: false }, Input::Health(Health::Failed)] {
        let mut solo = Solo::new(&[2]);
        solo.turn([input.clone()]);
        solo.run(ms(10_000));
        assert_eq!(solo.mode(), Mode::Waiting, "{input:?}");
        assert_eq!(solo.count(&Output::Probe), 0, "{input:?}");
    }
}

/// Hard scenario 8, first half.
#[test]
fn nodes_that_start_in_the_same_instant_agree_on_one() {
    for (size, seed) in (2..=5).flat_map(|size| (0..20).map(move |seed| (size, seed))) {
        let mut group = Group::new(size, seed);
        group.run_ms(400);
        let active = group.settled();
        assert_eq!(active, size, "with all else equal the highest id wins");
        assert!(group.longest_overlap.is_zero(), "seed {seed}");
        assert_eq!(group.announcements.len(), 1, "seed {seed}");
    }
}

#[test]
fn the_best_of_health_position_priority_and_id_wins_in_this_order() {
    let ranked = |adjust: fn(&mut Group)| {
        let mut group = Group::new(3, 1);
        adjust(&mut group);
        group.run_ms(400);
        group.settled()
    };
    assert_eq!(ranked(|_| {}), 3);
    assert_eq!(
        ranked(|group| group
            .tell(2, Input::Position { position: locum_types::LogPosition(9), until: None })),
        2
    );
    let degraded = |group: &mut Group| {
        group.tell(3, Input::Health(Health::Degraded));
        group.tell(3, Input::Position { position: locum_types::LogPosition(9), until: None });
    };
    assert_eq!(ranked(degraded), 2);
    let mut group = Group::with(3, 1, |config| {
        config.priority = super::solo::priority(if config.node == node(1) { 200 } else { 100 });
    });
    group.run_ms(400);
    assert_eq!(group.settled(), 1);
}

#[test]
fn outputs_of_an_activation_come_in_their_order() {
    let mut solo = Solo::with(config(1, &[2, 3]));
    solo.run_until_mode(Mode::Waiting);
    solo.take();
    solo.run_until_mode(Mode::Active);
    let position = |wanted: fn(&Output) -> bool| solo.outputs.iter().position(wanted);
    let granted = position(|output| matches!(output, Output::Grant(g) if g.mode == Mode::Active));
    let announced = position(|output| matches!(output, Output::Announce));
    let beat = position(|output| matches!(output, Output::Beat(b) if b.mode == Mode::Active));
    let will = position(|output| matches!(output, Output::WillChanged));
    let event = position(|output| matches!(output, Output::Event(_)));
    let order = [granted, announced, beat, will, event];
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{order:?}");
}
