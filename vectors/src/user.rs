//! The users of the vectors: their keys are known to everyone.

use ed25519_dalek::{Signer as _, SigningKey};
use p2panda_core::{
    DocumentDescriptor, DocumentId, Festival, Identity, LogId, Signature, Tip, UserId, codec,
};
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

/// What the author of a log signs.
pub(crate) fn head_message(log: &LogId, tip: &Tip) -> Vec<u8> {
    codec::encode(&("p2panda 1 head", log.document, log.incarnation, tip.length, tip.chain))
}

/// The signature of a head, whatever the bounds of segments say.
pub(crate) fn sign_head(secret: &[u8; 32], log: &LogId, tip: &Tip) -> Signature {
    let key = SigningKey::from_bytes(secret);
    Signature::from_bytes(key.sign(&head_message(log, tip)).to_bytes())
}
