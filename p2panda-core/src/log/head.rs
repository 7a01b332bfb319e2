//! A signed head: the author's signature of a log's length and chain value there. One signature
//! proves the whole chain up to it.

use crate::{
    codec,
    id::{LogId, UserId},
    identity::{Identity, Signature},
    log::Tip,
};

const SIGNING_DOMAIN: &str = "p2panda 1 head";

/// Signs the head of one's own log.
pub(crate) fn sign_head(identity: &Identity, log: &LogId, tip: &Tip) -> Signature {
    identity.sign(&signed_bytes(log, tip))
}

/// Whether the author signed this head.
pub(crate) fn verify_head(author: &UserId, log: &LogId, tip: &Tip, signature: &Signature) -> bool {
    author.verify(&signed_bytes(log, tip), signature)
}

fn signed_bytes(log: &LogId, tip: &Tip) -> Vec<u8> {
    codec::encode(&(SIGNING_DOMAIN, log.document, log.incarnation, tip.length, tip.chain))
}
