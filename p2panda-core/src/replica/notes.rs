//! What programs note of a festival beside its facts: who holds what, say. Nothing here reads it,
//! and whoever loses it loses no fact.

use crate::{
    id::{DocumentId, FestivalId, LogId},
    log::Tip,
    replica::Replica,
    store::{Batch, Entry, StoreError, Table, prefix_end},
    view::documents_of,
};

/// The longest key of a note, in bytes.
pub const MAX_NOTE_KEY: usize = 128;

/// The longest note, in bytes.
pub const MAX_NOTE: usize = 1024;

/// Why something was not noted.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// This replica does not follow the festival.
    #[error("this replica does not follow festival {0}")]
    UnknownFestival(FestivalId),
    /// The key or the note is too long.
    #[error(
        "a note of {size} bytes under a key of {key}: at most {MAX_NOTE} and {MAX_NOTE_KEY} are \
         possible"
    )]
    TooLong {
        /// The size of the key in bytes.
        key: usize,
        /// The size of the note in bytes.
        size: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Replica {
    /// Notes something of a festival under a key, or takes a note away. Notes leave the device with
    /// the festival, and travel nowhere. How many there are is for whoever writes them to bound.
    ///
    /// A note asks for no `fsync`: it is durable after the next [`flush`](Self::flush) of anything
    /// else, and when the replica is closed.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn note(
        &mut self,
        festival: FestivalId,
        key: &[u8],
        note: Option<&[u8]>,
    ) -> Result<(), NoteError> {
        let size = note.map_or(0, <[u8]>::len);
        if key.len() > MAX_NOTE_KEY || size > MAX_NOTE {
            return Err(NoteError::TooLong { key: key.len(), size });
        }
        if self.festival(festival)?.is_none() {
            return Err(NoteError::UnknownFestival(festival));
        }
        let mut batch = Batch::new();
        match note {
            Some(note) => batch.put(Table::Notes, note_key(festival, key), note),
            None => batch.delete(Table::Notes, note_key(festival, key)),
        }
        self.store.commit(batch)?;
        self.noted = true;
        Ok(())
    }

    /// A note of a festival.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn noted(&self, festival: FestivalId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(Table::Notes, &note_key(festival, key))
    }

    /// The notes of a festival whose keys begin so, with what follows in their keys, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn notes(&self, festival: FestivalId, prefix: &[u8]) -> Result<Vec<Entry>, StoreError> {
        let prefix = note_key(festival, prefix);
        let end = prefix_end(&prefix);
        let notes = self.store.range(Table::Notes, &prefix, end.as_deref(), usize::MAX)?;
        let rest = |(mut key, note): (Vec<u8>, _)| (key.split_off(prefix.len()), note);
        Ok(notes.into_iter().map(rest).collect())
    }

    /// The documents that this user writes in a festival, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn own_documents(&self, festival: FestivalId) -> Result<Vec<DocumentId>, StoreError> {
        documents_of(&*self.store, festival, &self.user())
    }

    /// The logs of a document that have entries, by incarnation, up to what is durable.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn tips_of(
        &self,
        festival: FestivalId,
        document: &DocumentId,
    ) -> Result<Vec<(LogId, Tip)>, StoreError> {
        let mut logs = Vec::new();
        for (log, state) in self.document_logs(festival, document)? {
            let durable =
                self.unflushed.get(&log).map_or_else(|| Some(state.tip()), |(_, tip)| *tip);
            logs.extend(durable.filter(|tip| tip.length > 0).map(|tip| (log, tip)));
        }
        Ok(logs)
    }

    /// The documents of a festival with the lowest ids, at most `limit`. As ids are hashes these
    /// are as good as drawn by lot.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn first_documents(
        &self,
        festival: FestivalId,
        limit: usize,
    ) -> Result<Vec<DocumentId>, StoreError> {
        let mut documents = Vec::new();
        let mut start = festival.as_bytes().to_vec();
        let end = prefix_end(&start);
        while documents.len() < limit
            && let Some((key, _)) = self.store.range(Table::Logs, &start, end.as_deref(), 1)?.pop()
        {
            let document = super::log_of_key(&key)?.document;
            documents.push(document);
            let document = [&festival.as_bytes()[..], document.as_bytes()].concat();
            let Some(next) = prefix_end(&document) else { break };
            start = next;
        }
        Ok(documents)
    }
}

fn note_key(festival: FestivalId, key: &[u8]) -> Vec<u8> {
    [&festival.as_bytes()[..], key].concat()
}
