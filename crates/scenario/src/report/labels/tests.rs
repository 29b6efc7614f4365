use super::*;

/// Positions that look like chance and are the same every time.
fn scattered(count: usize, seed: u64) -> Vec<Label> {
    let mut state = seed;
    let mut next = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % below) as f64
    };
    (0..count).map(|_| Label { x: next(900), width: 20.0 + next(120) }).collect()
}

fn check(labels: &[Label], places: &[Option<Place>], rows: usize) {
    let placed: Vec<(&Label, Place)> =
        labels.iter().zip(places).filter_map(|(l, p)| Some((l, (*p)?))).collect();
    for (index, (label, place)) in placed.iter().enumerate() {
        assert!(place.row < rows);
        assert!(place.left >= 0.0 && place.right - place.left == label.width, "{place:?}");
        for (other, second) in &placed[index + 1..] {
            let apart = place.right <= second.left || second.right <= place.left;
            assert!(place.row != second.row || apart, "{place:?} covers {second:?}");
            for (pole, above, below) in [(label.x, place, second), (other.x, second, place)] {
                let crosses = above.row > below.row && pole > below.left && pole < below.right;
                assert!(!crosses, "the pole of {above:?} crosses {below:?}");
            }
        }
    }
}

#[test]
fn no_label_covers_another_or_a_pole() {
    for seed in 0..400 {
        let labels = scattered(2 + seed as usize % 30, seed);
        check(&labels, &place(&labels, 0.0, 900.0, 6), 6);
    }
}

#[test]
fn a_few_labels_all_find_room() {
    for seed in 0..400 {
        let labels = scattered(6, seed);
        let places = place(&labels, 0.0, 1_000.0, 6);
        assert!(places.iter().all(Option::is_some), "seed {seed}: {labels:?} {places:?}");
    }
}

#[test]
fn labels_with_room_between_them_share_the_lowest_row() {
    let labels = [10.0, 200.0, 400.0].map(|x| Label { x, width: 90.0 });
    let places = place(&labels, 0.0, 600.0, 6);
    assert!(places.iter().flatten().all(|place| place.row == 0 && !place.turned), "{places:?}");
}

#[test]
fn a_label_at_the_edge_is_to_the_left_of_its_pole() {
    let labels = [Label { x: 580.0, width: 90.0 }];
    let [Some(place)] = place(&labels, 0.0, 600.0, 6)[..] else { panic!("it has room") };
    assert!(place.turned && place.right < 580.0, "{place:?}");
}

#[test]
fn labels_of_one_moment_are_above_each_other() {
    let labels = [Label { x: 100.0, width: 90.0 }; 3];
    let places = place(&labels, 0.0, 600.0, 6);
    let mut rows: Vec<usize> = places.iter().flatten().map(|place| place.row).collect();
    rows.sort_unstable();
    assert_eq!(rows, [0, 1, 2]);
}

#[test]
fn where_rows_run_out_labels_have_no_place() {
    let labels = [Label { x: 100.0, width: 90.0 }; 3];
    let places = place(&labels, 0.0, 600.0, 2);
    assert_eq!(places.iter().flatten().count(), 2);
}
