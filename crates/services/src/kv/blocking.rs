//! Commands that wait for a key: who waits for what, in which order, until when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use locum_stack::service::FlowId;
use locum_types::Instant;

use super::call::{Call, Outcome};
use super::number;
use super::session::{Blocked, InVain, Mode, Session};
use super::store::Failure;

type Place = (u8, Box<[u8]>);

/// Everyone who waits.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    keys: BTreeMap<Place, BTreeSet<(u64, FlowId)>>,
    deadlines: BTreeSet<(Instant, FlowId)>,
    /// Keys that came, and may serve somebody.
    ready: VecDeque<Place>,
    /// The same keys, to find them.
    is_ready: BTreeSet<Place>,
    /// The one of them that serves right now.
    serving: Option<Place>,
    pub(super) turns: u64,
}

impl Waiting {
    /// Notes that there is something at a key.
    pub(super) fn signal(&mut self, db: u8, key: &[u8]) {
        if !self.awaits(db, key) {
            return;
        }
        let place = (db, key.into());
        if self.is_ready.insert(place.clone()) {
            self.ready.push_back(place);
        }
    }

    /// Whether somebody waits for a key.
    pub(super) fn awaits(&self, db: u8, key: &[u8]) -> bool {
        !self.keys.is_empty() && self.keys.contains_key(&(db, key.into()))
    }

    /// Notes that any key of a database may have come.
    pub(super) fn signal_all(&mut self, db: u8) {
        let keys: Vec<Place> = self.keys.keys().filter(|(at, _)| *at == db).cloned().collect();
        keys.iter().for_each(|(db, key)| self.signal(*db, key));
    }

    /// The next key that came, with those who wait for it, the longest first.
    pub(super) fn next_ready(&mut self) -> Option<Vec<FlowId>> {
        let place = self.ready.pop_front();
        self.serving.clone_from(&place);
        let place = place?;
        self.is_ready.remove(&place);
        let waiting = self.keys.get(&place).into_iter().flatten();
        Some(waiting.map(|(_, flow)| *flow).collect())
    }

    pub(super) fn add(&mut self, db: u8, flow: FlowId, blocked: &Blocked) {
        for key in &blocked.keys {
            self.keys.entry((db, key.clone())).or_default().insert((blocked.turn, flow));
        }
        self.deadlines.extend(blocked.deadline.map(|deadline| (deadline, flow)));
    }

    /// Ends the waiting of a connection.
    pub(super) fn remove(&mut self, session: &mut Session) -> Option<Blocked> {
        let blocked = session.blocked.take()?;
        for key in &blocked.keys {
            let place = (session.db, key.clone());
            if let Some(waiting) = self.keys.get_mut(&place) {
                waiting.remove(&(blocked.turn, session.flow));
                if waiting.is_empty() {
                    self.keys.remove(&place);
                }
            }
        }
        if let Some(deadline) = blocked.deadline {
            self.deadlines.remove(&(deadline, session.flow));
        }
        Some(blocked)
    }

    pub(super) fn next_tick(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// The next connection that has waited long enough.
    pub(super) fn overdue(&self, now: Instant) -> Option<FlowId> {
        self.deadlines.first().filter(|(deadline, _)| *deadline <= now).map(|(_, flow)| *flow)
    }
}

impl Session {
    /// What a client gets that waited in vain.
    pub(super) fn waited_in_vain(&mut self, in_vain: InVain) {
        match in_vain {
            InVain::Null => self.out.null(),
            InVain::NullArray => self.out.null_array(),
            InVain::Zero => self.out.count(0),
        }
    }
}

impl Call<'_> {
    /// How long to wait, as a client writes it; `None` is for ever.
    pub(super) fn timeout(&self, index: usize) -> Result<Option<Duration>, Failure> {
        let wrong = "ERR timeout is not a float or out of range";
        let seconds = number::float(self.arg(index)).ok_or(wrong)?;
        if seconds < 0.0 {
            return Err("ERR timeout is negative".into());
        }
        let timeout = Duration::try_from_secs_f64(seconds).map_err(|_| wrong)?;
        Ok((!timeout.is_zero()).then_some(timeout))
    }

    /// Whether a command may take from this key: who has waited takes from the key that came, no other.
    pub(super) fn may_take(&self, key: &[u8]) -> bool {
        let serving = self.core.waiting.serving.as_ref();
        self.session.mode != Mode::Retry || serving.is_some_and(|(_, serving)| **serving == *key)
    }

    /// Waits for one of these keys, or, within EXEC, answers that there is nothing.
    pub(super) fn wait<'k>(
        &mut self,
        keys: impl Iterator<Item = &'k [u8]>,
        timeout: Option<Duration>,
        in_vain: InVain,
    ) -> Outcome {
        match self.session.mode {
            Mode::Exec => self.session.waited_in_vain(in_vain),
            Mode::Retry => {}
            Mode::Direct => {
                self.core.waiting.turns += 1;
                let blocked = Blocked {
                    turn: self.core.waiting.turns,
                    deadline: timeout.map(|timeout| self.core.store.now + timeout),
                    spec: self.spec,
                    args: self.args.iter().collect(),
                    keys: keys.map(Box::from).collect(),
                    in_vain,
                };
                self.core.waiting.add(self.session.db, self.session.flow, &blocked);
                self.session.blocked = Some(blocked);
            }
        }
        Ok(())
    }
}

/// WAIT: nobody replicates this server as Redis does it, so who waits for somebody waits in vain.
pub(super) fn wait(call: &mut Call<'_>) -> Outcome {
    let wanted = call.integer(1)?;
    let millis =
        number::integer(call.arg(2)).ok_or("ERR timeout is not an integer or out of range")?;
    let millis = u64::try_from(millis).map_err(|_| "ERR timeout is negative")?;
    if wanted <= 0 {
        call.out().count(0);
        return Ok(());
    }
    let timeout = (millis > 0).then_some(Duration::from_millis(millis));
    call.wait(std::iter::empty(), timeout, InVain::Zero)
}
