//! What a hub spends on one more peer, in instructions: ours, which answers from sketches that it
//! has, beside a negentropy server, which looks at every item.
//!
//! ```text
//! cargo run --release -p peer-hub -- [--logs 100000] [--check]
//! ```
//!
//! Instructions are counted by valgrind's callgrind, which has to be installed, step by step and
//! without what prepares a step.

mod ours;
mod theirs;

use std::{
    error::Error,
    path::Path,
    process::{Command, ExitCode},
};

type Failure = Box<dyn Error>;

/// How many logs and items differ where some do.
const DIFFERENT: usize = 10;

const HELLO: &str = "our hub: HELLO to one more peer, from cached sketches";
const REST: &str = "our hub: the rest of the session, nothing differs";
const KNOWN_SALT: &str = "our peer: takes a HELLO under a salt that it knows";
const NEW_SALT: &str = "our peer: takes a HELLO under a new salt";
const EQUAL: &str = "negentropy server: first answer, nothing differs";
const DIFFER: &str = "negentropy server: first answer, 10 items differ";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["count", store, logs] => logs
            .parse()
            .map_err(|_| Failure::from("not a number"))
            .and_then(|logs| count(Path::new(store), logs)),
        [] => compare(100_000, false),
        ["--check"] => compare(100_000, true),
        ["--logs", logs, rest @ ..] if rest.is_empty() || rest == ["--check"] => logs
            .parse()
            .map_err(|_| Failure::from("not a number"))
            .and_then(|logs| compare(logs, !rest.is_empty())),
        _ => Err("usage: [--logs N] [--check]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Prepares a store, lets another process count over it, and prints what it counted.
fn compare(logs: usize, check: bool) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let (store, dump) = (folder.path().join("store"), folder.path().join("dump"));
    eprintln!("writing {logs} logs");
    ours::prepare(&store, logs)?;
    eprintln!("counting");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["-q", "--tool=callgrind", "--toggle-collect=*counted_step*"]);
    valgrind.arg("--dump-after=peer_hub::counted_step");
    valgrind.arg(format!("--callgrind-out-file={}", dump.display()));
    valgrind.arg(std::env::current_exe()?).arg("count").arg(&store).arg(logs.to_string());
    let output = valgrind.output().map_err(|error| format!("valgrind: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    // One line and one dump for each step.
    let mut counted: Vec<(&str, u64)> = Vec::new();
    let names = String::from_utf8(output.stdout)?;
    for (number, name) in names.lines().enumerate() {
        let instructions = total(&dump.with_extension((number + 1).to_string()))?;
        match counted.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += instructions,
            None => counted.push((name, instructions)),
        }
    }
    let find = |name| counted.iter().find(|(known, _)| *known == name).map(|(_, sum)| *sum);
    let (hello, answer) = find(HELLO).zip(find(EQUAL)).ok_or("a step was not counted")?;
    println!("{:56} {:>13}  of negentropy's", format!("{logs} logs"), "instructions");
    for (name, instructions) in &counted {
        println!("{name:56} {instructions:>13}  {:.6}", *instructions as f64 / answer as f64);
    }
    let met = hello * 100 <= answer;
    let verdict = if met { "met" } else { "MISSED" };
    println!("{verdict}: a HELLO takes at most a hundredth of negentropy's first answer");
    if check && !met { Err("a target was missed".into()) } else { Ok(()) }
}

/// The instructions of one dump.
fn total(dump: &Path) -> Result<u64, Failure> {
    let text = std::fs::read_to_string(dump).map_err(|error| format!("{dump:?}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("totals:"));
    let line = line.or_else(|| text.lines().find_map(|line| line.strip_prefix("summary:")));
    Ok(line.ok_or("a dump without a sum")?.trim().parse()?)
}

/// Runs all steps, under callgrind.
fn count(store: &Path, logs: usize) -> Result<(), Failure> {
    ours::count(store)?;
    theirs::count(EQUAL, logs, 0)?;
    theirs::count(DIFFER, logs, DIFFERENT)
}

/// What is counted: callgrind knows it by its name.
#[inline(never)]
fn counted_step(step: &mut dyn FnMut()) {
    step();
}

/// Counts a step that gives something, and tells its name.
fn counted<T>(name: &str, step: impl FnOnce() -> T) -> T {
    let (mut step, mut result) = (Some(step), None);
    counted_step(&mut || result = step.take().map(|step| step()));
    println!("{name}");
    result.expect("the step was run")
}
