//! Logs of which the two sides hold different chains: finding where they part, and proving it.
//!
//! Whoever sees a chain value that is not its own asks with `PROBE`: its own values at multiples of
//! 128 entries, spaced exponentially back from its end. The other side answers with its own values
//! between the last that agrees and the first that does not, and so on until a single block is left,
//! of which it sends the hashes as `RUNS`. The receiver then has both branches, cuts its log and
//! sends the proof as `FORK`, which cuts the other side's. Both were proved by their author's
//! signatures, so neither side needs to believe the other.

use p2panda_core::{
    AcceptError, BLOCK, DocumentDescriptor, FestivalId, ForkOutcome, LogId, block_end,
};

use super::{Context, exchange::Exchange, report::SyncEvent};
use crate::{
    error::{PeerFault, SyncError},
    wire::{Fork, MAX_POINTS, Message, Probe, Runs},
};

/// How often one log is asked about: each question leaves a fifteenth of what the last one left.
const MAX_PROBES: u32 = 12;

/// How many logs are asked about in one session.
const MAX_PROBED: usize = 1024;

impl Exchange {
    /// Asks where a log parts: own values from its end back.
    pub(super) fn probe(&mut self, log: &LogId, cx: &mut Context<'_>) -> Result<(), SyncError> {
        let held = cx.replica.held(log)?.map_or(0, |tip| tip.length);
        let mut lengths = vec![held];
        let (mut at, mut step) = (held.saturating_sub(1) / BLOCK * BLOCK, BLOCK);
        while at > 0 && lengths.len() < MAX_POINTS {
            lengths.push(at);
            at = at.saturating_sub(step);
            step *= 2;
        }
        self.ask_at(log, &lengths, cx)
    }

    /// Asks at some lengths, descending.
    fn ask_at(
        &mut self,
        log: &LogId,
        lengths: &[u64],
        cx: &mut Context<'_>,
    ) -> Result<(), SyncError> {
        let Some(festival) = self.festival_of(&log.document, cx)? else { return Ok(()) };
        let asked = self.probed.entry(*log).or_default();
        *asked += 1;
        if *asked > MAX_PROBES || self.probed.len() > MAX_PROBED {
            self.part(festival, *log, cx);
            return Ok(());
        }
        let mut points = Vec::with_capacity(lengths.len());
        for length in lengths {
            points.extend(cx.replica.chain_at(log, *length)?.map(|chain| (*length, chain)));
        }
        let LogId { document, incarnation } = *log;
        self.queue.push_back(Message::Probe(Probe { document, incarnation, points }));
        Ok(())
    }

    /// Compares the peer's values with ours.
    pub(super) fn probed(&mut self, probe: &Probe, cx: &mut Context<'_>) -> Result<(), SyncError> {
        let log = probe.log();
        let malformed = PeerFault::Message("PROBE");
        let descending = probe.points.is_sorted_by(|(a, _), (b, _)| a > b);
        if probe.points.len() > MAX_POINTS || !descending {
            return Err(malformed.into());
        }
        let Some(festival) = self.festival_of(&log.document, cx)? else { return Ok(()) };
        let Some((end, _)) = probe.points.first().copied() else { return Err(malformed.into()) };
        let Some(held) = cx.replica.held(&log)? else { return Ok(()) };
        if self.parted.contains(&log) {
            return Ok(());
        }
        // Whatever was asked for: it follows once it is known where from.
        self.forget_wish(festival, &log);
        // The beginning is common to all chains of a log.
        let (mut common, mut parted) = (0, None);
        for (length, chain) in &probe.points {
            match cx.replica.chain_at(&log, *length)? {
                Some(ours) if ours == *chain => {
                    common = *length;
                    break;
                }
                Some(_) => parted = Some(*length),
                None => {}
            }
        }
        match parted {
            Some(parted) if parted <= block_end(common) => {
                if let Some(run) = cx.replica.run(&log, common)? {
                    self.queue.push_back(Message::Runs(Runs::new(&log, common, run)));
                }
                Ok(())
            }
            Some(parted) => self.ask_at(&log, &between(common, parted), cx),
            // What the peer holds is the beginning of what we hold.
            None if common == end => {
                self.peer_holds(log, end);
                if held.length > end {
                    self.push.insert(log);
                } else {
                    self.prove.insert(log); // if there is one
                }
                Ok(())
            }
            // The other way round, or it parts behind the last value that could be compared.
            None => self.ask_at(&log, &[held.length], cx),
        }
    }

    /// Takes the peer's hashes of the block in which a log parts.
    pub(super) fn take_runs(&mut self, runs: Runs, cx: &mut Context<'_>) -> Result<(), SyncError> {
        let (log, from, run) = runs.open();
        let Some((festival, descriptor)) = self.followed(&log, cx)? else { return Ok(()) };
        let outcome = cx.replica.accept_run(&descriptor, &log, from, run);
        match self.accepted(festival, log, outcome, cx)? {
            Some(ForkOutcome::Cut { .. } | ForkOutcome::Known { .. }) => {
                self.prove.insert(log);
            }
            Some(ForkOutcome::Unknown | ForkOutcome::OtherChain) => self.part(festival, log, cx),
            None => {}
        }
        Ok(())
    }

    /// Takes a proof.
    pub(super) fn take_fork(&mut self, fork: Fork, cx: &mut Context<'_>) -> Result<(), SyncError> {
        let (log, at) = (fork.proof.log, fork.proof.at.length);
        let owner = fork.owner.and_then(|owner| {
            let festival = self.commons.get(&owner.place)?.festival;
            Some(DocumentDescriptor { festival, user: owner.user, label: owner.label })
        });
        let known = self.followed(&log, cx)?;
        let Some((festival, descriptor)) =
            known.or_else(|| owner.map(|owner| (owner.festival, owner)))
        else {
            return Ok(());
        };
        let outcome = cx.replica.accept_fork(&descriptor, fork.proof);
        self.proved.insert(log, at);
        match self.accepted(festival, log, outcome, cx)? {
            Some(ForkOutcome::Known { at: ours }) if ours < at => {
                self.prove.insert(log);
            }
            Some(ForkOutcome::OtherChain) => self.probe(&log, cx)?,
            // The peer says that our chain reaches it; if it does not, the entries are missing.
            Some(ForkOutcome::Unknown) => self.forget_wish(festival, &log),
            _ => {}
        }
        Ok(())
    }

    fn accepted(
        &mut self,
        festival: FestivalId,
        log: LogId,
        outcome: Result<ForkOutcome, AcceptError>,
        cx: &mut Context<'_>,
    ) -> Result<Option<ForkOutcome>, SyncError> {
        match outcome {
            Ok(outcome) => {
                match outcome {
                    ForkOutcome::Cut { at } => {
                        self.received.insert(log);
                        self.cut(festival, log, at, cx);
                        self.took(festival, log, at, cx)?;
                    }
                    ForkOutcome::Known { at } => {
                        self.theirs.insert(log, at);
                        self.took(festival, log, at, cx)?;
                    }
                    ForkOutcome::Unknown | ForkOutcome::OtherChain => {}
                }
                Ok(Some(outcome))
            }
            Err(AcceptError::Fork(error)) => Err(PeerFault::Fork { log, error }.into()),
            Err(AcceptError::Descriptor) => Err(PeerFault::Descriptor(log).into()),
            Err(AcceptError::Segment(error)) => Err(PeerFault::Segment { log, error }.into()),
            Err(AcceptError::Store(error)) => Err(error.into()),
            Err(
                AcceptError::Blocked(_) | AcceptError::UnknownFestival(_) | AcceptError::Gap { .. },
            ) => Ok(None),
        }
    }

    /// The next proof that the peer has to get.
    pub(super) fn next_fork(&mut self, cx: &mut Context<'_>) -> Result<Option<Message>, SyncError> {
        while let Some(log) = self.prove.pop_first() {
            let Some(fork) = cx.replica.fork_proof(&log)? else { continue };
            let at = fork.at().length;
            self.theirs.insert(log, at);
            self.proved.insert(log, at);
            let owner = if at == 0 { self.owner(&log, cx)? } else { None };
            let proof = fork.into_proof();
            return Ok(Some(Message::Fork(Box::new(Fork { owner, proof }))));
        }
        Ok(None)
    }

    /// A log was cut here, and nothing behind it counts any more.
    pub(super) fn cut(&mut self, festival: FestivalId, log: LogId, at: u64, cx: &mut Context<'_>) {
        self.theirs.insert(log, at);
        self.push.remove(&log);
        cx.report.stats.logs_cut += 1;
        cx.report.event(SyncEvent::Cut { festival, log, at });
    }

    /// Leaves a log alone from here on.
    fn part(&mut self, festival: FestivalId, log: LogId, cx: &mut Context<'_>) {
        self.push.remove(&log);
        self.forget_wish(festival, &log);
        if self.parted.insert(log) {
            cx.report.stats.logs_parted += 1;
            cx.report.event(SyncEvent::Parted { festival, log });
        }
    }

    pub(super) fn forget_wish(&mut self, festival: FestivalId, log: &LogId) {
        if let Some((place, key)) = self.key_of(festival, log) {
            self.wishes.drop(place, key);
        }
    }

    /// The festival and document of a log that is held, if it is in common.
    fn followed(
        &self,
        log: &LogId,
        cx: &Context<'_>,
    ) -> Result<Option<(FestivalId, DocumentDescriptor)>, SyncError> {
        let Some(festival) = self.festival_of(&log.document, cx)? else { return Ok(None) };
        let descriptor = cx.replica.descriptor(&log.document)?;
        Ok(descriptor.map(|descriptor| (festival, descriptor)))
    }
}

/// Multiples of 128 from one length to another, both included, spaced evenly and descending.
fn between(common: u64, parted: u64) -> Vec<u64> {
    let (low, high) = (common / BLOCK, parted.div_ceil(BLOCK));
    let parts = MAX_POINTS as u64 - 2;
    let step = (high - low).div_ceil(parts).max(1);
    let inside = (1..parts).map(|part| (low + part * step) * BLOCK);
    let mut lengths: Vec<_> = inside.filter(|at| *at > common && *at < parted).collect();
    lengths.push(parted);
    lengths.extend(Some(common).filter(|common| *common > 0));
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_close_in_on_any_parting() {
        for (end, parting) in [(200, 3), (5_000, 4_990), (1 << 32, 1 << 31), (1_000_000, 0)] {
            let (mut common, mut parted, mut asked) = (0, end, 0);
            while parted > block_end(common) {
                for length in between(common, parted) {
                    if length <= parting {
                        common = common.max(length);
                    } else {
                        parted = parted.min(length);
                    }
                }
                asked += 1;
            }
            assert!(asked <= MAX_PROBES, "{asked}");
            assert!(common <= parting && parting < parted);
        }
        assert!(between(0, 1 << 40).len() <= MAX_POINTS);
    }
}
