//! `panda import` and `panda export`

use std::{fs::File, io::Read as _, path::Path};

use anyhow::{Context as _, Result, anyhow};
use interchange::{
    Schedule, Skipped,
    frab::{self, ParseOptions},
};
use serde_json::json;

use super::archive;
use crate::{
    app::App,
    cli::{ExportArgs, ImportArgs},
    home::{Device, write_whole},
    output::{count, plain, print},
    time,
};

/// The largest file that is read; the parser refuses what is larger than its own bound.
const MAX_FILE: u64 = 64 * 1024 * 1024 + 1;
/// What is listed of what was left out.
const SHOWN: usize = 10;

pub(super) fn import(app: &mut App, args: &ImportArgs) -> Result<()> {
    if archive::is_one(&args.file)? {
        return archive::import(app, &args.file);
    }
    let festival = app.festival()?;
    let (schedule, mut skipped) = read(&args.file, args.zone.clone())?;
    let bar = app.out.progress("importing");
    let (acknowledge, out) = (args.acknowledge, app.out);
    let Device { replica, rng, .. } = &mut app.device;
    let report =
        interchange::import(replica, festival, &schedule, time::now(), rng, &mut |progress| {
            bar.set_length(progress.total as u64);
            bar.set_position(progress.done as u64);
            if acknowledge {
                out.note(format_args!("stored {} of {}", progress.done, progress.total));
            }
        });
    bar.finish_and_clear();
    let report =
        report.context("the import stopped; what was stored stays, and importing again goes on")?;
    skipped.extend(report.skipped);
    let listed: Vec<_> =
        skipped.iter().map(|skipped| json!({"where": skipped.at, "why": skipped.why})).collect();
    let value = json!({
        "events": report.events,
        "resources": report.resources,
        "requests": report.requests,
        "conflicts": report.conflicts,
        "cancelled": report.cancelled,
        "skipped": listed,
    });
    app.out.answer(&value, || {
        let mut text = format!(
            "{} in {}, {}; {} overlap. {} cancelled, {} left out.",
            count(report.events, "event"),
            count(report.resources, "place"),
            count(report.requests, "request"),
            count(report.conflicts, "pair"),
            report.cancelled,
            skipped.len(),
        );
        let changed = report.changed;
        text.push_str(&format!("\nNew: {}, changed: {}.", changed.created, changed.updated));
        text.push_str(&left_out(&skipped));
        text
    })
}

pub(crate) fn left_out(skipped: &[Skipped]) -> String {
    let mut text: String = skipped
        .iter()
        .take(SHOWN)
        .map(|skipped| format!("\n  left out: {}: {}", plain(&skipped.at), plain(&skipped.why)))
        .collect();
    if skipped.len() > SHOWN {
        text.push_str(&format!("\n  and {} more: --json lists them", skipped.len() - SHOWN));
    }
    text
}

/// Reads a schedule file.
pub(crate) fn read(path: &Path, zone: Option<String>) -> Result<(Schedule, Vec<Skipped>)> {
    let shown = path.display();
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("{shown} cannot be opened"))?;
    file.take(MAX_FILE)
        .read_to_end(&mut bytes)
        .with_context(|| format!("{shown} cannot be read"))?;
    frab::parse(&bytes, &ParseOptions { zone }).map_err(|error| {
        anyhow!(error).context(format!("{shown} was not imported; nothing was changed"))
    })
}

pub(super) fn export(app: &App, args: &ExportArgs) -> Result<()> {
    if args.archive {
        return archive::export(app, &args.file);
    }
    let schedule = interchange::export(&app.view(app.festival()?))?;
    let bytes = frab::write(&schedule);
    if args.file.as_os_str() == "-" {
        return print(&String::from_utf8_lossy(&bytes));
    }
    write_whole(&args.file, &bytes)?;
    let (events, resources) = (schedule.events.len(), schedule.rooms.len());
    let file = args.file.display().to_string();
    app.out.answer(&json!({"file": file, "events": events, "resources": resources}), || {
        format!("Wrote {} in {} to {file}.", count(events, "event"), count(resources, "place"))
    })
}
