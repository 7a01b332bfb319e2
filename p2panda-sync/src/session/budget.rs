//! What a peer may cost: work is counted, not timed, so that a session needs no clock for it.

use std::time::Duration;

use super::greeting::BUSY;
use crate::error::SyncError;

/// In one window a peer may cause so much work on sketches, in microseconds as measured.
const WORK: u64 = 50_000;

/// How long a window is.
const WINDOW: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Budget {
    since: Duration,
    spent: u64,
}

impl Budget {
    pub(super) const fn new(now: Duration) -> Self {
        Self { since: now, spent: 0 }
    }

    /// Decoding so many syndromes: the square of their number.
    pub(super) fn syndromes(&mut self, now: Duration, count: usize) -> Result<(), SyncError> {
        let count = count as u64;
        self.charge(now, 20 + count * count / 12)
    }

    /// Decoding so many cells.
    pub(super) fn cells(&mut self, now: Duration, count: usize) -> Result<(), SyncError> {
        self.charge(now, 20 + 2 * count as u64)
    }

    /// Looking at so many logs for a salt that was not seen before.
    pub(super) fn salt(&mut self, now: Duration, logs: usize) -> Result<(), SyncError> {
        self.charge(now, 100 + logs as u64 / 2)
    }

    /// Looking so many heads up.
    pub(super) fn heads(&mut self, now: Duration, count: usize) -> Result<(), SyncError> {
        self.charge(now, 10 + 2 * count as u64)
    }

    fn charge(&mut self, now: Duration, work: u64) -> Result<(), SyncError> {
        if now.saturating_sub(self.since) >= WINDOW {
            *self = Self::new(now);
        }
        // What costs more than a window has may be done, but nothing else with it.
        if self.spent > 0 && self.spent + work > WORK {
            return Err(SyncError::Busy { retry_after: BUSY });
        }
        self.spent += work;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_causes_too_much_work_has_to_wait() {
        let mut budget = Budget::new(Duration::ZERO);
        assert!(budget.salt(Duration::ZERO, 1_000_000).is_ok(), "once");
        assert!(matches!(budget.cells(Duration::ZERO, 1), Err(SyncError::Busy { .. })));
        assert!(budget.cells(WINDOW, 1).is_ok());
        let decoded = (0..1000).take_while(|_| budget.syndromes(WINDOW, 128).is_ok()).count();
        assert!((20..60).contains(&decoded), "{decoded}");
    }
}
