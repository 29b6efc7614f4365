//! Programs that people use, through a takeover.

use std::time::Duration;

use anyhow::{Result, ensure};
use locum_lab::locum::Group;
use locum_lab::{Lab, SERVICE_V4, Topology, capture};

use crate::trial::Case;

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn cases() -> Vec<Case> {
    let two = Topology::default();
    vec![
        Case::group("curl_goes_on_through_a_takeover", two, curl),
        Case::group("ping_goes_on_through_a_takeover", two, ping),
        Case::group("nothing_moves_while_both_cores_are_busy", two, busy),
    ]
}

/// A loop of short requests with curl's own retries: every one succeeds in the end.
fn curl(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    let script = format!(
        "for i in $(seq 60); do curl -sS -f --retry 5 --retry-all-errors --retry-delay 0 \
         --retry-max-time 5 --connect-timeout 0.5 -m 1 http://{SERVICE_V4}/ || exit 1; \
         echo done $i; done"
    );
    let mut requests = lab.client(1).spawn("sh", &["-c", &script])?;
    requests.wait_for_text("done 10\n", PATIENCE)?;
    group.process(active)?.kill_worker()?;
    let served = requests.output(PATIENCE)?.success()?;
    let pages = served.matches("the same on every node\n").count();
    ensure!(pages == 60, "{pages} of 60 pages:\n{served}");
    group.wait_for_end(active)?;
    group.wait_steady().map(drop)
}

fn ping(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    let target = SERVICE_V4.to_string();
    let mut ping = lab.client(1).spawn("ping", &["-i", "0.01", "-c", "200", &target])?;
    ping.wait_for_text("icmp_seq=50 ", PATIENCE)?;
    group.process(active)?.kill_worker()?;
    let report = ping.output(PATIENCE)?.stdout;
    let answers = report.matches("bytes from").count();
    // At most half a second of the two, on a starved machine.
    ensure!(answers >= 150, "{answers} of 200 answers:\n{report}");
    ensure!(report.contains("icmp_seq=200 "), "none at the end:\n{report}");
    ensure!(!report.contains("DUP!"), "two nodes answered:\n{report}");
    group.wait_for_end(active)?;
    group.wait_steady().map(drop)
}

fn busy(lab: &Lab, group: &mut Group<'_>) -> Result<()> {
    let active = group.wait_steady()?;
    let start = capture::now();
    let stress = lab.client(1).spawn("stress", &["-q", "-c", "4", "-t", "5"])?;
    stress.output(PATIENCE)?.success()?;
    ensure!(group.wait_steady()? == active, "the active node changed");
    group.require_silence(3 - active, start)
}
