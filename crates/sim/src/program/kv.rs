//! What a client of the service `kv` asks, and what it makes of the answers. The connection is
//! [`super::tcp`]'s.

use std::collections::VecDeque;

use fastrand::Rng;
use locum_types::Instant;

use crate::linearizability::{Answer, Command, Operation};

/// Keys that clients share: few, so that they meet.
pub const KEYS: u8 = 4;
/// Of these, the ones that hold strings; the others count.
const STRINGS: u8 = 3;

/// One command of one client, and its key.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Below [`KEYS`].
    pub key: u8,
    /// What was asked and answered.
    pub operation: Operation<Command, Answer>,
}

/// What is to come next.
enum Awaited {
    /// That a transaction has got so far.
    Step(Answer),
    /// The answer to the operation at this place of the history.
    Answer(usize),
}

/// A client's side of the conversation.
pub(super) struct Keys {
    rng: Rng,
    name: u64,
    history: Vec<Asked>,
    /// What awaits its answer on this connection.
    unanswered: VecDeque<Awaited>,
    /// What has come of the next answer.
    bytes: Vec<u8>,
}

impl Keys {
    /// A client whose values bear `name`.
    pub(super) fn new(name: u64, seed: u64) -> Self {
        Keys {
            rng: Rng::with_seed(seed),
            name,
            history: Vec::new(),
            unanswered: VecDeque::new(),
            bytes: Vec::new(),
        }
    }

    pub(super) fn history(&self) -> &[Asked] {
        &self.history
    }

    /// A new connection: what was asked on the one before is never answered.
    pub(super) fn connected(&mut self) {
        self.unanswered.clear();
        self.bytes.clear();
    }

    /// The next command, as bytes.
    pub(super) fn ask(&mut self, now: Instant) -> Vec<u8> {
        let key = self.rng.u8(..KEYS);
        let about = if key < STRINGS { Keys::about_a_string } else { Keys::about_a_number };
        let mut input = about(self);
        // Of one key: histories of keys are judged one by one.
        if self.rng.u8(..8) == 0 {
            input = Command::Exec(vec![input, Command::Get]);
            let steps = [Answer::Done, Answer::Queued, Answer::Queued];
            self.unanswered.extend(steps.map(Awaited::Step));
        }
        let bytes = encode(key, &input);
        self.unanswered.push_back(Awaited::Answer(self.history.len()));
        let operation = Operation { invoked: now, input, answer: None };
        self.history.push(Asked { key, operation });
        bytes
    }

    fn about_a_string(&mut self) -> Command {
        let value = format!("{}.{};", self.name, self.history.len()).into_bytes();
        match self.rng.u8(..10) {
            0..=3 => Command::Get,
            4..=6 => Command::Set(value),
            7 => Command::GetSet(value),
            8 => Command::Append(value),
            _ => Command::Del,
        }
    }

    fn about_a_number(&mut self) -> Command {
        if self.rng.u8(..3) == 0 { Command::Get } else { Command::Incr }
    }

    /// Takes bytes of answers; returns how many operations they complete.
    ///
    /// # Errors
    /// What cannot be an answer.
    pub(super) fn hear(&mut self, now: Instant, bytes: &[u8]) -> Result<u64, String> {
        self.bytes.extend_from_slice(bytes);
        let mut count = 0;
        while let Some((answer, len)) = decode(&self.bytes)? {
            let awaited = self.unanswered.pop_front().ok_or("an answer that was not asked for")?;
            match awaited {
                Awaited::Answer(index) => {
                    self.history[index].operation.answer = Some((now, answer));
                    count += 1;
                }
                Awaited::Step(expected) if answer == expected => {}
                Awaited::Step(expected) => {
                    return Err(format!("{answer:?} instead of {expected:?}"));
                }
            }
            self.bytes.drain(..len);
        }
        Ok(count)
    }
}

fn encode(key: u8, input: &Command) -> Vec<u8> {
    let name = format!("k{key}").into_bytes();
    match input {
        Command::Get => encode_words(&[b"GET", &name]),
        Command::Set(value) => encode_words(&[b"SET", &name, value]),
        Command::GetSet(value) => encode_words(&[b"GETSET", &name, value]),
        Command::Append(value) => encode_words(&[b"APPEND", &name, value]),
        Command::Incr => encode_words(&[b"INCR", &name]),
        Command::Del => encode_words(&[b"DEL", &name]),
        Command::Exec(commands) => {
            let commands = commands.iter().flat_map(|command| encode(key, command)).collect();
            [encode_words(&[b"MULTI"]), commands, encode_words(&[b"EXEC"])].concat()
        }
    }
}

fn encode_words(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend([word, &b"\r\n"[..]].concat());
    }
    bytes
}

/// The first answer in `bytes` and its length (RESP2); `None`: it is not all here.
fn decode(bytes: &[u8]) -> Result<Option<(Answer, usize)>, String> {
    let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
    let line = std::str::from_utf8(&bytes[..end]).map_err(|error| error.to_string())?;
    let head = end + 2;
    let number = |text: &str| text.parse::<i64>().map_err(|error| format!("{text}: {error}"));
    match line.split_at_checked(1) {
        Some(("+", "OK")) => Ok(Some((Answer::Done, head))),
        Some(("+", "QUEUED")) => Ok(Some((Answer::Queued, head))),
        Some((":", text)) => Ok(Some((Answer::Number(number(text)?), head))),
        Some(("-", text)) => Ok(Some((Answer::Error(text.to_owned()), head))),
        Some(("$", "-1")) => Ok(Some((Answer::Value(None), head))),
        Some(("$", text)) => {
            let len = usize::try_from(number(text)?).map_err(|error| error.to_string())?;
            let value = bytes.get(head..head + len).zip(bytes.get(head + len..head + len + 2));
            let Some((value, end)) = value else { return Ok(None) };
            if end != b"\r\n" {
                return Err(format!("a value of {len} bytes that is longer"));
            }
            Ok(Some((Answer::Value(Some(value.to_vec())), head + len + 2)))
        }
        Some(("*", text)) => {
            let (mut answers, mut len) = (Vec::new(), head);
            for _ in 0..number(text)? {
                let Some((answer, taken)) = decode(&bytes[len..])? else { return Ok(None) };
                answers.push(answer);
                len += taken;
            }
            Ok(Some((Answer::All(answers), len)))
        }
        Some(_) | None => Err(format!("no answer to any command: {line}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a service that knows no values answers, and what of it is told.
    fn answers(history: &[Asked]) -> (Vec<u8>, Vec<Answer>) {
        let (mut bytes, mut told) = (Vec::new(), Vec::new());
        for (number, asked) in history.iter().enumerate() {
            let (single, answer) = match number % 4 {
                0 => ("+OK\r\n".into(), Answer::Done),
                1 => ("$-1\r\n".into(), Answer::Value(None)),
                2 => ("$4\r\na\r\nb\r\n".into(), Answer::Value(Some(b"a\r\nb".to_vec()))),
                _ => (format!(":-{number}\r\n"), Answer::Number(-(number as i64))),
            };
            let (text, answer) = match asked.operation.input {
                Command::Exec(_) => {
                    let text = format!("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n{single}:1\r\n");
                    (text, Answer::All(vec![answer, Answer::Number(1)]))
                }
                Command::Get
                | Command::Set(_)
                | Command::GetSet(_)
                | Command::Append(_)
                | Command::Incr
                | Command::Del => (single, answer),
            };
            bytes.extend_from_slice(text.as_bytes());
            told.push(answer);
        }
        (bytes, told)
    }

    #[test]
    fn answers_are_taken_in_pieces_of_any_size() {
        let ask = || {
            let mut keys = Keys::new(1, 1);
            (0..40).for_each(|_| drop(keys.ask(Instant::ZERO)));
            keys
        };
        let (bytes, expected) = answers(ask().history());
        assert!(expected.iter().any(|answer| matches!(answer, Answer::All(_))));
        for size in 1..bytes.len() {
            let mut keys = ask();
            for piece in bytes.chunks(size) {
                keys.hear(Instant::from_millis(1), piece).expect("they are answers");
            }
            let answers = keys.history().iter().map(|asked| asked.operation.answer.clone());
            let answers: Vec<Answer> = answers.flatten().map(|(_, answer)| answer).collect();
            assert_eq!(answers, expected, "{size} bytes at a time");
            assert!(keys.hear(Instant::ZERO, b"+OK\r\n").is_err(), "it was not asked for");
        }
        assert!(Keys::new(1, 1).hear(Instant::ZERO, b"hello\r\n").is_err());
    }

    #[test]
    fn a_transaction_that_is_not_taken_up_is_noticed() {
        let mut keys = Keys::new(1, 1);
        let ask = |keys: &mut Keys| {
            keys.ask(Instant::ZERO);
            matches!(keys.history()[0].operation.input, Command::Exec(_))
        };
        while !ask(&mut keys) {
            keys = Keys::new(1, keys.rng.u64(..));
        }
        assert!(keys.hear(Instant::ZERO, b"+OK\r\n-ERR no\r\n").is_err());
    }
}
