//! Local deletion: forgetting users and festivals, and refusing what a user writes from now on.
//! Nobody else is affected, and nobody else needs to be asked.

use crate::{
    codec,
    document::{Document, Touched},
    id::{FestivalId, UserId},
    log::DocumentDescriptor,
    replica::{Replica, damaged, entries, fixed, kept, log_key},
    store::{Batch, Entry, StoreError, Table, prefix_end},
    view::{Pages, author_key, stored_at},
};

/// How many keys are deleted in one batch.
const PAGE: usize = 1024;

/// Why something was not removed. Nothing was.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// One's own documents cannot be refused.
    #[error("this is your own key: you cannot block or forget yourself")]
    Yourself,
    /// This device's store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Replica {
    /// Removes everything that a user wrote from this device, and takes in nothing of that user any
    /// more, until [`unblock`](Self::unblock).
    ///
    /// # Errors
    /// [`RemoveError`]; after an error of the store the user is blocked, and what is left of the
    /// documents goes with the next call.
    pub fn block(&mut self, user: UserId) -> Result<(), RemoveError> {
        if user == self.user() {
            return Err(RemoveError::Yourself);
        }
        let mut batch = Batch::new();
        batch.put(Table::Blocked, *user.as_bytes(), *b"");
        self.store.commit(batch)?;
        self.dirty = true;
        self.forget(user)
    }

    /// Takes in again what a user writes. What was removed comes back from other peers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn unblock(&mut self, user: &UserId) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.delete(Table::Blocked, *user.as_bytes());
        self.store.commit(batch)?;
        self.dirty = true;
        self.flush()
    }

    /// The users that are blocked here, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn blocked(&self) -> Result<Vec<UserId>, StoreError> {
        let blocked = self.store.range(Table::Blocked, &[], None, usize::MAX)?;
        let users = blocked.iter().filter(|(key, _)| key.len() == 32);
        users.map(|(key, _)| fixed(key).map(UserId::from_bytes)).collect()
    }

    /// Whether a user is blocked here.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn is_blocked(&self, user: &UserId) -> Result<bool, StoreError> {
        Ok(self.store.get(Table::Blocked, user.as_bytes())?.is_some())
    }

    /// Removes everything that a user wrote from this device. The next peer that holds it brings it
    /// back, unless the user is blocked.
    ///
    /// # Errors
    /// [`RemoveError`].
    pub fn forget(&mut self, user: UserId) -> Result<(), RemoveError> {
        if user == self.user() {
            return Err(RemoveError::Yourself);
        }
        self.remove_documents(|descriptor| descriptor.user == user)?;
        Ok(())
    }

    /// Stops following a festival and removes all of it from this device, one's own documents too.
    ///
    /// # Errors
    /// [`StoreError`]; what is left then goes with the next call.
    pub fn leave_festival(&mut self, festival: FestivalId) -> Result<(), StoreError> {
        // What was written and promised there is gone from here: joined again, this device must
        // neither go on with a log whose beginning it has forgotten nor promise anything unasked.
        self.incarnation = None;
        self.unused_token = None;
        self.forbid_decisions_in(festival)?;
        self.remove_documents(|descriptor| descriptor.festival == festival)?;
        self.forget_blocked_logs(festival)?;
        for (table, prefix) in stored_at(festival) {
            self.remove_all(table, &prefix)?;
        }
        self.remove_all(Table::Notes, festival.as_bytes())?;
        self.remove_all(Table::Meta, &kept::prefix(festival))?;
        let mut batch = Batch::new();
        batch.delete(Table::Meta, entries::version_key(festival));
        batch.delete(Table::Festivals, *festival.as_bytes());
        self.unsubscribe(festival, &mut batch);
        Self::note_left(festival, &mut batch);
        self.store.commit(batch)?;
        self.dirty = true;
        self.flush()
    }

    pub(super) fn remove_documents(
        &mut self,
        which: impl Fn(&DocumentDescriptor) -> bool,
    ) -> Result<(), StoreError> {
        let mut after = Vec::new();
        loop {
            let page = self.store.range(Table::Documents, &after, None, PAGE)?;
            for (key, bytes) in &page {
                let descriptor: DocumentDescriptor =
                    codec::decode_stored(bytes).map_err(damaged)?;
                if which(&descriptor) {
                    self.remove_document(&descriptor)?;
                }
                after = [&key[..], &[0]].concat();
            }
            if page.len() < PAGE {
                return self.flush();
            }
        }
    }

    /// Removes one document with its logs and what the view says of it, in one batch.
    fn remove_document(&mut self, descriptor: &DocumentDescriptor) -> Result<(), StoreError> {
        let document = descriptor.id();
        let cached = self.take_document(descriptor)?;
        let all = Touched::whole(cached.document.locals());
        drop(cached);
        let mut batch = Batch::new();
        let nothing = Document::new(descriptor.user);
        self.write_rows(&mut batch, descriptor, &nothing, &all)?;
        batch.delete(Table::Index, author_key(descriptor));
        let logs = self.document_logs(descriptor.festival, &document)?;
        if self.is_blocked(&descriptor.user)? {
            self.note_blocked_logs(&mut batch, descriptor, logs.iter().map(|(log, _)| *log))?;
        }
        for (log, _) in &logs {
            batch.delete(Table::Logs, log_key(descriptor.festival, log));
        }
        for table in [Table::Segments, Table::Cut, Table::Forks] {
            let mut pages = Pages::of(table, document.as_bytes());
            loop {
                let page = pages.next(&*self.store)?;
                if page.is_empty() {
                    break;
                }
                page.into_iter().for_each(|(key, _)| batch.delete(table, key));
            }
        }
        batch.delete(Table::Documents, *document.as_bytes());
        let mut grown = Vec::with_capacity(logs.len());
        for (log, state) in &logs {
            if state.is_cut {
                self.note_cut(log);
            }
            let tip = Some(state.tip()).filter(|tip| tip.length > 0);
            grown.push((descriptor.festival, *log, tip));
        }
        self.commit(batch, &grown)
    }

    pub(super) fn remove_all(&mut self, table: Table, prefix: &[u8]) -> Result<(), StoreError> {
        let end = prefix_end(prefix);
        loop {
            let page: Vec<Entry> = self.store.range(table, prefix, end.as_deref(), PAGE)?;
            if page.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::new();
            for (key, _) in page {
                batch.delete(table, key);
            }
            self.store.commit(batch)?;
            self.dirty = true;
        }
    }
}
