//! Replies: where they end, and when two of them say the same.

use std::collections::BTreeSet;

/// A reply, taken apart as far as its order matters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reply {
    /// Anything with no parts, as it was sent.
    One(Vec<u8>),
    /// Its mark and its parts; those of a map are keys and values in turn.
    Many(u8, Vec<Reply>),
}

fn parse(bytes: &[u8]) -> Option<(Reply, &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let (line, mut rest) = bytes.split_at(end);
    let number = || std::str::from_utf8(&line[1..end - 2]).ok()?.parse::<i64>().ok();
    match line[0] {
        b'$' | b'=' => {
            let Ok(len) = usize::try_from(number()?) else {
                return Some((Reply::One(line.to_vec()), rest));
            };
            let whole = bytes.get(..end + len + 2)?;
            Some((Reply::One(whole.to_vec()), &bytes[whole.len()..]))
        }
        mark @ (b'*' | b'~' | b'%' | b'>') => {
            let Ok(count) = usize::try_from(number()?) else {
                return Some((Reply::One(line.to_vec()), rest));
            };
            let mut parts = Vec::new();
            for _ in 0..if mark == b'%' { count * 2 } else { count } {
                let (part, after) = parse(rest)?;
                parts.push(part);
                rest = after;
            }
            Some((Reply::Many(mark, parts), rest))
        }
        _ => Some((Reply::One(line.to_vec()), rest)),
    }
}

/// The length of the reply that `bytes` begin with, if it is whole.
pub(crate) fn whole(bytes: &[u8]) -> Option<usize> {
    parse(bytes).map(|(_, rest)| bytes.len() - rest.len())
}

/// Every reply in `bytes`, which end with one.
pub(crate) fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut replies = Vec::new();
    while !bytes.is_empty() {
        let (reply, rest) = bytes.split_at(whole(bytes).unwrap_or(bytes.len()));
        replies.push(reply);
        bytes = rest;
    }
    replies
}

/// What Redis promises about a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promise {
    Exact,
    /// Zero may have a sign.
    Scores,
    /// The parts come in any order.
    Unordered,
    /// Pairs of parts come in any order.
    Pairs,
    /// A cursor, then parts or pairs in any order.
    Scan {
        pairs: bool,
    },
    /// A time that goes on while the test runs.
    Time {
        tolerance: i64,
    },
    /// What a server says about itself.
    Hello,
    /// A number of its own.
    Number,
    /// What Redis chose when the value was made: it is not chosen anew when the value shrinks.
    Encoding,
}

/// Whether a SORT does not sort what may be a set.
fn keeps_an_open_order(command: &[Vec<u8>]) -> bool {
    let by = command.iter().rposition(|word| word.eq_ignore_ascii_case(b"by"));
    let constant = by.and_then(|by| command.get(by + 1)).is_some_and(|by| !by.contains(&b'*'));
    constant && !matches!(command.get(1).and_then(|key| key.first()), Some(b'q' | b'x'))
}

fn promise(command: &[Vec<u8>]) -> Promise {
    let upper = |word: Option<&Vec<u8>>| {
        String::from_utf8_lossy(word.map_or(&[][..], Vec::as_slice)).to_ascii_uppercase()
    };
    match upper(command.first()).as_str() {
        "KEYS" | "SMEMBERS" | "HKEYS" | "HVALS" | "SINTER" | "SUNION" | "SDIFF" | "SPOP"
        | "SRANDMEMBER" => Promise::Unordered,
        "SORT" | "SORT_RO" if keeps_an_open_order(command) => Promise::Unordered,
        "HGETALL" => Promise::Pairs,
        "HRANDFIELD" | "ZRANDMEMBER" if upper(command.last()).starts_with("WITH") => Promise::Pairs,
        "HRANDFIELD" | "ZRANDMEMBER" => Promise::Unordered,
        "SCAN" | "SSCAN" => Promise::Scan { pairs: false },
        "HSCAN" | "ZSCAN" => Promise::Scan { pairs: true },
        "TTL" | "EXPIRETIME" => Promise::Time { tolerance: 15 },
        "PTTL" | "PEXPIRETIME" => Promise::Time { tolerance: 15_000 },
        "HELLO" => Promise::Hello,
        "LASTSAVE" | "MEMORY" => Promise::Number,
        "CLIENT" if upper(command.get(1)) == "ID" => Promise::Number,
        "CONFIG" if upper(command.get(1)) == "GET" => Promise::Pairs,
        "PUBSUB" if upper(command.get(1)) == "CHANNELS" => Promise::Unordered,
        "OBJECT" if upper(command.get(1)) == "ENCODING" => Promise::Encoding,
        name if name.starts_with(['Z', 'B']) => Promise::Scores,
        _ => Promise::Exact,
    }
}

/// The order in which replies are compared: sorted, if Redis leaves it open.
fn sorted(reply: Reply, pairs: bool) -> Reply {
    match reply {
        // Either in a map, or one after the other, or each in an array of its own.
        Reply::Many(mark, parts)
            if pairs && !parts.iter().any(|part| matches!(part, Reply::Many(..))) =>
        {
            let mut pairs: Vec<Reply> =
                parts.chunks(2).map(|pair| Reply::Many(b'*', pair.to_vec())).collect();
            pairs.sort();
            Reply::Many(mark, pairs)
        }
        Reply::Many(mark, mut parts) => {
            parts.sort();
            Reply::Many(mark, parts)
        }
        Reply::One(_) => reply,
    }
}

fn integer(reply: &Reply) -> Option<i64> {
    match reply {
        Reply::One(line) => {
            let text = std::str::from_utf8(line.strip_prefix(b":")?).ok()?;
            text.trim_end().parse().ok()
        }
        Reply::Many(..) => None,
    }
}

/// The text of a bulk string.
fn bulk(reply: &Reply) -> Option<&str> {
    match reply {
        Reply::One(bytes) if bytes.starts_with(b"$") => {
            std::str::from_utf8(bytes).ok()?.lines().nth(1)
        }
        Reply::One(_) | Reply::Many(..) => None,
    }
}

/// The encodings of a value that another one would have if it were new.
fn may_have_become(encoding: &str) -> &'static [&'static str] {
    match encoding {
        "int" => &["int", "embstr", "raw"],
        "embstr" => &["embstr", "raw"],
        "raw" => &["raw"],
        "intset" => &["intset", "hashtable"],
        "listpack" => &["listpack", "hashtable", "skiplist"],
        "hashtable" => &["hashtable"],
        "skiplist" => &["skiplist"],
        "quicklist" => &["quicklist"],
        _ => &[],
    }
}

/// In seconds.
const CENTURIES: i64 = 18_000_000_000;

/// Without the sign of a zero, which our scores do not have.
fn unsigned(reply: Reply) -> Reply {
    match reply {
        Reply::One(bytes) if bytes == b"$2\r\n-0\r\n" => Reply::One(b"$1\r\n0\r\n".to_vec()),
        Reply::One(bytes) if bytes == b",-0\r\n" => Reply::One(b",0\r\n".to_vec()),
        Reply::One(_) => reply,
        Reply::Many(mark, parts) => Reply::Many(mark, parts.into_iter().map(unsigned).collect()),
    }
}

fn agree(promise: Promise, ours: Reply, theirs: Reply) -> bool {
    match promise {
        Promise::Exact => ours == theirs,
        Promise::Scores => unsigned(ours) == unsigned(theirs),
        Promise::Unordered => sorted(ours, false) == sorted(theirs, false),
        Promise::Pairs => sorted(ours, true) == sorted(theirs, true),
        Promise::Scan { pairs } => match (ours, theirs) {
            (Reply::Many(mark, mut ours), Reply::Many(other, mut theirs)) => {
                let (our_parts, their_parts) = (ours.pop(), theirs.pop());
                mark == other
                    && ours == theirs
                    && our_parts.map(|parts| sorted(parts, pairs))
                        == their_parts.map(|parts| sorted(parts, pairs))
            }
            (ours, theirs) => ours == theirs,
        },
        Promise::Time { tolerance } => match (integer(&ours), integer(&theirs)) {
            // Ours ends sooner than theirs when it comes to centuries.
            (Some(ours), Some(theirs)) if ours > CENTURIES && theirs > CENTURIES => true,
            (Some(ours), Some(theirs)) if ours > 0 && theirs > 0 => {
                ours.abs_diff(theirs) <= tolerance.unsigned_abs()
            }
            _ => ours == theirs,
        },
        Promise::Number => match (integer(&ours), integer(&theirs)) {
            (Some(ours), Some(theirs)) => ours > 0 && theirs > 0,
            _ => ours == theirs,
        },
        Promise::Encoding => match (bulk(&ours), bulk(&theirs)) {
            (Some(ours), Some(theirs)) => may_have_become(ours).contains(&theirs),
            _ => ours == theirs,
        },
        Promise::Hello => match (ours, theirs) {
            (Reply::Many(mark, mut ours), Reply::Many(other, mut theirs)) => {
                // The version and the id of the connection.
                for parts in [&mut ours, &mut theirs] {
                    for place in [3, 7] {
                        if let Some(part) = parts.get_mut(place) {
                            *part = Reply::One(Vec::new());
                        }
                    }
                }
                mark == other && ours == theirs
            }
            (ours, theirs) => ours == theirs,
        },
    }
}

/// Whether two replies to a command say the same; `queue` is what an EXEC runs.
pub(crate) fn same(
    command: &[Vec<u8>],
    queue: &[Vec<Vec<u8>>],
    ours: &[u8],
    theirs: &[u8],
) -> bool {
    if ours == theirs {
        return true;
    }
    let (Some((ours, [])), Some((theirs, []))) = (parse(ours), parse(theirs)) else { return false };
    match (ours, theirs) {
        (Reply::Many(mark, ours), Reply::Many(other, theirs))
            if command[0].eq_ignore_ascii_case(b"exec") =>
        {
            let mut parts = queue.iter().zip(ours.iter().zip(&theirs));
            mark == other
                && (ours.len(), theirs.len()) == (queue.len(), queue.len())
                && parts.all(|(command, (ours, theirs))| {
                    agree(promise(command), ours.clone(), theirs.clone())
                })
        }
        (ours, theirs) => agree(promise(command), ours, theirs),
    }
}

/// The parts and the cursor of a SCAN, if it is one.
pub(crate) fn scanned(bytes: &[u8], pairs: bool) -> Option<(Vec<Vec<u8>>, Vec<u8>)> {
    let Some((Reply::Many(_, parts), [])) = parse(bytes) else { return None };
    let [Reply::One(cursor), parts @ Reply::Many(..)] = parts.as_slice() else { return None };
    let Reply::Many(_, parts) = sorted(parts.clone(), pairs) else { return None };
    let flat = |part: &Reply| match part {
        Reply::One(bytes) => bytes.clone(),
        Reply::Many(_, parts) => format!("{parts:?}").into_bytes(),
    };
    let cursor = cursor.split(|byte| *byte == b'\n').nth(1)?.trim_ascii().to_vec();
    Some((parts.iter().map(flat).collect(), cursor))
}

/// What COMMAND INFO says about one command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Described {
    name: Reply,
    arity: Reply,
    /// Those of [`FLAGS`], or all if there are others.
    flags: Vec<Reply>,
    /// The places of the first and last key, and from one to the next.
    keys: Vec<Reply>,
}

/// The flags of a command that are compared: the others are about what is not here.
const FLAGS: [&str; 7] =
    ["+write", "+readonly", "+denyoom", "+pubsub", "+blocking", "+fast", "+movablekeys"];

/// The parts of a reply that has such.
fn parts(reply: Reply) -> Option<Vec<Reply>> {
    if let Reply::Many(_, parts) = reply { Some(parts) } else { None }
}

/// What COMMAND INFO replied about one command; `all` if it should have no other flags than [`FLAGS`].
pub(crate) fn described(bytes: &[u8], all: bool) -> Option<Described> {
    let (reply, _) = parse(bytes)?;
    let mut fields = parts(parts(reply)?.pop()?)?.into_iter();
    let (name, arity, flags) = (fields.next()?, fields.next()?, parts(fields.next()?)?);
    let is_known = |flag: &Reply| {
        FLAGS.iter().any(|known| *flag == Reply::One(format!("{known}\r\n").into_bytes()))
    };
    let mut flags: Vec<Reply> = flags.into_iter().filter(|flag| all || is_known(flag)).collect();
    flags.sort();
    Some(Described { name, arity, flags, keys: fields.take(3).collect() })
}

/// The group of a command and the release it came with, from COMMAND DOCS.
pub(crate) fn documented(bytes: &[u8]) -> Option<BTreeSet<(String, String)>> {
    let (reply, _) = parse(bytes)?;
    let fields = parts(parts(reply)?.pop()?)?;
    let pairs =
        fields.chunks(2).filter_map(|pair| Some((bulk(pair.first()?)?, bulk(pair.get(1)?)?)));
    let pairs = pairs.filter(|(field, _)| matches!(*field, "since" | "group"));
    Some(pairs.map(|(field, value)| (field.to_owned(), value.to_owned())).collect())
}

/// The texts of an array of bulk strings.
pub(crate) fn texts(bytes: &[u8]) -> Vec<String> {
    let all = parse(bytes).and_then(|(reply, _)| parts(reply)).unwrap_or_default();
    all.iter().filter_map(bulk).map(str::to_owned).collect()
}
