//! One picture of a window of time: the faults, a lane for each node, a lane for each client's
//! program, and the axis. The whole run and a close-up are the same picture of different windows.

use std::time::Duration;

use super::canvas::{Anchor, Canvas, Rect};
use super::client_lane::{self, ClientLane};
use super::labels::{self, Label, Place};
use super::moments::Silence;
use super::node_lane;
use super::scale::Scale;
use super::words;
use crate::outcome::{Fault, Outcome};

/// The size of labels, in pixels: the least that is legible.
const TEXT: f64 = 11.0;
/// The size of a lane's name.
const NAME: f64 = 12.0;
const NAME_ROW: f64 = 17.0;
const FLAG_ROW: f64 = 15.0;
const FLAG_ROWS: usize = 6;
const NODE_GAP: f64 = 7.0;
const CLIENT_GAP: f64 = 10.0;
const AXIS: f64 = 20.0;
/// Marks of the axis are at least this far apart.
const MARK_ROOM: f64 = 58.0;
/// What is left free at the right, for half of the last mark's text.
const EDGE: f64 = 16.0;
/// Labels of faults are cut to this many characters; to fewer where there is no room for them all.
const FLAG_LETTERS: [usize; 3] = [48, 32, 20];

/// What is drawn.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) outcome: &'a Outcome,
    /// The silences of each client.
    pub(super) silences: &'a [Vec<Silence>],
}

/// How much of it, and how large.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) from: Duration,
    pub(super) until: Duration,
    /// What the axis counts from.
    pub(super) origin: Duration,
    /// In CSS pixels.
    pub(super) width: f64,
    /// Where the names of the lanes are.
    pub(super) names: Names,
    /// What the picture shows.
    pub(super) title: String,
    /// And what is to be seen in it.
    pub(super) description: String,
    /// The class of the picture.
    pub(super) class: &'static str,
}

/// Where the names of the lanes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// To the left of the lane.
    Beside,
    /// Above it, where there is no room beside.
    Above,
}

/// Draws a view.
pub(super) fn draw(subject: Subject<'_>, view: &View) -> String {
    let left = match view.names {
        Names::Beside => gutter(subject.outcome),
        Names::Above => 6.0,
    };
    let scale = Scale::new(view.from, view.until, left, view.width - EDGE);
    let flags = Flags::new(&subject.outcome.faults, scale);
    let lanes: Vec<ClientLane<'_>> = subject
        .outcome
        .clients
        .iter()
        .zip(subject.silences)
        .map(|(track, silences)| ClientLane::new(track, silences, scale))
        .collect();
    let name_row = if view.names == Names::Above { NAME_ROW } else { 0.0 };
    let top = flags.height();
    let nodes = subject.outcome.nodes.len() as f64 * (name_row + node_lane::HEIGHT + NODE_GAP);
    let clients: f64 = lanes.iter().map(|lane| name_row + lane.height() + CLIENT_GAP).sum();
    let bottom = top + nodes + clients;
    let mut canvas =
        Canvas::new((view.width, bottom + AXIS), view.class, &view.title, &view.description);
    axis(&mut canvas, scale, view, top, bottom);
    let mut y = top;
    for node in &subject.outcome.nodes {
        y += name_row;
        name(&mut canvas, view.names, left, y, node_lane::MIDDLE, &format!("node {}", node.id));
        node_lane::draw(&mut canvas, scale, node, y, subject.outcome.duration.max(view.until));
        y += node_lane::HEIGHT + NODE_GAP;
    }
    for (track, lane) in subject.outcome.clients.iter().zip(&lanes) {
        y += name_row;
        name(&mut canvas, view.names, left, y, client_lane::MIDDLE, &words::program(track));
        lane.draw(&mut canvas, scale, y);
        y += lane.height() + CLIENT_GAP;
    }
    flags.draw(&mut canvas, top, bottom);
    canvas.finish()
}

/// How much room the names of the lanes need.
fn gutter(outcome: &Outcome) -> f64 {
    let names = outcome.clients.iter().map(words::program);
    let widest = names.map(|name| labels::width(&name, NAME)).fold(52.0, f64::max);
    widest.min(180.0) + 12.0
}

fn name(canvas: &mut Canvas, names: Names, left: f64, y: f64, middle: f64, text: &str) {
    let text = words::shortened(text, 26);
    match names {
        Names::Beside => {
            canvas.text((left - 10.0, y + middle + 4.0), Anchor::End, "name", &text);
        }
        Names::Above => canvas.text((left, y - 5.0), Anchor::Start, "name", &text),
    }
}

fn axis(canvas: &mut Canvas, scale: Scale, view: &View, top: f64, bottom: f64) {
    let marks = scale.marks(view.origin, MARK_ROOM);
    canvas.ticks(marks.iter().map(|mark| mark.x), top, bottom - top + 4.0, "grid");
    canvas.line((scale.left(), bottom + 0.5), (scale.right(), bottom + 0.5), "axis");
    for mark in marks {
        let half = labels::width(&mark.label, TEXT) / 2.0;
        let x = mark.x.clamp(half, (view.width - half).max(half));
        canvas.text((x, bottom + 16.0), Anchor::Middle, "mark", &mark.label);
    }
}

/// The faults in a window, their labels placed.
struct Flags<'a> {
    flags: Vec<(f64, &'a Fault)>,
    texts: Vec<String>,
    places: Vec<Option<Place>>,
}

impl<'a> Flags<'a> {
    /// In words if there is room for all of them, else by their numbers.
    fn new(faults: &'a [Fault], scale: Scale) -> Self {
        let shown: Vec<(usize, &Fault)> =
            faults.iter().enumerate().filter(|(_, fault)| scale.shows(fault.at)).collect();
        let flags: Vec<(f64, &Fault)> =
            shown.iter().map(|&(_, fault)| (scale.x(fault.at), fault)).collect();
        let place = |texts: &[String]| {
            let labels = flags.iter().zip(texts);
            let labels: Vec<Label> = labels
                .map(|(&(x, _), text)| Label { x, width: labels::width(text, TEXT) })
                .collect();
            labels::place(&labels, 0.0, scale.right() + EDGE, FLAG_ROWS)
        };
        for letters in FLAG_LETTERS {
            let shortened = |&(_, fault): &(f64, &Fault)| words::shortened(&fault.what, letters);
            let texts: Vec<String> = flags.iter().map(shortened).collect();
            let places = place(&texts);
            if places.iter().all(Option::is_some) {
                return Flags { flags, texts, places };
            }
        }
        let texts: Vec<String> = shown.iter().map(|(index, _)| (index + 1).to_string()).collect();
        let places = place(&texts);
        Flags { flags, texts, places }
    }

    fn height(&self) -> f64 {
        let rows = self.places.iter().flatten().map(|place| place.row + 1).max();
        4.0 + FLAG_ROW * rows.unwrap_or_default() as f64
    }

    fn draw(&self, canvas: &mut Canvas, lanes: f64, bottom: f64) {
        let row_top = |row: usize| lanes - 2.0 - FLAG_ROW * (row + 1) as f64;
        for (&(x, fault), place) in self.flags.iter().zip(&self.places) {
            let top = place.map_or(lanes - 2.0, |place| row_top(place.row) + 2.0);
            canvas.line((x, top), (x, bottom), "fault");
            // The line is thin: what answers a pointer is wider.
            let target = Rect { x: x - 3.0, y: top, width: 6.0, height: bottom - top };
            let tip = format!("{} at {}", fault.what, words::moment(fault.at));
            canvas.rect(target, "target", &tip);
        }
        for (text, place) in self.texts.iter().zip(&self.places) {
            let Some(place) = place else { continue };
            let (x, anchor) = place.anchor();
            canvas.text((x, row_top(place.row) + 11.0), anchor, "flag", text);
        }
    }
}
