//! Logs of users who are blocked, as far as any were seen: what peers are told to keep to themselves.
//!
//! In [`Table::Blocked`] they stand below their user and stay when the user is unblocked, until they
//! arrive again: whoever was told that they are refused can so be told that they are not.

use crate::{
    id::{DocumentId, FestivalId, Incarnation, LogId},
    log::DocumentDescriptor,
    replica::{Replica, fixed},
    store::{Batch, StoreError, Table, prefix_end},
};

/// How many logs are remembered of one blocked user: more can be made up than are worth keeping.
const MAX_BLOCKED_LOGS: usize = 256;

/// A log of a user who is, or was, blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockedLog {
    /// The log.
    pub log: LogId,
    /// Whether its user is blocked still. If not, it has not arrived again yet.
    pub is_blocked: bool,
}

impl Replica {
    /// Logs of a festival whose users are blocked here, as far as they were held or offered, and
    /// those that were and have not arrived again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn blocked_logs(&self, festival: FestivalId) -> Result<Vec<BlockedLog>, StoreError> {
        let mut logs = Vec::new();
        let mut blocked = None;
        // A user's own row comes before those of the user's logs.
        for (key, _) in self.store.range(Table::Blocked, &[], None, usize::MAX)? {
            let Some((user, rest)) = key.split_at_checked(32).filter(|(_, rest)| !rest.is_empty())
            else {
                blocked = Some(key);
                continue;
            };
            if let Some(log) = rest.strip_prefix(&festival.as_bytes()[..]) {
                let [document, incarnation] =
                    [log.get(..32), log.get(32..)].map(Option::unwrap_or_default);
                let document = DocumentId::from_bytes(fixed(document)?);
                let incarnation = Incarnation::from_bytes(fixed(incarnation)?);
                let is_blocked = blocked.as_deref() == Some(user);
                logs.push(BlockedLog { log: LogId { document, incarnation }, is_blocked });
            }
        }
        Ok(logs)
    }

    /// A blocked user's log was offered.
    pub(super) fn note_blocked_log(
        &mut self,
        descriptor: &DocumentDescriptor,
        log: LogId,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        self.note_blocked_logs(&mut batch, descriptor, [log])?;
        if !batch.is_empty() {
            self.store.commit(batch)?;
            self.dirty = true;
        }
        Ok(())
    }

    pub(super) fn note_blocked_logs(
        &self,
        batch: &mut Batch,
        descriptor: &DocumentDescriptor,
        logs: impl IntoIterator<Item = LogId>,
    ) -> Result<(), StoreError> {
        let user = descriptor.user.as_bytes();
        let end = prefix_end(user);
        let held = self.store.range(Table::Blocked, user, end.as_deref(), MAX_BLOCKED_LOGS + 1)?;
        let room = (MAX_BLOCKED_LOGS + 1).saturating_sub(held.len());
        for log in logs.into_iter().take(room) {
            let key = blocked_key(descriptor, &log);
            if self.store.get(Table::Blocked, &key)?.is_none() {
                batch.put(Table::Blocked, key, *b"");
            }
        }
        Ok(())
    }

    /// A log arrives whose user may have been blocked before.
    pub(super) fn unnote_blocked_log(
        &self,
        batch: &mut Batch,
        descriptor: &DocumentDescriptor,
        log: &LogId,
    ) -> Result<(), StoreError> {
        let key = blocked_key(descriptor, log);
        if self.store.get(Table::Blocked, &key)?.is_some() {
            batch.delete(Table::Blocked, key);
        }
        Ok(())
    }

    pub(super) fn forget_blocked_logs(&mut self, festival: FestivalId) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        for (key, _) in self.store.range(Table::Blocked, &[], None, usize::MAX)? {
            if key.get(32..64) == Some(&festival.as_bytes()[..]) {
                batch.delete(Table::Blocked, key);
            }
        }
        if !batch.is_empty() {
            self.store.commit(batch)?;
            self.dirty = true;
        }
        Ok(())
    }
}

fn blocked_key(descriptor: &DocumentDescriptor, log: &LogId) -> Vec<u8> {
    let DocumentDescriptor { festival, user, .. } = descriptor;
    [&user.as_bytes()[..], festival.as_bytes(), &log.to_bytes()].concat()
}
