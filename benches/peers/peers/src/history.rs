//! What people write: documents that change. The same for every system, which each writes it in
//! its own way.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

/// An event, as far as the comparison needs one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Its title.
    pub title: String,
    /// A second line.
    pub subtitle: String,
    /// A short text.
    pub summary: String,
    /// A long text.
    pub description: String,
    /// Milliseconds since 1970.
    pub starts: i64,
    /// Milliseconds since 1970.
    pub ends: i64,
    /// Its language.
    pub language: String,
    /// Who takes part.
    pub people: BTreeSet<String>,
    /// Words to find it by: the room and the track among them.
    pub tags: BTreeSet<String>,
}

/// A value of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Text.
    Text(String),
    /// Milliseconds since 1970.
    Time(i64),
    /// A member of a set.
    Member,
}

/// One event as one change leaves it.
#[derive(Clone, Debug, Serialize)]
pub struct Edit {
    /// The event's id.
    pub id: String,
    /// The whole event afterwards; `None` where it was removed.
    #[serde(skip)]
    pub event: Option<Event>,
    /// Whether it was not there before.
    #[serde(skip)]
    pub is_new: bool,
    /// The fields that differ from before, by path; `None` where one was deleted.
    pub changed: Vec<(Vec<String>, Option<Value>)>,
}

/// What one user writes at once into one document.
#[derive(Clone, Debug)]
pub struct Change {
    /// The document, from 0.
    pub document: usize,
    /// What is written.
    pub edits: Vec<Edit>,
}

impl Change {
    /// As systems with opaque payloads carry it: the changed fields as JSON.
    #[must_use]
    pub fn to_payload(&self) -> Vec<u8> {
        serde_json::to_vec(&self.edits).unwrap_or_else(|error| unreachable!("plain data: {error}"))
    }
}

/// All that is written, in order.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// How many documents there are.
    pub documents: usize,
    /// Whether one user writes them all; otherwise each has a user of its own.
    pub one_author: bool,
    /// The changes; those of one document build on each other.
    pub changes: Vec<Change>,
}

impl History {
    /// Who writes a document.
    #[must_use]
    pub const fn author(&self, document: usize) -> usize {
        if self.one_author { 0 } else { document }
    }

    /// The changes of one document, in order.
    pub fn of_document(&self, document: usize) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.document == document)
    }

    /// `changes` changes spread evenly over `documents` documents: in each, one in ten makes an
    /// event and the others change its title and times.
    #[must_use]
    pub fn of(documents: usize, changes: usize) -> Self {
        let mut writer = Writer::default();
        let each = changes.div_ceil(documents);
        for document in 0..documents {
            for at in 0..each.min(changes - (document * each).min(changes)) {
                let number = document * each + at;
                writer.put(document, &format!("e{}", at % each.div_ceil(10)), event(number));
                writer.end(document);
            }
        }
        Self { documents, one_author: false, changes: writer.changes }
    }

    /// The same, and one more change in each of the last so many documents.
    #[must_use]
    pub fn with_more(documents: usize, changes: usize, different: usize) -> (Self, Vec<Change>) {
        let history = Self::of(documents, changes);
        let last: HashMap<_, _> =
            history.changes.iter().map(|change| (change.document, change)).collect();
        let more = (documents - different.min(documents)..documents).map(|document| {
            let mut writer = Writer::default();
            let edit = last.get(&document).and_then(|change| change.edits.first());
            let (id, old) = edit.map_or_else(
                || ("e0".to_owned(), Event::default()),
                |edit| (edit.id.clone(), edit.event.clone().unwrap_or_default()),
            );
            let title = format!("Changed at the last minute, document {document}");
            writer.known.insert((document, id.clone()), old.clone());
            writer.put(document, &id, Event { title, ..old });
            writer.end(document);
            writer.changes.remove(0)
        });
        let more = more.collect();
        (history, more)
    }
}

/// One event of a festival that lasts four days.
fn event(number: usize) -> Event {
    let starts = 1_577_440_800_000 + (number % 384) as i64 * 900_000;
    Event {
        title: format!("Event {number}, whose title is about as long as titles are"),
        summary: "What it is about, in one line of text.".to_owned(),
        starts,
        ends: starts + 3_600_000,
        ..Event::default()
    }
}

/// Finds what differs.
#[derive(Default)]
pub(crate) struct Writer {
    known: HashMap<(usize, String), Event>,
    open: BTreeMap<usize, Vec<Edit>>,
    changes: Vec<Change>,
}

impl Writer {
    /// Writes an event as it is from now on.
    pub(crate) fn put(&mut self, document: usize, id: &str, event: Event) {
        let key = (document, id.to_owned());
        let before = self.known.get(&key);
        let is_new = before.is_none();
        let (old, new) = (before.map(fields).unwrap_or_default(), fields(&event));
        let gone = old.keys().filter(|path| !new.contains_key(*path));
        let mut changed: Vec<_> = gone.map(|path| (path.clone(), None)).collect();
        let differs = new.iter().filter(|(path, value)| old.get(*path) != Some(*value));
        changed.extend(differs.map(|(path, value)| (path.clone(), Some(value.clone()))));
        if changed.is_empty() {
            return;
        }
        self.known.insert(key, event.clone());
        let edit = Edit { id: id.to_owned(), event: Some(event), is_new, changed };
        self.open.entry(document).or_default().push(edit);
    }

    /// Removes an event.
    pub(crate) fn remove(&mut self, document: usize, id: &str) {
        if self.known.remove(&(document, id.to_owned())).is_some() {
            let edit = Edit { id: id.to_owned(), event: None, is_new: false, changed: Vec::new() };
            self.open.entry(document).or_default().push(edit);
        }
    }

    pub(crate) fn known(&self, document: usize, id: &str) -> Option<&Event> {
        self.known.get(&(document, id.to_owned()))
    }

    /// Ends what is written at once into a document.
    fn end(&mut self, document: usize) {
        if let Some(edits) = self.open.remove(&document) {
            self.changes.push(Change { document, edits });
        }
    }

    /// Ends what is written at once, into whichever documents.
    pub(crate) fn end_all(&mut self) {
        while let Some((document, edits)) = self.open.pop_first() {
            self.changes.push(Change { document, edits });
        }
    }

    /// As the history of one user who writes into so many documents.
    pub(crate) fn finish(self, documents: usize) -> History {
        History { documents, one_author: true, changes: self.changes }
    }
}

fn fields(event: &Event) -> BTreeMap<Vec<String>, Value> {
    let mut fields = BTreeMap::new();
    let texts = [
        ("title", &event.title),
        ("subtitle", &event.subtitle),
        ("summary", &event.summary),
        ("description", &event.description),
        ("language", &event.language),
    ];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        fields.insert(vec![name.to_owned()], Value::Text(text.clone()));
    }
    for (name, time) in [("starts", event.starts), ("ends", event.ends)] {
        fields.insert(vec![name.to_owned()], Value::Time(time));
    }
    for (name, set) in [("people", &event.people), ("tags", &event.tags)] {
        for member in set {
            fields.insert(vec![name.to_owned(), member.clone()], Value::Member);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_holds_what_differs_and_nothing_else() {
        let mut writer = Writer::default();
        let old = Event { title: "Tea".into(), people: ["Ada".into()].into(), ..event(1) };
        let new = Event { title: "Tea".into(), people: ["Bob".into()].into(), ..event(1) };
        writer.put(0, "tea", old);
        writer.put(0, "tea", new);
        writer.remove(0, "tea");
        writer.remove(0, "tea");
        writer.end_all();
        let [change] = &writer.finish(1).changes[..] else { panic!("one change") };
        let [made, changed, removed] = &change.edits[..] else { panic!("three edits") };
        assert!(made.is_new && !changed.is_new && removed.event.is_none());
        let path = |name: &str| vec!["people".to_owned(), name.to_owned()];
        let expected = [(path("Ada"), None), (path("Bob"), Some(Value::Member))];
        assert_eq!(changed.changed, expected);
    }

    #[test]
    fn sizes_are_what_was_asked_for() {
        for (documents, changes) in [(1, 2_000), (20, 2_000), (7, 100)] {
            let history = History::of(documents, changes);
            assert_eq!(history.changes.len(), changes);
            assert!(history.changes.iter().all(|change| change.document < documents));
        }
        let (history, more) = History::with_more(200, 600, 10);
        assert_eq!((history.changes.len(), more.len()), (600, 10));
    }
}
