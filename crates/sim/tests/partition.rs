//! Partitions, pauses and other half-truths: the hard scenarios that need no real kernel.

mod common;

use common::{A, B, UDP, assert_only_active, assert_sound, ms, outage, settled};
use locum_link::segment::rule::{Direction, Hop, Verdict};
use locum_sim::{Lan, NodeIndex, World};
use locum_types::Mode;

/// Drops the beats between A and B in the given directions, and nothing else.
fn cut_beats(world: &mut World, a_to_b: bool, b_to_a: bool) {
    let (a, b) = (world.jack_of(A).port, world.jack_of(B).port);
    world.segment_mut().install(move |hop: &Hop<'_>| {
        let wanted =
            (a_to_b && hop.from == a && hop.to == b) || (b_to_a && hop.from == b && hop.to == a);
        // EtherType IPv4, protocol UDP, destination port 3780.
        let is_beat = hop.frame.get(12..14) == Some(&[0x08, 0x00])
            && hop.frame.get(23) == Some(&17)
            && hop.frame.get(36..38) == Some(&3780u16.to_be_bytes());
        if wanted && is_beat { Verdict::Drop } else { Verdict::Pass }
    });
}

#[test]
fn when_only_beats_are_lost_the_probe_keeps_the_waiting_node_waiting() {
    for (a_to_b, b_to_a) in [(true, false), (false, true), (true, true)] {
        let (mut world, client) = settled(1, &Lan::default());
        let start = world.now();
        cut_beats(&mut world, a_to_b, b_to_a);
        world.run_for(ms(2_000));
        assert_only_active(&world, A);
        assert!(outage(&world, client, UDP, start) <= ms(1));
        assert_sound(&world);
    }
}

#[test]
fn a_cut_off_pair_has_one_winner_within_a_beat_of_healing() {
    let (mut world, client) = settled(2, &Lan::default());
    world.cut(A);
    world.run_for(ms(1_000));
    assert_eq!((world.mode(A), world.mode(B)), (Some(Mode::Active), Some(Mode::Active)));
    world.heal(A);
    world.run_for(ms(30));
    assert_eq!(world.active(), [B], "the higher term wins");
    let healed = world.now();
    world.run_for(ms(2_000));
    assert_only_active(&world, B);
    assert!(outage(&world, client, UDP, healed) <= ms(1), "the address sticks to the winner");
    assert_sound(&world);
}

#[test]
fn a_thawed_zombie_says_nothing() {
    for frozen in [15, 60, 3_000] {
        let (mut world, client) = settled(3, &Lan::default());
        world.freeze(A);
        world.run_for(ms(frozen));
        let taken_over = frozen > 30;
        assert_eq!(world.mode(B), Some(if taken_over { Mode::Active } else { Mode::Waiting }));
        let station = world
            .segment_mut()
            .station(locum_gate::virtual_mac(locum_types::GroupId::new(7).expect("in range")));
        world.thaw(A);
        world.run_for(ms(2_000));
        assert_only_active(&world, if taken_over { B } else { A });
        let after = world
            .segment_mut()
            .station(locum_gate::virtual_mac(locum_types::GroupId::new(7).expect("in range")));
        assert_eq!(station, after, "the virtual MAC did not move");
        let thawed = world.now().saturating_sub(ms(1_900));
        assert!(outage(&world, client, UDP, thawed) <= ms(1));
        assert_eq!(world.overlap().0, ms(0));
        assert_sound(&world);
    }
}

#[test]
fn one_way_cuts_end_with_one_active_node_that_clients_reach() {
    for direction in [Direction::Transmit, Direction::Receive] {
        for node in [A, B] {
            let (mut world, client) = settled(4, &Lan::default());
            world.cut_one_way(node, direction, true);
            world.run_for(ms(2_000));
            world.cut_one_way(node, direction, false);
            world.run_for(ms(2_000));
            assert_eq!(world.active().len(), 1);
            let healed = world.now().saturating_sub(ms(1_000));
            assert!(outage(&world, client, UDP, healed) <= ms(1), "{direction:?} of {node:?}");
            assert_sound(&world);
        }
    }
}

#[test]
fn a_flapping_link_never_makes_a_waiting_node_speak() {
    for nodes in [vec![A], vec![B], vec![A, B]] {
        let (mut world, client) = settled(5, &Lan::default());
        for _ in 0..20 {
            for up in [false, true] {
                nodes.iter().for_each(|&node| world.set_link(node, up));
                world.run_for(ms(25));
            }
        }
        world.run_for(ms(3_000));
        assert_eq!(world.active().len(), 1);
        let settled = world.now().saturating_sub(ms(500));
        assert!(outage(&world, client, UDP, settled) <= ms(1));
        assert_sound(&world);
    }
}

#[test]
fn identical_twins_agree_on_one() {
    for seed in 0..50 {
        let lan = Lan { priorities: vec![100, 100], ..Lan::default() };
        let mut world = World::with_nodes(seed, &lan);
        world.run_for(ms(2_000));
        assert_eq!(world.active().len(), 1, "seed {seed}");
        assert_eq!(world.overlap().0, ms(0), "seed {seed}");
        assert_sound(&world);
    }
}

#[test]
fn loss_below_the_detection_threshold_moves_nothing() {
    let (mut world, _) = settled(6, &Lan::default());
    let mut rng = fastrand::Rng::with_seed(6);
    world.segment_mut().install(
        move |_: &Hop<'_>| {
            if rng.u8(..100) < 10 { Verdict::Drop } else { Verdict::Pass }
        },
    );
    world.run_for(ms(20_000));
    assert_only_active(&world, A);
    assert_sound(&world);
}

#[test]
fn duplicated_and_delayed_beats_move_nothing() {
    let (mut world, _) = settled(7, &Lan::default());
    let mut rng = fastrand::Rng::with_seed(7);
    world.segment_mut().install(move |_: &Hop<'_>| Verdict::Delay(ms(rng.u64(..8))));
    world.run_for(ms(20_000));
    assert_only_active(&world, A);
    assert_sound(&world);
}

#[test]
fn any_node_may_die_at_any_time_and_come_back() {
    let lan = Lan { nodes: 3, ..Lan::default() };
    let (mut world, client) = settled(8, &lan);
    let mut rng = fastrand::Rng::with_seed(8);
    for _ in 0..60 {
        let victim = NodeIndex(rng.usize(..3));
        world.kill(victim, rng.bool());
        world.run_for(ms(rng.u64(..400)));
        world.start(victim);
        world.run_for(ms(rng.u64(..400)));
    }
    world.run_for(ms(2_000));
    assert_eq!(world.active().len(), 1);
    let calm = world.now().saturating_sub(ms(1_000));
    assert!(outage(&world, client, UDP, calm) <= ms(1));
    assert_sound(&world);
}

#[test]
fn two_nodes_with_one_id_are_told_and_none_of_them_serves() {
    let lan = Lan::default();
    let mut world = World::new(9);
    let twins = [world.add_node(lan.node(1)), world.add_node(lan.node(1))];
    world.run_for(ms(2_000));
    assert_eq!(world.active(), [], "{:#?}", world.events());
    for twin in twins {
        assert_eq!(world.mode(twin), Some(Mode::Fenced));
        let status = world.status(twin).expect("it runs");
        assert!(status.heartbeat.monitor.counters.duplicate_ids > 0);
    }
    // One of them is corrected, that is: stopped.
    world.kill(twins[1], false);
    world.run_for(ms(2_000));
    assert_eq!(world.active(), [twins[0]]);
    assert_sound(&world);
}
