//! Segments that came before those they follow.

use std::collections::BTreeMap;

use crate::{id::LogId, log::Segment};

/// A bounded buffer of segments that start beyond what is held: not verified, since what would
/// prove them has not come.
///
/// A session keeps one for each peer, so that one peer's segments never drive out another's.
///
/// ```
/// use p2panda_core::EarlySegments;
///
/// let early = EarlySegments::new(256 * 1024); // bytes
/// assert_eq!(early.bytes(), 0);
/// ```
#[derive(Debug)]
pub struct EarlySegments {
    limit: usize,
    bytes: usize,
    segments: BTreeMap<(LogId, u64), Segment>,
}

/// What a held segment costs besides its payloads.
const OVERHEAD: usize = 256;

impl EarlySegments {
    /// An empty buffer of at most so many bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit, bytes: 0, segments: BTreeMap::new() }
    }

    /// The bytes that are held, what each segment costs besides its payloads included.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What holding a segment would take, in bytes.
    #[must_use]
    pub fn cost(segment: &Segment) -> usize {
        let payloads = segment.payloads.iter();
        payloads.map(|payload| payload.len() + size_of::<Vec<u8>>()).sum::<usize>() + OVERHEAD
    }

    /// Keeps a segment if there is room and none that starts there; whether it did.
    pub fn hold(&mut self, segment: Segment) -> bool {
        let key = (segment.log, segment.from);
        let cost = Self::cost(&segment);
        if self.bytes.saturating_add(cost) > self.limit || self.segments.contains_key(&key) {
            return false;
        }
        self.bytes += cost;
        self.segments.insert(key, segment);
        true
    }

    /// Takes the next segment of a log that starts where something is held now; what holds nothing
    /// new any more is dropped. Offer it as if it had just come: its sender answers for it.
    pub fn take(&mut self, log: &LogId, held: u64) -> Option<Segment> {
        loop {
            let (key, _) = self.segments.range((*log, 0)..=(*log, held)).next()?;
            let segment = self.segments.remove(&key.clone())?;
            self.bytes = self.bytes.saturating_sub(Self::cost(&segment));
            if segment.from.saturating_add(segment.payloads.len() as u64) > held {
                return Some(segment);
            }
        }
    }
}
