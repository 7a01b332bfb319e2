//! How an application writes and reads events in Automerge documents: a map for each event, scalar
//! strings and times, a set as a map to `true`.

use automerge::{
    ActorId, Automerge, AutomergeError, ObjId, ObjType, ROOT, ReadDoc, ScalarValue,
    transaction::{CommitOptions, Transactable, Transaction},
};
use peers::{Change, History, Value};

/// The first evening: what the first screen shows.
const SCREEN: std::ops::Range<i64> = 1_577_440_800_000..1_577_440_800_000 + 6 * 3_600_000;

/// An empty document of an author.
#[must_use]
pub fn document(author: usize) -> Automerge {
    let mut actor = [7; 32];
    actor[..8].copy_from_slice(&(author as u64).to_le_bytes());
    Automerge::new().with_actor(ActorId::from(actor))
}

/// Every document of a history, written by its author.
///
/// # Errors
/// Where Automerge refuses a change.
pub fn documents(history: &History) -> Result<Vec<Automerge>, AutomergeError> {
    let all = 0..history.documents;
    let mut documents: Vec<_> = all.map(|at| document(history.author(at))).collect();
    for change in &history.changes {
        write(&mut documents[change.document], change)?;
    }
    Ok(documents)
}

/// Writes one change as one commit.
///
/// # Errors
/// Where Automerge refuses it.
pub fn write(document: &mut Automerge, change: &Change) -> Result<(), AutomergeError> {
    let mut transaction = document.transaction();
    for edit in &change.edits {
        if edit.event.is_none() {
            transaction.delete(ROOT, edit.id.as_str())?;
            continue;
        }
        let event = map(&mut transaction, &ROOT, &edit.id)?;
        if edit.is_new {
            transaction.put(&event, "kind", "event")?;
        }
        for (path, value) in &edit.changed {
            let (object, name) = match &path[..] {
                [set, member] => (map(&mut transaction, &event, set)?, member),
                _ => (event.clone(), &path[0]),
            };
            match value {
                None => transaction.delete(&object, name.as_str())?,
                Some(Value::Text(text)) => {
                    transaction.put(&object, name.as_str(), text.as_str())?
                }
                Some(Value::Time(millis)) => {
                    transaction.put(&object, name.as_str(), ScalarValue::Timestamp(*millis))?;
                }
                Some(Value::Member) => transaction.put(&object, name.as_str(), true)?,
            }
        }
    }
    transaction.commit_with(CommitOptions::default().with_time(1_577_000_000));
    Ok(())
}

fn map(
    transaction: &mut Transaction<'_>,
    parent: &ObjId,
    name: &str,
) -> Result<ObjId, AutomergeError> {
    match transaction.get(parent, name)? {
        Some((automerge::Value::Object(ObjType::Map), id)) => Ok(id),
        _ => transaction.put_object(parent, name, ObjType::Map),
    }
}

/// The titles of a document's events on the first screen of the schedule.
///
/// # Errors
/// Where the document cannot be read.
pub fn screen(document: &Automerge) -> Result<Vec<(i64, String)>, AutomergeError> {
    let mut events = Vec::new();
    for id in document.keys(ROOT) {
        let Some((_, event)) = document.get(ROOT, &id)? else { continue };
        let [starts, ends] = ["starts", "ends"].map(|name| time(document, &event, name));
        if starts? < SCREEN.end && ends? > SCREEN.start {
            let title = document.get(&event, "title")?;
            let title = title.and_then(|(title, _)| Some(title.as_str()?.to_owned()));
            events.push((time(document, &event, "starts")?, title.unwrap_or_default()));
        }
    }
    Ok(events)
}

fn time(document: &Automerge, event: &ObjId, name: &str) -> Result<i64, AutomergeError> {
    let value = document.get(event, name)?;
    Ok(value.and_then(|(value, _)| value.as_scalar()?.as_i64()).unwrap_or_default())
}
