//! How long this node was busy with what it appended: its followers do the same work before they can confirm it.
//!
//! What belongs here: the allowance that a follower has for that. What does not: who is too slow ([`super::sync`]).

use std::collections::VecDeque;
use std::time::Duration;

use locum_types::Instant;

/// A follower may need this many times as long as the leader did: another machine, with other things to do.
const SLOWER: u32 = 2;
/// A turn that takes less than this is within what `dead_after` allows for.
const LONG_TURN: Duration = Duration::from_millis(1);
/// A node whose turn takes longer is taken for hung, and gives its place away.
const TURN_MAX: Duration = Duration::from_secs(1);
/// Turns that are remembered; entries are confirmed, or their follower is dropped, before there are more.
const TURNS_MAX: usize = 64;

/// The long turns of late.
#[derive(Debug, Default)]
pub(super) struct BusyTurns {
    /// When each began, and how long it took.
    turns: VecDeque<(Instant, Duration)>,
}

impl BusyTurns {
    pub(super) fn note(&mut self, began: Instant, took: Duration) {
        if took < LONG_TURN {
            return;
        }
        if self.turns.len() == TURNS_MAX {
            self.turns.pop_front();
        }
        self.turns.push_back((began, took.min(TURN_MAX)));
    }

    /// How much longer a follower may take for what was appended at `since`, or later.
    pub(super) fn allowance(&self, since: Instant) -> Duration {
        let later = self.turns.iter().rev().take_while(|(began, _)| *began >= since);
        later.map(|(_, took)| *took * SLOWER).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn what_was_appended_in_a_long_turn_or_before_it_may_take_longer() {
        let mut busy = BusyTurns::default();
        busy.note(at(10), Duration::from_millis(40));
        busy.note(at(50), Duration::from_micros(900));
        busy.note(at(60), Duration::from_millis(5));
        assert_eq!(busy.allowance(at(9)), Duration::from_millis(90));
        assert_eq!(busy.allowance(at(10)), Duration::from_millis(90));
        assert_eq!(busy.allowance(at(11)), Duration::from_millis(10));
        assert_eq!(busy.allowance(at(61)), Duration::ZERO);
    }

    #[test]
    fn a_hung_turn_counts_for_a_second_and_old_turns_are_forgotten() {
        let mut busy = BusyTurns::default();
        busy.note(at(0), Duration::from_secs(60));
        assert_eq!(busy.allowance(at(0)), TURN_MAX * SLOWER);
        for turn in 1..=TURNS_MAX as u64 {
            busy.note(at(turn), LONG_TURN);
        }
        assert_eq!(busy.allowance(at(0)), LONG_TURN * SLOWER * TURNS_MAX as u32);
    }
}
