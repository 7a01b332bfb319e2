use serde::{Deserialize, Serialize};

use crate::{
    hash::{Domain, hash, hasher},
    id::{LogId, ParseIdError, byte_id, from_text, to_text},
    log::PayloadHash,
};
use serde::{Deserializer, Serializer, de::Error as _};
use std::{fmt, str::FromStr};

byte_id!(
    /// The chain value of a log at some length: a hash of the log's id and every payload so far.
    Chain, 32, "a chain value (52 letters and digits)"
);

impl Chain {
    /// The chain value of an empty log.
    #[must_use]
    pub fn start(log: &LogId) -> Self {
        Self(hash(Domain::Log, &log.to_bytes()))
    }

    /// The chain value after one more payload.
    #[must_use]
    pub fn after(&self, payload: &[u8]) -> Self {
        self.after_hash(&PayloadHash::of(payload))
    }

    /// The chain value after one more payload, known by its hash.
    #[must_use]
    pub fn after_hash(&self, payload: &PayloadHash) -> Self {
        Self(*hasher(Domain::Chain).update(&self.0).update(&payload.0).finalize().as_bytes())
    }
}

/// Where a chain ends: its length in entries and the chain value there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tip {
    /// Entries.
    pub length: u64,
    /// The chain value at that length.
    pub chain: Chain,
}

impl Tip {
    /// The tip of an empty log.
    #[must_use]
    pub fn start(log: &LogId) -> Self {
        Self { length: 0, chain: Chain::start(log) }
    }

    /// The tip after these payloads.
    #[must_use]
    pub fn after<P: AsRef<[u8]>>(&self, payloads: &[P]) -> Self {
        Self {
            length: self.length + payloads.len() as u64,
            chain: payloads.iter().fold(self.chain, |chain, payload| chain.after(payload.as_ref())),
        }
    }

    /// The tip after payloads that are known by their hashes.
    #[must_use]
    pub fn after_hashes(&self, hashes: &[PayloadHash]) -> Self {
        Self {
            length: self.length.saturating_add(hashes.len() as u64),
            chain: hashes.iter().fold(self.chain, |chain, hash| chain.after_hash(hash)),
        }
    }
}
