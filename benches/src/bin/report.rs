//! Plays named scenarios in the seeded simulator and writes what came of them as one page:
//! `cargo run --release -p benches --features report --bin report -- --seed 1 --out report.html`.
//! `--quick` for small ones, `--only camp,rush` for some of them.
//!
//! The 36C3's revisions are read from `shared/data/36c3/edits.jsonl.gz` beside the workspace or from
//! the file that `P2PANDA_36C3` names; without it that scenario is skipped, and the page says so.
//!
//! The same seed gives the same page, byte for byte. It fails where anything does not hold that the
//! simulator checks, a slot granted twice in one view among it.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use benches::report::{ALL, Part, Size, page, play};

struct Options {
    seed: u64,
    size: Size,
    only: Option<Vec<String>>,
    out: PathBuf,
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
    let mut options = Options { seed: 1, size: Size::Full, only: None, out: "report.html".into() };
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{name} needs a value"));
        match name.as_str() {
            "--quick" => options.size = Size::Quick,
            "--out" => options.out = value()?.into(),
            "--seed" => {
                let seed = value()?;
                options.seed = seed.parse().map_err(|_| format!("{seed} is not a seed"))?;
            }
            "--only" => {
                let keys: Vec<String> = value()?.split(',').map(str::to_owned).collect();
                if let Some(unknown) = keys.iter().find(|key| ALL.iter().all(|(k, _)| k != key)) {
                    let all = ALL.map(|(key, _)| key).join(", ");
                    return Err(format!("there is no scenario {unknown}, there are: {all}"));
                }
                options.only = Some(keys);
            }
            _ => {
                let known = "--seed N, --out FILE, --only KEY,.., --quick";
                return Err(format!("{name} is not known; there are {known}"));
            }
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), String> {
    let wanted = |key: &str| options.only.as_ref().is_none_or(|all| all.iter().any(|k| k == key));
    let mut started = Instant::now();
    let tell = |key: &str| {
        eprintln!("{:>6.1} s  {key}", started.elapsed().as_secs_f64());
    };
    let parts = play(options.seed, options.size, wanted, tell);
    eprintln!("{:>6.1} s  all played", started.elapsed().as_secs_f64());
    started = Instant::now();
    let parts = parts.map_err(|failure| failure.to_string())?;
    for part in &parts {
        match part {
            Part::Played(played) => println!("{}", played.summary),
            Part::Skipped { key, why } => println!("SKIPPED {key}: {why}"),
        }
    }
    let html = page(&parts, options.seed, options.size)?;
    std::fs::write(&options.out, html)
        .map_err(|error| format!("{}: {error}", options.out.display()))?;
    eprintln!("{} written in {:.1?}", options.out.display(), started.elapsed());
    Ok(())
}
