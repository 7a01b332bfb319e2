//! Reads a festival's schedule, whoever wrote it and wherever it came from.
//!
//! What was imported comes out as its source had it, with what people changed since
//! then. Events made here come too, with a guid derived from their id. Left out are
//! events without a span, cancelled ones (frab cannot say so), and all but one of
//! those that have the same guid because several users imported them.
//!
//! An event is in the room that it asks for, granted or not: of several standing
//! requests, in that of the earliest by the event's own author. Rooms of an imported
//! schedule come in its order, and before those that only other events use.

use std::collections::{BTreeMap, HashMap, HashSet};

use p2panda_core::EntityId;
use p2panda_core::schema::{self, Entity as _, FestivalInfo, Instant, Record, Resource};
use p2panda_core::store::StoreError;
use p2panda_core::view::{Fact, View};

use crate::fields::{Head, model_event, model_room, schedule_of};
use crate::import::requests::standing;
use crate::model::{Room, Schedule};
use crate::zone::Zone;

/// The schedule of a festival, in [tidy](Schedule::tidy) form.
///
/// # Errors
/// [`StoreError`].
pub fn export(view: &View<'_>) -> Result<Schedule, StoreError> {
    let mut schedule = head(view)?;
    let rooms = Rooms::read(view)?;
    let mut used = HashSet::new();
    let mut guids = HashSet::new();
    for id in view.ids(schema::Event::KIND)? {
        let Some(fields) = view.fields(&id)? else { continue };
        let Some(mut event) = model_event(&fields) else { continue };
        if event.guid.is_empty() {
            event.guid = derived_guid(&id);
        }
        if !guids.insert(event.guid.clone()) {
            continue;
        }
        if let Some(room) = rooms.of_event.get(&id) {
            event.room = rooms.known.get(&room.resource).map(|known| known.room.name.clone());
            used.insert(&room.resource);
        }
        schedule.events.push(event);
    }
    schedule.rooms = rooms.listed(&used);
    schedule.tidy();
    Ok(schedule)
}

/// The schedule without rooms and events: as its source has it, else as the founder
/// of the festival does.
fn head(view: &View<'_>) -> Result<Schedule, StoreError> {
    let mut heads = Vec::new();
    for (id, head) in view.list::<Head>()? {
        heads.extend(head.ok().map(|head| (head.source.clone(), id, head)));
    }
    heads.sort_by(|(a, a_id, _), (b, b_id, _)| (a, a_id).cmp(&(b, b_id)));
    let heads = heads.into_iter().map(|(_, _, head)| schedule_of(head));
    let merged = heads.reduce(|mut first, other| {
        first.days.extend(other.days);
        first.starts = first.starts.min(other.starts).or(first.starts);
        first.ends = first.ends.max(other.ends);
        first
    });
    if let Some(schedule) = merged {
        return Ok(schedule);
    }
    let info = view.info()?.unwrap_or_default();
    Ok(founded(info))
}

fn founded(info: FestivalInfo) -> Schedule {
    let zone = Zone::named_or_utc(Some(&info.zone));
    let date = |instant: Option<Instant>| Some(zone.local(instant?.millis())?.date());
    let words = info.title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    Schedule {
        acronym: words.collect::<Vec<_>>().join("-").to_lowercase(),
        starts: date(info.starts),
        ends: date(info.ends),
        zone: Some(zone.name().to_owned()),
        title: info.title,
        ..Schedule::default()
    }
}

/// A guid for what has none: a UUID of version 8, the same wherever it is derived.
fn derived_guid(id: &EntityId) -> String {
    let mut bytes = [0; 16];
    let mut hasher = blake3::Hasher::new_derive_key("p2panda interchange guid 1");
    hasher.update(id.to_string().as_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}

/// Resources, and which of them each event asks for.
struct Rooms {
    known: BTreeMap<EntityId, Known>,
    of_event: HashMap<EntityId, Asked>,
}

struct Known {
    room: Room,
    /// Source and position, if a source has it now.
    listed: Option<(String, i64)>,
}

struct Asked {
    resource: EntityId,
    /// What comes first where there are several: those of others last, then by claim.
    rank: (bool, Instant, EntityId),
}

impl Rooms {
    fn read(view: &View<'_>) -> Result<Self, StoreError> {
        let mut rooms = Self { known: BTreeMap::new(), of_event: HashMap::new() };
        for id in view.ids(Resource::KIND)? {
            let Some((room, origin)) = view.fields(&id)?.as_ref().and_then(model_room) else {
                continue;
            };
            let listed = origin.filter(|origin| !origin.gone);
            let listed = listed.map(|origin| (origin.source, origin.position));
            rooms.known.insert(id.clone(), Known { room, listed });
            let records = view.facts(&id)?.map(|facts| facts.records).unwrap_or_default();
            rooms.add(view, records)?;
        }
        Ok(rooms)
    }

    /// Adds all that is known of one resource.
    fn add(&mut self, view: &View<'_>, records: Vec<Fact>) -> Result<(), StoreError> {
        let standing = standing(&records);
        for Fact { id, author, record, .. } in records {
            let Record::Request(request) = record else { continue };
            if !standing.contains(&id) {
                continue;
            }
            let event = request.terms.event;
            let is_others = view.author(&event.document)? != Some(author);
            let rank = (is_others, request.claimed, id);
            let before = self.of_event.get(&event).map(|asked| &asked.rank);
            if before.is_none_or(|before| rank < *before) {
                let resource = request.terms.resource;
                self.of_event.insert(event, Asked { resource, rank });
            }
        }
        Ok(())
    }

    /// The rooms that a source lists, in its order, then the others that are used.
    fn listed(&self, used: &HashSet<&EntityId>) -> Vec<Room> {
        let known = self.known.iter();
        let mut rooms: Vec<&Known> = known
            .filter(|(id, known)| known.listed.is_some() || used.contains(id))
            .map(|(_, known)| known)
            .collect();
        rooms.sort_by_key(|known| (known.listed.is_none(), &known.listed, &known.room.name));
        let mut names = HashSet::new();
        rooms.retain(|known| !known.room.name.is_empty() && names.insert(&known.room.name));
        rooms.into_iter().map(|known| known.room.clone()).collect()
    }
}
