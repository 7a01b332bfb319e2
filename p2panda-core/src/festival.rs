//! What a festival is: a signed descriptor whose hash is the festival's id, and tickets to it.
//!
//! Title, dates and place are entities that the founder writes; the descriptor only makes the
//! festival one that nobody else can found.

use std::{fmt, str::FromStr};

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::{
    codec,
    hash::{Domain, hash},
    id::{FestivalId, UserId, to_text},
    identity::{Identity, Signature},
};

const SIGNING_DOMAIN: &str = "p2panda 1 festival descriptor";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Descriptor(UserId, #[serde(with = "serde_bytes")] [u8; 16], bool);

impl Descriptor {
    fn signed_bytes(&self) -> Vec<u8> {
        codec::encode(&(SIGNING_DOMAIN, self))
    }
}

/// A festival: who founded it and under which id it is known. Its signature has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Festival {
    descriptor: Descriptor,
    signature: Signature,
}

impl Festival {
    /// Founds a public festival.
    pub fn found(founder: &Identity, rng: &mut impl CryptoRng) -> Self {
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        let descriptor = Descriptor(founder.user(), nonce, false);
        let signature = founder.sign(&descriptor.signed_bytes());
        Self { descriptor, signature }
    }

    /// The festival's id: a hash of its descriptor.
    #[must_use]
    pub fn id(&self) -> FestivalId {
        FestivalId(hash(Domain::Festival, &codec::encode(&self.descriptor)))
    }

    /// The user who founded it.
    #[must_use]
    pub const fn founder(&self) -> UserId {
        self.descriptor.0
    }

    /// Descriptor and signature, as stored and as carried by tickets.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(&(&self.descriptor, self.signature))
    }

    /// Reads a descriptor and verifies its signature.
    ///
    /// # Errors
    /// [`TicketError`] where the bytes are damaged, of a later version or not signed by the founder.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TicketError> {
        let festival = Self::from_store(bytes)?;
        let signed = festival.descriptor.signed_bytes();
        if !festival.descriptor.0.verify(&signed, &festival.signature) {
            return Err(TicketError::Signature);
        }
        Ok(festival)
    }

    /// Reads what was verified before it was stored: verifying it at each use would cost more than
    /// most of what it is used for.
    pub(crate) fn from_store(bytes: &[u8]) -> Result<Self, TicketError> {
        let (descriptor, signature): (Descriptor, Signature) =
            codec::decode(bytes, 256).map_err(|_| TicketError::Damaged)?;
        if descriptor.2 {
            return Err(TicketError::Private);
        }
        Ok(Self { descriptor, signature })
    }
}

const TICKET_PREFIX: &str = "panda1";

/// A ticket: the text with which somebody joins a festival. `panda1` and base32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The festival that the ticket is for.
    pub festival: Festival,
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.festival.to_bytes();
        let check = hash(Domain::Festival, &bytes);
        bytes.extend_from_slice(&check[..4]);
        write!(f, "{TICKET_PREFIX}{}", to_text(&bytes))
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        let encoded = text.trim().strip_prefix(TICKET_PREFIX).ok_or(TicketError::NotATicket)?;
        if encoded.len() > 512 {
            return Err(TicketError::Damaged);
        }
        let bytes = data_encoding::BASE32_NOPAD_NOCASE
            .decode(encoded.as_bytes())
            .map_err(|_| TicketError::Damaged)?;
        let (body, check) = bytes.split_last_chunk::<4>().ok_or(TicketError::Damaged)?;
        if hash(Domain::Festival, body)[..4] != check[..] {
            return Err(TicketError::Damaged);
        }
        Ok(Self { festival: Festival::from_bytes(body)? })
    }
}

/// Why a text is not a usable ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// It does not start as a ticket does.
    #[error("this is not a ticket: tickets start with \"panda1\"")]
    NotATicket,
    /// Characters are missing or wrong.
    #[error("the ticket is damaged: copy it again, whole")]
    Damaged,
    /// A private festival, which this version cannot join.
    #[error("the ticket is for a private festival, which this version cannot join")]
    Private,
    /// The founder's signature does not verify.
    #[error("the ticket's signature is not its founder's: ask for another one")]
    Signature,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

    #[test]
    fn a_ticket_is_read_back_and_every_wrong_letter_is_noticed() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let festival = Festival::found(&Identity::generate(&mut rng), &mut rng);
        let text = Ticket { festival: festival.clone() }.to_string();
        assert_eq!(text.parse::<Ticket>().unwrap().festival, festival);
        for at in 0..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[at] = if wrong[at] == b'a' { b'b' } else { b'a' };
            assert!(String::from_utf8(wrong).unwrap().parse::<Ticket>().is_err(), "{at}");
        }
        assert!(text[..text.len() - 2].parse::<Ticket>().is_err());
        assert_eq!("hello".parse::<Ticket>(), Err(TicketError::NotATicket));
    }

    #[test]
    fn a_descriptor_in_another_name_is_refused() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let victim = Identity::generate(&mut rng);
        let mut festival = Festival::found(&Identity::generate(&mut rng), &mut rng);
        festival.descriptor.0 = victim.user();
        assert_eq!(Festival::from_bytes(&festival.to_bytes()), Err(TicketError::Signature));
    }
}
