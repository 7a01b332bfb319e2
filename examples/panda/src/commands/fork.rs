//! `panda fork`: evidence of two signed versions of a log, and writing one's own again.

use std::{fs::File, io::Read as _, path::Path};

use anyhow::{Context as _, Result, anyhow, bail};
use p2panda_core::{Fork, ForkEvidence, MAX_EVIDENCE};
use serde_json::json;

use super::doctor::name;
use crate::{
    app::{App, short},
    cli::ForkCommand,
    home::{Device, write_whole},
    output::count,
    time,
};

pub(super) fn run(app: &mut App, command: &ForkCommand) -> Result<()> {
    match command {
        ForkCommand::Evidence { log, file } => evidence(app, log, file),
        ForkCommand::Check { file } => check(app, file),
        ForkCommand::Reissue { log, branch } => reissue(app, log, branch.as_deref()),
    }
}

fn evidence(app: &App, log: &str, file: &Path) -> Result<()> {
    let fork = find(app, log)?;
    let evidence = app.device.replica.fork_evidence(&fork.log)?;
    let evidence = evidence.ok_or_else(|| anyhow!("the log {log:?} is gone"))?;
    let bytes = evidence.to_bytes();
    if bytes.len() > MAX_EVIDENCE {
        bail!("the log is too long for a file of evidence; write an archive of the festival");
    }
    write_whole(file, &bytes)?;
    app.out.answer(&json!({"file": file, "bytes": bytes.len()}), || {
        format!("Wrote {}; anyone can check it with `panda fork check`.", file.display())
    })
}

fn check(app: &App, file: &Path) -> Result<()> {
    let mut bytes = Vec::new();
    let most = MAX_EVIDENCE as u64 + 1;
    File::open(file)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .with_context(|| format!("{} cannot be read", file.display()))?;
    let evidence = ForkEvidence::from_bytes(&bytes)
        .map_err(|error| anyhow!("{} is no evidence of a fork: {error}", file.display()))?;
    let proof =
        evidence.verify().map_err(|error| anyhow!("{} proves nothing: {error}", file.display()))?;
    let (author, at) = (evidence.descriptor.user, proof.at().length);
    app.out.answer(&json!({"author": author, "at": at}), || {
        format!("It holds: the key of {author} signed two versions, which part after entry {at}.")
    })
}

fn reissue(app: &mut App, log: &str, branch: Option<&str>) -> Result<()> {
    let fork = find(app, log)?;
    if fork.author != app.user() {
        bail!("the log is somebody else's: only its author can write it again");
    }
    let ends = fork.branches.iter().map(|branch| branch.end.chain);
    let mut ends = ends.filter(|end| branch.is_none_or(|text| end.to_string().starts_with(text)));
    let (Some(end), None) = (ends.next(), ends.next()) else {
        let known = fork.branches.iter().map(|branch| short(branch.end.chain));
        bail!(
            "say which version with --branch END; kept are: {}",
            known.collect::<Vec<_>>().join(", ")
        );
    };
    let Device { replica, rng, .. } = &mut app.device;
    let changes = replica.reissue(&fork.log, &end, time::now(), rng)?;
    app.out.answer(&json!({"changes": changes}), || {
        format!("{} written again.", count(changes, "change"))
    })
}

/// The cut log that a text names.
fn find(app: &App, text: &str) -> Result<Fork> {
    let mut found = Vec::new();
    for festival in app.device.replica.festivals()? {
        let forks = app.device.replica.forks(festival.id())?;
        found.extend(forks.into_iter().filter(|fork| name(&fork.log).starts_with(text.trim())));
    }
    match (found.pop(), found.pop()) {
        (Some(only), None) if !text.trim().is_empty() => Ok(only),
        (None, _) => bail!("no log {text:?} is cut here; `panda doctor` shows those that are"),
        _ => bail!("several cut logs begin with {text:?}; write more of the name"),
    }
}
