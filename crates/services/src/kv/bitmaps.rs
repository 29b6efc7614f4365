//! Commands about the bits of a string: the first one is the highest of the first byte.

use std::collections::BTreeMap;

use super::call::{Call, Outcome, SYNTAX, reach};
use super::number;
use super::resp::Args;
use super::store::Failure;
use super::values::Value;

/// The place of a bit, of those that a string may have.
fn offset(call: &Call<'_>, index: usize) -> Result<usize, Failure> {
    let offset = number::integer(call.arg(index)).and_then(|n| usize::try_from(n).ok());
    let offset = offset.filter(|offset| offset / 8 < call.core.limits.string());
    offset.ok_or("ERR bit offset is not an integer or out of range".into())
}

fn bit_at(bytes: &[u8], offset: usize) -> bool {
    bytes.get(offset / 8).is_some_and(|byte| byte & mask(offset) != 0)
}

const fn mask(offset: usize) -> u8 {
    0x80 >> (offset % 8)
}

pub(super) fn getbit(call: &mut Call<'_>) -> Outcome {
    let offset = offset(call, 2)?;
    let bytes = call.read::<Vec<u8>>(call.arg(1))?;
    let bit = bytes.is_some_and(|bytes| bit_at(bytes, offset));
    call.out().flag(bit);
    Ok(())
}

pub(super) fn setbit(call: &mut Call<'_>) -> Outcome {
    let offset = offset(call, 2)?;
    let bit = match call.arg(3) {
        b"0" => false,
        b"1" => true,
        _ => return Err("ERR bit is not an integer or out of range".into()),
    };
    let change = |bytes: &mut Vec<u8>| {
        let (old, grows) = (bit_at(bytes, offset), bytes.len() <= offset / 8);
        if grows {
            bytes.resize(offset / 8 + 1, 0);
        }
        if let Some(byte) = bytes.get_mut(offset / 8) {
            *byte = if bit { *byte | mask(offset) } else { *byte & !mask(offset) };
        }
        (old, grows)
    };
    let changed = |(old, grows): &(bool, bool)| *old != bit || *grows;
    let (old, _) = call.edit_or_create_if(call.arg(1), change, changed)?;
    call.out().flag(old);
    Ok(())
}

/// Whether places are those of bits; otherwise they are those of bytes.
fn counts_bits(call: &Call<'_>, index: usize) -> Result<bool, Failure> {
    match call.word(index).as_str() {
        "BIT" => Ok(true),
        "BYTE" => Ok(false),
        _ => Err(SYNTAX.into()),
    }
}

/// The bits from `start` to `stop`, which count bits or bytes: as start and count of bits.
fn bits(start: i64, stop: i64, in_bits: bool, bytes: usize) -> (usize, usize) {
    if in_bits {
        return reach(start, stop, bytes * 8);
    }
    let (start, count) = reach(start, stop, bytes);
    (start * 8, count * 8)
}

/// How many of the bits from `start` up to `end` are 1.
fn ones(bytes: &[u8], start: usize, end: usize) -> usize {
    let bytes = bytes.get(start / 8..end.div_ceil(8)).unwrap_or_default();
    let all: usize = bytes.iter().map(|byte| byte.count_ones() as usize).sum();
    let ones_of = |byte: Option<&u8>, mask: u8| byte.map_or(0, |byte| byte & mask).count_ones();
    let before = ones_of(bytes.first(), !(0xff >> (start % 8)));
    let beyond = if end.is_multiple_of(8) { 0 } else { ones_of(bytes.last(), 0xff >> (end % 8)) };
    all - (before + beyond) as usize
}

/// The first of the bits from `start` up to `end` that is `bit`.
fn find(bytes: &[u8], start: usize, end: usize, bit: bool) -> Option<usize> {
    let others = if bit { 0 } else { 0xff };
    let first = bytes.get(start / 8)? ^ others;
    let rest = start / 8 + 1;
    let (at, byte) = match first & (0xff >> (start % 8)) {
        0 => {
            let bytes = bytes.get(rest..end.div_ceil(8))?;
            let at = bytes.iter().position(|byte| *byte != others)?;
            (rest + at, bytes.get(at)? ^ others)
        }
        byte => (start / 8, byte),
    };
    let place = at * 8 + byte.leading_zeros() as usize;
    (place < end).then_some(place)
}

pub(super) fn bitcount(call: &mut Call<'_>) -> Outcome {
    let key = call.arg(1);
    let Some(len) = call.read::<Vec<u8>>(key)?.map(Vec::len) else {
        call.out().count(0);
        return Ok(());
    };
    let (start, count) = match call.len() {
        2 => (0, len * 8),
        4 | 5 => {
            let (start, stop) = (call.integer(2)?, call.integer(3)?);
            let backwards = start < 0 && stop < 0 && start > stop;
            let in_bits = !backwards && call.len() == 5 && counts_bits(call, 4)?;
            if backwards { (0, 0) } else { bits(start, stop, in_bits, len) }
        }
        _ => return Err(SYNTAX.into()),
    };
    let end = start + count;
    let bytes = call.read::<Vec<u8>>(key)?.map_or(b"".as_slice(), Vec::as_slice);
    let found = ones(bytes, start, end);
    call.out().count(found);
    Ok(())
}

pub(super) fn bitpos(call: &mut Call<'_>) -> Outcome {
    let bit = match call.integer(2)? {
        0 => false,
        1 => true,
        _ => return Err("ERR The bit argument must be 1 or 0.".into()),
    };
    let key = call.arg(1);
    let Some(len) = call.read::<Vec<u8>>(key)?.map(Vec::len) else {
        call.out().integer(if bit { -1 } else { 0 });
        return Ok(());
    };
    if call.len() > 6 {
        return Err(SYNTAX.into());
    }
    let start = if call.len() > 3 { call.integer(3)? } else { 0 };
    let in_bits = call.len() == 6 && counts_bits(call, 5)?;
    let stop = if call.len() > 4 { call.integer(4)? } else { -1 };
    let (start, count) = bits(start, stop, in_bits, len);
    let end = start + count;
    let bytes = call.read::<Vec<u8>>(key)?.map_or(b"".as_slice(), Vec::as_slice);
    let found = find(bytes, start, end, bit).map(|place| place as i64);
    // Who gives no end looks at a string that zeros follow.
    let beyond = if !bit && call.len() < 5 && count > 0 { end as i64 } else { -1 };
    call.out().integer(found.unwrap_or(beyond));
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
}

/// The keys that matter, each once: naming a key again changes nothing, or, with XOR, undoes it. So the whole takes no
/// longer than all that the strings have.
fn distinct(keys: Args<'_>, operation: Operation) -> Vec<&[u8]> {
    let mut times: BTreeMap<&[u8], usize> = BTreeMap::new();
    keys.iter().for_each(|key| *times.entry(key).or_default() += 1);
    times.retain(|_, times| operation != Operation::Xor || *times % 2 == 1);
    times.into_keys().collect()
}

fn combine(call: &mut Call<'_>, operation: Operation) -> Result<Vec<u8>, Failure> {
    let keys = call.args.from(3);
    let mut longest = 0;
    for key in keys.iter() {
        longest = longest.max(call.read::<Vec<u8>>(key)?.map_or(0, Vec::len));
    }
    let fill = if operation == Operation::And { 0xff } else { 0 };
    let mut result = vec![fill; longest];
    for key in distinct(keys, operation) {
        let bytes = call.read::<Vec<u8>>(key)?.map_or(b"".as_slice(), Vec::as_slice);
        let pairs = result.iter_mut().zip(bytes);
        match operation {
            Operation::And => {
                pairs.for_each(|(to, from)| *to &= from);
                // A shorter string is followed by zeros.
                result.iter_mut().skip(bytes.len()).for_each(|to| *to = 0);
            }
            Operation::Or => pairs.for_each(|(to, from)| *to |= from),
            Operation::Xor => pairs.for_each(|(to, from)| *to ^= from),
            Operation::Not => pairs.for_each(|(to, from)| *to = !from),
        }
    }
    Ok(result)
}

pub(super) fn bitop(call: &mut Call<'_>) -> Outcome {
    let operation = match call.word(1).as_str() {
        "AND" => Operation::And,
        "OR" => Operation::Or,
        "XOR" => Operation::Xor,
        "NOT" => Operation::Not,
        _ => return Err(SYNTAX.into()),
    };
    if operation == Operation::Not && call.len() != 4 {
        return Err("ERR BITOP NOT must be called with a single source key.".into());
    }
    let result = combine(call, operation)?;
    call.keep(call.arg(2), result.len(), Value::String(result));
    Ok(())
}
