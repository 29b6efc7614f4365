//! From beat to bytes and back: the only place that knows how a field is encoded.

use std::time::Duration;

use locum_types::{
    BootNonce, GroupId, Health, LogPosition, Mode, NodeId, Priority, ResignReason, Term,
};

use crate::packet::{BeatPacket, KIND_BEAT, MAGIC, SIGNED_LEN, VERSION, field};
use crate::{BEAT_LEN, Beat, Intent, Refusal, TimestampEcho};

/// `heard age` of a sender that never heard the receiver.
const NEVER: u32 = u32::MAX;
const INTENT_NONE: u8 = 0x00;
const INTENT_RESIGN: u8 = 0x10;
const INTENT_OFFER: u8 = 0x20;
const INTENT_REQUEST: u8 = 0x30;

impl Beat {
    /// Writes everything but the tag.
    ///
    /// Durations are cut to whole microseconds and to what 32 bits hold (71 minutes).
    pub fn emit<T: AsRef<[u8]> + AsMut<[u8]>>(&self, packet: &mut BeatPacket<T>) {
        packet.set_bytes(field::MAGIC, &MAGIC);
        packet.set_byte(field::VERSION, VERSION);
        packet.set_byte(field::KIND, KIND_BEAT);
        packet.set_number(field::LENGTH, BEAT_LEN as u64);
        packet.set_number(field::GROUP, self.group.get().into());
        packet.set_byte(field::FROM, self.from.get());
        packet.set_byte(field::TO, self.to.get());
        packet.set_byte(field::MODE, self.mode.code());
        packet.set_byte(field::HEALTH, self.health.code());
        packet.set_byte(field::PRIORITY, self.priority.get());
        packet.set_byte(field::INTENT, intent_code(self.intent));
        packet.set_number(field::BOOT, self.boot.0);
        packet.set_number(field::ECHO, self.echo.map_or(0, |echo| echo.0));
        packet.set_number(field::SEQUENCE, self.sequence);
        packet.set_number(field::TERM, self.term.0);
        packet.set_number(field::POSITION, self.position.0);
        packet.set_number(field::INTERVAL, micros(self.interval).into());
        packet.set_number(field::DEAD_AFTER, micros(self.dead_after).into());
        packet.set_number(field::HEARD, self.heard.into());
        let age = self.heard_age_us.map_or(NEVER, |age| age.min(NEVER - 1));
        packet.set_number(field::HEARD_AGE, age.into());
        packet.set_number(field::TIMESTAMP, self.timestamp.into());
        let TimestampEcho { timestamp, held_us } =
            self.timestamp_echo.unwrap_or(TimestampEcho { timestamp: 0, held_us: NEVER });
        packet.set_number(field::TIMESTAMP_ECHO, timestamp.into());
        packet.set_number(field::TIMESTAMP_HELD, held_us.into());
    }

    /// Reads the fields of an authenticated packet, each strictly: a value that no sender of this
    /// version writes is refused.
    pub fn parse<T: AsRef<[u8]>>(packet: &BeatPacket<T>) -> Result<Beat, Refusal> {
        let bad = Refusal::BadField;
        let interval = Duration::from_micros(packet.number(field::INTERVAL));
        let dead_after = Duration::from_micros(packet.number(field::DEAD_AFTER));
        let boot = packet.number(field::BOOT);
        let sequence = packet.number(field::SEQUENCE);
        if interval.is_zero() || dead_after < interval || boot == 0 || sequence == 0 {
            return Err(bad);
        }
        let echo = packet.number(field::ECHO);
        let heard_age = packet.word(field::HEARD_AGE);
        let held_us = packet.word(field::TIMESTAMP_HELD);
        let timestamp = packet.word(field::TIMESTAMP_ECHO);
        Ok(Beat {
            group: GroupId::new(packet.number(field::GROUP) as u16).map_err(|_| bad)?,
            from: NodeId::new(packet.byte(field::FROM)).map_err(|_| bad)?,
            to: NodeId::new(packet.byte(field::TO)).map_err(|_| bad)?,
            boot: BootNonce(boot),
            echo: (echo != 0).then_some(BootNonce(echo)),
            sequence,
            term: Term(packet.number(field::TERM)),
            mode: Mode::from_code(packet.byte(field::MODE)).ok_or(bad)?,
            health: Health::from_code(packet.byte(field::HEALTH)).ok_or(bad)?,
            priority: Priority::new(packet.byte(field::PRIORITY)).map_err(|_| bad)?,
            position: LogPosition(packet.number(field::POSITION)),
            interval,
            dead_after,
            heard: packet.word(field::HEARD),
            heard_age_us: (heard_age != NEVER).then_some(heard_age),
            timestamp: packet.word(field::TIMESTAMP),
            timestamp_echo: (held_us != NEVER).then_some(TimestampEcho { timestamp, held_us }),
            intent: intent_from_code(packet.byte(field::INTENT)).ok_or(bad)?,
        })
    }
}

/// The header alone, before the tag is checked: enough to drop strangers cheaply. Nothing else of an
/// unauthenticated packet is looked at.
pub(crate) fn check_header<T: AsRef<[u8]>>(
    packet: &BeatPacket<T>,
    group: GroupId,
    to: NodeId,
) -> Result<(), Refusal> {
    if packet.bytes(field::MAGIC) != MAGIC {
        return Err(Refusal::BadMagic);
    }
    if packet.byte(field::VERSION) != VERSION {
        return Err(Refusal::BadVersion);
    }
    if packet.byte(field::KIND) != KIND_BEAT {
        return Err(Refusal::BadKind);
    }
    if packet.number(field::LENGTH) != BEAT_LEN as u64 {
        return Err(Refusal::BadLength);
    }
    if packet.number(field::GROUP) != u64::from(group.get()) {
        return Err(Refusal::WrongGroup);
    }
    if packet.byte(field::TO) != to.get() {
        return Err(Refusal::NotForUs);
    }
    Ok(())
}

/// The high nibble is what is asked for, the low one the reason.
fn intent_code(intent: Intent) -> u8 {
    match intent {
        Intent::None => INTENT_NONE,
        Intent::Resign(reason) => INTENT_RESIGN | reason.code(),
        Intent::Offer(reason) => INTENT_OFFER | reason.code(),
        Intent::Request => INTENT_REQUEST,
    }
}

fn intent_from_code(code: u8) -> Option<Intent> {
    let reason = ResignReason::from_code(code & 0x0f);
    match (code & 0xf0, code & 0x0f) {
        (INTENT_NONE, 0) => Some(Intent::None),
        (INTENT_RESIGN, _) => reason.map(Intent::Resign),
        (INTENT_OFFER, _) => reason.map(Intent::Offer),
        (INTENT_REQUEST, 0) => Some(Intent::Request),
        (_, _) => None,
    }
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

const _: () = assert!(SIGNED_LEN == 84 && BEAT_LEN == 100);
