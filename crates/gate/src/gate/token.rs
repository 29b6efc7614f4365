//! The gate's tokens: they obey the policy, and count.

use locum_types::sabotage::{Sabotage, sabotaged};
use locum_types::{Instant, Mode};
use smoltcp::phy::{self, PacketMeta};

use super::watch::Watch;
use crate::conflict;
use crate::counters::{AskedCounters, ClaimCounters, EgressCounters, IngressCounters};
use crate::frame::{Body, Kind, Ndp, NdpMessage, View};
use crate::policy::{self, Egress, Ingress, IngressDrop};
use crate::{Identity, repair};

/// One received frame, judged when the stack consumes it.
#[derive(Debug)]
pub struct RxToken<'a, T> {
    pub(super) inner: T,
    pub(super) judge: Judge<'a>,
}

/// What it takes to judge a received frame.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    pub(super) now: Instant,
    pub(super) mode: Mode,
    pub(super) identity: &'a Identity,
    pub(super) watch: &'a mut Watch,
    pub(super) ingress: &'a mut IngressCounters,
    pub(super) asked: &'a mut AskedCounters,
    pub(super) claims: &'a mut ClaimCounters,
}

impl Judge<'_> {
    /// Whether the stack gets the frame.
    #[inline]
    pub(super) fn admits(self, frame: &[u8]) -> bool {
        let view = View::parse(frame);
        self.ingress.frames += 1;
        if matches!(view.body, Body::Arp(_) | Body::Ndp(_)) {
            note_asked(self.identity, &view, self.asked);
            if let Some(sighting) = conflict::sighting(self.mode, self.identity, &view) {
                self.watch.note(self.now, self.mode, sighting, self.claims);
            }
        }
        let verdict = policy::ingress(self.mode, self.identity, &view);
        match verdict {
            Ingress::Pass => self.ingress.passed += 1,
            Ingress::Answer(_) if sabotaged(Sabotage::ProbesUnanswered) => {
                self.ingress.answered += 1;
            }
            Ingress::Answer(answer) if self.watch.answer(answer) => self.ingress.answered += 1,
            Ingress::Answer(_) => self.ingress.note_drop(IngressDrop::AnswersFull),
            Ingress::Drop(reason) => self.ingress.note_drop(reason),
        }
        verdict == Ingress::Pass
    }
}

/// Counts a question for a service address.
fn note_asked(identity: &Identity, view: &View, asked: &mut AskedCounters) {
    match view.body {
        Body::Arp(arp) if identity.is_service(arp.target) => {
            asked.arp_probe += u64::from(view.kind() == Kind::ArpProbe);
            asked.arp_request += u64::from(view.kind() == Kind::ArpRequest);
        }
        Body::Ndp(Ndp { message: NdpMessage::Solicit { target }, .. })
            if identity.is_service(target) =>
        {
            asked.dad_solicit += u64::from(view.kind() == Kind::DadSolicit);
            asked.neighbor_solicit += u64::from(view.kind() == Kind::NeighborSolicit);
        }
        Body::Arp(_) | Body::Ndp(_) | Body::Ip(_) | Body::Other | Body::Malformed => {}
    }
}

impl<T: phy::RxToken> phy::RxToken for RxToken<'_, T> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let judge = self.judge;
        // smoltcp skips an empty frame and goes on; no frame at all would end its loop, and starve
        // what is queued behind.
        self.inner.consume(|frame| f(if judge.admits(frame) { frame } else { &[] }))
    }

    fn meta(&self) -> PacketMeta {
        self.inner.meta()
    }
}

/// Room for one frame to transmit, judged when the stack has written it.
#[derive(Debug)]
pub struct TxToken<'a, T> {
    pub(super) inner: T,
    pub(super) mode: Mode,
    pub(super) identity: &'a Identity,
    pub(super) scratch: &'a mut Vec<u8>,
    pub(super) egress: &'a mut EgressCounters,
}

impl<T: phy::TxToken> phy::TxToken for TxToken<'_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let TxToken { inner, mode, identity, scratch, egress } = self;
        // Zeroed, so that nothing of an earlier frame can leave in this one.
        scratch.clear();
        scratch.resize(len, 0);
        // In every mode: the closure moves the state of the socket, and a waiting stack is a live
        // one.
        let result = f(scratch);
        egress.frames += 1;
        match policy::egress(mode, identity, &View::parse(scratch)) {
            Egress::Drop(reason) => {
                egress.note_drop(reason);
                return result;
            }
            Egress::Pass => egress.passed += 1,
            Egress::Rewrite(rewrite) => match repair::apply(rewrite, scratch) {
                true => egress.rewritten += 1,
                false => egress.passed += 1,
            },
        }
        inner.consume(len, |room| room.copy_from_slice(scratch));
        result
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.inner.set_meta(meta);
    }
}
