//! What a peer is known to hold: by comparison, and by what it acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use p2panda_core::{FestivalId, LogId, Replica};

use super::{Context, Phase, Session, exchange::Exchange};
use crate::{
    error::SyncError,
    sketch::{Difference, Fp},
};

/// What there is to look at, since this was asked last, of what the peer holds.
pub(crate) struct Acknowledged {
    pub(crate) festivals: Vec<FestivalId>,
    /// Logs that have changed since, of which the session knows nothing yet.
    pub(crate) changed: BTreeSet<LogId>,
    /// For the first time in this session.
    pub(crate) first: bool,
    /// The logs of which the peer holds more now; `None` where that may be any.
    pub(crate) logs: Option<BTreeSet<LogId>>,
    /// Entries that the peer brought, by festival.
    pub(crate) news: BTreeMap<FestivalId, u64>,
}

/// What follows what the peer holds.
pub(super) struct Standing {
    /// Logs that were pushed, or taken in, since this was asked last.
    moved: BTreeSet<LogId>,
    /// Everything was compared, and not asked for yet.
    fresh: bool,
    /// What was compared says nothing any more.
    lost: bool,
    asked: bool,
    /// Where the replica's changes stood when they were looked at last.
    looked: u64,
}

impl Standing {
    pub(super) const fn new() -> Self {
        Self { moved: BTreeSet::new(), fresh: true, lost: false, asked: false, looked: 0 }
    }

    /// The replica's changes up to here were looked at.
    pub(super) const fn looked(&mut self, cursor: u64) {
        self.looked = cursor;
    }

    fn has_news(&self) -> bool {
        self.fresh || !self.moved.is_empty()
    }

    pub(super) fn moved(&mut self, log: LogId) {
        self.moved.insert(log);
    }

    /// Logs have changed and nobody knows which. Either all are compared again, or what was
    /// compared says nothing any more.
    pub(super) const fn lose(&mut self, compared_again: bool) {
        self.fresh |= compared_again;
        self.lost |= !compared_again;
    }
}

impl Exchange {
    /// A festival was compared as it is now: all of its logs but these are held alike.
    pub(super) fn compared(
        &mut self,
        place: u64,
        differences: &[Difference],
        cx: &mut Context<'_>,
    ) -> Result<(), SyncError> {
        let Some(common) = self.commons.get(&place) else { return Ok(()) };
        let differ: BTreeSet<Fp> = differences.iter().map(|difference| difference.key).collect();
        for (log, theirs) in &mut self.theirs {
            let entry = cx.sketches.entry(cx.replica, common.festival, log)?;
            if let Some(entry) = entry.filter(|entry| entry.tip.length > *theirs)
                && !differ.contains(&common.keys.key(log))
            {
                *theirs = entry.tip.length;
                self.standing.moved(*log);
            }
        }
        Ok(())
    }

    /// The festivals in which all that our user wrote is known to be held alike, as far as either
    /// side holds it: also what we could not have named, so both keep all, and the peer withheld
    /// nothing that we asked for.
    pub(super) fn own_compared(&self, cx: &Context<'_>) -> Result<Vec<FestivalId>, SyncError> {
        let mut left_out = BTreeSet::new();
        let mut apart: BTreeSet<_> = self.parted.iter().chain(self.refusals.all()).collect();
        for log in self.probed.keys() {
            // Where it was cut, both sides know all that counts.
            if !cx.replica.is_cut(log)? {
                apart.insert(log);
            }
        }
        for log in apart {
            let descriptor = cx.replica.descriptor(&log.document)?;
            let own = descriptor.filter(|descriptor| descriptor.user == cx.replica.user());
            left_out.extend(own.map(|descriptor| descriptor.festival));
        }
        let whole = self.commons.iter().filter(|(place, common)| {
            let compared = common.scope.is_none() && !self.withheld.contains(place);
            compared && !left_out.contains(&common.festival)
        });
        Ok(whole.map(|(_, common)| common.festival).collect())
    }

    /// The length of a log that the peer is known to hold durably, once both sides are settled:
    /// `u64::MAX` for all that was here when it was compared, `None` where nothing is known.
    fn acknowledged(&self, festival: FestivalId, log: &LogId) -> Option<u64> {
        let held_alike = !self.parted.contains(log) && !self.probed.contains_key(log);
        let common = self.commons.get(self.places.get(&festival)?)?;
        if self.refusals.concern(log) || !common.covers(&log.document) || !held_alike {
            return None;
        }
        match self.theirs.get(log) {
            Some(length) => Some(*length),
            None if self.standing.lost => None,
            None => Some(u64::MAX),
        }
    }
}

impl Session {
    /// Whether there is something to look at of what the peer holds.
    pub(crate) fn has_acknowledged(&self) -> bool {
        match &self.phase {
            Phase::Exchange(exchange) => exchange.is_settled() && exchange.standing.has_news(),
            _ => false,
        }
    }

    /// What the peer holds now, after both sides were settled; `None` before that, and where
    /// nothing has happened since the last call.
    pub(crate) fn take_acknowledged(&mut self, replica: &Replica) -> Option<Acknowledged> {
        if !self.has_acknowledged() {
            return None;
        }
        let Phase::Exchange(exchange) = &mut self.phase else { return None };
        let (changed, _) = replica.log_changes(exchange.standing.looked)?;
        let changed = changed.into_iter().map(|change| change.log).collect();
        let festivals = exchange.places.keys().copied().collect();
        let standing = &mut exchange.standing;
        let moved = std::mem::take(&mut standing.moved);
        let logs = if std::mem::take(&mut standing.fresh) { None } else { Some(moved) };
        let first = !std::mem::replace(&mut standing.asked, true);
        Some(Acknowledged {
            festivals,
            changed,
            first,
            logs,
            news: std::mem::take(&mut self.report.news),
        })
    }

    /// The length of a log that the peer is known to hold durably: `u64::MAX` for all that was here
    /// when it was compared.
    pub(crate) fn peer_holds(&self, festival: FestivalId, log: &LogId) -> Option<u64> {
        match &self.phase {
            Phase::Exchange(exchange) if exchange.is_settled() => {
                exchange.acknowledged(festival, log)
            }
            _ => None,
        }
    }
}
