//! A schedule's rooms and events as fields of entities, and back.
//!
//! What p2panda has a field for stands there, for every client to read and edit.
//! The rest of what the source says stands in the entity's map `import`, so that
//! an export loses nothing; lists in it are CBOR.

mod event;
mod head;
mod room;

use std::collections::{BTreeMap, BTreeSet};

use p2panda_core::codec;
use p2panda_core::schema::{Fields, Malformed, Value, read_fields, write_fields};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

pub(crate) use event::{EventOrigin, event_fields, model_event};
pub(crate) use head::{Head, head_of, schedule_of};
pub(crate) use room::{RoomOrigin, model_room, room_fields};

use crate::model::{Extra, Link};
use crate::report::Report;

/// The field that holds what only the source knows.
pub(crate) const IMPORT: &str = "import";
/// The largest text or byte string of one field.
const SCALAR_BYTES: usize = 32 * 1024;
/// The longest name of a field; items of sets are names of fields.
const KEY_BYTES: usize = 128;

/// An entity as its source has it.
pub(crate) struct Sourced {
    /// The fields that p2panda knows.
    pub(crate) own: Fields,
    /// The map [`IMPORT`].
    pub(crate) import: Fields,
}

impl Sourced {
    fn new(
        own: &impl Serialize,
        origin: &impl Serialize,
        at: &str,
        report: &mut Report,
    ) -> Result<Self, Malformed> {
        let (mut own, mut import) = (write_fields(own)?, write_fields(origin)?);
        fit(&mut own, at, report);
        fit(&mut import, at, report);
        Ok(Self { own, import })
    }
}

/// What the source alone knows of an entity; `None` if it was not imported.
pub(crate) fn origin<T: DeserializeOwned + Default>(fields: &Fields) -> Option<T> {
    match fields.get(IMPORT)? {
        Value::Map(import) => read_fields(import).ok(),
        _ => None,
    }
}

/// Whether a text can be an item of a set.
pub(crate) fn is_item(text: &str) -> bool {
    !text.is_empty() && text.len() <= KEY_BYTES
}

fn items<'a>(texts: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    texts.filter(|text| is_item(text)).map(str::to_owned).collect()
}

/// The extra fields that a document can hold.
fn holdable(extra: &Extra, at: &str, report: &mut Report) -> Extra {
    let mut kept = Extra::new();
    for (key, value) in extra {
        if !is_item(key) {
            report.skip(at, "the name of a field is empty or too long to be kept");
        } else if value.len() > SCALAR_BYTES {
            report.skip(format!("{at}/{key}"), too_large(value.len()));
        } else {
            kept.insert(key.clone(), value.clone());
        }
    }
    kept
}

/// Cuts texts and drops lists that no document can hold.
fn fit(fields: &mut Fields, at: &str, report: &mut Report) {
    let mut dropped = Vec::new();
    for (name, value) in &mut *fields {
        let at = format!("{at}/{name}");
        match value {
            Value::Text(text) if text.len() > SCALAR_BYTES => {
                report.skip(at, format!("{}: its end is cut off", too_large(text.len())));
                text.truncate(text.floor_char_boundary(SCALAR_BYTES));
            }
            Value::Bytes(bytes) if bytes.len() > SCALAR_BYTES => {
                report.skip(at, too_large(bytes.len()));
                dropped.push(name.clone());
            }
            Value::Map(fields) => fit(fields, &at, report),
            _ => {}
        }
    }
    for name in dropped {
        fields.remove(&name);
    }
}

fn too_large(size: usize) -> String {
    format!("it has {size} bytes, a document's field holds {SCALAR_BYTES}")
}

/// An ordered list as one value; nothing where it is empty.
fn list<T: Serialize>(items: &[T]) -> ByteBuf {
    if items.is_empty() {
        return ByteBuf::new();
    }
    ByteBuf::from(codec::encode(items))
}

/// Reads [`list`]; what is no such list is empty.
fn unlist<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Vec<T> {
    codec::decode(bytes, SCALAR_BYTES).unwrap_or_default()
}

/// A link as [`list`] holds it.
#[derive(Serialize, Deserialize)]
struct LinkItem(String, String, BTreeMap<String, String>);

fn link_list(links: &[Link]) -> ByteBuf {
    let item = |link: &Link| LinkItem(link.url.clone(), link.title.clone(), link.extra.clone());
    list(&links.iter().map(item).collect::<Vec<_>>())
}

fn links_of(bytes: &[u8]) -> impl Iterator<Item = Link> {
    let items = unlist(bytes).into_iter();
    items.map(|LinkItem(url, title, extra)| Link { url, title, extra })
}

/// Where a part of a schedule stands, for a report: by guid or name, since the
/// place in a file is no longer known.
pub(crate) fn place(list: &str, key: &str) -> String {
    crate::json::under(&format!("/{list}"), key)
}
