//! What an exchange sends, one frame at a time and only when asked for it.

use p2panda_core::{Chain, LogId, Seal};

use super::{Context, exchange::Exchange, wishes::is_served};
use crate::{
    error::SyncError,
    sketch::{Fp, Sketch},
    wire::{Batch, Deflated, Message, Owner, Piece, Stand, Want, Wanted, Wants},
};

impl Exchange {
    pub(super) fn next_want(&mut self, cx: &mut Context<'_>) -> Result<Option<Message>, SyncError> {
        while self.wishes.has_room()
            && let Some(place) = self.wishes.next_place()
        {
            let want = self.next_want_of(place, cx)?;
            if want.is_some() {
                return Ok(want);
            }
        }
        Ok(None)
    }

    fn next_want_of(
        &mut self,
        place: u64,
        cx: &mut Context<'_>,
    ) -> Result<Option<Message>, SyncError> {
        let mut wants = Wants::default();
        while wants.0.len() < Wants::MAX
            && self.wishes.has_room()
            && let Some((key, mut wish)) = self.wishes.next(place)
        {
            // Others may have sent it in the meantime.
            if wish.log.is_none() {
                let Some(common) = self.commons.get_mut(&place) else { break };
                wish.log = named(common.sketch(cx)?, key);
            }
            if is_served(&wish, cx.replica)? {
                continue;
            }
            let held = match &wish.log {
                Some(log) => cx.replica.held(log)?.map(|tip| (*log, tip)),
                None => None,
            };
            let from = held.map_or(0, |(_, tip)| tip.length);
            let digest = held.filter(|_| from > 0).map(|(log, tip)| self.digest(&log, &tip.chain));
            wants.0.push(Wanted { key: Stand::short(key), from, digest });
            self.wishes.ask(place, key, wish);
        }
        if wants.0.is_empty() {
            return Ok(None);
        }
        let grafts = self.live.as_mut().is_some_and(|live| live.grafts(place));
        let want = Want { place, logs: wants.to_bytes().into() };
        Ok(Some(if grafts { Message::Graft(want) } else { Message::Want(want) }))
    }

    /// Finds out which logs were asked for that were not known then: if others brought one, and the
    /// peer has heard of it from us, it has nothing left to send.
    pub(super) fn name_wishes(&mut self, cx: &mut Context<'_>) -> Result<(), SyncError> {
        let unnamed = self.wishes.unnamed();
        if unnamed.is_empty() {
            return Ok(());
        }
        self.flush(cx)?;
        for (place, key) in unnamed {
            let Some(common) = self.commons.get_mut(&place) else { continue };
            let log = named(common.sketch(cx)?, key);
            log.into_iter().for_each(|log| self.wishes.name(place, key, log));
        }
        Ok(())
    }

    pub(super) fn next_push(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Result<Option<Deflated>, SyncError> {
        let mut batch = Batch::default();
        while !batch.is_full(self.frame)
            && let Some(log) = self.push.first().copied()
        {
            let from = self.known_to_peer(&log);
            let Some(segment) = cx.replica.segment(&log, from)? else {
                self.push.pop_first();
                if cx.replica.held(&log)?.is_none() {
                    // It was removed since the peer asked for it, or was to get it.
                    let keys = self.commons.iter().map(|(at, common)| (*at, common.keys.key(&log)));
                    for (place, key) in keys.collect::<Vec<_>>() {
                        self.deny(place, vec![key]);
                    }
                }
                // It may end at a signed head; where it is cut there, that has to be proved too.
                if let Some(proof) = cx.replica.fork_proof(&log)?
                    && self.proved.get(&log) != Some(&proof.at().length)
                {
                    self.prove.insert(log);
                }
                continue;
            };
            let owner = if from == 0 { self.owner(&log, cx)? } else { None };
            let end = segment.end().length;
            self.theirs.insert(log, end);
            self.standing.moved(log);
            if matches!(segment.seal(), Seal::Fork(_)) {
                self.proved.insert(log, end);
            }
            cx.report.stats.segments_sent += 1;
            cx.report.stats.entries_sent += end - from;
            batch.add(Piece::new(segment.into_segment(), owner));
        }
        Ok((!batch.is_empty()).then(|| batch.deflate()))
    }

    /// Looks at the logs that have changed since this was done last. On a live link those are
    /// queued that the peer lacks, to be pushed or told.
    pub(super) fn look_for_changes(&mut self, cx: &mut Context<'_>) -> Result<(), SyncError> {
        if !self.has_compared() {
            return Ok(());
        }
        let (changes, newest) = cx.sketches.changes(cx.replica, self.cursor)?;
        self.cursor = newest;
        self.standing.looked(cx.replica.log_cursor());
        let Some(changes) = changes else {
            self.disturbed = true;
            self.standing.lose(self.is_live());
            return if self.is_live() { self.compare_again(cx) } else { Ok(()) };
        };
        for change in changes {
            let log = change.log;
            let Some(place) = self.places.get(&change.festival).copied() else { continue };
            if !self.covers_change(&change, cx)? {
                continue;
            }
            self.disturbed |= !self.received.contains(&log);
            // What the peer holds is what was compared, whatever was written here since.
            self.theirs.entry(log).or_insert(change.before);
            if !self.is_live() || self.parted.contains(&log) || self.refusals.contains(&log, cx.now)
            {
                continue;
            }
            let entry = cx.sketches.entry(cx.replica, change.festival, &log)?;
            let Some(entry) = entry else { continue };
            if entry.tip.length > self.known_to_peer(&log) {
                self.spread(place, log, cx.now);
            } else if entry.cut && self.proved.get(&log) != Some(&entry.tip.length) {
                self.prove.insert(log);
            }
        }
        Ok(())
    }

    pub(super) fn owner(&self, log: &LogId, cx: &Context<'_>) -> Result<Option<Owner>, SyncError> {
        let descriptor = cx.replica.descriptor(&log.document)?;
        Ok(descriptor.and_then(|descriptor| {
            let place = *self.places.get(&descriptor.festival)?;
            Some(Owner { place, user: descriptor.user, label: descriptor.label })
        }))
    }

    /// What tells the peer whether its chain goes on from ours. It depends on the session, so
    /// nobody can have looked for two chains with one digest; should two have one all the same, what
    /// is pushed does not fit, and the peer is asked.
    pub(super) fn digest(&self, log: &LogId, chain: &Chain) -> [u8; 4] {
        let token = self.hashes.token("p2panda 1 sync want", &[&log.to_bytes(), chain.as_bytes()]);
        let [a, b, c, d, ..] = token.0;
        [a, b, c, d]
    }
}

/// The log of a key of which the bits count that a `VECTOR` or `WANT` brings.
pub(super) fn named(sketch: &Sketch, key: Fp) -> Option<LogId> {
    let short = Stand::short(key);
    let nearest = sketch.from_key(Stand::long(short)).next();
    nearest.filter(|(near, ..)| Stand::short(*near) == short).map(|(_, log, _)| log)
}
