//! Schedules in and out, and what becomes of an import that is cut off.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use common::{Place, keys, schedule};
use serde_json::json;

#[test]
fn importing_twice_changes_nothing_and_a_newer_file_only_what_differs() {
    let place = Place::new();
    let home = place.home("ada");
    home.found("Meadow");
    let first = schedule(&[
        ("a", "Tea", 0, 60, "Tent"),
        ("b", "Cake", 30, 60, "Tent"),
        ("c", "Show", 0, 60, "Stage"),
    ]);
    let file = place.file("first.json", &first);
    let report = home.json(&["import", &file]);
    assert_eq!(
        keys(&report),
        ["cancelled", "conflicts", "events", "requests", "resources", "skipped"]
    );
    assert_eq!(
        report,
        json!({"events": 3, "resources": 2, "requests": 3, "conflicts": 1, "cancelled": 0, "skipped": []})
    );
    let before = home.fingerprint();
    assert_eq!(home.json(&["import", &file]), report);
    // Saying again that the newest state is there writes nothing.
    assert_eq!(home.fingerprint()["view"], before["view"]);

    let newer = place.file(
        "newer.json",
        schedule(&[("a", "Tea!", 0, 60, "Tent"), ("c", "Show", 0, 60, "Stage")]),
    );
    let report = home.json(&["import", &newer]);
    assert_eq!((&report["events"], &report["cancelled"]), (&json!(2), &json!(1)));
    let events = home.json(&["event", "list"]);
    assert_eq!(events.as_array().unwrap().len(), 3, "what vanished is cancelled, not deleted");
    let exported = place.path("out.json");
    let answer = home.json(&["export", exported.to_str().unwrap()]);
    assert_eq!(keys(&answer), ["events", "file", "resources"]);
    let again = place.home("again");
    again.found("Copy");
    let report = again.json(&["import", exported.to_str().unwrap()]);
    assert_eq!((&report["events"], &report["resources"]), (&json!(2), &json!(2)));
    let text = again.text(&["export", "-"]);
    assert_eq!(text.trim_end(), std::fs::read_to_string(exported).unwrap().trim_end());
}

#[test]
fn what_is_malformed_is_left_out_and_reported_with_its_place() {
    let place = Place::new();
    let home = place.home("ada");
    home.found("Meadow");
    let text = schedule(&[("a", "Tea", 0, 60, "Tent"), ("b", "Never", 0, 0, "Tent")]);
    let report = home.json(&["import", &place.file("s.json", text)]);
    assert_eq!(report["events"], 1);
    assert_eq!(
        report["skipped"],
        json!([{"where": "/schedule/conference/days/0/rooms/Tent/1", "why": "its duration is zero"}])
    );
}

#[test]
fn a_file_that_is_no_schedule_changes_nothing() {
    let place = Place::new();
    let home = place.home("ada");
    home.found("Meadow");
    let good = schedule(&[("a", "Tea", 0, 60, "Tent")]);
    home.json(&["import", &place.file("good.json", &good)]);
    let before = home.fingerprint();
    let missing = place.path("missing.json").to_str().unwrap().to_owned();
    let folder = place.path("").to_str().unwrap().to_owned();
    for (file, why) in [
        (place.file("cut.json", &good[..good.len() / 2]), "cut off"),
        (place.file("empty.json", ""), "was not imported"),
        (place.file("text.json", "hello"), "not JSON"),
        (place.file("bytes.json", [0xff, 0xfe, 0]), "not JSON"),
        (place.file("other.json", "{\"a\": 1}"), "not a frab schedule"),
        (missing, "cannot be opened"),
        (folder, "cannot be"),
    ] {
        let message = home.refusal(&["import", &file]);
        assert!(message.contains(why), "{file}: {message}");
    }
    let message = home.refusal(&["import", &place.file("g.json", &good), "--zone", "Nowhere"]);
    assert!(message.contains("no time zone named"), "{message}");
    assert!(home.refusal(&["export", "/nonexistent/out.json"]).contains("cannot be written"));
    assert_eq!(home.fingerprint(), before);
}

#[test]
fn an_import_that_is_killed_has_everything_that_it_acknowledged() {
    let place = Place::new();
    let home = place.home("ada");
    home.found("Meadow");
    let events: Vec<_> = (0_u32..1500)
        .map(|i| (format!("g{i}"), format!("Event {i}"), format!("Room {}", i % 20)))
        .collect();
    let events: Vec<_> = events
        .iter()
        .zip(0..)
        .map(|((guid, title, room), i)| {
            (guid.as_str(), title.as_str(), (i / 20) * 5, 5, room.as_str())
        })
        .collect();
    let file = place.file("large.json", schedule(&events));

    for kill_after in [1, 4, 7] {
        let mut child = home
            .command(&["import", &file, "--acknowledge"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut acknowledged = 0;
        for line in BufReader::new(child.stderr.take().unwrap()).lines().take(kill_after) {
            let line = line.unwrap();
            let number = line.strip_prefix("stored ").and_then(|rest| rest.split(' ').next());
            acknowledged = number.unwrap_or_else(|| panic!("{line}")).parse::<usize>().unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let resources = home.json(&["resource", "list"]).as_array().unwrap().len();
        let events = home.json(&["event", "list"]).as_array().unwrap().len();
        assert!(resources + events >= acknowledged, "{resources} + {events} of {acknowledged}");
        assert!(acknowledged > 0);
    }

    let report = home.json(&["import", &file]);
    assert_eq!(
        (&report["events"], &report["resources"], &report["requests"]),
        (&json!(1500), &json!(20), &json!(1500))
    );
    assert_eq!(report["skipped"], json!([]));
    assert_eq!(home.json(&["schedule"]).as_array().unwrap().len(), 1500);
}

#[test]
fn an_archive_brings_a_festival_to_somebody_who_was_never_online() {
    let place = Place::new();
    let home = place.home("ada");
    home.found("Meadow");
    home.json(&["import", &place.file("s.json", schedule(&[("a", "Tea", 0, 60, "Tent")]))]);
    let file = place.path("meadow.panda").to_str().unwrap().to_owned();
    let wrote = home.json(&["export", "--archive", &file]);
    assert_eq!(keys(&wrote), ["documents", "entries", "file", "logs"]);
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(home.output(&["export", "--archive", "-"]).stdout, bytes);

    let other = place.home("bob");
    let report = other.json(&["import", &file]);
    assert_eq!(keys(&report), ["documents", "entries", "festival", "refused"]);
    assert_eq!(report["entries"], wrote["entries"]);
    assert_eq!(other.fingerprint(), home.fingerprint());
    assert_eq!(other.json(&["schedule"]), home.json(&["schedule"]));
    assert_eq!(other.json(&["import", &file])["entries"], 0);

    let cut = place.file("cut.panda", &bytes[..bytes.len() - 100]);
    let third = place.home("carol");
    let message = third.refusal(&["import", &cut]);
    assert!(message.contains("they stay") && message.contains("cut off"), "{message}");
    assert!(third.json(&["festival", "list"]).as_array().unwrap().len() == 1);
    let newer = place.file("newer.panda", [&bytes[..16], b"9\n"].concat());
    let message = third.refusal(&["import", &newer]);
    assert!(message.contains("newer version"), "{message}");
}
