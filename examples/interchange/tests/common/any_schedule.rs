//! Any schedule that frab can say.

use interchange::model::{Date, Day, Event, Extra, Link, Person, Room, Schedule};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

pub(crate) const MINUTE: i64 = 60_000;
/// 2026-03-20 at 00:00 UTC; three weeks from there cross Europe's change of clocks.
pub(crate) const MARCH_20: i64 = 1_773_964_800_000;
const THREE_WEEKS: i64 = 21 * 24 * 60;

fn march(day: i8) -> Date {
    Date::new(2026, 3, day).expect("a day of March")
}

/// Text with everything that JSON escapes.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z]{1,8}", 1 => any::<String>(), 1 => "[ -~äß\u{1F333}\\n\"\\\\/]{0,20}"]
}

fn extra() -> impl Strategy<Value = Extra> {
    let value = prop_oneof![
        Just("null"),
        Just("[]"),
        Just(r#"{"a b":[1.10,-0,1e400,true]}"#),
        Just(r#""\ud83c\udf33 x""#),
    ];
    btree_map("x-[a-z/~]{0,4}", value.prop_map(str::to_owned), 0..3)
}

fn persons() -> impl Strategy<Value = Vec<Person>> {
    let person = (option::of(any::<i64>()), "[a-zé]{1,9}", extra());
    vec(person.prop_map(|(id, name, extra)| Person { id, name, extra }), 0..3)
}

fn links() -> impl Strategy<Value = Vec<Link>> {
    let link = ("https://[a-z]{1,9}", text(), extra());
    vec(link.prop_map(|(url, title, extra)| Link { url, title, extra }), 0..3)
}

fn event() -> impl Strategy<Value = Event> {
    let times = (0..THREE_WEEKS, 0..MINUTE, 1..4_000_i64, option::of(20..32_i8));
    let place = (
        option::of("[A-C]"),
        option::of("[C-D]"),
        option::of(any::<i64>()),
        option::of(any::<bool>()),
    );
    let parts = (persons(), links(), links(), extra());
    (times, place, vec(text(), 11), parts).prop_map(|(times, place, texts, parts)| {
        let (minute, millisecond, lasts, day) = times;
        let (room, room_label, id, do_not_record) = place;
        let (persons, links, attachments, extra) = parts;
        let starts = MARCH_20 + minute * MINUTE + millisecond;
        let mut texts = texts.into_iter();
        let mut next = || texts.next().expect("enough texts");
        Event {
            guid: String::new(),
            id,
            title: next(),
            subtitle: next(),
            starts,
            ends: starts + lasts * MINUTE,
            room,
            room_label,
            listed_on: day.map(march),
            track: next(),
            kind: next(),
            language: next(),
            abstract_text: next(),
            description: next(),
            url: next(),
            logo: next(),
            slug: next(),
            persons,
            links,
            attachments,
            recording_license: next(),
            do_not_record,
            extra,
        }
    })
}

fn day() -> impl Strategy<Value = Day> {
    (0..30_i64, 20..32_i8, -600..600_i64, 1..2_000_i64, extra()).prop_map(
        |(index, day, begins, lasts, extra)| {
            let noon = MARCH_20 + (i64::from(day - 20) * 24 + 12) * 60 * MINUTE;
            let starts = noon + begins * MINUTE;
            let (date, ends) = (march(day), starts + lasts * MINUTE);
            Day { index, date, starts, ends, extra }
        },
    )
}

pub(crate) fn schedule() -> impl Strategy<Value = Schedule> {
    let zones = prop_oneof![
        Just(None),
        Just(Some("Europe/Berlin")),
        Just(Some("Etc/GMT-1")),
        Just(Some("Etc/GMT+12")),
        Just(Some("Etc/GMT0")),
        Just(Some("Pacific/Apia")),
        Just(Some("Asia/Kolkata")),
        Just(Some("Nowhere/At_All")),
    ];
    let rooms = btree_set("[A-F]", 0..4);
    let room = (option::of("[a-z]{1,9}"), extra());
    let head = (zones, vec(text(), 4), 0..120_i64, extra());
    (head, rooms, vec(room, 4), vec(day(), 0..5), vec(event(), 0..12)).prop_map(
        |((zone, texts, timeslot_minutes, extra), names, rooms, days, mut events)| {
            for (index, event) in events.iter_mut().enumerate() {
                event.guid = format!("guid {index}");
            }
            let rooms = names.into_iter().zip(rooms);
            let rooms = rooms.map(|(name, (guid, extra))| Room { name, guid, extra });
            let at = ["", "/schedule", "/schedule/conference"];
            let extra = extra.into_iter().zip(at.into_iter().cycle());
            let extra = extra.map(|((key, value), at)| {
                (format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), value)
            });
            let mut texts = texts.into_iter();
            let mut next = || texts.next().expect("enough texts");
            Schedule {
                acronym: next(),
                title: next(),
                zone: zone.map(str::to_owned),
                starts: None,
                ends: None,
                version: next(),
                base_url: next(),
                timeslot_minutes,
                rooms: rooms.collect(),
                days,
                events,
                extra: extra.collect(),
            }
        },
    )
}
