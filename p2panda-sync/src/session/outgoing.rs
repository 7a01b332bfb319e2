//! What an exchange sends, one frame at a time and only when asked for it.

use p2panda_core::{LogId, Replica, Tip};

use super::{Report, exchange::Exchange};
use crate::{
    error::SyncError,
    wire::{Item, MAX_ITEMS, Owner, Parted, Push, Vector, Want},
};

/// The most logs that are asked for and not yet delivered.
const MAX_ASKED: usize = 1024;

impl Exchange {
    pub(super) fn next_vector(&mut self) -> Option<Vector> {
        let mut commons = self.commons.iter_mut();
        let (place, (_, reconcile)) = commons.find(|(_, (_, reconcile))| reconcile.is_telling())?;
        reconcile.tell(*place)
    }

    pub(super) fn next_want(&mut self, replica: &Replica) -> Result<Option<Want>, SyncError> {
        let batch = self.wanted.len().min(MAX_ITEMS);
        if self.asked.len() + batch > MAX_ASKED {
            return Ok(None);
        }
        let mut logs = Vec::with_capacity(batch);
        while logs.len() < MAX_ITEMS {
            let Some((log, offered)) = self.wanted.pop_first() else { break };
            // Others may have sent it in the meantime.
            let held = replica.held(&log)?.unwrap_or_else(|| Tip::start(&log));
            if held.length < offered {
                logs.push(Item::new(&log, &held));
                self.asked.insert(log, offered);
            }
        }
        let compared = self.commons.values().all(|(_, reconcile)| reconcile.is_over());
        let last = self.compares && self.comparing && compared && self.wanted.is_empty();
        if logs.is_empty() && !last {
            return Ok(None);
        }
        if last {
            self.comparing = false;
        }
        self.sent.wants += 1;
        Ok(Some(Want { logs, last }))
    }

    pub(super) fn next_parted(&mut self) -> Option<Parted> {
        let from = self.untold.len().saturating_sub(MAX_ITEMS);
        let logs: Vec<_> =
            self.untold.drain(from..).map(|log| (log.document, log.incarnation)).collect();
        if logs.is_empty() { None } else { Some(Parted { logs }) }
    }

    pub(super) fn next_push(
        &mut self,
        replica: &Replica,
        report: &mut Report,
    ) -> Result<Option<Push>, SyncError> {
        while let Some(log) = self.push.first().copied() {
            let from = self.theirs.get(&log).copied().unwrap_or_default();
            let Some(segment) = replica.segment(&log, from)? else {
                self.push.pop_first();
                continue;
            };
            let owner = if from == 0 { self.owner(&log, replica)? } else { None };
            let end = segment.end().length;
            self.theirs.insert(log, end);
            self.sent.pushes += 1;
            report.stats.segments_sent += 1;
            report.stats.entries_sent += end - from;
            return Ok(Some(Push::new(segment.into_segment(), owner)));
        }
        Ok(None)
    }

    /// Queues the logs that became longer since this was asked last and that the peer lacks.
    pub(super) fn look_for_changes(&mut self, replica: &Replica) -> Result<(), SyncError> {
        let newest = replica.log_cursor();
        if newest == self.cursor {
            return Ok(());
        }
        if let Some((changes, newest)) = replica.log_changes(self.cursor) {
            self.cursor = newest;
            for (festival, log) in changes {
                if self.places.contains_key(&festival)
                    && let Some(tip) = replica.tip(&log)?
                {
                    self.offer(log, tip);
                }
            }
        } else {
            self.cursor = newest;
            for festival in self.places.keys().copied().collect::<Vec<_>>() {
                for (log, tip) in replica.logs(festival)? {
                    self.offer(log, tip);
                }
            }
        }
        Ok(())
    }

    fn offer(&mut self, log: LogId, tip: Tip) {
        let theirs = self.theirs.get(&log).copied().unwrap_or_default();
        if tip.length > theirs && !self.parted.contains(&log) {
            self.push.insert(log);
        }
    }

    fn owner(&self, log: &LogId, replica: &Replica) -> Result<Option<Owner>, SyncError> {
        let descriptor = replica.descriptor(&log.document)?;
        Ok(descriptor.and_then(|descriptor| {
            let place = *self.places.get(&descriptor.festival)?;
            Some(Owner { place, user: descriptor.user, label: descriptor.label })
        }))
    }
}
