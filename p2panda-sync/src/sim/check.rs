//! What has to hold after every step.

use std::{collections::BTreeMap, time::Duration};

use p2panda_core::{
    Chain, LogId, MAX_FORK_PROOF, MAX_KEPT_FORKS, Replica, Tip, UserId, store::StoreError,
    store::Table,
};

use super::{
    Hostile, PeerId,
    summary::millis,
    world::{Broken, World},
};

/// How far one peer's replica was checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Checked {
    /// The verified tip of every log, and where the replica's changes stood.
    logs: BTreeMap<LogId, Tip>,
    cursor: Option<u64>,
    /// Steps of its disk, and changes since its view was checked.
    steps: u64,
    changes: u32,
    /// How long its own logs were, durably.
    pub(super) written: BTreeMap<LogId, u64>,
}

impl Checked {
    /// The device was switched on: everything it holds is to be checked.
    pub(super) fn start_over(&mut self) {
        let written = std::mem::take(&mut self.written);
        *self = Self { written, ..Self::default() };
    }

    pub(super) fn forget_written(&mut self) {
        self.written.clear();
    }

    /// Verifies what is new in the logs that a replica serves.
    fn verify_logs(&mut self, replica: &Replica) -> Result<(), Broken> {
        let changes = self.cursor.and_then(|cursor| replica.log_changes(cursor));
        let changed = match changes {
            Some((changed, _)) => changed.into_iter().map(|change| change.log).collect(),
            None => {
                let mut all = Vec::new();
                for festival in replica.festivals().map_err(store)? {
                    let logs = replica.logs(festival.id()).map_err(store)?;
                    all.extend(logs.into_iter().map(|(log, _)| log));
                }
                all
            }
        };
        self.cursor = Some(replica.log_cursor());
        for log in changed {
            self.verify_log(replica, log)?;
        }
        Ok(())
    }

    fn verify_log(&mut self, replica: &Replica, log: LogId) -> Result<(), Broken> {
        let Some(tip) = replica.tip(&log).map_err(store)? else {
            self.logs.remove(&log);
            return Ok(());
        };
        let descriptor = replica.descriptor(&log.document).map_err(store)?;
        let descriptor = descriptor.ok_or_else(|| format!("{log:?} has no descriptor"))?;
        if descriptor.id() != log.document {
            return Err(format!("{log:?} is in another document"));
        }
        let start = Tip { length: 0, chain: Chain::start(&log) };
        let mut at = self.logs.get(&log).copied().filter(|at| at.length <= tip.length);
        if at.is_none() {
            at = Some(start);
        }
        let mut at = at.unwrap_or(start);
        while at.length < tip.length {
            let segment = replica.segment(&log, at.length).map_err(store)?;
            let segment = segment.ok_or_else(|| format!("{log:?} cannot be served"))?;
            let verified = segment.into_segment().verify(&at, &descriptor.user);
            let verified = verified.map_err(|error| {
                format!("{log:?} holds what nobody signed, from {}: {error}", at.length)
            })?;
            at = *verified.end();
        }
        if at != tip {
            // Cut since: what remains has to be a prefix, and the proof to hold.
            let chain = replica.chain_at(&log, tip.length).map_err(store)?;
            let proof = replica.fork_proof(&log).map_err(store)?;
            let proof = proof.ok_or_else(|| format!("{log:?} became shorter without a proof"))?;
            let proved = proof.into_proof().verify(&descriptor.user);
            let proved =
                proved.map_err(|error| format!("{log:?} is cut without proof: {error}"))?;
            if chain != Some(tip.chain) || *proved.at() != tip {
                return Err(format!("{log:?} is cut where its proof does not say"));
            }
        }
        self.logs.insert(log, tip);
        if descriptor.user == replica.user() {
            self.written.insert(log, tip.length);
        }
        Ok(())
    }
}

impl World<'_> {
    /// Checks the peers that had something to do.
    pub(super) fn check_touched(&mut self) -> Result<(), Broken> {
        for peer in std::mem::take(&mut self.touched) {
            if self.devices[peer.0].is_honest() {
                self.follow_spread(peer).map_err(|what| format!("peer {}: {what}", peer.0))?;
                self.check(peer).map_err(|what| format!("peer {}: {what}", peer.0))?;
            }
        }
        Ok(())
    }

    fn check(&mut self, peer: PeerId) -> Result<(), Broken> {
        let device = &self.devices[peer.0];
        let Some(replica) = &device.replica else { return Ok(()) };
        if replica.caught() > 0 {
            return Err("the last net caught a payload: the gate has to refuse it".to_owned());
        }
        let steps = device.disk.steps();
        let checked = &mut self.checked[peer.0];
        if checked.cursor.is_some() && checked.steps == steps {
            return Ok(());
        }
        checked.steps = steps;
        checked.verify_logs(replica)?;
        checked.changes += 1;
        if checked.changes.is_multiple_of(self.scenario.check_every) || self.is_healed {
            let logs = replica.fingerprint_logs().map_err(store)?;
            let view = replica.fingerprint_view().map_err(store)?;
            if *self.views.entry(logs).or_insert(view) != view {
                return Err("the same logs gave another view than elsewhere".to_owned());
            }
            for festival in &self.festival_ids {
                for fork in replica.forks(*festival).map_err(store)? {
                    if !self.may_fork(&fork.author) {
                        return Err(format!("a log of honest {:?} was cut", fork.author));
                    }
                }
            }
            self.app.check(peer, replica)?;
        }
        Ok(())
    }

    /// Whether a user is one who signs two chains.
    pub(super) fn may_fork(&self, user: &UserId) -> bool {
        self.devices.iter().any(|device| {
            device.config.hostile == Some(Hostile::Equivocate) && device.identity.user() == *user
        })
    }

    /// Stores are bounded by what was accepted, and so is what hostile peers cost.
    pub(super) fn check_costs(&self) -> Result<(), Broken> {
        let mut largest = 0;
        for (n, device) in self.devices.iter().enumerate().filter(|(_, one)| one.is_honest()) {
            let Some(replica) = &device.replica else { continue };
            let (mut logs, mut entries, mut payload) = (0, 0, 0);
            for festival in &self.festival_ids {
                for (log, tip) in replica.logs(*festival).map_err(store)? {
                    (logs, entries) = (logs + 1, entries + tip.length);
                    let mut from = 0;
                    while let Some(segment) = replica.segment(&log, from).map_err(store)? {
                        payload += segment.payloads().iter().map(Vec::len).sum::<usize>();
                        from = segment.end().length;
                    }
                }
            }
            let entries = usize::try_from(entries).unwrap_or(usize::MAX);
            let tables = [Table::Segments, Table::Documents, Table::Logs];
            let held = device.disk.bytes(&tables).map_err(store)?;
            if held > payload + 320 * entries + 512 * logs + 1024 {
                return Err(format!("peer {n} stores {held} bytes for {payload} in {entries}"));
            }
            let forks = device.disk.bytes(&[Table::Forks]).map_err(store)?;
            if forks > logs * MAX_KEPT_FORKS * (MAX_FORK_PROOF + 128) {
                return Err(format!("peer {n} stores {forks} bytes of fork proofs"));
            }
            largest = largest.max(held);
        }
        for cost in self.costs.values() {
            self.check_cost(cost, largest as u64)?;
        }
        Ok(())
    }

    fn check_cost(&self, cost: &super::Cost, held: u64) -> Result<(), Broken> {
        let super::Cost { peer, how, .. } = cost;
        // Everything there is a few times over, for each connection: a peer may fetch it all again.
        let allowed = cost.connections * 4 * (held + 64 * 1024);
        if cost.bytes_sent > allowed {
            return Err(format!("{how} {peer:?} was sent {} bytes", cost.bytes_sent));
        }
        let hostile = self.devices[peer.0].config.hostile;
        let stalls = matches!(hostile, Some(Hostile::Stall { .. }));
        // Two patiences, since it may have read a few frames first, and time to notice a break.
        if stalls && cost.longest_ms > millis(Duration::from_secs(130)) {
            return Err(format!("{how} {peer:?} held a connection {} ms", cost.longest_ms));
        }
        // Some random bytes mean nothing to anybody; this many do not.
        if hostile == Some(Hostile::Garbage) && cost.frames_received >= 200 && cost.blamed == 0 {
            return Err(format!("{how} {peer:?} was never blamed"));
        }
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is a `map_err`")]
pub(super) fn store(error: StoreError) -> Broken {
    format!("its store failed: {error}")
}
