//! What is written is read back, whatever the schedule.

#[path = "common/any_schedule.rs"]
mod any_schedule;

mod common;

use any_schedule::{MARCH_20, MINUTE, schedule};

use common::{fixture, parse, parse_clean};
use interchange::frab;
use interchange::model::{Date, Day, Event, Extra, Schedule};
use proptest::prelude::*;
use serde_json::Value;

#[test]
fn what_was_read_is_written_and_read_alike() {
    let schedule = parse_clean(&fixture("glade.json"));
    let written = frab::write(&schedule);
    assert_eq!(parse_clean(&written), schedule);
    assert_eq!(frab::write(&parse_clean(&written)), written);
}

#[test]
fn everything_that_the_file_said_stands_in_the_export() {
    let before: Value = serde_json::from_slice(&fixture("glade.json")).unwrap();
    let after: Value =
        serde_json::from_slice(&frab::write(&parse_clean(&fixture("glade.json")))).unwrap();
    assert_eq!(before["$schema"], after["$schema"]);
    assert_eq!(before["schedule"]["generator"], after["schedule"]["generator"]);
    let conference = |root: &Value| root["schedule"]["conference"].clone();
    for key in ["acronym", "title", "start", "end", "daysCount", "timeslot_duration", "tracks"] {
        assert_eq!(conference(&before)[key], conference(&after)[key], "{key}");
    }
    let opening = |root: &Value| conference(root)["days"][0]["rooms"]["Meadow"][1].clone();
    for (key, value) in opening(&before).as_object().unwrap() {
        match key.as_str() {
            // Bare addresses and pretalx's persons are written in frab's form.
            "links" => assert_eq!(opening(&after)[key][0]["url"], value[0]),
            _ => assert_eq!(&opening(&after)[key], value, "{key}"),
        }
    }
    let den = &conference(&after)["days"][0]["rooms"]["1Hedge den"][0];
    assert_eq!(den["room"], "den");
    assert_eq!(den["duration"], "36:00");
}

#[test]
fn a_schedule_of_our_own_gets_days_that_end_at_six_in_the_morning() {
    let at = |minutes: i64| MARCH_20 + minutes * MINUTE;
    let event = |guid: &str, starts: i64| Event {
        guid: guid.into(),
        title: guid.into(),
        starts: at(starts),
        ends: at(starts + 30),
        room: Some("Barn".into()),
        ..Event::default()
    };
    // Berlin is an hour ahead of UTC in March: 04:59 UTC is 05:59 there.
    let events = vec![event("night", 24 * 60 + 4 * 60 + 59), event("morning", 24 * 60 + 5 * 60)];
    let zone = Some("Europe/Berlin".into());
    let schedule = Schedule { zone, events, ..Schedule::default() };
    let written: Value = serde_json::from_slice(&frab::write(&schedule)).unwrap();
    let days = &written["schedule"]["conference"]["days"];
    assert_eq!(days[0]["date"], "2026-03-20");
    assert_eq!(days[0]["day_start"], "2026-03-20T06:00:00+01:00");
    assert_eq!(days[0]["rooms"]["Barn"][0]["guid"], "night");
    assert_eq!(days[0]["rooms"]["Barn"][0]["date"], "2026-03-21T05:59:00+01:00");
    assert_eq!(days[0]["rooms"]["Barn"][0]["start"], "05:59");
    assert_eq!(days[1]["index"], 2);
    assert_eq!(days[1]["rooms"]["Barn"][0]["guid"], "morning");
    assert_eq!(written["schedule"]["conference"]["time_zone_name"], "Europe/Berlin");
}

#[test]
fn what_no_calendar_can_show_is_left_out_and_nothing_panics() {
    let mut schedule = Schedule::default();
    for (guid, starts, ends) in [
        ("a", i64::MIN, i64::MAX),
        ("b", i64::MAX, i64::MIN),
        ("c", 0, 0),
        ("d", MARCH_20, i64::MIN),
        ("e", MARCH_20, i64::MAX),
    ] {
        let guid = guid.into();
        schedule.events.push(Event { guid, starts, ends, ..Event::default() });
    }
    schedule.zone = Some("Nowhere/At_All".into());
    schedule.extra.insert("/not json".into(), "{".into());
    schedule.days.push(Day {
        index: i64::MAX,
        date: Date::MAX,
        starts: i64::MAX,
        ends: i64::MIN,
        extra: Extra::new(),
    });
    let (again, skipped) = parse(&frab::write(&schedule));
    assert_eq!(again.events, []);
    assert!(!skipped.is_empty());
}

proptest! {
    #[test]
    fn any_schedule_is_written_and_read_alike(mut schedule in schedule()) {
        let (again, skipped) = parse(&frab::write(&schedule));
        schedule.tidy();
        prop_assert_eq!(skipped, []);
        prop_assert_eq!(&again, &schedule);
        schedule.tidy();
        prop_assert_eq!(again, schedule);
    }
}
