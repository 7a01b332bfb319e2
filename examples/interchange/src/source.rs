//! Where a schedule comes from, and where its entities stand because of it.

use std::collections::HashMap;

use p2panda_core::{DocumentDescriptor, DocumentId, EntityId, FestivalId, LocalId, UserId};

use crate::local_id;

/// Documents over which the events of a source are spread. A large congress has
/// 1,400 events; one document should hold far fewer than 2,000 entities and
/// records, and one edit should touch a small one.
const EVENT_DOCUMENTS: u8 = 64;
/// Documents over which its rooms are spread.
const ROOM_DOCUMENTS: u8 = 8;
/// Names up to this length stand in labels as they are.
const NAME_BYTES: usize = 40;
/// The source's name where a schedule has no acronym.
const NAMELESS: &str = "schedule";

/// A source of schedules, imported by one user into one festival.
pub(crate) struct Source {
    name: String,
    /// The name as it stands in labels and notes.
    short: String,
    festival: FestivalId,
    user: UserId,
}

/// A document by its label, and a name in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) label: String,
    pub(crate) local: LocalId,
}

impl Source {
    pub(crate) fn new(name: &str, festival: FestivalId, user: UserId) -> Self {
        // The first NUL is what parts source and guid in a hash.
        let name = name.replace('\0', "");
        let name = match name.trim() {
            "" => NAMELESS.to_owned(),
            name => name.to_owned(),
        };
        let short = if name.len() <= NAME_BYTES { name.clone() } else { local_id("source", &name) };
        Self { name, short, festival, user }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn user(&self) -> UserId {
        self.user
    }

    /// The note of the requests that an import makes, by which it knows them again.
    pub(crate) fn note(&self) -> String {
        format!("scheduled by {}", self.short)
    }

    pub(crate) fn event(&self, guid: &str) -> Place {
        let local = local(&self.name, guid);
        let label = self.event_label(bucket(&local, EVENT_DOCUMENTS));
        Place { label, local }
    }

    /// A room by its guid, or by its name where it has none.
    pub(crate) fn room(&self, key: &str) -> Place {
        let local = local(&format!("{} rooms", self.name), key);
        let label = self.room_label(bucket(&local, ROOM_DOCUMENTS));
        Place { label, local }
    }

    /// What the source says of the schedule as a whole.
    pub(crate) fn head(&self) -> Place {
        let local = local(&format!("{} head", self.name), "");
        let label = format!("import/{}", self.short);
        Place { label, local }
    }

    pub(crate) fn id(&self, place: &Place) -> EntityId {
        EntityId::new(self.document(&place.label), place.local.clone())
    }

    /// The documents that hold events, and their labels.
    pub(crate) fn event_documents(&self) -> HashMap<DocumentId, String> {
        self.documents((0..EVENT_DOCUMENTS).map(|bucket| self.event_label(bucket)))
    }

    /// The documents that hold rooms, and their labels.
    pub(crate) fn room_documents(&self) -> HashMap<DocumentId, String> {
        self.documents((0..ROOM_DOCUMENTS).map(|bucket| self.room_label(bucket)))
    }

    fn documents(&self, labels: impl Iterator<Item = String>) -> HashMap<DocumentId, String> {
        labels.map(|label| (self.document(&label), label)).collect()
    }

    fn document(&self, label: &str) -> DocumentId {
        let (festival, user, label) = (self.festival, self.user, label.to_owned());
        DocumentDescriptor { festival, user, label }.id()
    }

    fn event_label(&self, bucket: u8) -> String {
        format!("import/{}/{bucket:02x}", self.short)
    }

    fn room_label(&self, bucket: u8) -> String {
        format!("import/{}/rooms/{bucket:x}", self.short)
    }
}

fn local(source: &str, guid: &str) -> LocalId {
    let local = local_id(source, guid).parse();
    local.expect("16 letters and digits are a local id")
}

fn bucket(local: &LocalId, buckets: u8) -> u8 {
    blake3::hash(local.as_str().as_bytes()).as_bytes()[0] % buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_short_enough_for_a_document() {
        for name in ["", "36c3", &"ä".repeat(20), &"x".repeat(4_000), "a\0b"] {
            let festival = FestivalId::from_bytes([1; 32]);
            let source = Source::new(name, festival, UserId::from_bytes([2; 32]));
            for place in [source.event("guid"), source.room("Ada"), source.head()] {
                let size = place.label.len();
                assert!(size <= DocumentDescriptor::MAX_LABEL, "{}", place.label);
            }
            assert_eq!(source.event_documents().len(), 64);
            assert!(source.event_documents().contains_key(&source.id(&source.event("g")).document));
            assert!(source.room_documents().contains_key(&source.id(&source.room("r")).document));
        }
    }
}
