//! Planning a festival from several homes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Place, Served, keys};
use serde_json::json;

#[test]
fn two_homes_plan_a_festival_and_agree() {
    let place = Place::new();
    let (ada, ben) = (place.home("ada"), place.home("ben"));
    let created = ada.json(&[
        "festival",
        "create",
        "Meadow Days",
        "--zone",
        "Europe/Berlin",
        "--as",
        "Ada",
        "--starts",
        "2026-08-20T10:00",
        "--ends",
        "2026-08-22T18:00",
        "--place",
        "Oberwald",
    ]);
    assert_eq!(keys(&created), ["festival", "ticket"]);
    assert_eq!(ada.json(&["festival", "ticket"]), created);
    let listed = ada.json(&["festival", "list"]);
    assert_eq!(
        keys(&listed[0]),
        ["ends", "festival", "founder", "mine", "place", "starts", "title", "zone"]
    );
    assert_eq!(listed[0]["starts"], "2026-08-20T10:00:00+02:00");
    let stage = ada.id("resource", &["resource", "add", "Main stage"]);
    ada.id("resource", &["resource", "add", "Fog machine", "--policy", "manual"]);

    let ticket = created["ticket"].as_str().unwrap();
    assert_eq!(ben.json(&["festival", "join", ticket, "--as", "Ben"]), created);
    let first = ben.meet(&ada);
    assert_eq!(
        keys(&first),
        ["bytes_received", "bytes_sent", "round_trips", "segments_received", "segments_sent"]
    );
    assert!(first["segments_received"].as_u64().unwrap() > 0);
    assert_eq!(ben.fingerprint(), ada.fingerprint());
    assert_eq!(keys(&ben.fingerprint()), ["logs", "view"]);

    let resources = ben.json(&["resource", "list"]);
    let keys_of = ["capacity", "id", "mine", "owner", "policy", "tags", "title"];
    assert_eq!(resources.as_array().unwrap().len(), 2);
    assert_eq!(keys(&resources[0]), keys_of);

    let added = ben.json(&[
        "event",
        "add",
        "Fire show",
        "--starts",
        "2026-08-20T21:00",
        "--for",
        "1h",
        "--request",
        "main STAGE",
        "--request",
        "Fog machine",
    ]);
    assert_eq!(keys(&added), ["event", "requests"]);
    let show = added["event"].as_str().unwrap();
    let choir = ada.id(
        "event",
        &["event", "add", "Moon choir", "--starts", "2026-08-20T21:30", "--for", "1h"],
    );
    let asked = ada.json(&["request", "add", "Moon choir", &stage]);
    assert_eq!(keys(&asked), ["explanation", "request", "verdict"]);
    assert_eq!(asked["verdict"], "tentative");

    ben.meet(&ada);
    assert_eq!(ada.json(&["steward", "--once"]), json!({"confirmed": 1, "released": 0}));
    assert_eq!(ada.json(&["steward", "--once"]), json!({"confirmed": 0, "released": 0}));
    ben.meet(&ada);
    let again = ben.meet(&ada);
    assert_eq!((&again["segments_sent"], &again["segments_received"]), (&json!(0), &json!(0)));
    assert_eq!(ben.fingerprint(), ada.fingerprint());

    // Ada's own request reached her steward first.
    let schedule = ben.json(&["schedule"]);
    assert_eq!(schedule, ada.json(&["schedule"]));
    assert_eq!(
        schedule[0],
        json!({
            "id": show,
            "title": "Fire show",
            "starts": "2026-08-20T21:00:00+02:00",
            "ends": "2026-08-20T22:00:00+02:00",
            "zone": "Europe/Berlin",
            "places": ["Main stage", "Fog machine"],
            "confirmation": {"confirmed": 0, "tentative": 0, "requested": 2},
            "conflicts": [choir],
        })
    );
    assert_eq!(
        schedule[1]["confirmation"],
        json!({"confirmed": 1, "tentative": 0, "requested": 1})
    );
    let shown = ben.text(&["schedule", "--day", "2026-08-20"]);
    assert!(shown.starts_with("Thursday 20 August 2026\n"), "{shown}");
    assert!(shown.contains("100% confirmed  Moon choir"), "{shown}");
    assert!(shown.contains("Fire show  ✗ conflicts with Moon choir, 1 waiting"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "no colours into a pipe");
    assert!(ben.json(&["schedule", "--day", "2026-08-21"]).as_array().unwrap().is_empty());
    assert_eq!(ben.json(&["schedule", "--place", "Fog machine"]).as_array().unwrap().len(), 1);

    // Ada changes her mind: her choir goes, and the steward lets the show in.
    ada.json(&["request", "withdraw", asked["request"].as_str().unwrap()]);
    assert_eq!(ada.json(&["steward", "--once"]), json!({"confirmed": 1, "released": 1}));
    let waiting = ada.json(&["request", "list", "--mine"]);
    assert_eq!(waiting.as_array().unwrap().len(), 1);
    assert_eq!(
        keys(&waiting[0]),
        [
            "by",
            "ends",
            "event",
            "explanation",
            "id",
            "note",
            "resource",
            "starts",
            "units",
            "verdict"
        ]
    );
    let fog = waiting[0]["id"].as_str().unwrap();
    let decided = ada.json(&["decide", "confirm", fog, "--reason", "bring your own fluid"]);
    assert_eq!(keys(&decided), ["decision", "request"]);
    assert!(ada.refusal(&["decide", "confirm", fog]).contains("confirmed already"));
    assert!(ben.refusal(&["decide", "confirm", fog]).contains("belongs to somebody else"));
    ben.meet(&ada);
    let schedule = ben.json(&["schedule"]);
    assert_eq!(
        schedule[0]["confirmation"],
        json!({"confirmed": 2, "tentative": 0, "requested": 2})
    );
    let released = ada.json(&["decide", "release", fog]);
    assert_eq!(keys(&released), ["release", "request"]);
    ada.json(&["decide", "deny", fog]);
    assert_eq!(ada.json(&["schedule"])[0]["confirmation"]["confirmed"], 1);
}

#[test]
fn an_event_is_edited_field_by_field_and_by_its_owner_alone() {
    let place = Place::new();
    let (ada, ben) = (place.home("ada"), place.home("ben"));
    let ticket = ada.found("Meadow");
    ada.json(&["resource", "add", "Tent"]);
    let tea = ada.id(
        "event",
        &[
            "event",
            "add",
            "Tea",
            "--starts",
            "2026-08-20T16:00",
            "--for",
            "90m",
            "--request",
            "Tent",
            "--tag",
            "warm",
        ],
    );
    let edited = ada.json(&["event", "edit", "Tea", "--starts", "2026-08-20T17:00"]);
    assert_eq!(keys(&edited), ["event", "stale_requests"]);
    assert_eq!(edited["stale_requests"].as_array().unwrap().len(), 1);
    let event = &ada.json(&["event", "list"])[0];
    assert_eq!(
        keys(event),
        ["cancelled", "ends", "id", "mine", "owner", "starts", "title", "zone"]
    );
    assert_eq!(event["ends"], "2026-08-20T18:30:00+02:00", "a moved event keeps its length");

    ben.json(&["festival", "join", &ticket]);
    ben.meet(&ada);
    assert!(ben.refusal(&["event", "edit", &tea, "--cancel"]).contains("belongs to somebody else"));
    ada.json(&["event", "edit", &tea, "--cancel"]);
    assert_eq!(ada.json(&["event", "list"])[0]["cancelled"], true);
    assert!(ada.json(&["schedule"]).as_array().unwrap().is_empty());
    assert!(ada.text(&["schedule"]).contains("cancelled"));
    ada.json(&["event", "edit", &tea, "--revive", "--zone", "Europe/London"]);
    assert_eq!(ada.json(&["schedule"])[0]["starts"], "2026-08-20T16:00:00+01:00");
}

#[test]
fn two_devices_with_one_key_that_both_write_keep_everything() {
    let place = Place::new();
    let phone = place.home("phone");
    let laptop = place.empty_home("laptop");
    std::fs::create_dir_all(&laptop.path).unwrap();
    std::fs::copy(phone.path.join("key"), laptop.path.join("key")).unwrap();
    assert_eq!(laptop.json(&["whoami"])["user"], phone.json(&["whoami"])["user"]);

    let ticket = phone.found("Meadow");
    laptop.json(&["festival", "join", &ticket]);
    // Both are empty but for the festival itself, and have never met.
    for index in 0..5 {
        phone.json(&["event", "add", &format!("Phone {index}")]);
        laptop.json(&["event", "add", &format!("Laptop {index}")]);
    }
    phone.json(&["resource", "add", "Phone stage"]);
    laptop.json(&["resource", "add", "Laptop stage"]);
    phone.json(&["steward", "--once"]);
    assert!(laptop.refusal(&["steward", "--once"]).contains("made on another device"));
    laptop.meet(&phone);
    assert_eq!(laptop.fingerprint(), phone.fingerprint());
    for home in [&phone, &laptop] {
        assert_eq!(home.json(&["event", "list"]).as_array().unwrap().len(), 10);
        assert_eq!(home.json(&["resource", "list"]).as_array().unwrap().len(), 2);
    }
    // The laptop may promise things now, as it knows what the phone promised.
    laptop.json(&["steward", "--once"]);
    // Each goes on in what both wrote.
    phone.json(&["event", "edit", "Laptop 0", "--title", "Renamed by the phone"]);
    laptop.json(&["event", "edit", "Phone 0", "--title", "Renamed by the laptop"]);
    let last = laptop.meet(&phone);
    assert!(last["segments_sent"].as_u64().unwrap() > 0);
    assert_eq!(laptop.fingerprint(), phone.fingerprint());
    assert_eq!(laptop.json(&["event", "list"]), phone.json(&["event", "list"]));
}

#[test]
fn a_home_that_serves_decides_as_requests_come_in() {
    let place = Place::new();
    let (ada, ben) = (place.home("ada"), place.home("ben"));
    let ticket = ada.found("Meadow");
    ada.json(&["resource", "add", "Tent"]);
    ben.json(&["festival", "join", &ticket]);
    let served = Served::start(&ada, &["--steward"]);
    ben.json(&["sync", &served.address]);
    ben.json(&[
        "event",
        "add",
        "Tea",
        "--starts",
        "2026-08-20T16:00",
        "--for",
        "1h",
        "--request",
        "Tent",
    ]);
    ben.json(&["sync", &served.address]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while ben.json(&["schedule"])[0]["confirmation"]["confirmed"] != 1 {
        assert!(std::time::Instant::now() < deadline, "the steward does not decide");
        std::thread::sleep(std::time::Duration::from_millis(100));
        ben.json(&["sync", &served.address]);
    }
    served.stop();
    assert_eq!(ada.fingerprint(), ben.fingerprint());
}

#[test]
fn bad_times_and_names_change_nothing() {
    let place = Place::new();
    let home = place.home("ada");
    assert!(home.refusal(&["schedule"]).contains("you take part in no festival"));
    home.found("Meadow");
    home.json(&["resource", "add", "Tent"]);
    home.json(&["resource", "add", "Tent"]);
    home.json(&["event", "add", "Tea"]);
    let before = home.fingerprint();
    for (args, why) in [
        (&["festival", "create", "X", "--zone", "Mars/Phobos"][..], "no time zone named"),
        (&["event", "add", "X", "--starts", "noon", "--for", "1h"], "is not a time"),
        (&["event", "add", "X", "--starts", "2026-08-20T14:00"], "say when the event ends"),
        (
            &["event", "add", "X", "--starts", "2026-08-20T14:00", "--ends", "2026-08-20T13:00"],
            "ends before",
        ),
        (&["event", "add", "X", "--for", "1h"], "--for needs a start"),
        (&["event", "add", " "], "needs a title"),
        (&["event", "add", "X", "--request", "Tent"], "2 resources are called"),
        (&["event", "edit", "Coffee", "--cancel"], "there is no event \"Coffee\""),
        (&["request", "add", "Tea", "Stage"], "there is no resource"),
        (&["decide", "confirm", "zzzz"], "there is no request"),
        (&["schedule", "--day", "tomorrow"], "is not a date"),
        (&["schedule", "--festival", "zz"], "you take part in no festival"),
    ] {
        let message = home.refusal(args);
        assert!(message.contains(why), "{args:?}: {message}");
    }
    assert_eq!(home.fingerprint(), before);
}
