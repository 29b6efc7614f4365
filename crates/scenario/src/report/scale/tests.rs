use std::time::Duration;

use super::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn labels(marks: Vec<Mark>) -> Vec<String> {
    marks.into_iter().map(|mark| mark.label).collect()
}

#[test]
fn moments_outside_the_window_are_at_its_edges() {
    let scale = Scale::new(ms(100), ms(200), 10.0, 110.0);
    assert_eq!(scale.x(ms(150)), 60.0);
    assert_eq!(scale.x(ms(50)), 10.0);
    assert_eq!(scale.x(ms(500)), 110.0);
    assert_eq!(scale.extent(ms(0), ms(100)), None);
    assert_eq!(scale.extent(ms(0), ms(150)), Some((10.0, 60.0)));
}

#[test]
fn a_window_of_no_length_is_at_the_left() {
    let scale = Scale::new(ms(5), ms(5), 10.0, 110.0);
    assert_eq!(scale.x(ms(5)), 10.0);
    assert_eq!(scale.marks(ms(0), 50.0), []);
}

#[test]
fn a_long_run_is_marked_in_seconds() {
    let scale = Scale::new(ms(0), ms(10_000), 0.0, 600.0);
    let marks = scale.marks(ms(0), 100.0);
    assert_eq!(labels(marks), ["0", "2 s", "4 s", "6 s", "8 s", "10 s"]);
}

#[test]
fn marks_of_a_close_up_count_from_its_fault() {
    let scale = Scale::new(ms(1_990), ms(2_050), 0.0, 300.0);
    let marks = scale.marks(ms(2_000), 58.0);
    assert!((marks[0].x - 50.0).abs() < 1e-6, "{marks:?}");
    assert_eq!(labels(marks), ["0", "+20 ms", "+40 ms"]);
    let scale = Scale::new(ms(1_960), ms(2_000), 0.0, 300.0);
    assert_eq!(labels(scale.marks(ms(2_000), 150.0)), ["−40 ms", "−20 ms", "0"]);
}

#[test]
fn parts_of_a_second_have_as_many_digits_as_they_need() {
    let scale = Scale::new(ms(0), ms(2_000), 0.0, 400.0);
    assert_eq!(labels(scale.marks(ms(0), 100.0)), ["0", "0.5 s", "1.0 s", "1.5 s", "2.0 s"]);
    let short = Scale::new(Duration::ZERO, Duration::from_micros(400), 0.0, 400.0);
    assert_eq!(labels(short.marks(ms(0), 150.0)), ["0", "200 µs", "400 µs"]);
}

#[test]
fn marks_are_never_nearer_than_asked() {
    for millis in [1, 3, 7, 40, 99, 1_234, 60_000, 3_600_000] {
        let scale = Scale::new(ms(0), ms(millis), 0.0, 300.0);
        let marks = scale.marks(ms(0), 58.0);
        assert!(marks.len() >= 2, "{millis} ms: {marks:?}");
        assert!(marks.windows(2).all(|pair| pair[1].x - pair[0].x > 57.99), "{millis} ms");
    }
}
