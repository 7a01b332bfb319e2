//! Segments that came before those they follow: bounded for each session, and for all together.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use p2panda_core::{EarlySegments, LogId, Segment};

/// The most bytes of segments of one session that wait for those before them.
const MAX_EARLY: usize = 256 * 1024;

/// The most of all sessions over one replica.
const MAX_ALL: usize = 4 * 1024 * 1024;

/// What all sessions over one replica hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct EarlyBytes(Arc<AtomicUsize>);

impl EarlyBytes {
    /// How many bytes.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// What one session holds. It gives its share back whenever it ends.
#[derive(Debug)]
pub(super) struct Early {
    segments: EarlySegments,
    all: EarlyBytes,
}

impl Early {
    pub(super) fn new(all: &EarlyBytes) -> Self {
        Self { segments: EarlySegments::new(MAX_EARLY), all: all.clone() }
    }

    /// Keeps a segment if there is room.
    pub(super) fn hold(&mut self, segment: Segment) {
        let cost = EarlySegments::cost(&segment);
        if self.all.0.load(Relaxed).saturating_add(cost) <= MAX_ALL && self.segments.hold(segment) {
            self.all.0.fetch_add(cost, Relaxed);
        }
    }

    /// The next segment of a log that follows what is held.
    pub(super) fn take(&mut self, log: &LogId, held: u64) -> Option<Segment> {
        let before = self.segments.bytes();
        let segment = self.segments.take(log, held);
        self.all.0.fetch_sub(before - self.segments.bytes(), Relaxed);
        segment
    }
}

impl Drop for Early {
    fn drop(&mut self) {
        self.all.0.fetch_sub(self.segments.bytes(), Relaxed);
    }
}
