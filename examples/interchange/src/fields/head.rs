//! What a source says of its schedule as a whole: an entity of a kind of its own.

use std::collections::BTreeMap;

use p2panda_core::schema::{Entity, Malformed, read_fields, write_fields};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{fit, holdable, list, unlist};
use crate::model::{Date, Day, Extra, Schedule};
use crate::report::Report;
use crate::source::Source;

/// A schedule without its rooms and events.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Head {
    pub(crate) source: String,
    acronym: String,
    title: String,
    zone: String,
    starts: String,
    ends: String,
    version: String,
    base_url: String,
    timeslot_minutes: i64,
    #[serde(with = "serde_bytes")]
    days: Vec<u8>,
    #[serde(skip_serializing_if = "Extra::is_empty")]
    extra: Extra,
}

impl Entity for Head {
    const KIND: &'static str = "org.p2panda.interchange/schedule";
}

/// A day as a list holds it: index, date, start, end, extra.
#[derive(Serialize, Deserialize)]
struct DayItem(i64, String, i64, i64, BTreeMap<String, String>);

pub(crate) fn head_of(
    schedule: &Schedule,
    source: &Source,
    report: &mut Report,
) -> Result<Head, Malformed> {
    let text = |date: Option<Date>| date.map(|date| date.to_string()).unwrap_or_default();
    let days = schedule.days.iter().map(|day| {
        DayItem(day.index, day.date.to_string(), day.starts, day.ends, day.extra.clone())
    });
    let head = Head {
        source: source.name().to_owned(),
        acronym: schedule.acronym.clone(),
        title: schedule.title.clone(),
        zone: schedule.zone.clone().unwrap_or_default(),
        starts: text(schedule.starts),
        ends: text(schedule.ends),
        version: schedule.version.clone(),
        base_url: schedule.base_url.clone(),
        timeslot_minutes: schedule.timeslot_minutes,
        days: ByteBuf::into_vec(list(&days.collect::<Vec<_>>())),
        extra: holdable(&schedule.extra, "", report),
    };
    let mut fields = write_fields(&head)?;
    fit(&mut fields, "", report);
    read_fields(&fields)
}

/// A schedule in which nothing happens yet.
pub(crate) fn schedule_of(head: Head) -> Schedule {
    let days = unlist(&head.days).into_iter();
    let days = days.filter_map(|DayItem(index, date, starts, ends, extra)| {
        Some(Day { index, date: date.parse().ok()?, starts, ends, extra })
    });
    Schedule {
        acronym: head.acronym,
        title: head.title,
        zone: Some(head.zone).filter(|zone| !zone.is_empty()),
        starts: head.starts.parse().ok(),
        ends: head.ends.parse().ok(),
        version: head.version,
        base_url: head.base_url,
        timeslot_minutes: head.timeslot_minutes,
        rooms: Vec::new(),
        days: days.collect(),
        events: Vec::new(),
        extra: head.extra,
    }
}
