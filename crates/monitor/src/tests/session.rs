//! Which beats are believed.

use locum_types::{BootNonce, Mode, ResignReason, Term};
use locum_wire::{Beat, Intent};

use super::solo::{BOOT, DEAD_AFTER, INTERVAL, Puppet, Solo, config, ms, node};
use crate::{Event, RefusedBeats};

fn refused(solo: &Solo) -> RefusedBeats {
    solo.monitor.status(solo.now).counters.refused
}

fn accepted(solo: &Solo) -> u64 {
    solo.monitor.status(solo.now).counters.beats_accepted
}

#[test]
fn a_beat_that_does_not_echo_us_is_answered_and_not_believed() {
    for echo in [None, Some(BootNonce(0xbad))] {
        let mut solo = Solo::new(&[2]);
        solo.run(ms(50));
        solo.take();
        solo.freeze(ms(4));
        let mut stranger = Puppet::active(2, 9);
        stranger.beat.echo = echo;
        solo.hear(stranger.speak());
        let answers = solo.beats();
        let answer = answers.last().expect("it is answered at once");
        assert_eq!(answer.echo, Some(stranger.beat.boot), "it can prove that it hears us now");
        assert_eq!(solo.term(), Term(0));
        assert_eq!(refused(&solo).not_echoed, 1);
        let peer = &solo.monitor.status(solo.now).peers[0];
        assert!(!peer.alive && peer.mode.is_none() && peer.last_heard_age.is_none());
    }
}

#[test]
fn introductions_are_answered_at_most_four_times_in_an_interval() {
    let mut solo = Solo::new(&[2]);
    solo.run(ms(50));
    solo.take();
    let mut stranger = Puppet::new(2);
    stranger.beat.echo = None;
    for _ in 0..100 {
        solo.freeze(INTERVAL / 100);
        solo.hear(stranger.speak());
    }
    assert!((2..=6).contains(&solo.beats().len()), "{}", solo.beats().len());
}

#[test]
fn two_nodes_meet_by_two_introductions_and_a_proof() {
    let mut solo = Solo::new(&[2]);
    let mut peer = Puppet::new(2);
    peer.beat.echo = None;
    solo.hear(peer.speak());
    peer.beat.echo = Some(BOOT);
    solo.hear(peer.speak());
    assert_eq!(solo.events(), [Event::PeerUp { peer: node(2) }]);
    assert_eq!(accepted(&solo), 1);
}

#[test]
fn a_recorded_introduction_does_not_talk_over_a_living_session() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    let mut recorded = Puppet::active(2, 9);
    recorded.beat.boot = BootNonce(0x01d);
    recorded.beat.echo = Some(BootNonce(0x0ff));
    for _ in 0..50 {
        solo.hear(recorded.speak());
        solo.run_with(INTERVAL, &mut [&mut active]);
    }
    assert!(solo.changes().is_empty());
    let regular = solo.beats().into_iter().filter(|beat| beat.echo == Some(active.beat.boot));
    assert!(regular.count() >= 50, "the session goes on");
    assert_eq!(solo.monitor.status(solo.now).peers[0].term, Some(Term(5)));
}

/// Hard scenario 3 for one node.
#[test]
fn duplicates_and_replays_change_nothing_but_counters() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    let recorded: Vec<Beat> = (0..100).map(|_| active.speak()).collect();
    for &beat in &recorded {
        solo.run(INTERVAL);
        solo.hear(beat);
    }
    let before = accepted(&solo);
    for &beat in recorded.iter().chain(&recorded) {
        solo.hear(Beat { intent: Intent::Resign(ResignReason::Crash), ..beat });
    }
    assert_eq!(refused(&solo).replayed, 200);
    assert_eq!(accepted(&solo), before);
    assert_eq!(solo.mode(), Mode::Waiting);
}

#[test]
fn a_replayed_beat_does_not_keep_a_dead_node_alive() {
    let (mut solo, active) = Solo::behind(config(1, &[2]));
    let last = active.beat;
    for _ in 0..20 {
        solo.run(ms(5));
        solo.hear(last);
    }
    assert_eq!(solo.mode(), Mode::Active);
}

#[test]
fn an_overtaken_beat_counts_as_heard_but_does_not_undo_a_newer_one() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    let late = active.speak();
    active.beat.term = Term(6);
    let newer = active.speak();
    solo.hear(newer);
    solo.hear(late);
    assert_eq!(solo.monitor.status(solo.now).peers[0].term, Some(Term(6)));
    assert_eq!(solo.monitor.status(solo.now).counters.beats_late, 1);
}

#[test]
fn a_life_that_resigned_is_over_for_good() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    solo.hear(active.say(Intent::Resign(ResignReason::Crash)));
    assert_eq!(solo.mode(), Mode::Active);
    let term = solo.term();
    active.beat.term = Term(99);
    for _ in 0..10 {
        solo.hear(active.speak());
    }
    assert_eq!(solo.mode(), Mode::Active);
    assert_eq!(solo.term(), term);
    assert_eq!(refused(&solo).old_boot, 10);
}

#[test]
fn the_will_is_the_last_word_of_a_boot() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    let mut will = active.say(Intent::Resign(ResignReason::Crash));
    will.sequence = u64::MAX;
    solo.hear(will);
    assert_eq!(solo.mode(), Mode::Active);
    solo.hear(will);
    solo.hear(active.speak());
    assert_eq!(refused(&solo).old_boot, 2);
}

#[test]
fn a_restarted_peer_begins_a_new_session_with_low_numbers() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    for _ in 0..20 {
        active.speak();
    }
    solo.hear(active.say(Intent::Resign(ResignReason::Shutdown)));
    let mut reborn = Puppet::new(2);
    reborn.beat.boot = BootNonce(0x2222);
    let before = accepted(&solo);
    solo.hear(reborn.speak());
    assert_eq!(accepted(&solo), before + 1);
    assert!(solo.monitor.status(solo.now).peers[0].alive);
}

#[test]
fn beats_of_unknown_nodes_are_counted_and_not_answered() {
    let mut solo = Solo::new(&[2]);
    solo.take();
    solo.hear(Puppet::active(77, 9).speak());
    assert_eq!(refused(&solo).unknown_peer, 1);
    assert!(solo.outputs.is_empty());
}

#[test]
fn a_beat_without_a_number_begins_no_session() {
    let mut solo = Solo::new(&[2]);
    solo.hear(Puppet::new(2).beat);
    assert_eq!(refused(&solo).replayed, 1);
    assert!(!solo.monitor.status(solo.now).peers[0].alive);
}

#[test]
fn a_second_life_counts_when_the_first_is_silent() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    let mut second = Puppet::new(2);
    second.beat.boot = BootNonce(0x2222);
    solo.run_with(ms(1_000), &mut [&mut active, &mut second]);
    assert_eq!(solo.monitor.status(solo.now).peers[0].term, Some(Term(5)));
    let told = solo.events().into_iter().filter(|event| matches!(event, Event::TwinHeard { .. }));
    assert_eq!(told.count(), 1, "two nodes have one id: people are told once");
    solo.run_with(ms(100), &mut [&mut second]);
    assert_eq!(solo.monitor.status(solo.now).peers[0].mode, Some(Mode::Waiting));
    assert_eq!(solo.mode(), Mode::Active);
}

/// A peer that was restarted twice within its detection time: the life in between was heard, and
/// never counted. What was recorded of it cannot be its beginning.
#[test]
fn a_life_that_was_passed_over_does_not_begin_with_a_record() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    let mut second = Puppet::new(2);
    second.beat.boot = BootNonce(0x2222);
    let mut records = Vec::new();
    for _ in 0..5 {
        records.push(second.speak());
        solo.hear(records[records.len() - 1]);
        solo.run_with(ms(2), &mut [&mut active]);
    }
    solo.run_with(ms(200), &mut []);
    for record in records {
        solo.hear(record);
    }
    assert!(!solo.monitor.status(solo.now).peers[0].alive);
    assert_eq!(refused(&solo).replayed, 5);
}

#[test]
fn what_was_heard_of_one_life_is_not_said_to_the_next() {
    let (mut solo, mut peer) = Solo::behind(config(1, &[2]));
    solo.run(DEAD_AFTER * 2);
    peer.beat.boot = BootNonce(0x2222);
    peer.beat.echo = None;
    solo.take();
    solo.hear(peer.speak());
    let answer = solo.beats().pop().expect("it is answered at once");
    assert_eq!(answer.echo, Some(BootNonce(0x2222)));
    assert_eq!((answer.heard, answer.heard_age_us, answer.timestamp_echo), (0, None, None));
}

#[test]
fn round_trip_and_loss_are_measured() {
    let mut group = super::group::Group::new(2, 3);
    group.run_ms(300);
    group.link(2, 1).loss = 50;
    group.run_ms(2_000);
    let peer = &group.member(1).monitor.status(group.now).peers[0];
    let rtt = peer.rtt.expect("timestamps were echoed");
    assert!(ms(0) < rtt && rtt < ms(1), "two links of 200 us: {rtt:?}");
    assert!((0.2..0.8).contains(&peer.loss_in), "half is lost: {}", peer.loss_in);
    let loss_out = group.member(2).monitor.status(group.now).peers[0].loss_out;
    assert!(loss_out.is_some_and(|loss| (0.2..0.8).contains(&loss)), "{loss_out:?}");
}
