//! Whatever happens to the pipes and the nodes: the followers have the leader's log, and what is committed
//! is known to all that are in sync.

mod common;

use common::{World, leader_config};
use locum_replica::{Stage, Standing};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Append { count: usize, len: usize },
    Turns(usize),
    Cut(usize),
    KeepOut(usize),
    Stall(usize),
    Resume(usize),
    Restart(usize),
    TakeOver(usize),
    Miscount(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..20usize, 1..300usize).prop_map(|(count, len)| Step::Append { count, len }),
        1 => (1..4usize, 1..60_000usize).prop_map(|(count, len)| Step::Append { count, len }),
        6 => (1..40usize).prop_map(Step::Turns),
        1 => (0..3usize).prop_map(Step::Cut),
        1 => (0..3usize).prop_map(Step::KeepOut),
        1 => (0..3usize).prop_map(Step::Stall),
        2 => (0..3usize).prop_map(Step::Resume),
        1 => (0..3usize).prop_map(Step::Restart),
        1 => (0..3usize).prop_map(Step::TakeOver),
        1 => (0..3usize).prop_map(Step::Miscount),
    ]
}

fn carry_out(world: &mut World, step: Step) {
    let count = world.nodes.len();
    match step {
        Step::Append { count, len } => {
            for _ in 0..count {
                world.append(len);
                world.check();
            }
        }
        Step::Turns(turns) => world.turns(turns),
        Step::Cut(index) => world.cut(index % count),
        Step::KeepOut(index) => {
            world.nodes[index % count].kept_out = true;
            world.cut(index % count);
        }
        Step::Stall(index) => world.nodes[index % count].stalled = true,
        Step::Resume(index) => {
            world.nodes[index % count].stalled = false;
            world.nodes[index % count].kept_out = false;
        }
        Step::Restart(index) => world.restart(index % count),
        Step::TakeOver(index) => {
            let index = index % count;
            let standing = world.nodes[index].standing(world.now);
            if world.stage(index) != Some(Stage::InSync) || !matches!(standing, Standing::InSync(_))
            {
                return;
            }
            let committed = world.leader.commit_position();
            world.take_over(index);
            assert!(
                committed <= world.leader.head().position,
                "an entry was committed that the successor does not have"
            );
        }
        Step::Miscount(index) => world.nodes[index % count].miscounts = true,
    }
    world.check();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn followers_have_exactly_the_log_and_know_what_is_committed(
        seed in any::<u64>(),
        followers in 1..=3usize,
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut world = World::new(leader_config(followers), seed);
        for step in steps {
            carry_out(&mut world, step);
        }
        for node in &mut world.nodes {
            node.miscounts = false;
        }
        world.settle();
    }
}
