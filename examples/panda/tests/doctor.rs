//! What does not count, and what a home no longer wants.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;

use common::{Home, Place};
use serde_json::json;

#[test]
fn a_blocked_user_is_gone_and_stays_away() {
    let place = Place::new();
    let (ada, spammer) = (place.home("ada"), place.home("spammer"));
    let ticket = ada.found("Meadow");
    spammer.json(&["festival", "join", &ticket]);
    spammer.json(&["event", "add", "Buy this"]);
    ada.json(&["event", "add", "Opening"]);
    ada.meet(&spammer);
    let events = |home: &Home| home.json(&["event", "list"]).as_array().unwrap().len();
    assert_eq!(events(&ada), 2);

    let user = spammer.id("user", &["whoami"]);
    ada.json(&["block", &user]);
    assert_eq!(ada.json(&["doctor"])["blocked"], json!([user]));
    ada.meet(&spammer);
    assert_eq!(events(&ada), 1, "not even by the next sync");
    ada.json(&["block", &user, "--undo"]);
    ada.meet(&spammer);
    assert_eq!(events(&ada), 2);
    ada.json(&["forget", &user]);
    assert_eq!(events(&ada), 1);
    assert!(ada.refusal(&["block", &ada.id("user", &["whoami"])]).contains("your own key"));
    assert!(ada.refusal(&["block", "nobody"]).contains("is not a user id"));

    ada.json(&["festival", "leave"]);
    assert_eq!(ada.json(&["festival", "list"]), json!([]));
    ada.json(&["festival", "join", &ticket]);
    ada.meet(&spammer);
    assert_eq!(events(&ada), 2, "what others hold comes back");
}

#[test]
fn a_home_that_was_not_closed_decides_only_after_a_sync_or_on_its_owners_word() {
    let place = Place::new();
    let ada = place.home("ada");
    ada.found("Meadow");
    ada.json(&["resource", "add", "Tent"]);
    ada.json(&["steward", "--once"]);
    assert_eq!(ada.json(&["doctor"])["may_decide"], true);
    let served = ada.serve();
    drop(served); // killed
    assert!(ada.refusal(&["steward", "--once"]).contains("could be an older copy"));
    assert!(ada.text(&["doctor"]).contains("may not decide yet in \"Meadow\""));
    ada.json(&["init", "--only-copy"]);
    ada.json(&["steward", "--once"]);
    assert!(ada.text(&["doctor"]).contains("All that is held here counts and shows"));
}

#[test]
fn a_device_with_a_copied_key_decides_in_each_festival_only_after_it_synced_that_one() {
    let place = Place::new();
    let (phone, laptop, friend) =
        (place.home("phone"), place.empty_home("laptop"), place.home("friend"));
    let [meadow, beach] = ["Meadow", "Beach"].map(|title| phone.found(title));
    let id = |ticket: &str| ticket.parse::<p2panda_core::Ticket>().unwrap().festival.id();
    for festival in [&meadow, &beach] {
        phone.json(&["--festival", &id(festival).to_string(), "resource", "add", "Tent"]);
    }
    friend.json(&["festival", "join", &meadow]);
    friend.meet(&phone);
    fs::create_dir_all(&laptop.path).unwrap();
    fs::copy(phone.path.join("key"), laptop.path.join("key")).unwrap();
    laptop.json(&["festival", "join", &meadow]);
    assert!(laptop.refusal(&["steward", "--once"]).contains("made on another device"));
    // The friend does not take part in the other festival, which is joined later besides.
    laptop.meet(&friend);
    laptop.json(&["steward", "--once"]);
    laptop.json(&["festival", "join", &beach]);
    laptop.json(&["--festival", &id(&meadow).to_string(), "steward", "--once"]);
    let beach = id(&beach).to_string();
    let steward = ["--festival", &beach, "steward", "--once"];
    assert!(laptop.refusal(&steward).contains("sync ADDRESS"));
    assert_eq!(laptop.json(&["doctor"])["may_decide"], false);
    laptop.meet(&phone);
    laptop.json(&steward);
    assert_eq!(laptop.json(&["doctor"])["may_decide"], true);
}

/// A machine set back together with its runtime folder, as a memory snapshot would: the accident
/// that remains.
#[test]
fn a_fork_is_shown_everywhere_proved_to_third_parties_and_written_again() {
    let place = Place::new();
    let (phone, clone, friend) = (place.home("phone"), place.home("clone"), place.home("friend"));
    let ticket = phone.found("Meadow");
    friend.json(&["festival", "join", &ticket]);
    for index in 0..3 {
        phone.json(&["event", "add", &format!("Common {index}")]);
    }
    for file in ["key", "store.redb"] {
        fs::copy(phone.path.join(file), clone.path.join(file)).unwrap();
    }
    let tokens = place.path("runtime/p2panda");
    let saved: Vec<_> = fs::read_dir(&tokens)
        .unwrap()
        .map(|token| token.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    phone.json(&["event", "add", "Phone only"]);
    for (path, token) in saved {
        fs::write(path, token).unwrap();
    }
    clone.json(&["event", "add", "Clone only"]);

    let give = |from: &Home, to: &Home| {
        let file = place.path("archive");
        let file = file.to_str().unwrap();
        from.json(&["export", "--archive", file]);
        to.json(&["import", file]);
    };
    give(&phone, &friend);
    give(&clone, &friend);
    give(&friend, &phone);
    give(&friend, &clone);
    for home in [&phone, &clone, &friend] {
        let doctor = home.json(&["doctor"]);
        assert_eq!(doctor["forks"][0]["at"], 4, "{doctor}");
        assert_eq!(home.json(&["event", "list"]).as_array().unwrap().len(), 3);
        assert_eq!(home.fingerprint(), friend.fingerprint());
    }
    let name = friend.json(&["doctor"])["forks"][0]["log"]["name"].as_str().unwrap().to_owned();
    let file = place.path("evidence");
    let file = file.to_str().unwrap();
    friend.json(&["fork", "evidence", &name, file]);
    let stranger = place.home("stranger");
    let checked = stranger.json(&["fork", "check", file]);
    assert_eq!(checked["author"], phone.json(&["whoami"])["user"]);
    let mut bytes = fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(file, bytes).unwrap();
    assert!(stranger.refusal(&["fork", "check", file]).contains("proves nothing"));
    assert!(friend.refusal(&["fork", "reissue", &name]).contains("only its author"));

    let doctor = phone.json(&["doctor"]);
    let branches = doctor["forks"][0]["branches"].as_array().unwrap();
    for branch in branches {
        let end = branch["end"].as_str().unwrap();
        phone.json(&["fork", "reissue", &name, "--branch", end]);
    }
    clone.json(&["fork", "reissue", &name]);
    phone.meet(&clone);
    friend.meet(&phone);
    clone.meet(&friend);
    for home in [&phone, &clone, &friend] {
        assert_eq!(home.json(&["event", "list"]).as_array().unwrap().len(), 5);
        assert_eq!(home.fingerprint(), friend.fingerprint());
    }
}

#[test]
fn a_log_that_was_refused_is_shown_with_its_reason() {
    use p2panda_core::{
        DocumentDescriptor, Identity, Incarnation, LogId, Replica, Ticket, Tip, VerifiedSegment,
        store::{MemoryStore, NoResume},
    };
    let place = Place::new();
    let ada = place.home("ada");
    let festival = ada.found("Meadow").parse::<Ticket>().unwrap().festival;
    let hostile = Identity::from_secret(&[7; 32]);
    let (id, user) = (festival.id(), hostile.user());
    let descriptor = DocumentDescriptor { festival: id, user, label: String::new() };
    let incarnation = Incarnation::from_bytes([1; 8]);
    let log = LogId { document: descriptor.id(), incarnation };
    let payloads = vec![b"no change of Automerge".to_vec()];
    let segment = VerifiedSegment::sign(&hostile, log, &Tip::start(&log), payloads).unwrap();
    let mut carrier =
        Replica::open(Box::new(MemoryStore::new()), hostile, Box::new(NoResume)).unwrap();
    carrier.join(&festival).unwrap();
    carrier.accept(&descriptor, segment.into_segment()).unwrap();
    carrier.flush().unwrap();
    let mut archive = Vec::new();
    carrier.export(id, &mut archive).unwrap();
    ada.json(&["import", &place.file("archive", archive)]);

    let stopped = &ada.json(&["doctor"])["stopped"][0];
    assert_eq!(stopped["why"]["refused"], "not-a-change", "{stopped}");
    assert_eq!(stopped["author"], json!(user));
    let text = ada.text(&["doctor"]);
    assert!(text.contains("stands still, for everyone: the payload is no"), "{text}");
    ada.json(&["event", "add", "Life goes on"]);
}

#[test]
fn a_device_that_keeps_a_part_decides_only_after_a_sync_in_which_it_kept_all() {
    let place = Place::new();
    let (phone, laptop, alice) =
        (place.home("phone"), place.empty_home("laptop"), place.home("alice"));
    let ticket = phone.found("Meadow");
    phone.json(&["resource", "add", "Tent"]);
    alice.json(&["festival", "join", &ticket, "--as", "Alice"]);
    alice.meet(&phone);
    fs::create_dir_all(&laptop.path).unwrap();
    fs::copy(phone.path.join("key"), laptop.path.join("key")).unwrap();
    laptop.json(&["festival", "join", &ticket]);
    laptop.meet(&alice);
    // Killed, it may be an older copy; and then it keeps a part.
    drop(laptop.serve());
    laptop.json(&["festival", "follow", "--only", "Alice"]);
    laptop.meet(&phone);
    phone.meet(&laptop);
    assert_eq!(laptop.json(&["doctor"])["may_decide"], false);
    assert!(laptop.refusal(&["steward", "--once"]).contains("keeps all"));
    laptop.json(&["festival", "follow", "--all"]);
    laptop.meet(&phone);
    assert_eq!(laptop.json(&["doctor"])["may_decide"], true);
    laptop.json(&["festival", "follow", "--only", "Alice"]);
    laptop.json(&["steward", "--once"]);
}
