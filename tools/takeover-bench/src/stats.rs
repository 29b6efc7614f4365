//! From the outcomes of many rounds to the figures of the table.

use std::time::Duration;

use serde::Serialize;

use crate::contender::Fault;
use crate::round::Outcome;

/// All rounds of one contender under one fault.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Series {
    /// Who.
    pub(crate) contender: String,
    /// What happened to the active node.
    pub(crate) fault: Fault,
    /// Every outage, in milliseconds, in the order of the rounds.
    pub(crate) outages_ms: Vec<f64>,
    /// Requests without an answer, per round.
    pub(crate) lost: Vec<usize>,
    /// Every stall of the TCP connections that survived, in milliseconds.
    pub(crate) stalls_ms: Vec<f64>,
    /// The figures.
    pub(crate) summary: Summary,
}

/// The figures of a series, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) median_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) worst_ms: f64,
    pub(crate) lost_total: usize,
    /// Of the stalls; `None`: no connection survived.
    pub(crate) stall_median_ms: Option<f64>,
    pub(crate) stall_worst_ms: Option<f64>,
    /// The share of TCP connections that survived, 0 to 1.
    pub(crate) survived: f64,
}

impl Series {
    /// `None` without a single outcome.
    pub(crate) fn new(contender: &str, fault: Fault, outcomes: &[Outcome]) -> Option<Series> {
        let outages_ms: Vec<f64> = outcomes.iter().map(|one| milliseconds(one.outage)).collect();
        let lost: Vec<usize> = outcomes.iter().map(|one| one.lost).collect();
        let stalls_ms: Vec<f64> =
            outcomes.iter().filter_map(|one| one.stall).map(milliseconds).collect();
        let sorted = sorted(&outages_ms);
        let stalls = self::sorted(&stalls_ms);
        let summary = Summary {
            median_ms: quantile(&sorted, 0.5)?,
            p99_ms: quantile(&sorted, 0.99)?,
            worst_ms: *sorted.last()?,
            lost_total: lost.iter().sum(),
            stall_median_ms: quantile(&stalls, 0.5),
            stall_worst_ms: stalls.last().copied(),
            survived: stalls.len() as f64 / outcomes.len().max(1) as f64,
        };
        Some(Series {
            contender: contender.to_owned(),
            fault,
            outages_ms,
            lost,
            stalls_ms,
            summary,
        })
    }
}

fn sorted(figures: &[f64]) -> Vec<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The nearest-rank quantile: always one of the measured values.
fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * q).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(milliseconds: u64, lost: usize) -> Outcome {
        let stall = (lost < 4).then_some(Duration::from_millis(milliseconds + 1));
        Outcome { outage: Duration::from_millis(milliseconds), lost, stall }
    }

    #[test]
    fn quantiles_are_measured_values() {
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&sorted, 0.5), Some(50.0));
        assert_eq!(quantile(&sorted, 0.99), Some(99.0));
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn a_series_keeps_the_order_and_sums_the_losses() {
        let outcomes = [outcome(5, 4), outcome(3, 2), outcome(30, 1)];
        let series = Series::new("locum", Fault::Cut, &outcomes).expect("three rounds");
        assert_eq!(series.outages_ms, [5.0, 3.0, 30.0]);
        let Summary { median_ms, worst_ms, lost_total, .. } = series.summary;
        assert_eq!((median_ms, worst_ms, lost_total), (5.0, 30.0, 7));
        assert_eq!(series.stalls_ms, [4.0, 31.0]);
        let Summary { stall_worst_ms, survived, .. } = series.summary;
        assert_eq!((stall_worst_ms, survived), (Some(31.0), 2.0 / 3.0));
    }

    #[test]
    fn no_rounds_make_no_series() {
        assert!(Series::new("locum", Fault::Cut, &[]).is_none());
    }
}
