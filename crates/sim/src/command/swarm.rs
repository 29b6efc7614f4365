//! Many seeds, on all processors.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use locum_sim::swarm::{Plan, Report, Silent, StreamTally, run};

/// Every so many runs, one is made twice.
const TWICE_EVERY: u64 = 100;
/// Failures that are printed whole; all are counted.
const PRINTED_MAX: usize = 20;

/// What all runs came to.
#[derive(Default)]
struct Tally {
    runs: u64,
    failed: BTreeMap<&'static str, Vec<u64>>,
    printed: usize,
    simulated: Duration,
    frames: u64,
    takeovers: u64,
    overlap: Duration,
    streams: StreamTally,
}

/// Runs the seeds from `first` on; true if all held.
pub(super) fn swarm(first: u64, seeds: u64, jobs: Option<usize>) -> bool {
    let jobs = jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let (next, tally) = (AtomicU64::new(0), Mutex::new(Tally::default()));
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= seeds {
                        return;
                    }
                    let seed = first.wrapping_add(index);
                    let report = run_seed(seed, index % TWICE_EVERY == 0);
                    note(&tally, seed, &report);
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    conclude(&tally, first, start.elapsed());
    tally.failed.is_empty()
}

/// One run, or two that must not differ.
fn run_seed(seed: u64, twice: bool) -> Report {
    let plan = Plan::draw(seed);
    let mut report = run(&plan, &[], &mut Silent);
    if twice {
        let again = run(&plan, &[], &mut Silent);
        if again.trace_hash != report.trace_hash {
            report.violations.push(locum_sim::swarm::Violation {
                at: locum_types::Instant::ZERO,
                rule: "the same seed gave another run",
                what: format!("{:016x} and {:016x}", report.trace_hash, again.trace_hash),
            });
        }
    }
    report
}

fn note(tally: &Mutex<Tally>, seed: u64, report: &Report) {
    let mut tally = tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    tally.runs += 1;
    tally.simulated += report.simulated;
    tally.frames += report.frames;
    tally.takeovers += report.takeovers;
    tally.overlap = tally.overlap.max(report.overlap);
    tally.streams.add(&report.streams);
    let Some(violation) = report.violations.first() else { return };
    tally.failed.entry(violation.rule).or_default().push(seed);
    if tally.printed < PRINTED_MAX {
        tally.printed += 1;
        println!("seed {seed}: {violation}");
        println!("    locum-sim replay --seed {seed}");
    }
}

fn conclude(tally: &Tally, first: u64, took: Duration) {
    let failed: usize = tally.failed.values().map(Vec::len).sum();
    let rate = tally.simulated.as_secs_f64() / took.as_secs_f64();
    println!(
        "{} runs from seed {first} in {:.1} s: {failed} failed; {:.0} s simulated ({rate:.0} x real time), \
         {} takeovers, {} frames of nodes",
        tally.runs,
        took.as_secs_f64(),
        tally.simulated.as_secs_f64(),
        tally.takeovers,
        tally.frames,
    );
    let streams = &tally.streams;
    println!(
        "{} replicated connections: {} carried over in {} takeovers, {} lost with nobody in sync, {} lost where \
         two were active, {} lost to whom its leader had just dropped, {} to services left out, {} given \
         up by clients that forgot to ask; {} streams of two nodes mixed; {} streams wrapped, {} copies compared, \
         {} commands of kv judged; {} runs ended with nobody who might serve",
        streams.opened,
        streams.carried,
        streams.takeovers_with_copy,
        streams.lost_unprotected,
        streams.lost_split,
        streams.lost_trusted,
        streams.lost_left_out,
        streams.forgotten,
        streams.garbled,
        streams.wraps,
        streams.copies_compared,
        streams.commands_judged,
        streams.stalled,
    );
    for (rule, seeds) in &tally.failed {
        let some: Vec<String> = seeds.iter().take(8).map(u64::to_string).collect();
        println!("  {:5} x {rule}: {}", seeds.len(), some.join(" "));
    }
}
