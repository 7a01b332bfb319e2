//! Real schedules of large events, which are not part of this repository: where
//! they are absent, each test says so and does nothing.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{parse, parse_clean, read_real};
use interchange::frab::{self, ParseError, ParseOptions};
use interchange::model::Date;
use interchange::{Event, Schedule, Skipped, edits};

/// How often each reason was given, without the place or guid that it names.
fn reasons(skipped: &[Skipped]) -> BTreeMap<String, usize> {
    let mut reasons = BTreeMap::new();
    for skipped in skipped {
        let why = skipped.why.split(" /").next().unwrap_or_default();
        let words = why.split(' ').filter(|word| !word.contains('-'));
        *reasons.entry(words.collect::<Vec<_>>().join(" ")).or_default() += 1;
    }
    reasons
}

fn counts<const N: usize>(reasons: [(&str, usize); N]) -> BTreeMap<String, usize> {
    reasons.into_iter().map(|(why, count)| (why.to_owned(), count)).collect()
}

fn assert_round_trip(schedule: &Schedule) {
    assert_eq!(&parse_clean(&frab::write(schedule)), schedule);
}

#[test]
fn the_36c3_reads_but_for_three_repetitions_and_one_event_without_duration() {
    let Some(file) = read_real("36c3/schedule.json") else {
        return;
    };
    let (schedule, skipped) = parse(&file);
    assert_eq!(schedule.events.len() + skipped.len(), 1_351);
    assert_eq!(schedule.events.len(), 1_347);
    let skipped: Vec<_> = skipped.iter().map(ToString::to_string).collect();
    let days = "/schedule/conference/days";
    assert_eq!(
        skipped,
        [
            format!(
                "{days}/0/rooms/OIO Workshop Dome/1: its guid is that of {days}/0/rooms/OIO Workshop Dome/0"
            ),
            format!(
                "{days}/1/rooms/OIO Workshop Dome/2: its guid is that of {days}/1/rooms/OIO Workshop Dome/0"
            ),
            format!("{days}/2/rooms/OIO Stage/0: its duration is zero"),
            format!(
                "{days}/2/rooms/OIO Solder Area/0: its guid is that of {days}/0/rooms/OIO Solder Area/0"
            ),
        ]
    );
    assert_eq!(schedule.rooms.len(), 92);
    assert_eq!(schedule.days.len(), 4);
    assert_eq!(schedule.zone.as_deref(), Some("Etc/GMT-1"));
    let events = || schedule.events.iter();
    let labelled: BTreeSet<_> = events().filter_map(|e| e.room_label.as_deref()).collect();
    assert_eq!(events().filter(|event| event.room_label.is_some()).count(), 87);
    assert_eq!(labelled.len(), 6);
    assert_eq!(events().filter(|event| event.listed_on.is_some()).count(), 0);
    assert_eq!(events().filter(|event| event.persons.is_empty()).count(), 83);
    assert_round_trip(&schedule);
}

#[test]
fn the_36c3s_46_events_after_midnight_are_on_the_day_before() {
    let Some(file) = read_real("36c3/schedule.json") else {
        return;
    };
    let (schedule, _) = parse(&file);
    let hours_ahead = 1;
    let local_date = |event: &Event| {
        let days = (event.starts + hours_ahead * 3_600_000).div_euclid(86_400_000);
        Date::new(2019, 12, 27).unwrap() + jiff::Span::new().days(days - 18_257)
    };
    let events = schedule.events.iter();
    let night = events.filter(|event| schedule.day_of(event) != Some(local_date(event)));
    assert_eq!(night.count(), 46);
}

#[test]
fn the_camp_reads_but_for_its_repetitions() {
    let Some(file) = read_real("camp2019/schedule.json") else {
        return;
    };
    let (schedule, skipped) = parse(&file);
    assert_eq!(schedule.events.len(), 602);
    assert_eq!(reasons(&skipped), counts([("its guid is that of", 4)]));
    assert_eq!(schedule.rooms.len(), 64);
    assert_eq!(schedule.zone.as_deref(), Some("Etc/GMT-2"));
    assert_eq!(schedule.base_url, "https://fahrplan.events.ccc.de/camp/2019/Fahrplan/");
    let listed = schedule.events.iter().filter(|event| event.listed_on.is_some());
    assert_eq!(listed.count(), 3, "listed on the date of their early morning");
    assert_round_trip(&schedule);
}

#[test]
fn a_real_zone_changes_no_instant() {
    let Some(file) = read_real("36c3/schedule.json") else {
        return;
    };
    let options = ParseOptions { zone: Some("Europe/Berlin".into()) };
    let (berlin, _) = frab::parse(&file, &options).unwrap();
    let (mut fixed, _) = parse(&file);
    assert_eq!(berlin.zone.as_deref(), Some("Europe/Berlin"));
    fixed.zone.clone_from(&berlin.zone);
    assert_eq!(berlin, fixed);
    assert_round_trip(&berlin);
}

/// EMF's frab export is frab's *XML*; this crate reads the JSON form only.
#[test]
fn the_xml_of_emf_2024_is_refused_as_what_it_is() {
    let Some(file) = read_real("emf2024/schedule.frab") else {
        return;
    };
    let error = frab::parse(&file, &ParseOptions::default()).unwrap_err();
    assert!(matches!(error, ParseError::NotJson { line: 1, column: 1, .. }), "{error}");
    assert!(error.to_string().contains("XML"), "{error}");
}

/// Replays a history; returns the schedule, the number of revisions, and the
/// reasons for what did not fit.
fn replay(history: &[u8]) -> (Schedule, usize, BTreeMap<String, usize>) {
    let mut schedule = Schedule::default();
    let mut count = 0;
    let mut all = Vec::new();
    for revision in edits::Revisions::new(history) {
        let revision = revision.expect("a revision");
        all.extend(edits::apply(&mut schedule, &revision));
        all.extend(revision.skipped);
        count += 1;
    }
    (schedule, count, reasons(&all))
}

const REPEATED: &str = "of a repeated guid, a file's first event counts and a history has the last";

/// What both an edit history and a frab file say of an event.
fn common_part(event: &Event) -> Event {
    let mut event = event.clone();
    event.room = event.room_label.take().or(event.room);
    event.listed_on = None;
    event.id = None;
    event.logo.clear();
    event.slug.clear();
    event.recording_license.clear();
    event.attachments.clear();
    event.extra.clear();
    for person in &mut event.persons {
        person.id = None;
        person.extra.clear();
    }
    for link in &mut event.links {
        link.title.clear();
    }
    event
}

/// The events of a file and of a history's end that are not the same in both.
fn differing(file: &Schedule, replayed: &Schedule) -> BTreeSet<String> {
    let by_guid = |schedule: &Schedule| -> BTreeMap<String, Event> {
        let events = schedule.events.iter();
        events.map(|event| (event.guid.clone(), common_part(event))).collect()
    };
    let (file, replayed) = (by_guid(file), by_guid(replayed));
    let guids = file.keys().chain(replayed.keys());
    guids.filter(|guid| file.get(*guid) != replayed.get(*guid)).cloned().collect()
}

#[test]
fn the_camps_256_revisions_end_in_its_schedule() {
    let Some(history) = read_real("camp2019/edits.jsonl.gz") else {
        return;
    };
    let Some(file) = read_real("camp2019/schedule.json") else {
        return;
    };
    let (replayed, count, misfits) = replay(&history);
    assert_eq!(count, 256);
    assert_eq!(misfits, BTreeMap::new());
    assert_eq!(replayed.events.len(), 602);
    assert_eq!(differing(&parse(&file).0, &replayed).len(), 2, "{REPEATED}");
}

#[test]
fn the_36c3s_941_revisions_end_in_its_schedule() {
    let Some(history) = read_real("36c3/edits.jsonl.gz") else {
        return;
    };
    let Some(file) = read_real("36c3/schedule.json") else {
        return;
    };
    let (replayed, count, misfits) = replay(&history);
    assert_eq!(count, 941);
    // The events without duration are never there to be changed or removed.
    let expected = [
        ("its duration is zero", 16),
        ("there is no event to change", 10),
        ("there is no event to remove", 15),
    ];
    assert_eq!(misfits, counts(expected));
    assert_eq!(replayed.events.len(), 1_347);
    assert_eq!(differing(&parse(&file).0, &replayed).len(), 3, "{REPEATED}");
}
