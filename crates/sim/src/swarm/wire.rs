//! What the referee reads off the wire itself, frame by frame.

use std::time::Duration;

use locum_types::{BootNonce, Instant, Mode, Term};
use locum_wire::{Beat, BeatPacket};

use super::referee::Violation;
use crate::checker::speaks_for_service;
use crate::sniff::beat_payload;
use crate::{Sight, Station};

/// What is known of one node by its frames.
#[derive(Clone, Debug, Default)]
struct Voice {
    boot: Option<BootNonce>,
    term: Term,
    /// When it last beat, by its own clock: its lease is counted from then.
    beat_at: Option<Instant>,
    /// When it last became active: its first lease is counted from then.
    began_at: Instant,
    /// Since when it has to be silent for the service: it was frozen, and another took over.
    silenced: Option<Instant>,
    /// It was not, as far as is known.
    suspicion: Option<Violation>,
}

/// A listener on every cable.
#[derive(Debug)]
pub(super) struct Wire {
    identities: Vec<locum_gate::Identity>,
    voices: Vec<Voice>,
    /// How long an active node may speak after a beat of its own.
    lease: Duration,
    /// Who last spoke for the service.
    pub(super) last_speaker: Option<usize>,
    pub(super) service_frames: u64,
    pub(super) violations: Vec<Violation>,
}

impl Wire {
    pub(super) fn new(identities: Vec<locum_gate::Identity>, lease: Duration) -> Self {
        let voices = vec![Voice::default(); identities.len()];
        Wire {
            identities,
            voices,
            lease,
            last_speaker: None,
            service_frames: 0,
            violations: Vec::new(),
        }
    }

    /// From now on, whatever this node says for the service is wrong.
    pub(super) fn silence(&mut self, node: usize, at: Instant) {
        self.voices[node].silenced = Some(at);
    }

    /// It has become active in its own right.
    pub(super) fn allow(&mut self, node: usize) {
        self.voices[node].silenced = None;
        self.voices[node].suspicion = None;
    }

    /// The same, with a lease that begins now.
    pub(super) fn begin(&mut self, node: usize, at: Instant) {
        self.allow(node);
        self.voices[node].began_at = at;
    }

    pub(super) fn note(&mut self, sight: &Sight<'_>) {
        let Station::Node(index) = sight.from else { return };
        let node = index.0;
        if let Some(beat) = beat_in(sight.frame) {
            self.note_beat(sight, node, &beat);
            return;
        }
        let Some(what) = speaks_for_service(&self.identities[node], sight.frame) else { return };
        self.service_frames += 1;
        self.last_speaker = Some(node);
        self.suspect_zombie(sight.at, node, "a zombie spoke", || what.to_owned());
        let voice = &self.voices[node];
        let silent = sight.local - voice.beat_at.unwrap_or_default();
        // Nobody can take back what waits to be sent.
        let silent = silent.min(sight.at - voice.began_at).saturating_sub(sight.late);
        if silent > self.lease {
            let what = || format!("node {}: {what}; its last beat was {silent:?} ago", node + 1);
            self.suspect(sight.at, node, "a node spoke without a lease", what);
        }
    }

    /// Unless it turns out that the node has just become active, this is a violation.
    fn suspect(
        &mut self,
        at: Instant,
        node: usize,
        rule: &'static str,
        what: impl FnOnce() -> String,
    ) {
        let suspicion = &mut self.voices[node].suspicion;
        suspicion.get_or_insert_with(|| Violation { at, rule, what: what() });
    }

    /// A node that has to be silent was not.
    fn suspect_zombie(
        &mut self,
        at: Instant,
        node: usize,
        rule: &'static str,
        what: impl FnOnce() -> String,
    ) {
        if let Some(since) = self.voices[node].silenced.filter(|&since| at >= since) {
            let what = || format!("node {}: {}; superseded at {since}", node + 1, what());
            self.suspect(at, node, rule, what);
        }
    }

    /// Nothing more is known about what happened up to now: suspicions are violations.
    pub(super) fn confirm(&mut self) {
        for voice in &mut self.voices {
            self.violations.extend(voice.suspicion.take());
        }
    }

    fn note_beat(&mut self, sight: &Sight<'_>, node: usize, beat: &Beat) {
        let at = sight.at;
        self.voices[node].beat_at = Some(sight.local);
        let voice = &mut self.voices[node];
        let before = if voice.boot == Some(beat.boot) { voice.term } else { Term(0) };
        voice.boot = Some(beat.boot);
        voice.term = beat.term;
        if beat.term < before {
            let what = format!("node {}: from {} to {}", node + 1, before.0, beat.term.0);
            self.report(at, "a term went back", what);
        }
        // What was made before it slept is late, not a lie; as is what its first turn says.
        let made_ago = (sight.local.as_micros() as u32).wrapping_sub(beat.timestamp);
        if Duration::from_micros(made_ago.into()) > beat.interval / 2 {
            return;
        }
        let slept = self.voices[node].silenced.is_some_and(|since| at - since > beat.dead_after);
        if beat.mode == Mode::Active && slept {
            self.suspect_zombie(at, node, "a zombie beats as the active node", String::new);
        }
    }

    fn report(&mut self, at: Instant, rule: &'static str, what: String) {
        if self.violations.len() < super::referee::VIOLATIONS_MAX {
            self.violations.push(Violation { at, rule, what });
        }
    }
}

/// The beat in a frame, whoever sealed it.
fn beat_in(frame: &[u8]) -> Option<Beat> {
    let packet = BeatPacket::new_checked(beat_payload(frame)?).ok()?;
    Beat::parse(&packet).ok()
}
