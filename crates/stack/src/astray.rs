//! A client that speaks of what this node does not know: of bytes that it misses, or of output that it never sent.
//!
//! For a moment that is a lost segment. If it goes on, another node has received and answered, and is gone: the two ends
//! can never agree again, and the client is to learn that rather than wait. What belongs here is when that is
//! certain enough. Only what nobody else can bring about counts: a client that agrees answers the probe, which ends
//! it, so that nobody who guesses numbers can end a connection.

use std::time::Duration;

use locum_types::Instant;

use crate::parse::Segment;

/// smoltcp forgets to retransmit when its window shuts meanwhile. Everybody else's retransmission timeout is shorter
/// to begin with (RFC 6298 §2).
const REMIND_AFTER: Duration = Duration::from_secs(3);
/// No sooner is anything certain.
const CERTAIN_AFTER: Duration = Duration::from_secs(10);
/// Whoever retransmits begins with what is missing (RFC 6298 §5), except for one probe of the tail (RFC 8985 §7): who
/// sends the same bytes beyond a gap so often, so far apart, has nothing to fill it with.
const REPEATS: u8 = 3;
const APART: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Astray {
    since: Instant,
    /// It was asked what it means.
    reminded: bool,
    /// The lowest of its data beyond the gap: where it is, how often it was said, and when last.
    data: Option<(u32, u8, Instant)>,
}

impl Astray {
    pub(crate) fn new(now: Instant) -> Self {
        Astray { since: now, reminded: false, data: None }
    }

    /// It says another thing that disagrees.
    pub(crate) fn hear(&mut self, now: Instant, segment: &Segment) {
        if segment.len == 0 {
            return;
        }
        self.data = Some(match self.data {
            Some((sequence, times, at)) if sequence == segment.sequence => {
                let counts = now - at >= APART;
                (sequence, times.saturating_add(counts.into()), if counts { now } else { at })
            }
            Some(first) if (segment.sequence.wrapping_sub(first.0) as i32) > 0 => first,
            Some(_) | None => (segment.sequence, 1, now),
        });
    }

    pub(crate) fn remind(&mut self) {
        self.reminded = true;
    }

    /// When it is to be asked, if it was not.
    pub(crate) fn remind_at(&self) -> Option<Instant> {
        (!self.reminded).then(|| self.since + REMIND_AFTER)
    }

    /// When it can be certain at the soonest.
    pub(crate) fn certain_at(&self) -> Instant {
        self.since + CERTAIN_AFTER
    }

    /// Whether it was asked, and has nothing else to say than bytes beyond the gap.
    pub(crate) fn has_no_more(&self) -> bool {
        self.reminded && self.data.is_some_and(|(_, times, _)| times >= REPEATS)
    }

    pub(crate) fn was_reminded(&self) -> bool {
        self.reminded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(sequence: u32) -> Segment {
        let local = "10.0.0.1:7".parse().expect("an address");
        let tuple = crate::Tuple { remote: local, local };
        Segment {
            tuple,
            sequence,
            ack: Some(0),
            window: 0,
            syn: false,
            rst: false,
            fin: false,
            len: 9,
        }
    }

    #[test]
    fn only_the_first_bytes_beyond_the_gap_count_and_only_if_they_come_again_and_again() {
        let second = |second: u64| Instant::from_millis(second * 1_000);
        let mut astray = Astray::new(second(0));
        astray.remind();
        // In a burst, and its tail again, and duplicated by the network.
        for (at, sequence) in [(0, 30), (0, 40), (1, 40), (2, 40), (3, 40), (3, 30), (3, 30)] {
            astray.hear(second(at), &data(sequence));
            assert!(!astray.has_no_more(), "{at}");
        }
        astray.hear(second(4), &data(20));
        astray.hear(second(6), &data(20));
        assert!(!astray.has_no_more());
        astray.hear(second(10), &data(20));
        assert!(astray.has_no_more());
    }
}
