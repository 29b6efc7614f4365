//! A small swarm in every test run; `locum-sim swarm` makes large ones.

use std::collections::BTreeSet;

use locum_sim::swarm::{Plan, ProgramPlan, Silent, run};
use locum_sim::{Dialect, ECHO_PORT, KV_PORT, WindowScale};

/// Seeds of the tests' own swarm, from these on.
const FIRST: u64 = 1_000_000;
const SEEDS: u64 = 120;

fn assert_held(seed: u64) -> u64 {
    let report = run(&Plan::draw(seed), &[], &mut Silent);
    let broken: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
    assert!(broken.is_empty(), "locum-sim replay --seed {seed}: {broken:#?}");
    report.trace_hash
}

#[test]
fn a_swarm_holds() {
    for seed in FIRST..FIRST + SEEDS {
        assert_held(seed);
    }
}

#[test]
fn the_same_seed_is_the_same_run_and_another_one_is_not() {
    for seed in FIRST..FIRST + 10 {
        assert_eq!(assert_held(seed), assert_held(seed));
        assert_ne!(assert_held(seed), assert_held(seed + 1));
    }
}

#[test]
fn plans_are_as_various_as_the_world() {
    let plans: Vec<Plan> = (0..2_000).map(Plan::draw).collect();
    let count = |what: fn(&Plan) -> bool| plans.iter().filter(|plan| what(plan)).count();
    for nodes in 2..=5 {
        assert!(plans.iter().any(|plan| plan.nodes.len() == nodes), "{nodes} nodes");
    }
    assert!(count(|plan| plan.trunks.len() > 1) > 50);
    assert!(count(|plan| plan.hostile.is_some()) > 400);
    assert!(count(|plan| plan.preempt.is_some()) > 300);
    assert!(count(|plan| plan.faults.is_empty()) > 50);
    assert!(count(|plan| plan.faults.len() > 8) > 100);
    assert!(count(|plan| !plan.casualties.is_empty()) > 200);
    assert!(count(Plan::prefers_consistency) > 200);
    for port in [ECHO_PORT, KV_PORT] {
        assert!(plans.iter().any(|plan| plan.left_out == Some(port)), "port {port}");
    }
}

#[test]
fn clients_are_as_various_as_stacks_are() {
    let plans: Vec<Plan> = (0..2_000).map(Plan::draw).collect();
    let clients = || plans.iter().flat_map(|plan| &plan.clients);
    let mtus: BTreeSet<usize> = clients().map(|client| client.mtu).collect();
    assert!(mtus.contains(&576) && mtus.contains(&9000), "segments of 536 bytes to 8960");
    let programs = clients().flat_map(|client| &client.programs);
    let dialects: Vec<Dialect> = programs
        .filter_map(|program| match program {
            ProgramPlan::Tcp(habits) | ProgramPlan::Tcp6(habits) | ProgramPlan::Kv(habits) => {
                Some(habits.dialect)
            }
            ProgramPlan::Udp | ProgramPlan::Udp6 | ProgramPlan::Ping | ProgramPlan::Ping6 => None,
        })
        .collect();
    for scale in (0..=14).map(WindowScale::Bits).chain([WindowScale::Absent, WindowScale::OfBuffer])
    {
        for sack in [true, false] {
            assert!(dialects.contains(&Dialect { sack, scale }), "{scale:?}, sack: {sack}");
        }
    }
}

/// What is left out of a run leaves the rest as it was.
#[test]
fn a_fault_can_be_left_out_alone() {
    let plan = (0..).map(Plan::draw).find(|plan| plan.faults.len() > 4).expect("there is one");
    let whole = run(&plan, &[], &mut Silent).trace_hash;
    let less = run(&plan, &[plan.faults.len() - 1], &mut Silent).trace_hash;
    assert_ne!(whole, less);
    assert_eq!(whole, run(&plan, &[plan.faults.len()], &mut Silent).trace_hash);
}
