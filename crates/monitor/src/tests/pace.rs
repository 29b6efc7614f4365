//! Times: groups at other speeds, and a change of speed while they run.

use std::time::Duration;

use locum_types::{Cause, Mode};
use proptest::prelude::*;

use super::group::Group;
use super::solo::{Puppet, Solo, config, ms, node};
use crate::{Config, Deadline, Event, Input, Output};

fn at_speed(interval_ms: u64) -> impl Fn(&mut Config) {
    move |config| {
        config.interval = ms(interval_ms);
        config.dead_after = ms(interval_ms * 3);
    }
}

#[test]
fn at_any_speed_a_dead_node_is_replaced_after_three_intervals() {
    for interval_ms in [1, 2, 10, 100, 1_000] {
        let (interval, dead_after) = (ms(interval_ms), ms(interval_ms * 3));
        let mut group = Group::with(3, interval_ms, at_speed(interval_ms));
        group.run(dead_after * 10 + ms(150));
        let active = group.settled();
        let events = group.events.len();
        group.kill(active);
        let killed = group.now;
        group.run(dead_after * 2);
        let takeover = group.events[events..].iter().find_map(|&(at, _, event)| {
            let Event::ModeChanged { to: Mode::Active, cause, detection, .. } = event else {
                return None;
            };
            Some((at, cause, detection))
        });
        let (at, cause, detection) = takeover.expect("somebody takes over");
        assert_eq!(cause, Cause::Silence { peer: node(active) });
        assert_eq!(detection, Some(dead_after), "interval {interval:?}");
        let outage = at - killed;
        assert!(outage <= dead_after + ms(1) && outage >= dead_after - interval);
    }
}

#[test]
fn a_reload_to_slower_beats_is_not_taken_for_death_even_if_some_are_lost() {
    for seed in 0..20 {
        let mut group = Group::new(3, seed);
        group.run_ms(500);
        let active = group.settled();
        for id in 1..=3 {
            for peer in (1..=3).filter(|&peer| peer != id) {
                group.link(id, peer).loss = 10;
            }
        }
        let changes = group.changes().len();
        let mut slower = group.member(active).config.clone();
        at_speed(100)(&mut slower);
        group.tell(active, Input::Reconfigure(slower));
        group.run_ms(3_000);
        assert_eq!(group.changes().len(), changes, "seed {seed}\n{}", group.story());
        assert_eq!(group.settled(), active);
    }
}

#[test]
fn a_reload_to_a_longer_detection_time_does_not_lengthen_the_lease_before_peers_know() {
    let mut solo = Solo::active(config(1, &[2]), &mut [&mut Puppet::new(2)]);
    let slower = Config { interval: ms(100), dead_after: ms(300), ..config(1, &[2]) };
    solo.turn([Input::Reconfigure(slower)]);
    let reloaded = solo.now;
    let lease_at = |solo: &Solo, now| solo.grants().last().map(|grant| grant.lease - now);
    solo.run(ms(50));
    let last = solo.grants().last().expect("it beats at the old pace").lease;
    assert!(last <= solo.now + ms(30));
    assert!(solo.beats().len() >= 5, "the old pace goes on: {}", solo.beats().len());
    assert!(solo.beats().iter().all(|beat| beat.dead_after == ms(300)));
    solo.run(ms(150));
    assert!(lease_at(&solo, solo.now) > Some(ms(200)), "then the new times hold");
    assert!(solo.now - reloaded < ms(250));
}

#[test]
fn a_reload_drops_an_offer_to_a_node_that_is_gone() {
    let mut solo = Solo::active(config(1, &[2]), &mut [&mut Puppet::new(2)]);
    solo.turn([Input::Handover { to: None }]);
    assert!(solo.monitor.is_handing_over());
    solo.turn([Input::Reconfigure(config(1, &[3]))]);
    assert!(!solo.monitor.is_handing_over());
    solo.run(ms(500));
    assert_eq!(solo.mode(), Mode::Active);
}

#[test]
fn every_deadline_says_what_it_is_for() {
    let mut seen = Vec::new();
    let mut note = |solo: &Solo| {
        let (_, why) = solo.monitor.poll_deadline().expect("it goes on");
        if !seen.contains(&why.name()) {
            seen.push(why.name());
        }
    };
    // One beat of node 2 at the start, then silence: to the end of a claim. The interval is longer
    // than all other times, so that beats do not hide them.
    let mut slow = config(1, &[2]);
    slow.interval = Duration::from_secs(1);
    let mut solo = Solo::with(slow);
    let mut active = Puppet::active(2, 5);
    while solo.mode() != Mode::Active {
        if solo.mode() == Mode::Joining {
            solo.hear(active.speak());
        }
        note(&solo);
        let (at, _) = solo.monitor.poll_deadline().expect("it goes on");
        solo.now = solo.now.max(at);
        solo.turn([]);
    }
    solo.hear(Puppet::new(2).say(locum_wire::Intent::None));
    solo.run(ms(100));
    note(&solo);
    solo.freeze(Duration::from_secs(5));
    for _ in 0..4 {
        solo.turn([]);
        note(&solo);
        let (at, _) = solo.monitor.poll_deadline().expect("it goes on");
        solo.now = solo.now.max(at);
    }
    for why in [Deadline::Join, Deadline::Probe, Deadline::Claim, Deadline::Beat, Deadline::Fence] {
        assert!(seen.contains(&why.name()), "{} is not among {seen:?}", why.name());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Delays that vary, and loss, as long as beats arrive within the detection time.
    #[test]
    fn no_jitter_below_the_detection_time_moves_anything(
        seed in any::<u64>(), nodes in 2..8u8, delay_us in 0..15_000u64, jitter_us in 0..12_000u64
    ) {
        let mut group = Group::new(nodes, seed >> 17);
        group.run_ms(500);
        let (active, changes) = (group.settled(), group.changes().len());
        for link in group.links.values_mut() {
            link.jitter = Duration::from_micros(jitter_us);
            link.delay = Duration::from_micros(delay_us.min(link.delay.as_micros() as u64 + 2_000));
            link.duplicate = 10;
        }
        group.run_ms(1_500);
        prop_assert_eq!(group.changes().len(), changes, "{}", group.story());
        prop_assert_eq!(group.settled(), active);
    }
}

#[test]
fn probes_stop_with_the_first_beat() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    solo.run(ms(16));
    assert_eq!(solo.count(&Output::Probe), 1);
    solo.run_with(ms(100), &mut [&mut active]);
    assert_eq!(solo.count(&Output::Probe), 1);
}
