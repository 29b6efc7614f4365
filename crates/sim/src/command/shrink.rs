//! The least that still fails.

use locum_sim::swarm::{Plan, Silent, run};

/// Leaves out one fault after another while the run breaks the same rule; true if it never failed.
pub(super) fn shrink(seed: u64, skip: &[usize]) -> bool {
    let plan = Plan::draw(seed);
    let mut skip = skip.to_vec();
    let Some(first) = run(&plan, &skip, &mut Silent).violations.into_iter().next() else {
        println!("seed {seed} does not fail");
        return true;
    };
    loop {
        let before = skip.len();
        for fault in (0..plan.faults.len()).rev() {
            if skip.contains(&fault) {
                continue;
            }
            skip.push(fault);
            let report = run(&plan, &skip, &mut Silent);
            if report.violations.first().is_none_or(|violation| violation.rule != first.rule) {
                skip.pop();
            }
        }
        if skip.len() == before {
            break;
        }
    }
    skip.sort_unstable();
    println!("{first}");
    let needed = plan.faults.iter().enumerate().filter(|(index, _)| !skip.contains(index));
    for (index, fault) in needed {
        println!("  fault {index} at {:?} for {:?}: {}", fault.at, fault.lasts, fault.kind);
    }
    let skip: Vec<String> = skip.iter().map(usize::to_string).collect();
    println!("locum-sim replay --seed {seed} --without {}", skip.join(","));
    false
}
