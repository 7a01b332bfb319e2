//! `panda`, the reference client: plan and hold a festival from the command line.

mod app;
mod cli;
mod commands;
mod demo;
mod home;
mod ids;
mod judge;
mod links;
mod output;
mod policies;
mod stewarding;
mod time;

use std::{io::Write as _, process::ExitCode};

use anyhow::Result;
use clap::Parser as _;

use crate::{
    app::App,
    cli::{Cli, Command},
    home::Home,
    output::{Output, ReaderGone},
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<ReaderGone>() => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do where even stderr is closed.
            let _ = writeln!(std::io::stderr(), "panda: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    let out = Output::new(cli.json);
    if let Command::Demo(args) = &cli.command {
        return demo::run(args, out);
    }
    let home = Home::locate(cli.home)?;
    if let Command::Init { only_copy } = cli.command {
        return commands::init(&home, only_copy, out);
    }
    let mut app = App { device: home.open()?, out, chosen: cli.festival };
    match &cli.command {
        Command::Serve(args) => return commands::transfer::serve(app, args),
        Command::Sync(args) => return commands::sync::sync(app, args),
        Command::Steward(args) if !args.once => return commands::transfer::steward(app),
        _ => {}
    }
    let done = commands::run(&mut app, &cli.command);
    // Whatever the command did, the home is closed cleanly; its own error is told first.
    let closed = app.device.close();
    done.and(closed)
}
