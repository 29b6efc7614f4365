//! Hand-overs, pre-emption, bad health, shutdown: planned changes of the active node.

use locum_types::{Cause, Health, LogPosition, Mode, ResignReason, Term};
use locum_wire::Intent;

use super::group::Group;
use super::solo::{INTERVAL, Puppet, Solo, config, ms, node, priority};
use crate::{Config, Event, Input, Output};

fn active_solo() -> (Solo, Puppet) {
    let mut peer = Puppet::new(2);
    let solo = Solo::active(config(1, &[2, 3]), &mut [&mut peer]);
    (solo, peer)
}

fn offers(solo: &Solo) -> usize {
    solo.beats().iter().filter(|beat| matches!(beat.intent, Intent::Offer(_))).count()
}

fn successor_of(peer: &mut Puppet, term: u64) {
    (peer.beat.mode, peer.beat.term) = (Mode::Active, Term(term));
}

#[test]
fn an_offer_is_repeated_until_the_successor_is_heard() {
    let (mut solo, mut peer) = active_solo();
    solo.turn([Input::Handover { to: Some(node(2)) }]);
    solo.run_with(INTERVAL * 3, &mut [&mut peer]);
    assert!((6..=8).contains(&offers(&solo)), "twice in an interval: {}", offers(&solo));
    assert_eq!(solo.mode(), Mode::Active, "it serves on");
    assert!(solo.monitor.is_handing_over());
    successor_of(&mut peer, 2);
    solo.hear(peer.speak());
    let cause = Cause::Resigning { reason: ResignReason::Handover };
    assert_eq!(solo.changes(), [(Mode::Active, Mode::Waiting, cause)]);
    assert!(!solo.monitor.is_handing_over());
}

/// In the moment after the in-sync set has changed, what others say of their copies is out of date: whoever was dropped
/// looks as good as whoever was not.
#[test]
fn nobody_is_offered_the_place_whose_copy_may_have_been_dropped() {
    let [mut dropped, mut kept] = [2, 3].map(Puppet::new);
    let mut solo = Solo::active(config(1, &[2, 3]), &mut [&mut dropped, &mut kept]);
    dropped.beat.priority = priority(200);
    for peer in [&mut dropped, &mut kept] {
        peer.beat.position = LogPosition::complete(1);
        solo.hear(peer.speak());
    }
    solo.turn([
        Input::Position { position: LogPosition::complete(2), until: None },
        Input::Handover { to: None },
    ]);
    solo.turn([Input::Handover { to: Some(node(2)) }]);
    assert!(!solo.monitor.is_handing_over());
    kept.beat.position = LogPosition::complete(2);
    solo.hear(kept.speak());
    solo.turn([Input::Handover { to: Some(node(2)) }]);
    assert!(!solo.monitor.is_handing_over(), "it may still not know");
    solo.turn([Input::Handover { to: None }]);
    assert_eq!(offers(&solo), 1);
    assert!(solo.beats().iter().any(|beat| beat.to == node(3) && beat.intent != Intent::None));
}

/// It announces itself before it says that it is active: shouting back would take the address from it.
#[test]
fn the_successors_announcement_is_no_sign_of_a_rival() {
    let (mut solo, mut peer) = active_solo();
    solo.run_with(ms(2_000), &mut [&mut peer]);
    let announced = solo.count(&Output::Announce);
    solo.turn([Input::Handover { to: None }, Input::Rival]);
    solo.run_with(ms(190), &mut [&mut peer]);
    solo.turn([Input::Rival]);
    assert_eq!(solo.count(&Output::Announce), announced);
    solo.run_with(ms(50), &mut [&mut peer]);
    assert!(!solo.monitor.is_handing_over(), "nobody took it");
    assert_eq!(solo.count(&Output::Announce), announced + 1, "then it says that it is still here");
}

#[test]
fn an_offer_that_nobody_takes_is_given_up() {
    let (mut solo, mut peer) = active_solo();
    solo.turn([Input::Handover { to: None }]);
    solo.run_with(ms(199), &mut [&mut peer]);
    assert!(solo.monitor.is_handing_over());
    solo.run_with(ms(20), &mut [&mut peer]);
    assert!(!solo.monitor.is_handing_over());
    assert_eq!(solo.mode(), Mode::Active);
    assert!(solo.events().contains(&Event::HandoverFailed { to: node(2) }));
}

/// It might come back and find an old offer, when others know more than it does.
#[test]
fn an_offer_ends_with_its_successor() {
    let (mut solo, mut peer) = active_solo();
    peer.beat.position = LogPosition::complete(1);
    solo.hear(peer.speak());
    solo.turn([Input::Handover { to: None }]);
    solo.run(ms(150));
    assert!(!solo.monitor.is_handing_over(), "it is dead");
    assert!(solo.events().contains(&Event::HandoverFailed { to: node(2) }));

    let (mut solo, mut peer) = active_solo();
    peer.beat.position = LogPosition::complete(1);
    solo.hear(peer.speak());
    solo.turn([Input::Handover { to: None }]);
    assert!(solo.monitor.is_handing_over());
    peer.beat.position = LogPosition(7);
    solo.hear(peer.speak());
    assert!(!solo.monitor.is_handing_over(), "its copy is not complete any more");
}

#[test]
fn a_hand_over_that_cannot_be_is_refused_with_the_reason() {
    let why = |solo: &Solo| match solo.events().last() {
        Some(&Event::HandoverRefused { why }) => why,
        other => panic!("not refused: {other:?}"),
    };
    let (mut solo, mut peer) = active_solo();
    for to in [1, 3, 99] {
        solo.turn([Input::Handover { to: Some(node(to)) }]);
        assert!(why(&solo).contains("not waiting"), "itself, a dead and an unknown node");
    }
    peer.beat.mode = Mode::Joining;
    solo.hear(peer.speak());
    solo.turn([Input::Handover { to: None }]);
    assert!(why(&solo).contains("no other node"));
    peer.beat.mode = Mode::Waiting;
    solo.hear(peer.speak());
    solo.turn([Input::Handover { to: None }, Input::Handover { to: None }]);
    assert!(why(&solo).contains("under way"));
    let (mut solo, _) = Solo::behind(config(1, &[2]));
    solo.turn([Input::Handover { to: None }]);
    assert!(why(&solo).contains("not active"));
    assert_eq!(offers(&solo), 0);
}

#[test]
fn an_offer_is_taken_in_the_next_term() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    let reason = ResignReason::Handover;
    solo.hear(active.say(Intent::Offer(reason)));
    assert_eq!((solo.mode(), solo.term()), (Mode::Active, Term(6)));
    let cause = Cause::Resigned { peer: node(2), reason };
    assert_eq!(solo.changes(), [(Mode::Waiting, Mode::Active, cause)]);
    solo.take();
    // The predecessor's beats from before it heard us are no sign of a rival.
    solo.hear(active.speak());
    assert_eq!(solo.count(&Output::Announce), 0);
    assert_eq!(solo.monitor.status(solo.now).counters.rivals_heard, 0);
}

#[test]
fn an_offer_counts_only_from_the_active_node_and_only_for_an_able_one() {
    let offer = Intent::Offer(ResignReason::Handover);
    let (mut solo, _) = Solo::behind(config(1, &[2, 3]));
    solo.hear(Puppet::new(3).say(offer));
    assert_eq!(solo.mode(), Mode::Waiting, "from a waiting node");
    solo.hear(Puppet::active(3, 4).say(offer));
    assert_eq!(solo.mode(), Mode::Waiting, "of another than the active one");
    let mut introduced = Puppet::active(2, 5);
    introduced.beat.echo = None;
    solo.hear(introduced.say(offer));
    assert_eq!(solo.mode(), Mode::Waiting, "without an echo");
    for input in [Input::Health(Health::Failed), Input::Link { up: false }] {
        let (mut solo, mut active) = Solo::behind(config(1, &[2]));
        solo.turn([input.clone()]);
        solo.hear(active.say(offer));
        assert_eq!(solo.mode(), Mode::Waiting, "{input:?}");
    }
}

#[test]
fn a_hand_over_in_a_group_leaves_no_gap_and_an_overlap_below_a_round_trip() {
    for seed in 0..10 {
        let mut group = Group::new(3, seed);
        group.run_ms(400);
        group.tell(3, Input::Handover { to: Some(node(1)) });
        let mut silent = 0;
        for _ in 0..100 {
            group.run(std::time::Duration::from_micros(100));
            silent += u32::from(group.speaking().is_empty());
        }
        assert_eq!(silent, 0, "somebody serves at any time");
        assert_eq!(group.settled(), 1);
        assert!(group.longest_overlap < ms(1), "{:?}", group.longest_overlap);
    }
}

#[test]
fn a_lost_offer_and_a_lost_answer_are_repeated() {
    for seed in 0..10 {
        let mut group = Group::new(2, seed);
        group.run_ms(400);
        group.links.values_mut().for_each(|link| link.loss = 40);
        group.tell(2, Input::Handover { to: None });
        group.run_ms(150);
        group.heal();
        group.run_ms(200);
        assert_eq!(group.settled(), 1, "seed {seed}");
    }
}

#[test]
fn a_failed_service_is_given_to_the_best_healthy_node() {
    let mut group = Group::new(3, 2);
    group.run_ms(400);
    group.tell(3, Input::Health(Health::Failed));
    group.run_ms(100);
    assert_eq!(group.settled(), 2);
    assert_eq!(group.mode(3), Mode::Waiting);
    group.kill(2);
    group.run_ms(200);
    assert_eq!(group.settled(), 1, "a failed node never claims");
}

#[test]
fn a_degraded_service_is_given_to_an_ok_node_only() {
    let (mut solo, mut peer) = active_solo();
    peer.beat.health = Health::Degraded;
    solo.hear(peer.speak());
    solo.turn([Input::Health(Health::Degraded)]);
    assert_eq!(offers(&solo), 0);
    peer.beat.health = Health::Ok;
    solo.hear(peer.speak());
    assert_eq!(offers(&solo), 1);
}

#[test]
fn a_failed_node_without_a_successor_is_silent_until_it_recovers() {
    let mut solo = Solo::active(config(1, &[2]), &mut []);
    solo.turn([Input::Health(Health::Failed)]);
    let cause = Cause::Resigning { reason: ResignReason::Health };
    assert_eq!(solo.changes(), [(Mode::Active, Mode::Fenced, cause)]);
    assert!(solo.beats().iter().any(|beat| beat.intent == Intent::Resign(ResignReason::Health)));
    solo.run(ms(2_000));
    assert_eq!(solo.mode(), Mode::Fenced);
    solo.turn([Input::Health(Health::Ok)]);
    solo.run(ms(100));
    assert_eq!(solo.mode(), Mode::Active);
}

#[test]
fn a_living_node_that_resigned_may_come_back() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    active.beat.mode = Mode::Fenced;
    solo.hear(active.say(Intent::Resign(ResignReason::Health)));
    active.beat.mode = Mode::Waiting;
    solo.hear(active.speak());
    let peer = &solo.monitor.status(solo.now).peers[0];
    assert!(peer.alive && peer.mode == Some(Mode::Waiting), "its session goes on");
}

#[test]
fn an_active_node_that_is_told_to_end_hands_over_and_then_says_goodbye() {
    let mut group = Group::new(3, 2);
    group.run_ms(400);
    group.tell(3, Input::Shutdown(ResignReason::Shutdown));
    group.run_ms(100);
    assert_eq!(group.settled(), 2);
    assert!(group.longest_overlap < ms(1));
    let peers = group.member(1).monitor.status(group.now).peers;
    assert!(peers.iter().any(|peer| peer.id == node(3) && !peer.alive), "the goodbye was heard");
}

#[test]
fn a_node_that_ends_without_a_successor_resigns_twice_to_each_peer_and_is_inert() {
    for reason in [ResignReason::Shutdown, ResignReason::Crash] {
        let mut peer = Puppet::new(2);
        let mut solo = Solo::active(config(1, &[2]), &mut [&mut peer]);
        peer.beat.mode = Mode::Joining;
        solo.hear(peer.speak());
        solo.take();
        solo.turn([Input::Shutdown(reason)]);
        let goodbyes = solo.beats();
        assert_eq!(goodbyes.len(), 2);
        assert!(goodbyes.iter().all(|beat| beat.intent == Intent::Resign(reason)));
        assert_eq!(solo.outputs.last(), Some(&Output::Finished));
        solo.take();
        solo.freeze(ms(1_000));
        solo.turn([Input::Beat(peer.speak()), Input::Health(Health::Failed)]);
        assert!(solo.outputs.is_empty() && solo.monitor.poll_deadline().is_none());
    }
}

#[test]
fn a_crash_does_not_wait_for_a_hand_over() {
    let (mut solo, _) = active_solo();
    solo.turn([Input::Shutdown(ResignReason::Crash)]);
    assert_eq!(solo.outputs.last(), Some(&Output::Finished));
    assert_eq!(offers(&solo), 0);
}

#[test]
fn a_waiting_node_that_ends_says_goodbye() {
    let (mut solo, _) = Solo::behind(config(1, &[2]));
    solo.turn([Input::Shutdown(ResignReason::Shutdown)]);
    let goodbye = Intent::Resign(ResignReason::Shutdown);
    assert!(solo.beats().iter().any(|beat| beat.intent == goodbye));
    assert_eq!(solo.outputs.last(), Some(&Output::Finished));
    assert!(solo.changes().is_empty());
}

#[test]
fn a_shutdown_ends_even_if_the_successor_never_answers() {
    let (mut solo, mut peer) = active_solo();
    solo.turn([Input::Shutdown(ResignReason::Shutdown)]);
    solo.run_with(ms(250), &mut [&mut peer]);
    assert_eq!(solo.outputs.last(), Some(&Output::Finished));
}

fn preempting(delay_ms: u64) -> Config {
    Config { priority: priority(200), preempt: Some(ms(delay_ms)), ..config(1, &[2]) }
}

#[test]
fn a_node_of_higher_priority_asks_for_its_place_after_the_delay() {
    let mut solo = Solo::with(preempting(500));
    let mut active = Puppet::active(2, 5);
    let asked =
        |solo: &Solo| solo.beats().iter().filter(|beat| beat.intent == Intent::Request).count();
    solo.run_with(ms(60 + 490), &mut [&mut active]);
    assert_eq!(asked(&solo), 0);
    solo.run_with(ms(211), &mut [&mut active]);
    assert!((4..=5).contains(&asked(&solo)), "every 50 ms: {}", asked(&solo));
    solo.hear(active.say(Intent::Offer(ResignReason::Preempt)));
    assert_eq!(solo.mode(), Mode::Active);
}

#[test]
fn nobody_asks_without_the_option_without_the_priority_or_in_bad_health() {
    let equal = Config { priority: priority(100), ..preempting(10) };
    let unwilling = Config { preempt: None, ..preempting(10) };
    for (config, health) in
        [(equal, Health::Ok), (unwilling, Health::Ok), (preempting(10), Health::Degraded)]
    {
        let mut solo = Solo::with(config);
        solo.turn([Input::Health(health)]);
        solo.run_with(ms(1_000), &mut [&mut Puppet::active(2, 5)]);
        assert!(solo.beats().iter().all(|beat| beat.intent == Intent::None));
    }
}

#[test]
fn the_delay_begins_anew_with_every_failure_of_the_service() {
    let mut solo = Solo::with(preempting(500));
    let mut active = Puppet::active(2, 5);
    solo.run_with(ms(400), &mut [&mut active]);
    solo.turn([Input::Health(Health::Failed)]);
    solo.turn([Input::Health(Health::Ok)]);
    solo.run_with(ms(490), &mut [&mut active]);
    assert!(solo.beats().iter().all(|beat| beat.intent == Intent::None));
    solo.run_with(ms(20), &mut [&mut active]);
    assert!(solo.beats().iter().any(|beat| beat.intent == Intent::Request));
}

#[test]
fn a_request_is_answered_with_an_offer_only_to_a_better_node() {
    for (rank, mode, expected) in
        [(200, Mode::Waiting, 1), (100, Mode::Waiting, 0), (200, Mode::Joining, 0)]
    {
        let (mut solo, mut peer) = active_solo();
        (peer.beat.priority, peer.beat.mode) = (priority(rank), mode);
        solo.hear(peer.say(Intent::Request));
        assert_eq!(offers(&solo), expected, "priority {rank}, {mode}");
    }
}

/// Its connections would be lost.
#[test]
fn whoever_lacks_a_part_of_the_log_is_not_preempted_for() {
    for (position, expected) in [(LogPosition(7), 0), (LogPosition::complete(1), 1)] {
        let (mut solo, mut peer) = active_solo();
        solo.turn([Input::Position { position: LogPosition::complete(1), until: None }]);
        (peer.beat.priority, peer.beat.position) = (priority(200), position);
        solo.hear(peer.say(Intent::Request));
        assert_eq!(offers(&solo), expected, "{position:?}");
    }
}

/// It would be offered the place again before it has caught up.
#[test]
fn whoever_has_given_its_place_away_has_not_everything() {
    let (mut solo, mut peer) = active_solo();
    solo.turn([
        Input::Position { position: LogPosition::complete(1), until: None },
        Input::Handover { to: None },
    ]);
    successor_of(&mut peer, 2);
    solo.hear(peer.speak());
    assert_eq!(solo.mode(), Mode::Waiting);
    let last = *solo.beats().last().expect("it says so");
    assert_eq!((last.mode, last.position), (Mode::Waiting, LogPosition::default()));
}

/// Hard scenario 7.
#[test]
fn a_rebooted_node_of_higher_priority_comes_back_only_if_it_is_configured_to() {
    for (preempt, expected) in [(None, 1), (Some(ms(300)), 2)] {
        let mut group = Group::with(2, 3, |config| {
            config.preempt = preempt;
            config.priority = priority(if config.node == node(2) { 200 } else { 100 });
        });
        group.run_ms(400);
        assert_eq!(group.settled(), 2);
        group.kill(2);
        group.run_ms(300);
        group.restart(2);
        group.run_ms(250);
        assert_eq!(group.settled(), 1, "not before the delay");
        group.run_ms(1_000);
        assert_eq!(group.settled(), expected);
        assert!(group.longest_overlap < ms(1));
    }
}

/// Both find out together with the goodbye that the leader's copy died with it, and what their own old ones are worth.
#[test]
fn two_that_find_out_what_they_are_worth_as_the_active_node_dies_do_not_both_claim() {
    let mut group = Group::new(3, 1);
    group.run_ms(600);
    let leader = group.settled();
    let others: Vec<u8> = (1..=3).filter(|&id| id != leader).collect();
    for &id in &others {
        group.tell(id, Input::Position { position: LogPosition(1), until: None });
    }
    group.run_ms(50);
    group.crash(leader);
    group.run(std::time::Duration::from_micros(190));
    for (&id, position) in others.iter().zip([9, 7]) {
        group.tell(id, Input::Position { position: LogPosition(position), until: None });
    }
    group.run_ms(200);
    let claims = group.changes().iter().filter(|&&(_, _, to)| to == Mode::Active).count();
    assert_eq!(claims, 2, "the leader's and one more: {}", group.story());
}
