//! MULTI, EXEC and the keys they watch.

use super::call::{Call, Core, Outcome};
use super::session::{Mode, Multi, Session, Watch};

impl Core {
    /// Ends the watching of all keys.
    pub(super) fn forget_watches(&mut self, session: &mut Session) {
        for watch in std::mem::take(&mut session.watches) {
            self.store.unwatch(watch.db, &watch.key);
        }
    }
}

impl Call<'_> {
    pub(super) fn forget_watches(&mut self) {
        self.core.forget_watches(self.session);
    }
}

pub(super) fn multi(call: &mut Call<'_>) -> Outcome {
    if call.session.multi.is_some() {
        return Err("ERR MULTI calls can not be nested".into());
    }
    call.session.multi = Some(Multi::default());
    call.out().ok();
    Ok(())
}

pub(super) fn discard(call: &mut Call<'_>) -> Outcome {
    if call.session.multi.take().is_none() {
        return Err("ERR DISCARD without MULTI".into());
    }
    call.forget_watches();
    call.out().ok();
    Ok(())
}

pub(super) fn watch(call: &mut Call<'_>) -> Outcome {
    if call.session.multi.is_some() {
        return Err("ERR WATCH inside MULTI is not allowed".into());
    }
    let db = call.db();
    for key in call.args.from(1).iter() {
        let known = |watch: &Watch| watch.db == db && *watch.key == *key;
        if !call.session.watches.iter().any(known) {
            let version = call.store().watch(db, key);
            call.session.watches.push(Watch { db, key: key.into(), version });
        }
    }
    call.out().ok();
    Ok(())
}

pub(super) fn unwatch(call: &mut Call<'_>) -> Outcome {
    call.forget_watches();
    call.out().ok();
    Ok(())
}

pub(super) fn exec(call: &mut Call<'_>) -> Outcome {
    let multi = call.session.multi.take().ok_or("ERR EXEC without MULTI")?;
    let store = &mut call.core.store;
    let changed = |watch: &Watch| store.watched_version(watch.db, &watch.key) != watch.version;
    let stale = call.session.watches.iter().any(changed);
    call.forget_watches();
    if multi.failed {
        return Err("EXECABORT Transaction discarded because of previous errors.".into());
    }
    if stale {
        call.out().null_array();
        return Ok(());
    }
    call.out().array(multi.queue.len());
    call.session.mode = Mode::Exec;
    for queued in &multi.queue {
        let mut inner = Call {
            spec: queued.spec,
            args: queued.args.args(),
            session: &mut *call.session,
            core: &mut *call.core,
            peers: &mut *call.peers,
        };
        inner.run();
    }
    call.session.mode = Mode::Direct;
    Ok(())
}
