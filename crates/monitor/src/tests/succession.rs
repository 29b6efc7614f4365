//! What a node that was active knows of those who may have led since, and what its copy of the log is worth by that.

use std::time::Duration;

use locum_types::{BootNonce, LogPosition, Mode, Succeeded, Term};
use locum_wire::{Beat, TimestampEcho};

use super::solo::{DEAD_AFTER, Puppet, Solo, config, ms};
use crate::{Config, Input};

/// An active node, then one that was stopped for `time`, and has some copy of the log.
fn stopped(time: Duration, waiting: &mut [&mut Puppet]) -> Solo {
    let config = Config { complete_only: true, ..config(1, &[2]) };
    let mut solo = Solo::active(config, waiting);
    solo.freeze(time);
    solo.turn([]);
    assert_eq!(solo.mode(), Mode::Fenced);
    solo.turn([Input::Position { position: LogPosition(7), until: None }]);
    solo
}

/// The next beat of a peer that has just heard what the node said `ago`.
fn answer(solo: &Solo, peer: &mut Puppet, ago: Duration) -> Beat {
    let timestamp = solo.now.saturating_sub(ago).as_micros() as u32;
    Beat { timestamp_echo: Some(TimestampEcho { timestamp, held_us: 0 }), ..peer.speak() }
}

#[test]
fn whoever_was_alone_was_succeeded_by_nobody_unless_it_slept_for_long() {
    let mut solo = stopped(DEAD_AFTER * 3, &mut []);
    assert_eq!(solo.monitor.succeeded(), Succeeded::OnlyByTheDead);
    solo.turn([Input::Position { position: LogPosition::complete(2), until: None }]);
    solo.run_until_mode(Mode::Active);
    assert_eq!(solo.monitor.succeeded(), Succeeded::OnlyByTheDead, "that is what it claimed by");
    let mut solo = stopped(ms(100) + DEAD_AFTER * 4, &mut []);
    assert_eq!(solo.monitor.succeeded(), Succeeded::Maybe, "somebody may have been started");
    solo.run(DEAD_AFTER * 10);
    assert_eq!(solo.monitor.succeeded(), Succeeded::Maybe, "and have died");
}

#[test]
fn a_peer_that_has_answered_and_knows_of_no_later_term_has_not_led() {
    let mut peer = Puppet::new(2);
    let mut solo = stopped(DEAD_AFTER * 3, &mut [&mut peer]);
    assert_eq!(solo.monitor.succeeded(), Succeeded::Maybe, "it lived");
    solo.now += ms(1);
    let before = answer(&solo, &mut peer, ms(2));
    solo.hear(before);
    assert_eq!(solo.monitor.succeeded(), Succeeded::Maybe, "it said so before");
    solo.now += ms(1);
    let after = answer(&solo, &mut peer, ms(1));
    solo.hear(after);
    assert_eq!(solo.monitor.succeeded(), Succeeded::No);
    solo.run(DEAD_AFTER * 3);
    assert_eq!(solo.monitor.succeeded(), Succeeded::Maybe, "it may have led and died now");
}

#[test]
fn whoever_stalls_again_asks_again() {
    let mut peer = Puppet::new(2);
    let mut solo = stopped(DEAD_AFTER * 3, &mut [&mut peer]);
    solo.now += ms(2);
    let after = answer(&solo, &mut peer, ms(1));
    solo.hear(after);
    assert_eq!(solo.monitor.succeeded(), Succeeded::No);
    solo.freeze(DEAD_AFTER * 2);
    solo.turn([]);
    assert_eq!(solo.monitor.succeeded(), Succeeded::Maybe);
}

#[test]
fn whoever_knows_of_a_later_term_may_have_led_in_it() {
    let mut peer = Puppet::new(2);
    let mut solo = stopped(DEAD_AFTER * 3, &mut [&mut peer]);
    solo.now += ms(2);
    peer.beat.term = Term(solo.term().0 + 1);
    let after = answer(&solo, &mut peer, ms(1));
    solo.hear(after);
    assert_eq!(solo.monitor.succeeded(), Succeeded::Maybe);
}

#[test]
fn a_new_life_says_nothing_of_the_one_before() {
    let mut peer = Puppet::new(2);
    let mut solo = stopped(DEAD_AFTER * 3, &mut [&mut peer]);
    solo.run(DEAD_AFTER * 3);
    let mut reborn = Puppet::new(2);
    reborn.beat.boot = BootNonce(0xb002);
    let after = answer(&solo, &mut reborn, ms(1));
    solo.hear(after);
    assert_eq!(solo.monitor.succeeded(), Succeeded::OnlyByTheDead);
}

#[test]
fn a_copy_that_nobody_vouches_for_any_more_is_not_claimed_with() {
    let config = Config { complete_only: true, ..config(1, &[2]) };
    let (mut solo, mut active) = Solo::behind(config);
    solo.hear(active.speak());
    let (position, until) = (LogPosition::complete(3), Some(solo.now + DEAD_AFTER * 2));
    solo.turn([Input::Position { position, until }]);
    solo.take();
    solo.freeze(DEAD_AFTER * 20);
    solo.turn([]);
    assert!(solo.beats().iter().all(|beat| beat.position == LogPosition::NOT_WHOLE));
    solo.run(DEAD_AFTER * 20);
    assert_eq!(solo.mode(), Mode::Waiting, "what it knew was true when it fell asleep");
    solo.turn([Input::Position { position, until: Some(solo.now + DEAD_AFTER) }]);
    solo.run(DEAD_AFTER / 2);
    assert_eq!(solo.mode(), Mode::Active, "now it is known");
}

/// A node that has led says at once that its copy is whole, and takes it back at once.
#[test]
fn a_copy_is_whole_for_as_long_as_nobody_has_led_since() {
    let mut peer = Puppet::new(2);
    let mut solo = stopped(DEAD_AFTER * 3, &mut [&mut peer]);
    solo.now += ms(2);
    let after = answer(&solo, &mut peer, ms(1));
    solo.hear(after);
    let position = LogPosition::complete(3);
    solo.turn([Input::Position { position, until: None }]);
    solo.take();
    solo.monitor.handle(solo.now, Input::Health(locum_types::Health::Failed));
    solo.run(DEAD_AFTER / 2);
    assert!(solo.beats().iter().all(|beat| beat.position == position));
    solo.run(DEAD_AFTER * 3);
    solo.take();
    solo.run(DEAD_AFTER);
    assert!(solo.beats().iter().all(|beat| beat.position == LogPosition::NOT_WHOLE));
    assert!(!solo.beats().is_empty());
}
