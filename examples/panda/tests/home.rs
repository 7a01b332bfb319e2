//! The home: its key, its lock, and everything that can be wrong with it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;

use common::{Home, Place, keys};

/// Everything in a home, to see that nothing of it changed.
fn contents(home: &Home) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(&home.path)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_file())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_second_start_uses_the_same_key() {
    let place = Place::new();
    let home = place.empty_home("ada");
    let first = home.json(&["init"]);
    assert_eq!(keys(&first), ["created", "home", "user"]);
    assert_eq!(first["created"], true);
    let key = fs::read(home.path.join("key")).unwrap();
    assert_eq!(key.len(), 32);

    let second = home.json(&["init"]);
    assert_eq!(second["created"], false);
    assert_eq!(second["user"], first["user"]);
    let me = home.json(&["whoami"]);
    assert_eq!(keys(&me), ["home", "user"]);
    assert_eq!(me["user"], first["user"]);
    assert_eq!(fs::read(home.path.join("key")).unwrap(), key);
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_the_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let home = place.home("ada");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(home.path.join("key")), 0o600);
    assert_eq!(mode(home.path.clone()), 0o700);
}

#[test]
fn without_a_home_every_command_says_how_to_make_one() {
    let place = Place::new();
    let home = place.empty_home("nobody");
    for args in [
        &["whoami"][..],
        &["festival", "list"],
        &["schedule"],
        &["fingerprint"],
        &["serve", "--listen", "127.0.0.1:0"],
        &["sync", "127.0.0.1:1"],
        &["steward", "--once"],
    ] {
        assert!(home.refusal(args).contains("run `panda init` first"), "{args:?}");
    }
    assert!(!home.path.exists(), "asking makes no home");
}

#[test]
fn a_store_without_its_key_never_gets_another_key() {
    let place = Place::new();
    let home = place.home("ada");
    home.found("Meadow");
    let before = home.fingerprint();
    let key = fs::read(home.path.join("key")).unwrap();
    fs::remove_file(home.path.join("key")).unwrap();
    for args in [&["init"][..], &["whoami"], &["schedule"]] {
        let message = home.refusal(args);
        assert!(message.contains("holds a store but no key"), "{message}");
        assert!(!home.path.join("key").exists());
    }
    fs::write(home.path.join("key"), key).unwrap();
    assert_eq!(home.fingerprint(), before);
}

#[test]
fn a_damaged_or_unreadable_key_is_refused_and_left_alone() {
    let place = Place::new();
    let home = place.home("ada");
    let path = home.path.join("key");
    let key = fs::read(&path).unwrap();
    for (bytes, size) in [(vec![], "0"), (key[..31].to_vec(), "31"), (vec![7; 33], "more than 32")]
    {
        fs::write(&path, &bytes).unwrap();
        for args in [&["whoami"][..], &["init"]] {
            let message = home.refusal(args);
            assert!(
                message.contains(&format!("it has {size} bytes and should have 32")),
                "{message}"
            );
        }
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    // Unreadable for everybody, root included: a folder in its place.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    for args in [&["whoami"][..], &["init"]] {
        assert!(home.refusal(args).contains("cannot be read"));
    }
    fs::remove_dir(&path).unwrap();
    fs::write(&path, [9; 32]).unwrap();
    let message = home.refusal(&["whoami"]);
    assert!(message.contains("do not belong together"), "{message}");
    fs::write(&path, key).unwrap();
    home.json(&["whoami"]);
}

#[test]
fn a_store_that_is_no_store_is_refused_and_left_alone() {
    let place = Place::new();
    let home = place.home("ada");
    let store = home.path.join("store.redb");
    let good = fs::read(&store).unwrap();
    for bytes in
        [vec![], b"garbage".to_vec(), vec![0; 4096], b"x".repeat(100_000), good[..5_000].to_vec()]
    {
        fs::write(&store, &bytes).unwrap();
        let before = contents(&home);
        for args in [&["schedule"][..], &["init"], &["fingerprint"]] {
            let message = home.refusal(args);
            assert!(message.contains("store.redb"), "{message}");
            assert!(
                message.contains("left as it is") || message.contains("was left as it was"),
                "{message}"
            );
        }
        assert!(contents(&home) == before, "a refused store of {} bytes was changed", bytes.len());
    }
    fs::write(&store, good).unwrap();
    home.json(&["fingerprint"]);
}

#[test]
fn a_second_process_on_one_home_is_told_so() {
    let place = Place::new();
    let home = place.home("ada");
    home.found("Meadow");
    let before = home.fingerprint();
    let served = home.serve();
    for args in [
        &["schedule"][..],
        &["init"],
        &["event", "add", "Tea"],
        &["serve", "--listen", "127.0.0.1:0"],
    ] {
        let message = home.refusal(args);
        assert!(message.contains("another panda has the home"), "{message}");
    }
    served.stop();
    assert_eq!(home.fingerprint(), before);
}

#[test]
fn wrong_usage_is_told_apart_from_failure() {
    let place = Place::new();
    let home = place.empty_home("ada");
    for args in [&["frobnicate"][..], &[], &["sync"], &["resource", "add", "x", "--capacity", "0"]]
    {
        assert_eq!(home.output(args).status.code(), Some(2), "{args:?}");
    }
    assert!(home.output(&["--help"]).status.success());
}

#[cfg(unix)]
#[test]
fn a_reader_who_leaves_early_is_no_failure() {
    let place = Place::new();
    let home = place.home("ada");
    home.found("Meadow");
    let events: Vec<_> = (0..200).map(|i| (format!("g{i}"), format!("Event {i}"))).collect();
    let events: Vec<_> =
        events.iter().map(|(g, t)| (g.as_str(), t.as_str(), 5, 10, "Tent")).collect();
    home.json(&["import", &place.file("s.json", common::schedule(&events))]);
    let mut child =
        home.command(&["event", "list"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_store_of_a_newer_format_is_told_and_left_as_it_is() {
    use p2panda_core::store::{Batch, FORMAT, FORMAT_KEY, RedbStore, Store as _, Table};

    let place = Place::new();
    let ada = place.home("ada");
    ada.found("Meadow");
    let path = ada.path.join("store.redb");
    let mut store = RedbStore::open(&path).unwrap();
    let mut batch = Batch::new();
    batch.put(Table::Meta, FORMAT_KEY, (FORMAT + 1).to_be_bytes());
    store.commit(batch).unwrap();
    store.flush().unwrap();
    drop(store);
    let before = std::fs::read(&path).unwrap();
    for args in [&["whoami"][..], &["init"], &["event", "add", "Tea"], &["doctor"]] {
        let refusal = ada.refusal(args);
        assert!(refusal.contains("needs a newer panda"), "{refusal}");
        let found = format!("the store has format {}", FORMAT + 1);
        assert!(refusal.contains(&found), "{refusal}");
    }
    assert!(std::fs::read(&path).unwrap() == before, "not a byte of it was changed");
}
