//! A client called from a shell: so many processes of the real `panda`, each of which writes once.
//! `cargo run --release -p benches --bin calls`, `-- --calls 100` for fewer. Linux only.
//!
//! Once every process ends in order; a second time each is killed (SIGKILL) after its write is
//! durable and before it could close its home, so that the next one cannot go on with its log.

use std::{
    error::Error,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

type Failure = Box<dyn Error>;

/// What the kernel holds for a pipe that nobody reads.
const PIPE: usize = 64 * 1024;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Killed,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let calls = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => Some(941),
        (Some("--calls"), Some(number)) => number.parse().ok(),
        _ => None,
    };
    let Some(calls) = calls else {
        eprintln!("usage: calls [--calls N]");
        return ExitCode::FAILURE;
    };
    match measure(calls) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(calls: usize) -> Result<(), Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "-p", "panda"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if !build.status()?.success() {
        return Err("panda does not build".into());
    }
    let panda = std::env::current_exe()?.with_file_name("panda");
    println!(
        "calls  ended   logs  entries  store      a call: first, last  open and show  first sync: \
         bytes  an entry  round trips  time"
    );
    for end in [End::Closed, End::Killed] {
        let folder = tempfile::tempdir()?;
        let home = |name: &str| Home {
            panda: panda.clone(),
            path: folder.path().join(name),
            runtime: folder.path().to_owned(),
        };
        one(&home("writer"), &home("reader"), calls, end)?;
    }
    Ok(())
}

fn one(writer: &Home, reader: &Home, calls: usize, end: End) -> Result<(), Failure> {
    writer.json(&["init"])?;
    reader.json(&["init"])?;
    let made = writer.json(&["festival", "create", "Meadow", "--zone", "Europe/Berlin"])?;
    let ticket = made["ticket"].as_str().ok_or("no ticket")?;
    reader.json(&["festival", "join", ticket])?;
    let mut times = Vec::new();
    for call in 0..calls {
        let started = Instant::now();
        let title = format!("Talk {call}");
        let add = ["event", "add", &title, "--starts", "2026-08-20T21:00", "--for", "1h"];
        match end {
            End::Closed => drop(writer.json(&add)?),
            End::Killed => writer.killed(&add)?,
        }
        times.push(started.elapsed());
    }
    let mut shown = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        let schedule = writer.json(&["schedule"])?;
        shown.push(started.elapsed());
        let events = schedule.as_array().map_or(0, Vec::len);
        if events != calls {
            return Err(format!("{events} of {calls} events are there").into());
        }
    }
    let archive = writer.path.join("archive");
    let held = writer.json(&["export", "--archive", &archive.display().to_string()])?;
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let (logs, entries) = (number(&held["logs"]), number(&held["entries"]));
    let store = fs::metadata(writer.path.join("store.redb"))?.len();
    let mut served = writer.serve()?;
    let started = Instant::now();
    let sync = reader.json(&["sync", &served.address]);
    let synced = started.elapsed();
    served.process.kill()?;
    served.process.wait()?;
    let sync = sync?;
    if writer.json(&["fingerprint"])? != reader.json(&["fingerprint"])? {
        return Err("the two differ after the sync".into());
    }
    let bytes = number(&sync["bytes_sent"]) + number(&sync["bytes_received"]);
    println!(
        "{calls:<6} {:<7} {logs:>4} {entries:>8}  {:>6} kB  {:>9.1?} {:>9.1?}  {:>13.1?}  {bytes:>17} {:>9} {:>12}  {synced:.1?}",
        format!("{end:?}").to_lowercase(),
        store / 1000,
        middle(&times[..calls.min(21)]),
        middle(&times[calls.saturating_sub(21)..]),
        middle(&shown),
        bytes / entries.max(1),
        number(&sync["round_trips"]),
    );
    Ok(())
}

fn middle(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// A home of panda.
struct Home {
    panda: PathBuf,
    path: PathBuf,
    runtime: PathBuf,
}

/// A home that another process serves.
struct Served {
    process: Child,
    address: String,
}

impl Home {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.panda);
        command.arg("--home").arg(&self.path).args(arguments).arg("--json");
        command.env("XDG_RUNTIME_DIR", &self.runtime).stdin(Stdio::null());
        command
    }

    /// The answer of a process that ends in order.
    fn json(&self, arguments: &[&str]) -> Result<Value, Failure> {
        let output = self.command(arguments).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("panda {arguments:?}: {said}").into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Kills a process when it is about to tell that it has written.
    fn killed(&self, arguments: &[&str]) -> Result<(), Failure> {
        let (reader, mut full) = std::io::pipe()?;
        full.write_all(&[b' '; PIPE])?;
        let mut process = self.command(arguments).stdout(full).spawn()?;
        let state = format!("/proc/{}/syscall", process.id());
        // It stands in write(1), to the pipe that takes no more.
        while !fs::read_to_string(Path::new(&state))?.starts_with("1 0x1 ") {
            if process.try_wait()?.is_some() {
                return Err("it ended before it could be killed".into());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        process.kill()?;
        process.wait()?;
        drop(reader);
        Ok(())
    }

    fn serve(&self) -> Result<Served, Failure> {
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0", "--no-lan"]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        let stdout = process.stdout.as_mut().ok_or("no stdout")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let value: Value = serde_json::from_str(&line)?;
        let address = value["listening"].as_str().ok_or("no address")?.to_owned();
        Ok(Served { process, address })
    }
}
