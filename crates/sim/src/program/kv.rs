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

/// A client's side of the conversation.
pub(super) struct Keys {
    rng: Rng,
    name: u64,
    history: Vec<Asked>,
    /// Commands on this connection that await their answers.
    unanswered: VecDeque<usize>,
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
        let input = if key < STRINGS { self.about_a_string() } else { self.about_a_number() };
        let bytes = encode(key, &input);
        self.unanswered.push_back(self.history.len());
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

    /// Takes bytes of answers; returns how many answers they complete.
    ///
    /// # Errors
    /// What cannot be an answer.
    pub(super) fn hear(&mut self, now: Instant, bytes: &[u8]) -> Result<u64, String> {
        self.bytes.extend_from_slice(bytes);
        let mut count = 0;
        while let Some((answer, len)) = decode(&self.bytes)? {
            let index = self.unanswered.pop_front().ok_or("an answer that was not asked for")?;
            self.history[index].operation.answer = Some((now, answer));
            self.bytes.drain(..len);
            count += 1;
        }
        Ok(count)
    }
}

fn encode(key: u8, input: &Command) -> Vec<u8> {
    let key = format!("k{key}").into_bytes();
    let words: Vec<&[u8]> = match input {
        Command::Get => vec![b"GET", &key],
        Command::Set(value) => vec![b"SET", &key, value],
        Command::GetSet(value) => vec![b"GETSET", &key, value],
        Command::Append(value) => vec![b"APPEND", &key, value],
        Command::Incr => vec![b"INCR", &key],
        Command::Del => vec![b"DEL", &key],
    };
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend([word, b"\r\n"].concat());
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
        Some(_) | None => Err(format!("no answer to any command: {line}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_in_pieces_of_any_size() {
        let answers = b"+OK\r\n$-1\r\n$4\r\na\r\nb\r\n:-7\r\n-ERR no\r\n";
        let expected = [
            Answer::Done,
            Answer::Value(None),
            Answer::Value(Some(b"a\r\nb".to_vec())),
            Answer::Number(-7),
            Answer::Error("ERR no".into()),
        ];
        for size in 1..answers.len() {
            let mut keys = Keys::new(1, 1);
            (0..5).for_each(|_| drop(keys.ask(Instant::ZERO)));
            for piece in answers.chunks(size) {
                keys.hear(Instant::from_millis(1), piece).expect("they are answers");
            }
            let answers = keys.history().iter().map(|asked| asked.operation.answer.clone());
            let answers: Vec<Answer> = answers.flatten().map(|(_, answer)| answer).collect();
            assert_eq!(answers, expected, "{size} bytes at a time");
            assert!(keys.hear(Instant::ZERO, b"+OK\r\n").is_err(), "it was not asked for");
        }
        assert!(Keys::new(1, 1).hear(Instant::ZERO, b"hello\r\n").is_err());
    }
}
