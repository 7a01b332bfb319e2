//! Amendments: what an entity's editors say of its fields, each in a document of their own.
//!
//! An entity lists its editors in the field [`EDITORS`]. What a user amends of the entities of a
//! document stands in that user's document with the label [`amends_label`], as an entity of the
//! same local id and of kind [`AMENDMENT`], in the map [`AMENDED`]: from the name of a field to an
//! [`Amendment`] in bytes. The owner's own stand in the entity itself, so that they go with it.

use std::collections::BTreeSet;

use crate::{
    codec::{self, CodecError},
    id::{DocumentId, UserId},
    schema::{Fields, Value},
};

/// The field in which an entity lists its editors.
pub const EDITORS: &str = "editors";

/// The map of amendments: in an entity the owner's, in an entity of kind [`AMENDMENT`] an editor's.
pub const AMENDED: &str = "amended";

/// The kind of the entities that hold editors' amendments.
pub const AMENDMENT: &str = "amendment";

/// The most editors that an entity has; of more, those with the lowest ids count.
pub const MAX_EDITORS: usize = 64;

/// Fields that only the owner writes: what decides who may do what, and what a resource promises.
const OWNERS: [&str; 15] = [
    "kind",
    EDITORS,
    AMENDED,
    "policy",
    "draw",
    "capacity",
    "minimum",
    "maximum",
    "consumable",
    "unit",
    "unit_amount",
    "available",
    "slots",
    "buffer_before",
    "buffer_after",
];

/// Whether an editor may write a field.
#[must_use]
pub fn is_amendable(field: &str) -> bool {
    !OWNERS.contains(&field)
}

/// What one user says of one field: the highest counter over all editors counts, then the highest
/// user id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amendment {
    /// 1 to [`Amendment::MAX_COUNTER`], one more than the highest that its writer saw.
    pub counter: u64,
    /// The field's whole value; `None` deletes it.
    pub value: Option<Value>,
}

impl Amendment {
    /// The highest counter. Whoever writes it has the last word until taken off the list.
    pub const MAX_COUNTER: u64 = 1 << 53;

    /// The longest field name, and how deep maps may nest in a value, as in any entity.
    const MAX_NAME: usize = 128;
    const MAX_DEPTH: usize = 7;

    /// The one scalar that a document holds: `[counter, value]`, or `[counter]` to delete.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.value {
            Some(value) => codec::encode(&(self.counter, value)),
            None => codec::encode(&(self.counter,)),
        }
    }

    /// Reads what [`to_bytes`](Self::to_bytes) writes.
    ///
    /// # Errors
    /// [`CodecError`] where the bytes are no amendment.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let (counter, value) = if bytes.first() == Some(&0x81) {
            let (counter,) = codec::decode::<(u64,)>(bytes, usize::MAX)?;
            (counter, None)
        } else {
            let (counter, value) = codec::decode::<(u64, Value)>(bytes, usize::MAX)?;
            (counter, Some(value))
        };
        if !(1..=Self::MAX_COUNTER).contains(&counter) {
            return Err(CodecError::Shape(format!("counter {counter} is not from 1 to 2^53")));
        }
        if !value.as_ref().is_none_or(|value| fits(value, Self::MAX_DEPTH)) {
            return Err(CodecError::Shape("a value that no entity could hold".to_owned()));
        }
        Ok(Self { counter, value })
    }
}

fn fits(value: &Value, depth: usize) -> bool {
    let Value::Map(fields) = value else { return true };
    let name_fits = |name: &String| (1..=Amendment::MAX_NAME).contains(&name.len());
    depth > 0 && fields.iter().all(|(name, value)| name_fits(name) && fits(value, depth - 1))
}

/// The label of a user's document that amends the entities of another document.
#[must_use]
pub fn amends_label(document: &DocumentId) -> String {
    format!("amends/{document}")
}

/// The document whose entities a document of this label amends.
pub(crate) fn amended_document(label: &str) -> Option<DocumentId> {
    let document = label.strip_prefix("amends/")?.parse().ok()?;
    (amends_label(&document) == label).then_some(document)
}

/// The editors that an entity lists, its owner not among them.
pub(crate) fn editors(fields: &Fields, owner: &UserId) -> BTreeSet<UserId> {
    let Some(Value::Map(listed)) = fields.get(EDITORS) else { return BTreeSet::new() };
    let listed = listed.iter().filter(|(_, is)| **is == Value::Bool(true));
    let mut users: BTreeSet<UserId> =
        listed.filter_map(|(user, _)| user.parse().ok()).filter(|user| user != owner).collect();
    if let Some(beyond) = users.iter().nth(MAX_EDITORS).copied() {
        drop(users.split_off(&beyond));
    }
    users
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Instant;

    #[test]
    fn amendments_read_back_and_whatever_else_is_malformed() {
        let nested = Value::Map([("a".to_owned(), Value::Map(Fields::new()))].into());
        let values = [
            None,
            Some(Value::Null),
            Some(7.into()),
            Some(Instant::from_millis(-7).into()),
            Some("text".into()),
            Some(Value::Bytes(vec![0x81, 0x01])),
            Some(nested),
        ];
        for value in values {
            for counter in [1, 23, 24, Amendment::MAX_COUNTER] {
                let amendment = Amendment { counter, value: value.clone() };
                assert_eq!(Amendment::from_bytes(&amendment.to_bytes()).unwrap(), amendment);
            }
        }
        let too_deep =
            (0..8).fold(Value::Null, |below, _| Value::Map([("m".to_owned(), below)].into()));
        let long_name = Value::Map([("n".repeat(129), Value::Null)].into());
        let bad = [
            vec![],
            vec![0x01],
            vec![0x80],
            vec![0x81, 0x00],
            vec![0x82, 0x00, 0x01],
            vec![0x83, 0x01, 0x01, 0x01],
            vec![0x82, 0x01, 0x82, 0x01, 0x01],
            vec![0x82, 0x18, 0x01, 0x01],
            codec::encode(&(Amendment::MAX_COUNTER + 1, 7)),
            codec::encode(&(Amendment::MAX_COUNTER + 1,)),
            codec::encode(&(1, too_deep)),
            codec::encode(&(1, long_name)),
            codec::encode(&(-1, 7)),
        ];
        for bytes in bad {
            assert!(Amendment::from_bytes(&bytes).is_err(), "{bytes:02x?}");
        }
    }

    #[test]
    fn a_label_names_one_document() {
        let document = DocumentId::from_bytes([7; 32]);
        let label = amends_label(&document);
        assert!(label.len() <= crate::DocumentDescriptor::MAX_LABEL);
        assert_eq!(amended_document(&label), Some(document));
        assert_eq!(amended_document(&label.to_uppercase().replace("AMENDS", "amends")), None);
        assert_eq!(amended_document("amends/"), None);
        assert_eq!(amended_document(""), None);
    }

    #[test]
    fn of_too_many_editors_the_lowest_count_and_the_owner_is_none() {
        let owner = UserId::from_bytes([3; 32]);
        let listed = |users: std::ops::Range<u8>| {
            let users = users.map(|byte| UserId::from_bytes([byte; 32]).to_string());
            let listed: Fields = users.map(|user| (user, true.into())).collect();
            Fields::from([(EDITORS.to_owned(), Value::Map(listed))])
        };
        assert_eq!(editors(&listed(0..10), &owner).len(), 9);
        let most = editors(&listed(10..200), &owner);
        assert_eq!(most.len(), MAX_EDITORS);
        assert_eq!(most.last(), Some(&UserId::from_bytes([73; 32])));
    }
}
