//! A festival's schedule as plain data, whatever format it came from.
//!
//! Instants are UTC milliseconds since 1970, all in one IANA zone that the whole
//! schedule names. A text that the source leaves out, empty or null is empty.
//! What a source has beyond these fields is kept in [`Extra`] and written back.

use std::collections::{BTreeMap, BTreeSet};

pub use jiff::civil::Date;

/// Fields that this crate does not know: their names, and their values as JSON
/// text without white space.
///
/// A known field whose value has an unexpected type is kept here too.
pub type Extra = BTreeMap<String, String>;

/// A conference, camp or festival: its rooms, its days and its programme.
///
/// Days and rooms that events refer to may be missing from a schedule that is
/// being built; [`Schedule::tidy`] adds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// A short name, for example `36c3`.
    pub acronym: String,
    /// The name that people use.
    pub title: String,
    /// The IANA name of the zone that local times are shown in. `None` is UTC.
    pub zone: Option<String>,
    /// The first day.
    pub starts: Option<Date>,
    /// The last day.
    pub ends: Option<Date>,
    /// What the source calls this state of the schedule, in words of its own.
    pub version: String,
    /// What relative addresses in the schedule are relative to.
    pub base_url: String,
    /// The raster of the programme in minutes, 0 where there is none.
    pub timeslot_minutes: i64,
    /// All rooms, also those where nothing happens, in the order to show them.
    pub rooms: Vec<Room>,
    /// The days, in order.
    pub days: Vec<Day>,
    /// The programme, by start, end, room and guid; no guid comes twice.
    pub events: Vec<Event>,
    /// Further fields by their place in the file, as JSON pointers, for example
    /// `/schedule/conference/tracks`.
    pub extra: Extra,
}

impl Schedule {
    /// The event with this guid. Looks at every event.
    #[must_use]
    pub fn event(&self, guid: &str) -> Option<&Event> {
        self.events.iter().find(|event| event.guid == guid)
    }

    /// Drops the rooms that no event is in, for example after [`crate::edits::apply`].
    pub fn drop_unused_rooms(&mut self) {
        let events = self.events.iter();
        let used: BTreeSet<&str> = events.filter_map(|event| event.room.as_deref()).collect();
        self.rooms.retain(|room| used.contains(room.name.as_str()));
    }
}

/// A stage, hall, tent or table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Unique within the schedule; events refer to it.
    pub name: String,
    /// A name that stays when the room is renamed.
    pub guid: Option<String>,
    /// Further fields.
    pub extra: Extra,
}

/// A festival day, which ends long after midnight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// The day's number; frab counts from 1.
    pub index: i64,
    /// The date in the evening.
    pub date: Date,
    /// When the day's programme begins.
    pub starts: i64,
    /// When it ends, usually on the next date.
    pub ends: i64,
    /// Further fields.
    pub extra: Extra,
}

/// One entry of the programme.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Identifies the event through all versions of the schedule.
    pub guid: String,
    /// The source's number for it; not unique where sources were merged.
    pub id: Option<i64>,
    /// Title.
    pub title: String,
    /// Subtitle.
    pub subtitle: String,
    /// The first instant, UTC milliseconds.
    pub starts: i64,
    /// The first instant after it, UTC milliseconds; later than `starts`.
    pub ends: i64,
    /// The [`Room::name`] that it is in.
    pub room: Option<String>,
    /// What the event itself calls its room, where that is not `room`: merged
    /// schedules list "headnut" of the assembly "1Komona" as "1Komona headnut".
    pub room_label: Option<String>,
    /// The [`Day::date`] that the source lists it under, where its start says
    /// otherwise. Set it to `None` when moving an event.
    pub listed_on: Option<Date>,
    /// The theme that the programme files it under.
    pub track: String,
    /// What happens: `lecture`, `workshop`; frab calls it `type`.
    pub kind: String,
    /// The language spoken, for example `de`.
    pub language: String,
    /// The short text.
    pub abstract_text: String,
    /// The long text.
    pub description: String,
    /// Its page, absolute.
    pub url: String,
    /// Its picture, often relative to [`Schedule::base_url`].
    pub logo: String,
    /// Its name in addresses and file names.
    pub slug: String,
    /// Who gives it, in order.
    pub persons: Vec<Person>,
    /// What it refers to.
    pub links: Vec<Link>,
    /// Its files, often relative to [`Schedule::base_url`].
    pub attachments: Vec<Link>,
    /// The licence of recordings.
    pub recording_license: String,
    /// Whether it must not be recorded, if that is said.
    pub do_not_record: Option<bool>,
    /// Further fields.
    pub extra: Extra,
}

/// Somebody who gives an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The source's number for them, if it has one.
    pub id: Option<i64>,
    /// The name that they go by.
    pub name: String,
    /// Further fields: `guid`, `code`, `biography`, `avatar`, `url`.
    pub extra: Extra,
}

/// A web address or file with its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The address as the source has it.
    pub url: String,
    /// What it is called; often empty.
    pub title: String,
    /// Further fields.
    pub extra: Extra,
}
