//! The convergence report: named scenarios in the seeded simulator, measured over time, as one page
//! that needs nothing else.

mod chart;
mod crowd;
mod importers;
pub mod observer;
mod page;
mod scenarios;

use p2panda_sync::sim::{Failure, Summary};

pub use page::page;
pub use scenarios::{ALL, Planned, Size};

/// A scenario, and what came of it.
pub struct Played {
    /// A word for it.
    pub key: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What it shows.
    pub says: String,
    /// What came of it.
    pub summary: Summary,
}

/// One part of the page.
pub enum Part {
    /// A scenario that was played.
    Played(Box<Played>),
    /// One that could not be, and why.
    Skipped {
        /// A word for it.
        key: &'static str,
        /// Why, in words.
        why: String,
    },
}

/// Plays those scenarios of which the key is wanted; tells each before it begins.
///
/// # Errors
/// [`Failure`] where something did not hold: with the seed, and the command that repeats it.
pub fn play(
    seed: u64,
    size: Size,
    wanted: impl Fn(&str) -> bool,
    mut tell: impl FnMut(&str),
) -> Result<Vec<Part>, Box<Failure>> {
    let mut parts = Vec::new();
    for (key, make) in ALL.into_iter().filter(|(key, _)| wanted(key)) {
        tell(key);
        parts.push(match make(size) {
            Ok(planned) => Part::Played(Box::new(one(planned, seed, size)?)),
            Err(why) => Part::Skipped { key, why },
        });
    }
    Ok(parts)
}

fn one(planned: Planned, seed: u64, size: Size) -> Result<Played, Box<Failure>> {
    let Planned { key, title, says, mut scenario, mut app } = planned;
    let quick = if size == Size::Quick { " --quick" } else { "" };
    scenario.repeated_with(format!("{COMMAND} --seed {{seed}} --only {key}{quick}"));
    let summary = scenario.run(seed, app.as_mut())?;
    Ok(Played { key, title, says, summary })
}

/// The command that makes the report.
pub const COMMAND: &str = "cargo run --release -p benches --features report --bin report --";
