//! Prints what it costs two peers to find out what differs and to exchange it, with the real
//! messages: `cargo run --release -p benches --bin sync`. The first table stands beside that of
//! other ways to reconcile; the second has Automerge's own sync protocol, one document a log, in the
//! same run. `--quick` for 1,000 logs only; `--check` fails where a target of bytes is missed (times,
//! which other programs disturb, are only shown); two numbers for so many logs of which so many differ.
//!
//! *Metadata* is every byte of both directions, framing included, but for what carries the entries:
//! `PUSH` frames here, the changes within a message with Automerge. Times are CPU times of both
//! sides together.

use std::{process::ExitCode, time::Duration};

use benches::{
    documents::{self, Documents},
    meeting::{Cost, Meeting, Spread},
};

/// Changes of each document and entries of each log that are compared with Automerge.
const CHANGES: usize = 10;

/// How a target begins that is one of time.
const CPU_TIME: &str = "CPU time";

/// What was measured, and what it may be.
#[derive(Default)]
struct Targets {
    lines: Vec<(bool, String)>,
}

impl Targets {
    fn at_most(&mut self, what: String, measured: f64, target: f64) {
        self.lines.push((measured <= target, format!("{what}: {measured:.1}, at most {target}")));
    }

    fn at_least(&mut self, what: String, measured: f64, target: f64) {
        self.lines.push((measured >= target, format!("{what}: {measured:.0}, at least {target}")));
    }
}

fn main() -> ExitCode {
    let has = |name: &str| std::env::args().any(|argument| argument == name);
    let numbers: Vec<usize> =
        std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let mut targets = Targets::default();
    println!("logs     differ  which      metadata  each  round trips  bytes in all  compare  all");
    if let [logs, differences] = numbers[..] {
        let mut meeting = Meeting::new(logs, 1);
        for spread in [Spread::Random, Spread::Clustered, Spread::New] {
            row(&mut meeting, logs, differences, spread, &mut targets);
        }
        return ExitCode::SUCCESS;
    }
    let sizes: &[usize] = if has("--quick") { &[1_000] } else { &[1_000, 10_000, 100_000] };
    for logs in sizes {
        let mut meeting = Meeting::new(*logs, 1);
        row(&mut meeting, *logs, 0, Spread::Random, &mut targets);
        for spread in [Spread::Random, Spread::Clustered, Spread::New] {
            for differences in [1, 10, 100, 1_000] {
                row(&mut meeting, *logs, differences, spread, &mut targets);
            }
        }
    }
    println!(
        "\nlogs     differ  states               metadata: ours  Automerge   ratio  CPU: ours  Automerge   ratio"
    );
    for (logs, differences, least) in [(1_000, 1, 500.0), (10_000, 10, 1_000.0)] {
        if sizes.contains(&logs) {
            beside_automerge(logs, differences, least, &mut targets);
        }
    }
    println!();
    for (met, line) in &targets.lines {
        println!("{} {line}", if *met { "met   " } else { "MISSED" });
    }
    let missed = targets.lines.iter().any(|(met, line)| !met && !line.starts_with(CPU_TIME));
    if missed && has("--check") { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// A first meeting of peers that differ so much.
fn row(meeting: &mut Meeting, logs: usize, differ: usize, spread: Spread, targets: &mut Targets) {
    meeting.write(differ, spread);
    meeting.forget();
    let cost = meeting.meet();
    let metadata = cost.metadata();
    let each = metadata.checked_div(differ as u64).map_or_else(String::new, |n| n.to_string());
    let which = if differ == 0 { String::new() } else { format!("{spread:?}").to_lowercase() };
    println!(
        "{logs:<8} {differ:<7} {which:<9} {metadata:>9}  {each:>4}  {:>11}  {:>12}  {:>7}  {}",
        cost.opener.round_trips,
        cost.bytes(),
        time(cost.comparing),
        time(cost.all),
    );
    let what = |unit: &str| format!("N = {logs}, d = {differ} {which}, {unit}");
    match (logs, differ) {
        (_, 0) => targets.at_most(what("metadata"), metadata as f64, 200.0),
        (10_000, 10) => targets.at_most(what("metadata"), metadata as f64, 600.0),
        (100_000, 1_000) => {
            targets.at_most(what("metadata a log"), metadata as f64 / differ as f64, 40.0);
        }
        _ => {}
    }
}

/// Both ways of meeting again, from the same number of documents and logs.
fn beside_automerge(logs: usize, differ: usize, least: f64, targets: &mut Targets) {
    let mut meeting = Meeting::new(logs, CHANGES);
    let mut documents = Documents::new(logs, CHANGES);
    meeting.meet();
    documents.sync();
    for (states, saved, proves) in
        [("saved", true, false), ("saved, users proved", true, true), ("none", false, false)]
    {
        meeting.prove(proves);
        let ours = cheapest(|| {
            meeting.write(differ, Spread::Random);
            if !saved {
                meeting.forget();
            }
            let cost: Cost = meeting.meet();
            (cost.metadata(), cost.all)
        });
        let theirs = cheapest(|| {
            documents.write(differ);
            documents.reconnect(saved);
            let cost: documents::Cost = documents.sync();
            (cost.metadata, cost.cpu)
        });
        let ratio = [theirs.0 as f64 / ours.0 as f64, theirs.1.div_duration_f64(ours.1)];
        println!(
            "{logs:<8} {differ:<7} {states:<19} {:>15} {:>10} {:>6.0}x {:>10} {:>10} {:>6.0}x",
            ours.0,
            theirs.0,
            ratio[0],
            time(ours.1),
            time(theirs.1),
            ratio[1],
        );
        let what = format!("times fewer than Automerge, N = {logs}, d = {differ}, states {states}");
        targets.at_least(format!("bytes of metadata, {what}"), ratio[0], least);
        // The like of the like: Automerge knows no users. And without anything saved, a salt is new:
        // who connects looks at every log once a day for it.
        if saved && !proves {
            targets.at_least(format!("{CPU_TIME}, {what}"), ratio[1], 100.0);
        }
    }
}

/// The least of several runs, bytes and CPU time.
fn cheapest(run: impl FnMut() -> (u64, Duration)) -> (u64, Duration) {
    let runs = std::iter::repeat_with(run).take(9);
    runs.fold((u64::MAX, Duration::MAX), |a, b| (a.0.min(b.0), a.1.min(b.1)))
}

fn time(time: Duration) -> String {
    format!("{time:.1?}")
}
