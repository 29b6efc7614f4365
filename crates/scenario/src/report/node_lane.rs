//! A node's lane: what it said about the service address, its condition, its beats.

use std::time::Duration;

use super::canvas::{Anchor, Canvas, Rect};
use super::density;
use super::labels;
use super::scale::Scale;
use super::words;
use crate::outcome::{Condition, NodeTrack, Word};

const WORDS: f64 = 9.0;
const BAR: f64 = 18.0;
const BEATS: f64 = 6.0;
/// Between the bar and its beats.
const SEAM: f64 = 1.5;
/// The size of a text in a bar, in pixels.
const TEXT: f64 = 11.0;
/// Words of one kind that are nearer to each other than this look like one.
const WORD_ROOM: f64 = 4.0;

/// Beats to several peers within this are those of one turn.
const TURN: Duration = Duration::from_micros(200);

/// How high a lane is.
pub(super) const HEIGHT: f64 = WORDS + BAR + SEAM + BEATS;
/// Where the middle of its bar is.
pub(super) const MIDDLE: f64 = WORDS + BAR / 2.0;

/// Draws a lane from `top` down.
pub(super) fn draw(canvas: &mut Canvas, scale: Scale, node: &NodeTrack, top: f64, end: Duration) {
    conditions(canvas, scale, node, top + WORDS, end);
    beats(canvas, scale, &node.beats, top + WORDS + BAR + SEAM);
    spoken(canvas, scale, &node.words, top + WORDS / 2.0);
}

fn conditions(canvas: &mut Canvas, scale: Scale, node: &NodeTrack, y: f64, end: Duration) {
    let ends = node.conditions.iter().skip(1).map(|&(at, _)| at).chain([end]);
    for (&(from, condition), until) in node.conditions.iter().zip(ends) {
        let Some((left, right)) = scale.extent(from, until) else { continue };
        let name = words::condition(condition);
        // What was short must not vanish.
        let rect = Rect { x: left, y, width: (right - left).max(1.0), height: BAR };
        let tip = format!(
            "node {} {name} from {} to {}: {}",
            node.id,
            words::moment(from),
            words::moment(until),
            words::span(until.saturating_sub(from)),
        );
        canvas.rect(rect, name, &tip);
        if matches!(condition, Condition::Frozen | Condition::Dead) {
            canvas.rects([rect], &format!("hatch-{name}"));
        }
        if labels::width(name, TEXT) + 8.0 <= rect.width {
            canvas.text((left + 5.0, y + 13.0), Anchor::Start, &format!("on-{name}"), name);
        }
    }
}

fn beats(canvas: &mut Canvas, scale: Scale, beats: &[Duration], y: f64) {
    let mut shown: Vec<Duration> = beats.iter().copied().filter(|&at| scale.shows(at)).collect();
    shown.sort_unstable();
    shown.dedup_by(|later, earlier| *later - *earlier < TURN);
    let Some(width) = density::bin_width(scale, shown.len()) else {
        canvas.ticks(shown.into_iter().map(|at| scale.x(at)), y, BEATS, "beat");
        return;
    };
    let bins = density::bins(scale, width, shown.into_iter());
    let usual = usual(&bins);
    // In thirds, and one short of the next is the next: regular beats do not fall evenly.
    let levels = bins.iter().map(|&beats| match beats {
        0 => 0,
        some => ((some + 1) * 3).div_ceil(usual).min(3),
    });
    let bars = density::runs(levels).into_iter().filter(|&(level, ..)| level > 0);
    let bars = bars.map(|(level, first, length)| {
        let height = BEATS * f64::from(level) / 3.0;
        let x = scale.left() + first as f64 * width;
        Rect { x, y, width: (length as f64 * width).min(scale.right() - x), height }
    });
    canvas.rects(bars, "beats");
}

/// How many beats a stretch with beats has, as a rule.
fn usual(bins: &[u32]) -> u32 {
    let mut counts: Vec<u32> = bins.iter().copied().filter(|&beats| beats > 0).collect();
    counts.sort_unstable();
    counts.get(counts.len() / 2).copied().unwrap_or(1)
}

fn spoken(canvas: &mut Canvas, scale: Scale, spoken: &[(Duration, Word)], y: f64) {
    for word in [Word::Answer, Word::Probe, Word::Announcement] {
        let at = spoken.iter().filter(|&&(at, said)| said == word && scale.shows(at));
        let xs = density::thinned(at.map(|&(at, _)| scale.x(at)), WORD_ROOM);
        canvas.marks(xs.map(|x| (x, y)), shape(word), words::word(word));
    }
}

/// The outline of a word's mark, from its middle.
pub(super) const fn shape(word: Word) -> &'static str {
    match word {
        // A triangle that points at the bar, a disc, and a diamond.
        Word::Announcement => "m-4 -4h8l-4 8z",
        Word::Answer => "m-2.8 0a2.8 2.8 0 1 0 5.6 0a2.8 2.8 0 1 0 -5.6 0z",
        Word::Probe => "m0 -3.8l3.8 3.8l-3.8 3.8l-3.8 -3.8z",
    }
}
