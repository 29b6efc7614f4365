//! What a switch can be told, and the lines that say it.
//!
//! ```text
//! impair PORT tx|rx|both KEY=VALUE ...    replaces what the cable did before; see [`Impairment`]
//! clear PORT                              a perfect cable again
//! cut|heal PORT tx|rx|both                where neither side can see it
//! down PORT               up PORT         the switch forgets the port's stations
//! ageing DURATION
//! stats                                   one line of JSON
//! ```
//!
//! Directions are those of the station behind the port: `tx` is from the station into the switch.

use std::fmt::Display;
use std::str::{FromStr, SplitWhitespace};
use std::time::Duration;

use locum_link::segment::impair::{Burst, Impairment};
use locum_link::segment::rule::Direction;

/// What a switch can be told.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// What the cable of a port does to frames, in place of what it did before.
    Impair {
        /// The name of the port.
        port: String,
        /// Which directions of its cable.
        way: Way,
        /// What it does to frames.
        impairment: Impairment,
    },
    /// The cable of a port is perfect again, both ways. A cut stays.
    Clear {
        /// The name of the port.
        port: String,
    },
    /// Nothing passes any more, and neither side can see it.
    Cut {
        /// The name of the port.
        port: String,
        /// Which directions of its cable.
        way: Way,
    },
    /// Ends a cut. Impairments stay.
    Heal {
        /// The name of the port.
        port: String,
        /// Which directions of its cable.
        way: Way,
    },
    /// The switch takes its port down and forgets its stations. The device behind it stays up.
    Down {
        /// The name of the port.
        port: String,
    },
    /// The switch takes its port up.
    Up {
        /// The name of the port.
        port: String,
    },
    /// How long the switch remembers a silent station.
    Ageing(Duration),
    /// Asks for all counters.
    Stats,
}

/// Which directions of a cable, as the station behind the port sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the station into the switch.
    Tx,
    /// From the switch to the station.
    Rx,
    /// Both.
    Both,
}

impl Way {
    /// The directions that it means.
    pub fn directions(self) -> &'static [Direction] {
        match self {
            Way::Tx => &[Direction::Transmit],
            Way::Rx => &[Direction::Receive],
            Way::Both => &[Direction::Transmit, Direction::Receive],
        }
    }
}

/// Why a command was not understood or not obeyed, and what to say instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The first word of the line.
    #[error("unknown command {0:?}: say impair, clear, cut, heal, down, up, ageing or stats")]
    UnknownCommand(String),
    /// A word is missing, or there is one too many.
    #[error("say `{0}`")]
    Usage(&'static str),
    /// Not a direction.
    #[error("unknown direction {0:?}: say tx, rx or both")]
    UnknownWay(String),
    /// Not a field of [`Impairment`].
    #[error(
        "unknown key {0:?}: say latency, jitter, loss, burst, duplicate, reorder, reorder_by, \
         corrupt, bandwidth or queue"
    )]
    UnknownKey(String),
    /// A value that its key cannot have.
    #[error("bad value {value:?} for {key}: say {wanted}")]
    BadValue {
        /// The key, or what stands for it.
        key: String,
        /// What was said.
        value: String,
        /// What could be said.
        wanted: &'static str,
    },
    /// No port has this name.
    #[error("no port {name:?}: there is {}", .ports.join(", "))]
    UnknownPort {
        /// What was said.
        name: String,
        /// The names of all ports.
        ports: Vec<String>,
    },
}

const USAGE_IMPAIR: &str = "impair PORT tx|rx|both KEY=VALUE ...";
const USAGE_CUT: &str = "cut PORT tx|rx|both";
const USAGE_HEAL: &str = "heal PORT tx|rx|both";

impl FromStr for Command {
    type Err = CommandError;

    fn from_str(line: &str) -> Result<Command, CommandError> {
        let mut words = line.split_whitespace();
        let command = match words.next().unwrap_or_default() {
            "impair" => return impair(words),
            "clear" => Command::Clear { port: word(&mut words, "clear PORT")? },
            "cut" => {
                let port = word(&mut words, USAGE_CUT)?;
                Command::Cut { port, way: word(&mut words, USAGE_CUT)?.parse()? }
            }
            "heal" => {
                let port = word(&mut words, USAGE_HEAL)?;
                Command::Heal { port, way: word(&mut words, USAGE_HEAL)?.parse()? }
            }
            "down" => Command::Down { port: word(&mut words, "down PORT")? },
            "up" => Command::Up { port: word(&mut words, "up PORT")? },
            "ageing" => {
                let value = word(&mut words, "ageing DURATION")?;
                Command::Ageing(duration("ageing", &value)?)
            }
            "stats" => Command::Stats,
            other => return Err(CommandError::UnknownCommand(other.to_owned())),
        };
        match words.next() {
            None => Ok(command),
            Some(_) => Err(CommandError::Usage(command.usage())),
        }
    }
}

impl Command {
    fn usage(&self) -> &'static str {
        match self {
            Command::Impair { .. } => USAGE_IMPAIR,
            Command::Clear { .. } => "clear PORT",
            Command::Cut { .. } => USAGE_CUT,
            Command::Heal { .. } => USAGE_HEAL,
            Command::Down { .. } => "down PORT",
            Command::Up { .. } => "up PORT",
            Command::Ageing(_) => "ageing DURATION",
            Command::Stats => "stats",
        }
    }
}

impl FromStr for Way {
    type Err = CommandError;

    fn from_str(word: &str) -> Result<Way, CommandError> {
        match word {
            "tx" => Ok(Way::Tx),
            "rx" => Ok(Way::Rx),
            "both" => Ok(Way::Both),
            other => Err(CommandError::UnknownWay(other.to_owned())),
        }
    }
}

fn word(words: &mut SplitWhitespace<'_>, usage: &'static str) -> Result<String, CommandError> {
    words.next().map(str::to_owned).ok_or(CommandError::Usage(usage))
}

fn impair(mut words: SplitWhitespace<'_>) -> Result<Command, CommandError> {
    let port = word(&mut words, USAGE_IMPAIR)?;
    let way = word(&mut words, USAGE_IMPAIR)?.parse()?;
    let mut impairment = Impairment::default();
    for pair in words {
        let (key, value) = pair.split_once('=').ok_or(CommandError::Usage(USAGE_IMPAIR))?;
        set(&mut impairment, key, value)?;
    }
    if impairment.is_clear() {
        // `clear` says that better; here it is a forgotten word.
        return Err(CommandError::Usage(USAGE_IMPAIR));
    }
    Ok(Command::Impair { port, way, impairment })
}

fn set(to: &mut Impairment, key: &str, value: &str) -> Result<(), CommandError> {
    match key {
        "latency" => to.latency = duration(key, value)?,
        "jitter" => to.jitter = duration(key, value)?,
        "loss" => to.loss = share(key, value)?,
        "burst" => to.burst = Some(burst(key, value)?),
        "duplicate" => to.duplicate = share(key, value)?,
        "reorder" => to.reorder = share(key, value)?,
        "reorder_by" => to.reorder_by = duration(key, value)?,
        "corrupt" => to.corrupt = share(key, value)?,
        "bandwidth" => {
            let is_rate = |rate: &u64| *rate > 0;
            let rate = value.parse().ok().filter(is_rate);
            to.bandwidth = Some(rate.ok_or_else(|| bad(key, value, "bits per second, above 0"))?);
        }
        "queue" => {
            to.queue = Some(value.parse().map_err(|_| bad(key, value, "a number of bytes"))?);
        }
        other => return Err(CommandError::UnknownKey(other.to_owned())),
    }
    Ok(())
}

fn burst(key: &str, value: &str) -> Result<Burst, CommandError> {
    let shares: Option<Vec<f64>> = value.split('/').map(|part| share(key, part).ok()).collect();
    match shares.as_deref() {
        Some(&[enter, leave, loss]) => Ok(Burst { enter, leave, loss }),
        Some(_) | None => Err(bad(key, value, "ENTER/LEAVE/LOSS, as 0.01/0.2/1.0")),
    }
}

fn share(key: &str, value: &str) -> Result<f64, CommandError> {
    let is_share = |share: &f64| (0.0..=1.0).contains(share);
    let share = value.parse().ok().filter(is_share);
    share.ok_or_else(|| bad(key, value, "a share from 0.0 to 1.0"))
}

fn duration(key: &str, value: &str) -> Result<Duration, CommandError> {
    humantime::parse_duration(value).map_err(|_| bad(key, value, "a duration, as 5ms or 250us"))
}

fn bad(key: impl Display, value: &str, wanted: &'static str) -> CommandError {
    CommandError::BadValue { key: key.to_string(), value: value.to_owned(), wanted }
}

#[cfg(test)]
mod tests;
