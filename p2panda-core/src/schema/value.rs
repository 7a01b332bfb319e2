//! Plain data of entities: what a field can hold, and typed reading and writing with serde.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _, Visitor},
};

use read::{EntityReader, ValueVisitor};
use write::ValueWriter;

/// The name by which fields know an instant; no other type has it.
const INSTANT: &str = "p2panda instant";

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
///
/// As a field it is a kind of value of its own, whatever other type looks like it. In CBOR it is a
/// list of one integer, which tells it from a plain integer: no other value there is a list.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename = "p2panda instant")]
pub struct Instant((i64,));

impl Instant {
    /// The moment this many milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self((millis,))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0.0
    }

    /// The instant of which this is the serialized content.
    fn written<T: Serialize + ?Sized>(content: &T) -> Result<Value, Malformed> {
        let bytes = crate::codec::encode(content);
        let (millis,) = crate::codec::decode(&bytes, 16).map_err(malformed)?;
        Ok(Value::Instant(Self((millis,))))
    }
}

/// What one field of an entity holds. Lists are no values: a set is a map to `true`, an ordered
/// list is one scalar of bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// Nothing, said explicitly.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A moment.
    Instant(Instant),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Fields of its own, merged one by one.
    Map(Fields),
}

/// The fields of an entity or of a map in it, by name.
pub type Fields = BTreeMap<String, Value>;

/// Why fields are not what a type needs, or a type cannot be written as fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed entity: {0}")]
pub struct Malformed(pub(crate) String);

impl serde::de::Error for Malformed {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self(why.to_string())
    }
}

impl serde::ser::Error for Malformed {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self(why.to_string())
    }
}

impl Value {
    /// The text, where it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(crate) fn into_map(self) -> Option<Fields> {
        if let Self::Map(fields) = self { Some(fields) } else { None }
    }
}

/// Reads fields as a type. Fields that the type does not know are ignored (and kept where they are).
///
/// # Errors
/// [`Malformed`] where a field is missing or of another type.
pub fn read_fields<T: DeserializeOwned>(fields: &Fields) -> Result<T, Malformed> {
    T::deserialize(EntityReader(fields))
}

/// Writes a type as fields. Options that are `None` are left out only where the type skips them.
///
/// # Errors
/// [`Malformed`] where the type has lists, floats or keys that are no text.
pub fn write_fields<T: Serialize>(value: &T) -> Result<Fields, Malformed> {
    match value.serialize(ValueWriter)? {
        Value::Map(fields) => Ok(fields),
        _ => Err(Malformed("an entity is a struct or map".to_owned())),
    }
}

/// The fields that a struct reads, by name; empty for other types.
pub(crate) fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &[&str] = &[];
    // Reading ends, with an error, as soon as the type has said what it is.
    drop(T::deserialize(FieldNames(&mut names)));
    names
}

struct FieldNames<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn malformed(error: impl fmt::Display) -> Malformed {
    Malformed(error.to_string())
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Instant(value) => value.serialize(serializer),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::Map(fields) => serializer.collect_map(fields),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Instant> for Value {
    fn from(value: Instant) -> Self {
        Self::Instant(value)
    }
}

/// A set as the documents hold it: a map from each item as text to `true`, so that concurrent
/// additions merge. For texts and ids.
pub mod text_set {
    use std::{
        collections::{BTreeMap, BTreeSet},
        fmt::Display,
        str::FromStr,
    };

    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    /// Writes the set as a map to `true`.
    ///
    /// # Errors
    /// What the serializer refuses.
    pub fn serialize<T: Display, S: Serializer>(
        set: &BTreeSet<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(set.iter().map(|item| (item.to_string(), true)))
    }

    /// Reads a map to `true` as a set.
    ///
    /// # Errors
    /// Where there is no such map, or a key in it is no such item.
    pub fn deserialize<'de, T, D>(from: D) -> Result<BTreeSet<T>, D::Error>
    where
        T: FromStr<Err: Display> + Ord,
        D: Deserializer<'de>,
    {
        let map = BTreeMap::<String, bool>::deserialize(from)?;
        let items = map.into_iter().filter_map(|(item, is)| is.then_some(item));
        items.map(|item| item.parse().map_err(D::Error::custom)).collect()
    }
}
