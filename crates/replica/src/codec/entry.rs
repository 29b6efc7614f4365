//! One entry of the log as bytes: its kind, the service time, and the fields of the kind.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use locum_stack::Tuple;
use locum_stack::forge::Negotiated;
use locum_stack::log::Entry;
use locum_stack::service::{CloseReason, FlowId};
use locum_types::Instant;

use super::Malformed;
use super::varint::{Reader, put};

const ACCEPTED: u8 = 1;
const OPENED: u8 = 2;
const DATA: u8 = 3;
const HELD: u8 = 4;
const RELEASED: u8 = 5;
const ACKED: u8 = 6;
const FIN_RECEIVED: u8 = 7;
const FINISHED: u8 = 8;
const FIN_ACKED: u8 = 9;
const CLOSED: u8 = 10;
const DATAGRAM: u8 = 11;
const TICK: u8 = 12;

const IPV4: u8 = 4;
const IPV6: u8 = 6;

/// What a byte says that must not say nothing.
const SACK: u8 = 1;
const SCALED: u8 = 2;
/// The largest window scale (RFC 7323 §2.3).
const WINDOW_SCALE_MAX: u8 = 14;

/// Appends `entry`, which happened at `time`. Flow labels and scopes of IPv6 addresses are no part of it.
pub fn encode_entry(out: &mut Vec<u8>, time: Instant, entry: &Entry<'_>) {
    let head = |out: &mut Vec<u8>, kind: u8| {
        out.push(kind);
        put(out, time.as_nanos());
    };
    let of_flow = |out: &mut Vec<u8>, kind: u8, flow: FlowId| {
        head(out, kind);
        put(out, flow.0);
    };
    match *entry {
        Entry::Accepted { flow, tuple, negotiated, local_isn, remote_isn, via } => {
            of_flow(out, ACCEPTED, flow);
            put_address(out, tuple.remote);
            put_address(out, tuple.local);
            put_negotiated(out, negotiated);
            out.extend_from_slice(&local_isn.to_be_bytes());
            out.extend_from_slice(&remote_isn.to_be_bytes());
            out.extend_from_slice(&via);
        }
        Entry::Opened { flow, window } => {
            of_flow(out, OPENED, flow);
            out.extend_from_slice(&window.to_be_bytes());
        }
        Entry::Data { flow, bytes } => {
            of_flow(out, DATA, flow);
            out.extend_from_slice(bytes);
        }
        Entry::Held { flow, bytes } => {
            of_flow(out, HELD, flow);
            out.extend_from_slice(bytes);
        }
        Entry::Released { flow, bytes } => {
            of_flow(out, RELEASED, flow);
            put(out, bytes as u64);
        }
        Entry::Acked { flow, bytes, window } => {
            of_flow(out, ACKED, flow);
            put(out, bytes as u64);
            out.extend_from_slice(&window.to_be_bytes());
        }
        Entry::FinReceived { flow } => of_flow(out, FIN_RECEIVED, flow),
        Entry::Finished { flow } => of_flow(out, FINISHED, flow),
        Entry::FinAcked { flow } => of_flow(out, FIN_ACKED, flow),
        Entry::Closed { flow, reason } => {
            of_flow(out, CLOSED, flow);
            out.push(close_reason_code(reason));
        }
        Entry::Datagram { local, remote, bytes } => {
            head(out, DATAGRAM);
            put_address(out, local);
            put_address(out, remote);
            out.extend_from_slice(bytes);
        }
        Entry::Tick { port } => {
            head(out, TICK);
            out.extend_from_slice(&port.to_be_bytes());
        }
    }
}

/// Whether bytes that begin with `kind` are an entry.
pub(super) const fn is_entry(kind: u8) -> bool {
    matches!(kind, ACCEPTED..=TICK)
}

/// Reads one entry and the time at which it happened; its payload is borrowed from `bytes`.
///
/// # Errors
/// Where `bytes` are not what [`encode_entry`] writes for any entry.
pub fn decode_entry(bytes: &[u8]) -> Result<(Instant, Entry<'_>), Malformed> {
    let mut reader = Reader::new(bytes);
    let kind = reader.u8()?;
    let time = Instant::from_nanos(reader.varint()?);
    let entry = match kind {
        ACCEPTED => accepted(reader)?,
        DATAGRAM => {
            let (local, remote) = (address(&mut reader)?, address(&mut reader)?);
            Entry::Datagram { local, remote, bytes: reader.rest() }
        }
        TICK => {
            let port = reader.u16()?;
            reader.end()?;
            Entry::Tick { port }
        }
        _ => of_flow(kind, reader)?,
    };
    Ok((time, entry))
}

/// The entries that are about a flow and little else.
fn of_flow<'a>(kind: u8, mut reader: Reader<'a>) -> Result<Entry<'a>, Malformed> {
    let flow = FlowId(reader.varint()?);
    let entry = match kind {
        DATA => return Ok(Entry::Data { flow, bytes: some_bytes(reader)? }),
        HELD => return Ok(Entry::Held { flow, bytes: some_bytes(reader)? }),
        OPENED => Entry::Opened { flow, window: reader.u16()? },
        RELEASED => Entry::Released { flow, bytes: count(&mut reader)? },
        ACKED => Entry::Acked { flow, bytes: count(&mut reader)?, window: reader.u16()? },
        FIN_RECEIVED => Entry::FinReceived { flow },
        FINISHED => Entry::Finished { flow },
        FIN_ACKED => Entry::FinAcked { flow },
        CLOSED => Entry::Closed { flow, reason: close_reason(reader.u8()?)? },
        _ => return Err(Malformed("an entry of no known kind")),
    };
    reader.end()?;
    Ok(entry)
}

fn accepted(mut reader: Reader<'_>) -> Result<Entry<'_>, Malformed> {
    let flow = FlowId(reader.varint()?);
    let (remote, local) = (address(&mut reader)?, address(&mut reader)?);
    let negotiated = negotiated(&mut reader)?;
    let (local_isn, remote_isn) = (reader.u32()?, reader.u32()?);
    let via = reader.mac()?;
    reader.end()?;
    let tuple = Tuple { remote, local };
    Ok(Entry::Accepted { flow, tuple, negotiated, local_isn, remote_isn, via })
}

/// Bytes of a stream: there is no entry about none.
fn some_bytes(reader: Reader<'_>) -> Result<&[u8], Malformed> {
    match reader.rest() {
        [] => Err(Malformed("an entry about no bytes")),
        bytes => Ok(bytes),
    }
}

/// A number of bytes of a stream: there is no entry about none.
fn count(reader: &mut Reader<'_>) -> Result<usize, Malformed> {
    match reader.varint()? {
        0 => Err(Malformed("an entry about no bytes")),
        bytes => usize::try_from(bytes).map_err(|_| Malformed("more bytes than there can be")),
    }
}

fn put_address(out: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            out.push(IPV4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(IPV6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&address.port().to_be_bytes());
}

fn address(reader: &mut Reader<'_>) -> Result<SocketAddr, Malformed> {
    let ip = match reader.u8()? {
        IPV4 => IpAddr::V4(Ipv4Addr::from(reader.array::<4>()?)),
        IPV6 => IpAddr::V6(Ipv6Addr::from(reader.array::<16>()?)),
        _ => return Err(Malformed("an address of no known family")),
    };
    Ok(SocketAddr::new(ip, reader.u16()?))
}

fn put_negotiated(out: &mut Vec<u8>, negotiated: Negotiated) {
    let Negotiated { mss, window_scale, sack } = negotiated;
    out.extend_from_slice(&mss.to_be_bytes());
    let sack = if sack { SACK } else { 0 };
    let scaled = if window_scale.is_some() { SCALED } else { 0 };
    out.push(sack | scaled);
    out.push(window_scale.unwrap_or(0));
}

fn negotiated(reader: &mut Reader<'_>) -> Result<Negotiated, Malformed> {
    let mss = reader.u16()?;
    let [flags, scale] = reader.array()?;
    if flags & !(SACK | SCALED) != 0 {
        return Err(Malformed("an option of no known meaning"));
    }
    let scaled = flags & SCALED != 0;
    if scale > if scaled { WINDOW_SCALE_MAX } else { 0 } {
        return Err(Malformed("a window scale that cannot be"));
    }
    Ok(Negotiated { mss, window_scale: scaled.then_some(scale), sack: flags & SACK != 0 })
}

const fn close_reason_code(reason: CloseReason) -> u8 {
    match reason {
        CloseReason::Finished => 1,
        CloseReason::Reset => 2,
        CloseReason::TimedOut => 3,
        CloseReason::Aborted => 4,
    }
}

fn close_reason(code: u8) -> Result<CloseReason, Malformed> {
    [CloseReason::Finished, CloseReason::Reset, CloseReason::TimedOut, CloseReason::Aborted]
        .into_iter()
        .find(|reason| close_reason_code(*reason) == code)
        .ok_or(Malformed("a flow that ended in no known way"))
}
