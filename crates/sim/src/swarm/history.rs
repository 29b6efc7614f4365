//! What clients of `kv` were told, all together: it must be linearizable, through any number of takeovers.
//!
//! That is promised as long as the group goes on with its log. Once a node had to begin a new one, or two were active, or
//! one took over that had been left behind, what was answered before may be gone: only answers from before that
//! time, less the time it may have come about in, are judged. Nobody may be told what nobody has written, until two nodes
//! have spoken on one connection, whose answers may be mixed.

use std::collections::BTreeSet;

use locum_types::Instant;

use super::copies::Broken;
use crate::linearizability::{Answer, Command, Operation, StringKey, Verdict, check};
use crate::{HostId, KEYS, World};

/// Work for one key; ordinary histories take some steps an operation.
const STEPS_MAX: usize = 2_000_000;

type Op = Operation<Command, Answer>;

/// Judges all clients of `kv`; returns how many answers were judged. `kept`: until when what was answered must stay;
/// `apart`: until when no two nodes had spoken on one connection; `None`: to the end.
pub(super) fn judge(
    world: &World,
    clients: &[HostId],
    kept: Option<Instant>,
    apart: Option<Instant>,
) -> Result<u64, Broken> {
    let mut judged = 0;
    for key in 0..KEYS {
        let history = history(world, clients, key);
        if let Some(broken) = invented(key, &until(&history, apart)) {
            return Err(broken);
        }
        let history = until(&history, kept);
        match check::<StringKey>(&history, STEPS_MAX) {
            Verdict::Linearizable => {}
            Verdict::Violated(why) => {
                return Err(("kv is not linearizable", format!("key {key}:\n{why}")));
            }
            Verdict::Undecided => {
                let what = format!("key {key}, {} operations", history.len());
                return Err(("a history of kv could not be judged", what));
            }
        }
        judged += history.iter().filter(|operation| operation.answer.is_some()).count() as u64;
    }
    Ok(judged)
}

fn history(world: &World, clients: &[HostId], key: u8) -> Vec<Op> {
    let programs = clients.iter().flat_map(|&client| world.host(client).programs());
    let asked = programs.flat_map(|program| program.asked());
    asked.filter(|asked| asked.key == key).map(|asked| asked.operation.clone()).collect()
}

/// All that was known then.
fn until(history: &[Op], end: Option<Instant>) -> Vec<Op> {
    match end {
        Some(end) => history.iter().filter_map(|operation| before(operation, end)).collect(),
        None => history.to_vec(),
    }
}

/// An operation as it was known then.
fn before(operation: &Op, until: Instant) -> Option<Op> {
    let known = |(at, _): &(Instant, Answer)| *at <= until;
    let answer = operation.answer.clone().filter(known);
    (operation.invoked <= until).then(|| Operation { answer, ..operation.clone() })
}

/// A value of which a part was never written, or an answer that is none.
fn invented(key: u8, history: &[Op]) -> Option<Broken> {
    let tokens = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let is_end = |byte: &u8| *byte == b';';
        bytes.split_inclusive(is_end).map(<[u8]>::to_vec).collect()
    };
    let mut written: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut increments = 0;
    for operation in history {
        match &operation.input {
            Command::Set(value) | Command::GetSet(value) | Command::Append(value) => {
                written.extend(tokens(value));
            }
            Command::Incr => increments += 1,
            Command::Get | Command::Del => {}
        }
    }
    let counted = (1..=increments).map(|number: u64| number.to_string().into_bytes());
    written.extend(counted);
    history.iter().find_map(|operation| {
        let (at, answer) = operation.answer.as_ref()?;
        let what = match answer {
            Answer::Value(Some(value)) if tokens(value).iter().all(|it| written.contains(it)) => {
                return None;
            }
            Answer::Done | Answer::Number(_) | Answer::Value(None) => return None,
            Answer::Value(Some(value)) => String::from_utf8_lossy(value).into_owned(),
            Answer::Error(error) => error.clone(),
        };
        Some(("kv has invented something", format!("key {key}, {at}: {what}")))
    })
}
