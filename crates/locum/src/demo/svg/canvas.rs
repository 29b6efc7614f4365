//! Shapes as SVG text. It knows nothing about nodes or clients.

use std::fmt::Write;

use locum_types::Instant;

/// An SVG document in the making.
pub(super) struct Canvas {
    out: String,
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
    /// A card of a size, with its style sheet and its `<defs>`.
    pub(super) fn new(width: f64, height: f64, style: &str, definitions: &str) -> Self {
        let mut canvas = Canvas { out: String::new() };
        canvas.push(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"img\">\n\
             <title>locum demo</title>\n<style>\n{style}</style>\n<defs>{definitions}</defs>\n"
        ));
        let card = Rect { x: 0.5, y: 0.5, width: width - 1.0, height: height - 1.0 };
        canvas.rect(card, "card", Some(10.0));
        canvas
    }

    /// The finished document.
    pub(super) fn finish(mut self) -> String {
        self.out.push_str("</svg>\n");
        self.out
    }

    pub(super) fn rect(&mut self, rect: Rect, class: &str, radius: Option<f64>) {
        let Rect { x, y, width, height } = rect;
        let radius = radius.unwrap_or(1.5).min(width / 2.0);
        self.push(format_args!(
            "<rect class=\"{class}\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" \
             height=\"{height:.2}\" rx=\"{radius:.2}\"/>\n"
        ));
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.push(format_args!(
            "<path class=\"{class}\" d=\"M{x1:.2} {y1:.2}L{x2:.2} {y2:.2}\"/>\n"
        ));
    }

    /// Many upright ticks as one path.
    pub(super) fn ticks(
        &mut self,
        xs: impl Iterator<Item = f64>,
        top: f64,
        height: f64,
        class: &str,
    ) {
        self.push(format_args!("<path class=\"{class}\" d=\""));
        for x in xs {
            self.push(format_args!("M{x:.2} {top:.2}v{height:.2}"));
        }
        self.out.push_str("\"/>\n");
    }

    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let (anchor, text) = (anchor.name(), escape(text));
        self.push(format_args!(
            "<text class=\"{class}\" x=\"{x:.2}\" y=\"{y:.2}\" text-anchor=\"{anchor}\">\
             {text}</text>\n"
        ));
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.out.write_fmt(text);
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Maps a window of time onto a stretch of the picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    from: Instant,
    until: Instant,
    left: f64,
    right: f64,
}

impl Scale {
    pub(super) const fn new(from: Instant, until: Instant, left: f64, right: f64) -> Self {
        Scale { from, until, left, right }
    }

    /// The end of the window.
    pub(super) const fn until(self) -> Instant {
        self.until
    }

    /// Where the window begins in the picture.
    pub(super) const fn left(self) -> f64 {
        self.left
    }

    /// Whether a moment is within the window.
    pub(super) fn shows(self, at: Instant) -> bool {
        at >= self.from && at <= self.until
    }

    /// Where a moment is; ones outside the window are at its edges.
    pub(super) fn x(self, at: Instant) -> f64 {
        let window = (self.until - self.from).as_secs_f64();
        let part = (at.min(self.until) - self.from).as_secs_f64();
        if window > 0.0 { self.left + (self.right - self.left) * part / window } else { self.left }
    }

    /// Where a stretch of time begins, and how wide it is; `None` if it is outside the window.
    pub(super) fn extent(self, from: Instant, until: Instant) -> Option<(f64, f64)> {
        let overlaps = from < self.until && until > self.from;
        overlaps.then(|| (self.x(from), self.x(until) - self.x(from)))
    }
}
