//! What a bad cable does to frames, as scenarios say it.

use std::fmt;

use locum_link::segment::impair::{Burst, Impairment};
use serde::Deserialize;

use super::Span;

/// What happens to frames in one direction of a cable. What is not said does not happen. Shares are 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Impair {
    /// How long each takes.
    pub latency: Option<Span>,
    /// How much longer, at most; drawn for each.
    pub jitter: Option<Span>,
    /// The share that is lost.
    pub loss: Option<f64>,
    /// Loss in bursts.
    pub burst: Option<BurstLoss>,
    /// The share that arrives twice.
    pub duplicate: Option<f64>,
    /// The share that is held back, and overtaken.
    pub reorder: Option<f64>,
    /// For how long; 1 ms unless it says otherwise.
    pub reorder_by: Option<Span>,
    /// The share of which one bit is turned.
    pub corrupt: Option<f64>,
    /// Bits a second.
    pub bandwidth: Option<u64>,
    /// Frames that may wait for their turn at that speed.
    pub queue: Option<usize>,
}

/// Loss that comes in bursts: a good and a bad state, and the chances to change at each frame.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BurstLoss {
    /// From good to bad.
    pub enter: f64,
    /// From bad to good.
    pub leave: f64,
    /// The share that is lost while it is bad.
    pub loss: f64,
}

impl Impair {
    /// Every share, with its key.
    pub(crate) fn shares(&self) -> Vec<(&'static str, f64)> {
        let plain = [
            ("loss", self.loss),
            ("duplicate", self.duplicate),
            ("reorder", self.reorder),
            ("corrupt", self.corrupt),
        ];
        let plain = plain.into_iter().filter_map(|(key, share)| Some((key, share?)));
        let burst = |BurstLoss { enter, leave, loss }| {
            [("burst.enter", enter), ("burst.leave", leave), ("burst.loss", loss)]
        };
        plain.chain(self.burst.map(burst).into_iter().flatten()).collect()
    }
}

impl From<&Impair> for Impairment {
    fn from(impair: &Impair) -> Impairment {
        let span = |span: Option<Span>| span.unwrap_or_default().0;
        let millisecond = Span(std::time::Duration::from_millis(1));
        Impairment {
            latency: span(impair.latency),
            jitter: span(impair.jitter),
            loss: impair.loss.unwrap_or_default(),
            burst: impair.burst.map(|BurstLoss { enter, leave, loss }| Burst {
                enter,
                leave,
                loss,
            }),
            duplicate: impair.duplicate.unwrap_or_default(),
            reorder: impair.reorder.unwrap_or_default(),
            reorder_by: impair.reorder_by.unwrap_or(millisecond).0,
            corrupt: impair.corrupt.unwrap_or_default(),
            bandwidth: impair.bandwidth,
            queue: impair.queue,
        }
    }
}

impl fmt::Display for Impair {
    /// For people: `latency 5ms, loss 10 %`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spans = [
            ("latency", self.latency),
            ("jitter", self.jitter),
            ("reordering by", self.reorder_by),
        ];
        let spans = spans.into_iter().filter_map(|(name, span)| Some(format!("{name} {}", span?)));
        let shares = self.shares().into_iter();
        let shares = shares.map(|(name, share)| format!("{name} {} %", share * 100.0));
        let bandwidth = self.bandwidth.map(|bits| format!("{} kbit/s", bits / 1000));
        let queue = self.queue.map(|frames| format!("a queue of {frames} frames"));
        let parts: Vec<String> = spans.chain(shares).chain(bandwidth).chain(queue).collect();
        f.write_str(&parts.join(", "))
    }
}
