//! The heartbeat: what one node tells one peer, many times a second.
//!
//! What belongs here: the meaning of each field, and the strict way between it and the raw numbers
//! of [`BeatPacket`]. Every beat has exactly one encoding: what is absent or reserved is zero.

use std::time::Duration;

use locum_types::{
    BootNonce, GroupId, Health, LogPosition, Mode, NodeId, Priority, ResignReason, Term,
};

use crate::packet::flag;
use crate::{BEAT_LEN, BeatPacket, MAGIC, Refusal, TYPE_BEAT, VERSION};

/// What a beat asks of its receiver, beyond being heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Nothing: a plain heartbeat.
    None,
    /// The sender is no longer active, and says why: take over at once.
    Resign(ResignReason),
    /// The sender is active and asks the receiver to take over in the next term; it serves until it
    /// hears the receiver's first active beat, so that no request falls between the two.
    Offer(ResignReason),
    /// The sender is waiting, outranks the active receiver, and asks for an [`Intent::Offer`].
    Request,
}

/// A timestamp of the receiver, sent back to it: round-trip time without comparing clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampEcho {
    /// The `timestamp` of the last beat heard from the receiver.
    pub timestamp: u32,
    /// Microseconds between hearing it and sending this beat.
    pub held_us: u32,
}

/// One heartbeat, from one node to one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The group both belong to.
    pub group: GroupId,
    /// The sender; never the same as the receiver.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
    /// The sender's boot nonce: a new life has a new one.
    pub boot: BootNonce,
    /// The receiver's boot nonce as the sender knows it; without it a beat introduces, no more.
    pub echo: Option<BootNonce>,
    /// Counts the beats from this boot of the sender to this receiver, from 1. `u64::MAX` is the
    /// last word of a boot: the will that a warden sends.
    pub sequence: u64,
    /// The sender's term.
    pub term: Term,
    /// The sender's mode.
    pub mode: Mode,
    /// The sender's service health.
    pub health: Health,
    /// The sender's priority.
    pub priority: Priority,
    /// How far the sender's log reaches.
    pub position: LogPosition,
    /// The sender is active, and hears nobody on the service link since its start, or since a peer fell silent.
    pub isolated: bool,
    /// The interval at which the sender beats; whole microseconds on the wire, 1 µs to 71 min.
    pub interval: Duration,
    /// After how long a silence the sender wants to be thought dead; on the wire as the interval,
    /// and not shorter.
    pub dead_after: Duration,
    /// Which of the receiver's last 32 beats the sender heard: bit 0 is the latest heard sequence
    /// number, bit n the one n before it. 0: none yet. The receiver reads loss towards the sender
    /// from it.
    pub heard: u32,
    /// How long before this beat the sender last heard the receiver, in microseconds, saturating;
    /// `None` if never. The receiver sees one-way loss by it ("I hear you").
    pub heard_age_us: Option<u32>,
    /// The sender's clock in microseconds, wrapping; only the sender can read it.
    pub timestamp: u32,
    /// The receiver's last timestamp, sent back.
    pub timestamp_echo: Option<TimestampEcho>,
    /// What the beat asks for.
    pub intent: Intent,
}

/// The codes of the field `intent`.
mod intent {
    pub(super) const NONE: u8 = 0;
    pub(super) const RESIGN: u8 = 1;
    pub(super) const OFFER: u8 = 2;
    pub(super) const REQUEST: u8 = 3;
}

impl Beat {
    /// Reads a packet whose header was checked by [`BeatPacket::new_checked`]. The tag is not
    /// looked at: bytes from the network go through [`open`](crate::open).
    ///
    /// # Errors
    /// [`Refusal::BadField`] with the name of a field that is out of range, is an unknown code, or
    /// is absent or reserved and yet not zero.
    pub fn parse<T: AsRef<[u8]>>(packet: &BeatPacket<T>) -> Result<Beat, Refusal> {
        zero("flags", packet.flags() & !flag::ALL)?;
        zero("reserved", packet.reserved())?;
        let (from, to) = (packet.from(), packet.to());
        Ok(Beat {
            group: GroupId::new(packet.group()).map_err(|_| Refusal::BadField("group"))?,
            from: NodeId::new(from).map_err(|_| Refusal::BadField("from"))?,
            to: NodeId::new(to).ok().filter(|_| to != from).ok_or(Refusal::BadField("to"))?,
            mode: Mode::from_code(packet.mode()).ok_or(Refusal::BadField("mode"))?,
            health: Health::from_code(packet.health()).ok_or(Refusal::BadField("health"))?,
            priority: Priority::new(packet.priority())
                .map_err(|_| Refusal::BadField("priority"))?,
            intent: parse_intent(packet.intent(), packet.reason())?,
            heard: packet.heard(),
            boot: BootNonce(packet.boot()),
            echo: optional("echo", packet.has(flag::ECHO), packet.echo())?.map(BootNonce),
            sequence: non_zero("sequence", packet.sequence())?,
            term: Term(packet.term()),
            position: LogPosition(packet.position()),
            isolated: packet.has(flag::ISOLATED),
            interval: micros(non_zero("interval", packet.interval())?),
            dead_after: parse_dead_after(packet.dead_after(), packet.interval())?,
            heard_age_us: optional("heard_age", packet.has(flag::HEARD_AGE), packet.heard_age())?,
            timestamp: packet.timestamp(),
            timestamp_echo: parse_timestamp_echo(packet)?,
        })
    }

    /// Writes everything but the tag.
    ///
    /// The durations are rounded down to microseconds and clamped to what their fields can hold,
    /// 1 µs to 71 min. Nothing else is corrected: a receiver refuses a beat to oneself, or with
    /// sequence 0, or with `dead_after` shorter than `interval`.
    ///
    /// # Panics
    /// When the packet's buffer is shorter than [`BEAT_LEN`].
    pub fn emit<T: AsRef<[u8]> + AsMut<[u8]>>(&self, packet: &mut BeatPacket<T>) {
        let flags = [
            (self.echo.is_some(), flag::ECHO),
            (self.heard_age_us.is_some(), flag::HEARD_AGE),
            (self.timestamp_echo.is_some(), flag::TIMESTAMP_ECHO),
            (self.isolated, flag::ISOLATED),
        ];
        let (intent, reason) = intent_codes(self.intent);
        let (timestamp_echo, held) =
            self.timestamp_echo.map_or((0, 0), |echo| (echo.timestamp, echo.held_us));

        packet.set_magic(MAGIC);
        packet.set_version(VERSION);
        packet.set_packet_type(TYPE_BEAT);
        packet.set_length(BEAT_LEN as u16);
        packet.set_group(self.group.get());
        packet.set_from(self.from.get());
        packet.set_to(self.to.get());
        packet.set_mode(self.mode.code());
        packet.set_health(self.health.code());
        packet.set_priority(self.priority.get());
        packet.set_intent(intent);
        packet.set_reason(reason);
        packet.set_flags(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, bit)| bit).sum());
        packet.set_reserved(0);
        packet.set_heard(self.heard);
        packet.set_boot(self.boot.0);
        packet.set_echo(self.echo.unwrap_or_default().0);
        packet.set_sequence(self.sequence);
        packet.set_term(self.term.0);
        packet.set_position(self.position.0);
        packet.set_interval(whole_micros(self.interval));
        packet.set_dead_after(whole_micros(self.dead_after));
        packet.set_heard_age(self.heard_age_us.unwrap_or_default());
        packet.set_timestamp(self.timestamp);
        packet.set_timestamp_echo(timestamp_echo);
        packet.set_held(held);
    }
}

fn parse_intent(intent: u8, reason: u8) -> Result<Intent, Refusal> {
    let given = || ResignReason::from_code(reason).ok_or(Refusal::BadField("reason"));
    match intent {
        intent::NONE => zero("reason", reason).map(|()| Intent::None),
        intent::RESIGN => given().map(Intent::Resign),
        intent::OFFER => given().map(Intent::Offer),
        intent::REQUEST => zero("reason", reason).map(|()| Intent::Request),
        _ => Err(Refusal::BadField("intent")),
    }
}

const fn intent_codes(intent: Intent) -> (u8, u8) {
    match intent {
        Intent::None => (intent::NONE, 0),
        Intent::Resign(reason) => (intent::RESIGN, reason.code()),
        Intent::Offer(reason) => (intent::OFFER, reason.code()),
        Intent::Request => (intent::REQUEST, 0),
    }
}

fn parse_dead_after(dead_after: u32, interval: u32) -> Result<Duration, Refusal> {
    if dead_after < interval {
        return Err(Refusal::BadField("dead_after"));
    }
    Ok(micros(dead_after))
}

fn parse_timestamp_echo<T: AsRef<[u8]>>(
    packet: &BeatPacket<T>,
) -> Result<Option<TimestampEcho>, Refusal> {
    let present = packet.has(flag::TIMESTAMP_ECHO);
    let timestamp = optional("timestamp_echo", present, packet.timestamp_echo())?;
    let held_us = optional("held", present, packet.held())?;
    Ok(timestamp.zip(held_us).map(|(timestamp, held_us)| TimestampEcho { timestamp, held_us }))
}

/// The value if its flag says that it is present; if not, it must be zero.
fn optional<T: Default + PartialEq>(
    field: &'static str,
    present: bool,
    value: T,
) -> Result<Option<T>, Refusal> {
    if present { Ok(Some(value)) } else { zero(field, value).map(|()| None) }
}

fn zero<T: Default + PartialEq>(field: &'static str, value: T) -> Result<(), Refusal> {
    if value == T::default() { Ok(()) } else { Err(Refusal::BadField(field)) }
}

fn non_zero<T: Default + PartialEq>(field: &'static str, value: T) -> Result<T, Refusal> {
    if value == T::default() { Err(Refusal::BadField(field)) } else { Ok(value) }
}

const fn micros(micros: u32) -> Duration {
    Duration::from_micros(micros as u64)
}

fn whole_micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests;
