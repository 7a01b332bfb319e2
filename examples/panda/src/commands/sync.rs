//! `panda sync`: one exchange with a peer, or with all that the local network has.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use futures::StreamExt as _;
use indicatif::ProgressBar;
use p2panda_sync::{
    Fault, LanPeer, LanSearch, LinkKey, Node, PeerFault, Role, Stats, SyncError, SyncEvent,
};
use serde_json::{Value, json};

use super::transfer::{moved, stats_json, with_node};
use crate::{
    app::App,
    cli::SyncArgs,
    home::allow_decisions,
    links::{self, Link},
    output::{Output, count},
};

/// How long the local network is asked who is there.
const SEARCH: Duration = Duration::from_secs(4);
/// Exchanges at once.
const AT_ONCE: usize = 8;

/// Exchanges everything, once.
pub(crate) fn sync(app: App, args: &SyncArgs) -> Result<()> {
    if app.device.replica.festivals()?.is_empty() {
        app.device.close()?;
        bail!("you take part in no festival; join one first with `panda festival join TICKET`");
    }
    let home = app.device.home.clone();
    with_node(app, async |node, _, out| {
        node.fetch_blobs(args.blobs.policy());
        let key = home.link_key()?;
        let bar = out.progress("receiving");
        let before = node.with(|replica| replica.festivals())?.len();
        let done = match &args.address {
            Some(address) => sync_with(&node, address, &key, &bar).await.map(Answer::One),
            None => sync_all(&node, &key, &bar, out).await,
        };
        bar.finish_and_clear();
        let answer = done?;
        let more = node.with(|replica| replica.festivals())?.len().saturating_sub(before);
        if more > 0 {
            out.note(format_args!(
                "you take part in {} more that these name; sync again for what is in them",
                count(more, "festival")
            ));
        }
        let forked = |stats: &Stats| stats.logs_cut + stats.logs_parted;
        let parted = answer.all().map(|(_, stats)| forked(stats)).sum::<u64>();
        if parted > 0 {
            out.note(format_args!(
                "{}: their author's key signed two versions of each; `panda doctor` says more",
                count(usize::try_from(parted).unwrap_or(usize::MAX), "log")
            ));
        }
        out.answer(&answer.json(), || answer.text())
    })
}

/// What was exchanged: with the peer that was named, or with all that were found.
enum Answer {
    One(Stats),
    Lan { peers: Vec<(String, Stats)>, failed: Vec<(String, String)> },
}

impl Answer {
    fn all(&self) -> impl Iterator<Item = (&str, &Stats)> {
        let (one, peers) = match self {
            Self::One(stats) => (Some(("", stats)), &[][..]),
            Self::Lan { peers, .. } => (None, &peers[..]),
        };
        one.into_iter().chain(peers.iter().map(|(address, stats)| (address.as_str(), stats)))
    }

    fn json(&self) -> Value {
        let peer = |address: &str, stats: &Stats| {
            let mut value = stats_json(stats);
            value["address"] = json!(address);
            value
        };
        match self {
            Self::One(stats) => stats_json(stats),
            Self::Lan { failed, .. } => json!({
                "peers": self.all().map(|(address, stats)| peer(address, stats)).collect::<Vec<_>>(),
                "failed": failed
                    .iter()
                    .map(|(address, why)| json!({"address": address, "why": why}))
                    .collect::<Vec<_>>(),
            }),
        }
    }

    fn text(&self) -> String {
        let line = |(address, stats): (&str, &Stats)| {
            let trips = usize::try_from(stats.round_trips).unwrap_or(usize::MAX);
            let peer = if address.is_empty() { String::new() } else { format!("{address}: ") };
            format!("{peer}{}, in {}.", moved(stats), count(trips, "round trip"))
        };
        self.all().map(line).collect::<Vec<_>>().join("\n")
    }
}

async fn sync_with(node: &Node, address: &str, key: &LinkKey, bar: &ProgressBar) -> Result<Stats> {
    let link = links::connect(address, key).await?;
    exchange(node, link, bar).await.map_err(|error| explain(error, address))
}

/// Exchanges with everybody who is found; that some of them fail ends nothing.
async fn sync_all(node: &Node, key: &LinkKey, bar: &ProgressBar, out: Output) -> Result<Answer> {
    let search = LanSearch::new()
        .context("the local network cannot be searched; name a peer: `panda sync ADDRESS`")?;
    let one = async |peer: LanPeer| {
        let address = peer.addresses.first().map(ToString::to_string).unwrap_or_default();
        let done = async {
            let link = links::connect_to_any(&peer.addresses, key).await?;
            exchange(node, link, bar).await.map_err(|error| explain(error, &address))
        };
        let done = done.await;
        (address, done)
    };
    let search = search.take_until(tokio::time::sleep(SEARCH));
    let mut exchanges = std::pin::pin!(search.map(one).buffer_unordered(AT_ONCE));
    let (mut peers, mut failed) = (Vec::new(), Vec::new());
    while let Some((address, done)) = exchanges.next().await {
        match done {
            Ok(stats) => peers.push((address, stats)),
            Err(error) => {
                out.note(format_args!("{error:#}"));
                failed.push((address, format!("{error:#}")));
            }
        }
    }
    match (peers.is_empty(), failed.len()) {
        (true, 0) => bail!(
            "nobody was found in the local network within {} seconds. There, `panda serve --listen \
             0.0.0.0:7420` has to run; networks for guests often let devices not see each other",
            SEARCH.as_secs()
        ),
        (true, found) => bail!(
            "with none of the {} found in the local network anything could be exchanged",
            count(found, "peer")
        ),
        _ => Ok(Answer::Lan { peers, failed }),
    }
}

async fn exchange(node: &Node, link: Link, bar: &ProgressBar) -> Result<Stats, SyncError> {
    let mut synced = Vec::new();
    let observe = |event| match event {
        SyncEvent::CaughtUp { own, .. } => synced = own,
        SyncEvent::Received { entries, .. } => {
            bar.inc_length(entries);
            bar.inc(entries);
        }
        _ => {}
    };
    let stats = node.run(link, Role::Sync, observe).await?;
    node.with(|replica| allow_decisions(replica, &synced))?;
    Ok(stats)
}

fn explain(error: SyncError, address: &str) -> anyhow::Error {
    let advice = match &error {
        SyncError::Peer(
            PeerFault::TooLarge { .. } | PeerFault::Message(_) | PeerFault::Unexpected(_),
        ) => {
            format!("{address} does not speak as a panda does; is another program behind it?")
        }
        SyncError::NoFestivalInCommon => format!(
            "{address} takes part in none of your festivals; one of you has to join with the \
             other's ticket (`panda festival ticket`)"
        ),
        SyncError::Interrupted => format!(
            "{address} closed before everything was exchanged. If a panda serves there, sync \
             again: it goes on where it was"
        ),
        SyncError::Stalled { .. } => {
            format!(
                "{address} has stopped answering. Is it a panda? What was received is stored; try again"
            )
        }
        SyncError::Busy { .. } => format!("{address} serves others; what was received is stored"),
        SyncError::Version { .. } => format!("{address} has another version of panda"),
        _ if error.fault() == Fault::Own => "the exchange failed on this side".to_owned(),
        _ => format!("the exchange with {address} failed; what was received is stored"),
    };
    anyhow!(error).context(advice)
}
