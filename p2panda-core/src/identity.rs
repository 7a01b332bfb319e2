//! Key pairs and signatures: strict Ed25519 everywhere, so that all replicas agree on what is valid.

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use rand_core::CryptoRng;

use crate::id::{ParseIdError, UserId, byte_id, from_text, to_text};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::str::FromStr;

byte_id!(
    /// An Ed25519 signature.
    Signature, 64, "a signature (103 letters and digits)"
);

/// A user's secret: signs what the user writes. Whoever holds its 32 bytes is the user.
#[derive(Clone)]
pub struct Identity(SigningKey);

impl Identity {
    /// Draws a new key pair.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut secret = [0; 32];
        rng.fill_bytes(&mut secret);
        Self::from_secret(&secret)
    }

    /// The key pair with this secret key.
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// The secret key: to be stored where only its owner reads.
    #[must_use]
    pub fn secret(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half, which is the user.
    #[must_use]
    pub fn user(&self) -> UserId {
        UserId(self.0.verifying_key().to_bytes())
    }

    /// Signs a message. Callers prefix every message with a domain string of its own.
    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.user())
    }
}

impl UserId {
    /// Whether the user signed the message: strict verification, small-order keys refused.
    pub(crate) fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| {
            let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
            key.verify_strict(message, &signature).is_ok()
        })
    }
}
