//! Which festival day an event belongs to.
//!
//! A festival's night belongs to the day before. A day of a schedule covers its
//! own span, for example 11:00 to 04:00; what starts outside every day's span
//! belongs to the date on which the last 06:00 passed. So a meeting at 10:00,
//! before the programme begins, is on the day that it opens, and a concert at
//! 04:30 on the one that it closes.

use std::collections::BTreeSet;

use jiff::civil::{Date, Time};

use crate::model::{Day, Event, Extra, Room, Schedule};
use crate::zone::{MINUTE, Zone};

/// When a day begins that says nothing of it.
const DAWN: Time = Time::constant(6, 0, 0, 0);
/// How far into the day after its own an event may be listed.
const LATEST: Time = Time::constant(12, 0, 0, 0);

impl Day {
    /// The day from 06:00 to 06:00 local time.
    pub(crate) fn usual(index: i64, date: Date, zone: &Zone) -> Option<Self> {
        let (starts, ends) = usual_span(date, zone)?;
        Some(Self { index, date, starts, ends, extra: Extra::new() })
    }
}

/// 06:00 on this date and 06:00 on the next.
pub(crate) fn usual_span(date: Date, zone: &Zone) -> Option<(i64, i64)> {
    let starts = zone.instant(date, DAWN)?;
    let ends = zone.instant(date.tomorrow().ok()?, DAWN)?;
    Some((starts, ends))
}

impl Schedule {
    /// The day that `event` is shown under: where its source lists it, else by
    /// its start. `None` if its start is outside the years 1980 to 2199.
    #[must_use]
    pub fn day_of(&self, event: &Event) -> Option<Date> {
        self.listed_day(event, &Zone::named_or_utc(self.zone.as_deref()))
    }

    pub(crate) fn listed_day(&self, event: &Event, zone: &Zone) -> Option<Date> {
        event.listed_on.or_else(|| by_time(&self.days, event.starts, zone))
    }

    /// Puts the schedule into the one form in which [`crate::frab::parse`] gives
    /// it and [`crate::frab::write`] writes it.
    ///
    /// Rooms and days that events need are added, days and events are sorted,
    /// an unknown zone becomes UTC, ends are rounded up to whole minutes from
    /// the start, and a listing that says nothing new or nothing sensible goes.
    pub fn tidy(&mut self) {
        let zone = Zone::named_or_utc(self.zone.as_deref());
        self.zone = Some(zone.name().to_owned());
        for event in &mut self.events {
            tidy_event(event);
        }
        self.sort_events();
        self.add_missing_rooms();
        self.add_missing_days(&zone);
        for event in &mut self.events {
            let listed = event.listed_on.take();
            let usual = by_time(&self.days, event.starts, &zone);
            event.listed_on = listed.filter(|&date| {
                Some(date) != usual
                    && self.days.iter().any(|day| day.date == date)
                    && is_plausible(date, event.starts, &zone)
            });
        }
        self.starts = self.starts.or_else(|| Some(self.days.first()?.date));
        self.ends = self.ends.or_else(|| Some(self.days.last()?.date));
    }

    /// By start, end, room and guid.
    pub(crate) fn sort_events(&mut self) {
        self.events.sort_by(|a, b| {
            let key = |event: &Event| (event.starts, event.ends);
            key(a).cmp(&key(b)).then_with(|| a.room.cmp(&b.room)).then_with(|| a.guid.cmp(&b.guid))
        });
    }

    /// Adds the rooms that events name, behind those that are there.
    pub(crate) fn add_missing_rooms(&mut self) {
        let known: BTreeSet<&str> = self.rooms.iter().map(|room| room.name.as_str()).collect();
        let mut added = BTreeSet::new();
        let mut missing = Vec::new();
        for room in self.events.iter().filter_map(|event| event.room.as_deref()) {
            if !known.contains(room) && added.insert(room) {
                missing.push(Room { name: room.to_owned(), ..Room::default() });
            }
        }
        self.rooms.extend(missing);
    }

    fn add_missing_days(&mut self, zone: &Zone) {
        self.days.sort_by_key(|day| day.date);
        self.days.dedup_by_key(|day| day.date);
        let known: BTreeSet<Date> = self.days.iter().map(|day| day.date).collect();
        let missing: BTreeSet<Date> = self
            .events
            .iter()
            .filter_map(|event| by_time(&self.days, event.starts, zone))
            .filter(|date| !known.contains(date))
            .collect();
        let first = match (self.days.first(), missing.first()) {
            (Some(day), _) => (day.index, day.date),
            (None, Some(&date)) => (1, date),
            (None, None) => return,
        };
        for date in missing {
            let distance = i64::from((date - first.1).get_days());
            let index = first.0.saturating_add(distance);
            self.days.extend(Day::usual(index, date, zone));
        }
        self.days.sort_by_key(|day| day.date);
    }
}

fn tidy_event(event: &mut Event) {
    event.room = event.room.take().filter(|room| !room.is_empty());
    let label = event.room_label.take();
    event.room_label =
        label.filter(|label| !label.is_empty() && Some(label) != event.room.as_ref());
    let past = event.ends.saturating_sub(event.starts).rem_euclid(MINUTE);
    if past > 0 {
        event.ends = event.ends.saturating_add(MINUTE - past);
    }
}

/// The last day to begin among those whose span holds the instant, else the
/// date whose 06:00 is the last that passed.
fn by_time(days: &[Day], instant: i64, zone: &Zone) -> Option<Date> {
    let covering = days.iter().filter(|day| (day.starts..day.ends).contains(&instant));
    if let Some(day) = covering.max_by_key(|day| day.starts) {
        return Some(day.date);
    }
    let local = zone.local(instant)?;
    if local.time() < DAWN {
        return local.date().yesterday().ok();
    }
    Some(local.date())
}

/// Whether a source may list this start under this date: on the day itself or
/// the morning after.
fn is_plausible(date: Date, instant: i64, zone: &Zone) -> bool {
    zone.local(instant).is_some_and(|local| {
        local.date() == date
            || (date.tomorrow().is_ok_and(|next| local.date() == next) && local.time() < LATEST)
    })
}
