//! Reading the conference: its rooms, its days and what they list.

use std::collections::{HashMap, HashSet};

use serde_json::value::RawValue;

use super::{ParseError, Reader, missing, read_event};
use crate::day::usual_span;
use crate::model::{Date, Day, Extra, Room};
use crate::zone::{self, Zone};
use crate::{json, limits};

const AT: &str = "/schedule/conference";

/// A day whose times may still have to wait for the zone.
struct Draft {
    at: String,
    index: i64,
    date: Date,
    starts: Option<i64>,
    ends: Option<i64>,
    extra: Extra,
}

/// What has been met so far.
#[derive(Default)]
struct Seen {
    rooms: HashSet<String>,
    /// Where each guid stands first.
    guids: HashMap<String, String>,
    dates: HashMap<Date, String>,
    entries: usize,
}

impl Reader {
    pub(super) fn conference(&mut self, raw: &RawValue) -> Result<(), ParseError> {
        let (mut rooms, mut days, mut zone) = (None, None, None);
        for (key, value) in self.top_members(raw, AT)? {
            match key.as_str() {
                "rooms" => rooms = Some(value),
                "days" => days = Some(value),
                "time_zone_name" => zone = Some(value),
                "acronym" => self.text(AT, &key, value, |schedule| &mut schedule.acronym),
                "title" => self.text(AT, &key, value, |schedule| &mut schedule.title),
                "base_url" if self.schedule.base_url.is_empty() => {
                    self.text(AT, &key, value, |schedule| &mut schedule.base_url);
                }
                "start" => self.schedule.starts = self.calendar_day(&key, value),
                "end" => self.schedule.ends = self.calendar_day(&key, value),
                "timeslot_duration" => self.timeslot(&key, value),
                "daysCount" => {}
                _ => self.keep(AT, &key, value),
            }
        }
        let days = days.ok_or_else(|| missing("/schedule/conference/days"))?;
        let days = json::items(days, limits::DAYS)
            .map_err(|why| ParseError::NotFrab { at: "/schedule/conference/days".into(), why })?;
        if let Some(name) = zone {
            self.named_zone(name);
        }
        let mut seen = Seen::default();
        if let Some(rooms) = rooms {
            self.rooms(rooms, &mut seen)?;
        }
        let mut drafts = Vec::new();
        for (position, day) in (0..).zip(days) {
            drafts.extend(self.day(day, position, &mut seen)?);
        }
        self.settle(drafts);
        Ok(())
    }

    /// Decides the zone, then what waited for it.
    fn settle(&mut self, drafts: Vec<Draft>) {
        let (zone, remark) = std::mem::take(&mut self.dates).settle();
        if let Some(why) = remark {
            self.report.skip(format!("{AT}/time_zone_name"), why);
        }
        for draft in drafts {
            self.settle_day(draft, &zone);
        }
        self.schedule.zone = Some(zone.name().to_owned());
        self.schedule.tidy();
    }

    fn settle_day(&mut self, draft: Draft, zone: &Zone) {
        let Draft { at, index, date, starts, ends, extra } = draft;
        let Some(usual) = usual_span(date, zone) else {
            self.report.skip(at, "its date is outside the years 1980 to 2199");
            return;
        };
        let (mut starts, mut ends) = (starts.unwrap_or(usual.0), ends.unwrap_or(usual.1));
        if starts >= ends {
            self.report.skip(at, "it ends before it starts: 06:00 to 06:00 is used");
            (starts, ends) = usual;
        }
        self.schedule.days.push(Day { index, date, starts, ends, extra });
    }

    fn named_zone(&mut self, raw: &RawValue) {
        let name = json::text(raw);
        if self.dates.zone.is_some() || name.is_none() {
            return;
        }
        self.dates.zone = name.as_deref().and_then(Zone::named);
        if self.dates.zone.is_none() {
            let name = zone::excerpt(&name.unwrap_or_default());
            let why = format!("there is no time zone named {name}: the dates' offset is used");
            self.report.skip(format!("{AT}/time_zone_name"), why);
        }
    }

    fn calendar_day(&mut self, key: &str, raw: &RawValue) -> Option<Date> {
        let date = json::text(raw).as_deref().and_then(zone::date);
        if date.is_none() && !json::is_null(raw) {
            self.report.skip(json::under(AT, key), "it is not a date");
        }
        date
    }

    fn timeslot(&mut self, key: &str, raw: &RawValue) {
        let minutes = json::text(raw).map(|text| zone::minutes(&text));
        match minutes {
            Some(Ok(minutes)) => self.schedule.timeslot_minutes = minutes,
            Some(Err(_)) | None => self.keep(AT, key, raw),
        }
    }

    fn rooms(&mut self, raw: &RawValue, seen: &mut Seen) -> Result<(), ParseError> {
        let at = format!("{AT}/rooms");
        let rooms = match json::items(raw, limits::ROOMS) {
            Ok(rooms) => rooms,
            Err(why) => {
                self.report.skip(at, why);
                return Ok(());
            }
        };
        for (index, raw) in rooms.into_iter().enumerate() {
            let at = format!("{at}/{index}");
            match self.room(raw, &at) {
                Ok(room) if seen.rooms.contains(&room.name) => {
                    self.report.skip(at, "an earlier room has the same name");
                }
                Ok(room) => self.add_room(room, seen)?,
                Err(why) => self.report.skip(at, why),
            }
        }
        Ok(())
    }

    fn room(&mut self, raw: &RawValue, at: &str) -> Result<Room, String> {
        let mut room = Room::default();
        let mut guid = String::new();
        for (key, value) in json::members(raw, limits::MEMBERS)? {
            let known = match key.as_str() {
                "name" => json::read_text(&mut room.name, value, limits::LINE_CHARS)?,
                "guid" => json::read_text(&mut guid, value, limits::ID_CHARS)?,
                _ => false,
            };
            if !known {
                json::keep(&mut room.extra, &key, value, &mut self.report, at);
            }
        }
        if room.name.is_empty() {
            return Err("it has no name".into());
        }
        room.guid = Some(guid).filter(|guid| !guid.is_empty());
        Ok(room)
    }

    fn add_room(&mut self, room: Room, seen: &mut Seen) -> Result<(), ParseError> {
        if seen.rooms.insert(room.name.clone()) {
            let (what, limit) = ("rooms", limits::ROOMS);
            if seen.rooms.len() > limit {
                return Err(ParseError::TooMany { what, limit });
            }
            self.schedule.rooms.push(room);
        }
        Ok(())
    }

    /// Reads a day and its events; the events stand also where the day does not.
    fn day(
        &mut self,
        raw: &RawValue,
        position: i64,
        seen: &mut Seen,
    ) -> Result<Option<Draft>, ParseError> {
        let at = format!("{AT}/days/{position}");
        let members = match json::members(raw, limits::MEMBERS) {
            Ok(members) => members,
            Err(why) => {
                self.report.skip(at, why);
                return Ok(None);
            }
        };
        let mut rooms = None;
        let (mut index, mut date, mut starts, mut ends) = (None, None, None, None);
        let mut extra = Extra::new();
        for (key, value) in members {
            match key.as_str() {
                "rooms" => rooms = Some(value),
                "index" => index = json::integer(value),
                "date" => date = json::text(value).as_deref().and_then(zone::date),
                "day_start" => starts = self.day_bound(value, &at, &key),
                "day_end" => ends = self.day_bound(value, &at, &key),
                _ => json::keep(&mut extra, &key, value, &mut self.report, &at),
            }
        }
        let mut draft = None;
        if let Some(date) = date {
            if let Some(first) = seen.dates.get(&date) {
                let why = format!("{first} has the same date, and its events are listed there");
                self.report.skip(&at, why);
            } else {
                seen.dates.insert(date, at.clone());
                let index = index.unwrap_or(position + 1);
                let at = at.clone();
                draft = Some(Draft { at, index, date, starts, ends, extra });
            }
        } else {
            self.report.skip(&at, "it has no date: its events are listed by their start");
        }
        match rooms {
            Some(rooms) => self.day_rooms(rooms, &format!("{at}/rooms"), date, seen)?,
            None => self.report.skip(at, "it has no rooms"),
        }
        Ok(draft)
    }

    fn day_bound(&mut self, raw: &RawValue, at: &str, key: &str) -> Option<i64> {
        let text = json::text(raw)?;
        match self.dates.instant(&text) {
            Ok(instant) => Some(instant),
            Err(why) => {
                self.report.skip(json::under(at, key), format!("{why}: 06:00 is used"));
                None
            }
        }
    }

    fn day_rooms(
        &mut self,
        raw: &RawValue,
        at: &str,
        date: Option<Date>,
        seen: &mut Seen,
    ) -> Result<(), ParseError> {
        let rooms = match json::all_members(raw, limits::ROOMS) {
            Ok(rooms) => rooms,
            Err(why) => {
                self.report.skip(at, why);
                return Ok(());
            }
        };
        for (name, entries) in rooms {
            if limits::longer_than(&name, limits::LINE_CHARS) {
                let limit = limits::LINE_CHARS;
                self.report.skip(at, format!("a room's name is longer than {limit} characters"));
                continue;
            }
            let at = json::under(at, &name);
            let room = Some(name).filter(|name| !name.is_empty());
            match json::first_items(entries, limits::EVENTS + 1) {
                Ok(entries) => self.entries(&entries, &at, room.as_deref(), date, seen)?,
                Err(why) => self.report.skip(at, why),
            }
            if let Some(name) = room {
                self.add_room(Room { name, ..Room::default() }, seen)?;
            }
        }
        Ok(())
    }

    fn entries(
        &mut self,
        entries: &[&RawValue],
        at: &str,
        room: Option<&str>,
        date: Option<Date>,
        seen: &mut Seen,
    ) -> Result<(), ParseError> {
        seen.entries += entries.len();
        if seen.entries > limits::EVENTS {
            let (what, limit) = ("events", limits::EVENTS);
            return Err(ParseError::TooMany { what, limit });
        }
        for (index, raw) in entries.iter().enumerate() {
            let at = format!("{at}/{index}");
            let mut event = match read_event(raw, None, &mut self.dates, &mut self.report, &at) {
                Ok(event) => event,
                Err(why) => {
                    self.report.skip(at, why);
                    continue;
                }
            };
            if let Some(first) = seen.guids.get(&event.guid) {
                self.report.skip(at, format!("its guid is that of {first}"));
                continue;
            }
            seen.guids.insert(event.guid.clone(), at);
            event.room_label = std::mem::replace(&mut event.room, room.map(str::to_owned));
            event.listed_on = date;
            self.schedule.events.push(event);
        }
        Ok(())
    }
}
