//! What can be typed: commands, flags and their help.

mod planning;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{
    commands::blob::{BlobArgs, BlobCommand},
    demo::DemoArgs,
};

pub(crate) use planning::*;

/// Plan and hold a festival together, without a server.
///
/// Everything is kept in a home folder: your key, and what you hold of each festival. You can edit
/// offline; `serve` and `sync` bring you up to date with others.
#[derive(Debug, Parser)]
#[command(name = "panda", version, about, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// The home folder [default: the platform's folder for data]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,

    /// Print one JSON value on stdout; messages go to stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// The festival, by its id or a unique beginning of it [default: the only one]
    #[arg(long, global = true, value_name = "ID")]
    pub(crate) festival: Option<String>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Try it first:
  panda demo                          three peers plan a festival, in ten seconds

Then your own:
  panda init
  panda festival create \"Meadow Days\" --zone Europe/Berlin
  panda resource add \"Main stage\"
  panda event add \"Fire show\" --starts 2026-08-20T21:00 --for 1h --request \"Main stage\"
  panda serve --listen 0.0.0.0:7420 --steward

Events, resources and requests are named by id, by a unique beginning of it, or by title.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a home: a key and a store. On a home that is there already, say whose it is
    Init {
        /// Say that no other copy of this home is in use, so that it may promise your resources
        /// without having synced before
        #[arg(long)]
        only_copy: bool,
    },
    /// Who you are
    Whoami,
    /// Found, join and list festivals; tickets
    #[command(subcommand)]
    Festival(FestivalCommand),
    /// What can be requested: stages, projectors, helpers
    #[command(subcommand)]
    Resource(ResourceCommand),
    /// What happens
    #[command(subcommand)]
    Event(EventCommand),
    /// Ask for a resource for an event
    #[command(subcommand)]
    Request(RequestCommand),
    /// Answer requests for your resources, whatever their policies
    #[command(subcommand)]
    Decide(DecideCommand),
    /// Vote on requests for other people's resources, where their policies ask you
    #[command(subcommand)]
    Vote(DecideCommand),
    /// What is said of a request, why, and whose signatures that rests on
    Explain {
        /// Which request
        request: String,
    },
    /// What waits for you; with --event, who must still act for it
    Waiting {
        /// Which event
        #[arg(long)]
        event: Option<String>,
    },
    /// Decide for your resources whose policies do not ask you, for as long as it runs
    Steward(StewardArgs),
    /// The schedule, with how far each event is confirmed
    ///
    /// With --json a list of {id, title, starts, ends, zone, places, confirmation, conflicts}.
    /// `confirmation` counts the requests of the event's owner and editors: `requested` all of them but the
    /// withdrawn, `confirmed` and `tentative` those of them. `places` are titles of resources,
    /// `conflicts` the ids of the events that stand in the way. Cancelled events are left out.
    Schedule(ScheduleArgs),
    /// Bring in an archive, or a schedule in frab/c3voc JSON; once more to bring in its changes
    ///
    /// An archive, which `panda export --archive` writes, brings its festival along. With --json
    /// {festival, documents, entries, refused: [{at, why}]}: how many entries of logs are new here,
    /// and what of the file was refused, with its place in bytes.
    ///
    /// Of a schedule, with --json {events, resources, requests, conflicts, cancelled, skipped: [{where, why}]}:
    /// how many events, resources and requests of the file are there now, how many pairs of requests
    /// for one room overlap, how many events stand cancelled because the file has them no more, and
    /// what of the file was left out.
    Import(ImportArgs),
    /// Write the schedule as frab/c3voc JSON, or all of the festival as an archive
    Export(ExportArgs),
    /// Let others sync with this home, until ctrl-c
    Serve(ServeArgs),
    /// Exchange everything with a peer, or with all in the local network, once
    Sync(SyncArgs),
    /// What is held and does not count or show, and why: refused, waiting and cut logs, what cannot
    /// be read, blocked users
    ///
    /// With --json {may_decide, stopped: [{festival, log, author, why}], forks: [{festival, log,
    /// author, at, branches: [{end, entries}]}], malformed: [{festival, id, why}], blocked: [user, ...]}.
    Doctor,
    /// Who holds what you wrote, and since when; what nobody else holds yet; who was there last
    ///
    /// A device counts once it has acknowledged. With --json {documents: [{document, label, changes,
    /// unreplicated, holders: [{peer, since}]}], unfollowed, unreplicated, least_holders, since,
    /// share_on_two, peers: [{peer, last_contact, last_news, brought, meetings, behind}]}; times in
    /// milliseconds since 1970, the share in percent of the festival's documents.
    Health,
    /// Images and files of events and resources
    #[command(subcommand)]
    Blob(BlobCommand),
    /// Logs of which two versions were signed with one key: evidence, and writing yours again
    #[command(subcommand)]
    Fork(ForkCommand),
    /// Remove what a user wrote from this home, and take in nothing of that user any more
    Block {
        /// The user's id
        user: String,
        /// Take in again what the user writes
        #[arg(long)]
        undo: bool,
    },
    /// Remove what a user wrote from this home; whoever has it may bring it back
    Forget {
        /// The user's id
        user: String,
    },
    /// One hash of all logs held, and one of what they amount to; peers that agree have the same
    Fingerprint,
    /// Three peers, one contested stage: see it work
    Demo(DemoArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum FestivalCommand {
    /// Found a festival; prints its ticket
    Create(CreateArgs),
    /// Join a festival with a ticket
    Join {
        /// The ticket: it starts with "panda1"
        ticket: String,
        /// How you want to be called there
        #[arg(long = "as", value_name = "NAME")]
        name: Option<String>,
    },
    /// The festivals that you take part in
    List,
    /// The ticket of a festival, to pass on
    Ticket,
    /// How much of a festival is kept here, and whether festivals that it names are joined too
    ///
    /// With --json {festival, documents, depth, joined: [festival, ...]}; `documents` is null where
    /// all are kept.
    Follow(FollowArgs),
    /// Name another festival as a part of this one
    Link(LinkArgs),
    /// Leave a festival and remove all of it from this home, your own part too
    Leave,
}

#[derive(Debug, Args)]
pub(crate) struct FollowArgs {
    /// Join festivals that the founder names, those that they name, and so on, this deep; 0 for none
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=8))]
    pub(crate) depth: Option<u8>,
    /// Keep only what this user wrote, as far as it is known here, besides what the founder says of
    /// the festival and what you write; the rest is removed. May be repeated
    #[arg(long, value_name = "USER", conflicts_with = "all")]
    pub(crate) only: Vec<String>,
    /// Keep all of it again
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LinkArgs {
    /// The other festival's ticket
    pub(crate) ticket: String,
    /// What it is called here
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) title: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ForkCommand {
    /// Write down the proof that an author's key signed two versions of a log
    Evidence {
        /// The log, by a unique beginning of its id
        log: String,
        /// The file to write
        file: PathBuf,
    },
    /// Check such a proof; it needs no festival and no network
    Check {
        /// The file
        file: PathBuf,
    },
    /// Write again what a fork cut off a log of yours, because your key was stolen or this device
    /// was set back
    Reissue {
        /// The log, by a unique beginning of its id
        log: String,
        /// Which branch, by the beginning of its end [default: the only one]
        #[arg(long, value_name = "END")]
        branch: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Its title
    pub(crate) title: String,
    /// Its time zone, as in Europe/Berlin [default: this computer's]
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// When it starts
    #[arg(long, value_name = "TIME")]
    pub(crate) starts: Option<String>,
    /// When it ends
    #[arg(long, value_name = "TIME")]
    pub(crate) ends: Option<String>,
    /// Where it takes place
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) place: String,
    /// A description
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) description: String,
    /// How you want to be called there
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StewardArgs {
    /// One pass, then end
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ScheduleArgs {
    /// Only this day, as in 2026-08-20; it ends at six in the next morning
    #[arg(long, value_name = "DATE")]
    pub(crate) day: Option<String>,
    /// Only this place
    #[arg(long, value_name = "RESOURCE")]
    pub(crate) place: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file
    pub(crate) file: PathBuf,
    /// The schedule's time zone, whatever the file says
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// Say on stderr, line by line, how much is stored for good
    #[arg(long, hide = true)]
    pub(crate) acknowledge: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Write all that is held of the festival, with every signature, to be imported elsewhere
    #[arg(long)]
    pub(crate) archive: bool,
    /// The file to write, or - for stdout
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen, as in 0.0.0.0:7420; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7420")]
    pub(crate) listen: String,
    /// Listen for WebSocket connections too, as in 0.0.0.0:7421
    #[arg(long, value_name = "ADDR")]
    pub(crate) websocket: Option<String>,
    /// Do not tell the local network that you are here. What it is told is a random name and the
    /// address: no festival, and not who you are
    #[arg(long)]
    pub(crate) no_lan: bool,
    /// Decide for your first-come resources as requests come in
    #[arg(long)]
    pub(crate) steward: bool,
    #[command(flatten)]
    pub(crate) blobs: BlobArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    /// Where the peer listens, as in 192.168.1.7:7420 or ws://192.168.1.7:7421
    #[arg(required_unless_present = "lan")]
    pub(crate) address: Option<String>,
    /// Exchange everything with all that serve in the local network
    #[arg(long, conflicts_with = "address")]
    pub(crate) lan: bool,
    #[command(flatten)]
    pub(crate) blobs: BlobArgs,
}
