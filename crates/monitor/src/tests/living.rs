//! Reconfiguration, the will, the status, determinism.

use locum_types::{BootNonce, Mode, Term};
use locum_wire::Intent;

use super::group::Group;
use super::solo::{DEAD_AFTER, INTERVAL, Puppet, Solo, config, ms, node, priority};
use crate::{Config, Event, Input, Output};

#[test]
fn the_group_and_the_id_cannot_be_changed_live() {
    let other_group = locum_types::GroupId::new(2).expect("2 is in range");
    for refused in [config(9, &[2]), Config { group: other_group, ..config(1, &[2]) }] {
        let (mut solo, mut active) = Solo::behind(config(1, &[2]));
        let wanted = Config { priority: priority(7), ..refused };
        solo.turn([Input::Reconfigure(wanted)]);
        assert_eq!(solo.events(), [Event::ConfigRefused]);
        solo.take();
        solo.run_with(INTERVAL * 2, &mut [&mut active]);
        assert!(solo.beats().iter().all(|beat| beat.priority == priority(100)));
    }
}

#[test]
fn times_and_priority_change_with_the_next_beat() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2]));
    let wanted =
        Config { priority: priority(7), interval: ms(2), dead_after: ms(6), ..config(1, &[2]) };
    solo.turn([Input::Reconfigure(wanted)]);
    active.beat.dead_after = ms(6);
    solo.hear(active.speak());
    let last = solo.now;
    solo.run(ms(3));
    let beat = solo.beats().last().copied().expect("it beats every 2 ms now");
    assert_eq!((beat.priority, beat.interval, beat.dead_after), (priority(7), ms(2), ms(6)));
    solo.run_until_mode(Mode::Active);
    // The gaps that were seen so far keep the old rhythm's floor.
    assert!(solo.now - last < DEAD_AFTER, "{:?}", solo.now - last);
}

#[test]
fn new_peers_are_met_and_removed_ones_forgotten() {
    let (mut solo, _) = Solo::behind(config(1, &[2]));
    solo.turn([Input::Reconfigure(config(1, &[2, 3]))]);
    let mut third = Puppet::new(3);
    solo.hear(third.speak());
    assert!(solo.monitor.status(solo.now).peers.iter().any(|peer| peer.id == node(3)));
    solo.turn([Input::Reconfigure(config(1, &[2]))]);
    solo.take();
    solo.hear(third.speak());
    solo.run(INTERVAL);
    assert!(solo.beats().iter().all(|beat| beat.to == node(2)));
    assert_eq!(solo.monitor.status(solo.now).counters.refused.unknown_peer, 1);
}

#[test]
fn a_removed_active_node_is_not_replaced_before_it_was_asked() {
    let (mut solo, _) = Solo::behind(config(1, &[2, 3]));
    solo.turn([Input::Reconfigure(config(1, &[3]))]);
    let removed = solo.now;
    assert_eq!(solo.mode(), Mode::Waiting);
    solo.run_until_mode(Mode::Active);
    assert_eq!(solo.now - removed, DEAD_AFTER);
    assert_eq!(solo.count(&Output::Probe), 3);
}

#[test]
fn only_an_active_node_leaves_a_will_and_only_to_who_hears_it() {
    let (solo, _) = Solo::behind(config(1, &[2]));
    assert!(solo.monitor.will().is_empty());
    let mut peer = Puppet::new(2);
    let solo = Solo::active(config(1, &[2, 3]), &mut [&mut peer]);
    let [will] = solo.monitor.will()[..] else { panic!("one peer hears it") };
    assert_eq!((will.to, will.sequence, will.echo), (node(2), u64::MAX, Some(peer.beat.boot)));
    assert_eq!(will.intent, Intent::Resign(locum_types::ResignReason::Crash));
    assert_eq!(will.term, Term(1));
}

#[test]
fn a_will_holds_until_it_is_said_to_have_changed() {
    let mut peer = Puppet::new(2);
    let mut solo = Solo::active(config(1, &[2]), &mut [&mut peer]);
    let will = solo.monitor.will();
    solo.run_with(ms(500), &mut [&mut peer]);
    assert_eq!(solo.monitor.will(), will);
    assert_eq!(solo.count(&Output::WillChanged), 0);
    solo.turn([Input::Position { position: locum_types::LogPosition(7), until: None }]);
    assert_eq!(solo.monitor.will(), will);
    solo.hear(peer.say(Intent::Resign(locum_types::ResignReason::Shutdown)));
    assert_eq!(solo.count(&Output::WillChanged), 1);
    assert!(solo.monitor.will().is_empty());
    let mut reborn = Puppet::new(2);
    reborn.beat.boot = BootNonce(0x2222);
    solo.hear(reborn.speak());
    assert_eq!(solo.count(&Output::WillChanged), 2);
    assert_eq!(solo.monitor.will()[0].echo, Some(reborn.beat.boot));
}

#[test]
fn the_status_tells_what_a_peer_said() {
    let (mut solo, mut active) = Solo::behind(config(1, &[2, 3]));
    solo.hear(active.speak());
    solo.run(ms(7));
    let status = solo.monitor.status(solo.now);
    assert_eq!(status.cause.map(|cause| cause.name()), Some("joined"));
    let [second, third] = &status.peers[..] else { panic!("two peers are configured") };
    assert_eq!((second.id, second.mode, second.term), (node(2), Some(Mode::Active), Some(Term(5))));
    assert_eq!((second.last_heard_age, second.interval), (Some(ms(7)), Some(INTERVAL)));
    assert!(second.alive && second.hears_us == Some(true) && !third.alive && third.mode.is_none());
}

#[test]
fn the_last_sixteen_takeovers_are_kept() {
    let mut solo = Solo::active(config(1, &[2]), &mut []);
    for _ in 0..20 {
        solo.freeze(ms(100));
        solo.turn([]);
        solo.run_until_mode(Mode::Active);
    }
    let status = solo.monitor.status(solo.now);
    assert_eq!(status.counters.takeovers, 21);
    assert_eq!(status.takeovers.len(), 16);
    assert!(status.takeovers.is_sorted_by_key(|takeover| takeover.term));
    assert_eq!(status.takeovers.last().map(|takeover| takeover.term), Some(Term(21)));
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = || {
        let mut group = Group::new(4, 11);
        group.links.values_mut().for_each(|link| (link.loss, link.jitter) = (20, ms(5)));
        group.run_ms(1_000);
        (group.events, group.recorded)
    };
    assert_eq!(run(), run());
}

/// Hard scenario 8, last part: everybody dies and comes back in any order, again and again.
#[test]
fn any_order_of_restarts_ends_with_one_active_node() {
    let mut group = Group::new(3, 12);
    group.run_ms(400);
    for _ in 0..200 {
        let mut ids = [1, 2, 3];
        group.rng.shuffle(&mut ids);
        for id in ids {
            group.kill(id);
            let pause = group.rng.u64(0..40);
            group.run_ms(pause);
        }
        group.rng.shuffle(&mut ids);
        for id in ids {
            group.restart(id);
            let pause = group.rng.u64(0..150);
            group.run_ms(pause);
        }
        group.run_ms(300);
        group.settled();
    }
    assert!(group.longest_overlap.is_zero());
}
