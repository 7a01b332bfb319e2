//! One of the demo's three people: a home of their own, shared as a node.

use std::path::Path;

use anyhow::{Context as _, Result};
use p2panda_core::{
    Edit, Festival, FestivalId, Replica,
    schema::{Instant, Profile},
};
use p2panda_sync::{LinkKey, Node, NoiseTcp, Role, Stats, TokioClock};
use rand_chacha::ChaCha20Rng;
use tokio::net::TcpListener;

use crate::{
    home::{self, Device, Home},
    stewarding::{Signed, Steward},
};

pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) node: Node,
    link_key: LinkKey,
    rng: ChaCha20Rng,
    steward: Steward,
}

/// What a meeting cost, both sides together.
pub(super) struct Meeting {
    pub(super) between: String,
    pub(super) round_trips: u64,
    pub(super) bytes: u64,
    pub(super) segments: u64,
    pub(super) entries: u64,
    pub(super) signatures: u64,
}

impl Peer {
    /// Somebody new, with a key and a store of their own below `folder`.
    pub(super) fn new(name: &'static str, folder: &Path) -> Result<Self> {
        let home = Home::locate(Some(folder.join(name.to_lowercase())))?;
        let (Device { home, replica, rng }, _) = home.init()?;
        let node = Node::new(replica, TokioClock::default(), home::rng()?);
        let link_key = home.link_key()?;
        Ok(Self { name, node, link_key, rng, steward: Steward::new(home, home::rng()?) })
    }

    pub(super) fn with<T>(&mut self, act: impl FnOnce(&mut Replica, &mut ChaCha20Rng) -> T) -> T {
        let rng = &mut self.rng;
        self.node.with(|replica| act(replica, rng))
    }

    pub(super) fn edit<T>(
        &mut self,
        festival: FestivalId,
        now: Instant,
        change: impl FnOnce(&mut Edit<'_>) -> Result<T>,
    ) -> Result<T> {
        self.with(|replica, rng| replica.edit(festival, now, rng, change))
    }

    /// Takes part, under the peer's name.
    pub(super) fn join(&mut self, festival: &Festival, now: Instant) -> Result<()> {
        self.with(|replica, _| replica.join(festival))?;
        let profile = Profile { name: self.name.to_owned(), about: String::new() };
        let local = "profile".parse()?;
        self.edit(festival.id(), now, |edit| Ok(edit.put(&local, &profile)?))?;
        Ok(())
    }

    /// Signs what its resources' policies say.
    pub(super) fn decide(&mut self, progress: impl FnMut(usize, usize)) -> Result<Signed> {
        let steward = &mut self.steward;
        self.node.with(|replica| steward.run(replica, None, progress))
    }

    /// Logs and view, each as one hash.
    pub(super) fn fingerprints(&mut self) -> Result<([u8; 32], [u8; 32])> {
        self.with(|replica, _| Ok((replica.fingerprint_logs()?, replica.fingerprint_view()?)))
    }
}

/// Two peers meet over TCP, encrypted: one listens, the other calls.
pub(super) async fn meet(caller: &Peer, listener: &Peer) -> Result<Meeting> {
    let between = format!("{} ⇄ {}", caller.name, listener.name);
    let failed = || format!("the meeting {between} failed");
    let socket = TcpListener::bind("127.0.0.1:0").await.with_context(failed)?;
    let address = socket.local_addr().with_context(failed)?;
    let calls = async {
        let link = NoiseTcp::connect(address, &caller.link_key, &mut home::rng()?).await;
        caller.node.run(link.with_context(failed)?, Role::Sync, |_| ()).await.with_context(failed)
    };
    let listens = async {
        let (stream, _) = socket.accept().await.with_context(failed)?;
        let link = NoiseTcp::accept(stream, &listener.link_key, &mut home::rng()?).await;
        listener.node.accept(link.with_context(failed)?).await.with_context(failed)
    };
    let (theirs, ours): (Stats, Stats) = tokio::try_join!(calls, listens)?;
    Ok(Meeting {
        round_trips: theirs.round_trips,
        bytes: theirs.bytes_sent + theirs.bytes_received,
        segments: theirs.segments_sent + theirs.segments_received,
        entries: theirs.entries_received + ours.entries_received,
        signatures: theirs.signatures_checked + ours.signatures_checked,
        between,
    })
}
