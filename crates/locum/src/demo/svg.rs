//! The timeline as a picture: one self-contained SVG, legible on light and on dark pages.
//!
//! Above, the whole play: a lane for each node, coloured by its mode, one for what would survive, and one for each client.
//! Below, the moments around each fault, all on one scale, with every single answer.

mod canvas;
mod style;

use std::time::Duration;

use locum_types::{Instant, Mode};

use self::canvas::{Anchor, Canvas, Rect, Scale};
use super::check::millis;
use super::summary::Summary;
use super::timeline::{
    ClientLane, Condition, Copies, NodeLane, NodeView, Scene, Silence, Timeline,
};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 668.0;
const MARGIN: f64 = 28.0;

/// The whole play: where its lanes begin, and how high they are.
const LANES_LEFT: f64 = 92.0;
const LANES_TOP: f64 = 108.0;
const NODE_PITCH: f64 = 24.0;
const NODE_BAR: f64 = 16.0;
const SHIELD_BAR: f64 = 6.0;
const CLIENT_PITCH: f64 = 23.0;
const CLIENT_BAR: f64 = 6.0;

/// The close-ups.
const PANELS_TOP: f64 = 396.0;
const PANEL_GAP: f64 = 18.0;
const PANEL_LEFT: f64 = 36.0;
const PANEL_NODE_PITCH: f64 = 13.0;
const PANEL_NODE_BAR: f64 = 9.0;
const PANEL_SHIELD_BAR: f64 = 4.0;
const PANEL_CLIENT_PITCH: f64 = 22.0;
const TICK: f64 = 8.0;
/// What a close-up shows before its fault.
const BEFORE: Duration = Duration::from_millis(10);
/// And after it, at least.
const AFTER_MIN: Duration = Duration::from_millis(40);
/// Nothing that is worth a label is narrower.
const MARK_MIN: f64 = 2.0;

/// Draws a play.
pub(super) fn draw(timeline: &Timeline, summary: &Summary) -> String {
    let mut canvas = Canvas::new(WIDTH, HEIGHT, style::STYLE, style::DEFINITIONS);
    head(&mut canvas, summary);
    whole(&mut canvas, timeline);
    close_ups(&mut canvas, timeline);
    canvas.finish()
}

fn head(canvas: &mut Canvas, summary: &Summary) {
    canvas.text(MARGIN, 40.0, Anchor::Start, "title", "One address outlives its nodes");
    let faults = summary.rows.iter().filter(|row| row.fault.is_some()).count();
    let verdict = match summary.failed {
        0 => format!("all {} checks held", summary.checks),
        failed => format!("{failed} of {} checks failed", summary.checks),
    };
    let (leaks, connections) = (summary.leaks, summary.connections);
    let subtitle = format!(
        "locum demo: {faults} faults; {} connections, {} lost, {} wrong bytes",
        connections.kept + connections.lost,
        connections.lost,
        connections.wrong
    );
    canvas.text(MARGIN, 61.0, Anchor::Start, "muted", &subtitle);
    let oracle = format!("{verdict}; {} of {} frames leaked", leaks.leaked, leaks.checked);
    canvas.text(MARGIN, 77.0, Anchor::Start, "muted", &oracle);
    legend(canvas);
}

fn legend(canvas: &mut Canvas) {
    let bars = ["active", "waiting", "joining", "fenced", "frozen", "dead"];
    let mut x = WIDTH - MARGIN - 6.0 * 72.0;
    for class in bars {
        let swatch = Rect { x, y: 31.0, width: 14.0, height: 10.0 };
        bar(canvas, swatch, class);
        canvas.text(x + 19.0, 40.0, Anchor::Start, "small", class);
        x += 72.0;
    }
    let mut x = WIDTH - MARGIN - 6.0 * 72.0;
    let swatch = Rect { x, y: 52.0, width: 14.0, height: 10.0 };
    canvas.rect(swatch, "active", None);
    canvas.rect(swatch, "cut", None);
    canvas.text(x + 19.0, 61.0, Anchor::Start, "small", "cut off");
    x += 72.0;
    canvas.rect(Rect { x, y: 54.0, width: 14.0, height: CLIENT_BAR }, "answered", None);
    canvas.text(x + 19.0, 61.0, Anchor::Start, "small", "client answered");
    x += 2.0 * 72.0;
    canvas.rect(Rect { x, y: 54.0, width: 14.0, height: CLIENT_BAR }, "silence", None);
    canvas.text(x + 19.0, 61.0, Anchor::Start, "small", "without an answer");
    let mut x = WIDTH - MARGIN - 6.0 * 72.0;
    for (class, words) in [("protected", "protected"), ("unprotected", "unprotected")] {
        canvas.rect(Rect { x, y: 70.0, width: 14.0, height: SHIELD_BAR }, class, None);
        canvas.text(x + 19.0, 77.0, Anchor::Start, "small", words);
        x += if class == "protected" { 72.0 } else { 2.0 * 72.0 };
    }
}

/// The upper half.
fn whole(canvas: &mut Canvas, timeline: &Timeline) {
    let end = timeline.end();
    let scale = Scale::new(Instant::ZERO, end, LANES_LEFT, WIDTH - MARGIN);
    let nodes_height = timeline.nodes.len() as f64 * NODE_PITCH;
    let shield_top = LANES_TOP + nodes_height;
    let clients_top = shield_top + SHIELD_BAR + 8.0;
    let bottom = clients_top + timeline.clients.len() as f64 * CLIENT_PITCH;
    seconds_axis(canvas, scale, end, bottom);
    for (index, lane) in timeline.nodes.iter().enumerate() {
        let y = LANES_TOP + index as f64 * NODE_PITCH;
        let label = format!("node {}", lane.id);
        canvas.text(LANES_LEFT - 12.0, y + 12.5, Anchor::End, "label", &label);
        node_lane(canvas, scale, lane, y, NODE_BAR);
    }
    canvas.text(LANES_LEFT - 12.0, shield_top + 6.5, Anchor::End, "tick", "protection");
    shield(canvas, scale, timeline, (shield_top, SHIELD_BAR));
    for (index, lane) in timeline.clients.iter().enumerate() {
        let y = clients_top + index as f64 * CLIENT_PITCH;
        canvas.text(LANES_LEFT - 12.0, y + 19.0, Anchor::End, "label", lane.client.name());
        client_lane(canvas, scale, lane, timeline, y);
    }
    let deeds = timeline.scenes.iter().flat_map(|scene| &scene.deeds);
    for deed in deeds.filter(|deed| deed.node.is_some()) {
        let x = scale.x(deed.at);
        canvas.line((x, LANES_TOP - 20.0), (x, bottom), "fault");
        canvas.text(x + 4.0, LANES_TOP - 11.0, Anchor::Start, "caption", deed.action.name());
    }
}

fn seconds_axis(canvas: &mut Canvas, scale: Scale, end: Instant, bottom: f64) {
    for second in 0..=end.as_millis() / 1_000 {
        let x = scale.x(Instant::from_millis(second * 1_000));
        canvas.line((x, LANES_TOP), (x, bottom), "grid");
        canvas.text(x, bottom + 16.0, Anchor::Middle, "tick", &format!("{second} s"));
    }
}

fn node_lane(canvas: &mut Canvas, scale: Scale, lane: &NodeLane, y: f64, height: f64) {
    for span in lane.spans(scale.until()) {
        let Some((x, width)) = scale.extent(span.from, span.until) else { continue };
        let rect = Rect { x, y, width, height };
        bar(canvas, rect, class(span.view));
        if span.view.cut && span.view.condition != Condition::Dead {
            canvas.rect(rect, "cut", None);
        }
    }
}

/// Whether another node has everything.
fn shield(canvas: &mut Canvas, scale: Scale, timeline: &Timeline, (y, height): (f64, f64)) {
    for span in timeline.protection.spans(scale.until()) {
        let (Some(protection), Some((x, width))) = (span.view, scale.extent(span.from, span.until))
        else {
            continue;
        };
        let class = if protection.is_good() { "protected" } else { "unprotected" };
        canvas.rect(Rect { x, y, width: width.max(1.0), height }, class, None);
    }
}

/// A stretch of a node's lane. A dead node leaves a trace, no bar.
fn bar(canvas: &mut Canvas, rect: Rect, class: &'static str) {
    if class == "dead" {
        let middle = rect.y + rect.height / 2.0;
        canvas.line((rect.x, middle), (rect.x + rect.width, middle), "dead");
    } else {
        canvas.rect(rect, class, None);
    }
}

const fn class(view: NodeView) -> &'static str {
    match view.condition {
        Condition::Dead => "dead",
        Condition::Frozen => "frozen",
        Condition::Running(Mode::Active) => "active",
        Condition::Running(Mode::Waiting) => "waiting",
        Condition::Running(Mode::Joining) => "joining",
        Condition::Running(Mode::Fenced) => "fenced",
    }
}

fn client_lane(canvas: &mut Canvas, scale: Scale, lane: &ClientLane, all: &Timeline, y: f64) {
    let answers = lane.record.answers();
    let (Some(&first), Some(&last)) = (answers.first(), answers.last()) else { return };
    let y = y + CLIENT_PITCH - CLIENT_BAR - 5.0;
    if let Some((x, width)) = scale.extent(first, last) {
        canvas.rect(Rect { x, y, width, height: CLIENT_BAR }, "answered", None);
    }
    for scene in &all.scenes {
        mark_silence(canvas, scale, lane, scene, (y, CLIENT_BAR));
    }
}

/// The longest silence of an act as a red bar, its length above it, beside the line of the fault.
/// One answer that is a little late is no silence.
fn mark_silence(
    canvas: &mut Canvas,
    scale: Scale,
    lane: &ClientLane,
    scene: &Scene,
    (y, height): (f64, f64),
) {
    let every = lane.client.every();
    let silence = lane.silence(scene).filter(|silence| silence.length > every + every / 2);
    let Some(Silence { from, length }) = silence else { return };
    let Some((x, width)) = scale.extent(from, from + length) else { return };
    let width = width.max(MARK_MIN);
    canvas.rect(Rect { x, y, width, height }, "silence", None);
    let beside = scene.fault().map_or(x, |fault| scale.x(fault.at).max(x)) + 4.0;
    canvas.text(beside, y - 2.5, Anchor::Start, "figure", &figure(length));
}

/// Three digits at most: `2.1 ms`, `37 ms`, `1003 ms`.
fn figure(length: Duration) -> String {
    if length < Duration::from_millis(10) {
        millis(length)
    } else {
        format!("{:.0} ms", length.as_secs_f64() * 1e3)
    }
}

/// The lower half: one panel per fault, all with the same scale.
fn close_ups(canvas: &mut Canvas, timeline: &Timeline) {
    let faults: Vec<&Scene> =
        timeline.scenes.iter().filter(|scene| scene.fault().is_some()).collect();
    if faults.is_empty() {
        return;
    }
    let after = window(timeline, &faults);
    let title = "The same faults, close up: milliseconds from the fault, one tick per answer";
    canvas.text(MARGIN, PANELS_TOP - 16.0, Anchor::Start, "section", title);
    let count = faults.len() as f64;
    let width = (WIDTH - 2.0 * MARGIN - (count - 1.0) * PANEL_GAP) / count;
    for (index, scene) in faults.into_iter().enumerate() {
        let left = MARGIN + index as f64 * (width + PANEL_GAP);
        panel(canvas, timeline, scene, (left, width), after);
    }
}

/// How much to show after each fault: the longest silence of a client.
fn window(timeline: &Timeline, faults: &[&Scene]) -> Duration {
    let silences = faults
        .iter()
        .flat_map(|scene| timeline.clients.iter().filter_map(|lane| lane.silence(scene)));
    let longest = silences.map(|silence| silence.length).max().unwrap_or_default();
    let step = Duration::from_millis(10);
    let steps = (longest + step).as_millis().div_ceil(step.as_millis());
    (step * steps as u32).max(AFTER_MIN)
}

fn panel(
    canvas: &mut Canvas,
    timeline: &Timeline,
    scene: &Scene,
    (left, width): (f64, f64),
    after: Duration,
) {
    let Some(fault) = scene.fault() else { return };
    let rows = timeline.nodes.len() as f64 * PANEL_NODE_PITCH;
    let nodes_top = PANELS_TOP + 62.0;
    let shield_top = nodes_top + rows;
    let clients_top = shield_top + PANEL_SHIELD_BAR + 6.0;
    let bottom = clients_top + timeline.clients.len() as f64 * PANEL_CLIENT_PITCH;
    let frame = Rect { x: left, y: PANELS_TOP, width, height: bottom - PANELS_TOP + 24.0 };
    canvas.rect(frame, "panel", Some(6.0));
    canvas.text(left + 10.0, PANELS_TOP + 19.0, Anchor::Start, "label", fault.action.name());
    let outcome = match (scene.victim(), timeline.successor(scene)) {
        (Some(victim), Some((node, after))) => {
            format!("node {victim} to node {node} in {}", millis(after))
        }
        (_, None) | (None, _) => "nobody takes over".to_owned(),
    };
    canvas.text(left + 10.0, PANELS_TOP + 35.0, Anchor::Start, "small", &outcome);
    let Copies { carried, lost, .. } = scene.copies;
    let fate = format!("{carried} connections go on, {lost}");
    canvas.text(left + 10.0, PANELS_TOP + 51.0, Anchor::Start, "small", &fate);
    let window = (fault.at.saturating_sub(BEFORE), fault.at + after);
    let scale = Scale::new(window.0, window.1, left + PANEL_LEFT + 10.0, left + width - 10.0);
    millis_axis(canvas, scale, fault.at, after, (nodes_top, bottom));
    for (index, lane) in timeline.nodes.iter().enumerate() {
        let y = nodes_top + index as f64 * PANEL_NODE_PITCH;
        let label = lane.id.to_string();
        canvas.text(scale.left() - 7.0, y + 8.5, Anchor::End, "tick", &label);
        node_lane(canvas, scale, lane, y, PANEL_NODE_BAR);
    }
    shield(canvas, scale, timeline, (shield_top, PANEL_SHIELD_BAR));
    for (index, lane) in timeline.clients.iter().enumerate() {
        let y = clients_top + index as f64 * PANEL_CLIENT_PITCH;
        canvas.text(scale.left() - 7.0, y + 19.5, Anchor::End, "tick", lane.client.name());
        answers(canvas, scale, lane, scene, y);
    }
    let x = scale.x(fault.at);
    canvas.line((x, nodes_top - 4.0), (x, bottom), "fault");
}

fn millis_axis(
    canvas: &mut Canvas,
    scale: Scale,
    fault: Instant,
    after: Duration,
    (top, bottom): (f64, f64),
) {
    for tick in (0..=after.as_millis() as u64).step_by(10) {
        let x = scale.x(fault + Duration::from_millis(tick));
        canvas.line((x, top), (x, bottom), "grid");
        if tick.is_multiple_of(20) {
            canvas.text(x, bottom + 15.0, Anchor::Middle, "tick", &tick.to_string());
        }
    }
}

/// Every answer as a tick, and the longest silence in red, if it is one.
fn answers(canvas: &mut Canvas, scale: Scale, lane: &ClientLane, scene: &Scene, y: f64) {
    let top = y + PANEL_CLIENT_PITCH - TICK - 2.0;
    mark_silence(canvas, scale, lane, scene, (top + 1.0, TICK - 2.0));
    let shown = lane.record.answers().iter().filter(|&&at| scale.shows(at));
    canvas.ticks(shown.map(|&at| scale.x(at)), top, TICK, "answer");
}

#[cfg(test)]
mod tests;
