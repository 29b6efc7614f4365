//! MULTI, EXEC and the keys they watch.

use std::collections::btree_map::Entry;

use super::call::{Call, Core, Outcome};
use super::held::cost;
use super::session::{Mode, Multi, Session, WATCHES_MAX};
use super::store::OOM;
use super::table;

impl Core {
    /// Ends the watching of all keys.
    pub(super) fn forget_watches(&mut self, session: &mut Session) {
        for (db, key) in std::mem::take(&mut session.watches).keys.into_keys() {
            self.store.unwatch(db, &key);
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
    let (db, keys) = (call.db(), call.args.from(1));
    if call.session.watches.keys.len() + keys.len() > WATCHES_MAX {
        return Err("ERR too many watched keys".into());
    }
    for key in keys.iter() {
        if let Entry::Vacant(fresh) = call.session.watches.keys.entry((db, key.into())) {
            fresh.insert(call.core.store.watch(db, key));
            call.session.watches.bytes += cost(key);
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
    let mut watches = call.session.watches.keys.iter();
    let stale = watches.any(|((db, key), version)| store.watched_version(*db, key) != *version);
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
        if queued.spec.has(table::NEEDS_MEMORY) && call.core.store.is_full() {
            call.out().error(OOM);
            continue;
        }
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
