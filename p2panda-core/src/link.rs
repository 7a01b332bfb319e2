//! The proof that a user is at one end of one encrypted link.
//!
//! A link is encrypted between keys that say nothing about users. Who is behind it is shown inside,
//! by a signature of what only the two ends of this one link have in common. So a proof is worth
//! nothing on another link: whoever relays it there has two links, with two bindings.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    codec,
    id::{ParseIdError, UserId, byte_id, from_text, to_text},
    identity::{Identity, Signature},
};

const SIGNING_DOMAIN: &str = "p2panda 1 link proof";

byte_id!(
    /// What the two ends of one encrypted link have in common, and nobody else with either: the
    /// hash of its handshake. It is no secret.
    ChannelBinding, 32, "a channel binding (52 letters and digits)"
);

byte_id!(
    /// The public half of a device's link key. It says nothing about the device's user, and two
    /// devices of one user have two.
    LinkId, 32, "a link id (52 letters and digits)"
);

/// One of a link's two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkEnd {
    /// The end that connected.
    Opener,
    /// The end that was connected to.
    Acceptor,
}

impl LinkEnd {
    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Opener => Self::Acceptor,
            Self::Acceptor => Self::Opener,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Opener => "opener",
            Self::Acceptor => "acceptor",
        }
    }
}

/// Says which user is at one end of a link, until it is verified.
///
/// It shows the user to whoever is at the other end, so it is sent only to a peer that has proved
/// to know a festival in common.
///
/// ```
/// use p2panda_core::{ChannelBinding, Identity, LinkEnd, LinkProof};
/// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
/// let ada = Identity::generate(&mut ChaCha20Rng::seed_from_u64(7));
/// let link = ChannelBinding::from_bytes([1; 32]); // as the transport tells it
///
/// let proof = LinkProof::sign(&ada, &link, LinkEnd::Opener);
/// assert_eq!(proof.verify(&link, LinkEnd::Opener), Some(ada.user()));
/// // Neither sent back to her nor taken to another link does it say anything.
/// assert_eq!(proof.verify(&link, LinkEnd::Acceptor), None);
/// assert_eq!(proof.verify(&ChannelBinding::from_bytes([2; 32]), LinkEnd::Opener), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkProof(UserId, Signature);

impl LinkProof {
    /// Proves that this user is at this end of the link, our own.
    #[must_use]
    pub fn sign(identity: &Identity, link: &ChannelBinding, end: LinkEnd) -> Self {
        Self(identity.user(), identity.sign(&signed_bytes(&identity.user(), link, end)))
    }

    /// The user at that end of the link, the peer's; `None` where the proof is for another link,
    /// for the other end, or not signed by the user whom it names.
    #[must_use]
    pub fn verify(&self, link: &ChannelBinding, end: LinkEnd) -> Option<UserId> {
        let Self(user, signature) = self;
        user.verify(&signed_bytes(user, link, end), signature).then_some(*user)
    }
}

fn signed_bytes(user: &UserId, link: &ChannelBinding, end: LinkEnd) -> Vec<u8> {
    codec::encode(&(SIGNING_DOMAIN, user, link, end.word()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

    fn identity(seed: u64) -> Identity {
        Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed))
    }

    #[test]
    fn a_proof_holds_for_its_user_its_link_and_its_end_alone() {
        let (ada, eve) = (identity(1), identity(2));
        let link = ChannelBinding::from_bytes([7; 32]);
        for end in [LinkEnd::Opener, LinkEnd::Acceptor] {
            let proof = LinkProof::sign(&ada, &link, end);
            assert_eq!(proof.verify(&link, end), Some(ada.user()));
            assert_eq!(proof.verify(&link, end.other()), None);
            for bit in 0..256 {
                let mut bytes = [7; 32];
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(proof.verify(&ChannelBinding::from_bytes(bytes), end), None);
            }
            let stolen = LinkProof(eve.user(), proof.1);
            assert_eq!(stolen.verify(&link, end), None);
        }
    }

    #[test]
    fn it_travels_in_the_one_encoding() {
        let link = ChannelBinding::from_bytes([7; 32]);
        let proof = LinkProof::sign(&identity(1), &link, LinkEnd::Opener);
        let bytes = codec::encode(&proof);
        assert_eq!(bytes.len(), 101);
        assert_eq!(codec::decode::<LinkProof>(&bytes, 101), Ok(proof));
        assert!(codec::decode::<LinkProof>(&bytes[..100], 101).is_err());
    }

    #[test]
    fn what_is_signed_for_a_link_is_nothing_else_that_users_sign() {
        let ada = identity(1);
        let bytes =
            signed_bytes(&ada.user(), &ChannelBinding::from_bytes([0; 32]), LinkEnd::Opener);
        // An array of four, its domain first.
        assert_eq!(bytes[0], 0x84);
        assert_eq!(bytes[1..2 + SIGNING_DOMAIN.len()], codec::encode(SIGNING_DOMAIN));
    }
}
