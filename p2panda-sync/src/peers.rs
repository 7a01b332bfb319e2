//! What is remembered of peers beyond one session: how far to trust them, what they may still cost,
//! and what they refuse.

use std::{collections::BTreeMap, time::Duration};

use p2panda_core::{FestivalId, LinkId, LogId};

use crate::{
    error::{Advice, Fault, SyncError},
    session::Budget,
};

/// How many peers are remembered; of more, those met longest ago are forgotten.
const MAX_PEERS: usize = 1024;

/// How many logs are remembered as refused by one peer, and by all together.
const MAX_REFUSED: usize = 4096;
const MAX_REFUSED_IN_ALL: usize = 16_384;

/// How long a peer is refused that sent what no honest peer sends; twice as long each further time.
const DROPPED: Duration = Duration::from_secs(10 * 60);

/// What is longer than this in powers of two is not.
const MAX_DOUBLINGS: u32 = 6;

/// The longest that a peer's refusal is remembered without being said again.
pub(crate) const MAX_REFUSAL: Duration = Duration::from_secs(24 * 60 * 60);

/// Who a peer is, as far as its link tells: equal for two links if they lead to the same device.
///
/// A link that is encrypted proves its peer's link key; an application may know its peers otherwise
/// and make ids of what it knows. Whoever changes its id is a stranger, and costs what strangers may
/// cost.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId([u8; 32]);

impl PeerId {
    /// The id of a peer that these bytes name: a key, an address, anything that is its own.
    #[must_use]
    pub fn new(name: &[u8]) -> Self {
        Self(blake3::derive_key("p2panda 1 sync peer", name))
    }

    /// Of 32 bytes that are the peer's alone, as [`as_bytes`](Self::as_bytes) gave them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes: of an encrypted link the peer's link key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<LinkId> for PeerId {
    fn from(link: LinkId) -> Self {
        Self(*link.as_bytes())
    }
}

impl std::fmt::Debug for PeerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PeerId(")?;
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, ")")
    }
}

/// How a peer stands with us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many sessions in a row ended early without bringing anything.
    pub fruitless: u32,
    /// How often it did what no honest peer does; each session that goes well takes one off.
    pub faults: u32,
    /// Until when nothing is exchanged with it, by the clock of the node.
    pub rests_until: Option<Duration>,
}

/// The peers of one replica.
#[derive(Debug, Default)]
pub struct Peers {
    records: BTreeMap<PeerId, Record>,
    uses: u64,
    refused: usize,
}

#[derive(Debug, Default)]
struct Record {
    last_use: u64,
    standing: Standing,
    /// It rests because it has cost enough, not because it failed.
    is_busy: bool,
    budget: Budget,
    /// What it refuses, and until when.
    refused: BTreeMap<LogId, (FestivalId, Duration)>,
    /// When it was last told what we refuse.
    told: Option<Duration>,
}

impl Peers {
    /// How a peer stands; `None` where it is not known.
    #[must_use]
    pub fn standing(&self, peer: &PeerId) -> Option<Standing> {
        self.records.get(peer).map(|record| record.standing)
    }

    /// How many peers are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether no peer is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether there may be a session with a peer now.
    ///
    /// # Errors
    /// [`SyncError::Busy`] or [`SyncError::BackOff`], which say when there may be.
    pub fn may_meet(&self, peer: &PeerId, now: Duration) -> Result<(), SyncError> {
        let Some(record) = self.records.get(peer) else { return Ok(()) };
        match record.standing.rests_until {
            Some(until) if until > now && record.is_busy => {
                Err(SyncError::Busy { retry_after: until - now })
            }
            Some(until) if until > now => Err(SyncError::BackOff { until }),
            _ => Ok(()),
        }
    }

    /// A session with a peer has ended; `progress` says whether it brought or took anything.
    pub fn ended(
        &mut self,
        peer: &PeerId,
        now: Duration,
        outcome: Result<(), &SyncError>,
        progress: bool,
    ) {
        let record = self.record(peer);
        let standing = &mut record.standing;
        let Err(error) = outcome else {
            standing.fruitless = 0;
            standing.faults = standing.faults.saturating_sub(1);
            return;
        };
        record.is_busy = matches!(error, SyncError::Busy { .. });
        let rest = match (error.fault(), error) {
            (Fault::Own, _) => return,
            (Fault::Peer, _) => {
                standing.faults = standing.faults.saturating_add(1);
                Some(DROPPED * 2_u32.pow((standing.faults - 1).min(MAX_DOUBLINGS)))
            }
            (_, SyncError::Busy { retry_after }) => Some(*retry_after),
            _ => {
                standing.fruitless =
                    if progress { 0 } else { standing.fruitless.saturating_add(1) };
                match error.advice(standing.fruitless) {
                    Advice::BackOff(rest) => Some(rest),
                    // What may change any minute is tried as often as a link that breaks.
                    Advice::Drop => SyncError::pause(standing.fruitless),
                    Advice::Retry => None,
                }
            }
        };
        standing.rests_until = rest.map(|rest| now.saturating_add(rest));
    }

    /// Lets a peer cause so much work, unless it has caused enough, in whatever sessions.
    pub(crate) fn charge(
        &mut self,
        peer: &PeerId,
        now: Duration,
        work: u64,
    ) -> Result<(), SyncError> {
        self.record(peer).budget.charge(now, work)
    }

    /// The logs of a festival that a peer refuses, and until when.
    pub(crate) fn refused(
        &self,
        peer: &PeerId,
        festival: FestivalId,
        now: Duration,
    ) -> impl Iterator<Item = (LogId, Duration)> {
        let refused = self.records.get(peer).into_iter().flat_map(|record| &record.refused);
        refused
            .filter(move |(_, (of, until))| *of == festival && *until > now)
            .map(|(log, (_, until))| (*log, *until))
    }

    /// A peer refuses a log.
    pub(crate) fn refuse(
        &mut self,
        peer: &PeerId,
        festival: FestivalId,
        log: LogId,
        until: Duration,
        now: Duration,
    ) {
        self.make_room_for_refusals(peer, now);
        let record = self.record(peer);
        let known = record.refused.len();
        if known < MAX_REFUSED || record.refused.contains_key(&log) {
            record.refused.insert(log, (festival, until));
            self.refused += self.records.get(peer).map_or(0, |record| record.refused.len()) - known;
        }
    }

    /// A peer does not refuse a log any more.
    pub(crate) fn take_back(&mut self, peer: &PeerId, log: &LogId) {
        if let Some(record) = self.records.get_mut(peer)
            && record.refused.remove(log).is_some()
        {
            self.refused -= 1;
        }
    }

    /// When a peer was last told what we refuse; from now on it has been told again.
    pub(crate) fn tell(&mut self, peer: &PeerId, now: Duration) -> Option<Duration> {
        self.record(peer).told.replace(now)
    }

    /// Drops what is over, and where that is not enough, what other peers refuse that were not met
    /// for longest.
    fn make_room_for_refusals(&mut self, but: &PeerId, now: Duration) {
        let full = self.records.get(but).is_some_and(|record| record.refused.len() >= MAX_REFUSED);
        if self.refused < MAX_REFUSED_IN_ALL && !full {
            return;
        }
        for record in self.records.values_mut() {
            let before = record.refused.len();
            record.refused.retain(|_, (_, until)| *until > now);
            self.refused -= before - record.refused.len();
        }
        while self.refused >= MAX_REFUSED_IN_ALL {
            let others = self
                .records
                .iter_mut()
                .filter(|(peer, record)| *peer != but && !record.refused.is_empty());
            let Some((_, oldest)) = others.min_by_key(|(_, record)| record.last_use) else {
                return;
            };
            self.refused -= std::mem::take(&mut oldest.refused).len();
        }
    }

    fn record(&mut self, peer: &PeerId) -> &mut Record {
        self.uses += 1;
        if !self.records.contains_key(peer) && self.records.len() >= MAX_PEERS {
            let oldest = self.records.iter().min_by_key(|(_, record)| record.last_use);
            if let Some(oldest) = oldest.map(|(oldest, _)| *oldest) {
                let forgotten = self.records.remove(&oldest);
                self.refused -= forgotten.map_or(0, |record| record.refused.len());
            }
        }
        let record = self.records.entry(*peer).or_default();
        record.last_use = self.uses;
        record
    }
}

#[cfg(test)]
mod tests;
