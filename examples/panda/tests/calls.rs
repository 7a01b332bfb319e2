//! A client called from a shell: a process for each write. `cargo run --release -p benches --bin
//! calls` is the long run of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Home, Place};

const CALLS: usize = 20;

fn add(call: usize) -> [String; 7] {
    ["event", "add", &format!("Talk {call}"), "--starts", "2026-08-20T21:00", "--for", "1h"]
        .map(str::to_owned)
}

/// Logs and entries of a home.
fn held(home: &Home) -> (u64, u64) {
    let archive = home.path.join("archive");
    let held = home.json(&["export", "--archive", archive.to_str().unwrap()]);
    (held["logs"].as_u64().unwrap(), held["entries"].as_u64().unwrap())
}

/// A newcomer gets everything, at this many bytes.
fn first_sync(place: &Place, writer: &Home, ticket: &str) -> u64 {
    let reader = place.home("reader");
    reader.json(&["festival", "join", ticket]);
    let stats = reader.meet(writer);
    assert_eq!(reader.fingerprint(), writer.fingerprint());
    assert_eq!(reader.json(&["schedule"]).as_array().unwrap().len(), CALLS);
    stats["bytes_sent"].as_u64().unwrap() + stats["bytes_received"].as_u64().unwrap()
}

#[test]
fn processes_that_end_in_order_go_on_with_one_log() {
    let place = Place::new();
    let writer = place.home("writer");
    let ticket = writer.found("Meadow");
    for call in 0..CALLS {
        writer.json(&add(call).each_ref().map(String::as_str));
    }
    assert_eq!(held(&writer), (1, 1 + CALLS as u64));
    let bytes = first_sync(&place, &writer, &ticket);
    assert!(bytes < 250 * CALLS as u64, "{bytes}");
}

/// Kills a process when its write is durable and it is about to tell so: it stands in the write to
/// a pipe that takes no more.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn killed(home: &Home, arguments: &[&str]) {
    use std::io::Write as _;

    let (_reader, mut full) = std::io::pipe().unwrap();
    full.write_all(&[b' '; 64 * 1024]).unwrap();
    let mut process = home.command(arguments).stdout(full).spawn().unwrap();
    let state = format!("/proc/{}/syscall", process.id());
    while !std::fs::read_to_string(&state).unwrap().starts_with("1 0x1 ") {
        assert_eq!(process.try_wait().unwrap(), None, "it has ended");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn processes_that_are_killed_lose_nothing_and_leave_a_log_each() {
    let place = Place::new();
    let writer = place.home("writer");
    let ticket = writer.found("Meadow");
    for call in 0..CALLS {
        killed(&writer, &add(call).each_ref().map(String::as_str));
    }
    // The first went on with the log of the festival's making.
    assert_eq!(held(&writer), (CALLS as u64, 1 + CALLS as u64));
    let bytes = first_sync(&place, &writer, &ticket);
    assert!(bytes < 400 * CALLS as u64, "{bytes}");
}
