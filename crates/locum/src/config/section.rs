//! Walking the parsed document: sections hand out their keys one by one, and at the end report what
//! nobody asked for.
//!
//! A derived `Deserialize` stops at the first mistake. This walks the spanned document instead, so
//! that an operator sees all mistakes of a file in one go.

use std::cell::RefCell;
use std::ops::Range;

use locum_diagnosis::Problem;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::surface;

/// Where something stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The full key, `heartbeat.interval`.
    pub(super) key: String,
    pub(super) span: Option<Range<usize>>,
}

/// A value and where it was found.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// What is wrong with a value, or with what it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong.
    pub what: String,
    /// What to do about it. Empty: an example of the key says it.
    pub fix: String,
}

impl Wrong {
    /// `what` is wrong, and `fix` mends it.
    pub fn new(what: impl Into<String>, fix: impl Into<String>) -> Wrong {
        Wrong { what: what.into(), fix: fix.into() }
    }
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(super) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    pub(super) fn report(&self, place: &Place, what: impl Into<String>, fix: impl Into<String>) {
        let Place { key, span } = place.clone();
        self.0.borrow_mut().push(Problem { span, key, what: what.into(), fix: fix.into() });
    }

    pub(super) fn into_inner(self) -> Vec<Problem> {
        self.0.into_inner()
    }
}

/// One table of the document, or the place where it is missing.
pub(super) struct Section<'d> {
    /// Its name, empty for the document.
    name: &'static str,
    /// How its header is written.
    header: String,
    place: Place,
    content: Content<'d>,
    problems: &'d Problems,
}

/// What a section consists of.
#[derive(Clone, Copy)]
enum Content<'d> {
    Table(&'d DeTable<'d>),
    /// The file does not have it.
    Absent,
    /// It is something else, which has been reported: whatever is missing is missing for that.
    Malformed,
}

impl<'d> Section<'d> {
    /// The document itself.
    pub(super) fn document(table: &'d DeTable<'d>, problems: &'d Problems) -> Section<'d> {
        let place = Place { key: String::new(), span: None };
        Section { name: "", header: String::new(), place, content: Content::Table(table), problems }
    }

    /// Where the section begins.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The table `[name]`; absent and empty are the same.
    pub(super) fn section(&self, name: &'static str) -> Section<'d> {
        let Some((span, value)) = self.find(name) else {
            return self.child(name, None, Content::Absent);
        };
        let content = value.get_ref().as_table().map_or(Content::Malformed, Content::Table);
        let section = self.child(name, Some(span), content);
        if value.get_ref().is_array() {
            let fix = format!("write it once, as [{name}]");
            self.problems.report(&section.place, "is a list of sections", fix);
        } else if !value.get_ref().is_table() {
            let fix = format!("write [{name}] on a line of its own");
            self.problems.report(&section.place, "must be a section, and is a value", fix);
        }
        section
    }

    /// The tables `[[name]]`, in the order of the file; `None` if it is something else, which has
    /// been reported.
    pub(super) fn sections(&self, name: &'static str) -> Option<Vec<Section<'d>>> {
        let Some((span, value)) = self.find(name) else {
            return Some(Vec::new());
        };
        let section = |item: &'d Spanned<DeValue<'d>>| {
            let table = Content::Table(item.get_ref().as_table()?);
            let header = format!("[[{name}]]");
            Some(Section { header, ..self.child(name, Some(item.span()), table) })
        };
        let sections =
            value.get_ref().as_array().and_then(|items| items.iter().map(section).collect());
        if sections.is_none() {
            let place = Place { key: name.to_owned(), span: Some(span) };
            let fix = format!("write [[{name}]] on a line of its own, once for each");
            self.problems.report(&place, "must be a list of sections", fix);
        }
        sections
    }

    fn child(
        &self,
        name: &'static str,
        span: Option<Range<usize>>,
        content: Content<'d>,
    ) -> Section<'d> {
        let place = Place { key: name.to_owned(), span };
        Section { name, header: format!("[{name}]"), place, content, problems: self.problems }
    }

    /// The value of `key`, if it is there and `convert` takes it.
    pub(super) fn optional<T>(
        &self,
        key: &'static str,
        example: &str,
        convert: impl FnOnce(&DeValue<'_>) -> Result<T, Wrong>,
    ) -> Option<At<T>> {
        let (_, value) = self.find(key)?;
        self.convert(key, example, value, convert)
    }

    /// As [`Section::optional`], but its absence is a problem too.
    pub(super) fn required<T>(
        &self,
        key: &'static str,
        example: &str,
        convert: impl FnOnce(&DeValue<'_>) -> Result<T, Wrong>,
    ) -> Option<At<T>> {
        if self.find(key).is_none() {
            self.report_missing(key, example);
        }
        self.optional(key, example, convert)
    }

    /// The items of a list, or the one value that stands for a list of one.
    pub(super) fn list<T>(
        &self,
        key: &'static str,
        example: &str,
        convert: impl Fn(&DeValue<'_>) -> Result<T, Wrong>,
    ) -> Vec<At<T>> {
        let Some((_, value)) = self.find(key) else {
            return Vec::new();
        };
        let items: Vec<&Spanned<DeValue<'_>>> = match value.get_ref().as_array() {
            Some(array) => array.iter().collect(),
            None => vec![value],
        };
        items.into_iter().filter_map(|item| self.convert(key, example, item, &convert)).collect()
    }

    /// Reports that a key is not there.
    pub(super) fn report_missing(&self, key: &'static str, example: &str) {
        match self.content {
            Content::Malformed => {}
            Content::Table(_) | Content::Absent => {
                let place = Place { key: self.path(key), span: self.place.span.clone() };
                let fix = format!("add `{key} = {example}` to {}", self.header);
                self.problems.report(&place, "is missing", fix);
            }
        }
    }

    /// Whether `key` is a list without items.
    pub(super) fn is_empty_list(&self, key: &'static str) -> bool {
        let array = self.find(key).and_then(|(_, value)| value.get_ref().as_array());
        array.is_some_and(|array| array.is_empty())
    }

    /// Where `key` stands, whatever its value.
    pub(super) fn place_of(&self, key: &'static str) -> Option<Place> {
        let (_, value) = self.find(key)?;
        Some(Place { key: self.path(key), span: Some(value.span()) })
    }

    /// Reports the keys that do not exist.
    pub(super) fn report_unknown(&self) {
        let known = surface::keys_of(self.name);
        for (key, _) in self.table().into_iter().flatten() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let place = Place { key: self.path(name), span: Some(key.span()) };
                let kind = if self.name.is_empty() { "section" } else { "key" };
                let what = format!("is not a {kind} that locum knows");
                self.problems.report(&place, what, surface::advice(self.name, name));
            }
        }
    }

    fn convert<T>(
        &self,
        key: &'static str,
        example: &str,
        value: &Spanned<DeValue<'_>>,
        convert: impl FnOnce(&DeValue<'_>) -> Result<T, Wrong>,
    ) -> Option<At<T>> {
        let place = Place { key: self.path(key), span: Some(value.span()) };
        match convert(value.get_ref()) {
            Ok(value) => Some(At { value, place }),
            Err(Wrong { what, fix }) => {
                let example = || format!("write, for example, `{key} = {example}`");
                let fix = if fix.is_empty() { example() } else { fix };
                self.problems.report(&place, what, fix);
                None
            }
        }
    }

    fn table(&self) -> Option<&'d DeTable<'d>> {
        match self.content {
            Content::Table(table) => Some(table),
            Content::Absent | Content::Malformed => None,
        }
    }

    fn path(&self, key: &str) -> String {
        // A quoted key can be anything, so it is shown as text.
        let key = if key.chars().all(|c| c.is_ascii_graphic()) {
            key.to_owned()
        } else {
            format!("{key:?}")
        };
        if self.name.is_empty() { key } else { format!("{}.{key}", self.name) }
    }

    /// The span of the key, and the value.
    fn find(&self, key: &'static str) -> Option<(Range<usize>, &'d Spanned<DeValue<'d>>)> {
        debug_assert!(surface::keys_of(self.name).contains(&key), "{key} is not in the surface");
        let (name, value) = self.table()?.iter().find(|(name, _)| name.get_ref() == key)?;
        Some((name.span(), value))
    }
}
