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
    let mut written = Written::default();
    history.iter().for_each(|operation| written.note(&operation.input));
    history.iter().find_map(|operation| {
        let (at, answer) = operation.answer.as_ref()?;
        let what = written.lacks(answer)?;
        Some(("kv has invented something", format!("key {key}, {at}: {what}")))
    })
}

/// What clients ever wanted to be written.
#[derive(Default)]
struct Written {
    tokens: BTreeSet<Vec<u8>>,
    increments: u64,
}

impl Written {
    fn note(&mut self, input: &Command) {
        match input {
            Command::Set(value) | Command::GetSet(value) | Command::Append(value) => {
                self.tokens.extend(tokens(value).map(<[u8]>::to_vec));
            }
            Command::Incr => {
                self.increments += 1;
                self.tokens.insert(self.increments.to_string().into_bytes());
            }
            Command::Get | Command::Del => {}
            Command::Exec(commands) => commands.iter().for_each(|command| self.note(command)),
        }
    }

    /// What of an answer cannot come from what was written, for people.
    fn lacks(&self, answer: &Answer) -> Option<String> {
        match answer {
            Answer::Done | Answer::Number(_) | Answer::Value(None) => None,
            Answer::Value(Some(value)) => {
                let is_known = tokens(value).all(|token| self.tokens.contains(token));
                (!is_known).then(|| String::from_utf8_lossy(value).into_owned())
            }
            Answer::All(answers) => answers.iter().find_map(|answer| self.lacks(answer)),
            Answer::Queued => Some("it queues what is no part of a transaction".to_owned()),
            Answer::Error(error) => Some(error.clone()),
        }
    }
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split_inclusive(|byte| *byte == b';')
}
