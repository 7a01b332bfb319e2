//! Writing frab JSON.

use std::collections::{BTreeMap, HashMap};

use super::object::{Node, Object};
use crate::json;
use crate::model::{Date, Day, Event, Link, Person, Room, Schedule};
use crate::zone::{self, MINUTE, Zone};

/// Writes a schedule as frab JSON, indented, in UTF-8.
///
/// [`super::parse`] of the result gives the [tidy](Schedule::tidy) form of
/// `schedule`, as long as it keeps the bounds that the [module](super) states.
/// Events outside the years 1980 to 2199 cannot be written and are left out, as
/// are extra fields whose text is not JSON.
#[must_use]
pub fn write(schedule: &Schedule) -> Vec<u8> {
    let mut schedule = schedule.clone();
    schedule.tidy();
    let zone = Zone::named_or_utc(schedule.zone.as_deref());
    let mut bytes = serde_json::to_vec_pretty(&document(&schedule, &zone))
        .expect("keys are text and every value is a node: JSON can say all of it");
    bytes.push(b'\n');
    bytes
}

fn document<'a>(schedule: &'a Schedule, zone: &Zone) -> Node<'a> {
    let mut inner = Object::new(extra_of(schedule, "/schedule"));
    inner.text("version", &schedule.version);
    if !schedule.base_url.is_empty() {
        inner.text("base_url", &schedule.base_url);
    }
    inner.put("conference", conference(schedule, zone));
    let mut root = Object::new(extra_of(schedule, ""));
    root.put("schedule", inner.finish());
    root.finish()
}

fn conference<'a>(schedule: &'a Schedule, zone: &Zone) -> Node<'a> {
    let timeslot = Some(schedule.timeslot_minutes).filter(|minutes| *minutes > 0);
    let mut object = Object::new(extra_of(schedule, "/schedule/conference"));
    object.text("acronym", &schedule.acronym);
    object.text("title", &schedule.title);
    object.put_some("start", schedule.starts.map(date));
    object.put_some("end", schedule.ends.map(date));
    object.put("daysCount", integer(schedule.days.len()));
    object.put_some("timeslot_duration", timeslot.map(duration));
    // The names of fixed offsets are unknown to some readers, and say nothing
    // that the dates do not.
    if schedule.days.is_empty() || !zone.is_its_offset() {
        object.put("time_zone_name", Node::owned(zone.name()));
    }
    object.put("rooms", Node::list(&schedule.rooms, room));
    object.put("days", days(schedule, zone));
    object.finish()
}

fn room(room: &Room) -> Node<'_> {
    let mut object = Object::new(&room.extra);
    object.text("name", &room.name);
    if let Some(guid) = &room.guid {
        object.text("guid", guid);
    }
    object.finish()
}

/// Events by the position of their room; those without one come last.
type Rooms<'a> = BTreeMap<usize, Vec<&'a Event>>;

fn days<'a>(schedule: &'a Schedule, zone: &Zone) -> Node<'a> {
    let rooms = schedule.rooms.iter().enumerate();
    let positions: HashMap<&str, usize> = rooms.map(|(i, room)| (&*room.name, i)).collect();
    let mut listed: BTreeMap<Date, Rooms<'_>> = BTreeMap::new();
    for event in &schedule.events {
        let position = event.room.as_deref().and_then(|room| positions.get(room));
        if let Some(date) = schedule.listed_day(event, zone) {
            let rooms = listed.entry(date).or_default();
            rooms.entry(position.copied().unwrap_or(usize::MAX)).or_default().push(event);
        }
    }
    let days = schedule.days.iter().map(|day| {
        let rooms = listed.remove(&day.date).unwrap_or_default();
        let rooms = rooms.into_iter().map(|(position, events)| {
            let name = schedule.rooms.get(position).map_or("", |room| &*room.name);
            let events = events.into_iter().filter_map(|event| self::event(event, zone));
            (name.into(), Node::List(events.collect()))
        });
        self::day(day, Node::Object(rooms.collect()), zone)
    });
    Node::List(days.collect())
}

fn day<'a>(day: &'a Day, rooms: Node<'a>, zone: &Zone) -> Node<'a> {
    let mut object = Object::new(&day.extra);
    object.put("index", Node::Integer(day.index));
    object.put("date", date(day.date));
    object.put_some("day_start", zone.rfc3339(day.starts).map(Node::owned));
    object.put_some("day_end", zone.rfc3339(day.ends).map(Node::owned));
    object.put("rooms", rooms);
    object.finish()
}

/// `None` if its start is outside the years that can be written.
fn event<'a>(event: &'a Event, zone: &Zone) -> Option<Node<'a>> {
    let date = zone.rfc3339(event.starts)?;
    let local = zone.local(event.starts)?;
    let start = format!("{:02}:{:02}", local.hour(), local.minute());
    let minutes = event.ends.saturating_sub(event.starts) / MINUTE;
    let room = event.room_label.as_ref().or(event.room.as_ref());

    let mut object = Object::new(&event.extra);
    object.put_some("id", event.id.map(Node::Integer));
    object.text("guid", &event.guid);
    object.text_or_null("logo", &event.logo);
    object.put("date", Node::owned(date));
    object.put("start", Node::owned(start));
    object.put("duration", duration(minutes));
    object.text_or_null("room", room.map_or("", String::as_str));
    object.text("slug", &event.slug);
    object.text("url", &event.url);
    object.text("title", &event.title);
    object.text("subtitle", &event.subtitle);
    object.text_or_null("track", &event.track);
    object.text("type", &event.kind);
    object.text("language", &event.language);
    object.text("abstract", &event.abstract_text);
    object.text("description", &event.description);
    object.text("recording_license", &event.recording_license);
    object.put_some("do_not_record", event.do_not_record.map(Node::Boolean));
    object.put("persons", Node::list(&event.persons, person));
    object.put("links", Node::list(&event.links, link));
    object.put("attachments", Node::list(&event.attachments, link));
    Some(object.finish())
}

/// frab's persons have an id and a public name, pretalx's a name.
fn person(person: &Person) -> Node<'_> {
    let is_frab = person.id.is_some() || person.extra.contains_key("name");
    let mut object = Object::new(&person.extra);
    object.put_some("id", person.id.map(Node::Integer));
    object.text(if is_frab { "public_name" } else { "name" }, &person.name);
    object.finish()
}

fn link(link: &Link) -> Node<'_> {
    let mut object = Object::new(&link.extra);
    object.text("url", &link.url);
    object.text("title", &link.title);
    object.finish()
}

/// The extra fields of the object at `at`, by key.
fn extra_of<'a>(
    schedule: &'a Schedule,
    at: &'static str,
) -> impl Iterator<Item = (String, &'a String)> {
    schedule.extra.iter().filter_map(move |(pointer, value)| {
        let step = pointer.strip_prefix(at)?.strip_prefix('/')?;
        (!step.contains('/')).then(|| (json::unescape(step), value))
    })
}

fn date(date: Date) -> Node<'static> {
    Node::owned(date.to_string())
}

fn duration(minutes: i64) -> Node<'static> {
    Node::owned(zone::hours_and_minutes(minutes))
}

fn integer(count: usize) -> Node<'static> {
    Node::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}
