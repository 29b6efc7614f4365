//! SORT: the elements of a list, a set or a sorted set in some order, or what other keys have for them.

use std::cmp::Ordering;

use super::call::{Call, Outcome, SYNTAX};
use super::glob;
use super::number;
use super::resp::Args;
use super::store::{Failure, Store, WRONG_TYPE};
use super::values::{End, List, Value};

/// What a key costs that is looked up by a pattern, beyond its bytes and those of its value.
const LOOKUP: usize = 32;

/// What BY and GET read for an element.
#[derive(Clone, Copy, Debug)]
enum Pattern<'p> {
    /// `#`: the element itself.
    Element,
    /// Without `*` there is nothing to put the element in.
    Constant,
    /// A string, or a field of a hash, by the name of its key: the element is between the two.
    Key { before: &'p [u8], after: &'p [u8], field: Option<&'p [u8]> },
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

impl<'p> Pattern<'p> {
    fn read(text: &'p [u8]) -> Result<Self, Failure> {
        glob::check(text)?;
        let Some((before, rest)) = find(text, b"*").and_then(|star| text.split_at_checked(star))
        else {
            return Ok(if text == b"#" { Pattern::Element } else { Pattern::Constant });
        };
        let rest = rest.strip_prefix(b"*").unwrap_or_default();
        let arrow = find(rest, b"->").filter(|arrow| arrow + 2 < rest.len());
        let (after, field) = arrow.map_or((rest, None), |arrow| {
            (rest.get(..arrow).unwrap_or_default(), rest.get(arrow + 2..))
        });
        Ok(Pattern::Key { before, after, field })
    }
}

/// Looks up what patterns mean, as long as it is not too much.
struct Reader<'s> {
    store: &'s Store,
    db: u8,
    /// Bytes that may still be read.
    left: usize,
}

impl<'s> Reader<'s> {
    fn read(
        &mut self,
        pattern: Pattern<'_>,
        element: &'s [u8],
    ) -> Result<Option<&'s [u8]>, Failure> {
        let (found, key_len) = match pattern {
            Pattern::Element => (Some(element), 0),
            Pattern::Constant => (None, 0),
            Pattern::Key { before, after, field } => {
                let key = [before, element, after].concat();
                let found = match (self.store.peek(self.db, &key), field) {
                    (Some(Value::String(bytes)), None) => Some(bytes.as_slice()),
                    (Some(Value::Hash(hash)), Some(field)) => hash.get(field),
                    (
                        None
                        | Some(
                            Value::String(_)
                            | Value::Hash(_)
                            | Value::List(_)
                            | Value::Set(_)
                            | Value::SortedSet(_),
                        ),
                        _,
                    ) => None,
                };
                (found, key.len())
            }
        };
        let cost = LOOKUP + key_len + found.map_or(0, <[u8]>::len);
        self.left = self.left.checked_sub(cost).ok_or("ERR SORT would read too much")?;
        Ok(found)
    }
}

/// What elements are ordered by.
#[derive(Clone, Copy, Debug)]
enum Weight<'s> {
    Number(f64),
    Text(Option<&'s [u8]>),
}

/// A number as `strtod` reads it, which takes nothing for zero.
fn weight(text: &[u8]) -> Option<f64> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let spaces = text.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == 0x0b);
    let digits = text.get(spaces.count()..).unwrap_or_default();
    if text.is_empty() { Some(0.0) } else { number::float(digits) }
}

fn compare(one: &(Weight<'_>, &[u8]), other: &(Weight<'_>, &[u8])) -> Ordering {
    match (one.0, other.0) {
        (Weight::Text(this), Weight::Text(that)) => this.cmp(&that),
        (Weight::Number(this), Weight::Number(that)) => {
            this.partial_cmp(&that).unwrap_or(Ordering::Equal).then_with(|| one.1.cmp(other.1))
        }
        (Weight::Number(_), Weight::Text(_)) => Ordering::Less,
        (Weight::Text(_), Weight::Number(_)) => Ordering::Greater,
    }
}

/// What a command asks for.
#[derive(Debug)]
struct Query<'c> {
    by: Option<Pattern<'c>>,
    gets: Vec<Pattern<'c>>,
    alpha: bool,
    backwards: bool,
    skip: usize,
    take: usize,
    target: Option<&'c [u8]>,
}

impl<'c> Query<'c> {
    fn read(call: &Call<'c>, may_store: bool) -> Result<Self, Failure> {
        let mut query = Query {
            by: None,
            gets: Vec::new(),
            alpha: false,
            backwards: false,
            skip: 0,
            take: usize::MAX,
            target: None,
        };
        let mut index = 2;
        while index < call.len() {
            let left = call.len() - index - 1;
            let next = || call.arg(index + 1);
            index += match call.word(index).as_str() {
                "ASC" => {
                    query.backwards = false;
                    1
                }
                "DESC" => {
                    query.backwards = true;
                    1
                }
                "ALPHA" => {
                    query.alpha = true;
                    1
                }
                "LIMIT" if left >= 2 => {
                    let (skip, take) = (call.integer(index + 1)?, call.integer(index + 2)?);
                    query.skip = usize::try_from(skip).unwrap_or(0);
                    query.take = usize::try_from(take).unwrap_or(usize::MAX);
                    3
                }
                "STORE" if left >= 1 && may_store => {
                    query.target = Some(next());
                    2
                }
                "BY" if left >= 1 => {
                    query.by = Some(Pattern::read(next())?);
                    2
                }
                "GET" if left >= 1 => {
                    query.gets.push(Pattern::read(next())?);
                    2
                }
                _ => return Err(SYNTAX.into()),
            };
        }
        Ok(query)
    }

    /// The elements of a value in the order that is asked for, and only those that are.
    fn select<'s>(
        &self,
        value: Option<&'s Value>,
        reader: &mut Reader<'s>,
    ) -> Result<Vec<&'s [u8]>, Failure> {
        let mut elements: Vec<&[u8]> = match value {
            None => Vec::new(),
            Some(Value::List(list)) => list.iter().collect(),
            Some(Value::Set(set)) => set.iter().collect(),
            Some(Value::SortedSet(sorted)) => sorted.iter().map(|(member, _)| member).collect(),
            Some(Value::String(_) | Value::Hash(_)) => return Err(WRONG_TYPE.into()),
        };
        let sorts = matches!(self.by, None | Some(Pattern::Key { .. }));
        if sorts {
            elements = self.sorted(weigh(&elements, self.by, self.alpha, reader)?);
        } else if matches!(value, Some(Value::Set(_))) && self.target.is_some() {
            // What is kept has an order, and a set has none.
            elements = self.sorted(weigh(&elements, None, true, reader)?);
        } else if self.backwards {
            elements.reverse();
        }
        Ok(elements.into_iter().skip(self.skip).take(self.take).collect())
    }

    fn sorted<'s>(&self, mut weighted: Vec<(Weight<'_>, &'s [u8])>) -> Vec<&'s [u8]> {
        if self.backwards {
            weighted.sort_by(|one, other| compare(one, other).reverse());
        } else {
            weighted.sort_by(compare);
        }
        weighted.into_iter().map(|(_, element)| element).collect()
    }

    /// What is replied or kept for each of these elements.
    fn results<'s>(
        &self,
        elements: Vec<&'s [u8]>,
        reader: &mut Reader<'s>,
    ) -> Result<Vec<Option<&'s [u8]>>, Failure> {
        if self.gets.is_empty() {
            return Ok(elements.into_iter().map(Some).collect());
        }
        let each =
            elements.iter().flat_map(|element| self.gets.iter().map(move |get| (get, element)));
        each.map(|(get, element)| reader.read(*get, element)).collect()
    }
}

/// Every element with what it is ordered by.
fn weigh<'s>(
    elements: &[&'s [u8]],
    by: Option<Pattern<'_>>,
    alpha: bool,
    reader: &mut Reader<'s>,
) -> Result<Vec<(Weight<'s>, &'s [u8])>, Failure> {
    let mut weighted = Vec::with_capacity(elements.len());
    for element in elements {
        let text = by.map_or(Ok(Some(*element)), |by| reader.read(by, element))?;
        let weight = if alpha {
            Weight::Text(text)
        } else {
            let number = text.map_or(Some(0.0), weight);
            Weight::Number(number.ok_or("ERR One or more scores can't be converted into double")?)
        };
        weighted.push((weight, *element));
    }
    Ok(weighted)
}

fn run(call: &mut Call<'_>, may_store: bool) -> Outcome {
    let query = Query::read(call, may_store)?;
    let (db, key) = (call.db(), call.arg(1));
    call.store().get(db, key);
    let store = &call.core.store;
    let mut reader = Reader { store, db, left: call.core.limits.reply() };
    let elements = query.select(store.peek(db, key), &mut reader)?;
    let results = query.results(elements, &mut reader)?;
    if let Some(target) = query.target {
        let mut list = List::default();
        results.into_iter().for_each(|item| list.push(End::Right, item.unwrap_or_default()));
        call.keep(target, list.len(), Value::List(list.into()));
    } else {
        let out = &mut call.session.out;
        out.array(results.len());
        results.into_iter().for_each(|item| out.bulk_or_null(item));
    }
    Ok(())
}

pub(super) fn sort(call: &mut Call<'_>) -> Outcome {
    run(call, true)
}

pub(super) fn sort_ro(call: &mut Call<'_>) -> Outcome {
    run(call, false)
}

/// The key that the result of a SORT is kept at, the last one if there are several.
pub(super) fn target(args: Args<'_>) -> Option<&[u8]> {
    let (mut index, mut target) = (2, None);
    while index + 1 < args.len() {
        index += match args.get(index).to_ascii_uppercase().as_slice() {
            b"LIMIT" => 3,
            b"BY" | b"GET" => 2,
            b"STORE" => {
                target = Some(args.get(index + 1));
                // As in Redis: the name is looked at as if it were an option.
                1
            }
            _ => 1,
        };
    }
    target
}
