//! Evidence of a fork that anyone can check, with nothing else at hand.

use serde::{Deserialize, Serialize};

use crate::{
    codec::{self, CodecError},
    id::{FestivalId, LogId, UserId},
    log::{DocumentDescriptor, ForkError, ForkProof, PayloadHash, Tip, VerifiedFork},
};

/// A fork proof with what ties it to its author and to the log: the document's descriptor, and the
/// hashes of all payloads up to the parting.
///
/// ```no_run
/// # fn read() -> Vec<u8> { vec![] }
/// use p2panda_core::ForkEvidence;
///
/// let evidence = ForkEvidence::from_bytes(&read())?;
/// let author = evidence.descriptor.user;
/// let at = evidence.verify()?.at().length;
/// println!("{author} signed two histories that part after {at} entries");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkEvidence {
    /// Whose document it is.
    pub descriptor: DocumentDescriptor,
    /// The hashes of the payloads before the parting, oldest first.
    pub prefix: Vec<PayloadHash>,
    /// The proof.
    pub proof: ForkProof,
}

/// The most bytes of evidence: logs of up to 120,000 entries. A longer one is shown by its archive.
pub const MAX_EVIDENCE: usize = 4 << 20;

#[derive(Serialize, Deserialize)]
struct Wire((FestivalId, UserId, String), Vec<PayloadHash>, ForkProof);

impl ForkEvidence {
    /// Checks everything: the descriptor against the document, the chain up to the parting, and
    /// both signatures.
    ///
    /// # Errors
    /// [`ForkError`].
    pub fn verify(&self) -> Result<VerifiedFork, ForkError> {
        let log: LogId = self.proof.log;
        if self.descriptor.label.len() > DocumentDescriptor::MAX_LABEL
            || self.descriptor.id() != log.document
            || Tip::start(&log).after_hashes(&self.prefix) != self.proof.at
        {
            return Err(ForkError::NoParting);
        }
        self.proof.clone().verify(&self.descriptor.user)
    }

    /// The evidence as it is handed on.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let DocumentDescriptor { festival, user, label } = self.descriptor.clone();
        codec::encode(&Wire((festival, user, label), self.prefix.clone(), self.proof.clone()))
    }

    /// Reads evidence; nothing is verified.
    ///
    /// # Errors
    /// [`CodecError`] where the bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let Wire((festival, user, label), prefix, proof) = codec::decode(bytes, MAX_EVIDENCE)?;
        Ok(Self { descriptor: DocumentDescriptor { festival, user, label }, prefix, proof })
    }
}
