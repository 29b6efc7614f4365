use super::*;

const DEAD_AFTER: Duration = Duration::from_millis(30);

fn us(micros: u64) -> Instant {
    Instant::from_micros(micros)
}

fn ms(millis: u64) -> Instant {
    us(millis * 1_000)
}

fn steady(gap: u64, beats: u64) -> Detector {
    let mut detector = Detector::new(ms(0));
    (0..beats).for_each(|beat| detector.heard(ms(beat * gap), DEAD_AFTER));
    detector
}

#[test]
fn a_punctual_peer_is_dead_exactly_after_the_configured_time() {
    let detector = steady(10, 100);
    assert!(detector.is_alive(ms(990 + 29), DEAD_AFTER));
    assert!(!detector.is_alive(ms(990 + 30), DEAD_AFTER));
}

#[test]
fn jitter_of_a_quarter_does_not_lengthen_the_detection_at_any_speed() {
    for interval in [1_000, 2_000, 10_000, 100_000] {
        let dead_after = Duration::from_micros(3 * interval);
        let mut rng = fastrand::Rng::with_seed(interval);
        let (mut now, mut detector) = (0, Detector::new(us(0)));
        for _ in 0..10_000 {
            now += interval - rng.u64(..=interval / 4);
            detector.heard(us(now), dead_after);
            assert_eq!(detector.timeout(dead_after), dead_after);
        }
    }
}

#[test]
fn a_slow_peer_gets_two_of_its_gaps_but_no_more_than_four_times_the_limit() {
    assert_eq!(steady(25, 100).timeout(DEAD_AFTER), Duration::from_millis(50));
    assert!(steady(500, 100).timeout(DEAD_AFTER) <= DEAD_AFTER * 4);
}

#[test]
fn an_irregular_peer_gets_more_time_than_a_regular_one() {
    let mut detector = Detector::new(ms(0));
    let mut now = 0;
    for beat in 0..200 {
        now += if beat % 3 == 0 { 28 } else { 2 };
        detector.heard(ms(now), DEAD_AFTER);
    }
    assert!(detector.timeout(DEAD_AFTER) > Duration::from_millis(50));
    assert!(detector.timeout(DEAD_AFTER) <= DEAD_AFTER * 4);
}

#[test]
fn one_death_does_not_make_the_next_detection_slow() {
    let mut detector = steady(10, 100);
    detector.heard(ms(100_000), DEAD_AFTER);
    assert!(detector.timeout(DEAD_AFTER) < DEAD_AFTER * 2);
    (1..100).for_each(|beat| detector.heard(ms(100_000 + beat * 10), DEAD_AFTER));
    assert_eq!(detector.timeout(DEAD_AFTER), DEAD_AFTER);
}

#[test]
fn a_stall_of_our_own_starts_the_time_anew_and_is_no_gap_of_the_peer() {
    let mut detector = steady(10, 10);
    detector.refresh(ms(1_000));
    assert!(detector.is_alive(ms(1_029), DEAD_AFTER));
    assert!(!detector.is_alive(ms(1_030), DEAD_AFTER));
    detector.heard(ms(1_010), DEAD_AFTER);
    assert_eq!(detector.timeout(DEAD_AFTER), DEAD_AFTER);
}

#[test]
fn a_peer_that_was_never_heard_is_not_alive() {
    assert!(!Detector::new(ms(0)).is_alive(ms(1), DEAD_AFTER));
}

#[test]
fn time_at_the_end_of_the_clock_does_not_overflow() {
    let end = Instant::from_nanos(u64::MAX);
    let mut detector = Detector::new(ms(0));
    detector.heard(end, Duration::MAX);
    assert_eq!(detector.timeout(Duration::MAX), Duration::MAX);
    assert!(!detector.is_alive(end, DEAD_AFTER));
}
