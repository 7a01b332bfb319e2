//! `panda serve`, `panda sync` and the steward that goes on: what runs while others are connected.

use std::{io, time::Duration};

use anyhow::{Context as _, Result, anyhow, bail};
use futures::StreamExt as _;
use p2panda_core::Replica;
use p2panda_sync::{
    Fault, Node, PeerFault, Role, Stats, SyncError, SyncEvent, TcpTransport, TokioClock,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use super::steward::describe;
use crate::{
    app::App,
    cli::{ServeArgs, SyncArgs},
    home::{self, Device, check_may_decide},
    output::{Output, count, grouped},
    stewarding::{Signed, Steward},
};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// Peers served at once; more have to wait until one has gone.
const LINKS: usize = 64;

/// Lets others sync with this home until it is told to stop.
pub(crate) fn serve(app: App, args: &ServeArgs) -> Result<()> {
    with_node(app, async |node, steward, out| {
        // From here on a signal ends it cleanly.
        let mut stop = Box::pin(stopped()?);
        let listener = TcpListener::bind(&args.listen).await.with_context(|| {
            format!("cannot listen on {}; take another --listen ADDRESS:PORT", args.listen)
        })?;
        let address = listener.local_addr().context("the address cannot be told")?;
        out.answer(&json!({"listening": address.to_string()}), || {
            format!("Listening on {address}; others meet you with `panda sync {address}`.")
        })?;
        let mut changes = node.changes();
        if args.steward && node.with(|replica| replica.may_decide()) {
            decide(&node, steward, out);
        } else if args.steward {
            out.note(
                "The steward waits until this home has synced once: it may not know all that its \
                 key promised.",
            );
        }
        let mut links = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut stop => return Ok(()),
                accepted = listener.accept(), if links.len() < LINKS => match accepted {
                    Ok((stream, peer)) => {
                        let name = peer.to_string();
                        match TcpTransport::new(stream) {
                            Ok(transport) => drop(links.spawn(link(node.clone(), transport, name, out))),
                            Err(error) => out.note(format_args!("{name}: {error}")),
                        }
                    }
                    Err(error) => {
                        out.note(format_args!("a connection was not accepted: {error}"));
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                },
                Some(_) = links.join_next(), if !links.is_empty() => {}
                Some(()) = changes.next(), if args.steward => {
                    if node.with(|replica| replica.may_decide()) {
                        decide(&node, steward, out);
                    }
                }
            }
        }
    })
}

/// One peer that came, for as long as it stays.
async fn link(node: Node, transport: TcpTransport, peer: String, out: Output) {
    let here = node.clone();
    let report = |event| match event {
        SyncEvent::CaughtUp { stats } => {
            out.note(format_args!("{peer}: {}", moved(&stats)));
            if let Err(error) = here.with(Replica::allow_decisions) {
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
    match node.run(transport, Role::Accept, report).await {
        Ok(_) | Err(SyncError::Interrupted) => {}
        Err(error) => out.note(format_args!("{peer}: {error}")),
    }
}

/// Exchanges everything with a peer, once.
pub(crate) fn sync(app: App, args: &SyncArgs) -> Result<()> {
    if app.device.replica.festivals()?.is_empty() {
        app.device.close()?;
        bail!("you take part in no festival; join one first with `panda festival join TICKET`");
    }
    with_node(app, async |node, _, out| {
        let address = &args.address;
        let transport = match TcpTransport::connect(address, CONNECT).await {
            Ok(transport) => transport,
            Err(error) => return Err(no_connection(error, address)),
        };
        let bar = out.progress("receiving");
        let stats = node
            .run(transport, Role::Sync, |event| {
                if let SyncEvent::Received { entries, .. } = event {
                    bar.inc_length(entries);
                    bar.inc(entries);
                }
            })
            .await;
        bar.finish_and_clear();
        let stats = stats.map_err(|error| explain(error, address))?;
        node.with(Replica::allow_decisions)?;
        let forked = stats.logs_cut + stats.logs_parted;
        if forked > 0 {
            out.note(format_args!(
                "{}: their author's key signed two versions of each; `panda doctor` says more",
                count(usize::try_from(forked).unwrap_or(usize::MAX), "log")
            ));
        }
        out.answer(&stats_json(&stats), || {
            let trips = usize::try_from(stats.round_trips).unwrap_or(usize::MAX);
            format!("{}, in {}.", moved(&stats), count(trips, "round trip"))
        })
    })
}

/// Decides until it is told to stop. The home is its own meanwhile.
pub(crate) fn steward(app: App) -> Result<()> {
    with_node(app, async |node, steward, out| {
        node.with(|replica| check_may_decide(replica))?;
        let stop = stopped()?;
        let mut changes = node.changes();
        decide(&node, steward, out);
        out.note("The steward waits. While it runs alone nothing arrives: `panda serve --steward` does both.");
        let watch = async {
            while changes.next().await.is_some() {
                decide(&node, steward, out);
            }
        };
        tokio::select! { () = stop => {}, () = watch => {} }
        Ok(())
    })
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
fn with_node(
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

fn stats_json(stats: &Stats) -> Value {
    json!({
        "round_trips": stats.round_trips,
        "bytes_sent": stats.bytes_sent,
        "bytes_received": stats.bytes_received,
        "segments_sent": stats.segments_sent,
        "segments_received": stats.segments_received,
    })
}

fn moved(stats: &Stats) -> String {
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

fn no_connection(error: io::Error, address: &str) -> anyhow::Error {
    use io::ErrorKind::{ConnectionRefused, InvalidInput, TimedOut};
    let advice = match error.kind() {
        InvalidInput => {
            format!("{address:?} is no address; write HOST:PORT, as in 192.168.1.7:7420")
        }
        ConnectionRefused => {
            format!("nobody serves at {address}; there, run `panda serve --listen ADDRESS:PORT`")
        }
        TimedOut => format!(
            "{address} does not answer within {} seconds; see that it is right, and that both \
             devices are on one network",
            CONNECT.as_secs()
        ),
        _ => format!("{address} cannot be reached"),
    };
    anyhow!(error).context(advice)
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
