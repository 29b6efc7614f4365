//! Commands about ranges of a sorted set: by place, by score, by name.

use super::call::{Call, NOT_AN_INTEGER, Outcome, SYNTAX, window};
use super::number;
use super::reply::Out;
use super::store::Failure;
use super::values::{SortedSet, Value};

/// An end of a range of names.
#[derive(Clone, Debug)]
enum Name {
    Lowest,
    Highest,
    With(Box<[u8]>),
    Without(Box<[u8]>),
}

impl Name {
    fn read(text: &[u8]) -> Result<Name, Failure> {
        match text {
            b"-" => Ok(Name::Lowest),
            b"+" => Ok(Name::Highest),
            [b'[', name @ ..] => Ok(Name::With(name.into())),
            [b'(', name @ ..] => Ok(Name::Without(name.into())),
            _ => Err("ERR min or max not valid string range item".into()),
        }
    }

    fn is_below(&self, member: &[u8]) -> bool {
        match self {
            Name::Lowest => true,
            Name::Highest => false,
            Name::With(name) => **name <= *member,
            Name::Without(name) => **name < *member,
        }
    }

    fn is_above(&self, member: &[u8]) -> bool {
        match self {
            Name::Lowest => false,
            Name::Highest => true,
            Name::With(name) => **name >= *member,
            Name::Without(name) => **name > *member,
        }
    }
}

/// What a command is about.
#[derive(Clone, Debug)]
enum Span {
    Places(i64, i64),
    /// From this score on, and below that one, if there is an end.
    Scores(f64, Option<f64>),
    Names(Name, Name),
    Nothing,
}

/// A score, and whether it is excluded.
fn score(text: &[u8]) -> Result<(f64, bool), Failure> {
    let (text, excluded) = match text {
        [b'(', rest @ ..] => (rest, true),
        text => (text, false),
    };
    // Like `strtod`, which skips spaces and takes nothing for zero.
    let number = if text.is_empty() { Some(0.0) } else { number::rounded(text.trim_ascii_start()) };
    Ok((number.ok_or("ERR min or max is not a float")?, excluded))
}

impl Span {
    fn places(low: &[u8], high: &[u8]) -> Result<Span, Failure> {
        let place = |text| number::integer(text).ok_or(NOT_AN_INTEGER);
        Ok(Span::Places(place(low)?, place(high)?))
    }

    fn scores(low: &[u8], high: &[u8]) -> Result<Span, Failure> {
        let ((low, after_low), (high, before_high)) = (score(low)?, score(high)?);
        if after_low && low == f64::INFINITY || before_high && high == f64::NEG_INFINITY {
            return Ok(Span::Nothing);
        }
        // Zero has two signs as a number, but one as a score.
        let next = |score: f64| if score == 0.0 { 0.0_f64.next_up() } else { score.next_up() };
        let low = if after_low { next(low) } else { low };
        let end = match (before_high, high == f64::INFINITY) {
            (false, true) => None,
            (false, false) => Some(next(high)),
            (true, _) => Some(high),
        };
        if end.is_some_and(|end| end <= low) {
            Ok(Span::Nothing)
        } else {
            Ok(Span::Scores(low, end))
        }
    }

    fn names(low: &[u8], high: &[u8]) -> Result<Span, Failure> {
        Ok(Span::Names(Name::read(low)?, Name::read(high)?))
    }

    /// What is in the range, from the low end on or from the high one.
    fn select<'s>(
        &self,
        sorted: &'s SortedSet,
        backwards: bool,
        skip: usize,
        take: usize,
    ) -> Vec<(&'s [u8], f64)> {
        fn cut<'s>(
            found: impl DoubleEndedIterator<Item = (&'s [u8], f64)>,
            backwards: bool,
            skip: usize,
            take: usize,
        ) -> Vec<(&'s [u8], f64)> {
            if backwards {
                found.rev().skip(skip).take(take).collect()
            } else {
                found.skip(skip).take(take).collect()
            }
        }
        match self {
            Span::Nothing => Vec::new(),
            Span::Places(start, stop) => {
                let (start, len) = window(*start, *stop, sorted.len());
                cut(sorted.iter(), backwards, start, len)
            }
            Span::Scores(low, end) => cut(sorted.between(*low, *end), backwards, skip, take),
            Span::Names(low, high) => {
                let inside =
                    |(member, _): &(&[u8], f64)| low.is_below(member) && high.is_above(member);
                cut(sorted.iter().filter(inside), backwards, skip, take)
            }
        }
    }
}

/// Writes members, perhaps with their scores.
pub(super) fn write(out: &mut Out, found: &[(&[u8], f64)], scores: bool) {
    out.array(found.len() * if scores && !out.resp3 { 2 } else { 1 });
    for (member, score) in found {
        if scores && out.resp3 {
            out.array(2);
        }
        out.bulk(member);
        if scores {
            out.double(*score);
        }
    }
}

/// How the ends of a range are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Place,
    Score,
    Name,
}

/// A whole query.
struct Query {
    span: Span,
    backwards: bool,
    skip: usize,
    take: usize,
    scores: bool,
}

impl Query {
    /// Reads the ends at `at` and the options after them; `fixed` if the name of the command says the
    /// kind and the direction.
    fn read(call: &Call<'_>, at: usize, fixed: Option<(By, bool)>) -> Result<Query, Failure> {
        let (mut by, mut backwards) = fixed.unwrap_or((By::Place, false));
        let (mut skip, mut take, mut limited, mut scores) = (0, usize::MAX, false, false);
        let mut index = at + 2;
        while index < call.len() {
            match call.word(index).as_str() {
                "WITHSCORES" if call.spec.name != "zrangestore" => scores = true,
                "LIMIT" if index + 2 < call.len() => {
                    let (offset, count) = (call.integer(index + 1)?, call.integer(index + 2)?);
                    let most = usize::MAX;
                    take = if offset < 0 { 0 } else { usize::try_from(count).unwrap_or(most) };
                    skip = usize::try_from(offset).unwrap_or(0);
                    // As in Redis: without a limit of the count it passes for none.
                    limited = count != -1;
                    index += 2;
                }
                "BYSCORE" if fixed.is_none() => by = By::Score,
                "BYLEX" if fixed.is_none() => by = By::Name,
                "REV" if fixed.is_none() => backwards = true,
                _ => return Err(SYNTAX.into()),
            }
            index += 1;
        }
        if limited && by == By::Place {
            let text = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or \
                        BYLEX";
            return Err(text.into());
        }
        if scores && by == By::Name {
            let text = "ERR syntax error, WITHSCORES not supported in combination with BYLEX";
            return Err(text.into());
        }
        let (first, second) = (call.arg(at), call.arg(at + 1));
        let (low, high) =
            if backwards && by != By::Place { (second, first) } else { (first, second) };
        let span = match by {
            By::Place => Span::places(low, high)?,
            By::Score => Span::scores(low, high)?,
            By::Name => Span::names(low, high)?,
        };
        Ok(Query { span, backwards, skip, take, scores })
    }

    fn run<'s>(&self, sorted: Option<&'s SortedSet>) -> Vec<(&'s [u8], f64)> {
        let select = |sorted| self.span.select(sorted, self.backwards, self.skip, self.take);
        sorted.map(select).unwrap_or_default()
    }
}

fn range(call: &mut Call<'_>, fixed: Option<(By, bool)>) -> Outcome {
    let query = Query::read(call, 2, fixed)?;
    let sorted = call.core.store.read::<SortedSet>(call.session.db, call.args.get(1))?;
    write(&mut call.session.out, &query.run(sorted), query.scores);
    Ok(())
}

pub(super) fn zrange(call: &mut Call<'_>) -> Outcome {
    range(call, None)
}

pub(super) fn zrevrange(call: &mut Call<'_>) -> Outcome {
    range(call, Some((By::Place, true)))
}

pub(super) fn zrangebyscore(call: &mut Call<'_>) -> Outcome {
    range(call, Some((By::Score, false)))
}

pub(super) fn zrevrangebyscore(call: &mut Call<'_>) -> Outcome {
    range(call, Some((By::Score, true)))
}

pub(super) fn zrangebylex(call: &mut Call<'_>) -> Outcome {
    range(call, Some((By::Name, false)))
}

pub(super) fn zrevrangebylex(call: &mut Call<'_>) -> Outcome {
    range(call, Some((By::Name, true)))
}

pub(super) fn zrangestore(call: &mut Call<'_>) -> Outcome {
    let query = Query::read(call, 3, None)?;
    let mut result = SortedSet::new(call.core.store.hashing());
    let sorted = call.core.store.read::<SortedSet>(call.session.db, call.args.get(2))?;
    query.run(sorted).into_iter().for_each(|(member, score)| result.set(member, score));
    call.keep(call.arg(1), result.len(), Value::SortedSet(result.into()));
    Ok(())
}

fn count(call: &mut Call<'_>, span: &Span) -> Outcome {
    let sorted = call.read::<SortedSet>(call.arg(1))?;
    let count = sorted.map_or(0, |sorted| span.select(sorted, false, 0, usize::MAX).len());
    call.out().count(count);
    Ok(())
}

pub(super) fn zcount(call: &mut Call<'_>) -> Outcome {
    let span = Span::scores(call.arg(2), call.arg(3))?;
    count(call, &span)
}

pub(super) fn zlexcount(call: &mut Call<'_>) -> Outcome {
    let span = Span::names(call.arg(2), call.arg(3))?;
    count(call, &span)
}

fn remove(call: &mut Call<'_>, span: &Span) -> Outcome {
    let removed = call.amend(call.arg(1), |sorted: &mut SortedSet| {
        let found = span.select(sorted, false, 0, usize::MAX);
        let found: Vec<Box<[u8]>> = found.into_iter().map(|(member, _)| member.into()).collect();
        found.iter().filter(|member| sorted.remove(member)).count()
    })?;
    call.out().count(removed);
    Ok(())
}

pub(super) fn zremrangebyrank(call: &mut Call<'_>) -> Outcome {
    let span = Span::places(call.arg(2), call.arg(3))?;
    remove(call, &span)
}

pub(super) fn zremrangebyscore(call: &mut Call<'_>) -> Outcome {
    let span = Span::scores(call.arg(2), call.arg(3))?;
    remove(call, &span)
}

pub(super) fn zremrangebylex(call: &mut Call<'_>) -> Outcome {
    let span = Span::names(call.arg(2), call.arg(3))?;
    remove(call, &span)
}
