//! From text to a scenario: the shape of the file. What must hold between its parts is in `check`.
//!
//! A derived `Deserialize` stops at the first mistake. Here each mistake is noted, taken out of the
//! document, and the rest is read again, until nothing is wrong with what is left.

use std::fs;
use std::ops::Range;
use std::path::Path;

use locum_diagnosis::{Problem, Report, nearest};
use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer, Error};

use crate::check;
use crate::model::{NOT_A_DURATION, Place, Scenario, Source};

/// Mistakes of shape that are looked for; more of them help nobody.
const MISTAKES_MAX: usize = 32;

/// How keys are written, for advice. The first three must be in every file.
const EXAMPLES: [(&str, &str); 15] = [
    ("about", "\"The active node is killed.\""),
    ("duration", "\"2s\""),
    ("node", "[{ id = 1 }, { id = 2 }]"),
    ("at", "\"100ms\""),
    ("do", "\"kill\""),
    ("id", "1"),
    ("name", "\"alice\""),
    ("programs", "[{ kind = \"udp-echo\" }]"),
    ("kind", "\"udp-echo\""),
    ("between", "[\"left\", \"right\"]"),
    ("worlds", "[\"sim\", \"netns\"]"),
    ("weapons", "[\"garbage\"]"),
    ("with", "{ loss = 0.1 }"),
    ("active", "[1]"),
    ("starts", "false"),
];
const REQUIRED: usize = 3;

impl Scenario {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(path: &Path) -> Result<Scenario, Report> {
        let file = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| {
            let what = format!("cannot read the scenario: {error}");
            let fix = "name a TOML file; tests/scenarios has some to start from".to_owned();
            let problem = Problem { span: None, key: String::new(), what, fix };
            Report::new(file.clone(), String::new(), vec![problem])
        })?;
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        Scenario::parse(&text, &name.unwrap_or_default(), &file)
    }

    /// Checks `text` as the scenario called `name`, whose file is called `file` in messages.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str, name: &str, file: &str) -> Result<Scenario, Report> {
        let report = |problems| Report::new(file.to_owned(), text.to_owned(), problems);
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return Err(report(errors.into_iter().map(Problem::from).collect()));
        }
        let mut scenario = shape(document.get_ref()).map_err(report)?;
        scenario.source = Source { name: name.to_owned(), text: text.to_owned() };
        let problems = check::check(&scenario, document.get_ref());
        if problems.is_empty() { Ok(scenario) } else { Err(report(problems)) }
    }
}

/// The scenario, or every mistake of shape.
fn shape(document: &DeTable<'_>) -> Result<Scenario, Vec<Problem>> {
    let mut document = document.clone();
    let mut problems = complete(&mut document);
    let mut pruned: Vec<Pruned> = Vec::new();
    while problems.len() < MISTAKES_MAX {
        let table = Spanned::new(0..0, document.clone());
        let error = match Scenario::deserialize(Deserializer::from(table)) {
            Ok(scenario) if problems.is_empty() => return Ok(scenario),
            Ok(_) => break,
            Err(error) => error,
        };
        let mistake = Mistake::of(&error);
        let cut = error.span().and_then(|span| prune(&mut document, &span, "", &(0..0)));
        // What was taken out is missing for that reason.
        let is_echo = |cut: &Pruned| {
            let Mistake::Missing(key) = mistake else { return false };
            pruned.iter().any(|old| old.home == cut.place && old.key == key)
        };
        if !cut.as_ref().is_some_and(is_echo) {
            problems.push(mistake.problem(error.span(), cut.as_ref()));
        }
        match cut {
            Some(cut) => pruned.push(cut),
            None => break,
        }
        // What every file must have is put back, so that its absence is not one more mistake.
        complete(&mut document);
    }
    Err(problems)
}

/// Reports what every file must have, and puts something in its place so that reading can go on.
fn complete(document: &mut DeTable<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (key, example) in &EXAMPLES[..REQUIRED] {
        if document.contains_key(*key) {
            continue;
        }
        let value = match DeValue::parse(example) {
            Ok(value) => value.into_inner(),
            Err(_) => continue,
        };
        document.insert(Spanned::new(0..0, (*key).into()), Spanned::new(0..0, value));
        let fix = match *key {
            "node" => "add `[[node]]` with `id = 1`, and a second one with `id = 2`".to_owned(),
            _ => format!("add `{key} = {example}` at the top"),
        };
        let (key, what) = ((*key).to_owned(), "is missing".to_owned());
        problems.push(Problem { span: None, key, what, fix });
    }
    problems
}

/// What was taken out of a document.
struct Pruned {
    /// Where the table or list begins that it was in.
    home: Place,
    /// Where it was itself.
    place: Place,
    /// Its name, or that of its list.
    key: String,
    /// The same, from the top: `step.at`.
    path: String,
}

/// Takes the innermost key or item at `span` out of `table`.
fn prune(table: &mut DeTable<'_>, span: &Range<usize>, path: &str, home: &Place) -> Option<Pruned> {
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for (name, value) in table.iter_mut() {
        let (path, home) = (join(name.get_ref()), value.span());
        let cut = match value.get_mut() {
            DeValue::Table(inner) => prune(inner, span, &path, &home),
            DeValue::Array(items) => prune_items(items, span, name.get_ref(), &path),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => None,
        };
        if cut.is_some() {
            return cut;
        }
    }
    let holds = |range: Range<usize>| range.start <= span.start && span.end <= range.end;
    let found = table.iter().find(|(name, value)| holds(name.span()) || holds(value.span()));
    let (name, value) = found?;
    let (name, place) = (name.clone(), value.span());
    table.remove(&name);
    let key = name.into_inner().into_owned();
    Some(Pruned { home: home.clone(), place, path: join(&key), key })
}

fn prune_items(
    items: &mut DeArray<'_>,
    span: &Range<usize>,
    key: &str,
    path: &str,
) -> Option<Pruned> {
    for item in items.iter_mut() {
        let home = item.span();
        if let DeValue::Table(inner) = item.get_mut()
            && let Some(cut) = prune(inner, span, path, &home)
        {
            return Some(cut);
        }
    }
    let index = items.iter().position(|item| item.span() == *span)?;
    let mut rest = DeArray::new();
    let keep = items.iter().enumerate().filter(|&(other, _)| other != index);
    keep.for_each(|(_, item)| rest.push(item.clone()));
    *items = rest;
    Some(Pruned { home: 0..0, place: span.clone(), key: key.to_owned(), path: path.to_owned() })
}

/// What serde has against a document.
#[derive(Clone, Copy)]
enum Mistake<'e> {
    /// A key that nobody knows: its name, and what it may be.
    UnknownKey(&'e str),
    /// A word that nobody knows.
    UnknownWord(&'e str),
    Missing(&'e str),
    Other(&'e str),
}

impl<'e> Mistake<'e> {
    fn of(error: &'e Error) -> Mistake<'e> {
        let message = error.message().lines().next().unwrap_or_default();
        if message.starts_with("unknown field") {
            Mistake::UnknownKey(message)
        } else if message.starts_with("unknown variant") {
            Mistake::UnknownWord(message)
        } else if message.starts_with("missing field") {
            Mistake::Missing(ticked(message).first().copied().unwrap_or_default())
        } else {
            Mistake::Other(message)
        }
    }

    fn problem(self, span: Option<Place>, cut: Option<&Pruned>) -> Problem {
        let path = cut.map_or("", |cut| &cut.path).to_owned();
        let (key, what, fix) = match self {
            Mistake::UnknownKey(message) => {
                let words = ticked(message);
                let (given, known) = words.split_first().unwrap_or((&"", &[]));
                let fix = match nearest(given, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("remove it; known here are {}", quoted(known, '`')),
                };
                (path, "is not a key that scenarios know".to_owned(), fix)
            }
            Mistake::UnknownWord(message) => {
                let words = ticked(message);
                let (given, known) = words.split_first().unwrap_or((&"", &[]));
                let near = nearest(given, known);
                let fix = near.map(|near| format!("did you mean \"{near}\"?"));
                let what = format!("\"{given}\" is none of {}", quoted(known, '"'));
                (path, what, fix.unwrap_or_default())
            }
            Mistake::Missing(name) => {
                let fix = example(name).map(|example| format!("add `{name} = {example}`"));
                (format!("{path}.{name}"), "is missing".to_owned(), fix.unwrap_or_default())
            }
            Mistake::Other(message) => {
                let example = cut.and_then(|cut| Some((&cut.key, example(&cut.key)?)));
                let fix = match example {
                    Some((key, example)) => format!("write, for example, `{key} = {example}`"),
                    None if message.starts_with(NOT_A_DURATION) => {
                        "write it like \"30ms\" or \"1s 500ms\"".to_owned()
                    }
                    None => String::new(),
                };
                (path, plain(message), fix)
            }
        };
        Problem { span: span.filter(|span| *span != (0..0)), key, what, fix }
    }
}

/// What serde says about a value of the wrong type, in the words of the rest.
fn plain(message: &str) -> String {
    let kinds =
        message.strip_prefix("invalid type: ").and_then(|kinds| kinds.split_once(", expected "));
    let Some((found, wanted)) = kinds else { return message.to_owned() };
    let found = match found.split([' ', '`']).next().unwrap_or_default() {
        "string" => "a text",
        "integer" => "a number",
        "floating" => "a fraction",
        "boolean" => "true or false",
        "sequence" => "a list",
        "map" => "a table",
        _ => found,
    };
    let wanted = match wanted {
        "u8" | "u64" | "usize" => "a whole number",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        _ if wanted.contains("string") => "a text in quotes",
        _ if wanted.starts_with("struct") => "a table",
        _ => wanted,
    };
    format!("must be {wanted}, and is {found}")
}

fn example(key: &str) -> Option<&'static str> {
    EXAMPLES.iter().find(|(name, _)| *name == key).map(|&(_, example)| example)
}

/// The words of a message that stand between backticks.
fn ticked(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

fn quoted(words: &[&str], quote: char) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{quote}{word}{quote}")).collect();
    words.join(", ")
}
