//! What a frab file says is in the schedule.

mod common;

use common::{conference, fixture, one_room, parse, parse_clean};
use interchange::frab::{self, ParseOptions};
use interchange::model::Date;
use interchange::{Event, Schedule, local_id};

const HOUR: i64 = 3_600_000;
/// 2026-07-10 at 00:00 UTC.
const JULY_10: i64 = 1_783_641_600_000;

fn day(day: i8) -> Date {
    Date::new(2026, 7, day).expect("a day of July")
}

fn event<'a>(schedule: &'a Schedule, guid: &str) -> &'a Event {
    schedule.event(guid).unwrap_or_else(|| panic!("no event {guid}"))
}

#[test]
fn a_schedule_has_what_its_file_says() {
    let (schedule, skipped) = parse(&fixture("glade.json"));
    assert_eq!(skipped, []);
    assert_eq!(schedule.acronym, "glade26");
    assert_eq!(schedule.title, "Glade 2026");
    assert_eq!(schedule.version, "0.7 \"fern\"");
    assert_eq!(schedule.base_url, "https://glade.example/2026/");
    assert_eq!((schedule.starts, schedule.ends), (Some(day(10)), Some(day(12))));
    assert_eq!(schedule.timeslot_minutes, 10);
    let rooms: Vec<_> = schedule.rooms.iter().map(|room| &*room.name).collect();
    assert_eq!(rooms, ["Meadow", "Quiet corner", "1Hedge den", "Closed gate"]);
    assert!(schedule.rooms[0].guid.as_deref().unwrap().ends_with("0001"));
    assert_eq!(schedule.rooms[0].extra["capacity"], "300");
    let days: Vec<_> = schedule.days.iter().map(|day| (day.index, day.date)).collect();
    assert_eq!(days, [(1, day(10)), (2, day(11)), (3, day(12))]);
    assert_eq!(schedule.days[0].starts, JULY_10 + 9 * HOUR);
    assert_eq!(schedule.days[0].ends, JULY_10 + 26 * HOUR);
}

#[test]
fn an_event_has_what_its_entry_says() {
    let schedule = parse_clean(&fixture("glade.json"));
    let opening = event(&schedule, "e-opening");
    assert_eq!(opening.id, Some(2));
    assert_eq!(opening.title, "Opening");
    assert_eq!(opening.subtitle, "Welcome");
    assert_eq!(opening.starts, JULY_10 + 9 * HOUR);
    assert_eq!(opening.ends, JULY_10 + 9 * HOUR + HOUR / 2);
    assert_eq!(opening.room.as_deref(), Some("Meadow"));
    assert_eq!(opening.track, "Hands");
    assert_eq!(opening.kind, "lecture");
    assert_eq!(opening.language, "de");
    assert_eq!(opening.abstract_text, "Short.");
    assert_eq!(opening.description, "Long.\r\nVery long.");
    assert_eq!(opening.url, "https://glade.example/2");
    assert_eq!(opening.logo, "/logos/2.png");
    assert_eq!(opening.slug, "glade26-2-opening");
    assert_eq!(opening.recording_license, "CC BY 4.0");
    assert_eq!(opening.do_not_record, Some(false));
    assert_eq!(opening.attachments[0].url, "/files/2.pdf");
}

#[test]
fn persons_and_links_are_read_in_every_form() {
    let schedule = parse_clean(&fixture("glade.json"));
    let opening = event(&schedule, "e-opening");
    let persons: Vec<_> = opening.persons.iter().map(|p| (p.id, &*p.name)).collect();
    assert_eq!(persons, [(Some(7), "Ada"), (None, "Grace")]);
    let links: Vec<_> = opening.links.iter().map(|l| (&*l.url, &*l.title)).collect();
    assert_eq!(links, [("https://plain.example", ""), ("https://titled.example", "Slides")]);
}

#[test]
fn unknown_fields_are_kept_as_they_were_written() {
    let schedule = parse_clean(&fixture("glade.json"));
    let extra: Vec<_> = schedule.extra.keys().collect();
    assert_eq!(extra, ["/$schema", "/schedule/conference/tracks", "/schedule/generator"]);
    assert_eq!(schedule.extra["/schedule/generator"], r#"{"name":"by hand","score":1.10}"#);
    let opening = event(&schedule, "e-opening");
    assert_eq!(opening.extra["do_not_stream"], "true");
    assert_eq!(opening.extra["answers"], "[]");
    assert_eq!(opening.persons[0].extra["biography"], "null");
    assert_eq!(opening.persons[1].extra["code"], "\"XYZ\"");
}

#[test]
fn the_listing_room_counts_and_the_own_name_of_the_room_is_kept() {
    let schedule = parse_clean(&fixture("glade.json"));
    let den = event(&schedule, "e-den");
    assert_eq!(den.room.as_deref(), Some("1Hedge den"));
    assert_eq!(den.room_label.as_deref(), Some("den"));
    assert_eq!(event(&schedule, "e-opening").room_label, None);
    assert_eq!(den.ends - den.starts, 36 * HOUR, "1:12:00 is a day and a half");
}

#[test]
fn the_night_belongs_to_the_day_before_and_breakfast_to_the_day_it_opens() {
    let schedule = parse_clean(&fixture("glade.json"));
    for (guid, date) in [("e-breakfast", 10), ("e-opening", 10), ("e-concert", 10)] {
        let event = event(&schedule, guid);
        assert_eq!(schedule.day_of(event), Some(day(date)), "{guid}");
        assert_eq!(event.listed_on, None, "{guid}: its time says it already");
    }
}

#[test]
fn an_event_stays_on_the_day_that_lists_it() {
    let schedule = parse_clean(&fixture("glade.json"));
    let early = event(&schedule, "e-early");
    assert_eq!(early.listed_on, Some(day(11)), "at 03:00 it would be on the 10th");
    assert_eq!(schedule.day_of(early), Some(day(11)));
}

#[test]
fn a_zone_is_made_of_the_offset_where_none_is_named() {
    let schedule = parse_clean(&fixture("glade.json"));
    assert_eq!(schedule.zone.as_deref(), Some("Etc/GMT-2"));
}

#[test]
fn the_zone_is_the_callers_else_the_files() {
    let file = conference(
        r#""time_zone_name": "europe/berlin", "days": [{"date": "2026-07-10", "rooms": {"": [
            {"guid": "a", "title": "x", "date": "2026-07-10T12:00:00", "duration": "1:00"}]}}]"#,
    );
    let schedule = parse_clean(file.as_bytes());
    assert_eq!(schedule.zone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(schedule.events[0].starts, JULY_10 + 10 * HOUR, "a date without offset is local");
    assert_eq!(schedule.events[0].room, None);

    let options = ParseOptions { zone: Some("Europe/London".into()) };
    let (schedule, _) = frab::parse(file.as_bytes(), &options).unwrap();
    assert_eq!(schedule.zone.as_deref(), Some("Europe/London"));
    assert_eq!(schedule.events[0].starts, JULY_10 + 11 * HOUR);
}

#[test]
fn a_guessed_zone_is_reported_where_the_dates_disagree() {
    let file = one_room(
        r#"{"guid": "a", "date": "2026-07-10T12:00:00+02:00", "duration": "1:00"},
           {"guid": "b", "date": "2026-07-10T12:00:00+02:00", "duration": "1:00"},
           {"guid": "c", "date": "2026-07-10T12:00:00+01:00", "duration": "1:00"}"#,
    );
    let (schedule, skipped) = parse(file.as_bytes());
    assert_eq!(schedule.zone.as_deref(), Some("Etc/GMT-2"));
    assert_eq!(skipped[0].at, "/schedule/conference/time_zone_name");
    assert!(skipped[0].why.contains("several offsets"), "{}", skipped[0]);

    let file =
        one_room(r#"{"guid": "a", "date": "2026-07-10T12:00:00+05:30", "duration": "1:00"}"#);
    let (schedule, skipped) = parse(file.as_bytes());
    assert_eq!(schedule.zone.as_deref(), Some("Etc/UTC"));
    assert_eq!(schedule.events[0].starts, JULY_10 + 13 * HOUR / 2);
    assert_eq!(skipped[0].at, "/schedule/conference/time_zone_name");
}

#[test]
fn events_come_in_the_order_of_their_start() {
    let schedule = parse_clean(&fixture("glade.json"));
    let guids: Vec<_> = schedule.events.iter().map(|event| &*event.guid).collect();
    assert_eq!(guids, ["e-breakfast", "e-opening", "e-den", "e-concert", "e-early"]);
}

#[test]
fn a_byte_order_mark_and_an_empty_programme_are_no_error() {
    let file = format!("\u{feff}{}", conference(r#""days": []"#));
    let schedule = parse_clean(file.as_bytes());
    assert_eq!(schedule.events, []);
    assert_eq!(schedule.starts, None);
}

#[test]
fn the_conference_gets_its_dates_from_its_days_where_it_has_none() {
    let file = one_room(r#"{"guid": "a", "date": "2026-07-14T12:00:00Z", "duration": "1:00"}"#);
    let schedule = parse_clean(file.as_bytes());
    assert_eq!((schedule.starts, schedule.ends), (Some(day(10)), Some(day(14))));
    let days: Vec<_> = schedule.days.iter().map(|day| (day.index, day.date)).collect();
    assert_eq!(days, [(1, day(10)), (5, day(14))], "the day that an event needs is added");
}

#[test]
fn an_id_depends_on_source_and_guid_and_on_nothing_else() {
    let id = local_id("https://glade.example", "e-opening");
    assert_eq!(id, local_id("https://glade.example", "e-opening"));
    assert_ne!(id, local_id("https://glade.example", "e-den"));
    assert_ne!(id, local_id("https://other.example", "e-opening"));
    assert_ne!(local_id("a", "bc"), local_id("ab", "c"));
    assert!(id.len() == 16 && id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')));

    let hash = blake3::derive_key("p2panda interchange id 1", b"https://glade.example\0e-opening");
    let expected = data_encoding::BASE32_NOPAD.encode(&hash[..10]).to_lowercase();
    assert_eq!(id, expected);
    assert_eq!(id, "f6nf6jmnemjmenzt", "ids never change");
}

#[test]
fn of_a_name_that_comes_twice_in_an_object_the_last_counts() {
    let (schedule, _) = parse(&fixture("twice.json"));
    assert_eq!(schedule.title, "");
    assert!(schedule.extra.contains_key("/schedule/conference/title"));
    let written = frab::write(&schedule);
    let (again, skipped) = frab::parse(&written, &ParseOptions::default()).unwrap();
    assert_eq!((again, skipped), (schedule, vec![]));
}
