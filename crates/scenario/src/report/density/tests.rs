use super::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn scale() -> Scale {
    Scale::new(ms(0), ms(1_000), 0.0, 300.0)
}

#[test]
fn few_events_are_single_ticks_and_many_are_counted() {
    assert_eq!(bin_width(scale(), 100), None);
    let width = bin_width(scale(), 101).expect("there is no room for so many ticks");
    assert!(width * 101.0 / 300.0 >= PER_BIN, "{width}");
    assert_eq!(bin_width(scale(), 100_000), Some(TICK_ROOM));
}

#[test]
fn every_event_is_in_one_bin() {
    let counted = bins(scale(), 3.0, (0..=1_000).map(ms));
    assert_eq!(counted.len(), 100);
    assert_eq!(counted.iter().sum::<u32>(), 1_001);
    assert_eq!(&counted[..3], [10, 10, 10]);
}

#[test]
fn equal_neighbours_are_one_run() {
    assert_eq!(runs([1, 1, 0, 2, 2, 2]), [(1, 0, 2), (0, 2, 1), (2, 3, 3)]);
}

#[test]
fn of_what_is_too_near_the_first_stays() {
    let kept: Vec<f64> = thinned([0.0, 1.0, 3.9, 4.0, 7.0, 9.0], 4.0).collect();
    assert_eq!(kept, [0.0, 4.0, 9.0]);
}
