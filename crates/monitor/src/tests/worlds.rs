//! Random worlds: anything may break, and some things must hold all the same. Afterwards everything
//! is repaired, and the group must settle.

use std::time::Duration;

use fastrand::Rng;
use locum_types::{BootNonce, Health, Mode, ResignReason, Term};

use super::group::{Group, Link};
use super::solo::{DEAD_AFTER, INTERVAL, Puppet, node};
use crate::Input;

/// What a world may do to its nodes and its network; each world draws its own shares.
#[derive(Clone, Copy, Debug)]
struct Plan {
    nodes: u8,
    steps: u32,
    /// Weights of the kinds of trouble.
    kills: u32,
    freezes: u32,
    operators: u32,
    health: u32,
    network: u32,
    replays: u32,
    twins: u32,
    preempt: bool,
}

impl Plan {
    /// Nodes die and come back, pause and go on; the network is perfect.
    fn of_processes(rng: &mut Rng) -> Self {
        Plan {
            nodes: rng.u8(2..=6),
            steps: 60,
            kills: rng.u32(1..10),
            freezes: rng.u32(0..10),
            operators: 0,
            health: 0,
            network: 0,
            replays: rng.u32(0..3),
            twins: 0,
            preempt: false,
        }
    }

    /// All kinds of trouble, in small groups more often than in large ones.
    fn of_everything(rng: &mut Rng) -> Self {
        let nodes_max = [3, 3, 5, 5, 5, 8, 16][rng.usize(..7)];
        Plan {
            nodes: rng.u8(2..=nodes_max),
            preempt: rng.u8(..4) == 0,
            operators: rng.u32(0..5),
            health: rng.u32(0..5),
            network: rng.u32(1..20),
            twins: rng.u32(0..2),
            ..Plan::of_processes(rng)
        }
    }
}

fn trouble(group: &mut Group, rng: &mut Rng, plan: &Plan) {
    let id = rng.u8(1..=plan.nodes);
    let weights = [
        plan.kills,
        plan.freezes,
        plan.operators,
        plan.health,
        plan.network,
        plan.replays,
        plan.twins,
    ];
    let mut drawn = rng.u32(..weights.iter().sum::<u32>());
    let kind = weights.iter().position(|&weight| {
        let hit = drawn < weight;
        drawn = drawn.saturating_sub(weight);
        hit
    });
    match kind {
        Some(0) if group.is_dead(id) => group.restart(id),
        Some(0) if rng.bool() => group.crash(id),
        Some(0) => group.kill(id),
        Some(1) if rng.bool() => group.freeze(id),
        Some(1) => group.thaw(id),
        Some(2) if rng.u8(..4) == 0 => group.tell(id, Input::Shutdown(ResignReason::Shutdown)),
        Some(2) => group.tell(id, Input::Handover { to: None }),
        Some(3) if rng.bool() => group.tell(id, Input::Link { up: rng.bool() }),
        Some(3) => {
            let health = [Health::Failed, Health::Degraded, Health::Ok][rng.usize(..3)];
            group.tell(id, Input::Health(health));
        }
        Some(4) => break_network(group, rng, plan),
        Some(5) => {
            if let Some(&beat) = rng.choice(&group.recorded) {
                group.inject(beat);
            }
        }
        Some(6) => speak_as(group, rng, id),
        Some(_) | None => unreachable!("there are seven kinds"),
    }
}

/// Somebody says something with a node's own id to it, twice.
fn speak_as(group: &mut Group, rng: &mut Rng, id: u8) {
    let mut twin = Puppet::new(id);
    twin.beat.to = node(id);
    twin.beat.boot = BootNonce(rng.u64(..));
    twin.beat.mode = if rng.bool() { Mode::Active } else { Mode::Joining };
    twin.beat.term = Term(rng.u64(..10));
    group.inject(twin.speak());
    group.inject(twin.speak());
}

fn break_network(group: &mut Group, rng: &mut Rng, plan: &Plan) {
    let (a, b) = (rng.u8(1..=plan.nodes), rng.u8(1..=plan.nodes));
    match rng.u8(..4) {
        0 => group.heal(),
        1 => {
            let split = rng.u8(1..plan.nodes);
            let (left, right): (Vec<u8>, Vec<u8>) = (1..=plan.nodes).partition(|&id| id <= split);
            group.partition(&left, &right);
        }
        _ if a == b => {}
        2 => group.link(a, b).cut = true,
        _ => {
            *group.link(a, b) = Link {
                delay: Duration::from_micros(rng.u64(50..5_000)),
                jitter: Duration::from_micros(rng.u64(..8_000)),
                loss: rng.u8(..30),
                duplicate: rng.u8(..30),
                cut: false,
            };
        }
    }
}

/// Repairs everything.
fn heal(group: &mut Group, plan: &Plan) {
    group.heal();
    for id in 1..=plan.nodes {
        group.thaw(id);
        if group.is_dead(id) {
            group.restart(id);
        }
        group.tell(id, Input::Link { up: true });
        group.tell(id, Input::Health(Health::Ok));
    }
}

fn live_through(seed: u64, plan_of: fn(&mut Rng) -> Plan) -> (Group, Plan) {
    let mut rng = Rng::with_seed(seed);
    let plan = plan_of(&mut rng);
    let mut group = Group::with(plan.nodes, seed, |config| {
        config.preempt = plan.preempt.then_some(Duration::from_millis(300));
        if plan.preempt {
            config.priority = super::solo::priority(config.node.get() * 10);
        }
    });
    group.run_ms(rng.u64(..400));
    for _ in 0..plan.steps {
        trouble(&mut group, &mut rng, &plan);
        group.run(Duration::from_micros(rng.u64(..80_000)));
    }
    (group, plan)
}

/// A world with every kind of trouble, after it.
pub(super) fn live_through_anything(seed: u64) -> Group {
    live_through(seed, Plan::of_everything).0
}

#[test]
fn without_network_faults_two_nodes_never_speak_at_once() {
    for seed in 0..200 {
        let (group, plan) = live_through(seed, Plan::of_processes);
        let overlap = group.longest_overlap;
        assert_eq!(overlap, Duration::ZERO, "seed {seed}, {plan:?}\n{}", group.story());
    }
}

#[test]
fn whatever_happens_two_nodes_that_hear_each_other_become_one_and_the_group_settles() {
    for seed in 0..200 {
        let (mut group, plan) = live_through(seed, Plan::of_everything);
        // One beat and one round trip; or, if they meet for the first time, one more of each to
        // introduce themselves, at the pace of answers.
        let bound = INTERVAL + INTERVAL / 4 + Duration::from_micros(800);
        let overlap = group.longest_heard_overlap;
        assert!(overlap <= bound, "seed {seed}: {overlap:?}, {plan:?}\n{}", group.story());

        heal(&mut group, &plan);
        group.run(DEAD_AFTER * 10 + INTERVAL * u32::from(plan.nodes));
        // Where pre-emption is on, the best node has it after the delay.
        group.run_ms(if plan.preempt { 700 } else { 100 });
        let active = group.settled();
        let changes = group.changes().len();
        group.run_ms(300);
        assert_eq!(group.settled(), active, "seed {seed}");
        assert_eq!(group.changes().len(), changes, "seed {seed}: a settled group stays as it is");
    }
}

#[test]
fn the_same_seed_gives_the_same_story() {
    for seed in 0..10 {
        let (first, _) = live_through(seed, Plan::of_everything);
        let (second, _) = live_through(seed, Plan::of_everything);
        assert_eq!(first.events, second.events, "seed {seed}");
        assert_eq!(first.recorded, second.recorded, "seed {seed}");
    }
}

#[test]
fn identical_twins_restarted_in_random_order_a_thousand_times_agree_on_one() {
    let mut rng = Rng::with_seed(8);
    let mut group = Group::new(2, 8);
    for round in 0..1_000 {
        let mut victims = [1, 2];
        rng.shuffle(&mut victims);
        victims.iter().for_each(|&id| if rng.bool() { group.kill(id) } else { group.crash(id) });
        group.run(Duration::from_micros(rng.u64(..50_000)));
        rng.shuffle(&mut victims);
        group.restart(victims[0]);
        if rng.bool() {
            group.run(Duration::from_micros(rng.u64(..200_000)));
        }
        group.restart(victims[1]);
        group.run_ms(260);
        let settled = group.settled();
        assert_eq!(group.longest_overlap, Duration::ZERO, "round {round}: {settled}");
        assert_eq!(group.mode(settled), Mode::Active);
        assert_eq!(group.member(settled).config.node, node(settled));
    }
}
