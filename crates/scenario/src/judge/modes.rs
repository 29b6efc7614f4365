//! Who is what, at a moment or all through a period.

use std::time::Duration;

use locum_types::Mode;

use super::{Bench, brief};
use crate::model::{Expectation, Span};
use crate::outcome::{Condition, NodeTrack};

/// What a list of nodes claims.
struct Claim<'a> {
    nodes: &'a [u8],
    condition: Condition,
    /// Whether these are all of them.
    exactly: bool,
}

impl Claim<'_> {
    fn holds(&self, tracks: &[NodeTrack], at: Duration) -> bool {
        tracks.iter().all(|track| {
            let is = track.condition_at(at) == self.condition;
            let claimed = self.nodes.contains(&track.id);
            if self.exactly { is == claimed } else { is || !claimed }
        })
    }

    fn words(&self) -> String {
        let only = if self.exactly { "only " } else { "" };
        let name = condition_name(self.condition);
        match self.nodes {
            [] => format!("nobody is {name}"),
            [one] => format!("{only}node {one} is {name}"),
            nodes => {
                let ids: Vec<String> = nodes.iter().map(u8::to_string).collect();
                format!("{only}nodes {} are {name}", ids.join(", "))
            }
        }
    }
}

impl Bench<'_> {
    pub(super) fn modes(&mut self) {
        let Expectation { active, waiting, fenced, dead, at, .. } = self.expectation;
        let claims = [
            (active, Condition::Running(Mode::Active)),
            (waiting, Condition::Running(Mode::Waiting)),
            (fenced, Condition::Running(Mode::Fenced)),
            (dead, Condition::Dead),
        ];
        for (nodes, condition) in claims {
            let Some(nodes) = nodes else { continue };
            let exactly = condition == Condition::Running(Mode::Active);
            let claim = Claim { nodes, condition, exactly };
            let tracks = &self.outcome.nodes;
            let (moments, when) = match at {
                Some(Span(at)) => (vec![*at], format!(" at {}", Span(*at))),
                None => (self.moments(), self.when()),
            };
            let broken = moments.into_iter().find(|&at| !claim.holds(tracks, at));
            let seen = match broken {
                Some(at) => format!("{} at {}", summary(tracks, at), brief(at)),
                None => "so it was".to_owned(),
            };
            self.note(claim.words() + &when, broken.is_none(), seen);
        }
    }

    /// The beginning of the period, and every moment in it at which a condition changed.
    fn moments(&self) -> Vec<Duration> {
        let (from, to) = self.window();
        let tracks = self.outcome.nodes.iter();
        let changes = tracks.flat_map(|track| track.conditions.iter().map(|&(at, _)| at));
        let mut moments: Vec<Duration> =
            changes.filter(|&at| at > from && at < to).chain([from]).collect();
        moments.sort_unstable();
        moments
    }
}

/// `node 1 active, node 2 waiting`.
fn summary(tracks: &[NodeTrack], at: Duration) -> String {
    let one =
        |track: &NodeTrack| format!("node {} {}", track.id, condition_name(track.condition_at(at)));
    tracks.iter().map(one).collect::<Vec<String>>().join(", ")
}

fn condition_name(condition: Condition) -> String {
    match condition {
        Condition::Dead => "dead".to_owned(),
        Condition::Frozen => "frozen".to_owned(),
        Condition::Running(mode) => mode.to_string(),
    }
}
