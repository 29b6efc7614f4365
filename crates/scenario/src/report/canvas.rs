//! Shapes as inline SVG. It knows nothing about nodes or clients.

use std::fmt::Write as _;

use super::words::Escaped;

/// An SVG element in the making.
pub(super) struct Canvas {
    out: String,
    /// Texts, which are above all shapes.
    texts: String,
}

/// Which end of a text its position names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    const fn name(self) -> &'static str {
        match self {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        }
    }
}

/// A rectangle, from its upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Canvas {
    /// An empty picture of a size in CSS pixels, with what it shows in words.
    pub(super) fn new(size: (f64, f64), class: &str, title: &str, description: &str) -> Self {
        let mut canvas = Canvas { out: String::new(), texts: String::new() };
        let ((width, height), title) = (size, Escaped(title));
        canvas.push(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"{class}\" role=\"img\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" \
             aria-label=\"{title}\">\n<title>{title}</title>\n<desc>{}</desc>\n",
            Escaped(description),
        ));
        canvas
    }

    /// The finished element.
    pub(super) fn finish(mut self) -> String {
        self.out.push_str(&self.texts);
        self.out.push_str("</svg>\n");
        self.out
    }

    /// A rectangle, with what a pointer that rests on it is told.
    pub(super) fn rect(&mut self, rect: Rect, class: &str, tip: &str) {
        let Rect { x, y, width, height } = rect;
        self.push(format_args!(
            "<rect class=\"{class}\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" \
             height=\"{height:.2}\" rx=\"1.5\"><title>{}</title></rect>\n",
            Escaped(tip),
        ));
    }

    /// Many rectangles without rounding or tips, as one path.
    pub(super) fn rects(&mut self, rects: impl IntoIterator<Item = Rect>, class: &str) {
        self.path(class, rects, |out, Rect { x, y, width, height }| {
            let _ = write!(out, "M{x:.1} {y:.1}h{width:.1}v{height:.1}h-{width:.1}z");
        });
    }

    /// Many upright ticks as one path.
    pub(super) fn ticks(
        &mut self,
        xs: impl IntoIterator<Item = f64>,
        top: f64,
        height: f64,
        class: &str,
    ) {
        self.path(class, xs, |out, x| {
            let _ = write!(out, "M{x:.1} {top:.1}v{height:.1}");
        });
    }

    /// Many copies of one shape, a path in relative steps, each from a point of its own.
    pub(super) fn marks(
        &mut self,
        points: impl IntoIterator<Item = (f64, f64)>,
        shape: &str,
        class: &str,
    ) {
        self.path(class, points, |out, (x, y)| {
            let _ = write!(out, "M{x:.1} {y:.1}{shape}");
        });
    }

    /// A line.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.push(format_args!(
            "<path class=\"{class}\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>\n"
        ));
    }

    /// A text, on its base line, above all shapes.
    pub(super) fn text(&mut self, at: (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let ((x, y), anchor, text) = (at, anchor.name(), Escaped(text));
        let _ = writeln!(
            self.texts,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">\
             {text}</text>"
        );
    }

    /// One path of many parts; nothing if there are none.
    fn path<T>(
        &mut self,
        class: &str,
        parts: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut String, T),
    ) {
        let mut parts = parts.into_iter().peekable();
        if parts.peek().is_none() {
            return;
        }
        self.push(format_args!("<path class=\"{class}\" d=\""));
        parts.for_each(|part| write(&mut self.out, part));
        self.out.push_str("\"/>\n");
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.out.write_fmt(text);
    }
}
