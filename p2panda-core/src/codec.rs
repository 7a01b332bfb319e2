//! The one byte encoding of signed structures, records and wire messages: deterministic CBOR
//! (RFC 8949, section 4.2) without floats, tags, `undefined` or indefinite lengths.
//!
//! Decoding refuses everything that encoding would not have written, so that one value has one
//! encoding and a hash of it means something.

use cbor2::Value as Cbor;
use serde::{Serialize, de::DeserializeOwned};

/// The deepest nesting that is decoded.
const MAX_DEPTH: usize = 16;

/// Why bytes are not a value of the expected shape in the deterministic encoding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// More bytes than such a value may have.
    #[error("{size} bytes, at most {limit} are allowed")]
    TooLarge {
        /// What was offered.
        size: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Not CBOR, or not of the expected shape.
    #[error("not the expected structure: {0}")]
    Shape(String),
    /// CBOR, but not in the one deterministic form, or with more bytes behind it.
    #[error("not in deterministic form")]
    NotDeterministic,
}

/// Encodes a value deterministically.
///
/// # Panics
/// If the type cannot be encoded at all (a map key that is a map, a float): a programmer's error.
#[must_use]
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    cbor2::to_canonical_vec(value).expect("the types of this format are encodable")
}

/// The same for what has no map with several keys in it, which alone would have to be put in order.
pub(crate) fn encode_flat<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let bytes = cbor2::to_vec(value).expect("the types of this format are encodable");
    debug_assert_eq!(bytes, encode(value));
    bytes
}

/// Decodes a closed structure: every byte must be accounted for by the type.
///
/// # Errors
/// [`CodecError`] where the bytes are not exactly what [`encode`] writes for some `T`.
pub fn decode<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    limit: usize,
) -> Result<T, CodecError> {
    let value = parse(bytes, limit)?;
    if encode::<T>(&value) == bytes { Ok(value) } else { Err(CodecError::NotDeterministic) }
}

/// Decodes what this device encoded itself and read back from its store.
pub(crate) fn decode_stored<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    parse(bytes, usize::MAX)
}

/// Decodes an open structure: map keys that the type does not know are ignored.
///
/// # Errors
/// [`CodecError`] where the bytes are not deterministic CBOR without floats and tags, or do not
/// hold what the type needs.
pub fn decode_open<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, CodecError> {
    let value: Cbor = parse(bytes, limit)?;
    // Encoding fails where a map has one key twice.
    if !is_plain(&value) || cbor2::to_canonical_vec(&value).ok().as_deref() != Some(bytes) {
        return Err(CodecError::NotDeterministic);
    }
    value.deserialized().map_err(shape)
}

fn parse<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, CodecError> {
    if bytes.len() > limit {
        return Err(CodecError::TooLarge { size: bytes.len(), limit });
    }
    let mut deserializer =
        cbor2::de::Deserializer::from_slice_with_recursion_limit(bytes, MAX_DEPTH);
    T::deserialize(&mut deserializer).map_err(shape)
}

fn shape(error: impl std::fmt::Display) -> CodecError {
    CodecError::Shape(error.to_string())
}

fn is_plain(value: &Cbor) -> bool {
    match value {
        Cbor::Integer(_) | Cbor::Bytes(_) | Cbor::Text(_) | Cbor::Bool(_) | Cbor::Null => true,
        Cbor::Array(items) => items.iter().all(is_plain),
        // Text alone names a field: serde takes a number for the field at that place.
        Cbor::Map(entries) => {
            entries.iter().all(|(key, value)| matches!(key, Cbor::Text(_)) && is_plain(value))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn only_the_one_encoding_of_a_value_is_decoded() {
        let good = encode(&("a", 23_u64, vec![1_i64, -1]));
        assert!(decode::<(String, u64, Vec<i64>)>(&good, 64).is_ok());
        let cases: [(&str, &[u8]); 6] = [
            ("long integer", &[0x18, 0x05]),
            ("trailing byte", &[0x05, 0x00]),
            ("indefinite array", &[0x9f, 0x05, 0xff]),
            ("float", &[0xf9, 0x3c, 0x00]),
            ("tag", &[0xc1, 0x05]),
            ("nothing", &[]),
        ];
        for (name, bytes) in cases {
            assert!(decode_open::<Cbor>(bytes, 64).is_err(), "{name}");
            assert!(decode::<u64>(bytes, 64).is_err(), "{name}");
        }
        let unsorted = [0xa2, 0x61, b'b', 0x01, 0x61, b'a', 0x02];
        assert!(decode_open::<BTreeMap<String, i64>>(&unsorted, 64).is_err());
        let numbered = [0xa1, 0x00, 0x01];
        assert!(decode_open::<Cbor>(&numbered, 64).is_err());
        let twice = [0xa2, 0x61, b'a', 0x01, 0x61, b'a', 0x02];
        assert!(decode_open::<BTreeMap<String, i64>>(&twice, 64).is_err());
    }

    #[test]
    fn deep_nesting_and_long_input_are_refused_before_they_cost_anything() {
        assert!(decode_open::<Cbor>(&[0x81; 60_000], 60_000).is_err());
        let claimed = [0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(decode_open::<Cbor>(&claimed, 64).is_err());
        assert_eq!(decode::<u64>(&[0; 65], 64), Err(CodecError::TooLarge { size: 65, limit: 64 }));
    }
}
