use super::*;

const ACTIVE: Condition = Condition::Running(Mode::Active);
const WAITING: Condition = Condition::Running(Mode::Waiting);
const MS: u64 = 1_000_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn track(id: u8, conditions: &[(u64, Condition)]) -> NodeTrack {
    NodeTrack {
        id,
        conditions: conditions.iter().map(|&(at, condition)| (ms(at), condition)).collect(),
        changes: Vec::new(),
        beats: Vec::new(),
        words: Vec::new(),
        status: Value::Null,
    }
}

#[test]
fn overlaps_last_from_the_second_active_node_to_the_last_but_one() {
    let tracks = [
        track(1, &[(0, ACTIVE), (60, Condition::Dead)]),
        track(2, &[(0, WAITING), (20, ACTIVE)]),
        track(3, &[(0, WAITING), (30, ACTIVE), (70, Condition::Frozen), (90, ACTIVE)]),
    ];
    assert_eq!(overlaps(&tracks, ms(100)), [(ms(20), ms(50)), (ms(90), ms(10))]);
}

#[test]
fn a_change_of_places_that_the_logs_tell_in_the_wrong_order_is_no_overlap() {
    let mut tracks = [track(1, &[(0, ACTIVE)]), track(2, &[(0, WAITING), (50, ACTIVE)])];
    tracks[0].conditions.push((ms(50) + Duration::from_micros(300), WAITING));
    assert_eq!(overlaps(&tracks, ms(100)), []);
}

#[test]
fn a_track_begins_with_the_condition_at_zero_and_leaves_out_what_came_before() {
    let change = |at, from, to| LoggedChange { at, from, to, cause: "joined".to_owned(), term: 1 };
    let seen = Seen {
        frames: Vec::new(),
        changes: vec![
            change(5 * MS, Mode::Joining, Mode::Waiting),
            change(30 * MS, Mode::Waiting, Mode::Active),
        ],
        conditions: vec![
            (0, Condition::Running(Mode::Joining)),
            (5 * MS, WAITING),
            (30 * MS, ACTIVE),
            (200 * MS, Condition::Dead),
        ],
    };
    let track = seen.track(1, Value::Null, Time { zero: 10 * MS, end: 110 * MS });
    assert_eq!(track.conditions, [(ms(0), WAITING), (ms(20), ACTIVE)]);
    assert_eq!(track.changes.iter().map(|change| change.at).collect::<Vec<_>>(), [ms(20)]);
}

#[test]
fn requests_of_the_settling_are_left_out_and_late_answers_are_kept() {
    let record = Record {
        client: "alice".to_owned(),
        program: crate::model::ProgramKind::Ping,
        every: ms(10),
        requests: vec![
            (5 * MS, Some(6 * MS)),
            (20 * MS, Some(21 * MS)),
            (105 * MS, Some(112 * MS)),
        ],
        connections_lost: Vec::new(),
        answered: true,
    };
    let track = client_track(record, Time { zero: 10 * MS, end: 110 * MS });
    let expected = [(ms(10), Some(ms(11))), (ms(95), Some(ms(102)))];
    assert_eq!(track.requests, expected);
}
