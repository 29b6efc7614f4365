use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// The same by brute force: everything that was ever accepted.
#[derive(Default)]
struct Model(BTreeSet<u64>);

impl Model {
    fn highest(&self) -> u64 {
        self.0.last().copied().unwrap_or(0)
    }

    fn accept(&mut self, sequence: u64) -> bool {
        let too_old = self.highest().saturating_sub(sequence) >= REPLAY_WINDOW;
        sequence != 0 && !too_old && self.0.insert(sequence)
    }

    fn recent(&self) -> u32 {
        let heard = |age: u32| {
            self.highest()
                .checked_sub(age.into())
                .is_some_and(|sequence| self.0.contains(&sequence))
        };
        (0..32).filter(|age| heard(*age)).map(|age| 1 << age).sum()
    }
}

/// Numbers near the highest one, far jumps, and the ends of the range.
fn sequence() -> impl Strategy<Value = (bool, u64)> {
    prop_oneof![
        8 => (any::<bool>(), 0u64..=70),
        1 => (any::<bool>(), prop_oneof![Just(63u64), Just(64), Just(65), Just(1 << 40)]),
        1 => (Just(true), Just(u64::MAX)),
    ]
}

proptest! {
    #[test]
    fn the_window_agrees_with_a_set(steps in proptest::collection::vec(sequence(), 1..200)) {
        let (mut window, mut model) = (ReplayWindow::new(), Model::default());
        for (ahead, by) in steps {
            let highest = model.highest();
            let sequence =
                if ahead { highest.saturating_add(by) } else { highest.saturating_sub(by) };
            prop_assert_eq!(window.accept(sequence), model.accept(sequence), "{}", sequence);
            prop_assert_eq!(window.highest(), model.highest());
            prop_assert_eq!(window.recent(), model.recent());
        }
    }
}

#[test]
fn zero_is_never_accepted() {
    let mut window = ReplayWindow::new();
    assert!(!window.accept(0));
    assert!(window.accept(1));
    assert!(!window.accept(0));
    assert_eq!((window.highest(), window.recent()), (1, 1));
}

#[test]
fn late_numbers_count_once_and_only_within_the_window() {
    let mut window = ReplayWindow::new();
    assert!(window.accept(100));
    assert!(window.accept(100 - 63));
    assert!(!window.accept(100 - 63), "a duplicate");
    assert!(!window.accept(100 - 64), "too old to tell");
    assert_eq!(window.highest(), 100);
}

#[test]
fn a_jump_beyond_the_window_forgets_all_behind_it() {
    for jump in [63, 64, 65, 1 << 40] {
        let mut window = ReplayWindow::new();
        assert!(window.accept(1));
        assert!(window.accept(1 + jump));
        assert!(!window.accept(1), "jump {jump}");
        assert_eq!(window.recent(), 1);
    }
}

#[test]
fn the_will_is_the_last_word_of_a_boot() {
    let mut window = ReplayWindow::new();
    assert!(window.accept(5));
    assert!(window.accept(u64::MAX));
    assert!(!window.accept(u64::MAX));
    assert!(!window.accept(6));
    assert_eq!(window.recent(), 1);
}
