//! The gate: the device through which every frame of the service stack passes.
//!
//! It obeys [`crate::policy`] and counts; it never decides. Frames are judged where they lie: a
//! received frame is not copied, a sent one only because smoltcp's token cannot take back what was
//! written into it.

use std::sync::Arc;

use locum_types::sabotage::{Sabotage, sabotaged};
use locum_types::{Instant, Mode, ModeCell};
use smoltcp::phy::{self, Device, DeviceCapabilities};
use smoltcp::time::Instant as SmolInstant;
use smoltcp::wire::{ArpOperation, IpAddress};

use crate::announce::{Announcement, Announcer, JoinSource};
use crate::counters::GateCounters;
use crate::craft::{self, Buffer, FRAME_LEN_MAX};
use crate::frame::View;
use crate::policy::{self, Answer, Egress};
use crate::{Identity, Sighting};

mod token;
mod watch;

use token::{Judge, RxToken, TxToken};
use watch::{Reply, Watch};

/// A device that lets the service stack speak only while its node is active.
///
/// Not active: whatever the stack sends is written into a scratch buffer and dies there, and it
/// receives empty frames in place of what arrived, which smoltcp skips. Either way tokens are
/// handed out exactly as the inner device does, so that the stack's state does not depend on the
/// gate.
#[derive(Debug)]
pub struct Gate<D> {
    inner: D,
    identity: Identity,
    cell: Arc<ModeCell>,
    /// The term of the active grant that the last poll found in the cell, whether or not its lease
    /// held.
    noticed: Option<u16>,
    /// The term of the activation that is announced; `None` while not active.
    speaking: Option<u16>,
    announcer: Announcer,
    /// Announcements wait.
    holding: bool,
    watch: Watch,
    scratch: Vec<u8>,
    counters: GateCounters,
}

impl<D: Device> Gate<D> {
    /// A gate before `inner` that does what `cell` allows.
    pub fn new(inner: D, identity: Identity, cell: Arc<ModeCell>) -> Self {
        let frame_len_max = inner.capabilities().max_transmission_unit;
        Gate {
            announcer: Announcer::new(&identity),
            holding: false,
            inner,
            identity,
            cell,
            noticed: None,
            speaking: None,
            watch: Watch::new(),
            scratch: Vec::with_capacity(frame_len_max),
            counters: GateCounters::default(),
        }
    }

    /// Notices what the cell says, and sends what is due: answers, then announcements.
    ///
    /// Call it before each poll of the stack. An activation starts the burst in the same call, so
    /// the announcement leaves before the stack's first frame.
    pub fn poll(&mut self, now: Instant) {
        self.follow(now);
        self.send_replies(now);
        self.send_announcements(now);
    }

    /// Starts the burst again, after a sign of a rival or a healed link; nothing happens unless the
    /// node is active.
    pub fn announce(&mut self, now: Instant) {
        let before = self.speaking;
        self.follow(now);
        // An activation that nobody had noticed has just begun its burst.
        if self.speaking.is_some() && self.speaking == before {
            self.announcer.restart(now);
            self.counters.sent.bursts += 1;
        }
    }

    /// While a successor may have announced itself, announcements of this node wait: they would take the
    /// address back.
    pub fn hold_announcements(&mut self, holding: bool) {
        self.holding = holding;
    }

    /// When [`Gate::poll`] is due, and why. May change after any other call, and when the cell
    /// changes.
    #[must_use]
    pub fn poll_deadline(&self) -> Option<(Instant, &'static str)> {
        if self.noticed != self.granted() {
            return Some((Instant::ZERO, "mode to notice"));
        }
        if self.watch.replies_len() != 0 {
            return Some((Instant::ZERO, "answers to send"));
        }
        let announcement = self.announcer.poll_deadline().filter(|_| !self.holding);
        announcement.map(|due| (due, "announcement"))
    }

    /// The oldest claim of others that was not drained yet.
    pub fn poll_sighting(&mut self) -> Option<Sighting> {
        self.watch.pop_sighting()
    }

    /// What passed and what did not.
    pub fn counters(&self) -> &GateCounters {
        &self.counters
    }

    /// The device on the link's side.
    pub fn inner(&self) -> &D {
        &self.inner
    }

    /// The device on the link's side.
    pub fn inner_mut(&mut self) -> &mut D {
        &mut self.inner
    }

    fn granted(&self) -> Option<u16> {
        let cell = self.cell.read();
        (cell.granted_mode() == Mode::Active).then(|| cell.term_tag())
    }

    /// The mode by which frames are judged. An activation that begins while the stack is being
    /// polled counts from the next [`Gate::poll`]: nothing may leave before its announcement.
    #[inline]
    fn mode_at(&self, now: Instant) -> Mode {
        let cell = self.cell.read();
        let mode = cell.mode_at(now);
        let announced = self.speaking == Some(cell.term_tag()) || sabotaged(Sabotage::GateOpen);
        if mode == Mode::Active && !announced { Mode::Waiting } else { mode }
    }

    /// Notices the begin and the end of an activation.
    fn follow(&mut self, now: Instant) {
        self.noticed = self.granted();
        let active = self.cell.mode_at(now) == Mode::Active;
        let term = self.noticed.filter(|_| active);
        if term == self.speaking {
            return;
        }
        self.speaking = term;
        match term {
            Some(_) => {
                self.announcer.activate(now);
                self.counters.sent.bursts += 1;
            }
            None => {
                self.announcer.stop();
                self.forget_replies();
            }
        }
    }

    fn forget_replies(&mut self) {
        self.counters.sent.stale += self.watch.replies_len() as u64;
        self.watch.forget_replies();
    }

    fn send_replies(&mut self, now: Instant) {
        if self.watch.replies_len() == 0 {
            return;
        }
        if self.mode_at(now) != Mode::Active {
            self.forget_replies();
            return;
        }
        while self.watch.replies_len() != 0 {
            let Some(token) = self.inner.transmit(now.into()) else { return };
            let Some(reply) = self.watch.pop_reply() else { return };
            let mut frame = [0; FRAME_LEN_MAX];
            let len = emit_reply(reply, &self.identity, &mut frame);
            let sent = &mut self.counters.sent;
            let count = match reply {
                Reply::Answer(_) => &mut sent.answers,
                Reply::Defend(_) => &mut sent.defences,
            };
            match send_own(token, self.cell.mode_at(now), &self.identity, frame.get(..len)) {
                true => *count += 1,
                false => sent.refused += 1,
            }
        }
    }

    fn send_announcements(&mut self, now: Instant) {
        while !self.holding && self.announcer.poll_deadline().is_some_and(|due| due <= now) {
            let Some(token) = self.inner.transmit(now.into()) else { return };
            let Some(announcement) = self.announcer.poll(now) else { return };
            let mut frame = [0; FRAME_LEN_MAX];
            let source = JoinSource::of(&self.identity);
            let len = announcement.emit(self.identity.service_mac(), source, &mut frame);
            match send_own(token, self.cell.mode_at(now), &self.identity, frame.get(..len)) {
                true => self.counters.sent.announcements += 1,
                false => self.counters.sent.refused += 1,
            }
        }
    }
}

/// Sends a frame of the gate's own, if it passes the check that every frame has to pass.
fn send_own<T: phy::TxToken>(
    token: T,
    mode: Mode,
    identity: &Identity,
    frame: Option<&[u8]>,
) -> bool {
    let Some(frame) = frame else { return false };
    match policy::egress(mode, identity, &View::parse(frame)) {
        // Built right in the first place: what would be repaired is already so.
        Egress::Pass | Egress::Rewrite(_) => {
            token.consume(frame.len(), |room| room.copy_from_slice(frame));
            true
        }
        Egress::Drop(_) => false,
    }
}

fn emit_reply(reply: Reply, identity: &Identity, frame: &mut Buffer) -> usize {
    let mac = identity.service_mac();
    match reply {
        Reply::Answer(Answer::Arp { address, mac: to, sender }) => {
            craft::arp(ArpOperation::Reply, (mac, address), (to, sender), to, frame)
        }
        Reply::Answer(Answer::Solicited { address, mac: to, sender }) => {
            craft::advert((mac, address), (to, sender), frame)
        }
        Reply::Answer(Answer::AllNodes { address }) | Reply::Defend(IpAddress::Ipv6(address)) => {
            Announcement::Advert(address).emit(mac, JoinSource::of(identity), frame)
        }
        Reply::Defend(IpAddress::Ipv4(address)) => {
            Announcement::ArpRequest(address).emit(mac, JoinSource::of(identity), frame)
        }
    }
}

impl<D: Device> Device for Gate<D> {
    type RxToken<'a>
        = RxToken<'a, D::RxToken<'a>>
    where
        D: 'a;
    type TxToken<'a>
        = TxToken<'a, D::TxToken<'a>>
    where
        D: 'a;

    fn receive(
        &mut self,
        timestamp: SmolInstant,
    ) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let now = timestamp.into();
        // The answer to the frame before leaves before the next one is looked at.
        self.send_replies(now);
        let mode = self.mode_at(now);
        let (rx, tx) = self.inner.receive(timestamp)?;
        let GateCounters { ingress, egress, asked, claims, .. } = &mut self.counters;
        let identity = &self.identity;
        let watch = &mut self.watch;
        let judge = Judge { now, mode, identity, watch, ingress, asked, claims };
        let tx = TxToken { inner: tx, mode, identity, scratch: &mut self.scratch, egress };
        Some((RxToken { inner: rx, judge }, tx))
    }

    fn transmit(&mut self, timestamp: SmolInstant) -> Option<Self::TxToken<'_>> {
        let mode = self.mode_at(timestamp.into());
        let inner = self.inner.transmit(timestamp)?;
        Some(TxToken {
            inner,
            mode,
            identity: &self.identity,
            scratch: &mut self.scratch,
            egress: &mut self.counters.egress,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.inner.capabilities()
    }
}

#[cfg(test)]
mod tests;
