//! `panda health`: who holds what you wrote.

use anyhow::Result;
use jiff::tz::TimeZone;
use p2panda_core::{LinkId, schema::Instant};
use p2panda_sync::{Health, PeerHealth, PeerId};
use serde_json::{Value, json};

use crate::{
    app::{App, short},
    output::{Table, count, grouped},
    time,
};

/// How many other devices are told apart in the festival-wide figure.
const ENOUGH: usize = 2;

pub(super) fn run(app: &App) -> Result<()> {
    let health = Health::of(&app.device.replica, app.festival()?)?;
    let zone = TimeZone::system();
    app.out.answer(&to_json(&health), || {
        let mut lines = vec![summary(&health, &zone)];
        if health.unfollowed > 0 {
            let more = count(health.unfollowed, "more document");
            lines.push(format!("{more} of yours are too many to be followed."));
        }
        if let Some(share) = health.share_held_by(ENOUGH) {
            lines.push(format!(
                "Of the festival's documents, as you hold them, {share}% are on at least {ENOUGH} \
                 other devices."
            ));
        }
        lines.extend(peers(&health.peers, &zone));
        lines.join("\n")
    })
}

fn summary(health: &Health, zone: &TimeZone) -> String {
    if health.documents.is_empty() {
        return "You have written nothing here yet.".to_owned();
    }
    let documents = format!("Your {}", count(health.documents.len(), "document"));
    let unreplicated = usize::try_from(health.unreplicated()).unwrap_or(usize::MAX);
    let rest = match unreplicated {
        0 => "everything is replicated".to_owned(),
        some => format!("{} not replicated yet", count(some, "change")),
    };
    let held = match health.least_holders() {
        0 => "not all held by another device as they are now".to_owned(),
        least => {
            let since = health.since(least).map(|since| format!(" since {}", moment(since, zone)));
            let devices = count(least, "other device");
            format!("held by at least {devices}{}", since.unwrap_or_default())
        }
    };
    format!("{documents}: {held}; {rest}.")
}

fn peers(peers: &[PeerHealth], zone: &TimeZone) -> Vec<String> {
    if peers.is_empty() {
        return vec!["No exchange with anybody has come to its end yet.".to_owned()];
    }
    let when = |at: Option<Instant>| at.map_or_else(|| "-".to_owned(), |at| moment(at, zone));
    let mut table = Table::default();
    table.row(
        ["device", "in touch", "brought something", "brought", "lacks of yours"].map(Into::into),
    );
    for peer in peers {
        table.row([
            name(&peer.peer),
            when(peer.last_contact),
            when(peer.last_news),
            grouped(peer.brought),
            grouped(peer.behind),
        ]);
    }
    vec![String::new(), table.render("")]
}

/// The beginning of a device's link key.
fn name(peer: &PeerId) -> String {
    short(LinkId::from_bytes(*peer.as_bytes()))
}

fn moment(at: Instant, zone: &TimeZone) -> String {
    let today = time::day(time::now(), zone) == time::day(at, zone);
    if today { time::clock(at, zone) } else { time::date_and_clock(at, zone) }
}

fn to_json(health: &Health) -> Value {
    let peer = |peer: &PeerId| LinkId::from_bytes(*peer.as_bytes()).to_string();
    let millis = |at: Option<Instant>| at.map(Instant::millis);
    let documents: Vec<Value> = health
        .documents
        .iter()
        .map(|document| {
            let holders = document.holders.iter();
            let holders =
                holders.map(|held| json!({"peer": peer(&held.peer), "since": millis(held.since)}));
            json!({
                "document": document.document,
                "label": document.label,
                "changes": document.entries,
                "unreplicated": document.unreplicated,
                "holders": holders.collect::<Vec<_>>(),
            })
        })
        .collect();
    let peers: Vec<Value> = health
        .peers
        .iter()
        .map(|known| {
            json!({
                "peer": peer(&known.peer),
                "last_contact": millis(known.last_contact),
                "last_news": millis(known.last_news),
                "brought": known.brought,
                "meetings": known.meetings,
                "behind": known.behind,
            })
        })
        .collect();
    json!({
        "documents": documents,
        "unfollowed": health.unfollowed,
        "unreplicated": health.unreplicated(),
        "least_holders": health.least_holders(),
        "since": millis(health.since(health.least_holders())),
        "share_on_two": health.share_held_by(ENOUGH),
        "peers": peers,
    })
}
