//! Takeovers and hand-overs as a client sees them: the shipping node assembly in virtual time.

mod common;

use common::{
    A, B, C, PING, PING6, UDP, add_client, assert_only_active, assert_sound, ms, outage, settled,
};
use locum_gate::MacMode;
use locum_link::segment::impair::Impairment;
use locum_link::segment::rule::Direction;
use locum_sim::Lan;

#[test]
fn a_group_elects_one_active_node_and_it_answers() {
    let (world, client) = settled(1, &Lan::default());
    assert_only_active(&world, A);
    for program in world.host(client).programs() {
        let record = program.record();
        let lost = record
            .lost_between(world.now().saturating_sub(ms(900)), world.now().saturating_sub(ms(10)));
        assert_eq!(lost, 0, "{} to {}", record.program(), program.target());
    }
    assert_sound(&world);
}

#[test]
fn silence_is_detected_within_dead_after_and_an_interval() {
    for (interval, dead_after) in [(10, 30), (2, 6), (1, 2)] {
        let lan = Lan { interval: ms(interval), dead_after: ms(dead_after), ..Lan::default() };
        let (mut world, client) = settled(2, &lan);
        let start = world.now();
        world.cut(A);
        world.run_for(ms(500));
        assert_eq!(world.mode(B), Some(locum_types::Mode::Active));
        let seen = outage(&world, client, UDP, start);
        assert!(seen <= ms(dead_after + 2), "outage {seen:?} at {interval}/{dead_after} ms");
        assert_sound(&world);
    }
}

#[test]
fn a_warden_makes_sigkill_faster_than_detection() {
    let (mut world, client) = settled(3, &Lan::default());
    let start = world.now();
    world.kill(A, true);
    world.run_for(ms(500));
    assert_only_active(&world, B);
    assert!(outage(&world, client, UDP, start) <= ms(2));
    assert!(outage(&world, client, PING6, start) <= ms(12));
    assert_sound(&world);
}

#[test]
fn without_a_warden_detection_does_it() {
    let (mut world, client) = settled(4, &Lan::default());
    let start = world.now();
    world.kill(A, false);
    world.run_for(ms(500));
    assert_only_active(&world, B);
    assert!(outage(&world, client, UDP, start) <= ms(32));
    assert_sound(&world);
}

#[test]
fn sigterm_and_hand_over_lose_no_request() {
    for seed in 0..20 {
        let (mut world, client) = settled(seed, &Lan::default());
        let start = world.now();
        world.run_for(ms(seed % 7));
        if seed % 2 == 0 {
            world.shut_down(A)
        } else {
            world.hand_over(A, None)
        }
        world.run_for(ms(500));
        assert_only_active(&world, B);
        let record = world.host(client).programs()[UDP].record();
        assert_eq!(
            record.lost_between(start, world.now().saturating_sub(ms(10))),
            0,
            "seed {seed}"
        );
        assert!(outage(&world, client, UDP, start) <= ms(1));
        assert_sound(&world);
    }
}

/// Seed 37198 of the swarm: the word that the old node was relieved overtook a request on its way to it.
#[test]
fn on_cables_that_take_their_time_a_hand_over_loses_no_request() {
    for seed in 0..60 {
        let (mut world, client) = settled(seed, &Lan::default());
        let jacks = [world.jack_of(A), world.jack_of(B), world.jack_of_host(client)];
        let slow = Impairment { latency: ms(1), jitter: ms(2), ..Impairment::default() };
        for jack in jacks {
            world.impair(jack, Direction::Transmit, slow.clone());
            world.impair(jack, Direction::Receive, slow.clone());
        }
        world.run_for(ms(100));
        let start = world.now();
        world.hand_over(A, None);
        world.run_for(ms(500));
        assert_only_active(&world, B);
        let record = world.host(client).programs()[UDP].record();
        let until = world.now().saturating_sub(ms(30));
        assert_eq!(record.lost_between(start, until), 0, "seed {seed}");
    }
}

#[test]
fn a_node_that_comes_back_waits() {
    let (mut world, _) = settled(5, &Lan::default());
    world.kill(A, true);
    world.run_for(ms(500));
    world.start(A);
    world.run_for(ms(2_000));
    assert_only_active(&world, B);
    assert_sound(&world);
}

#[test]
fn with_pre_emption_the_better_node_gets_it_back_without_loss() {
    let lan = Lan { preempt: Some(ms(300)), ..Lan::default() };
    let (mut world, client) = settled(6, &lan);
    world.kill(A, true);
    world.run_for(ms(500));
    let start = world.now();
    world.start(A);
    world.run_for(ms(3_000));
    assert_only_active(&world, A);
    let record = world.host(client).programs()[UDP].record();
    assert_eq!(record.lost_between(start, world.now().saturating_sub(ms(10))), 0);
    assert_sound(&world);
}

#[test]
fn three_nodes_survive_two_deaths() {
    let lan = Lan { nodes: 3, priorities: vec![200, 150, 100], ..Lan::default() };
    let (mut world, client) = settled(7, &lan);
    world.kill(A, false);
    world.run_for(ms(500));
    assert_only_active(&world, B);
    world.kill(B, false);
    let start = world.now();
    world.run_for(ms(500));
    assert_only_active(&world, C);
    assert!(outage(&world, client, UDP, start) <= ms(32));
    assert_sound(&world);
}

#[test]
fn in_own_mac_mode_announcements_move_the_clients_caches() {
    let lan = Lan { mac_mode: MacMode::Own, ..Lan::default() };
    let (mut world, client) = settled(8, &lan);
    let start = world.now();
    world.kill(A, true);
    world.run_for(ms(1_500));
    assert_only_active(&world, B);
    assert!(outage(&world, client, UDP, start) <= ms(2));
    assert!(outage(&world, client, PING, start) <= ms(12));
    assert_sound(&world);
}

#[test]
fn a_hundred_clients_come_back_at_once() {
    let (mut world, _) = settled(9, &Lan::default());
    let clients: Vec<_> = (1..50).map(|index| add_client(&mut world, index)).collect();
    world.run_for(ms(2_000));
    let start = world.now();
    world.kill(A, true);
    world.run_for(ms(300));
    assert_only_active(&world, B);
    for client in clients {
        assert!(outage(&world, client, UDP, start) <= ms(3));
    }
    assert_sound(&world);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let lan = Lan { nodes: 3, ..Lan::default() };
        let (mut world, client) = settled(seed, &lan);
        // Without a warden: when the last beat left depends on the seed.
        world.kill(A, false);
        world.run_for(ms(300));
        world.start(A);
        world.run_for(ms(300));
        let answers = world.host(client).programs()[UDP].record().requests().to_vec();
        (format!("{:?}", world.events()), answers, world.leaks().checked())
    };
    assert_eq!(run(42), run(42));
    assert_ne!(run(42).0, run(43).0, "the seed matters");
}
