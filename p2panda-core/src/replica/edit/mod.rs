//! Local writing: an edit is one commit, whatever documents it touches.

mod commit;
mod editors;
mod fields;
mod records;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rand_core::CryptoRng;

use crate::{
    document::{Draft, DraftError},
    id::{DocumentId, EntityId, FestivalId, LogId, UserId},
    log::DocumentDescriptor,
    schema::{Fields, Instant, MAX_EDITORS, MAX_RECORD, Malformed},
    store::StoreError,
    view::View,
};

/// Why an edit was not made. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The replica does not follow this festival.
    #[error("this replica does not follow festival {0}: join it with its ticket first")]
    UnknownFestival(FestivalId),
    /// The entity is in somebody else's document, and its owner has not made this user an editor.
    #[error("{0} belongs to another user: only its owner and its editors can change it")]
    NotYours(EntityId),
    /// Editors do not decide who may do what, nor what a resource promises.
    #[error("only the owner of {id} can change its field {field:?}")]
    OwnersField {
        /// The entity.
        id: EntityId,
        /// The field.
        field: String,
    },
    /// Somebody amended the field with the highest counter there is.
    #[error(
        "field {field:?} of {id} can be changed no more: an editor has taken the last word; its \
         owner can remove that editor"
    )]
    LastWord {
        /// The entity.
        id: EntityId,
        /// The field.
        field: String,
    },
    /// An entity has too many editors already.
    #[error("an entity can have {MAX_EDITORS} editors")]
    TooManyEditors,
    /// A label is too long.
    #[error("a label has {size} bytes, at most {} are possible", DocumentDescriptor::MAX_LABEL)]
    Label {
        /// Its size in bytes.
        size: usize,
    },
    /// A record is too large.
    #[error("the record has {size} bytes, at most {MAX_RECORD} are possible")]
    RecordTooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Records are made with `request`, `decide`, `release` and `withdraw` and never change.
    #[error("{0} is a record: records never change")]
    RecordChanged(EntityId),
    /// A value that a document cannot hold.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// A type that cannot be written as fields.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The log is not the user's own, not cut, or nothing of that branch is held.
    #[error("log {} of document {} has no such cut branch of your own", .0.incarnation, .0.document)]
    NothingToReissue(LogId),
    /// The gate refused what this library wrote: a bug to report.
    #[error("the edit was refused by this library's own gate: {0}")]
    Gate(String),
    /// This device's store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An edit while it is made: what it writes stands after the whole edit was committed.
pub struct Edit<'a> {
    view: View<'a>,
    rng: &'a mut dyn CryptoRng,
    user: UserId,
    festival: FestivalId,
    now: Instant,
    label: String,
    drafts: BTreeMap<String, Draft>,
    /// Entities that this edit looked at, as they will be.
    entities: HashMap<EntityId, Present>,
    /// Entities of amendments that are there, or will be.
    amendments: HashSet<EntityId>,
}

/// An entity as it stands with what an edit has written so far.
#[derive(Default)]
struct Present {
    /// Whether it is there.
    exists: bool,
    fields: Fields,
    /// Whether it had editors before this edit.
    has_editors: bool,
    /// The highest counter of each field that was amended.
    counters: BTreeMap<String, u64>,
    /// Fields that this edit amended: it goes on with the same counter.
    amended: BTreeSet<String>,
}

impl<'a> Edit<'a> {
    fn new(
        view: View<'a>,
        rng: &'a mut dyn CryptoRng,
        user: UserId,
        festival: FestivalId,
        now: Instant,
    ) -> Self {
        Self {
            view,
            rng,
            user,
            festival,
            now,
            label: String::new(),
            drafts: BTreeMap::new(),
            entities: HashMap::new(),
            amendments: HashSet::new(),
        }
    }

    fn into_drafts(self) -> BTreeMap<String, Draft> {
        self.drafts
    }

    /// Who writes.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.user
    }

    /// When the edit is made.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Writes into the document with this label from here on; the empty label is everyone's first.
    /// Large importers spread their entities, so that no document grows beyond about 2,000.
    pub fn label(&mut self, label: &str) -> &mut Self {
        label.clone_into(&mut self.label);
        self
    }

    fn document(&self, label: &str) -> Result<DocumentId, EditError> {
        if label.len() > DocumentDescriptor::MAX_LABEL {
            return Err(EditError::Label { size: label.len() });
        }
        let (festival, user) = (self.festival, self.user);
        Ok(DocumentDescriptor { festival, user, label: label.to_owned() }.id())
    }

    fn draft(&mut self, label: &str) -> &mut Draft {
        self.drafts.entry(label.to_owned()).or_default()
    }
}
