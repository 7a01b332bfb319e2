//! What there is to import, and what each part of it changes.

use std::collections::{BTreeMap, HashMap, HashSet};

use p2panda_core::EntityId;
use p2panda_core::schema::{
    self, Entity as _, Fields, Instant, Malformed, Resource, Span, Terms, read_fields,
};
use p2panda_core::store::StoreError;
use p2panda_core::view::View;

use super::difference::{Wrote, cancellation, creation, disappearance, hash, update};
use super::requests::Requests;
use super::{Change, ImportError, New};
use crate::fields::{EventOrigin, RoomOrigin, event_fields, origin, place, room_fields};
use crate::model::{Event, Room, Schedule};
use crate::report::Report;
use crate::source::{Place, Source};

/// A room or event: where it stands, and how the source has it, if it does.
pub(super) struct Task<T> {
    place: Place,
    pub(super) wanted: Option<T>,
}

/// Everything of a source, what vanished included. Neighbours share a document, so
/// that a batch writes to few.
pub(super) struct Work<'a> {
    /// Rooms with their position.
    pub(super) rooms: Vec<Task<(i64, &'a Room)>>,
    pub(super) events: Vec<Task<&'a Event>>,
    pub(super) room_ids: HashMap<&'a str, EntityId>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        view: &View<'_>,
        source: &Source,
        schedule: &'a Schedule,
        report: &mut Report,
    ) -> Result<Self, StoreError> {
        let mut rooms = before(view, Resource::KIND, source.room_documents())?;
        let mut room_ids = HashMap::new();
        let mut guids = HashSet::new();
        for (position, room) in (0..).zip(&schedule.rooms) {
            let guid = room.guid.as_deref().filter(|guid| guids.insert(*guid));
            let place = source.room(guid.unwrap_or(&room.name));
            let id = source.id(&place);
            if rooms.get(&place).is_some_and(Option::is_some) || room_ids.contains_key(&*room.name)
            {
                let at = crate::fields::place("rooms", &room.name);
                report.skip(at, "an earlier room has the same name or guid");
                continue;
            }
            room_ids.insert(room.name.as_str(), id);
            rooms.insert(place, Some((position, room)));
        }
        let mut events = before(view, schema::Event::KIND, source.event_documents())?;
        for event in &schedule.events {
            let earlier = events.entry(source.event(&event.guid)).or_insert(None);
            if earlier.is_some() {
                report.skip(place("events", &event.guid), "an earlier event has the same guid");
            } else {
                *earlier = Some(event);
            }
        }
        Ok(Self { rooms: tasks(rooms), events: tasks(events), room_ids })
    }
}

/// What earlier imports made, as what the source may have no more.
fn before<T>(
    view: &View<'_>,
    kind: &str,
    documents: HashMap<p2panda_core::DocumentId, String>,
) -> Result<BTreeMap<Place, Option<T>>, StoreError> {
    let mut known = BTreeMap::new();
    for EntityId { document, local } in view.ids(kind)? {
        if let Some(label) = documents.get(&document).cloned() {
            known.insert(Place { label, local }, None);
        }
    }
    Ok(known)
}

fn tasks<T>(tasks: BTreeMap<Place, Option<T>>) -> Vec<Task<T>> {
    tasks.into_iter().map(|(place, wanted)| Task { place, wanted }).collect()
}

/// Decides what to write.
pub(super) struct Planner<'a> {
    pub(super) source: &'a Source,
    pub(super) zone: &'a str,
    pub(super) rooms: &'a HashMap<&'a str, EntityId>,
    pub(super) requests: &'a Requests,
    pub(super) now: Instant,
}

impl Planner<'_> {
    pub(super) fn room(
        &self,
        view: &View<'_>,
        task: &Task<(i64, &Room)>,
        report: &mut Report,
    ) -> Result<Change, ImportError> {
        let mut change = self.nothing(&task.place);
        let present = view.fields(&change.id)?;
        let Some((position, room)) = task.wanted else {
            let origin: RoomOrigin = present.as_ref().and_then(origin).unwrap_or_default();
            if origin.source == self.source.name() && !origin.gone {
                change.steps = disappearance();
            }
            return Ok(change);
        };
        let sourced = room_fields(room, position, self.source, report)?;
        let wrote = Wrote::of(&sourced.own, None);
        match present {
            Some(fields) => change.steps = update(&fields, sourced, &Wrote::read(&fields), &wrote),
            None => {
                change.new = Some(New::Room(read_fields(&sourced.own)?));
                change.steps = creation(sourced, &wrote);
            }
        }
        Ok(change)
    }

    pub(super) fn event(
        &self,
        view: &View<'_>,
        task: &Task<&Event>,
        report: &mut Report,
    ) -> Result<Change, ImportError> {
        let mut change = self.nothing(&task.place);
        let present = view.fields(&change.id)?;
        let Some(event) = task.wanted else {
            if let Some(fields) = present {
                self.cancel(&fields, &mut change);
            }
            return Ok(change);
        };
        let sourced = event_fields(event, self.zone, self.source, report)?;
        let room = event.room.as_deref().and_then(|room| self.rooms.get(room));
        let asks = room.map(|room| hash(&(room.local.as_str(), event.starts, event.ends)));
        let new = Wrote::of(&sourced.own, asks);
        let old = present.as_ref().map(Wrote::read).unwrap_or_default();
        let span = self.span(event, present.as_ref().filter(|_| old.same_span(&new)))?;
        if span.is_none() {
            report.skip(
                place("events", &event.guid),
                "it ends before it starts: it asks for no room",
            );
        }
        let terms = room.zip(span).map(|(room, span)| Terms {
            event: change.id.clone(),
            resource: room.clone(),
            span,
            units: 1,
        });
        (change.withdraw, change.request) =
            self.requests.change(&change.id, terms, !old.same_place(&new), self.now);
        match present {
            Some(fields) => change.steps = update(&fields, sourced, &old, &new),
            None => {
                change.new = Some(New::Event(read_fields(&sourced.own)?));
                change.steps = creation(sourced, &new);
            }
        }
        Ok(change)
    }

    /// The span to ask for: that of the source, or the one that stands, where people
    /// moved an event that the source did not.
    fn span(&self, event: &Event, stands: Option<&Fields>) -> Result<Option<Span>, Malformed> {
        let source = Some((Instant::from_millis(event.starts), Instant::from_millis(event.ends)));
        let stands = stands.map(read_fields::<schema::Event>).transpose()?;
        let bounds = stands.map_or(source, |event| event.starts.zip(event.ends));
        Ok(bounds.and_then(|(starts, ends)| Span::new(starts, ends)))
    }

    fn cancel(&self, present: &Fields, change: &mut Change) {
        let origin: EventOrigin = origin(present).unwrap_or_default();
        if origin.source != self.source.name() {
            return;
        }
        let wrote = Wrote::read(present);
        change.is_gone = true;
        change.cancels = true;
        if !wrote.cancelled() {
            change.steps = cancellation(&wrote);
        }
        (change.withdraw, change.request) = self.requests.change(&change.id, None, true, self.now);
    }

    fn nothing(&self, place: &Place) -> Change {
        Change {
            label: place.label.clone(),
            id: self.source.id(place),
            new: None,
            steps: Vec::new(),
            cancels: false,
            withdraw: Vec::new(),
            request: None,
            is_gone: false,
        }
    }
}
