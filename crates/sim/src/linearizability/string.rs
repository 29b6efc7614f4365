//! A key of the service `kv` that holds a string.

use super::Model;

/// What a client asks about one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `GET`.
    Get,
    /// `SET`.
    Set(Vec<u8>),
    /// `GETSET`.
    GetSet(Vec<u8>),
    /// `APPEND`.
    Append(Vec<u8>),
    /// `INCR`, of a key that holds nothing but numbers.
    Incr,
    /// `DEL`.
    Del,
    /// All of these at once: between `MULTI` and `EXEC`.
    Exec(Vec<Command>),
}

/// What the service says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `OK`.
    Done,
    /// A number, or a length.
    Number(i64),
    /// A value, if there is one.
    Value(Option<Vec<u8>>),
    /// It is kept until `EXEC`.
    Queued,
    /// All of what was asked at once.
    All(Vec<Answer>),
    /// What it should never say.
    Error(String),
}

/// The key.
#[derive(Clone, Copy, Debug)]
pub struct StringKey;

impl Model for StringKey {
    type State = Option<Vec<u8>>;
    type Input = Command;
    type Output = Answer;

    fn initial() -> Option<Vec<u8>> {
        None
    }

    fn step(state: &Option<Vec<u8>>, input: &Command) -> (Option<Vec<u8>>, Answer) {
        match input {
            Command::Get => (state.clone(), Answer::Value(state.clone())),
            Command::Set(value) => (Some(value.clone()), Answer::Done),
            Command::GetSet(value) => (Some(value.clone()), Answer::Value(state.clone())),
            Command::Append(more) => {
                let value = [state.as_deref().unwrap_or_default(), more].concat();
                let len = value.len() as i64;
                (Some(value), Answer::Number(len))
            }
            Command::Incr => {
                let before = state.as_deref().map_or(Some(0), number);
                match before {
                    Some(before) => {
                        let after = before + 1;
                        (Some(after.to_string().into_bytes()), Answer::Number(after))
                    }
                    None => (state.clone(), Answer::Error("no number".into())),
                }
            }
            Command::Del => (None, Answer::Number(i64::from(state.is_some()))),
            Command::Exec(commands) => {
                let mut state = state.clone();
                let answers = commands.iter().map(|command| {
                    let (next, answer) = StringKey::step(&state, command);
                    state = next;
                    answer
                });
                let answers = answers.collect();
                (state, Answer::All(answers))
            }
        }
    }
}

fn number(bytes: &[u8]) -> Option<i64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}
