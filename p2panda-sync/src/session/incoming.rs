//! What an exchange does with differences, and with what the peer sends.

use std::time::Duration;

use p2panda_core::{
    AcceptError, Accepted, DocumentId, FestivalId, LogId, Seal, Segment, SegmentError,
};

use super::{
    Context, budget, exchange::Exchange, outgoing::named, report::SyncEvent, wishes::Wish,
};
use crate::{
    error::{PeerFault, SyncError},
    sketch::{Difference, Fp},
    wire::{Deflated, Piece, Stand, Want, Wanted, Wants},
};

/// After so many segments or bytes a flush does not wait for the end of the burst.
const MAX_UNFLUSHED: (usize, usize) = (256, 1024 * 1024);

/// Wishes beyond one for each log: for entries that came too early, and for comparisons again.
const SPARE_WISHES: usize = 4096;

impl Exchange {
    /// Pushes what the peer lacks and asks for what we lack.
    pub(super) fn act_on(
        &mut self,
        place: u64,
        differences: Vec<Difference>,
        cx: &mut Context<'_>,
    ) -> Result<(), SyncError> {
        let Some(common) = self.commons.get(&place) else { return Ok(()) };
        let (festival, keys) = (common.festival, common.keys.clone());
        self.weigh(differences.len());
        for Difference { key, ours, theirs } in differences {
            let Some(log) = ours else {
                if self.refuses_key(place, key, cx)? {
                    continue;
                }
                let until = theirs.map_or(0, |hint| hint.length_near(0)).max(1);
                self.lacks(place, key, Wish { log: None, until, fork: false }, cx.now)?;
                continue;
            };
            if theirs.is_some() {
                self.taken_again(log, cx);
            }
            if self.parted.contains(&log) || self.refusals.contains(&log, cx.now) {
                continue;
            }
            // It may have gone in the meantime.
            let Some(ours) = cx.sketches.entry(cx.replica, festival, &log)? else { continue };
            let Some(hint) = theirs else {
                self.peer_holds(log, 0);
                self.send(place, log, ours.tip.length == 0, cx.now);
                continue;
            };
            let length = hint.length_near(ours.tip.length);
            if length > ours.tip.length {
                if ours.cut {
                    self.prove.insert(log);
                } else {
                    let wish = Wish { log: Some(log), until: length, fork: false };
                    self.lacks(place, key, wish, cx.now)?;
                }
                continue;
            }
            let chain = cx.replica.chain_at(&log, length)?;
            if chain.is_none_or(|chain| keys.digest(&chain) != hint.digest) {
                self.probe(&log, cx)?;
                continue;
            }
            self.peer_holds(log, length);
            if hint.cut {
                let wish = Wish { log: Some(log), until: length, fork: true };
                self.wishes.want(place, key, wish)?;
            } else {
                self.send(place, log, length == ours.tip.length, cx.now);
            }
        }
        Ok(())
    }

    /// Queues what follows in a log, or where there are no entries, its proof.
    fn send(&mut self, place: u64, log: LogId, has_all: bool, now: Duration) {
        if has_all {
            self.prove.insert(log);
        } else if !self.tells_first(place, log, now) {
            self.push.insert(log);
        }
    }

    /// Takes the peer's wishes: pushes follow as the transport takes them.
    pub(super) fn serve(&mut self, want: &Want, cx: &mut Context<'_>) -> Result<(), SyncError> {
        let place = want.place;
        let common = self.commons.get_mut(&place).ok_or(PeerFault::Unexpected("WANT"))?;
        let festival = common.festival;
        let wants = Wants::from_bytes(&want.logs).ok_or(PeerFault::Message("WANT"))?.0;
        let held = common.sketch(cx)?.len();
        if wants.is_empty() {
            return Err(PeerFault::Message("WANT").into());
        }
        self.charge(budget::heads(wants.len()), cx)?;
        if self.caught_up && cx.now.saturating_sub(self.wants_since) >= budget::WINDOW {
            (self.wants_served, self.wants_since) = (0, cx.now);
        }
        self.wants_served += wants.len();
        if self.wants_served > held + SPARE_WISHES {
            return Err(PeerFault::TooMany("wants").into());
        }
        let mut refused = Vec::new();
        for Wanted { key, from, digest } in wants {
            let Some(common) = self.commons.get_mut(&place) else { break };
            let sketch = common.sketch(cx)?;
            let key = Stand::long(key);
            let log = named(sketch, key);
            let entry = match &log {
                Some(log) => cx.sketches.entry(cx.replica, festival, log)?,
                None => None,
            };
            let (Some(log), Some(entry)) = (log, entry) else {
                refused.push(key);
                continue;
            };
            self.taken_again(log, cx);
            if self.parted.contains(&log) {
                refused.push(key);
                continue;
            }
            match cx.replica.chain_at(&log, from)? {
                None if entry.cut => _ = self.prove.insert(log),
                None => refused.push(key),
                Some(chain) if from > 0 && digest != Some(self.digest(&log, &chain)) => {
                    self.probe(&log, cx)?;
                }
                Some(_) if from < entry.tip.length => {
                    self.peer_holds(log, from);
                    self.push.insert(log);
                }
                Some(_) if entry.cut => _ = self.prove.insert(log),
                Some(_) => refused.push(key),
            }
        }
        // There is nothing to give now, which says nothing of later.
        self.deny(place, refused);
        Ok(())
    }

    /// Stores the segments of a frame, as far as they hold.
    pub(super) fn accept_all(
        &mut self,
        push: &Deflated,
        cx: &mut Context<'_>,
    ) -> Result<(), SyncError> {
        for piece in push.open()? {
            self.accept(piece, cx)?;
        }
        self.prune(&cx.sketches.links);
        Ok(())
    }

    fn accept(&mut self, piece: Piece, cx: &mut Context<'_>) -> Result<(), SyncError> {
        cx.report.stats.segments_received += 1;
        let (segment, descriptor) = piece.open(|place| Some(self.commons.get(&place)?.festival))?;
        let log = segment.log;
        self.taken_again(log, cx);
        if self.parted.contains(&log) || self.refusals.contains(&log, cx.now) {
            return Ok(());
        }
        let descriptor = match descriptor {
            Some(descriptor) => descriptor,
            None => match cx.replica.descriptor(&log.document)? {
                Some(descriptor) => descriptor,
                // Whose it is comes with the log's beginning, which is missing too.
                None => return self.came_without_beginning(segment),
            },
        };
        let festival = descriptor.festival;
        if !self.places.contains_key(&festival) {
            return Err(PeerFault::Festival.into());
        }
        let mut next = Some(segment);
        while let Some(segment) = next.take() {
            self.accept_segment(&descriptor, segment, cx)?;
            let held = cx.replica.held(&log)?.map_or(0, |tip| tip.length);
            next = self.early.take(&log, held);
        }
        Ok(())
    }

    fn accept_segment(
        &mut self,
        descriptor: &p2panda_core::DocumentDescriptor,
        segment: Segment,
        cx: &mut Context<'_>,
    ) -> Result<(), SyncError> {
        let (log, from, festival) = (segment.log, segment.from, descriptor.festival);
        let end = from.saturating_add(segment.payloads.len() as u64);
        let size: usize = segment.payloads.iter().map(Vec::len).sum();
        let proved = matches!(segment.seal, Seal::Fork(_));
        let kept = segment.clone();
        let Some(entrance) = self.admit(descriptor, log, cx)? else { return Ok(()) };
        match cx.replica.accept(descriptor, segment) {
            Ok(Accepted::New { entries }) => {
                entrance.passed(cx);
                self.cover(festival, log.document, cx)?;
                cx.report.stats.signatures_checked += 1;
                cx.report.stats.entries_received += entries;
                cx.report.event(SyncEvent::Received { festival, log, entries });
                self.received.insert(log);
                self.note_segment(&festival, true);
                if let Some(proof) = cx.replica.fork_proof(&log)? {
                    let at = proof.at().length;
                    self.cut(festival, log, at, cx);
                    if proved {
                        self.proved.insert(log, at);
                    } else {
                        self.prove.insert(log);
                    }
                }
                self.took(festival, log, end, cx)?;
                self.unflushed.0 += 1;
                self.unflushed.1 += size;
                let (segments, bytes) = self.unflushed;
                if segments >= MAX_UNFLUSHED.0 || bytes >= MAX_UNFLUSHED.1 {
                    self.flush(cx)?;
                }
                Ok(())
            }
            Ok(Accepted::Duplicate) => {
                self.note_segment(&festival, false);
                self.took(festival, log, end, cx)
            }
            Ok(Accepted::Cut { at }) => {
                self.received.insert(log);
                self.cut(festival, log, at, cx);
                self.prove.insert(log);
                self.took(festival, log, at, cx)
            }
            Err(AcceptError::Gap { .. }) => self.came_early(festival, kept, end, cx),
            // It does not continue the chain that is held. Either it is no chain, or the author has
            // signed another one: the peer is asked, once.
            Err(AcceptError::Segment(SegmentError::Signature))
                if from > 0 && self.doubted.insert(log) =>
            {
                self.probe(&log, cx)
            }
            Err(AcceptError::Fork(error)) => Err(PeerFault::Fork { log, error }.into()),
            Err(AcceptError::Blocked(_)) => self.refuse_blocked(festival, log, cx.now),
            Err(AcceptError::NotKept(_)) => self.refuse_log(festival, log, Duration::MAX, cx.now),
            Err(AcceptError::UnknownFestival(_)) => {
                // Left since the session began: a link begins anew without it.
                if self.is_live() {
                    self.end();
                }
                if let Some((place, key)) = self.key_of(festival, &log) {
                    self.wishes.drop(place, key);
                }
                Ok(())
            }
            Err(AcceptError::Segment(error)) => Err(PeerFault::Segment { log, error }.into()),
            Err(AcceptError::Descriptor) => Err(PeerFault::Descriptor(log).into()),
            Err(AcceptError::Store(error)) => Err(error.into()),
        }
    }

    /// The festival of a document that is held, if it is in common. The peer may name any
    /// document; what it learns must not go beyond what it proved to know.
    pub(super) fn festival_of(
        &self,
        document: &DocumentId,
        cx: &Context<'_>,
    ) -> Result<Option<FestivalId>, SyncError> {
        let festival = cx.replica.descriptor(document)?.map(|descriptor| descriptor.festival);
        let is_common = |festival: &FestivalId| {
            let common = self.places.get(festival).and_then(|place| self.commons.get(place));
            common.is_some_and(|common| common.covers(document))
        };
        Ok(festival.filter(is_common))
    }

    /// The peer holds a log up to there, and so do we now.
    pub(super) fn took(
        &mut self,
        festival: FestivalId,
        log: LogId,
        end: u64,
        cx: &Context<'_>,
    ) -> Result<(), SyncError> {
        let theirs = self.theirs.entry(log).or_default();
        *theirs = end.max(*theirs);
        self.standing.moved(log);
        match self.key_of(festival, &log) {
            Some((place, key)) => self.wishes.came(place, key, &log, cx.replica),
            None => Ok(()),
        }
    }

    /// Entries that do not follow what is held: they wait for those before them, which are asked
    /// for unless that was done already.
    fn came_early(
        &mut self,
        festival: FestivalId,
        segment: Segment,
        until: u64,
        cx: &Context<'_>,
    ) -> Result<(), SyncError> {
        let log = segment.log;
        self.early.hold(segment);
        if let Some((place, key)) = self.key_of(festival, &log)
            && !self.wishes.is_asked(place, key)
        {
            let known = cx.replica.held(&log)?.is_some();
            let log = known.then_some(log);
            self.wishes.want(place, key, Wish { log, until, fork: false })?;
        }
        Ok(())
    }

    /// Entries of a document that is not known: of some festival in common, so the beginning is
    /// asked for in all of them.
    fn came_without_beginning(&mut self, segment: Segment) -> Result<(), SyncError> {
        let log = segment.log;
        let until = segment.from.saturating_add(segment.payloads.len() as u64);
        self.early.hold(segment);
        let keys: Vec<_> =
            self.commons.iter().map(|(place, common)| (*place, common.keys.key(&log))).collect();
        for (place, key) in keys {
            if !self.wishes.is_asked(place, key) {
                self.wishes.want(place, key, Wish { log: None, until, fork: false })?;
            }
        }
        Ok(())
    }

    /// A log's place and key.
    pub(super) fn key_of(&self, festival: FestivalId, log: &LogId) -> Option<(u64, Fp)> {
        let place = *self.places.get(&festival)?;
        Some((place, self.commons.get(&place)?.keys.key(log)))
    }
}
