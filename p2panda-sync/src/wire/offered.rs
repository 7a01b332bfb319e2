//! A festival as a `HELLO` offers it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_bytes::ByteBuf;

use super::Token;

/// A festival of a `HELLO`: its name, which proves that the sender knows it, the number of bits of
/// the number of its logs, and syndromes. In one string of bytes, as there is one for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) name: Token,
    pub(crate) size: u8,
    pub(crate) syndromes: Vec<u8>,
}

impl Serialize for Offered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&[&self.name.0, &[self.size][..], &self.syndromes].concat())
    }
}

impl<'de> Deserialize<'de> for Offered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = ByteBuf::deserialize(deserializer)?;
        match bytes.split_first_chunk() {
            Some((name, [size, syndromes @ ..])) => {
                Ok(Self { name: Token(*name), size: *size, syndromes: syndromes.to_vec() })
            }
            _ => Err(D::Error::custom("a festival")),
        }
    }
}
