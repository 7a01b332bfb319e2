//! Writing records: they are added once and never change.

use crate::{
    id::{EntityId, LocalId},
    replica::edit::{Edit, EditError},
    schema::{Decision, MAX_RECORD, Record, Release, Request, Withdrawal, decisions_label},
};

impl Edit<'_> {
    /// Asks for a resource.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn request(&mut self, request: Request) -> Result<EntityId, EditError> {
        self.record(&self.label.clone(), &Record::Request(request))
    }

    /// Answers a request. All of a user's decisions on one resource stand in one document.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn decide(&mut self, decision: Decision) -> Result<EntityId, EditError> {
        let label = decisions_label(&decision.terms.resource);
        self.record(&label, &Record::Decision(decision))
    }

    /// Ends own decisions.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn release(&mut self, release: Release) -> Result<EntityId, EditError> {
        let label = decisions_label(&release.resource);
        self.record(&label, &Record::Release(release))
    }

    /// Ends an own request, for ever.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn withdraw(&mut self, withdrawal: Withdrawal) -> Result<EntityId, EditError> {
        self.record(&self.label.clone(), &Record::Withdrawal(withdrawal))
    }

    fn record(&mut self, label: &str, record: &Record) -> Result<EntityId, EditError> {
        let content = record.to_bytes();
        if content.len() > MAX_RECORD {
            return Err(EditError::RecordTooLarge { size: content.len() });
        }
        let id = EntityId::new(self.document(label)?, LocalId::of_record(&content));
        if self.view.resource_of(&id)?.is_none() {
            self.drafts.entry(label.to_owned()).or_default().record(content);
        }
        Ok(id)
    }
}
