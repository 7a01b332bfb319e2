//! Whole networks in the simulator: named scenarios, random ones by the thousand, and proof that
//! the simulator finds what it is there to find.
//!
//! `P2PANDA_SEEDS=10000 cargo test -p p2panda-sync --features sim --test sim` plays more seeds than
//! the default; `P2PANDA_SEED=7` plays one, as a failure says; `P2PANDA_FROM=5000` begins there;
//! `P2PANDA_TOLD=1` tells every event.
#![allow(clippy::unwrap_used)]

mod mesh;
mod organisers;
mod random;
mod scenarios;
mod simulator;
mod steps;

use p2panda_sync::sim::{App, Failure, Scenario, Summary};

/// The seeds of a test: one, or so many, or as many as the environment says, times a share.
fn seeds(by_default: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse().ok());
    if let Some(seed) = number("P2PANDA_SEED") {
        return seed..seed + 1;
    }
    let from = number("P2PANDA_FROM").unwrap_or(0);
    from..from + number("P2PANDA_SEEDS").unwrap_or(by_default)
}

/// Keeps a summary where the environment says.
fn keep(test: &str, summary: &Summary) {
    let json = serde_json::to_string_pretty(summary).unwrap();
    assert_eq!(serde_json::from_str::<Summary>(&json).unwrap(), *summary);
    if let Some(folder) = std::env::var_os("P2PANDA_SUMMARIES") {
        let file = format!("{test}-{}.json", summary.seed);
        std::fs::write(std::path::Path::new(&folder).join(file), json).unwrap();
    }
}

/// Plays a scenario with a seed; a failure says how to repeat it.
fn play(test: &str, scenario: Scenario, seed: u64, app: &mut dyn App) -> Summary {
    attempt(test, scenario, seed, app).unwrap_or_else(|failure| panic!("{failure}"))
}

fn attempt(
    test: &str,
    mut scenario: Scenario,
    seed: u64,
    app: &mut dyn App,
) -> Result<Summary, Failure> {
    scenario.told(std::env::var_os("P2PANDA_TOLD").is_some());
    scenario.repeated_with(format!(
        "P2PANDA_SEED={{seed}} cargo test -p p2panda-sync --features sim --test sim {test} -- --exact --nocapture"
    ));
    scenario.run(seed, app)
}
