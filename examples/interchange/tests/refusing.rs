//! What cannot be read is refused or left out, and said.

mod common;

use common::{conference, fixture, one_room, parse};
use interchange::frab::{self, ParseError, ParseOptions};

fn refusal(bytes: &[u8]) -> ParseError {
    frab::parse(bytes, &ParseOptions::default()).expect_err("a file that is refused")
}

#[test]
fn a_file_that_is_not_json_is_refused_with_line_and_column() {
    let error = refusal(b"{\n  \"schedule\": nothing\n}");
    assert!(matches!(error, ParseError::NotJson { line: 2, column: 16, .. }), "{error:?}");
    let error = refusal(b"{} {}");
    assert!(matches!(error, ParseError::NotJson { line: 1, column: 4, .. }), "{error:?}");
    let error = refusal(b"{\n \"\xff\"}");
    assert!(matches!(error, ParseError::NotJson { line: 2, column: 3, .. }), "{error:?}");
    assert_eq!(error.to_string(), "not JSON: a byte that is not UTF-8, at line 2, column 3");
}

#[test]
fn xml_is_refused_with_a_hint() {
    let error = refusal(b"<schedule><version>1.0</version></schedule>").to_string();
    assert!(error.contains("XML") && error.contains("line 1, column 1"), "{error}");
}

#[test]
fn a_file_cut_off_anywhere_is_called_truncated() {
    let whole = fixture("glade.json");
    let whole = whole.trim_ascii_end();
    for end in 0..whole.len() {
        let error = refusal(&whole[..end]);
        assert!(matches!(error, ParseError::Truncated { .. }), "cut at {end}: {error:?}");
    }
}

#[test]
fn json_that_is_no_schedule_is_refused_with_the_key_that_is_missing() {
    let days = "/schedule/conference/days";
    for (file, at, why) in [
        ("[]", "the file", "it is not an object"),
        ("5", "the file", "it is not an object"),
        (r#"{"talks": []}"#, "/schedule", "it is missing"),
        (r#"{"schedule": null}"#, "/schedule", "it is not an object"),
        (r#"{"schedule": {"days": []}}"#, "/schedule/conference", "it is missing"),
        (r#"{"schedule": {"conference": []}}"#, "/schedule/conference", "it is not an object"),
        (r#"{"schedule": {"conference": {"title": "x"}}}"#, days, "it is missing"),
        (r#"{"schedule": {"conference": {"days": {}}}}"#, days, "it is not an array"),
    ] {
        let (at, why) = (at.to_owned(), why.to_owned());
        assert_eq!(refusal(file.as_bytes()), ParseError::NotFrab { at, why }, "{file}");
    }
}

#[test]
fn an_unknown_zone_of_the_caller_is_refused() {
    let options = ParseOptions { zone: Some("Europe/Atlantis".into()) };
    let error = frab::parse(&fixture("glade.json"), &options).unwrap_err();
    assert_eq!(error, ParseError::UnknownZone { name: "Europe/Atlantis".into() });
}

#[test]
fn more_than_any_schedule_should_have_is_refused() {
    let file = vec![b' '; 64 * 1024 * 1024 + 1];
    assert!(matches!(refusal(&file), ParseError::TooLarge { .. }));

    let many = vec!["0"; 100_001].join(",");
    let error = refusal(one_room(&many).as_bytes());
    assert_eq!(error.to_string(), "the schedule has more than 100000 events");

    let many: Vec<_> = (0..10_001).map(|n| format!(r#""{n}": []"#)).collect();
    let (_, skipped) = parse(
        conference(&format!(
            r#""days": [{{"date": "2026-07-10", "rooms": {{{}}}}}]"#,
            many.join(",")
        ))
        .as_bytes(),
    );
    assert_eq!(skipped[0].why, "it has more than 10000 members");

    let many = vec!["{}"; 401].join(",");
    let error = refusal(conference(&format!(r#""days": [{many}]"#)).as_bytes());
    assert!(matches!(error, ParseError::NotFrab { .. }), "{error:?}");
}

#[test]
fn deep_nesting_is_no_danger() {
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let file = one_room(&format!(
        r#"{{"guid": "a", "x": {deep}, "title": {deep}, "date": "2026-07-10T12:00:00Z", "duration": "1:00"}}, {deep}"#
    ));
    let (schedule, skipped) = parse(file.as_bytes());
    assert_eq!(schedule.events[0].extra["x"], deep);
    assert_eq!(skipped.len(), 1);
    let (again, _) = parse(&frab::write(&schedule));
    assert_eq!(again, schedule);
}

#[test]
fn malformed_entries_are_skipped_with_their_place_and_the_rest_is_read() {
    let (schedule, skipped) = parse(&fixture("hurt.json"));
    let titles: Vec<_> = schedule.events.iter().map(|event| &*event.title).collect();
    let expected = ["first", "no longer zero", "", "", "the same date again", "undated day"];
    assert_eq!(titles, expected);

    let reports: Vec<_> = skipped.iter().map(ToString::to_string).collect();
    let expected = String::from_utf8(fixture("hurt.expected.txt")).unwrap();
    assert_eq!(reports, expected.lines().collect::<Vec<_>>());
}

#[test]
fn a_known_field_of_an_unexpected_type_is_kept_and_written_back() {
    let (schedule, _) = parse(&fixture("hurt.json"));
    let event = schedule.event("j").unwrap();
    assert_eq!(event.extra["title"], "17");
    assert_eq!(event.extra["track"], r#"["x"]"#);
    assert_eq!(event.extra["attachments"], "\"none\"");
    let names: Vec<_> = event.persons.iter().map(|person| &*person.name).collect();
    assert_eq!(names, ["Ada"]);
    let (again, skipped) = parse(&frab::write(&schedule));
    assert_eq!(skipped, []);
    assert_eq!(again, schedule);
}

#[test]
fn a_text_beyond_its_bound_is_left_out_of_its_event() {
    let file = one_room(&format!(
        r#"{{"guid": "a", "title": "{}", "track": "{}", "date": "2026-07-10T12:00:00Z", "duration": "1:00"}}"#,
        "ü".repeat(1_000),
        "ü".repeat(1_001),
    ));
    let (schedule, skipped) = parse(file.as_bytes());
    assert_eq!(schedule.events[0].title, "ü".repeat(1_000));
    assert_eq!(schedule.events[0].track, "");
    assert_eq!(skipped[0].at, "/schedule/conference/days/0/rooms/Meadow/0/track");
    assert_eq!(skipped[0].why, "it is longer than 1000 characters");
}

#[test]
fn ever_so_much_nonsense_is_reported_in_bounds() {
    let many = vec!["0"; 90_000].join(",");
    let (_, skipped) = parse(one_room(&many).as_bytes());
    assert_eq!(skipped.len(), 10_001);
    assert_eq!(skipped[10_000].why, "80000 more were left out and are not listed");
}
