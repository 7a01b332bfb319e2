//! What an opening makes of payloads that were set aside, and of what killed the process before.
//!
//! Each step is one batch or can be done twice, so an opening that is interrupted at any point is
//! made up for by the next.

use std::collections::BTreeMap;

use crate::{
    codec,
    id::DocumentId,
    replica::{
        Replica, Stopped,
        aside::{ASIDE, BUILD, MAX_KILLS, Mark},
        damaged,
    },
    store::{Batch, StoreError, Table},
};

impl Replica {
    /// Learns what was set aside, and what killed the process the last time. No document is looked
    /// at before this has been done.
    pub(super) fn learn_aside(&mut self) -> Result<(), StoreError> {
        for mark in self.stored_marks()? {
            if mark.build != BUILD {
                continue; // another build could not judge it: it is tried again
            }
            let again = mark.kills < MAX_KILLS;
            let aside = &mut self.aside;
            if again { &mut aside.probation } else { &mut aside.marks }.insert(mark.log, mark);
        }
        // A torn mark is none: what it was about is tried again, that is all.
        let marked = self.store.marked()?;
        let marked = marked.and_then(|bytes| codec::decode_stored::<Mark>(&bytes).ok());
        if let Some(mut mark) = marked.filter(|mark| mark.build == BUILD) {
            mark.kills = mark.kills.saturating_add(1);
            tracing::error!(index = mark.index, "a payload killed the process and is set aside");
            self.aside.probation.remove(&mark.log);
            let mut batch = Batch::new();
            self.set_aside(&mut batch, mark);
            self.store.commit(batch)?;
            self.store.flush()?;
        }
        self.store.mark(&[])
    }

    /// Makes the documents anew that say something else than the marks do. A mark that is tried
    /// again goes in the batch in which its document tells the outcome.
    pub(super) fn settle_aside(&mut self) -> Result<(), StoreError> {
        let mut unsettled: BTreeMap<DocumentId, Vec<Mark>> = BTreeMap::new();
        for mark in self.stored_marks()? {
            if !self.is_settled(&mark)? {
                unsettled.entry(mark.log.document).or_default().push(mark);
            }
        }
        for (document, marks) in unsettled {
            let mut batch = Batch::new();
            if let Some(descriptor) = self.descriptor(&document)? {
                self.remake_with(&mut batch, &descriptor, None)?;
            }
            for mark in marks {
                // One that failed again has a new mark under the same key.
                if !self.aside.marks.contains_key(&mark.log) {
                    batch.delete(Table::Meta, mark.key());
                }
            }
            self.store.commit(batch)?;
        }
        self.store.flush()
    }

    /// Whether a payload stays aside, and its log does not go beyond it.
    fn is_settled(&self, mark: &Mark) -> Result<bool, StoreError> {
        if self.aside.marks.get(&mark.log) != Some(mark) {
            return Ok(false);
        }
        let Some(descriptor) = self.descriptor(&mark.log.document)? else { return Ok(true) };
        let Some(state) = self.log_state(descriptor.festival, &mark.log)? else { return Ok(true) };
        if state.materialised < mark.index || state.length <= mark.index {
            return Ok(true);
        }
        let held = self.payloads(&mark.log, mark.index, mark.index + 1)?;
        let is_held = held.first().is_some_and(|payload| mark.is_of(payload));
        let stands_there =
            state.materialised == mark.index && state.stopped == Some(Stopped::Failed);
        Ok(!is_held || stands_there)
    }

    fn stored_marks(&self) -> Result<Vec<Mark>, StoreError> {
        let stored = self.scan(Table::Meta, ASIDE)?;
        stored.iter().map(|(_, bytes)| codec::decode_stored(bytes).map_err(damaged)).collect()
    }
}
