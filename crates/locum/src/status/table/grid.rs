//! Cells in columns that line up, colour or not.

/// How to show a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Colour {
    #[default]
    Plain,
    /// Less important.
    Dim,
    Green,
    Yellow,
    Red,
}

impl Colour {
    /// The ANSI sequence (ECMA-48 SGR) that turns it on.
    const fn sequence(self) -> &'static str {
        match self {
            Colour::Plain => "",
            Colour::Dim => "\x1b[2m",
            Colour::Green => "\x1b[1;32m",
            Colour::Yellow => "\x1b[33m",
            Colour::Red => "\x1b[1;31m",
        }
    }
}

/// A short text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    colour: Colour,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), colour: Colour::Plain }
    }

    pub(crate) fn colour(self, colour: Colour) -> Cell {
        Cell { colour, ..self }
    }

    pub(crate) fn paint(&self, colour: bool) -> String {
        if colour && self.colour != Colour::Plain {
            format!("{}{}\x1b[0m", self.colour.sequence(), self.text)
        } else {
            self.text.clone()
        }
    }

    /// All our texts are of single-width characters.
    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// Rows of cells. Rows may differ in length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grid(Vec<Vec<Cell>>);

impl Grid {
    pub(crate) fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.0.push(cells.into());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Indented by two, columns two apart, a line per row.
    pub(crate) fn render(&self, colour: bool) -> String {
        let mut text = String::new();
        for row in &self.0 {
            for (column, cell) in row.iter().enumerate() {
                text.push_str("  ");
                text.push_str(&cell.paint(colour));
                // The last cell of a row may be as long as it likes, and has nothing after it.
                if column + 1 < row.len() {
                    let pad = self.width(column).saturating_sub(cell.width());
                    text.extend(std::iter::repeat_n(' ', pad));
                }
            }
            text.push('\n');
        }
        text
    }

    fn width(&self, column: usize) -> usize {
        let inner = self.0.iter().filter(|row| column + 1 < row.len());
        inner.filter_map(|row| row.get(column)).map(Cell::width).max().unwrap_or(0)
    }
}
