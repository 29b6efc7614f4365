use fastrand::Rng;

use super::Command::{Append, Del, Exec, Get, GetSet, Incr, Set as Put};
use super::*;

type Op = Operation<Command, Answer>;

const STEPS: usize = 1_000_000;

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn op(invoked: u64, answered: u64, input: Command, answer: Answer) -> Op {
    Operation { invoked: at(invoked), input, answer: Some((at(answered), answer)) }
}

fn pending(invoked: u64, input: Command) -> Op {
    Operation { invoked: at(invoked), input, answer: None }
}

fn put(value: &str) -> Command {
    Put(value.into())
}

fn value(value: &str) -> Answer {
    Answer::Value(Some(value.into()))
}

const NOTHING: Answer = Answer::Value(None);

fn is_linearizable(history: &[Op]) -> bool {
    match check::<StringKey>(history, STEPS) {
        Verdict::Linearizable => true,
        Verdict::Violated(_) => false,
        Verdict::Undecided => panic!("too much work for {} operations", history.len()),
    }
}

#[test]
fn overlapping_operations_may_take_effect_in_any_order() {
    let history = [
        op(0, 10, put("a"), Answer::Done),
        op(1, 9, put("b"), Answer::Done),
        op(2, 3, Get, value("b")),
        op(4, 5, Get, value("a")),
        op(11, 12, Get, value("a")),
    ];
    assert!(is_linearizable(&history));
    assert!(is_linearizable(&[]));
}

#[test]
fn an_old_value_a_lost_write_and_one_that_comes_back_are_found() {
    let written = op(0, 1, put("a"), Answer::Done);
    let overwritten = op(2, 3, put("b"), Answer::Done);
    for (what, read) in [("a", "stale"), ("c", "invented")] {
        let history = [written.clone(), overwritten.clone(), op(4, 5, Get, value(what))];
        assert!(!is_linearizable(&history), "{read}");
    }
    let lost = [written.clone(), op(4, 5, Get, NOTHING)];
    assert!(!is_linearizable(&lost));
    let back = [written, overwritten, op(4, 5, Get, value("b")), op(6, 7, Get, value("a"))];
    let Verdict::Violated(why) = check::<StringKey>(&back, STEPS) else { panic!("not found") };
    let wrong = why.lines().find(|line| line.contains("why?")).expect("the answer is shown");
    assert!(wrong.contains("Get"), "{why}");
}

#[test]
fn an_operation_without_an_answer_happens_later_or_never() {
    let history = |reads: &[Option<&str>]| {
        let mut history = vec![op(0, 1, put("a"), Answer::Done), pending(2, put("b"))];
        for (number, read) in reads.iter().enumerate() {
            let begun = 10 + 10 * number as u64;
            let answer = Answer::Value(read.map(Into::into));
            history.push(op(begun, begun + 1, Get, answer));
        }
        history
    };
    assert!(is_linearizable(&history(&[Some("a"), Some("a")])), "never, as far as anybody knows");
    assert!(is_linearizable(&history(&[Some("a"), Some("b")])));
    assert!(!is_linearizable(&history(&[Some("b"), Some("a")])), "not undone");
    assert!(!is_linearizable(&history(&[None])));
}

#[test]
fn an_increment_counts_once() {
    let twice = [op(0, 1, Incr, Answer::Number(1)), op(2, 3, Incr, Answer::Number(3))];
    assert!(!is_linearizable(&twice));
    let with_a_pending_one =
        [op(0, 1, Incr, Answer::Number(1)), pending(0, Incr), op(2, 3, Incr, Answer::Number(3))];
    assert!(is_linearizable(&with_a_pending_one));
}

#[test]
fn nothing_happens_within_a_transaction() {
    let both = |answer: i64, read: &str| {
        let answer = Answer::All(vec![Answer::Number(answer), value(read)]);
        op(0, 10, Exec(vec![Incr, Get]), answer)
    };
    let another = op(1, 9, Incr, Answer::Number(2));
    assert!(is_linearizable(&[both(1, "1"), another.clone()]));
    assert!(!is_linearizable(&[both(1, "2"), another]));
    assert!(!is_linearizable(&[both(1, "0")]));
}

/// Six clients, one key, answers as a real service gives them: at one moment of each operation.
fn lively(seed: u64, len: usize, clients: usize) -> Vec<Op> {
    let mut rng = Rng::with_seed(seed);
    let mut moments: Vec<(u64, u64, u64, Command)> = Vec::new();
    for client in 0..clients as u64 {
        let mut now = rng.u64(..100);
        for number in 0..(len / clients) as u64 {
            let token = format!("{client}.{number};").into_bytes();
            let input = match rng.u8(..6) {
                0 | 1 => Get,
                2 => Put(token),
                3 => GetSet(token),
                4 => Append(token),
                _ => Del,
            };
            let (invoked, effect) = (now + rng.u64(1..20), rng.u64(..30));
            let answered = invoked + effect + rng.u64(..30);
            moments.push((invoked + effect, invoked, answered, input));
            now = answered;
        }
    }
    moments.sort_by_key(|&(effect, invoked, ..)| (effect, invoked));
    let mut state = StringKey::initial();
    let step = |(_, invoked, answered, input): (u64, u64, u64, Command)| {
        let (next, answer) = StringKey::step(&state, &input);
        state = next;
        op(invoked, answered, input, answer)
    };
    moments.into_iter().map(step).collect()
}

#[test]
fn thousands_of_operations_are_checked_at_once() {
    let mut history = lively(1, 5_000, 6);
    assert!(is_linearizable(&history));
    let (index, last) = history
        .iter()
        .enumerate()
        .rev()
        .find_map(|(index, it)| match (&it.input, &it.answer) {
            (Get, Some((_, Answer::Value(Some(_))))) => Some((index, it.answer.clone())),
            (Get | Put(_) | GetSet(_) | Append(_) | Incr | Del | Exec(_), _) => None,
        })
        .expect("a read of something");
    assert!(last.is_some());
    if let Some((_, answer)) = &mut history[index].answer {
        *answer = value("another one");
    }
    assert!(!is_linearizable(&history));
}

/// Every order there is.
fn brute_force(history: &[Op]) -> bool {
    fn go(history: &[Op], left: &mut Vec<usize>, state: &Option<Vec<u8>>) -> bool {
        let is_left = |index: &usize| history[*index].answer.is_some();
        if !left.iter().any(is_left) {
            return true;
        }
        (0..left.len()).any(|place| {
            let index = left[place];
            let ends = |it: &Op| it.answer.as_ref().map_or(FAR, |(at, _)| *at);
            if left.iter().any(|&other| ends(&history[other]) < history[index].invoked) {
                return false;
            }
            let (next, output) = StringKey::step(state, &history[index].input);
            let fits = history[index].answer.as_ref().is_none_or(|(_, it)| *it == output);
            left.remove(place);
            let found = fits && go(history, left, &next);
            left.insert(place, index);
            found
        })
    }
    go(history, &mut (0..history.len()).collect(), &None)
}

#[test]
fn it_says_what_a_search_of_all_orders_says() {
    let (mut good, mut bad) = (0, 0);
    for seed in 0..4_000 {
        let mut rng = Rng::with_seed(seed);
        let mut history = lively(seed, 6, 3);
        // Answers that are another one's, or none at all.
        for _ in 0..rng.usize(..3) {
            let (one, other) = (rng.usize(..history.len()), rng.usize(..history.len()));
            let answer = history[other].answer.clone().map(|(_, answer)| answer);
            let at = history[one].answer.as_ref().map(|(at, _)| *at);
            history[one].answer = at.zip(answer).filter(|_| rng.u8(..3) > 0);
        }
        let expected = brute_force(&history);
        assert_eq!(is_linearizable(&history), expected, "seed {seed}: {history:#?}");
        *(if expected { &mut good } else { &mut bad }) += 1;
    }
    assert!(good > 500 && bad > 500, "{good} good ones, {bad} bad ones");
}

#[test]
fn the_work_is_bounded() {
    // Twenty writes at once, all unanswered, and a read of what nobody wrote.
    let mut history: Vec<Op> = (0..20).map(|number| pending(0, Append(vec![number]))).collect();
    history.push(op(1, 2, Get, value("?")));
    assert_eq!(check::<StringKey>(&history, 10_000), Verdict::Undecided);
}
