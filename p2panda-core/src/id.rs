//! A newtype for every identifier, with one text form: lower-case base32 without padding.

use std::{fmt, str::FromStr};

use data_encoding::BASE32_NOPAD_NOCASE;
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Why a text is not an identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct ParseIdError {
    pub(crate) text: String,
    pub(crate) expected: &'static str,
}

pub(crate) fn to_text(bytes: &[u8]) -> String {
    BASE32_NOPAD_NOCASE.encode(bytes).to_ascii_lowercase()
}

pub(crate) fn from_text<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() > N * 2 {
        return None;
    }
    BASE32_NOPAD_NOCASE.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// Byte identifiers: text for people and JSON, a byte string in CBOR.
macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $length:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) [u8; $length]);

        impl $name {
            /// The identifier of these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_text(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), &to_text(&self.0)[..8])
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let error = || ParseIdError { text: text.to_owned(), expected: $expected };
                from_text(text).map(Self).ok_or_else(error)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(&self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
                } else {
                    serde_bytes::ByteArray::deserialize(deserializer)
                        .map(|bytes| Self(bytes.into_array()))
                }
            }
        }
    };
}
pub(crate) use byte_id;

byte_id!(
    /// A user: an Ed25519 public key. People and bots alike; nothing else identifies anyone.
    UserId, 32, "a user id (52 letters and digits)"
);
byte_id!(
    /// A festival: the hash of its signed descriptor.
    FestivalId, 32, "a festival id (52 letters and digits)"
);
byte_id!(
    /// A document: the hash of its festival, its user and its label.
    DocumentId, 32, "a document id (52 letters and digits)"
);
byte_id!(
    /// One run of writing by one device: 8 random bytes.
    Incarnation, 8, "an incarnation (13 letters and digits)"
);

impl Incarnation {
    /// Draws a fresh incarnation.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(rng.next_u64().to_be_bytes())
    }
}

/// A log: one incarnation's entries in one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogId {
    /// The document; its user is the log's author.
    pub document: DocumentId,
    /// The incarnation that writes.
    pub incarnation: Incarnation,
}

impl LogId {
    /// Document and incarnation, 40 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 40] {
        let mut bytes = [0; 40];
        bytes[..32].copy_from_slice(&self.document.0);
        bytes[32..].copy_from_slice(&self.incarnation.0);
        bytes
    }
}

/// The name of an entity within its document: 1 to 64 of `a-z A-Z 0-9 . _ -`, or `#` and the
/// hash of a record's content.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalId(String);

impl LocalId {
    /// The longest local id, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Draws a fresh local id.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 10];
        rng.fill_bytes(&mut bytes);
        Self(to_text(&bytes))
    }

    /// The local id of an immutable record with this content.
    #[must_use]
    pub fn of_record(content: &[u8]) -> Self {
        let hash = crate::hash::hash(crate::hash::Domain::Record, content);
        Self(format!("#{}", to_text(&hash)))
    }

    /// Whether this names an immutable record rather than an entity with fields.
    #[must_use]
    pub fn is_record(&self) -> bool {
        self.0.starts_with('#')
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_valid(text: &str) -> bool {
        let name = text.strip_prefix('#').unwrap_or(text);
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !name.is_empty() && text.len() <= Self::MAX_BYTES && name.bytes().all(allowed)
    }
}

impl FromStr for LocalId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        if Self::is_valid(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseIdError {
                text: text.chars().take(Self::MAX_BYTES).collect(),
                expected: "a local id (1 to 64 of a-z A-Z 0-9 . _ -)",
            })
        }
    }
}

impl fmt::Display for LocalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for LocalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An entity or record of a festival. It contains its document's id, so only the document's user
/// defines it. As text: `document/local`, everywhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId {
    /// The document that defines the entity.
    pub document: DocumentId,
    /// Its name there.
    pub local: LocalId,
}

impl EntityId {
    /// The entity of this name in this document.
    #[must_use]
    pub const fn new(document: DocumentId, local: LocalId) -> Self {
        Self { document, local }
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.document, self.local)
    }
}

impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", &to_text(&self.document.0)[..8], self.local)
    }
}

impl FromStr for EntityId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let error = || ParseIdError {
            text: text.chars().take(120).collect(),
            expected: "an entity id (document/name)",
        };
        let (document, local) = text.split_once('/').ok_or_else(error)?;
        let document = document.parse().map_err(|_| error())?;
        Ok(Self { document, local: local.parse().map_err(|_| error())? })
    }
}

macro_rules! text_serde {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}
text_serde!(LocalId);
text_serde!(EntityId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_from_their_text_and_their_bytes() {
        let document = DocumentId::from_bytes([7; 32]);
        let entity = EntityId::new(document, LocalId::of_record(b"x"));
        assert_eq!(entity.to_string().parse::<EntityId>().unwrap(), entity);
        let bytes = crate::codec::encode(&(document, &entity));
        assert_eq!(
            crate::codec::decode::<(DocumentId, EntityId)>(&bytes, 200).unwrap(),
            (document, entity)
        );
        assert!("".parse::<LocalId>().is_err());
        assert!("a/b".parse::<LocalId>().is_err());
        assert!("x".repeat(65).parse::<LocalId>().is_err());
        assert!("aa".parse::<DocumentId>().is_err());
    }
}
