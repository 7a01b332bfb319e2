//! The states of logs, as those need them who compare replicas: what is durable, and what it was
//! before. And how those can tell after an opening whether logs have changed in the meantime.

use crate::{
    id::{FestivalId, LogId},
    log::Tip,
    replica::{LogState, Replica, fixed},
    store::{Batch, StoreError, Table},
};

const VERSION: &[u8] = b"logs changed";

/// The durable state of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its length and the chain value there.
    pub tip: Tip,
    /// Whether it is cut there, because its author signed two chains.
    pub is_cut: bool,
}

/// A log whose durable state has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogChange {
    /// The festival.
    pub festival: FestivalId,
    /// The log.
    pub log: LogId,
    /// What it was before this change; `None` where there was nothing.
    pub before: Option<LogEntry>,
}

impl Replica {
    /// The durable state of a log; `None` where there is nothing to tell of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn log_entry(&self, log: &LogId) -> Result<Option<LogEntry>, StoreError> {
        if let Some((_, tip)) = self.unflushed.get(log) {
            return Ok(self.before(log, *tip));
        }
        let Some(descriptor) = self.descriptor(&log.document)? else { return Ok(None) };
        Ok(self.log_state(descriptor.festival, log)?.and_then(|state| entry(&state)))
    }

    /// The durable states of all logs of a festival that have one, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn log_entries(&self, festival: FestivalId) -> Result<Vec<(LogId, LogEntry)>, StoreError> {
        let mut entries = Vec::new();
        self.for_each_log(festival, |log, state| {
            let durable = match self.unflushed.get(&log) {
                Some((_, tip)) => self.before(&log, *tip),
                None => entry(&state),
            };
            entries.extend(durable.map(|entry| (log, entry)));
        })?;
        Ok(entries)
    }

    /// Where followers of [`log_changes`](Self::log_changes) start.
    #[must_use]
    pub const fn log_cursor(&self) -> u64 {
        self.recent_end
    }

    /// Logs whose durable state changed since a cursor, oldest first, and the new cursor. `None`
    /// where the cursor is too old: look at all logs again.
    #[must_use]
    pub fn log_changes(&self, since: u64) -> Option<(Vec<LogChange>, u64)> {
        let new = usize::try_from(self.recent_end.checked_sub(since)?).ok()?;
        let skip = self.recent.len().checked_sub(new)?;
        Some((self.recent.iter().skip(skip).copied().collect(), self.recent_end))
    }

    /// How often logs of a festival have changed, here and in earlier processes, durable or not:
    /// whoever kept something of them knows by it, after an opening, whether it is still right.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn log_version(&self, festival: FestivalId) -> Result<u64, StoreError> {
        let bytes = self.store.get(Table::Meta, &version_key(festival))?;
        Ok(bytes.map(|bytes| fixed(&bytes)).transpose()?.map_or(0, u64::from_be_bytes))
    }

    /// Counts a change, in the batch that makes it.
    pub(super) fn count_change(
        &self,
        batch: &mut Batch,
        festival: FestivalId,
    ) -> Result<(), StoreError> {
        let version = self.log_version(festival)?.wrapping_add(1);
        batch.put(Table::Meta, version_key(festival), version.to_be_bytes());
        Ok(())
    }

    /// A cut log is about to change again, and may be for the first time since the last flush.
    pub(super) fn note_cut(&mut self, log: &LogId) {
        if !self.unflushed.contains_key(log) {
            self.were_cut.insert(*log);
        }
    }

    /// What is durable of a log that has changed since, by its tip then.
    pub(super) fn before(&self, log: &LogId, tip: Option<Tip>) -> Option<LogEntry> {
        let is_cut = self.were_cut.contains(log);
        let tip = tip.or_else(|| is_cut.then(|| Tip::start(log)))?;
        Some(LogEntry { tip, is_cut })
    }
}

fn entry(state: &LogState) -> Option<LogEntry> {
    let LogState { length, is_cut, .. } = *state;
    (length > 0 || is_cut).then_some(LogEntry { tip: state.tip(), is_cut })
}

pub(super) fn version_key(festival: FestivalId) -> Vec<u8> {
    [VERSION, &festival.as_bytes()[..]].concat()
}
