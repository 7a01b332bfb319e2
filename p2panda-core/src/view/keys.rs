//! The keys of rows, indexes and the feed: bounded, and no two things have one key.

use crate::{
    id::{DocumentId, EntityId, FestivalId, UserId},
    log::DocumentDescriptor,
    replica::damaged,
    store::{Store, StoreError, Table, prefix_end},
};

/// What ends a local id in a key: no local id has it.
const END: u8 = 0;

/// An entity or record as part of a key. No such part is the beginning of another.
pub(super) fn id_part(id: &EntityId) -> Vec<u8> {
    [&id.document.as_bytes()[..], id.local.as_str().as_bytes(), &[END]].concat()
}

/// Reads an [`id_part`] and what follows it.
pub(super) fn read_id(bytes: &[u8]) -> Result<(EntityId, &[u8]), StoreError> {
    let bad = || damaged("a key of the view is malformed");
    let (document, rest) = bytes.split_first_chunk::<32>().ok_or_else(bad)?;
    let end = rest.iter().position(|byte| *byte == END).ok_or_else(bad)?;
    let local = std::str::from_utf8(&rest[..end]).map_err(damaged)?;
    let local = local.parse().map_err(damaged)?;
    Ok((EntityId::new(DocumentId::from_bytes(*document), local), &rest[end + 1..]))
}

/// The row of an entity or record; an entity's fields stand below it.
pub(super) fn row_key(festival: FestivalId, id: &EntityId) -> Vec<u8> {
    [&festival.as_bytes()[..], &id_part(id)].concat()
}

/// The row of what stands at a path of an entity: each name after its length, which is at most 128.
pub(super) fn path_key(
    festival: FestivalId,
    id: &EntityId,
    path: impl IntoIterator<Item = impl AsRef<str>>,
) -> Vec<u8> {
    let mut key = row_key(festival, id);
    for name in path {
        push_name(&mut key, name.as_ref());
    }
    key
}

pub(super) fn push_name(key: &mut Vec<u8>, name: &str) {
    key.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    key.extend_from_slice(name.as_bytes());
}

/// The names of a path in a key.
pub(super) fn read_names(mut bytes: &[u8]) -> Result<Vec<&str>, StoreError> {
    let mut names = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        let (name, rest) = rest
            .split_at_checked(usize::from(*length))
            .ok_or_else(|| damaged("a name in a key is cut off"))?;
        names.push(std::str::from_utf8(name).map_err(damaged)?);
        bytes = rest;
    }
    Ok(names)
}

/// The secondary indexes. Each key is a prefix byte, the festival, what is looked up, and the row.
#[derive(Clone, Copy)]
pub(super) enum IndexOf {
    /// Documents by user.
    Author = b'u' as isize,
    /// Entities by kind.
    Kind = b'k' as isize,
    /// Events by span; the value is their end.
    Schedule = b't' as isize,
    /// Entities and records that are not what their kind needs, and amendments that are none.
    Malformed = b'm' as isize,
    /// By entity: what it has in the indexes above.
    State = b'x' as isize,
    /// Records by resource.
    Resource = b'r' as isize,
    /// Requests by event.
    Event = b'e' as isize,
    /// Requests and confirmations by resource and span; the value is their end.
    Booking = b'b' as isize,
    /// Open requests by resource.
    Open = b'o' as isize,
    /// Withdrawals by request and author.
    Withdrawn = b'w' as isize,
    /// Decisions that are not released by request and author.
    Standing = b'd' as isize,
    /// Releases by decision and author.
    Released = b'f' as isize,
    /// Entities by the blobs that they refer to.
    Blob = b'i' as isize,
    /// By document and entry: what the entry names as seen of other incarnations.
    Merge = b'p' as isize,
    /// By row: its newest change, and the change at which it first arrived.
    Change = b's' as isize,
}

impl IndexOf {
    const ALL: [Self; 15] = [
        Self::Author,
        Self::Kind,
        Self::Schedule,
        Self::Malformed,
        Self::State,
        Self::Resource,
        Self::Event,
        Self::Booking,
        Self::Open,
        Self::Withdrawn,
        Self::Standing,
        Self::Released,
        Self::Blob,
        Self::Merge,
        Self::Change,
    ];
}

pub(super) fn index_key(index: IndexOf, festival: FestivalId, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![index as u8];
    key.extend_from_slice(festival.as_bytes());
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

/// Where it is noted whose a document is.
pub(crate) fn author_key(descriptor: &DocumentDescriptor) -> Vec<u8> {
    let DocumentDescriptor { festival, user, .. } = descriptor;
    [author_prefix(*festival, user), descriptor.id().as_bytes().to_vec()].concat()
}

/// Below it stand the ids of a user's documents.
pub(crate) fn author_prefix(festival: FestivalId, user: &UserId) -> Vec<u8> {
    index_key(IndexOf::Author, festival, &[user.as_bytes()])
}

/// The documents of a user in a festival, by id.
pub(crate) fn documents_of(
    store: &dyn Store,
    festival: FestivalId,
    user: &UserId,
) -> Result<Vec<DocumentId>, StoreError> {
    let prefix = index_key(IndexOf::Author, festival, &[user.as_bytes()]);
    let entries = store.range(Table::Index, &prefix, prefix_end(&prefix).as_deref(), usize::MAX)?;
    let document = |key: &[u8]| {
        let id = key.last_chunk::<32>().ok_or_else(|| damaged("a key by author is cut off"))?;
        Ok(DocumentId::from_bytes(*id))
    };
    entries.iter().map(|(key, _)| document(key)).collect()
}

/// Every prefix of keys under which something of a festival's view is stored.
pub(crate) fn stored_at(festival: FestivalId) -> Vec<(Table, Vec<u8>)> {
    let indexes = IndexOf::ALL.map(|index| (Table::Index, index_key(index, festival, &[])));
    let rows = [Table::Rows, Table::Feed].map(|table| (table, festival.as_bytes().to_vec()));
    indexes.into_iter().chain(rows).chain([(Table::Meta, counter_key(festival))]).collect()
}

/// Whether a key of the index holds what cannot be made anew: when a row first arrived.
pub(crate) fn is_arrival_key(key: &[u8]) -> bool {
    key.first() == Some(&(IndexOf::Change as u8))
}

/// A kind as part of a key; longer ones are in no index.
pub(super) fn kind_part(kind: &str) -> Option<Vec<u8>> {
    let mut part = vec![u8::try_from(kind.len()).ok().filter(|length| *length <= 64)?];
    part.extend_from_slice(kind.as_bytes());
    Some(part)
}

/// Signed milliseconds as bytes in the order of time.
pub(super) fn ordered(millis: i64) -> [u8; 8] {
    (millis.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

pub(super) fn read_ordered(bytes: &[u8; 8]) -> i64 {
    (u64::from_be_bytes(*bytes) ^ (1 << 63)).cast_signed()
}

/// Spans are sorted into classes by length, each 16 times the last: so whoever looks for what runs
/// at some moment goes back no further in each than its longest, whatever else there is.
pub(super) const CLASSES: u8 = 11;

/// The bits of the longest span of class 0: 4 hours and 40 minutes.
const FIRST_CLASS_BITS: u32 = 24;

/// The class of a span of this many milliseconds, which are more than 0.
pub(super) fn class_of(length: u64) -> u8 {
    let bits = u64::BITS - length.leading_zeros();
    u8::try_from(bits.saturating_sub(FIRST_CLASS_BITS).div_ceil(4)).unwrap_or(CLASSES)
}

/// No span of a class is as long as this.
pub(super) fn class_end(class: u8) -> u64 {
    1_u64.checked_shl(FIRST_CLASS_BITS + 4 * u32::from(class)).unwrap_or(u64::MAX)
}

pub(super) fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes)
}

const FEED_COUNTER: &[u8] = b"feed";

/// In `Table::Meta`: the newest cursor of a festival's changes feed.
pub(super) fn counter_key(festival: FestivalId) -> Vec<u8> {
    [FEED_COUNTER, &festival.as_bytes()[..]].concat()
}

pub(super) fn feed_key(festival: FestivalId, cursor: u64) -> Vec<u8> {
    [&festival.as_bytes()[..], &cursor.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_has_a_class_and_is_below_its_end() {
        let mut last = 0;
        for bits in 0..64 {
            for length in [1_u64 << bits, (1 << bits) + ((1 << bits) - 1)] {
                let class = class_of(length);
                assert!(class < CLASSES && class >= last, "{length}");
                assert!(length < class_end(class) || length == u64::MAX, "{length}");
                assert!(class == 0 || length >= class_end(class - 1), "{length}");
                last = class;
            }
        }
    }

    #[test]
    fn keys_are_bounded_and_read_back_and_no_path_begins_another_that_is_not_below_it() {
        let festival = FestivalId::from_bytes([1; 32]);
        let id = EntityId::new(DocumentId::from_bytes([0; 32]), "x".repeat(64).parse().unwrap());
        let names = ["a", "ab", "a\0b", "\u{1}a", "\0", &"n".repeat(128)];
        let mut keys = vec![];
        for first in names {
            for second in names {
                let key = path_key(festival, &id, [first, second]);
                let (read, rest) = read_id(&key[32..]).unwrap();
                assert_eq!((read, read_names(rest).unwrap()), (id.clone(), vec![first, second]));
                keys.push((vec![first, second], key));
            }
            keys.push((vec![first], path_key(festival, &id, [first])));
        }
        for (path, key) in &keys {
            for (other, longer) in &keys {
                assert_eq!(longer.starts_with(key), other.starts_with(path), "{path:?} {other:?}");
            }
        }
        let longest = path_key(festival, &id, vec!["n".repeat(128); 8]);
        assert_eq!(longest.len(), 32 + 32 + 65 + 8 * 129);
    }
}
