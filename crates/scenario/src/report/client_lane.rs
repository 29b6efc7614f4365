//! A client's lane: its requests, answered or not, and below them its silences.

use std::time::Duration;

use super::canvas::{Canvas, Rect};
use super::density;
use super::labels::{self, Label, Place};
use super::moments::Silence;
use super::scale::Scale;
use super::words;
use crate::outcome::ClientTrack;

const STRIP: f64 = 12.0;
const BAR: f64 = 5.0;
const ROW: f64 = 12.0;
/// Labels of silences have at most this many rows.
const ROWS: usize = 3;
/// The size of a label, in pixels.
const TEXT: f64 = 11.0;
/// One lost request of many is seen all the same, in pixels.
const LOST_MIN: f64 = 3.0;
/// A silence is not drawn narrower, in pixels.
const SILENCE_MIN: f64 = 2.0;

/// Where the middle of the strip of requests is.
pub(super) const MIDDLE: f64 = STRIP / 2.0;

/// A lane, with its labels placed.
pub(super) struct ClientLane<'a> {
    track: &'a ClientTrack,
    bars: Vec<Bar>,
    places: Vec<Option<Place>>,
}

impl<'a> ClientLane<'a> {
    /// Lays out the lane of a client.
    pub(super) fn new(track: &'a ClientTrack, silences: &[Silence], scale: Scale) -> Self {
        let bars = bars(silences, scale);
        let label = |bar: &Bar| Label { x: bar.left, width: labels::width(&bar.label(), TEXT) };
        let wanted: Vec<Label> = bars.iter().map(label).collect();
        let places = labels::place(&wanted, scale.left(), scale.right(), ROWS);
        ClientLane { track, bars, places }
    }

    /// How high it is.
    pub(super) fn height(&self) -> f64 {
        let rows = self.places.iter().flatten().map(|place| place.row + 1).max();
        match (self.bars.is_empty(), rows) {
            (true, _) => STRIP,
            (false, rows) => STRIP + BAR + ROW * rows.unwrap_or_default() as f64,
        }
    }

    /// Draws it from `top` down.
    pub(super) fn draw(&self, canvas: &mut Canvas, scale: Scale, top: f64) {
        self.requests(canvas, scale, top);
        let crosses = self.track.connections_lost.iter().filter(|&&at| scale.shows(at));
        let crosses = density::thinned(crosses.map(|&at| scale.x(at)), 4.0);
        let crosses: Vec<(f64, f64)> = crosses.map(|x| (x, top + MIDDLE)).collect();
        canvas.marks(crosses.iter().copied(), CROSS, "lost-halo");
        canvas.marks(crosses, CROSS, "lost");
        for (bar, place) in self.bars.iter().zip(&self.places) {
            let y = top + STRIP + 1.0;
            let rect = Rect { x: bar.left, y, width: bar.right - bar.left, height: BAR - 1.0 };
            canvas.rect(rect, "silence", &bar.tip(self.track));
            let Some(place) = place else { continue };
            let (x, anchor) = place.anchor();
            let y = top + STRIP + BAR + ROW * (place.row + 1) as f64 - 1.0;
            canvas.text((x, y), anchor, "figure", &bar.label());
        }
    }

    fn requests(&self, canvas: &mut Canvas, scale: Scale, y: f64) {
        let requests = &self.track.requests;
        let answered =
            || requests.iter().filter_map(|&(_, answer)| answer).filter(|&at| scale.shows(at));
        let lost = || {
            let lost = requests.iter().filter(|(_, answer)| answer.is_none());
            lost.map(|&(sent, _)| sent).filter(|&at| scale.shows(at))
        };
        let Some(width) = density::bin_width(scale, answered().count() + lost().count()) else {
            self.waits(canvas, scale, y + STRIP / 2.0);
            canvas.ticks(answered().map(|at| scale.x(at)), y, STRIP, "answered");
            canvas.ticks(lost().map(|at| scale.x(at)), y + STRIP / 2.0, STRIP / 2.0, "unanswered");
            return;
        };
        let answered = density::bins(scale, width, answered());
        let lost = density::bins(scale, width, lost());
        let shares = answered.iter().zip(&lost).map(|(&answered, &lost)| share(answered, lost));
        let (mut blue, mut red) = (Vec::new(), Vec::new());
        for (share, first, length) in density::runs(shares) {
            let Some(share) = share else { continue };
            let lost = f64::from(share);
            let x = scale.left() + first as f64 * width;
            let rect =
                Rect { x, y, width: (length as f64 * width).min(scale.right() - x), height: STRIP };
            blue.push(Rect { height: STRIP - lost, ..rect });
            red.push(Rect { y: y + STRIP - lost, height: lost, ..rect });
        }
        canvas.rects(blue.into_iter().filter(|rect| rect.height > 0.0), "answers");
        canvas.rects(red.into_iter().filter(|rect| rect.height > 0.0), "losses");
    }

    /// From request to answer, where it took long enough to be seen.
    fn waits(&self, canvas: &mut Canvas, scale: Scale, y: f64) {
        let waits = self.track.requests.iter().filter_map(|&(sent, answer)| {
            let (left, right) = scale.extent(sent, answer?)?;
            let rect = Rect { x: left, y: y - 0.75, width: right - left, height: 1.5 };
            (rect.width > 6.0).then_some(rect)
        });
        canvas.rects(waits, "wait");
    }
}

/// The silences as bars; what would be one on the screen is one.
fn bars(silences: &[Silence], scale: Scale) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    for silence in silences {
        let Some((left, right)) = scale.extent(silence.from, silence.until) else { continue };
        let right = right.max(left + SILENCE_MIN);
        match bars.last_mut() {
            Some(bar) if left < bar.right + 1.0 => bar.join(right, silence.length),
            Some(_) | None => bars.push(Bar {
                left,
                right,
                silences: 1,
                begun: silence.from,
                longest: silence.length,
            }),
        }
    }
    bars
}

/// One bar, of one silence or of many.
struct Bar {
    left: f64,
    right: f64,
    silences: usize,
    begun: Duration,
    longest: Duration,
}

impl Bar {
    fn join(&mut self, right: f64, length: Duration) {
        self.right = self.right.max(right);
        self.silences += 1;
        self.longest = self.longest.max(length);
    }

    fn label(&self) -> String {
        let longest = words::span(self.longest);
        if self.silences > 1 { format!("≤ {longest}") } else { longest }
    }

    fn tip(&self, track: &ClientTrack) -> String {
        let (begun, longest) = (words::moment(self.begun), words::span(self.longest));
        let name = words::program(track);
        match self.silences {
            1 => format!("{name} silent for {longest} from {begun}"),
            many => format!("{name} silent {many} times from {begun}, {longest} at most"),
        }
    }
}

/// How many pixels of the strip say that requests were lost; `None` if there were no requests.
fn share(answered: u32, lost: u32) -> Option<u16> {
    let part = match (answered, lost) {
        (0, 0) => return None,
        (_, 0) => 0.0,
        (0, _) => STRIP,
        (answered, lost) => {
            let share = STRIP * f64::from(lost) / (f64::from(answered) + f64::from(lost));
            share.clamp(LOST_MIN, STRIP - 1.0)
        }
    };
    Some(part.round() as u16)
}

/// A cross, from its middle.
pub(super) const CROSS: &str = "m-3.5 -3.5l7 7m-7 0l7 -7";
