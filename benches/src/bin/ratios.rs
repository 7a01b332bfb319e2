//! Prints each cost as a ratio to its baseline. Both sides run in turn, so that whatever else the
//! machine does meets both; what is shown are medians. `--quick` for a few rounds only.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use benches::{Links, OneLog, Programme, Received};

fn main() {
    let rounds = if std::env::args().any(|argument| argument == "--quick") { 5 } else { 51 };
    let hundred = OneLog::new(100);
    assert_eq!((hundred.verify_segments(), hundred.verify_entries()), (1, 100));
    row(
        "check 100 entries: one signed head | a signature an entry",
        rounds,
        || hundred.verify_segments(),
        || hundred.verify_entries(),
    );
    let thousand = OneLog::new(1_000);
    row(
        "take 1,000 entries in: verify, gate, view | plain Automerge",
        rounds,
        || thousand.accept(),
        || thousand.apply(),
    );
    row(
        "take 1,000 entries in, on disk: a mark before each | none",
        rounds,
        || thousand.accept_on_disk(true),
        || thousand.accept_on_disk(false),
    );
    let (at_once, all) = (20, 20 * (u32::try_from(rounds).unwrap_or(u32::MAX) + 1));
    let (large, small) = (Received::new(2_000, all), Received::new(10, all));
    row(
        "take 20 edits in: into 2,000 entities | into 10",
        rounds,
        || large.take(at_once),
        || small.take(at_once),
    );
    let programme = Programme::new(1_351);
    assert_eq!(programme.afternoon(), programme.afternoon_of_all());
    row(
        "6 hours of 1,351 events: view index | reading all of them",
        rounds,
        || programme.afternoon(),
        || programme.afternoon_of_all(),
    );
    let links = Links::new();
    let frames = 100;
    let carried = [links.noise(frames), links.websocket(frames), links.plain(frames)];
    assert!(carried.iter().all(|bytes| *bytes == carried[2]));
    row(
        "carry 16 MB: an encrypted link over TCP | plain TCP",
        rounds,
        || links.noise(frames),
        || links.plain(frames),
    );
    row(
        "carry 16 MB: an encrypted link over WebSocket | over TCP",
        rounds,
        || links.websocket(frames),
        || links.noise(frames),
    );
    row(
        "make a link, both ends: TCP and handshake | TCP alone",
        rounds,
        || links.handshake(),
        || links.connect(),
    );
}

fn row<A, B>(name: &str, rounds: usize, ours: impl Fn() -> A, baseline: impl Fn() -> B) {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..=rounds {
        times[0].push(time(&ours));
        times[1].push(time(&baseline));
    }
    let [ours, baseline] = times.map(|mut times| {
        times.remove(0); // a cold start
        times.sort_unstable();
        times[times.len() / 2]
    });
    let ratio = ours.as_secs_f64() / baseline.as_secs_f64();
    println!("{name:60} {ours:>9.1?} | {baseline:>9.1?}   ratio {ratio:.3}");
}

fn time<T>(work: impl Fn() -> T) -> Duration {
    let start = Instant::now();
    let result = black_box(work());
    let taken = start.elapsed();
    drop(result);
    taken
}
