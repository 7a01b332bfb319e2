//! Real schedules of large events, which are not part of this repository: where they are absent,
//! each test says so and does nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::BufReader;

use common::{Place, real_data};
use flate2::read::MultiGzDecoder;
use interchange::{Schedule, edits, frab};
use serde_json::json;

#[test]
fn the_36c3_is_imported_joined_and_exported() {
    let Some(file) = real_data("36c3/schedule.json") else { return };
    let file = file.to_str().unwrap();
    let place = Place::new();
    let (ada, ben) = (place.home("ada"), place.home("ben"));
    let ticket = ada.found("36C3");
    let report = ada.json(&["import", file]);
    let counts =
        ["events", "resources", "requests", "conflicts", "cancelled"].map(|key| &report[key]);
    assert_eq!(counts, [&json!(1347), &json!(92), &json!(1347), &json!(260), &json!(0)]);
    assert_eq!(report["skipped"].as_array().unwrap().len(), 4);
    assert_eq!(ada.json(&["schedule"]).as_array().unwrap().len(), 1347);
    let before = ada.fingerprint();
    ada.json(&["import", file]);
    assert_eq!(ada.fingerprint(), before);

    ben.json(&["festival", "join", &ticket]);
    let served = ada.serve();
    ben.json(&["sync", &served.address]);
    let again = ben.json(&["sync", &served.address]);
    served.stop();
    assert_eq!((&again["segments_sent"], &again["segments_received"]), (&json!(0), &json!(0)));
    assert_eq!(ben.fingerprint(), ada.fingerprint());

    let out = place.path("out.json");
    let exported = ben.json(&["export", out.to_str().unwrap()]);
    assert_eq!((&exported["events"], &exported["resources"]), (&json!(1347), &json!(92)));
    let options = frab::ParseOptions::default();
    let (original, _) = frab::parse(&std::fs::read(file).unwrap(), &options).unwrap();
    let (copy, skipped) = frab::parse(&std::fs::read(out).unwrap(), &options).unwrap();
    assert_eq!(skipped, []);
    assert_eq!(copy.events.len(), original.events.len());
    let differing = original.events.iter().zip(&copy.events).filter(|(a, b)| a != b).count();
    assert_eq!(differing, 0, "events that came out otherwise than they went in");
}

#[test]
fn fifty_revisions_of_the_camp_end_in_agreement() {
    let Some(file) = real_data("camp2019/edits.jsonl.gz") else { return };
    let place = Place::new();
    let (ada, ben) = (place.home("ada"), place.home("ben"));
    let ticket = ada.found("Camp 2019");
    ben.json(&["festival", "join", &ticket]);
    let lines = BufReader::new(MultiGzDecoder::new(std::fs::File::open(file).unwrap()));
    let mut schedule = Schedule {
        acronym: "camp2019".into(),
        title: "Camp 2019".into(),
        zone: Some("Europe/Berlin".into()),
        ..Schedule::default()
    };
    let mut revisions = 0;
    let mut last = json!(null);
    for revision in edits::Revisions::new(lines).take(50) {
        edits::apply(&mut schedule, &revision.unwrap());
        let mut tidy = schedule.clone();
        tidy.tidy();
        last = ada.json(&["import", &place.file("revision.json", frab::write(&tidy))]);
        assert_eq!(last["events"], tidy.events.len());
        // Ben plans too, now and then.
        if revisions % 10 == 0 {
            let title = format!("Tea {revisions}");
            ben.json(&["event", "add", &title, "--starts", "2019-08-22T16:00", "--for", "1h"]);
        }
        ben.meet(&ada);
        revisions += 1;
    }
    assert_eq!(revisions, 50);
    assert_eq!(ben.fingerprint(), ada.fingerprint());
    let live = ada.json(&["schedule"]).as_array().unwrap().len();
    assert_eq!(live as u64, last["events"].as_u64().unwrap() + 5);
}
