//! What waited in a queue while this node was paused, or was alone, is not acted on as if it were news.

use locum_types::{BootNonce, Cause, Health, Mode, ResignReason, Term};
use locum_wire::{Intent, TimestampEcho};

use super::group::Group;
use super::solo::{DEAD_AFTER, INTERVAL, Puppet, Solo, config, ms, node};
use crate::{Event, Input, Output};

/// What an active puppet sends back of the monitor's clock, as heard at `solo.now`.
fn echo_now(solo: &Solo, puppet: &mut Puppet) {
    let timestamp = solo.now.as_micros() as u32;
    puppet.beat.timestamp_echo = Some(TimestampEcho { timestamp, held_us: 0 });
}

#[test]
fn an_offer_that_is_older_than_the_detection_time_is_not_taken() {
    for (late, taken) in [(ms(1), true), (DEAD_AFTER, true), (DEAD_AFTER + ms(1), false)] {
        let (mut solo, mut active) = Solo::behind(config(1, &[2]));
        echo_now(&solo, &mut active);
        let offer = active.say(Intent::Offer(ResignReason::Handover));
        solo.now += late;
        solo.hear(offer);
        assert_eq!(solo.mode() == Mode::Active, taken, "after {late:?}");
        let stale = solo.monitor.status(solo.now).counters.offers_stale;
        assert_eq!(stale, u64::from(!taken));
    }
}

/// A beat that was lost, and that somebody on the link repeats after the death of its sender.
#[test]
fn a_lost_beat_of_the_dead_does_not_shut_out_their_next_life() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    echo_now(&solo, &mut active);
    let lost = active.speak();
    solo.run(DEAD_AFTER + ms(20));
    solo.take();
    solo.hear(lost);
    assert_eq!(solo.events(), [], "the dead stay dead");
    assert_eq!(solo.beats().len(), 1, "whoever has only slept is asked to say something fresh");
    let mut reborn = Puppet::new(2);
    reborn.beat.boot = BootNonce(0x2222);
    solo.hear(reborn.speak());
    assert_eq!(solo.events(), [Event::PeerUp { peer: node(2) }]);
}

#[test]
fn a_paused_node_does_not_take_an_offer_that_was_given_up() {
    let mut group = Group::new(2, 1);
    group.run_ms(400);
    let active = group.settled();
    let other = 3 - active;
    group.freeze(other);
    group.tell(active, Input::Handover { to: None });
    group.run_ms(1_000);
    let failed = |(_, _, event): &(_, _, Event)| matches!(event, Event::HandoverFailed { .. });
    assert!(group.events.iter().any(failed), "{}", group.story());
    group.thaw(other);
    group.run_ms(1_000);
    assert_eq!(group.settled(), active, "{}", group.story());
    assert!(group.longest_overlap.is_zero());
}

#[test]
fn a_goodbye_from_a_queue_is_followed_by_a_question() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    solo.freeze(ms(10_000));
    solo.hear(active.say(Intent::Resign(ResignReason::Shutdown)));
    assert_eq!(solo.mode(), Mode::Waiting, "others have taken over long ago");
    solo.run(ms(20));
    assert!(solo.count(&Output::Probe) >= 1);
    solo.run(ms(20));
    assert_eq!(solo.mode(), Mode::Active, "or nobody has");
}

#[test]
fn a_node_that_recovers_asks_before_it_fills_an_old_vacancy() {
    let recover: [(Input, Input); 2] = [
        (Input::Health(Health::Failed), Input::Health(Health::Ok)),
        (Input::Link { up: false }, Input::Link { up: true }),
    ];
    for (fail, recovered) in recover {
        for goodbye in [Intent::None, Intent::Resign(ResignReason::Crash)] {
            let (mut solo, mut active) = Solo::behind(config(1, &[2]));
            solo.turn([fail.clone()]);
            solo.hear(active.say(goodbye));
            solo.run(ms(5_000));
            assert_eq!(solo.mode(), Mode::Waiting);
            assert_eq!(solo.count(&Output::Probe), 0);
            solo.turn([recovered.clone()]);
            assert_eq!(solo.mode(), Mode::Waiting, "{recovered:?} after {goodbye:?}");
            solo.run(ms(25));
            assert!(solo.count(&Output::Probe) >= 1);
            solo.run(ms(10));
            assert_eq!(solo.mode(), Mode::Active);
        }
    }
}

#[test]
fn a_node_that_was_paused_while_it_joined_has_not_listened() {
    let mut solo = Solo::new(&[2]);
    solo.run(ms(50));
    solo.freeze(ms(1_000));
    solo.turn([]);
    assert_eq!(solo.mode(), Mode::Joining);
    solo.run(ms(110));
    assert_eq!(solo.mode(), Mode::Joining);
    solo.run(ms(15));
    assert_eq!(solo.mode(), Mode::Waiting);
}

#[test]
fn a_fenced_node_whose_probe_is_answered_waits_behind_whoever_answers() {
    let mut solo = Solo::active(config(1, &[2]), &mut [&mut Puppet::new(2)]);
    solo.freeze(ms(1_000));
    solo.turn([]);
    assert_eq!(solo.mode(), Mode::Fenced);
    for _ in 0..100 {
        solo.run(INTERVAL);
        if solo.count(&Output::Probe) > 0 {
            solo.turn([Input::ProbeAnswered]);
        }
        assert_ne!(solo.mode(), Mode::Active, "somebody else serves");
    }
    assert_eq!(solo.mode(), Mode::Waiting);
    solo.run(DEAD_AFTER + ms(1));
    assert_eq!(solo.mode(), Mode::Active, "until it answers no more");
}

#[test]
fn a_peer_restarted_during_a_pause_is_met_at_once() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    solo.freeze(ms(500));
    let mut reborn = Puppet::active(2, 6);
    reborn.beat.boot.0 += 1_000;
    // The last words of the former life lie in the queue before the first ones of the new.
    let queued = [active.speak(), active.speak(), reborn.speak()];
    solo.turn(queued.map(Input::Beat));
    assert_eq!(solo.term(), Term(6));
    assert_eq!(solo.monitor.status(solo.now).counters.refused.second_life, 0);
}

#[test]
fn when_the_better_of_two_active_nodes_dies_the_other_is_followed() {
    let (mut solo, mut lower) = Solo::behind(config(1, &[2, 3]));
    let mut higher = Puppet::active(3, 6);
    solo.run_with(ms(100), &mut [&mut lower, &mut higher]);
    solo.run_with(ms(200), &mut [&mut lower]);
    assert_eq!(solo.mode(), Mode::Waiting, "node 2 serves");
    assert_eq!(solo.term(), Term(6), "the higher term is remembered");
    solo.run(DEAD_AFTER + ms(1));
    assert_eq!(
        solo.changes().last(),
        Some(&(Mode::Waiting, Mode::Active, Cause::Silence { peer: node(2) }))
    );
    assert_eq!(solo.term(), Term(7));
}

#[test]
fn an_active_node_keeps_its_term_when_others_know_higher_ones_and_can_still_hand_over() {
    let mut waiting = Puppet::new(2);
    let mut solo = Solo::active(config(1, &[2]), &mut [&mut waiting]);
    waiting.beat.term = Term(40);
    solo.run_with(ms(50), &mut [&mut waiting]);
    assert_eq!((solo.mode(), solo.term()), (Mode::Active, Term(1)));
    solo.turn([Input::Handover { to: None }]);
    (waiting.beat.mode, waiting.beat.term) = (Mode::Active, Term(41));
    solo.hear(waiting.speak());
    assert_eq!((solo.mode(), solo.term()), (Mode::Waiting, Term(41)));
    let handed_over =
        |event: &Event| matches!(event, Event::HandedOver { to, .. } if *to == node(2));
    assert!(solo.events().iter().any(handed_over));

    let (mut solo, mut active) = Solo::behind(config(1, &[2, 3]));
    let mut third = Puppet::new(3);
    third.beat.term = Term(40);
    solo.run_with(ms(50), &mut [&mut active, &mut third]);
    solo.hear(active.say(Intent::Offer(ResignReason::Handover)));
    assert_eq!((solo.mode(), solo.term()), (Mode::Active, Term(41)));
}

#[test]
fn a_link_that_goes_down_is_told_over_the_one_that_is_left() {
    let mut solo = Solo::active(config(1, &[2]), &mut [&mut Puppet::new(2)]);
    solo.turn([Input::Link { up: false }]);
    let beat = solo.beats().last().copied().expect("a change of mode is told");
    assert_eq!(beat.intent, Intent::Resign(ResignReason::Health));
    assert_eq!((beat.mode, beat.health), (Mode::Fenced, Health::Failed));
}

#[test]
fn an_active_node_that_says_it_is_fenced_is_replaced_at_once() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    active.beat.mode = Mode::Fenced;
    solo.hear(active.speak());
    assert_eq!(solo.changes(), [(Mode::Waiting, Mode::Active, Cause::NoActive)]);
    assert_eq!(solo.count(&Output::Probe), 0);
}

#[test]
fn a_rank_that_is_inherited_begins_a_new_step() {
    let mut solo = Solo::new(&[2, 3]);
    let (mut better, mut best) = (Puppet::new(2), Puppet::new(3));
    solo.run_until_mode(Mode::Waiting);
    // The vacancy ends 30 ms from here, and node 1 may claim 20 ms later; but first node 3 leaves.
    solo.run_with(ms(48), &mut [&mut better, &mut best]);
    assert_eq!(solo.mode(), Mode::Waiting);
    solo.hear(best.say(Intent::Resign(ResignReason::Shutdown)));
    assert_eq!(solo.mode(), Mode::Waiting, "now it is node 2's turn");
    solo.run_with(INTERVAL - ms(1), &mut [&mut better]);
    assert_eq!(solo.mode(), Mode::Waiting);
    solo.run_with(ms(2), &mut [&mut better]);
    assert_eq!(solo.mode(), Mode::Active);
}

#[test]
fn a_degraded_node_whose_offer_nobody_takes_does_not_repeat_it_without_end() {
    let mut deaf = Puppet::new(2);
    let mut solo = Solo::active(config(1, &[2]), &mut [&mut deaf]);
    solo.turn([Input::Health(Health::Degraded)]);
    solo.run_with(ms(3_000), &mut [&mut deaf]);
    let counters = solo.monitor.status(solo.now).counters;
    assert_eq!(solo.mode(), Mode::Active);
    assert!((2..=3).contains(&counters.handovers_failed), "{}", counters.handovers_failed);
}

#[test]
fn a_pause_does_not_bring_the_dead_back() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2, 3]));
    let mut dead = Puppet::new(3);
    solo.run_with(ms(50), &mut [&mut active, &mut dead]);
    solo.run_with(ms(100), &mut [&mut active]);
    solo.freeze(ms(1_000));
    solo.turn([]);
    let alive = |peer: &crate::PeerStatus| peer.alive;
    let peers = solo.monitor.status(solo.now).peers;
    assert_eq!(peers.iter().map(alive).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn while_the_better_of_two_active_nodes_dies_nobody_claims() {
    let (mut solo, mut lower) = Solo::behind(config(1, &[2, 3]));
    let mut higher = Puppet::active(3, 6);
    solo.run_with(ms(50), &mut [&mut lower, &mut higher]);
    solo.hear(higher.speak());
    // Node 2 speaks between the instants at which node 3 would have.
    solo.run(ms(5));
    for _ in 0..10 {
        solo.hear(lower.speak());
        solo.run(INTERVAL);
    }
    assert_eq!(solo.mode(), Mode::Waiting);
}

#[test]
fn an_offer_of_the_lesser_of_two_active_nodes_is_not_taken() {
    let (mut solo, mut lower) = Solo::behind(config(1, &[2, 3]));
    let mut higher = Puppet::active(3, 6);
    solo.hear(higher.speak());
    solo.hear(lower.speak());
    solo.hear(lower.say(Intent::Offer(ResignReason::Handover)));
    assert_eq!(solo.mode(), Mode::Waiting);
    solo.hear(higher.say(Intent::Offer(ResignReason::Handover)));
    assert_eq!(solo.mode(), Mode::Active);
}

#[test]
fn the_successor_of_a_node_that_yielded_has_two_intervals_to_be_heard() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    active.beat.mode = Mode::Joining;
    solo.hear(active.speak());
    solo.run(INTERVAL * 2 - ms(1));
    assert_eq!(solo.mode(), Mode::Waiting);
    solo.run(ms(1));
    assert_eq!(solo.changes(), [(Mode::Waiting, Mode::Active, Cause::NoActive)]);
}

#[test]
fn one_lost_beat_or_a_dead_node_is_not_called_degraded() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2, 3]));
    let mut better = Puppet::new(3);
    solo.run_with(ms(50), &mut [&mut active, &mut better]);
    solo.run_with(ms(17), &mut [&mut better]);
    assert!(solo.count(&Output::Probe) > 0);
    solo.turn([Input::ProbeAnswered]);
    solo.run_with(ms(20), &mut [&mut active, &mut better]);
    // Now it dies, and node 3 is to claim before node 1.
    solo.run_with(DEAD_AFTER + ms(9), &mut [&mut better]);
    assert_eq!(solo.mode(), Mode::Waiting);
    let degraded = |event: &Event| matches!(event, Event::Degraded { .. });
    assert!(!solo.events().iter().any(degraded), "{:?}", solo.events());
}
