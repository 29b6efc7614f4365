use super::*;

const MS: Duration = Duration::from_millis(1);
const T0: Instant = Instant::from_millis(100);
const FRAMES: usize = 10_000;

fn cable(with: Impairment) -> Cable {
    let mut cable = Cable::perfect();
    cable.set(with, 7);
    cable
}

/// What becomes of many frames of 100 bytes, a millisecond apart.
fn carry(with: Impairment) -> Vec<Result<Carried, Loss>> {
    let mut cable = cable(with);
    (0..FRAMES as u32).map(|index| cable.carry(T0 + MS * index, 100)).collect()
}

fn count(carried: &[Result<Carried, Loss>], what: impl Fn(&Carried) -> bool) -> usize {
    carried.iter().flatten().filter(|carried| what(carried)).count()
}

#[test]
fn a_perfect_cable_takes_no_time_and_loses_nothing() {
    let carried = carry(Impairment::default());
    for (index, carried) in carried.into_iter().enumerate() {
        let due = T0 + MS * index as u32;
        assert_eq!(carried, Ok(Carried { due, twice: false, held_back: false, flipped: None }));
    }
}

#[test]
fn a_share_is_met_within_three_deviations() {
    // n p = 1 000; sqrt(n p (1 - p)) = 30.
    let near = |count: usize| assert!((910..=1_090).contains(&count), "{count}");
    let with = Impairment { loss: 0.1, ..Impairment::default() };
    near(carry(with).iter().filter(|carried| **carried == Err(Loss::Random)).count());
    let with = Impairment { duplicate: 0.1, ..Impairment::default() };
    near(count(&carry(with), |carried| carried.twice));
    let with = Impairment { corrupt: 0.1, ..Impairment::default() };
    near(count(&carry(with), |carried| carried.flipped.is_some_and(|bit| bit < 800)));
    let with = Impairment { reorder: 0.1, reorder_by: MS * 5, ..Impairment::default() };
    near(count(&carry(with), |carried| carried.held_back));
}

#[test]
fn bursts_last_as_long_as_they_are_left_seldom() {
    let burst = Some(Burst { enter: 0.01, leave: 0.1, loss: 1.0 });
    let carried = carry(Impairment { burst, ..Impairment::default() });
    let lost = carried.iter().filter(|carried| carried.is_err()).count();
    let bursts = carried.windows(2).filter(|pair| pair[0].is_ok() && pair[1].is_err()).count();
    // A share of enter / (enter + leave), in bursts of 1 / leave.
    assert!((700..=1_150).contains(&lost), "{lost} lost");
    assert!((7..=13).contains(&(lost / bursts)), "{lost} in {bursts} bursts");
}

#[test]
fn jitter_keeps_the_order_and_what_is_held_back_loses_it() {
    let jittery = Impairment { latency: MS, jitter: MS * 20, ..Impairment::default() };
    let due: Vec<Instant> =
        carry(jittery.clone()).iter().flatten().map(|carried| carried.due).collect();
    assert!(due.is_sorted());
    for (index, due) in due.iter().enumerate() {
        let late = *due - (T0 + MS * index as u32);
        assert!(late >= MS && late <= MS * 21, "{late:?}");
    }
    let with = Impairment { reorder: 0.5, reorder_by: MS * 3, ..jittery };
    let due: Vec<Instant> = carry(with).iter().flatten().map(|carried| carried.due).collect();
    assert!(!due.is_sorted());
}

#[test]
fn the_rate_spaces_frames_to_the_nanosecond_and_the_queue_is_bounded() {
    // 100 bytes at 8 Mbit/s take 100 µs.
    let with = Impairment { bandwidth: Some(8_000_000), queue: Some(450), ..Impairment::default() };
    let mut cable = cable(with);
    for index in 1..=4 {
        let due = cable.carry(T0, 100).expect("there is room").due;
        assert_eq!(due, T0 + Duration::from_micros(100) * index);
    }
    assert_eq!(cable.carry(T0, 100), Err(Loss::Congestion));
    assert!(cable.carry(T0, 50).is_ok(), "a short one still fits");
    assert!(cable.carry(T0 + MS, 450).is_ok(), "later it is empty");
}

#[test]
fn what_leaves_on_a_better_cable_does_not_wait_for_what_left_on_the_worse() {
    let mut cable = cable(Impairment { latency: MS * 10, ..Impairment::default() });
    let slow = cable.carry(T0, 100).expect("nothing is lost").due;
    cable.set(Impairment::default(), 7);
    let fast = cable.carry(T0 + MS, 100).expect("nothing is lost").due;
    assert_eq!((slow, fast), (T0 + MS * 10, T0 + MS));
}

#[test]
fn the_same_seed_gives_the_same_cable() {
    let with = Impairment {
        jitter: MS * 3,
        loss: 0.3,
        burst: Some(Burst { enter: 0.1, leave: 0.2, loss: 0.5 }),
        duplicate: 0.2,
        reorder: 0.2,
        reorder_by: MS,
        corrupt: 0.1,
        ..Impairment::default()
    };
    assert_eq!(carry(with.clone()), carry(with));
}
