//! The outages as a picture: one dot per round, on a logarithmic scale, readable on light and dark.

use std::fmt::Write as _;

use crate::stats::Series;
use crate::table::sorted;

const WIDTH: f64 = 860.0;
/// Room for the names at the left and the medians at the right.
const LEFT: f64 = 190.0;
const RIGHT: f64 = 90.0;
const TOP: f64 = 64.0;
const ROW: f64 = 30.0;
/// Extra room above the first row of a fault.
const GAP: f64 = 30.0;
const BOTTOM: f64 = 46.0;

/// An outage below this is drawn here: a logarithm knows no zero.
const FLOOR_MS: f64 = 0.1;

const STYLE: &str = "
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 } .fault { font-weight: 600 } .soft { fill: #6e7781 }
  .grid { stroke: #d0d7de; stroke-width: 1 } .median { stroke: #24292f; stroke-width: 2 }
  .c0 { fill: #0969da } .c1 { fill: #1a7f37 } .c2 { fill: #bc4c00 } .c3 { fill: #8250df }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .soft { fill: #8d96a0 }
    .grid { stroke: #30363d } .median { stroke: #e6edf3 }
    .c0 { fill: #4493f8 } .c1 { fill: #3fb950 } .c2 { fill: #f0883e } .c3 { fill: #ab7df8 }
  }
";

/// The scale of outages: powers of ten from left to right.
struct Scale {
    low: i32,
    high: i32,
}

impl Scale {
    fn of(series: &[Series]) -> Scale {
        let all = series.iter().flat_map(|one| &one.outages_ms).map(|&ms| ms.max(FLOOR_MS));
        let (low, high) =
            all.fold((1.0_f64, 10.0_f64), |(low, high), ms| (low.min(ms), high.max(ms)));
        Scale { low: low.log10().floor() as i32, high: high.log10().ceil() as i32 }
    }

    fn x(&self, ms: f64) -> f64 {
        let share =
            (ms.max(FLOOR_MS).log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }
}

/// The picture as an SVG document.
pub(crate) fn render(series: &[Series], caption: &str) -> String {
    let scale = Scale::of(series);
    let mut contenders: Vec<&str> = Vec::new();
    for one in series {
        if !contenders.contains(&one.contender.as_str()) {
            contenders.push(&one.contender);
        }
    }
    let mut body = String::new();
    let mut y = TOP;
    let mut fault = None;
    for one in sorted(series) {
        if fault != Some(one.fault) {
            fault = Some(one.fault);
            y += GAP;
            text(&mut body, "fault", 16.0, y - ROW * 0.6, "start", one.fault.name());
        }
        let color = contenders.iter().position(|name| *name == one.contender).unwrap_or(0) % 4;
        row(&mut body, &scale, one, y, color);
        y += ROW;
    }
    let mut grid = String::new();
    for power in scale.low..=scale.high {
        let ms = 10_f64.powi(power);
        let x = scale.x(ms);
        let _ = writeln!(grid, r#"<path class="grid" d="M{x:.1} {TOP}V{y:.1}"/>"#);
        text(&mut grid, "soft", x, y + 18.0, "middle", &format!("{ms} ms"));
    }
    let height = y + BOTTOM;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Outage at a takeover\">\n<style>{STYLE}</style>\n"
    );
    text(&mut svg, "title", 16.0, 28.0, "start", "Outage a client sees at a takeover");
    text(&mut svg, "soft", 16.0, 48.0, "start", caption);
    svg + &grid + &body + "</svg>\n"
}

/// A row: its name, a dot per round, a bar at the median, the median in figures.
fn row(svg: &mut String, scale: &Scale, one: &Series, y: f64, color: usize) {
    text(svg, "", LEFT - 12.0, y + 4.0, "end", &one.contender);
    for (round, &ms) in one.outages_ms.iter().enumerate() {
        // Spread over five lanes, so that equal outages do not hide each other.
        let lane = (round % 5) as f64 - 2.0;
        let (x, y) = (scale.x(ms), y + lane * 3.5);
        let _ = writeln!(
            svg,
            r#"<circle class="c{color}" cx="{x:.1}" cy="{y:.1}" r="3" fill-opacity=".6"/>"#
        );
    }
    let x = scale.x(one.summary.median_ms);
    let _ = writeln!(svg, r#"<path class="median" d="M{x:.1} {:.1}v22"/>"#, y - 11.0);
    let median = format!("{:.1} ms", one.summary.median_ms);
    text(svg, "", WIDTH - 16.0, y + 4.0, "end", &median);
}

fn text(svg: &mut String, class: &str, x: f64, y: f64, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        svg,
        r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#
    );
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::contender::Fault;
    use crate::round::Outcome;

    fn series(outages: &[u64]) -> Series {
        let outcomes: Vec<Outcome> = outages
            .iter()
            .map(|&micros| Outcome { outage: Duration::from_micros(micros), lost: 0, stall: None })
            .collect();
        Series::new("a & b", Fault::Cut, &outcomes).expect("some rounds")
    }

    #[test]
    fn every_round_is_a_dot_inside_the_plot() {
        let svg = render(&[series(&[0, 700, 32_000, 1_500_000])], "four rounds");
        let xs: Vec<f64> = svg
            .split("cx=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(xs.len(), 4);
        assert!(xs.windows(2).all(|pair| pair[0] < pair[1]), "{xs:?}");
        assert!(xs.iter().all(|x| (LEFT..=WIDTH - RIGHT).contains(x)), "{xs:?}");
    }

    #[test]
    fn names_are_escaped() {
        assert!(render(&[series(&[1])], "").contains("a &amp; b"));
    }
}
