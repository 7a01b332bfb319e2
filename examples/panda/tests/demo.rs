//! `panda demo`, as people run it first.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Place, keys, schedule};

#[test]
fn the_demo_ends_in_agreement() {
    let place = Place::new();
    let home = place.empty_home("unused");
    let text = home.text(&["demo"]);
    for part in [
        "Meadow Days",
        "75% confirmed",
        "Moon choir  ✗ conflicts with Fire show",
        "✓ Ben's Fire show, request ",
        "✗ Cleo's Moon choir, request ",
        "signatures checked",
        "equal: all three hold the same festival",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    assert!(!home.path.exists(), "the demo leaves the home alone");
}

#[test]
fn the_demo_plays_on_another_schedule() {
    let place = Place::new();
    let home = place.empty_home("unused");
    let file = place.file(
        "s.json",
        schedule(&[
            ("a", "Tea", 0, 60, "Tent"),
            ("b", "Cake", 30, 60, "Tent"),
            ("c", "Show", 0, 60, "Stage"),
        ]),
    );
    let value = home.json(&["demo", "--schedule", &file]);
    assert_eq!(keys(&value), ["equal", "fingerprints", "loser", "stage", "travelled", "winner"]);
    assert_eq!(value["equal"], true);
    assert_eq!(value["stage"], "Tent");
    assert_eq!(value["winner"]["verdict"], "confirmed");
    assert_eq!(value["loser"]["verdict"], "conflicted");
    assert!(value["travelled"]["signatures_checked"].as_u64().unwrap() > 0);

    let empty = place.file("empty.json", schedule(&[]));
    assert!(home.output(&["demo", "--schedule", &empty]).status.code() == Some(1));
    assert!(
        home.refusal(&["demo", "--schedule", "/nonexistent", "--json"])
            .contains("cannot be opened")
    );
}
