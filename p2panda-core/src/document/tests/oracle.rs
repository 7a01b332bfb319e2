//! Automerge as the oracle: what it reads from the same changes is what a document must read.

use std::collections::BTreeMap;

use automerge::{Automerge, Change, ObjId, ReadDoc as _, ScalarValue, Value as Stored};

use super::*;
use crate::schema::Fields;

pub(super) struct Oracle(pub(super) Automerge);

impl Oracle {
    pub(super) fn of<'a>(payloads: impl IntoIterator<Item = &'a Vec<u8>>) -> Self {
        let changes = payloads.into_iter().map(|bytes| Change::from_bytes(bytes.clone()).unwrap());
        let mut automerge = Automerge::new();
        automerge.apply_changes(changes.collect::<Vec<_>>()).unwrap();
        Self(automerge)
    }

    /// Everything in the document, records as the one field that they are.
    pub(super) fn read(&self) -> BTreeMap<String, Fields> {
        let mut all = BTreeMap::new();
        for name in self.0.keys(ObjId::Root) {
            let standing = self.0.get_all(&ObjId::Root, name.as_str()).unwrap();
            let fields = if name.starts_with('#') {
                Fields::from([(String::new(), winner(&self.0, standing).unwrap())])
            } else {
                read_maps(&self.0, &maps(standing))
            };
            all.insert(name, fields);
        }
        all
    }
}

/// The same of a document.
pub(super) fn contents(document: &Document) -> BTreeMap<String, Fields> {
    let fields = |local: LocalId| match document.read(&local).unwrap() {
        Content::Entity(fields) => fields,
        Content::Record { bytes, .. } => Fields::from([(String::new(), Value::Bytes(bytes))]),
    };
    document.locals().map(|local| (local.as_str().to_owned(), fields(local))).collect()
}

fn read_maps(automerge: &Automerge, maps: &[ObjId]) -> Fields {
    let mut standing: BTreeMap<String, Vec<(Stored<'_>, ObjId)>> = BTreeMap::new();
    for map in maps {
        for key in automerge.keys(map) {
            let values = automerge.get_all(map, key.as_str()).unwrap();
            standing.entry(key).or_default().extend(values);
        }
    }
    let read = |(key, values)| Some((key, winner(automerge, values)?));
    standing.into_iter().filter_map(read).collect()
}

fn winner(automerge: &Automerge, mut values: Vec<(Stored<'_>, ObjId)>) -> Option<Value> {
    values.sort_by(|(_, left), (_, right)| order(left).cmp(&order(right)));
    Some(match values.last()? {
        (Stored::Object(_), _) => Value::Map(read_maps(automerge, &maps(values))),
        (Stored::Scalar(value), _) => match value.as_ref() {
            ScalarValue::Null => Value::Null,
            ScalarValue::Boolean(value) => Value::Bool(*value),
            ScalarValue::Int(value) => Value::Int(*value),
            ScalarValue::Timestamp(value) => Value::Instant(Instant::from_millis(*value)),
            ScalarValue::Str(value) => Value::Text(value.to_string()),
            ScalarValue::Bytes(value) => Value::Bytes(value.clone()),
            other => panic!("the gate keeps out {other:?}"),
        },
    })
}

fn maps(standing: Vec<(Stored<'_>, ObjId)>) -> Vec<ObjId> {
    let maps = standing.into_iter().filter(|(value, _)| matches!(value, Stored::Object(_)));
    maps.map(|(_, id)| id).collect()
}

fn order(id: &ObjId) -> (u64, &[u8]) {
    match id {
        ObjId::Root => (0, &[]),
        ObjId::Id(counter, actor, _) => (*counter, actor.to_bytes()),
    }
}
