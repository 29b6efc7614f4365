//! Problems, and the report that shows them.

use std::fmt;
use std::ops::Range;

/// Problems shown of one file; more of them help nobody.
const SHOWN_MAX: usize = 20;
/// Characters shown of a line of source.
const LINE_LEN_MAX: usize = 160;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where in the file, in bytes; `None`: nowhere in particular.
    pub span: Option<Range<usize>>,
    /// The key, `heartbeat.interval`; empty for what is wrong with the file as a whole.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it; empty when that is obvious.
    pub fix: String,
}

/// A mistake of syntax.
impl From<toml::de::Error> for Problem {
    fn from(error: toml::de::Error) -> Problem {
        let what = format!("not TOML: {}", error.message().lines().next().unwrap_or_default());
        Problem { span: error.span(), key: String::new(), what, fix: String::new() }
    }
}

/// All that is wrong with one file. Its `Display` has several lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    file: String,
    text: String,
    problems: Vec<Problem>,
}

impl Report {
    /// A report about `file`, whose content is `text`. Problems are put in the order of the file.
    pub fn new(file: String, text: String, mut problems: Vec<Problem>) -> Report {
        problems.sort_by_key(|problem| problem.span.as_ref().map_or(0, |span| span.start));
        Report { file, text, problems }
    }

    /// What is wrong, in the order of the file; never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    fn write_problem(&self, f: &mut fmt::Formatter<'_>, problem: &Problem) -> fmt::Result {
        let Problem { span, key, what, fix } = problem;
        let colon = if key.is_empty() { "" } else { ": " };
        writeln!(f, "error: {key}{colon}{what}")?;
        let margin = match span.as_ref().and_then(|span| Spot::find(&self.text, span)) {
            Some(spot) => {
                let Spot { line, column, source, width } = spot;
                let number = line.to_string();
                let margin = number.len();
                writeln!(f, "{:margin$}--> {}:{line}:{column}", "", self.file)?;
                writeln!(f, "{:margin$} |", "")?;
                writeln!(f, "{number} | {source}")?;
                writeln!(f, "{:margin$} | {:indent$}{:^^width$}", "", "", "", indent = column - 1)?;
                margin
            }
            None => {
                writeln!(f, " --> {}", self.file)?;
                1
            }
        };
        if fix.is_empty() { Ok(()) } else { writeln!(f, "{:margin$} = fix: {fix}", "") }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.problems.iter().take(SHOWN_MAX) {
            self.write_problem(f, problem)?;
            writeln!(f)?;
        }
        let count = self.problems.len();
        if count > SHOWN_MAX {
            writeln!(f, "… and {} more", count - SHOWN_MAX)?;
        }
        write!(f, "{}: {count} error{}", self.file, if count == 1 { "" } else { "s" })
    }
}

impl std::error::Error for Report {}

/// A span as people count: lines and columns from 1, columns in characters.
#[derive(Debug, PartialEq, Eq)]
struct Spot {
    line: usize,
    column: usize,
    source: String,
    width: usize,
}

impl Spot {
    fn find(text: &str, span: &Range<usize>) -> Option<Spot> {
        let before = text.get(..span.start)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let source = text.get(line_start..)?.lines().next().unwrap_or("");
        let column = before.get(line_start..)?.chars().count() + 1;
        let marked = text.get(span.clone()).unwrap_or("");
        let width = marked.lines().next().unwrap_or("").chars().count();
        let room = source.chars().count().min(LINE_LEN_MAX).saturating_sub(column - 1);
        if column > LINE_LEN_MAX {
            return Some(Spot { line: line_of(before), column: 1, source: "…".into(), width: 1 });
        }
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        Some(Spot {
            line: line_of(before),
            column,
            source: source.chars().take(LINE_LEN_MAX).map(printable).collect(),
            width: width.clamp(1, room.max(1)),
        })
    }
}

/// The number of the line that follows `before`, from 1.
fn line_of(before: &str) -> usize {
    before.bytes().filter(|&byte| byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_carets_stay_on_the_line() {
        let text = "a = 1\n\tö = \"x\ny\"\n";
        let spot = Spot::find(text, &(text.find('"').unwrap()..text.len())).unwrap();
        assert_eq!(spot, Spot { line: 2, column: 6, source: " ö = \"x".into(), width: 2 });
    }

    #[test]
    fn a_span_at_the_end_of_the_file_has_a_caret() {
        let spot = Spot::find("a =", &(3..3)).unwrap();
        assert_eq!(spot, Spot { line: 1, column: 4, source: "a =".into(), width: 1 });
    }

    #[test]
    fn spans_that_are_not_of_this_text_are_no_panic() {
        assert_eq!(Spot::find("ö", &(1..2)), None);
        assert_eq!(Spot::find("", &(7..9)), None);
        assert!(Spot::find("ö", &(0..1)).is_some());
    }

    #[test]
    fn a_flood_of_problems_is_cut_short_but_counted() {
        let problem = Problem { span: None, key: "k".into(), what: "w".into(), fix: String::new() };
        let report = Report::new("f".into(), String::new(), vec![problem; 25]);
        let text = report.to_string();
        assert_eq!(text.matches("error: k: w").count(), SHOWN_MAX);
        assert!(text.ends_with("… and 5 more\nf: 25 errors"), "{text}");
    }
}
