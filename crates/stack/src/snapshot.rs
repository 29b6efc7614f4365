//! The whole state of a stack at a position of the log: its services, and its connections.
//!
//! A snapshot is taken at once and written out in parts, while the stack goes on: [`FrozenStack`]. Layout: what
//! each service wrote, one after the other; the head ([postcard]), which has their lengths; its length in four
//! bytes, least significant first.
//!
//! [postcard]: https://postcard.jamesmunns.com/wire-format

use std::collections::VecDeque;

use locum_types::sabotage::{Sabotage, sabotaged};
use locum_types::{Instant, LogPosition};
use serde::{Deserialize, Serialize};
use smoltcp::phy::Device;

use crate::image::FlowImage;
use crate::record::ServiceTime;
use crate::service::{FrozenState, RestoreError};
use crate::shadow::Misfit;
use crate::stack::{Listener, Stack};

const VERSION: u8 = 2;
const LEN_BYTES: usize = 4;

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is not one, or is cut off.
    #[error("the snapshot is damaged")]
    Damaged,
    /// Another version of this program made it.
    #[error(
        "the snapshot has version {0}, this program reads {VERSION}: run the same version on all nodes"
    )]
    Version(u8),
    /// The services differ.
    #[error(
        "the snapshot has a {kind} service on port {port}, this node has not: all nodes need the same services"
    )]
    NoService {
        /// Its port.
        port: u16,
        /// Its kind.
        kind: String,
    },
    /// A service refuses its part.
    #[error(transparent)]
    Service(#[from] RestoreError),
    /// The connections contradict each other.
    #[error(transparent)]
    Flow(#[from] Misfit),
}

#[derive(Serialize, Deserialize)]
struct Head {
    version: u8,
    /// The services' time, in nanoseconds.
    time: u64,
    position: u64,
    /// The highest number a connection ever had.
    highest: u64,
    services: Vec<ServiceHead>,
    flows: Vec<FlowImage>,
}

#[derive(Serialize, Deserialize)]
struct ServiceHead {
    port: u16,
    kind: String,
    len: u64,
}

/// The whole state of a stack at one moment, on its way to be bytes.
pub struct FrozenStack {
    head: Head,
    /// The states of services that are not written yet, in the order of the head's.
    states: VecDeque<Box<dyn FrozenState>>,
    is_whole: bool,
}

impl FrozenStack {
    /// The position of the log at which it was taken.
    pub const fn position(&self) -> LogPosition {
        LogPosition(self.head.position)
    }

    /// Appends the next bytes of the snapshot to `out`: about `limit`, which is at least 1. Returns whether there
    /// are more.
    pub fn write(&mut self, limit: usize, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        while let Some(state) = self.states.front_mut() {
            let left = limit.saturating_sub(out.len() - start);
            if left == 0 {
                return true;
            }
            let before = out.len();
            let has_more = state.write(left, out);
            let index = self.head.services.len() - self.states.len();
            self.head.services[index].len += (out.len() - before) as u64;
            if !has_more {
                self.states.pop_front();
            }
        }
        if !std::mem::replace(&mut self.is_whole, true) {
            // Plain data of known size: there is nothing in it that cannot be written.
            let head = postcard::to_stdvec(&self.head).unwrap_or_default();
            out.extend_from_slice(&head);
            out.extend_from_slice(&(head.len() as u32).to_le_bytes());
        }
        false
    }
}

impl<D: Device> Stack<D> {
    /// Every connection as it is now: those that live here, then those that are followed, each in the order of their
    /// numbers.
    pub fn images(&mut self) -> Vec<FlowImage> {
        let mut flows: Vec<FlowImage> =
            self.table.ids().into_iter().filter_map(|id| self.image(id)).collect();
        flows.extend(self.shadows.images());
        flows
    }

    /// What the services write into a snapshot, one after the other.
    pub fn service_states(&self) -> Vec<u8> {
        let mut states = Vec::new();
        self.replicated().for_each(|listener| listener.service.snapshot(&mut states));
        states
    }

    /// The part of the services' state that is to be compared with another node's at this position.
    pub fn state_part(&self, number: u64) -> Vec<u8> {
        let mut part = Vec::new();
        self.replicated().for_each(|listener| listener.service.part(number, &mut part));
        part
    }

    fn replicated(&self) -> impl Iterator<Item = &Listener> {
        self.listeners.iter().filter(|listener| listener.replicated)
    }

    /// Everything that a copy of this stack needs to go on with the entries that come after
    /// [`Stack::position`].
    pub fn freeze(&mut self, now: Instant) -> FrozenStack {
        let service = |listener: &Listener| ServiceHead {
            port: listener.port,
            kind: listener.service.kind().to_owned(),
            len: 0,
        };
        let mut flows = self.images();
        if sabotaged(Sabotage::SnapshotIncomplete) {
            flows.pop();
        }
        let head = Head {
            version: VERSION,
            time: self.time.at(now).as_nanos(),
            position: self.position.0,
            highest: self.table.highest_id().max(self.shadows.highest()),
            services: self.replicated().map(service).collect(),
            flows,
        };
        let states = self.replicated().map(|listener| listener.service.freeze()).collect();
        FrozenStack { head, states, is_whole: false }
    }

    /// Becomes a copy of the stack that made the snapshot: a follower, at its position.
    pub fn restore_snapshot(&mut self, now: Instant, snapshot: &[u8]) -> Result<(), SnapshotError> {
        let (head, mut bodies) = split(snapshot).ok_or(SnapshotError::Damaged)?;
        if let Some(&version) = head.first().filter(|&&version| version != VERSION) {
            return Err(SnapshotError::Version(version));
        }
        let head: Head = postcard::from_bytes(head).map_err(|_| SnapshotError::Damaged)?;
        self.forget();
        for ServiceHead { port, kind, len } in head.services {
            let len = usize::try_from(len).map_err(|_| SnapshotError::Damaged)?;
            let (body, rest) = bodies.split_at_checked(len).ok_or(SnapshotError::Damaged)?;
            bodies = rest;
            let found = self.listeners.iter_mut().find(|listener| listener.port == port);
            match found.filter(|it| it.replicated && it.service.kind() == kind) {
                Some(listener) => listener.service.restore(body)?,
                None => return Err(SnapshotError::NoService { port, kind }),
            }
        }
        for image in head.flows {
            self.shadows.restore(image)?;
        }
        self.shadows.skip_ids(head.highest);
        self.time = ServiceTime::starting(now, Instant::from_nanos(head.time));
        self.position = LogPosition(head.position);
        Ok(())
    }
}

/// The head, and what services wrote.
fn split(snapshot: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, len) = snapshot.split_last_chunk::<LEN_BYTES>()?;
    let (bodies, head) =
        rest.split_at_checked(rest.len().checked_sub(u32::from_le_bytes(*len) as usize)?)?;
    Some((head, bodies))
}
