//! What can be typed about resources, events, requests and decisions.

use clap::{Args, Subcommand};
use p2panda_core::UserId;

#[derive(Debug, Subcommand)]
pub(crate) enum ResourceCommand {
    /// Offer something
    Add {
        /// What it is called
        title: String,
        #[command(flatten)]
        data: ResourceData,
    },
    /// Change a resource of yours; what is not named stays as it is
    Edit {
        /// Which one
        resource: String,
        /// Its new title
        #[arg(long)]
        title: Option<String>,
        #[command(flatten)]
        data: ResourceData,
    },
    /// One resource with its slots, and what deserves telling about its decisions
    Show {
        /// Which one
        resource: String,
    },
    /// What is offered, by whom
    List,
}

#[derive(Debug, Args)]
pub(crate) struct ResourceData {
    /// The rule by which it is given away [default: first-come]
    ///
    /// One of manual, first-come, majority(A, B, C), 2 of (A, B, C), 2 of anyone,
    /// unless-conflict(POLICY), all(POLICY, ...), any(POLICY, ...), otherwise(POLICY, POLICY),
    /// token(RESOURCE), draw(TIME). Voters are named by their names or ids.
    #[arg(long)]
    pub(crate) policy: Option<String>,
    /// How many units there are at any moment [default: 1]
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) capacity: Option<i64>,
    /// How many units are needed at least, as for a shift
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) minimum: Option<i64>,
    /// Units are used up, as money and drinks are
    #[arg(long)]
    pub(crate) consumable: bool,
    /// What there are units of, as in EUR
    #[arg(long)]
    pub(crate) unit: Option<String>,
    /// How much of it one unit is, as in 10
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) unit_amount: Option<i64>,
    /// How long it is in use before each use, as in 30m
    #[arg(long, value_name = "DURATION")]
    pub(crate) buffer_before: Option<String>,
    /// How long it is in use after each use
    #[arg(long, value_name = "DURATION")]
    pub(crate) buffer_after: Option<String>,
    /// When it can be used, as in 2026-08-20T10:00..2026-08-20T22:00; may be repeated
    #[arg(long, value_name = "FROM..TO")]
    pub(crate) available: Vec<String>,
    /// A time for which it can be requested, and nothing in between; may be repeated
    #[arg(long = "slot", value_name = "FROM..TO")]
    pub(crate) slots: Vec<String>,
    /// A description
    #[arg(long)]
    pub(crate) description: Option<String>,
    /// A word to find it by; may be repeated
    #[arg(long = "tag", value_name = "WORD")]
    pub(crate) tags: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EventCommand {
    /// Plan an event
    Add {
        /// Its title
        title: String,
        #[command(flatten)]
        when: When,
        #[command(flatten)]
        texts: Texts,
        /// A resource to request for its whole time; may be repeated
        #[arg(long = "request", value_name = "RESOURCE")]
        requests: Vec<String>,
    },
    /// Change an event of yours; what is not named stays as it is
    Edit {
        /// Which one
        event: String,
        /// Its new title
        #[arg(long)]
        title: Option<String>,
        #[command(flatten)]
        when: When,
        #[command(flatten)]
        texts: Texts,
        /// Call it off; it stays visible
        #[arg(long, conflicts_with = "revive")]
        cancel: bool,
        /// It takes place after all
        #[arg(long)]
        revive: bool,
        /// Let this user change it too
        #[arg(long, value_name = "USER")]
        add_editor: Vec<UserId>,
        /// This user changes it no more; what the user changed of it stays as it is
        #[arg(long, value_name = "USER")]
        remove_editor: Vec<UserId>,
    },
    /// All events, those without a time and the cancelled ones too
    List,
}

#[derive(Debug, Args)]
pub(crate) struct When {
    /// When it starts: 2026-08-20T14:00, or with an offset
    #[arg(long, value_name = "TIME")]
    pub(crate) starts: Option<String>,
    /// When it ends
    #[arg(long, value_name = "TIME", conflicts_with = "duration")]
    pub(crate) ends: Option<String>,
    /// How long it takes, as in 1h30m
    #[arg(long = "for", value_name = "DURATION")]
    pub(crate) duration: Option<String>,
    /// The time zone of these times [default: the festival's]
    #[arg(long)]
    pub(crate) zone: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Texts {
    /// A short text
    #[arg(long)]
    pub(crate) summary: Option<String>,
    /// A long text
    #[arg(long)]
    pub(crate) description: Option<String>,
    /// The language it is held in, as in en
    #[arg(long)]
    pub(crate) language: Option<String>,
    /// Somebody who takes part; may be repeated
    #[arg(long = "person", value_name = "NAME")]
    pub(crate) people: Vec<String>,
    /// A word to find it by; may be repeated
    #[arg(long = "tag", value_name = "WORD")]
    pub(crate) tags: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RequestCommand {
    /// Ask for a resource
    Add {
        /// For which event
        event: String,
        /// Which resource
        resource: String,
        /// How many units
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
        units: i64,
        /// From when [default: the event's start]
        #[arg(long, value_name = "TIME")]
        starts: Option<String>,
        /// Until when [default: the event's end]
        #[arg(long, value_name = "TIME")]
        ends: Option<String>,
        /// A word to the owner
        #[arg(long, default_value = "", hide_default_value = true)]
        note: String,
    },
    /// Take a request of yours back, for ever
    Withdraw {
        /// Which one
        request: String,
        /// Why
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Requests, what is said of them and why
    List {
        /// Only those for this event
        #[arg(long)]
        event: Option<String>,
        /// Only those for this resource
        #[arg(long)]
        resource: Option<String>,
        /// Only those that wait for your answer
        #[arg(long)]
        mine: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DecideCommand {
    /// Promise the resource
    Confirm(DecideArgs),
    /// Refuse it
    Deny(DecideArgs),
    /// Take your answer back; promised units are free again
    Release(DecideArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// Which request
    pub(crate) request: String,
    /// Why, or under which conditions
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
}
