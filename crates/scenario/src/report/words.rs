//! Durations, counts and text as a page says them.

use std::fmt::{self, Display, Formatter, Write as _};
use std::time::Duration;

use locum_types::Mode;

use crate::judge;
use crate::model::{ProgramKind, World};
use crate::outcome::{ClientTrack, Condition, Word};

/// Text that means itself in XML: markup is escaped, and characters that XML forbids are replaced.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\t' | '\n' => f.write_char(character),
            '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}'),
            control if control.is_control() => f.write_char('\u{fffd}'),
            plain => f.write_char(plain),
        })
    }
}

/// How long something was, as verdicts say it but set for a page: `350 µs`, `31.2 ms`, `1.25 s`.
pub(super) fn span(length: Duration) -> String {
    if length.is_zero() {
        return "0 ms".to_owned();
    }
    let brief = judge::brief(length);
    let unit = brief.find(char::is_alphabetic).unwrap_or(brief.len());
    let (number, unit) = brief.split_at(unit);
    let number = match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    };
    format!("{number} {}", unit.replace('u', "µ"))
}

/// When something was, to a tenth of a millisecond: `2.0312 s`.
pub(super) fn moment(at: Duration) -> String {
    format!("{:.4} s", at.as_secs_f64())
}

/// A number with its thousands apart: `12 034`, by spaces that do not break.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

/// `1 fault`, `3 faults`.
pub(super) fn counted(number: usize, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{}\u{a0}{one}{plural}", count(number as u64))
}

/// At most `limit` characters of a text.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// A program as its lane and its row are called: `alice udp-echo`.
pub(super) fn program(track: &ClientTrack) -> String {
    format!("{} {}", track.client, kind(track.program))
}

/// A kind of program, by its name in the file.
pub(super) const fn kind(kind: ProgramKind) -> &'static str {
    match kind {
        ProgramKind::UdpEcho => "udp-echo",
        ProgramKind::UdpEcho6 => "udp-echo6",
        ProgramKind::TcpEcho => "tcp-echo",
        ProgramKind::Ping => "ping",
        ProgramKind::Ping6 => "ping6",
    }
}

/// The world's name on the command line.
pub(super) const fn world(world: World) -> &'static str {
    match world {
        World::Sim => "sim",
        World::Netns => "netns",
    }
}

/// A condition's name, and its class.
pub(super) const fn condition(condition: Condition) -> &'static str {
    match condition {
        Condition::Dead => "dead",
        Condition::Frozen => "frozen",
        Condition::Running(mode) => self::mode(mode),
    }
}

/// A mode's name, and its class.
pub(super) const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Joining => "joining",
        Mode::Waiting => "waiting",
        Mode::Active => "active",
        Mode::Fenced => "fenced",
    }
}

/// The class of a word about the service address.
pub(super) const fn word(word: Word) -> &'static str {
    match word {
        Word::Announcement => "announcement",
        Word::Answer => "answer",
        Word::Probe => "probe",
    }
}

#[cfg(test)]
mod tests;
