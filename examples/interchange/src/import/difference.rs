//! What an import has to write of an entity that is there already.

use std::collections::BTreeMap;

use p2panda_core::codec;
use p2panda_core::schema::{Fields, Value};
use serde::{Deserialize, Serialize};

use crate::fields::{IMPORT, Sourced};

/// One field to set, or to delete, by its path.
pub(super) type Step = (Vec<String>, Option<Value>);

/// The field of the map [`IMPORT`] that holds a [`Wrote`].
const WROTE: &str = "wrote";
const WROTE_BYTES: usize = 32 * 1024;
const CANCELLED: &str = "cancelled";

/// Hashes of what the last import wrote, to tell what the source changed since then
/// from what people changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wrote {
    /// By path; an item of a set is `people/Ada`.
    fields: BTreeMap<String, u64>,
    /// The room asked for and when; none if no room was.
    place: Option<u64>,
}

impl Wrote {
    /// What is about to be written.
    pub(super) fn of(own: &Fields, place: Option<u64>) -> Self {
        let hashes = leaves(own).into_iter().map(|(key, leaf)| (key, hash(leaf.value)));
        let mut fields: BTreeMap<String, u64> = hashes.collect();
        // A span is one thing: a start of one's own and an end of another's may be none.
        let span = hash(&(own.get("starts"), own.get("ends")));
        for bound in ["starts", "ends"] {
            fields.entry(bound.to_owned()).and_modify(|hash| *hash = span);
        }
        Self { fields, place }
    }

    /// What the last import wrote; nothing if there was none.
    pub(super) fn read(present: &Fields) -> Self {
        let Some(Value::Map(import)) = present.get(IMPORT) else {
            return Self::default();
        };
        let Some(Value::Bytes(bytes)) = import.get(WROTE) else {
            return Self::default();
        };
        codec::decode(bytes, WROTE_BYTES).unwrap_or_default()
    }

    pub(super) fn value(&self) -> Value {
        Value::Bytes(codec::encode(self))
    }

    pub(super) fn same_place(&self, other: &Self) -> bool {
        self.place == other.place
    }

    pub(super) fn same_span(&self, other: &Self) -> bool {
        self.fields.get("starts") == other.fields.get("starts")
    }

    /// Whether the last import cancelled the event.
    pub(super) fn cancelled(&self) -> bool {
        self.fields.contains_key(CANCELLED)
    }
}

pub(super) fn hash(value: &(impl Serialize + ?Sized)) -> u64 {
    let hash = blake3::hash(&codec::encode(value));
    hash.as_bytes()[..8].iter().fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// The steps that make an entity new: its map [`IMPORT`].
pub(super) fn creation(sourced: Sourced, wrote: &Wrote) -> Vec<Step> {
    let mut import = sourced.import;
    import.insert(WROTE.to_owned(), wrote.value());
    vec![(vec![IMPORT.to_owned()], Some(Value::Map(import)))]
}

/// The steps to what the source says now. Where it says what it said at the last
/// import, the present value stays, whatever it is.
pub(super) fn update(present: &Fields, sourced: Sourced, old: &Wrote, new: &Wrote) -> Vec<Step> {
    let mut steps = Vec::new();
    let standing = leaves(present);
    for (key, leaf) in leaves(&sourced.own) {
        let said = old.fields.get(&key) == new.fields.get(&key);
        if !said && standing.get(&key).is_none_or(|present| present.value != leaf.value) {
            steps.push((leaf.path, Some(leaf.value.clone())));
        }
    }
    for (key, leaf) in standing {
        if old.fields.contains_key(&key) && !new.fields.contains_key(&key) {
            steps.push((leaf.path, None));
        }
    }
    steps.extend(update_import(present, sourced.import, new));
    steps
}

fn update_import(present: &Fields, mut import: Fields, wrote: &Wrote) -> Vec<Step> {
    import.insert(WROTE.to_owned(), wrote.value());
    let nothing = Fields::new();
    let present = match present.get(IMPORT) {
        Some(Value::Map(fields)) => fields,
        _ => &nothing,
    };
    let (standing, wanted) = (leaves(present), leaves(&import));
    let mut steps = Vec::new();
    for (key, leaf) in &standing {
        if !wanted.contains_key(key) {
            steps.push((below(&leaf.path), None));
        }
    }
    for (key, leaf) in wanted {
        if standing.get(&key).is_none_or(|present| present.value != leaf.value) {
            steps.push((below(&leaf.path), Some(leaf.value.clone())));
        }
    }
    steps
}

/// The steps that mark an event as cancelled by its source.
pub(super) fn cancellation(old: &Wrote) -> Vec<Step> {
    let mut wrote = old.clone();
    wrote.fields.insert(CANCELLED.to_owned(), hash(&Value::Bool(true)));
    wrote.place = None;
    let cancelled = (vec![CANCELLED.to_owned()], Some(Value::Bool(true)));
    vec![cancelled, (below(&[WROTE.to_owned()]), Some(wrote.value()))]
}

/// The step that marks a room as one that the source has no more.
pub(super) fn disappearance() -> Vec<Step> {
    vec![(below(&["gone".to_owned()]), Some(Value::Bool(true)))]
}

fn below(path: &[String]) -> Vec<String> {
    std::iter::once(IMPORT.to_owned()).chain(path.iter().cloned()).collect()
}

/// A value that is no map, with its path.
struct Leaf<'a> {
    path: Vec<String>,
    value: &'a Value,
}

/// The leaves of fields by their path in one text.
fn leaves(fields: &Fields) -> BTreeMap<String, Leaf<'_>> {
    let mut found = BTreeMap::new();
    gather(fields, &mut Vec::new(), &mut found);
    found
}

fn gather<'a>(fields: &'a Fields, path: &mut Vec<String>, found: &mut BTreeMap<String, Leaf<'a>>) {
    for (name, value) in fields {
        path.push(name.clone());
        match value {
            Value::Map(fields) => gather(fields, path, found),
            value => {
                let path = path.clone();
                found.insert(path.join("/"), Leaf { path, value });
            }
        }
        path.pop();
    }
}
