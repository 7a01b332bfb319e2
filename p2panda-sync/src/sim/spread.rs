//! How entries spread: when each was written, and when it was where.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use p2panda_core::{FestivalId, LogId};

use super::{
    PeerId, Spread,
    check::store,
    summary::millis,
    world::{Broken, World},
};

/// The progress of every log at every honest peer.
pub(super) struct Spreading {
    /// When the entries of a log were durable at the first peer, oldest first, and the festival.
    written: BTreeMap<LogId, (FestivalId, Vec<Duration>)>,
    /// Up to where each peer got each log, and where its replica's changes stood then.
    reached: Vec<(BTreeMap<LogId, u64>, Option<u64>)>,
    latencies: Vec<Duration>,
    due: u64,
    held_up: u64,
    /// When everything was mended, and how much of what was written before has not got there yet.
    mended: Option<(Duration, u64)>,
    mended_after: Option<Duration>,
    is_over: bool,
}

impl Spreading {
    pub(super) fn new(peers: usize) -> Self {
        Self {
            written: BTreeMap::new(),
            reached: vec![(BTreeMap::new(), None); peers],
            latencies: Vec::new(),
            due: 0,
            held_up: 0,
            mended: None,
            mended_after: None,
            is_over: false,
        }
    }

    /// Nothing is counted any more.
    pub(super) const fn stop(&mut self) {
        self.is_over = true;
    }

    /// Everything passes everywhere again.
    pub(super) fn mend(&mut self, now: Duration) {
        let missing = self.due.saturating_sub(self.delivered());
        self.mended = (missing > 0).then_some((now, missing));
        self.mended_after = None;
    }

    const fn delivered(&self) -> u64 {
        self.latencies.len() as u64 + self.held_up
    }

    /// The peer was switched on again: its replica counts its changes anew.
    pub(super) fn start_over(&mut self, peer: PeerId) {
        self.reached[peer.0].1 = None;
    }

    /// A log has so many entries at a peer; `others` have to get what is new everywhere.
    fn grow(
        &mut self,
        peer: PeerId,
        log: LogId,
        at: (FestivalId, u64),
        now: Duration,
        others: u64,
    ) {
        let (festival, length) = at;
        let reached = self.reached[peer.0].0.entry(log).or_default();
        let from = std::mem::replace(reached, length.max(*reached));
        let (_, written) = self.written.entry(log).or_insert((festival, Vec::new()));
        for n in from..length {
            let at = usize::try_from(n).unwrap_or(usize::MAX);
            let Some(since) = written.get(at) else {
                written.push(now);
                self.due += others;
                continue;
            };
            match &mut self.mended {
                Some((mended, missing)) if *since < *mended => {
                    self.held_up += 1;
                    *missing = missing.saturating_sub(1);
                    if *missing == 0 {
                        self.mended_after = Some(now.saturating_sub(*mended));
                    }
                }
                _ => self.latencies.push(now.saturating_sub(*since)),
            }
        }
    }

    pub(super) fn sum_up(&mut self) -> Spread {
        self.latencies.sort_unstable();
        let share = |percent: usize| {
            let at = (self.latencies.len() * percent).div_ceil(100).saturating_sub(1);
            self.latencies.get(at).copied().map(millis).unwrap_or_default()
        };
        Spread {
            due: self.due,
            delivered: self.delivered(),
            held_up: self.held_up,
            p50_ms: share(50),
            p90_ms: share(90),
            p99_ms: share(99),
            longest_ms: share(100),
            mended_ms: self.mended_after.map(millis),
        }
    }
}

impl World<'_> {
    /// Notes what a peer holds durably that it did not before.
    pub(super) fn follow_spread(&mut self, peer: PeerId) -> Result<(), Broken> {
        let Some(replica) = &self.devices[peer.0].replica else { return Ok(()) };
        let cursor = &mut self.spread.reached[peer.0].1;
        if self.spread.is_over || *cursor == Some(replica.log_cursor()) {
            return Ok(());
        }
        let changes = cursor.and_then(|cursor| replica.log_changes(cursor));
        *cursor = Some(replica.log_cursor());
        let changed: BTreeSet<(FestivalId, LogId)> = match changes {
            Some((changed, _)) => {
                changed.into_iter().map(|change| (change.festival, change.log)).collect()
            }
            None => {
                let mut all = BTreeSet::new();
                for festival in &self.festival_ids {
                    let logs = replica.logs(*festival).map_err(store)?;
                    all.extend(logs.into_iter().map(|(log, _)| (*festival, log)));
                }
                all
            }
        };
        for (festival, log) in changed {
            let Some(tip) = replica.tip(&log).map_err(store)? else { continue };
            let number = self.festival_ids.iter().position(|id| *id == festival);
            let followers = (0..self.devices.len()).filter(|n| {
                self.devices[*n].is_honest()
                    && number.is_some_and(|number| self.follows(PeerId(*n), number))
            });
            let others = (followers.count() as u64).saturating_sub(1);
            self.spread.grow(peer, log, (festival, tip.length), self.now, others);
        }
        Ok(())
    }
}
