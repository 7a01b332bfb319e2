//! What a document is called and whose it is.

use serde::{Deserialize, Serialize};

use crate::{
    codec,
    hash::{Domain, hash},
    id::{DocumentId, FestivalId, UserId},
};

/// What a document is: `(festival, user, label)`. It travels once and is checked against the id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DocumentDescriptor {
    /// The festival it belongs to.
    pub festival: FestivalId,
    /// The one user who writes it.
    pub user: UserId,
    /// Empty for the document everyone has; large importers and decisions use labelled ones.
    pub label: String,
}

impl DocumentDescriptor {
    /// The longest label, in bytes.
    pub const MAX_LABEL: usize = 64;

    /// The document's id: the hash of the descriptor.
    #[must_use]
    pub fn id(&self) -> DocumentId {
        DocumentId(hash(Domain::Document, &codec::encode(&(self.festival, self.user, &self.label))))
    }
}
