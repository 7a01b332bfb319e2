//! Keeping a part of a festival, and the festivals that one names.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Home, Place};
use serde_json::json;

fn events(home: &Home, festival: &str) -> usize {
    home.json(&["event", "list", "--festival", festival]).as_array().unwrap().len()
}

#[test]
fn a_home_keeps_what_some_people_write() {
    let place = Place::new();
    let [ada, bob, cleo, dan] = ["ada", "bob", "cleo", "dan"].map(|name| place.home(name));
    let ticket = ada.found("Meadow");
    for (home, name) in [(&bob, "Bob"), (&cleo, "Cleo"), (&dan, "Dan")] {
        home.json(&["festival", "join", &ticket, "--as", name]);
    }
    ada.json(&["event", "add", "A show"]);
    for home in [&bob, &cleo] {
        home.json(&["event", "add", "A show"]);
        home.meet(&ada);
    }
    dan.meet(&ada);
    let count = |home: &Home| home.json(&["event", "list"]).as_array().unwrap().len();
    assert_eq!(count(&dan), 3);
    let kept = dan.json(&["festival", "follow", "--only", "Bob"]);
    assert_eq!(kept["documents"].as_array().unwrap().len(), 2, "Bob's, and the founder's");
    assert_eq!(count(&dan), 2);
    cleo.json(&["event", "add", "Another show"]);
    bob.json(&["event", "add", "Another show"]);
    for home in [&bob, &cleo, &dan] {
        home.meet(&ada);
    }
    assert_eq!((count(&ada), count(&dan)), (5, 3), "Bob's shows and the founder's");
    // Parts meet parts, and what one writes oneself goes out.
    dan.json(&["event", "add", "Dan's show"]);
    bob.meet(&dan);
    assert_eq!((count(&bob), count(&dan)), (5, 4), "Bob had not met Cleo's second one");
    assert!(dan.text(&["festival", "follow", "--all"]).contains("All of the festival"));
    dan.meet(&ada);
    assert_eq!(count(&dan), 6);
    assert!(
        dan.refusal(&["festival", "follow", "--only", "Eve"]).contains("nobody here is called")
    );
}

#[test]
fn a_festival_leads_to_those_that_its_founder_names() {
    let place = Place::new();
    let [ada, guest] = ["ada", "guest"].map(|name| place.home(name));
    let congress = ada.json(&["festival", "create", "Congress", "--zone", "Europe/Berlin"]);
    let camp = ada.json(&["festival", "create", "Camp", "--zone", "Europe/Berlin"]);
    let [(whole, ticket), (part, inner)] = [&congress, &camp].map(|festival| {
        let text = |key: &str| festival[key].as_str().unwrap().to_owned();
        (text("festival"), text("ticket"))
    });
    ada.json(&["festival", "link", &inner, "--title", "The camp", "--festival", &whole]);
    ada.json(&["event", "add", "Fire", "--festival", &part]);
    guest.json(&["festival", "join", &ticket]);
    let followed = guest.json(&["festival", "follow", "--depth", "1"]);
    assert_eq!((&followed["depth"], &followed["joined"]), (&json!(1), &json!([])));
    guest.meet(&ada);
    assert_eq!(guest.json(&["festival", "list"]).as_array().unwrap().len(), 2);
    guest.meet(&ada);
    assert_eq!(events(&guest, &part), 1);
    let help = guest.text(&["festival", "follow", "--help"]);
    assert!(help.contains("--depth") && help.contains("--only") && help.contains("--all"));
    let itself = ada.refusal(&["festival", "link", &ticket, "--festival", &whole]);
    assert!(itself.contains("itself"), "{itself}");
}
