//! The independent model: what a naive exchange of everything comes to, without any session, and
//! what two peers have to have in common.

use std::collections::{BTreeMap, BTreeSet};

use p2panda_core::{
    AcceptError, Accepted, DocumentId, FestivalId, Identity, LogId, Replica, Tip, UserId,
    store::{MemoryStore, NoResume},
};

use super::{
    check::store,
    world::{Broken, World},
};

/// What there is, each entry counted once.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) logs: u64,
    pub(super) entries: u64,
    pub(super) bytes: u64,
}

/// A festival's logs, each with where it is cut, but for those of some users.
pub(super) fn logs(
    replica: &Replica,
    festival: FestivalId,
    but: &BTreeSet<UserId>,
) -> Result<BTreeMap<LogId, (Tip, bool)>, Broken> {
    let mut logs = BTreeMap::new();
    for (log, tip) in replica.logs(festival).map_err(store)? {
        if counts(replica, &log.document, but)? {
            logs.insert(log, (tip, false));
        }
    }
    for fork in replica.forks(festival).map_err(store)? {
        if let Some((_, cut)) = logs.get_mut(&fork.log) {
            *cut = true;
        }
    }
    Ok(logs)
}

/// One hash of a festival's logs, but for those of some users.
pub(super) fn logs_hash(
    replica: &Replica,
    festival: FestivalId,
    but: &BTreeSet<UserId>,
) -> Result<[u8; 32], Broken> {
    let mut hasher = blake3::Hasher::new();
    for (log, (tip, cut)) in logs(replica, festival, but)? {
        hasher.update(&log.to_bytes()).update(&tip.length.to_be_bytes());
        hasher.update(tip.chain.as_bytes()).update(&[u8::from(cut)]);
    }
    Ok(*hasher.finalize().as_bytes())
}

/// One hash of what a festival's view shows, read through its public questions, but for what some
/// users wrote.
pub(super) fn view_hash(
    replica: &Replica,
    festival: FestivalId,
    but: &BTreeSet<UserId>,
) -> Result<[u8; 32], Broken> {
    let view = replica.view(festival);
    let mut rows = BTreeMap::new();
    for (_, id) in view.changes(0, usize::MAX).map_err(store)? {
        if counts(replica, &id.document, but)? {
            let fields = view.fields(&id).map_err(store)?;
            let record = view.record(&id).map_err(store)?;
            if fields.is_some() || record.is_some() {
                rows.insert(id, format!("{fields:?} {record:?}"));
            }
        }
    }
    let mut hasher = blake3::Hasher::new();
    for (id, row) in rows {
        hasher.update(id.to_string().as_bytes()).update(&[0]);
        hasher.update(row.as_bytes()).update(&[0]);
    }
    Ok(*hasher.finalize().as_bytes())
}

fn counts(replica: &Replica, id: &DocumentId, but: &BTreeSet<UserId>) -> Result<bool, Broken> {
    if but.is_empty() {
        return Ok(true);
    }
    let descriptor = replica.descriptor(id).map_err(store)?;
    Ok(descriptor.is_none_or(|descriptor| !but.contains(&descriptor.user)))
}

/// Hands everything of a festival over that one replica serves and the other lacks.
fn hand_over(from: &Replica, to: &mut Replica, festival: FestivalId) -> Result<(), Broken> {
    let refused = |error: AcceptError| format!("a naive exchange failed: {error}");
    for (log, tip) in from.logs(festival).map_err(store)? {
        let descriptor = from.descriptor(&log.document).map_err(store)?;
        let descriptor = descriptor.ok_or("a log's document is unknown")?;
        let held = to.held(&log).map_err(store)?;
        let common = held.map_or(0, |held| held.length.min(tip.length));
        let same = from.chain_at(&log, common).map_err(store)?
            == to.chain_at(&log, common).map_err(store)?;
        // Where the chains part, all is offered again, so that the parting is met.
        let mut at = if same { common } else { 0 };
        while let Some(segment) = from.segment(&log, at).map_err(store)? {
            at = segment.end().length;
            let outcome = to.accept(&descriptor, segment.into_segment()).map_err(refused)?;
            if matches!(outcome, Accepted::Cut { .. }) {
                break;
            }
        }
        if let Some(proof) = from.fork_proof(&log).map_err(store)? {
            to.accept_fork(&descriptor, proof.into_proof()).map_err(refused)?;
        }
    }
    to.flush().map_err(store)
}

impl World<'_> {
    /// Users whose logs may differ between honest peers: none, where sessions carry fork proofs.
    pub(super) fn left_out(&self) -> BTreeSet<UserId> {
        let users = self.devices.iter().map(|device| device.identity.user());
        users.filter(|user| !self.scenario.proves_forks && self.may_fork(user)).collect()
    }

    /// Compares every honest peer with what a naive exchange between the honest peers comes to.
    pub(super) fn compare_with_naive_exchange(&mut self) -> Result<Totals, Broken> {
        let identity = Identity::generate(&mut self.random);
        let opened = Replica::open(Box::new(MemoryStore::new()), identity, Box::new(NoResume));
        let mut naive = opened.map_err(|error| error.to_string())?;
        let but = self.left_out();
        let mut totals = Totals::default();
        for (number, festival) in self.festivals.iter().enumerate() {
            let id = festival.id();
            naive.join(festival).map_err(store)?;
            for (peer, replica) in self.online() {
                if self.follows(peer, number) {
                    hand_over(replica, &mut naive, id)?;
                }
            }
            let expected = (logs(&naive, id, &but)?, view_hash(&naive, id, &but)?);
            if self.components(number).len() == 1 {
                for (peer, replica) in self.online() {
                    let found = || {
                        Ok::<_, Broken>((logs(replica, id, &but)?, view_hash(replica, id, &but)?))
                    };
                    if self.follows(peer, number) && found()? != expected {
                        let what = "not what a naive exchange comes to";
                        return Err(format!("peer {} holds {what}", peer.0));
                    }
                }
            }
            for (log, tip) in naive.logs(id).map_err(store)? {
                totals.logs += 1;
                totals.entries += tip.length;
                let mut from = 0;
                while let Some(segment) = naive.segment(&log, from).map_err(store)? {
                    totals.bytes += segment.payloads().iter().map(|p| p.len() as u64).sum::<u64>();
                    from = segment.end().length;
                }
            }
        }
        self.nothing_is_lost(&naive)?;
        Ok(totals)
    }

    fn nothing_is_lost(&self, naive: &Replica) -> Result<(), Broken> {
        for (n, checked) in self.checked.iter().enumerate() {
            if !self.devices[n].is_honest() {
                continue;
            }
            for (log, written) in &checked.written {
                let held = naive.held(log).map_err(store)?.map_or(0, |tip| tip.length);
                if held < *written {
                    let what = "entries that were written durably are left of";
                    return Err(format!("peer {n}: {held} of {written} {what} {log:?}"));
                }
            }
        }
        Ok(())
    }
}
