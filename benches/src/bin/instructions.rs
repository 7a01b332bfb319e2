//! How many instructions the hot paths take, counted by valgrind: no clock, so that a few percent
//! can be told on any machine, however busy.
//!
//! Without arguments it counts and prints the table; `--check` compares it with the committed
//! `benches/instructions.txt` and fails where a path takes over 3% more or less, `--renew` writes
//! that file. Counts depend on the compiler and on the processor's extensions, so the table names
//! both, and is compared only where they are the same.
//!
//! All input is made from fixed seeds. What is left is the order of hash tables, which differs
//! from run to run and moves a count by less than 1%; hence the 3%.

use std::{
    fs,
    hint::black_box,
    process::{Command, ExitCode},
    time::Duration,
};

use benches::{
    Edited, Judging, OneLog, Sketches,
    meeting::{Meeting, Spread},
};

/// What is measured: its name, and what makes it.
type Path = (&'static str, fn() -> Box<dyn FnOnce()>);

const PATHS: [Path; 7] = [
    ("verify a segment of 100 entries", || {
        let log = OneLog::new(100);
        Box::new(move || assert_eq!(black_box(log.verify_segments()), 1))
    }),
    ("accept 1,000 entries: verify, gate, view", || {
        let log = OneLog::new(1_000);
        Box::new(move || drop(black_box(log.accept())))
    }),
    ("edit an event among 200", || {
        let mut edited = Edited::new(200);
        Box::new(move || edited.edit())
    }),
    ("update a sketch of 1,000 logs", || {
        let mut sketches = Sketches::new(1_000, 8);
        Box::new(move || sketches.grow())
    }),
    ("decode the syndromes of 1,000 logs, 8 of them different", || {
        let mut sketches = Sketches::new(1_000, 8);
        Box::new(move || {
            let found = sketches.decode_syndromes(16).expect("8 are told by 16");
            assert_eq!(found.len(), 8);
        })
    }),
    ("meet from HELLO on: 200 logs, 8 of them different", || {
        let mut meeting = Meeting::new(200, 1);
        meeting.write(8, Spread::Random);
        Box::new(move || {
            black_box(meeting.meet_by(|| Duration::ZERO));
        })
    }),
    ("evaluate a policy for 100 requests", || {
        let judging = Judging::new(1, 100);
        let facts = judging.facts(0);
        let confirmed = judging.pairs(&facts);
        Box::new(move || assert_eq!(judging.evaluate(black_box(&facts)), confirmed))
    }),
];

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt");

/// How far a count may be from the table's, in percent.
const TOLERANCE: f64 = 3.0;

/// All that is counted: valgrind finds it by its name.
#[inline(never)]
fn measured(work: Box<dyn FnOnce()>) {
    work();
}

fn main() -> ExitCode {
    let argument = std::env::args().nth(1).unwrap_or_default();
    if let Some((_, make)) = PATHS.iter().find(|(name, _)| *name == argument) {
        measured(make());
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("SKIPPED: valgrind is not there");
        return ExitCode::SUCCESS;
    }
    let mut counts = Vec::new();
    for (name, _) in PATHS {
        match count(name) {
            Ok(count) => counts.push((name, count)),
            Err(error) => {
                println!("{name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    let made_by = machine();
    match argument.as_str() {
        "--renew" => renew(&made_by, &counts),
        "--check" => check(&made_by, &counts),
        _ => {
            print!("{}", table(&made_by, &counts));
            ExitCode::SUCCESS
        }
    }
}

/// Runs one path under valgrind.
fn count(name: &str) -> Result<u64, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(["--toggle-collect=instructions::measured*", "--collect-atstart=no"])
        .arg(this)
        .arg(name)
        .output()
        .map_err(|error| error.to_string())?;
    let told = String::from_utf8_lossy(&output.stderr);
    let collected = told.lines().find_map(|line| line.split_once("Collected : "));
    let count = collected.and_then(|(_, count)| count.trim().parse::<u64>().ok());
    match count {
        Some(count) if output.status.success() && count > 0 => Ok(count),
        _ => Err(format!("valgrind failed:\n{told}")),
    }
}

/// What counts depend on besides the code.
fn machine() -> String {
    let compiler = Command::new("rustc").arg("--version").output().map(|output| output.stdout);
    let compiler = String::from_utf8_lossy(&compiler.unwrap_or_default()).trim().to_owned();
    #[cfg(target_arch = "x86_64")]
    let wide = std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    let wide = false;
    format!("{compiler}, {}{}", std::env::consts::ARCH, if wide { " with AVX2" } else { "" })
}

fn table(made_by: &str, counts: &[(&str, u64)]) -> String {
    let rows = counts.iter().map(|(name, count)| format!("{count:>12}  {name}\n"));
    format!("# Instructions, by {made_by}\n{}", rows.collect::<String>())
}

fn renew(made_by: &str, counts: &[(&str, u64)]) -> ExitCode {
    let table = table(made_by, counts);
    print!("{table}");
    match fs::write(TABLE, table) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{TABLE}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check(made_by: &str, counts: &[(&str, u64)]) -> ExitCode {
    let known = fs::read_to_string(TABLE).unwrap_or_default();
    let mut lines = known.lines();
    let same = lines.next() == Some(&format!("# Instructions, by {made_by}"));
    if !same {
        println!("SKIPPED: the table was not made by {made_by}; renew it with --renew");
    }
    let mut failed = 0;
    for (name, count) in counts {
        let before = known.lines().find_map(|line| {
            let (count, found) = line.trim().split_once("  ")?;
            count.parse::<u64>().ok().filter(|_| found == *name)
        });
        let Some(before) = before else {
            println!("{count:>12}  {name}: not in the table");
            failed += 1;
            continue;
        };
        #[expect(clippy::cast_precision_loss, reason = "a percentage")]
        let change = (*count as f64 / before as f64 - 1.0) * 100.0;
        let verdict = if change.abs() <= TOLERANCE { "" } else { "  CHANGED" };
        failed += usize::from(!verdict.is_empty());
        println!("{count:>12}  {change:>+6.2}%  {name}{verdict}");
    }
    if failed > 0 && same {
        println!(
            "{failed} paths changed by over {TOLERANCE}%: if that is meant, --renew the table"
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
