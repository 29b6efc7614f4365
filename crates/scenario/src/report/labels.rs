//! Where labels go so that none covers another, nor the pole of another.

use super::canvas::Anchor;

/// What a character of a label is wide, as part of its height: wide fonts included.
const CHARACTER: f64 = 0.61;
/// What stays free between two labels.
const GAP: f64 = 5.0;
/// How far a label is from its pole.
const OFF: f64 = 3.0;

/// How wide a text is at most, at a size in pixels.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * CHARACTER
}

/// A label to place: it stands beside a pole, to its right or, at the edge, to its left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label {
    /// Where the pole is.
    pub(super) x: f64,
    /// How wide the text is.
    pub(super) width: f64,
}

impl Label {
    fn turned_left(self) -> f64 {
        self.x - OFF - self.width
    }
}

/// Where a label was placed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    /// The row, from the lanes upward.
    pub(super) row: usize,
    /// Where the text begins.
    pub(super) left: f64,
    /// Where it ends.
    pub(super) right: f64,
    /// Whether it is to the left of its pole.
    pub(super) turned: bool,
}

impl Place {
    /// Which end of the text is at the pole, and where that is.
    pub(super) fn anchor(self) -> (f64, Anchor) {
        if self.turned { (self.right, Anchor::End) } else { (self.left, Anchor::Start) }
    }

    fn covers(self, x: f64) -> bool {
        x > self.left - OFF / 2.0 && x < self.right + OFF / 2.0
    }

    fn touches(self, other: Place) -> bool {
        self.left < other.right + GAP && other.left < self.right + GAP
    }
}

/// Places labels within `left..right` in at most `rows` rows. A pole stands from its label's row
/// down to row 0 and beyond, so it must not go through a label below. A label for which there is no
/// room has no place.
pub(super) fn place(labels: &[Label], left: f64, right: f64, rows: usize) -> Vec<Option<Place>> {
    // Labels to the left of their poles go up from left to right, the others from right to left:
    // so each finds only labels beside its own pole, and none across it.
    let (turned, straight) = sides(labels, right);
    let order = turned.iter().rev().map(|&index| (index, true));
    let order = order.chain(straight.iter().map(|&index| (index, false)));
    let mut places = vec![None; labels.len()];
    for (index, turned) in order {
        let label = labels[index];
        let begin = if turned { label.turned_left() } else { label.x + OFF };
        let begin = begin.max(left);
        let candidate = |row| Place { row, left: begin, right: begin + label.width, turned };
        places[index] =
            (0..rows).map(candidate).find(|&place| is_free(place, label.x, labels, &places));
    }
    places
}

/// The labels that have to be to the left of their poles, and the others; both from right to left.
/// Whoever stands in the way of one to the left has to go there too.
fn sides(labels: &[Label], right: f64) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|&a, &b| labels[b].x.total_cmp(&labels[a].x));
    let mut covered = f64::INFINITY;
    order.into_iter().partition(|&index| {
        let label = labels[index];
        let turned = label.x + OFF + label.width > right || label.x + OFF > covered;
        if turned {
            covered = covered.min(label.turned_left());
        }
        turned
    })
}

fn is_free(place: Place, pole: f64, labels: &[Label], places: &[Option<Place>]) -> bool {
    labels.iter().zip(places).filter_map(|(label, place)| Some((label, (*place)?))).all(
        |(other, taken)| match taken.row.cmp(&place.row) {
            std::cmp::Ordering::Equal => !taken.touches(place),
            std::cmp::Ordering::Less => !taken.covers(pole),
            std::cmp::Ordering::Greater => !place.covers(other.x),
        },
    )
}

#[cfg(test)]
mod tests;
