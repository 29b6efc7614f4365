//! Each deliberate defect is caught by the swarm, and after how many seeds.
//!
//! `cargo test --release -p locum-sim --features sabotage --test sabotage`

#![allow(clippy::print_stdout, reason = "the table is the result")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use locum_sim::swarm::{Plan, Silent, Violation, run};
use locum_types::sabotage::{Sabotage, commit};

/// Seeds that a defect may survive.
const SEEDS_MAX: u64 = 2_000;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    let only = std::env::args().nth(1).filter(|name| !name.starts_with('-'));
    let wanted = |sabotage: &Sabotage| {
        only.as_ref().is_none_or(|name| format!("{sabotage:?}").contains(name.as_str()))
    };
    let list: Vec<Sabotage> = Sabotage::ALL.into_iter().filter(wanted).collect();
    let (next, survivors) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    println!("{:>18}  {:>5}  caught by", "defect", "seeds");
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(&sabotage) = list.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !try_out(sabotage) {
                        survivors.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    match survivors.into_inner() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Whether a defect was caught.
fn try_out(sabotage: Sabotage) -> bool {
    commit(Some(sabotage));
    let caught = (0..SEEDS_MAX).find_map(|seed| Some((seed, broken(seed)?)));
    commit(None);
    let name = format!("{sabotage:?}");
    match &caught {
        Some((seed, violation)) => {
            println!("{name:>18}  {:>5}  {} (seed {seed})", seed + 1, violation.rule);
        }
        None => println!("{name:>18}  {SEEDS_MAX:>5}  NOT CAUGHT"),
    }
    caught.is_some()
}

fn broken(seed: u64) -> Option<Violation> {
    run(&Plan::draw(seed), &[], &mut Silent).violations.into_iter().next()
}
