//! The figures as an aligned table.

use std::fmt::Write as _;

use crate::stats::Series;

/// Column heads, and for each the width.
const HEADS: [(&str, usize); 10] = [
    ("fault", 10),
    ("contender", 22),
    ("median", 10),
    ("p99", 10),
    ("worst", 10),
    ("lost/round", 12),
    ("of keepalived", 15),
    ("tcp median", 13),
    ("tcp worst", 12),
    ("tcp kept", 10),
];

/// One row per series, faults together. `of keepalived` is the median over keepalived's.
pub(crate) fn render(series: &[Series], yardstick: &str) -> String {
    let mut rows = vec![HEADS.map(|(head, _)| head.to_owned())];
    for one in sorted(series) {
        let summary = one.summary;
        let rounds = one.lost.len().max(1) as f64;
        rows.push([
            one.fault.name().to_owned(),
            one.contender.clone(),
            format!("{:.1} ms", summary.median_ms),
            format!("{:.1} ms", summary.p99_ms),
            format!("{:.1} ms", summary.worst_ms),
            format!("{:.1}", summary.lost_total as f64 / rounds),
            ratio(series, one, yardstick).map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
            stall(summary.stall_median_ms),
            stall(summary.stall_worst_ms),
            format!("{:.0} %", summary.survived * 100.0),
        ]);
    }
    let mut table = String::new();
    for row in rows {
        for (column, (text, (_, width))) in row.iter().zip(HEADS).enumerate() {
            // Words to the left, numbers to the right.
            let _ = match column {
                0 | 1 => write!(table, "{text:<width$}"),
                _ => write!(table, "{text:>width$}"),
            };
        }
        table.truncate(table.trim_end().len());
        table.push('\n');
    }
    table
}

fn stall(milliseconds: Option<f64>) -> String {
    milliseconds.map_or("reset".to_owned(), |stall| format!("{stall:.1} ms"))
}

/// The median of a series over the yardstick's median under the same fault.
pub(crate) fn ratio(all: &[Series], one: &Series, yardstick: &str) -> Option<f64> {
    if one.contender == yardstick {
        return None;
    }
    let same = all.iter().find(|other| other.contender == yardstick && other.fault == one.fault)?;
    Some(one.summary.median_ms / same.summary.median_ms)
}

/// Fault by fault, the contenders in the order in which they played.
pub(crate) fn sorted(series: &[Series]) -> Vec<&Series> {
    let mut sorted: Vec<&Series> = series.iter().collect();
    sorted.sort_by_key(|one| one.fault);
    sorted
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::contender::Fault;
    use crate::round::Outcome;

    #[test]
    fn rows_are_grouped_by_fault_and_compared_with_the_yardstick() {
        let series = |contender, fault, ms| {
            let outage = Duration::from_millis(ms);
            let stall = (contender == "locum").then_some(outage);
            let outcome = Outcome { outage, lost: 3, stall };
            Series::new(contender, fault, &[outcome]).expect("one round")
        };
        let all = [
            series("locum", Fault::Cut, 8),
            series("locum", Fault::Kill, 1),
            series("keepalived", Fault::Cut, 32),
        ];
        let table = render(&all, "keepalived");
        let rows: Vec<Vec<&str>> =
            table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            rows[1].join(" "),
            "cut link locum 8.0 ms 8.0 ms 8.0 ms 3.0 0.25 8.0 ms 8.0 ms 100 %"
        );
        assert_eq!(
            rows[2].join(" "),
            "cut link keepalived 32.0 ms 32.0 ms 32.0 ms 3.0 - reset reset 0 %"
        );
        assert_eq!(
            rows[3].join(" "),
            "SIGKILL locum 1.0 ms 1.0 ms 1.0 ms 3.0 - 1.0 ms 1.0 ms 100 %"
        );
    }
}
