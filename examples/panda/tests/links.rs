//! Links between homes: encrypted, over TCP and WebSocket, and found in the local network.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    thread::JoinHandle,
};

use common::{Place, Served, keys};

/// Passes one connection on and keeps what went over it, both ways.
fn listen_in(address: String) -> (String, JoinHandle<Vec<u8>>) {
    fn pass(mut from: impl Read, mut to: TcpStream) -> Vec<u8> {
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(size @ 1..) = from.read(&mut buffer) {
            seen.extend_from_slice(&buffer[..size]);
            if to.write_all(&buffer[..size]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Write);
        seen
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let detour = listener.local_addr().unwrap().to_string();
    let seen = std::thread::spawn(move || {
        let (caller, _) = listener.accept().unwrap();
        let called = TcpStream::connect(address).unwrap();
        let (up, down) = (caller.try_clone().unwrap(), called.try_clone().unwrap());
        let upwards = std::thread::spawn(move || pass(up, called));
        let mut seen = pass(down, caller);
        seen.extend(upwards.join().unwrap());
        seen
    });
    (detour, seen)
}

#[test]
fn who_listens_in_learns_neither_what_is_said_nor_who_speaks() {
    let place = Place::new();
    let (ada, ben) = (place.home("ada"), place.home("ben"));
    let ticket = ada.found("Meadow Days");
    ben.json(&["festival", "join", &ticket, "--as", "Benedict"]);
    let served = ada.serve();
    let (detour, seen) = listen_in(served.address.clone());
    let stats = ben.json(&["sync", &detour]);
    assert_eq!(keys(&stats).len(), 5);
    served.stop();
    assert_eq!(ada.fingerprint(), ben.fingerprint());
    let seen = seen.join().unwrap();
    // All of it passed: the handshake and more than the session's own bytes.
    let bytes = |key| stats[key].as_u64().unwrap();
    assert!(seen.len() as u64 > bytes("bytes_sent") + bytes("bytes_received"));
    let keys = ["ada", "ben"].map(|name| std::fs::read(place.path(name).join("link-key")).unwrap());
    assert_ne!(keys[0], keys[1]);
    for word in ["Meadow Days", "Benedict", "Europe/Berlin", "p2panda", "panda1"] {
        assert!(!holds(&seen, word.as_bytes()), "{word}");
    }
}

fn holds(seen: &[u8], part: &[u8]) -> bool {
    seen.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_device_keeps_its_link_key_and_takes_none_from_its_user() {
    let place = Place::new();
    let (ada, ben) = (place.home("ada"), place.home("ben"));
    let ticket = ada.found("Meadow");
    ben.json(&["festival", "join", &ticket]);
    let path = place.path("ben").join("link-key");
    ben.meet(&ada);
    let first = std::fs::read(&path).unwrap();
    assert_eq!(first.len(), 32);
    assert!(is_private(&path));
    assert_ne!(first, std::fs::read(place.path("ben").join("key")).unwrap());
    ben.meet(&ada);
    assert_eq!(std::fs::read(&path).unwrap(), first);
    // It can be lost: the device is a new one to its peers, and nothing else has changed.
    std::fs::remove_file(&path).unwrap();
    ben.meet(&ada);
    assert_ne!(std::fs::read(&path).unwrap(), first);
    // A damaged one is told, and the home is closed cleanly all the same.
    std::fs::write(&path, b"short").unwrap();
    assert!(ben.refusal(&["sync", "127.0.0.1:1"]).contains("Remove it"));
    std::fs::remove_file(&path).unwrap();
    ben.meet(&ada);
    assert_eq!(ben.json(&["doctor"])["may_decide"], true);
}

#[cfg(unix)]
fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777 == 0o600
}

#[cfg(not(unix))]
fn is_private(_: &Path) -> bool {
    true
}

#[test]
fn homes_meet_over_a_websocket() {
    let place = Place::new();
    let (ada, ben) = (place.home("ada"), place.home("ben"));
    let ticket = ada.found("Meadow");
    ben.json(&["festival", "join", &ticket, "--as", "Ben"]);
    let served = Served::start(&ada, &["--websocket", "127.0.0.1:0"]);
    let url = served.websocket.clone().unwrap();
    ben.json(&["sync", &url]);
    // Each port speaks its own.
    let plain = url.trim_start_matches("ws://").to_owned();
    assert!(ben.refusal(&["sync", &plain]).contains(&plain));
    let crossed = format!("ws://{}", served.address);
    assert!(ben.refusal(&["sync", &crossed]).contains(&crossed));
    served.stop();
    assert_eq!(ada.fingerprint(), ben.fingerprint());
    assert!(ben.refusal(&["sync", "wss://127.0.0.1:1/"]).contains("is no address"));
}

#[test]
fn homes_find_each_other_in_the_local_network() {
    let place = Place::new();
    let [ada, ben, eve] = ["ada", "ben", "eve"].map(|name| place.home(name));
    let ticket = ada.found("Meadow");
    ben.json(&["festival", "join", &ticket, "--as", "Ben"]);
    eve.found("Beach");
    let served = [Served::announced(&ada, &[]), Served::announced(&eve, &[])];
    let output = ben.output(&["sync", "--lan", "--json"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    if !output.status.success() && stderr.contains("nobody was found") {
        eprintln!("SKIPPED: this machine's loopback has no multicast");
        return;
    }
    assert!(output.status.success(), "{stderr}");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(keys(&answer), ["failed", "peers"]);
    // Other tests may be served on this machine at the same time.
    let has = |list: &str, address: &str| {
        answer[list].as_array().unwrap().iter().any(|peer| peer["address"] == address)
    };
    assert!(has("peers", &served[0].address), "{answer}");
    // Who shares no festival is told apart, and ends nothing.
    assert!(has("failed", &served[1].address), "{answer}");
    assert!(stderr.contains("takes part in none of your festivals"), "{stderr}");
    for served in served {
        served.stop();
    }
    assert_eq!(ada.fingerprint(), ben.fingerprint());
}

#[test]
fn a_sync_is_with_an_address_or_with_the_local_network() {
    let place = Place::new();
    let home = place.home("ada");
    for args in [&["sync"][..], &["sync", "--lan", "127.0.0.1:1"]] {
        assert_eq!(home.output(args).status.code(), Some(2), "{args:?}");
    }
}
