//! Events of a schedule as events of a festival.

use std::collections::{BTreeMap, BTreeSet};

use p2panda_core::schema::{self, Fields, Instant, Malformed, read_fields};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{Sourced, holdable, is_item, items, link_list, links_of, list, origin, place, unlist};
use crate::model::{Event, Extra, Link, Person};
use crate::report::Report;
use crate::source::Source;

/// What only the source knows of an event.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct EventOrigin {
    pub(crate) source: String,
    pub(crate) guid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    track: String,
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    logo: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    slug: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    room_label: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    listed_on: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    recording_license: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    do_not_record: Option<bool>,
    #[serde(skip_serializing_if = "is_nothing")]
    persons: ByteBuf,
    #[serde(skip_serializing_if = "is_nothing")]
    links: ByteBuf,
    #[serde(skip_serializing_if = "is_nothing")]
    attachments: ByteBuf,
    #[serde(skip_serializing_if = "Extra::is_empty")]
    extra: Extra,
}

fn is_nothing(bytes: &ByteBuf) -> bool {
    bytes.is_empty()
}

/// A person as a list holds it.
#[derive(Serialize, Deserialize)]
struct PersonItem(Option<i64>, String, BTreeMap<String, String>);

pub(crate) fn event_fields(
    event: &Event,
    zone: &str,
    source: &Source,
    report: &mut Report,
) -> Result<Sourced, Malformed> {
    let at = place("events", &event.guid);
    let own = schema::Event {
        title: event.title.clone(),
        subtitle: event.subtitle.clone(),
        summary: event.abstract_text.clone(),
        description: event.description.clone(),
        starts: Some(Instant::from_millis(event.starts)),
        ends: Some(Instant::from_millis(event.ends)),
        zone: zone.to_owned(),
        people: items(event.persons.iter().map(|person| &*person.name)),
        tags: items([&*event.track, &*event.kind].into_iter()),
        language: event.language.clone(),
        links: items(event.links.iter().map(|link| &*link.url)),
        ..schema::Event::default()
    };
    let persons = event.persons.iter();
    let persons = persons.map(|p| PersonItem(p.id, p.name.clone(), p.extra.clone()));
    let origin = EventOrigin {
        source: source.name().to_owned(),
        guid: event.guid.clone(),
        id: event.id,
        track: event.track.clone(),
        kind: event.kind.clone(),
        url: event.url.clone(),
        logo: event.logo.clone(),
        slug: event.slug.clone(),
        room_label: event.room_label.clone().unwrap_or_default(),
        listed_on: event.listed_on.map(|date| date.to_string()).unwrap_or_default(),
        recording_license: event.recording_license.clone(),
        do_not_record: event.do_not_record,
        persons: list(&persons.collect::<Vec<_>>()),
        links: link_list(&event.links),
        attachments: link_list(&event.attachments),
        extra: holdable(&event.extra, &at, report),
    };
    Sourced::new(&own, &origin, &at, report)
}

/// An event of a festival as a schedule has it, in no room; nothing if it is
/// malformed, has no span or was called off. Its guid is empty unless it was imported.
pub(crate) fn model_event(fields: &Fields) -> Option<Event> {
    let own: schema::Event = read_fields(fields).ok()?;
    let (starts, ends) = (own.starts?.millis(), own.ends?.millis());
    if own.cancelled || starts >= ends {
        return None;
    }
    let origin: EventOrigin = origin(fields).unwrap_or_default();
    // A tag that somebody took away is no track any more.
    let tagged = |text: String| Some(text).filter(|text| own.tags.contains(text) || !is_item(text));
    Some(Event {
        guid: origin.guid,
        id: origin.id,
        title: own.title,
        subtitle: own.subtitle,
        starts,
        ends,
        room: None,
        room_label: Some(origin.room_label).filter(|label| !label.is_empty()),
        listed_on: origin.listed_on.parse().ok(),
        track: tagged(origin.track).unwrap_or_default(),
        kind: tagged(origin.kind).unwrap_or_default(),
        language: own.language,
        abstract_text: own.summary,
        description: own.description,
        url: origin.url,
        logo: origin.logo,
        slug: origin.slug,
        persons: merged(
            persons_of(&origin.persons),
            own.people,
            |person| &person.name,
            |name| {
                let name = name.to_owned();
                Person { name, ..Person::default() }
            },
        ),
        links: merged(
            links_of(&origin.links),
            own.links,
            |link| &link.url,
            |url| {
                let url = url.to_owned();
                Link { url, ..Link::default() }
            },
        ),
        attachments: links_of(&origin.attachments).collect(),
        recording_license: origin.recording_license,
        do_not_record: origin.do_not_record,
        extra: origin.extra,
    })
}

fn persons_of(bytes: &[u8]) -> impl Iterator<Item = Person> {
    let items = unlist(bytes).into_iter();
    items.map(|PersonItem(id, name, extra)| Person { id, name, extra })
}

/// The source's list, in its order, without what was taken out of the set, and
/// with what was added to it. What is too long for a set is only in the list.
fn merged<T>(
    listed: impl Iterator<Item = T>,
    mut set: BTreeSet<String>,
    name: impl Fn(&T) -> &str,
    make: impl Fn(&str) -> T,
) -> Vec<T> {
    let mut all: Vec<T> =
        listed.filter(|item| set.contains(name(item)) || !is_item(name(item))).collect();
    for item in &all {
        set.remove(name(item));
    }
    all.extend(set.iter().map(|text| make(text)));
    all
}
