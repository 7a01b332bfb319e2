//! Builds every system, runs every workload with each, and lays the rows side by side.
//!
//! ```text
//! cargo run --release -- [--size N] [--only SYSTEM,..] [--workload NAME,..] [--repeat N]
//!                        [--limit SECONDS] [--markdown FILE] [--no-build]
//! ```

mod table;

use std::{
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use peers::{Row, Workload};

use crate::table::Table;

/// A system and what it does not do, in fairness to all.
struct System {
    name: &'static str,
    package: &'static str,
    about: &'static str,
}

const SYSTEMS: [System; 6] = [
    System {
        name: "ours",
        package: "peer-ours",
        about: "signed logs, one signature for each head; every change judged by the gate, \
                materialised and written to the view's rows at the receiver. Stores in memory; \
                on disk (redb) where a workload is about opening.",
    },
    System {
        name: "automerge",
        package: "peer-automerge",
        about: "automerge 0.12 and its sync protocol, one per document. Unsigned: whoever holds a \
                document can write anything in any name. No store, no list of documents, no \
                queries, no policies: the application does these. The same maps and scalar \
                strings as ours; texts as sequences would cost more. To a peer that has nothing it sends a \
                document as one compressed whole.",
    },
    System {
        name: "samod",
        package: "peer-samod",
        about: "samod 0.16 on automerge 0.12: storage and connections for many documents. \
                Unsigned. No queries across documents, no policies. Its messages are CBOR frames; \
                CPU and memory hold its tasks and a tokio runtime. A peer asks for each document \
                by its id or is told of it.",
    },
    System {
        name: "p2panda-0.7",
        package: "peer-p2panda-07",
        about: "p2panda-core, -store and -sync 0.7.1 of crates.io: one signature and backlink an \
                operation. Payloads are opaque: nothing is materialised, there is no view and no \
                policy, and what an application would do on top is not in the figures. Store: \
                SQLite in memory (its C heap is not in the memory column).",
    },
    System {
        name: "negentropy",
        package: "peer-negentropy",
        about: "negentropy 0.5.3: finds which of two sets' items differ, and nothing else. No \
                payloads, no signatures, no store: bytes and CPU are those of finding only.",
    },
    System {
        name: "iroh-docs",
        package: "peer-iroh-docs",
        about: "iroh-docs 0.101, its replica and store without the network: two signatures an \
                entry. One key holds one value, the last write wins: no history and no merging \
                within a value. Entries carry a hash; the values are fetched as blobs afterwards, \
                which is not in the figures. Store: redb in memory.",
    },
];

struct Options {
    size: usize,
    repeat: usize,
    limit: Duration,
    systems: Option<Vec<String>>,
    workloads: Vec<Workload>,
    markdown: Option<PathBuf>,
    build: bool,
}

fn main() -> ExitCode {
    match options(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        size: 2_000,
        repeat: 1,
        limit: Duration::from_secs(900),
        systems: None,
        workloads: Workload::ALL.to_vec(),
        markdown: None,
        build: true,
    };
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{name} needs a value"));
        let number = |text: String| {
            let number = text.replace('_', "").parse::<usize>();
            number.ok().filter(|number| *number > 0).ok_or(format!("{text} is not a number"))
        };
        match name.as_str() {
            "--size" => options.size = number(value()?)?,
            "--repeat" => options.repeat = number(value()?)?,
            "--limit" => options.limit = Duration::from_secs(number(value()?)? as u64),
            "--no-build" => options.build = false,
            "--markdown" => options.markdown = Some(value()?.into()),
            "--only" => {
                let names: Vec<String> = value()?.split(',').map(str::to_owned).collect();
                let unknown =
                    names.iter().find(|name| SYSTEMS.iter().all(|one| one.name != **name));
                if let Some(unknown) = unknown {
                    let all: Vec<_> = SYSTEMS.iter().map(|system| system.name).collect();
                    return Err(format!("there is no {unknown}, there are: {}", all.join(", ")));
                }
                options.systems = Some(names);
            }
            "--workload" => {
                let names = value()?;
                let workloads = names.split(',').map(str::parse).collect::<Result<_, _>>();
                options.workloads = workloads?;
            }
            _ => {
                return Err(format!(
                    "{name} is not known; there are --size N, --only SYSTEM,.., --workload \
                     NAME,.., --repeat N, --limit SECONDS, --markdown FILE, \
                     --no-build"
                ));
            }
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), String> {
    let wanted = |system: &&System| {
        let only = options.systems.as_ref();
        only.is_none_or(|names| names.iter().any(|name| name == system.name))
    };
    let mut table = Table::new(options.size);
    let mut systems = Vec::new();
    for system in SYSTEMS.iter().filter(wanted) {
        table.about(system.name, system.about);
        match if options.build { build(system) } else { Ok(()) } {
            Ok(()) => systems.push(system),
            Err(error) => table.about(system.name, &error),
        }
    }
    for workload in &options.workloads {
        for system in &systems {
            eprintln!("{}: {workload}", system.name);
            let row = measure(system, *workload, options);
            table.row(*workload, system.name, row.unwrap_or_else(|error| Row::none(error.trim())));
        }
    }
    println!("{}", table.text());
    if let Some(path) = &options.markdown {
        let written = std::fs::write(path, table.markdown());
        written.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// Builds one system, so that one that does not build does not stop the others.
fn build(system: &System) -> Result<(), String> {
    eprintln!("{}: building", system.name);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--quiet", "--locked", "--ignore-rust-version", "-p"]);
    command.arg(system.package).current_dir(env!("CARGO_MANIFEST_DIR"));
    let built = command.status().is_ok_and(|status| status.success());
    if built { Ok(()) } else { Err("NOT MEASURED: it did not build here.".to_owned()) }
}

/// Runs a workload so often, each time in a process of its own, and keeps the cheapest run.
fn measure(system: &System, workload: Workload, options: &Options) -> Result<Row, String> {
    let mut best: Option<Row> = None;
    for _ in 0..options.repeat {
        let row = once(system, workload, options)?;
        let time = |row: &Row| row.cost.map(|cost| cost.cpu);
        if best.as_ref().is_none_or(|best| time(&row) < time(best)) {
            best = Some(row);
        }
    }
    best.ok_or_else(|| "not run".to_owned())
}

/// Runs a workload in a process of its own, which is ended where it takes too long.
fn once(system: &System, workload: Workload, options: &Options) -> Result<Row, String> {
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut child = Command::new(here.with_file_name(system.package))
        .args([workload.name(), &options.size.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let started = Instant::now();
    while child.try_wait().map_err(|error| error.to_string())?.is_none() {
        if started.elapsed() > options.limit {
            child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
            return Err(format!("NOT FINISHED in {} s", options.limit.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let last = errors.lines().last().unwrap_or("it failed without a word").to_owned();
        return Err(last);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).map_err(|error| format!("an unreadable row: {error}"))
}
