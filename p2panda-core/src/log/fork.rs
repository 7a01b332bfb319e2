//! Forks (equivocation): two signed chains of one log, and the proof of it.
//!
//! Only a faulty or lying author, or somebody with the author's key, signs two. A proof shows the
//! place at which the two part: the last common length `k` with its chain value, and for each
//! branch the payload hashes from there to a signed head. It acts where `c[k]` lies on the chain
//! that a peer has verified from the start of the log; there it cuts the log at `k`.
//!
//! Segments never cross a multiple of [`BLOCK`](crate::BLOCK), so every chain has a signed head at
//! each multiple, and both runs of a proof end at or before the first multiple above `k`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    codec::{self, CodecError},
    hash::{Domain, hash},
    id::{DocumentId, Incarnation, LogId, ParseIdError, UserId, byte_id, from_text, to_text},
    identity::Signature,
    log::{Chain, MAX_LENGTH, Tip, block_end, head::verify_head},
};

byte_id!(
    /// The hash of one payload, from which chain values are made.
    PayloadHash, 32, "a payload hash (52 letters and digits)"
);

impl PayloadHash {
    /// The hash of a payload.
    #[must_use]
    pub fn of(payload: &[u8]) -> Self {
        Self(hash(Domain::Payload, payload))
    }
}

/// The payload hashes of a log from some length up to a signed head, and that head's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// At least one.
    pub hashes: Vec<PayloadHash>,
    /// The author's signature of the head after the last.
    pub signature: Signature,
}

impl Run {
    /// The head that the run reaches from a tip.
    #[must_use]
    pub fn end(&self, from: &Tip) -> Tip {
        from.after_hashes(&self.hashes)
    }
}

/// Two runs of one log that part: a claim, **not verified**, that its author signed two chains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkProof {
    /// The log.
    pub log: LogId,
    /// The last place that the two chains have in common.
    pub at: Tip,
    /// What follows on each; the one with the smaller first hash comes first.
    pub runs: [Run; 2],
}

/// The most bytes of a proof: two runs of 128 hashes and what is around them.
pub const MAX_FORK_PROOF: usize = 9 * 1024;

/// Why a fork proof proves nothing. The fault is whoever made or sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// A run is empty or goes beyond the first multiple of 128 entries above the parting.
    #[error("a run of the fork proof is empty or crosses a multiple of 128 entries")]
    Length,
    /// The runs begin alike, or stand in the wrong order.
    #[error("the runs of the fork proof do not part where it says, or are in the wrong order")]
    NoParting,
    /// A head was not signed by the log's author.
    #[error("a head of the fork proof is not signed by the log's author")]
    Signature,
}

impl ForkProof {
    /// Looks for the parting of two runs that start at one place of a log; `None` where one only
    /// continues the other. Nothing is verified.
    #[must_use]
    pub fn between(log: LogId, from: &Tip, left: Run, right: Run) -> Option<Self> {
        let pairs = left.hashes.iter().zip(&right.hashes);
        let common = pairs.take_while(|(left, right)| left == right).count();
        if common == left.hashes.len().min(right.hashes.len()) {
            return None;
        }
        let at = from.after_hashes(&left.hashes[..common]);
        let mut runs = [left, right];
        for run in &mut runs {
            run.hashes.drain(..common);
        }
        runs.sort_by_key(|run| run.hashes[0]);
        Some(Self { log, at, runs })
    }

    /// Checks the shape and both signatures.
    ///
    /// # Errors
    /// [`ForkError`].
    pub fn verify(self, author: &UserId) -> Result<VerifiedFork, ForkError> {
        if self.at.length >= MAX_LENGTH {
            return Err(ForkError::Length);
        }
        let room = block_end(self.at.length) - self.at.length;
        if self.runs.iter().any(|run| run.hashes.is_empty() || run.hashes.len() as u64 > room) {
            return Err(ForkError::Length);
        }
        let [left, right] = &self.runs;
        if left.hashes[0] >= right.hashes[0] {
            return Err(ForkError::NoParting);
        }
        let signed = |run: &Run| verify_head(author, &self.log, &run.end(&self.at), &run.signature);
        if self.runs.iter().all(signed) {
            Ok(VerifiedFork(self))
        } else {
            Err(ForkError::Signature)
        }
    }

    /// The proof as it is sent and stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a proof; nothing is verified.
    ///
    /// # Errors
    /// [`CodecError`] where the bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, MAX_FORK_PROOF)
    }
}

/// A fork proof whose signatures were verified: the log's author, or somebody with the author's
/// key, signed both chains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedFork(ForkProof);

impl VerifiedFork {
    /// A proof of which both heads were verified one by one, or that was verified before it was
    /// stored.
    pub(crate) const fn trusted(proof: ForkProof) -> Self {
        Self(proof)
    }

    /// The log.
    #[must_use]
    pub const fn log(&self) -> &LogId {
        &self.0.log
    }

    /// Where the two chains part.
    #[must_use]
    pub const fn at(&self) -> &Tip {
        &self.0.at
    }

    /// The proof.
    #[must_use]
    pub const fn proof(&self) -> &ForkProof {
        &self.0
    }

    /// The proof as it is sent.
    #[must_use]
    pub fn into_proof(self) -> ForkProof {
        self.0
    }

    /// A run that starts with these hashes, which lead to the parting, and goes on to a signed head.
    pub(crate) fn run_after(&self, mut hashes: Vec<PayloadHash>) -> Run {
        let [run, _] = &self.0.runs;
        hashes.extend_from_slice(&run.hashes);
        Run { hashes, signature: run.signature }
    }
}

type Wire =
    (DocumentId, Incarnation, u64, Chain, Vec<PayloadHash>, Signature, Vec<PayloadHash>, Signature);

impl Serialize for ForkProof {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { log, at, runs: [a, b] } = self;
        let (log, at) = ((log.document, log.incarnation), (at.length, at.chain));
        (log.0, log.1, at.0, at.1, &a.hashes, a.signature, &b.hashes, b.signature)
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ForkProof {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (document, incarnation, length, chain, left, signature, right, other) =
            Wire::deserialize(deserializer)?;
        Ok(Self {
            log: LogId { document, incarnation },
            at: Tip { length, chain },
            runs: [Run { hashes: left, signature }, Run { hashes: right, signature: other }],
        })
    }
}
