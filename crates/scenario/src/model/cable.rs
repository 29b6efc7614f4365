//! What a bad cable does to frames, in words.

use std::time::Duration;

use locum_link::segment::impair::{Burst, Impairment};

/// Every share of an impairment that is not zero, with its key.
pub(crate) fn shares(with: &Impairment) -> Vec<(&'static str, f64)> {
    let plain = [
        ("loss", with.loss),
        ("duplicate", with.duplicate),
        ("reorder", with.reorder),
        ("corrupt", with.corrupt),
    ];
    let burst = |Burst { enter, leave, loss }| {
        [("burst.enter", enter), ("burst.leave", leave), ("burst.loss", loss)]
    };
    let burst = with.burst.map(burst).into_iter().flatten();
    plain.into_iter().chain(burst).filter(|&(_, share)| share != 0.0).collect()
}

/// For people: `latency 5ms, loss 10 %`.
pub(super) fn words(with: &Impairment) -> String {
    let spans =
        [("latency", with.latency), ("jitter", with.jitter), ("reordering by", with.reorder_by)];
    let spans = spans.into_iter().filter(|(_, span)| *span != Duration::ZERO);
    let spans = spans.map(|(name, span)| format!("{name} {}", humantime::format_duration(span)));
    let shares = shares(with).into_iter();
    let shares = shares.map(|(name, share)| format!("{name} {} %", share * 100.0));
    let bandwidth = with.bandwidth.map(|bits| format!("{} kbit/s", bits / 1000));
    let queue = with.queue.map(|bytes| format!("a queue of {bytes} bytes"));
    spans.chain(shares).chain(bandwidth).chain(queue).collect::<Vec<String>>().join(", ")
}
