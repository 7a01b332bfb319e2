//! Prints each cost as a ratio to its baseline. Both sides run in turn, so that whatever else the
//! machine does meets both; what is shown are medians. `--quick` for a few rounds only, and a part
//! of the 36C3's history.
//!
//! Where there is a target, it is said whether it is met. `--check` fails where one is missed by
//! more than a third: less than that may be the machine.

use std::{
    hint::black_box,
    process::ExitCode,
    time::{Duration, Instant},
};

use benches::{History, Links, OneLog, Programme, Received};

fn main() -> ExitCode {
    let is_given = |name: &str| std::env::args().any(|argument| argument == name);
    let (rounds, revisions) = if is_given("--quick") { (5, 150) } else { (51, usize::MAX) };
    let mut rows = Rows { rounds, missed: 0 };
    let hundred = OneLog::new(100);
    assert_eq!((hundred.verify_segments(), hundred.verify_entries()), (1, 100));
    rows.row(
        "check 100 entries: one signed head | a signature an entry",
        Some(1.0 / 15.0),
        || hundred.verify_segments(),
        || hundred.verify_entries(),
    );
    let thousand = OneLog::new(1_000);
    rows.row(
        "take 1,000 entries in: verify, gate, view | plain Automerge",
        Some(1.5),
        || thousand.accept(),
        || thousand.apply(),
    );
    rows.row(
        "take 1,000 entries in, on disk: a mark before each | none",
        None,
        || thousand.accept_on_disk(true),
        || thousand.accept_on_disk(false),
    );
    let (at_once, all) = (20, 20 * (u32::try_from(rounds).unwrap_or(u32::MAX) + 1));
    let (large, small) = (Received::new(2_000, all), Received::new(10, all));
    rows.row(
        "take 20 edits in: into 2,000 entities | into 10",
        Some(2.0),
        || large.take(at_once),
        || small.take(at_once),
    );
    let name = "take the 36C3's edits in: verify, gate, view | plain Automerge";
    match History::congress(revisions) {
        Ok(history) => {
            let (documents, entries) = history.size();
            println!("{:60} {entries} entries in {documents} documents", "  (the 36C3's edits)");
            rows.rounds = rounds.min(9);
            rows.row(name, Some(1.5), || history.accept(), || history.apply());
            rows.rounds = rounds;
        }
        Err(path) => println!("{name:60} SKIPPED: {} is not here", path.display()),
    }
    let programme = Programme::new(1_351);
    assert_eq!(programme.afternoon(), programme.afternoon_of_all());
    rows.row(
        "6 hours of 1,351 events: view index | reading all of them",
        None,
        || programme.afternoon(),
        || programme.afternoon_of_all(),
    );
    let links = Links::new();
    let frames = 100;
    let carried = [links.noise(frames), links.websocket(frames), links.plain(frames)];
    assert!(carried.iter().all(|bytes| *bytes == carried[2]));
    rows.row(
        "carry 16 MB: an encrypted link over TCP | plain TCP",
        None,
        || links.noise(frames),
        || links.plain(frames),
    );
    rows.row(
        "carry 16 MB: an encrypted link over WebSocket | over TCP",
        None,
        || links.websocket(frames),
        || links.noise(frames),
    );
    rows.row(
        "make a link, both ends: TCP and handshake | TCP alone",
        None,
        || links.handshake(),
        || links.connect(),
    );
    if is_given("--check") && rows.missed > 0 {
        println!("{} targets are missed by more than a third", rows.missed);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// What is printed, a row at a time.
struct Rows {
    rounds: usize,
    /// How many targets are missed by more than a third.
    missed: usize,
}

impl Rows {
    fn row<A, B>(
        &mut self,
        name: &str,
        target: Option<f64>,
        ours: impl Fn() -> A,
        baseline: impl Fn() -> B,
    ) {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..=self.rounds {
            times[0].push(time(&ours));
            times[1].push(time(&baseline));
        }
        let [ours, baseline] = times.map(|mut times| {
            times.remove(0); // a cold start
            times.sort_unstable();
            times[times.len() / 2]
        });
        let ratio = ours.as_secs_f64() / baseline.as_secs_f64();
        let verdict = match target {
            None => String::new(),
            Some(target) if ratio <= target => format!("at most {target:.3}: met"),
            Some(target) => {
                self.missed += usize::from(ratio > target * 4.0 / 3.0);
                format!("at most {target:.3}: MISSED")
            }
        };
        let row =
            format!("{name:60} {ours:>9.1?} | {baseline:>9.1?}   ratio {ratio:.3}   {verdict}");
        println!("{}", row.trim_end());
    }
}

fn time<T>(work: impl Fn() -> T) -> Duration {
    let start = Instant::now();
    let result = black_box(work());
    let taken = start.elapsed();
    drop(result);
    taken
}
