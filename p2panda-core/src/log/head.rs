use crate::{
    codec,
    id::{LogId, UserId},
    identity::{Identity, Signature},
    log::Tip,
};

const SIGNING_DOMAIN: &str = "p2panda 1 head";

/// A log's head with its author's signature: proves the whole chain up to there. To have one is
/// to have made it with the author's key, or to have verified it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedHead {
    log: LogId,
    tip: Tip,
    signature: Signature,
}

impl SignedHead {
    /// Signs the head of one's own log.
    #[must_use]
    pub fn sign(identity: &Identity, log: LogId, tip: Tip) -> Self {
        Self { log, tip, signature: identity.sign(&signed_bytes(&log, &tip)) }
    }

    /// Verifies that the author signed this head; `None` where not.
    #[must_use]
    pub fn verify(author: &UserId, log: LogId, tip: Tip, signature: Signature) -> Option<Self> {
        author.verify(&signed_bytes(&log, &tip), &signature).then_some(Self { log, tip, signature })
    }

    /// A head that this device verified before it stored it.
    pub(crate) const fn from_store(log: LogId, tip: Tip, signature: Signature) -> Self {
        Self { log, tip, signature }
    }

    /// The log.
    #[must_use]
    pub const fn log(&self) -> &LogId {
        &self.log
    }

    /// Length and chain value.
    #[must_use]
    pub const fn tip(&self) -> &Tip {
        &self.tip
    }

    /// The author's signature.
    #[must_use]
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }
}

fn signed_bytes(log: &LogId, tip: &Tip) -> Vec<u8> {
    codec::encode(&(SIGNING_DOMAIN, log.document, log.incarnation, tip.length, tip.chain))
}
