//! One file a group of commands.

mod archive;
pub(crate) mod blob;
mod block;
mod decide;
mod doctor;
pub(crate) mod event;
mod explain;
mod festival;
pub(crate) mod fingerprint;
mod follow;
mod fork;
mod health;
pub(crate) mod import;
mod request;
mod resource;
pub(crate) mod schedule;
pub(crate) mod steward;
pub(crate) mod sync;
pub(crate) mod transfer;
mod waiting;

use anyhow::{Result, bail};
use serde_json::json;

use crate::{app::App, cli::Command, home::Home, output::Output};

/// Makes a home, or says whose it is.
pub(crate) fn init(home: &Home, only_copy: bool, out: Output) -> Result<()> {
    let (mut device, created) = home.init()?;
    if only_copy {
        device.replica.allow_decisions()?;
    }
    let user = device.replica.user();
    let path = home.path().display().to_string();
    device.close()?;
    out.answer(&json!({"user": user, "home": path, "created": created}), || {
        if created {
            format!(
                "You are {user}.\nYour key is in {path}/key: whoever holds it is you, and nobody \
                 can replace it."
            )
        } else {
            format!("This home is ready already. You are {user}.")
        }
    })
}

/// Runs a command on an open home.
pub(crate) fn run(app: &mut App, command: &Command) -> Result<()> {
    match command {
        Command::Whoami => whoami(app),
        Command::Festival(command) => festival::run(app, command),
        Command::Resource(command) => resource::run(app, command),
        Command::Event(command) => event::run(app, command),
        Command::Request(command) => request::run(app, command),
        Command::Decide(command) => decide::run(app, command, decide::As::Owner),
        Command::Vote(command) => decide::run(app, command, decide::As::Voter),
        Command::Explain { request } => explain::run(app, request),
        Command::Waiting { event } => waiting::run(app, event.as_deref()),
        Command::Steward(_) => steward::once(app),
        Command::Schedule(args) => schedule::run(app, args),
        Command::Import(args) => import::import(app, args),
        Command::Export(args) => import::export(app, args),
        Command::Doctor => doctor::run(app),
        Command::Health => health::run(app),
        Command::Blob(command) => blob::run(app, command),
        Command::Fork(command) => fork::run(app, command),
        Command::Block { user, undo } => block::block(app, user, *undo),
        Command::Forget { user } => block::forget(app, user),
        Command::Fingerprint => fingerprint::run(app),
        Command::Init { .. } | Command::Serve(_) | Command::Sync(_) | Command::Demo(_) => {
            bail!("this command opens its homes itself")
        }
    }
}

fn whoami(app: &App) -> Result<()> {
    let user = app.user();
    let home = app.device.home.path().display().to_string();
    app.out.answer(&json!({"user": user, "home": home}), || format!("{user}\n{home}"))
}
