//! What an exchange does with the peer's messages.

use p2panda_core::{AcceptError, Accepted, DocumentId, FestivalId, LogId, Replica};

use super::{Report, exchange::Exchange, greeting::MAX_LOGS, report::SyncEvent};
use crate::{
    error::{PeerFault, SyncError},
    wire::{Parted, Push, Vector, Want},
};

/// After so many segments or bytes a flush does not wait for the end of the burst.
const MAX_UNFLUSHED: (usize, usize) = (256, 1024 * 1024);

impl Exchange {
    /// Compares what the peer tells: pushes what it lacks, asks for what we lack.
    pub(super) fn compare(
        &mut self,
        vector: &Vector,
        replica: &Replica,
        report: &mut Report,
    ) -> Result<(), SyncError> {
        self.logs_heard += vector.logs.len();
        if self.logs_heard > MAX_LOGS {
            return Err(PeerFault::TooMany("logs").into());
        }
        let common = self.commons.get_mut(&vector.place);
        let (festival, reconcile) = common.ok_or(PeerFault::Unexpected("VECTOR"))?;
        let festival = *festival;
        for difference in reconcile.hear(vector)? {
            let log = difference.log;
            let Some(theirs) = difference.theirs else {
                self.theirs.remove(&log);
                self.push.insert(log);
                continue;
            };
            let ours = difference.ours.map_or(0, |tip| tip.length);
            if theirs.length > ours {
                self.theirs.insert(log, theirs.length);
                self.wanted.insert(log, theirs.length);
            } else if replica.chain_at(&log, theirs.length)? == Some(theirs.chain) {
                self.theirs.insert(log, theirs.length);
                self.push.insert(log);
            } else {
                self.part(festival, log, report);
                self.untold.push(log);
            }
        }
        Ok(())
    }

    /// Takes the peer's wishes: pushes follow as the transport takes them.
    pub(super) fn serve(
        &mut self,
        want: &Want,
        replica: &Replica,
        report: &mut Report,
    ) -> Result<(), SyncError> {
        self.taken.wants += 1;
        self.awaited |= !want.logs.is_empty();
        let left = self.wants_left.checked_sub(want.logs.len());
        self.wants_left = left.ok_or(PeerFault::TooMany("wants"))?;
        for item in &want.logs {
            let (log, tip) = (item.log(), item.tip());
            let Some(festival) = self.festival_of(&log.document, replica)? else { continue };
            if self.parted.contains(&log) {
                continue;
            }
            // A place beyond our end is no news to us, and nothing to serve.
            let ours = replica.chain_at(&log, tip.length)?;
            if tip.length > 0 && ours.is_some_and(|ours| ours != tip.chain) {
                self.part(festival, log, report);
                self.untold.push(log);
                continue;
            }
            self.theirs.insert(log, tip.length);
            self.push.insert(log);
        }
        if want.last && !self.compares {
            self.comparing = false;
        }
        Ok(())
    }

    /// Stores a segment, if it holds.
    pub(super) fn accept(
        &mut self,
        push: Push,
        replica: &mut Replica,
        report: &mut Report,
    ) -> Result<(), SyncError> {
        self.taken.pushes += 1;
        report.stats.segments_received += 1;
        let (segment, descriptor) = push.open(|place| Some(self.commons.get(&place)?.0))?;
        let log = segment.log;
        let end = segment.from.saturating_add(segment.payloads.len() as u64);
        let size: usize = segment.payloads.iter().map(Vec::len).sum();
        if self.parted.contains(&log) {
            return Ok(());
        }
        let descriptor = match descriptor {
            Some(descriptor) => descriptor,
            None => match replica.descriptor(&log.document)? {
                Some(descriptor) => descriptor,
                None => return Ok(self.came_early(log, end)?),
            },
        };
        let festival = descriptor.festival;
        if !self.places.contains_key(&festival) {
            return Err(PeerFault::Festival.into());
        }
        match replica.accept(&descriptor, segment) {
            Ok(Accepted::Cut { .. }) => {
                self.part(festival, log, report);
                self.untold.push(log);
                Ok(())
            }
            Ok(accepted) => {
                if let Accepted::New { entries } = accepted {
                    report.stats.signatures_checked += 1;
                    report.stats.entries_received += entries;
                    report.event(SyncEvent::Received { festival, log, entries });
                    self.unflushed.0 += 1;
                    self.unflushed.1 += size;
                }
                self.took(log, end, replica)?;
                let (segments, bytes) = self.unflushed;
                if segments >= MAX_UNFLUSHED.0 || bytes >= MAX_UNFLUSHED.1 {
                    self.flush(replica)?;
                }
                Ok(())
            }
            Err(AcceptError::Gap { .. }) => Ok(self.came_early(log, end)?),
            Err(AcceptError::Fork(error)) => Err(PeerFault::Fork { log, error }.into()),
            Err(AcceptError::UnknownFestival(_) | AcceptError::Blocked(_)) => {
                // Left since the session began, or refused.
                self.asked.remove(&log);
                Ok(())
            }
            Err(AcceptError::Segment(error)) => Err(PeerFault::Segment { log, error }.into()),
            Err(AcceptError::Descriptor) => Err(PeerFault::Descriptor(log).into()),
            Err(AcceptError::Store(error)) => Err(error.into()),
        }
    }

    /// The peer holds other chains than we do.
    pub(super) fn part_all(
        &mut self,
        message: Parted,
        replica: &Replica,
        report: &mut Report,
    ) -> Result<(), SyncError> {
        for (document, incarnation) in message.logs {
            if let Some(festival) = self.festival_of(&document, replica)? {
                let log = LogId { document, incarnation };
                if replica.held(&log)?.is_some() {
                    self.part(festival, log, report);
                }
            }
        }
        Ok(())
    }

    /// The festival of a document that is held, if it is one in common. The peer may name any
    /// document; what it learns must not go beyond what it proved to know.
    fn festival_of(
        &self,
        document: &DocumentId,
        replica: &Replica,
    ) -> Result<Option<FestivalId>, SyncError> {
        let festival = replica.descriptor(document)?.map(|descriptor| descriptor.festival);
        Ok(festival.filter(|festival| self.places.contains_key(festival)))
    }

    /// The peer holds a log up to there, and so do we now.
    fn took(&mut self, log: LogId, end: u64, replica: &Replica) -> Result<(), SyncError> {
        let theirs = self.theirs.entry(log).or_default();
        *theirs = end.max(*theirs);
        if let Some(offered) = self.asked.get(&log) {
            let held = replica.held(&log)?.map_or(0, |tip| tip.length);
            if held >= *offered {
                self.asked.remove(&log);
            }
        }
        Ok(())
    }

    /// Entries that do not follow what is held: asks from there, unless that was asked already.
    fn came_early(&mut self, log: LogId, end: u64) -> Result<(), PeerFault> {
        if self.wanted.len() + self.asked.len() >= MAX_LOGS {
            return Err(PeerFault::TooMany("logs"));
        }
        if !self.asked.contains_key(&log) {
            self.wanted.insert(log, end);
        }
        Ok(())
    }

    fn part(&mut self, festival: FestivalId, log: LogId, report: &mut Report) {
        self.push.remove(&log);
        self.wanted.remove(&log);
        self.asked.remove(&log);
        if self.parted.insert(log) {
            report.stats.logs_parted += 1;
            report.event(SyncEvent::Parted { festival, log });
        }
    }
}
