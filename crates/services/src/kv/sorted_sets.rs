//! Commands about members of a sorted set.

use super::call::{Call, Outcome, SYNTAX};
use super::hashes::Pick;
use super::keys::Scan;
use super::number;
use super::store::Failure;
use super::values::SortedSet;

/// The options of ZADD.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
    ch: bool,
    incr: bool,
}

impl Options {
    /// Reads the options; says also where the scores begin.
    fn read(call: &Call<'_>) -> Result<(Options, usize), Failure> {
        let mut options = Options::default();
        let mut index = 2;
        while index < call.len() {
            match call.word(index).as_str() {
                "NX" => options.nx = true,
                "XX" => options.xx = true,
                "GT" => options.gt = true,
                "LT" => options.lt = true,
                "CH" => options.ch = true,
                "INCR" => options.incr = true,
                _ => break,
            }
            index += 1;
        }
        let left = call.len() - index;
        if left == 0 || left % 2 == 1 {
            return Err(SYNTAX.into());
        }
        if options.nx && options.xx {
            return Err("ERR XX and NX options at the same time are not compatible".into());
        }
        if options.gt && options.lt || options.nx && (options.gt || options.lt) {
            let text = "ERR GT, LT, and/or NX options at the same time are not compatible";
            return Err(text.into());
        }
        if options.incr && left > 2 {
            return Err("ERR INCR option supports a single increment-element pair".into());
        }
        Ok((options, index))
    }

    /// The score to set, if any.
    fn decide(self, old: Option<f64>, given: f64) -> Option<f64> {
        let new = if self.incr { old.unwrap_or(0.0) + given } else { given };
        let Some(old) = old else { return (!self.xx).then_some(new) };
        let refused = self.nx || self.gt && new <= old || self.lt && new >= old;
        (!refused).then_some(new)
    }
}

pub(super) fn zadd(call: &mut Call<'_>) -> Outcome {
    let (options, start) = Options::read(call)?;
    let key = call.arg(1);
    let mut given = Vec::new();
    for (score, member) in call.args.from(start).pairs() {
        given.push((number::float(score).ok_or(super::call::NOT_A_FLOAT)?, member));
    }
    if options.incr {
        return add_to(call, options, given.first().copied());
    }
    let change = |sorted: &mut SortedSet| {
        let (mut added, mut changed) = (0, 0);
        for (score, member) in given {
            let old = sorted.score(member);
            let Some(new) = options.decide(old, score) else { continue };
            // Also among zeros: the one that is there keeps its sign.
            if old != Some(new) {
                sorted.set(member, new);
            }
            added += usize::from(old.is_none());
            changed += usize::from(old.is_some_and(|old| old != new));
        }
        (added, changed)
    };
    let (added, changed) = if options.xx && call.read::<SortedSet>(key)?.is_none() {
        (0, 0)
    } else {
        call.edit_or_create_if(key, change, |(added, changed)| added + changed > 0)?
    };
    call.out().count(if options.ch { added + changed } else { added });
    Ok(())
}

fn add_to(call: &mut Call<'_>, options: Options, given: Option<(f64, &[u8])>) -> Outcome {
    let Some((amount, member)) = given else { return Err(SYNTAX.into()) };
    let key = call.arg(1);
    let old = call.read::<SortedSet>(key)?.and_then(|sorted| sorted.score(member));
    if (old.unwrap_or(0.0) + amount).is_nan() {
        return Err("ERR resulting score is not a number (NaN)".into());
    }
    match options.decide(old, amount) {
        Some(new) => {
            if old != Some(new) {
                call.edit_or_create(key, |sorted: &mut SortedSet| sorted.set(member, new))?;
            }
            call.out().double(new);
        }
        None => call.out().null(),
    }
    Ok(())
}

pub(super) fn zincrby(call: &mut Call<'_>) -> Outcome {
    // As in Redis: an option of ZADD is one here as well, and then too little is left.
    let (options, _) = Options::read(call)?;
    let (amount, member) = (call.float(2)?, call.arg(3));
    let options = Options { incr: true, ..options };
    add_to(call, options, Some((amount, member)))
}

pub(super) fn zcard(call: &mut Call<'_>) -> Outcome {
    let len = call.read::<SortedSet>(call.arg(1))?.map_or(0, SortedSet::len);
    call.out().count(len);
    Ok(())
}

pub(super) fn zscore(call: &mut Call<'_>) -> Outcome {
    let member = call.arg(2);
    match call.read::<SortedSet>(call.arg(1))?.and_then(|sorted| sorted.score(member)) {
        Some(score) => call.out().double(score),
        None => call.out().null(),
    }
    Ok(())
}

pub(super) fn zmscore(call: &mut Call<'_>) -> Outcome {
    let sorted = call.core.store.read::<SortedSet>(call.session.db, call.args.get(1))?;
    let members = call.args.from(2);
    call.session.out.array(members.len());
    for member in members.iter() {
        match sorted.and_then(|sorted| sorted.score(member)) {
            Some(score) => call.session.out.double(score),
            None => call.session.out.null(),
        }
    }
    Ok(())
}

pub(super) fn zrem(call: &mut Call<'_>) -> Outcome {
    let members = call.args.from(2);
    let removed = call.amend(call.arg(1), |sorted: &mut SortedSet| {
        members.iter().filter(|member| sorted.remove(member)).count()
    })?;
    call.out().count(removed);
    Ok(())
}

fn rank(call: &mut Call<'_>, backwards: bool) -> Outcome {
    let member = call.arg(2);
    let place = call.read::<SortedSet>(call.arg(1))?.and_then(|sorted| {
        sorted.score(member)?;
        let place = sorted.iter().position(|(each, _)| each == member)?;
        Some(if backwards { sorted.len() - 1 - place } else { place })
    });
    match place {
        Some(place) => call.out().count(place),
        None => call.out().null(),
    }
    Ok(())
}

pub(super) fn zrank(call: &mut Call<'_>) -> Outcome {
    rank(call, false)
}

pub(super) fn zrevrank(call: &mut Call<'_>) -> Outcome {
    rank(call, true)
}

pub(super) fn zscan(call: &mut Call<'_>) -> Outcome {
    let Some(scan) = Scan::within::<SortedSet>(call)? else { return Ok(()) };
    let sorted = call.core.store.read::<SortedSet>(call.session.db, call.args.get(1))?;
    let (places, cursor) = scan.places(sorted.map_or(0, SortedSet::len));
    let pairs = places.filter_map(|place| sorted.and_then(|sorted| sorted.at(place)));
    let pairs: Vec<(&[u8], String)> = pairs
        .filter(|(member, _)| scan.fits(member))
        .map(|(member, score)| (member, number::precise(score)))
        .collect();
    let found: Vec<&[u8]> =
        pairs.iter().flat_map(|(member, score)| [*member, score.as_bytes()]).collect();
    Scan::reply(&mut call.session.out, cursor, &found);
    Ok(())
}

pub(super) fn zrandmember(call: &mut Call<'_>) -> Outcome {
    let pick = Pick::read(call, 2)?;
    let scores = match call.len() {
        0..=3 => false,
        4 if call.is(3, "WITHSCORES") => true,
        _ => return Err(SYNTAX.into()),
    };
    let (db, key) = (call.db(), call.arg(1));
    let len = call.read::<SortedSet>(key)?.map_or(0, SortedSet::len);
    let places = pick.places(len, |end| call.core.store.random(end));
    let sorted = call.core.store.read::<SortedSet>(db, key)?;
    let found = places.iter().filter_map(|place| sorted.and_then(|sorted| sorted.at(*place)));
    let found: Vec<(&[u8], f64)> = found.collect();
    let out = &mut call.session.out;
    if matches!(pick, Pick::One) {
        out.bulk_or_null(found.first().map(|(member, _)| *member));
    } else {
        super::sorted_ranges::write(out, &found, scores);
    }
    Ok(())
}
