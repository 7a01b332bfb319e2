//! Images and files: put to an event, fetched by sync, listed and saved.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Place, keys};

#[test]
fn a_picture_of_an_event_comes_with_a_sync_as_far_as_it_is_wanted() {
    let place = Place::new();
    let [ada, ben] = ["ada", "ben"].map(|name| place.home(name));
    let ticket = ada.found("Meadow");
    ben.json(&["festival", "join", &ticket]);
    ada.json(&["event", "add", "Fire show"]);
    ada.json(&["resource", "add", "Main stage"]);
    let picture: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
    let (poster, rider) = (place.file("poster.png", &picture), place.file("rider.pdf", "loud"));
    assert!(ada.refusal(&["blob", "image", "Ice show", &poster]).contains("Ice show"));
    assert!(ada.refusal(&["blob", "image", "Fire show", "nowhere.png"]).contains("nowhere.png"));
    let empty = place.file("empty.png", "");
    assert!(ada.refusal(&["blob", "image", "Fire show", &empty]).contains("1 to"));
    let image = ada.id("blob", &["blob", "image", "Fire show", &poster]);
    let file = ada.id("blob", &["blob", "file", "Main stage", &rider]);

    let served = ada.serve();
    ben.json(&["sync", &served.address, "--blobs", "100000"]);
    let list = |home: &common::Home| home.json(&["blob", "list"]).as_array().unwrap().clone();
    let of = |list: &[serde_json::Value], blob: &str| {
        list.iter().find(|value| value["blob"] == blob).unwrap().clone()
    };
    assert_eq!(keys(&list(&ben)[0]), ["blob", "here", "of", "size"]);
    // The picture is larger than Ben wanted.
    assert_eq!(of(&list(&ben), &image)["here"], false);
    assert_eq!(of(&list(&ben), &file)["here"], true);
    assert_eq!(of(&list(&ben), &file)["of"], serde_json::json!(["Main stage"]));
    let target = place.path("saved.png").to_str().unwrap().to_owned();
    assert!(ben.refusal(&["blob", "save", &image, &target]).contains("panda blob list"));

    ben.json(&["sync", &served.address]);
    served.stop();
    assert_eq!(of(&list(&ben), &image)["size"], 800_000);
    ben.json(&["blob", "save", &image[..12], &target]);
    assert!(std::fs::read(&target).unwrap() == picture);
    assert!(ben.text(&["blob", "list"]).contains("800,000 bytes"));
    assert_eq!(ada.fingerprint(), ben.fingerprint());
    // Only who owns an event puts pictures to it.
    assert!(!ben.output(&["blob", "image", "Fire show", &rider]).status.success());
}
