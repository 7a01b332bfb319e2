//! `panda health`: figures that are true, and that the next process has too.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Place, keys};

#[test]
fn it_says_who_holds_what_was_written_and_what_nobody_else_holds() {
    let place = Place::new();
    let [ada, ben, cleo] = ["ada", "ben", "cleo"].map(|name| place.home(name));
    let ticket = ada.found("Meadow");
    assert!(ada.text(&["health"]).contains("not all held by another device"));
    for home in [&ben, &cleo] {
        home.json(&["festival", "join", &ticket]);
    }
    assert!(ben.text(&["health"]).contains("written nothing here yet"));
    ben.meet(&ada);
    let one = ada.json(&["health"]);
    assert_eq!(
        keys(&one),
        [
            "documents",
            "least_holders",
            "peers",
            "share_on_two",
            "since",
            "unfollowed",
            "unreplicated"
        ]
    );
    assert_eq!((&one["least_holders"], &one["unreplicated"]), (&1.into(), &0.into()));
    assert_eq!(one["share_on_two"], 0);

    cleo.meet(&ada);
    let two = ada.json(&["health"]);
    assert_eq!((&two["least_holders"], &two["share_on_two"]), (&2.into(), &100.into()));
    let holders = two["documents"][0]["holders"].as_array().unwrap();
    // The one who came first is known to have held it since then.
    assert_eq!(holders[0], one["documents"][0]["holders"][0]);
    assert!(two["since"].as_i64().unwrap() >= one["since"].as_i64().unwrap());
    let text = ada.text(&["health"]);
    assert!(text.contains("Your 1 document: held by at least 2 other devices since "), "{text}");
    assert!(text.contains("everything is replicated"), "{text}");

    ada.json(&["event", "add", "Fire show"]);
    let text = ada.text(&["health"]);
    assert!(text.contains("1 change not replicated yet"), "{text}");
    ben.meet(&ada);
    let again = ada.json(&["health"]);
    assert_eq!((&again["least_holders"], &again["unreplicated"]), (&1.into(), &0.into()));
    let peers = again["peers"].as_array().unwrap();
    // Ben was there last, twice, and lacks nothing.
    assert_eq!((&peers[0]["meetings"], &peers[0]["behind"]), (&2.into(), &0.into()));
    assert_eq!((&peers[1]["meetings"], &peers[1]["behind"]), (&1.into(), &1.into()));
}
