//! `panda serve` and the steward that goes on: what runs while others are connected.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use p2panda_core::Replica;
use p2panda_sync::{Announcement, LinkKey, Node, Role, Stats, SyncError, SyncEvent, TokioClock};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::steward::describe;
use crate::{
    app::App,
    cli::ServeArgs,
    home::{self, Device, allow_decisions, check_may_decide},
    links::{Caller, Listeners},
    output::{Output, grouped},
    stewarding::{Signed, Steward},
};

/// How often a steward looks whether the time of a draw has come.
const LOOK: Duration = Duration::from_secs(15);
/// Peers served at once; more have to wait until one has gone.
const LINKS: usize = 64;

/// Lets others sync with this home until it is told to stop.
pub(crate) fn serve(app: App, args: &ServeArgs) -> Result<()> {
    let home = app.device.home.clone();
    with_node(app, async |node, steward, out| {
        node.fetch_blobs(args.blobs.policy());
        let key = home.link_key()?;
        // From here on a signal ends it cleanly.
        let mut stop = Box::pin(stopped()?);
        let listeners = Listeners::bind(args).await?;
        let (address, websocket) = listeners.addresses()?;
        let mut answer = json!({"listening": address.to_string()});
        if let Some(websocket) = websocket {
            answer["websocket"] = json!(websocket.to_string());
        }
        // Until the end of this function.
        let _announced = if args.no_lan { None } else { announce(address, out) };
        out.answer(&answer, || {
            let others = websocket.map_or_else(String::new, |it| format!(" or ws://{it}"));
            format!("Listening on {address}; others meet you with `panda sync {address}`{others}.")
        })?;
        let mut changes = node.changes();
        if args.steward {
            decide(&node, steward, out);
            if node.with(|replica| waits_in_some(replica))? {
                out.note(
                    "The steward waits in some festivals until this home has synced them once: it \
                     may not know all that its key promised there.",
                );
            }
        }
        let mut links = JoinSet::new();
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                accepted = listeners.accept(), if links.len() < LINKS => match accepted {
                    Ok(caller) => drop(links.spawn(link(node.clone(), caller, key.clone(), out))),
                    Err(error) => {
                        out.note(format_args!("a connection was not accepted: {error}"));
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                },
                Some(_) = links.join_next(), if !links.is_empty() => {}
                Some(()) = changes.next(), if args.steward => decide(&node, steward, out),
                _ = look.tick(), if args.steward => decide(&node, steward, out),
            }
        }
    })
}

/// Tells the local network where this home is served. Where it cannot be told, peers still connect
/// to the address.
fn announce(address: SocketAddr, out: Output) -> Option<Announcement> {
    let announced = home::rng()
        .and_then(|mut rng| Announcement::new(address, &mut rng).map_err(anyhow::Error::from));
    announced
        .inspect_err(|error| out.note(format_args!("not announced in the local network: {error}")))
        .ok()
}

/// One peer that came, for as long as it stays.
async fn link(node: Node, caller: Caller, key: LinkKey, out: Output) {
    let peer = caller.address;
    let link = match caller.link(&key).await {
        Ok(link) => link,
        Err(error) => return out.note(format_args!("{peer}: {error}")),
    };
    let here = node.clone();
    let report = |event| match event {
        SyncEvent::CaughtUp { stats, own } => {
            out.note(format_args!("{peer}: {}", moved(&stats)));
            if let Err(error) = here.with(|replica| allow_decisions(replica, &own)) {
                out.note(format_args!("{error}"));
            }
        }
        SyncEvent::Cut { log, .. } | SyncEvent::Parted { log, .. } => {
            out.note(format_args!(
                "{peer}: two versions of log {log:?} were signed; `panda doctor` says more"
            ));
        }
        _ => {}
    };
    match node.run(link, Role::Accept, report).await {
        Ok(_) | Err(SyncError::Interrupted) => {}
        Err(error) => out.note(format_args!("{peer}: {error}")),
    }
}

/// Decides until it is told to stop. The home is its own meanwhile.
pub(crate) fn steward(app: App) -> Result<()> {
    with_node(app, async |node, steward, out| {
        node.with(|replica| check_may_decide(replica, None))?;
        let stop = stopped()?;
        let mut changes = node.changes();
        decide(&node, steward, out);
        out.note("The steward waits. While it runs alone nothing arrives: `panda serve --steward` does both.");
        let watch = async {
            let mut look = tokio::time::interval(LOOK);
            loop {
                tokio::select! {
                    changed = changes.next() => if changed.is_none() { return },
                    _ = look.tick() => {}
                }
                decide(&node, steward, out);
            }
        };
        tokio::select! { () = stop => {}, () = watch => {} }
        Ok(())
    })
}

/// Whether there are festivals in which the steward may not decide yet.
fn waits_in_some(replica: &Replica) -> Result<bool> {
    Ok(replica.festivals()?.iter().any(|festival| !replica.may_decide(festival.id())))
}

/// A run of the steward; its failure ends nothing else.
fn decide(node: &Node, steward: &mut Steward, out: Output) {
    match node.with(|replica| steward.run(replica, None, |_, _| {})) {
        Ok(signed) if signed == Signed::default() => {}
        Ok(signed) => out.note(describe(signed)),
        Err(error) => out.note(format_args!("the steward could not decide: {error:#}")),
    }
}

/// Runs on a node of the open home, and closes the home cleanly in every case.
pub(super) fn with_node(
    app: App,
    run: impl AsyncFnOnce(Node, &mut Steward, Output) -> Result<()>,
) -> Result<()> {
    let App { device: Device { home, replica, rng }, out, .. } = app;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the system gives no network runtime")?;
    let mut steward = Steward::new(home.clone(), home::rng()?);
    let node = Node::new(replica, TokioClock::default(), home::rng()?);
    let done = runtime.block_on(run(node.clone(), &mut steward, out));
    // Ends whatever links are left; each shares the node.
    drop(runtime);
    let closed = match node.into_replica() {
        Some(replica) => Device { home, replica, rng }.close(),
        None => Ok(()),
    };
    done.and(closed)
}

/// Ready when the process is asked to end: ctrl-c, or SIGTERM.
#[cfg(unix)]
fn stopped() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = "signals cannot be received";
    let mut interrupt = signal(SignalKind::interrupt()).context(failed)?;
    let mut terminate = signal(SignalKind::terminate()).context(failed)?;
    Ok(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    })
}

/// Ready when the process is asked to end: ctrl-c.
#[cfg(not(unix))]
fn stopped() -> Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}

pub(super) fn stats_json(stats: &Stats) -> Value {
    json!({
        "round_trips": stats.round_trips,
        "bytes_sent": stats.bytes_sent,
        "bytes_received": stats.bytes_received,
        "segments_sent": stats.segments_sent,
        "segments_received": stats.segments_received,
    })
}

pub(super) fn moved(stats: &Stats) -> String {
    if stats.segments_sent == 0 && stats.segments_received == 0 {
        let bytes = grouped(stats.bytes_sent + stats.bytes_received);
        return format!("Nothing new on either side ({bytes} bytes)");
    }
    format!(
        "Sent {} segments with {} entries ({} bytes), received {} segments with {} new entries ({} bytes)",
        grouped(stats.segments_sent),
        grouped(stats.entries_sent),
        grouped(stats.bytes_sent),
        grouped(stats.segments_received),
        grouped(stats.entries_received),
        grouped(stats.bytes_received),
    )
}
