use super::*;

const MS: u64 = 1_000_000;
const LEASE: u64 = 30 * MS;
const ACTIVE: Condition = Condition::Running(Mode::Active);
const WAITING: Condition = Condition::Running(Mode::Waiting);

fn change(at_ms: u64, from: Mode, to: Mode) -> LoggedChange {
    LoggedChange { at: at_ms * MS, from, to, cause: "joined".to_owned(), term: 1 }
}

fn silences_ms(conditions: &[(u64, Condition)], activations: &[u64]) -> Vec<(u64, u64)> {
    let scaled: Vec<_> = conditions.iter().map(|&(at, condition)| (at * MS, condition)).collect();
    let activations: Vec<u64> = activations.iter().map(|at| at * MS).collect();
    let ms = |at: u64| if at == u64::MAX { at } else { at / MS };
    silences(&scaled, &activations, LEASE)
        .into_iter()
        .map(|silence| (ms(silence.start), ms(silence.end)))
        .collect()
}

#[test]
fn a_thawed_process_is_in_the_mode_it_was_stopped_in() {
    let life = [(0, Life::Started), (50 * MS, Life::Frozen), (70 * MS, Life::Thawed)];
    let changes =
        [change(20, Mode::Waiting, Mode::Active), change(200, Mode::Active, Mode::Waiting)];
    let expected = [
        (0, Condition::Running(Mode::Joining)),
        (20, ACTIVE),
        (50, Condition::Frozen),
        (70, ACTIVE),
        (200, WAITING),
    ];
    assert_eq!(conditions(&life, &changes), expected.map(|(at, condition)| (at * MS, condition)));
}

#[test]
fn a_process_that_sees_at_once_that_it_was_stopped_was_stopped_until_then() {
    let life = [(0, Life::Started), (50 * MS, Life::Frozen), (90 * MS, Life::Thawed)];
    let changes = [change(20, Mode::Waiting, Mode::Active), change(91, Mode::Active, Mode::Fenced)];
    let expected = [
        (0, Condition::Running(Mode::Joining)),
        (20, ACTIVE),
        (50, Condition::Frozen),
        (91, Condition::Running(Mode::Fenced)),
    ];
    assert_eq!(conditions(&life, &changes), expected.map(|(at, condition)| (at * MS, condition)));
}

#[test]
fn a_process_starts_joining_and_says_nothing_after_its_end() {
    let life = [(0, Life::Started), (30 * MS, Life::Ended), (60 * MS, Life::Started)];
    let changes =
        [change(20, Mode::Waiting, Mode::Active), change(31, Mode::Active, Mode::Waiting)];
    let expected = [
        (0, Condition::Running(Mode::Joining)),
        (20, ACTIVE),
        (30, Condition::Dead),
        (60, Condition::Running(Mode::Joining)),
    ];
    assert_eq!(conditions(&life, &changes), expected.map(|(at, condition)| (at * MS, condition)));
}

#[test]
fn a_node_is_silent_but_while_it_is_active() {
    let conditions =
        [(5, WAITING), (20, ACTIVE), (50, WAITING), (70, ACTIVE), (80, Condition::Dead)];
    let silent = silences_ms(&conditions, &[20, 70]);
    assert_eq!(silent, [(0, 20), (52, 70), (82, u64::MAX)]);
}

#[test]
fn a_zombie_is_silent_until_it_is_active_anew() {
    let conditions =
        [(0, ACTIVE), (50, Condition::Frozen), (90, ACTIVE), (95, WAITING), (120, ACTIVE)];
    assert_eq!(silences_ms(&conditions, &[0, 120]), [(52, 120)]);
}

#[test]
fn a_short_stop_interrupts_a_turn_and_does_not_end_it() {
    let conditions = [(0, ACTIVE), (50, Condition::Frozen), (70, ACTIVE)];
    assert_eq!(silences_ms(&conditions, &[0]), [(52, 70)]);
    let waiting = [(0, WAITING), (50, Condition::Frozen), (70, WAITING)];
    assert_eq!(silences_ms(&waiting, &[]), [(0, u64::MAX)]);
}

#[test]
fn a_stall_is_the_machines_unless_the_process_was_stopped_before() {
    let stall =
        LoggedChange { cause: "stall".to_owned(), ..change(60, Mode::Active, Mode::Fenced) };
    let changes = [change(20, Mode::Waiting, Mode::Active), stall];
    let started = (0, Life::Started);
    assert!(!has_stalled(&[started], &changes[..1]));
    assert!(has_stalled(&[started], &changes));
    assert!(has_stalled(&[started, (70 * MS, Life::Frozen)], &changes));
    assert!(!has_stalled(&[started, (50 * MS, Life::Frozen)], &changes));
}
