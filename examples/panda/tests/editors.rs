//! Editing together, and seeing what cannot be read.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::Place;
use p2panda_core::{
    EditError, Identity, Replica,
    schema::{Event, Instant},
    store::{NoResume, RedbStore},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use serde_json::json;

#[test]
fn an_editor_changes_anothers_event_until_taken_off() {
    let place = Place::new();
    let (ada, ben) = (place.home("ada"), place.home("ben"));
    let ticket = ada.found("Meadow");
    ben.json(&["festival", "join", &ticket, "--as", "Ben"]);
    let user = ben.id("user", &["whoami"]);
    ada.json(&["event", "add", "Fire show"]);
    ben.meet(&ada);
    let refused = ben.refusal(&["event", "edit", "Fire show", "--title", "Ice show"]);
    assert!(refused.contains("only its owner and its editors"), "{refused}");
    ada.json(&["event", "edit", "Fire show", "--add-editor", &user]);
    ben.meet(&ada);
    ben.json(&["event", "edit", "Fire show", "--title", "Ice show"]);
    ben.meet(&ada);
    ada.json(&["event", "edit", "Ice show", "--remove-editor", &user]);
    ben.meet(&ada);
    for home in [&ada, &ben] {
        assert_eq!(home.json(&["event", "list"])[0]["title"], "Ice show");
    }
    let refused = ben.refusal(&["event", "edit", "Ice show", "--title", "Mine"]);
    assert!(refused.contains("only its owner and its editors"), "{refused}");
    assert_eq!(ada.fingerprint(), ben.fingerprint());
}

#[test]
fn doctor_tells_what_is_held_and_cannot_be_read() {
    let place = Place::new();
    let ada = place.home("ada");
    ada.found("Meadow");
    let id = ada.id("event", &["event", "add", "Fire show"]);
    assert_eq!(ada.json(&["doctor"])["malformed"], json!([]));

    // As another program might.
    let secret: [u8; 32] = std::fs::read(ada.path.join("key")).unwrap().try_into().unwrap();
    let store = RedbStore::open(ada.path.join("store.redb")).unwrap();
    let mut replica =
        Replica::open(Box::new(store), Identity::from_secret(&secret), Box::new(NoResume)).unwrap();
    let festival = replica.festivals().unwrap()[0].id();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let event = id.parse().unwrap();
    let done: Result<(), EditError> =
        replica.edit(festival, Instant::from_millis(0), &mut rng, |edit| {
            edit.set(&event, &["title"], 7.into())
        });
    done.unwrap();
    assert!(replica.view(festival).entity::<Event>(&event).unwrap().unwrap().is_err());
    drop(replica);

    let status = ada.json(&["doctor"]);
    assert_eq!(status["malformed"][0]["id"], id);
    assert!(status["malformed"][0]["why"].as_str().unwrap().contains("malformed entity"));
    assert!(ada.text(&["doctor"]).contains(&id));
}
