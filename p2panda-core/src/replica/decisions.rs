//! Where this device may promise more: only where it knows what its user promised before.

use std::collections::BTreeSet;

use crate::{
    id::FestivalId,
    replica::{Replica, Stopped, fixed},
    store::{Batch, Store, StoreError, Table, prefix_end},
    view::documents_of,
};

/// In `Table::Meta`: alone it holds everywhere, with a festival behind it in that one.
const MAY_DECIDE_KEY: &[u8] = b"may decide";

/// The festivals in which this device knows all that its user promised.
#[derive(Default)]
pub(super) struct Decisions {
    /// In those too that are joined later.
    everywhere: bool,
    festivals: BTreeSet<FestivalId>,
}

impl Decisions {
    /// What the store says, which counts only where it goes on from a clean close. Elsewhere it
    /// may be an older copy: what it says is taken out of it.
    pub(super) fn of_store(store: &mut dyn Store, goes_on: bool) -> Result<Self, StoreError> {
        let end = prefix_end(MAY_DECIDE_KEY);
        let stored = store.range(Table::Meta, MAY_DECIDE_KEY, end.as_deref(), usize::MAX)?;
        let mut decisions = Self::default();
        let mut batch = Batch::new();
        for (key, _) in stored {
            match key.get(MAY_DECIDE_KEY.len()..) {
                Some([]) | None => decisions.everywhere = true,
                Some(id) => drop(decisions.festivals.insert(FestivalId::from_bytes(fixed(id)?))),
            }
            batch.delete(Table::Meta, key);
        }
        if goes_on || batch.is_empty() {
            return Ok(decisions);
        }
        store.commit(batch)?;
        store.flush()?;
        Ok(Self::default())
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.everywhere && self.festivals.is_empty()
    }

    fn contains(&self, festival: FestivalId) -> bool {
        self.everywhere || self.festivals.contains(&festival)
    }
}

impl Replica {
    /// Whether this device knows what its user promised in a festival, so that it may promise more.
    ///
    /// False in every festival for a new store, and again whenever a store is opened that was not
    /// closed cleanly or whose token is gone: it may be an older copy, and what was promised since
    /// is not in it. So it is once this device meets what its own log went on with elsewhere: then
    /// it is an older copy. True in a festival once that was founded here, or after
    /// [`allow_decisions_in`](Self::allow_decisions_in) or
    /// [`allow_decisions`](Self::allow_decisions).
    ///
    /// Whatever was allowed, it is false while a log of the user's own there stands still as
    /// [`Failed`](Stopped::Failed) or [`Waiting`](Stopped::Waiting): promises behind that are held,
    /// and not seen. What is [`Refused`](Stopped::Refused) stands for ever and counts nowhere, and so
    /// does what waits in a document with a cut log, perhaps for what was cut off.
    ///
    /// Nothing here refuses decisions; clients and stewards ask before they sign any. It reads the
    /// states of the user's own logs, and is false where the store fails.
    #[must_use]
    pub fn may_decide(&self, festival: FestivalId) -> bool {
        self.decisions.contains(festival) && matches!(self.own_logs_go_on(festival), Ok(true))
    }

    fn own_logs_go_on(&self, festival: FestivalId) -> Result<bool, StoreError> {
        for document in documents_of(&*self.store, festival, &self.user())? {
            let logs = self.document_logs(festival, &document)?;
            let some_cut = logs.iter().any(|(_, state)| state.is_cut);
            let stands = |why| match why {
                Stopped::Failed => true,
                Stopped::Waiting => !some_cut,
                Stopped::Refused(_) => false,
            };
            if logs.iter().filter_map(|(_, state)| state.stopped).any(stands) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Says that this device knows what its user promised in a festival: because all of the user's
    /// own documents there were synced since the opening. Of a session, the festivals in which they
    /// were stand in `SyncEvent::CaughtUp`. It says nothing of any other festival.
    ///
    /// Documents by which a user decides have ids that a device does not know before it holds them.
    /// So one that keeps a part of a festival ([`Subscription`](crate::Subscription)) knows of all
    /// of them only by a sync in which both sides kept all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn allow_decisions_in(&mut self, festival: FestivalId) -> Result<(), StoreError> {
        if self.decisions.contains(festival) {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.put(Table::Meta, festival_key(festival), *b"");
        self.store.commit(batch)?;
        self.store.flush()?;
        self.decisions.festivals.insert(festival);
        Ok(())
    }

    /// Says that this device knows what its user promised wherever that was, in festivals joined
    /// later too: because the key was generated here just now, or because the user says that there
    /// is no other copy of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn allow_decisions(&mut self) -> Result<(), StoreError> {
        if self.decisions.everywhere {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.put(Table::Meta, MAY_DECIDE_KEY, *b"");
        self.store.commit(batch)?;
        self.store.flush()?;
        self.decisions.everywhere = true;
        Ok(())
    }

    /// This is an older copy of this device: nowhere does it know what its user promised since.
    pub(super) fn forbid_decisions(&mut self) -> Result<(), StoreError> {
        if self.decisions.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.delete(Table::Meta, MAY_DECIDE_KEY);
        for festival in &self.decisions.festivals {
            batch.delete(Table::Meta, festival_key(*festival));
        }
        self.store.commit(batch)?;
        self.dirty = true;
        self.decisions = Decisions::default();
        Ok(())
    }

    /// Says that what was promised in a festival is not known here any more. Where this device may
    /// decide otherwise stays, but for festivals joined later: the same one may be among them.
    pub(super) fn forbid_decisions_in(&mut self, festival: FestivalId) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        let mut festivals = std::mem::take(&mut self.decisions.festivals);
        if std::mem::take(&mut self.decisions.everywhere) {
            batch.delete(Table::Meta, MAY_DECIDE_KEY);
            for other in self.festivals()? {
                batch.put(Table::Meta, festival_key(other.id()), *b"");
                festivals.insert(other.id());
            }
        }
        batch.delete(Table::Meta, festival_key(festival));
        festivals.remove(&festival);
        self.store.commit(batch)?;
        self.dirty = true;
        self.decisions.festivals = festivals;
        Ok(())
    }
}

fn festival_key(festival: FestivalId) -> Vec<u8> {
    [MAY_DECIDE_KEY, &festival.as_bytes()[..]].concat()
}
