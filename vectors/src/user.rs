//! The users of the vectors: their keys are known to everyone.

use p2panda_core::{DocumentDescriptor, DocumentId, Festival, Identity, LogId, UserId};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

pub(crate) const SECRET: [u8; 32] = [7; 32];

/// Who writes, where nothing else is said.
pub(crate) fn ada() -> Identity {
    Identity::from_secret(&SECRET)
}

pub(crate) fn user() -> UserId {
    ada().user()
}

/// Ada's festival.
pub(crate) fn festival() -> Festival {
    Festival::found(&ada(), &mut ChaCha20Rng::seed_from_u64(1))
}

/// Ada's document in it.
pub(crate) fn descriptor() -> DocumentDescriptor {
    DocumentDescriptor { festival: festival().id(), user: user(), label: String::new() }
}

/// A log of a document.
pub(crate) fn log(document: DocumentId, incarnation: u8) -> LogId {
    LogId { document, incarnation: p2panda_core::Incarnation::from_bytes([incarnation; 8]) }
}
