//! What a peer may cost: work is counted, not timed, so that a session needs no clock for it.

use std::time::Duration;

use super::greeting::BUSY;
use crate::error::SyncError;

/// In one window a peer may cause so much work on sketches, in microseconds as measured.
const WORK: u64 = 50_000;

/// How long a window is.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// What a peer has cost in a window. It is kept with the peer where it is known who that is, so that
/// connecting again does not help.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Budget {
    since: Duration,
    spent: u64,
}

/// Decoding so many syndromes: the square of their number.
pub(super) const fn syndromes(count: usize) -> u64 {
    let count = count as u64;
    20 + count * count / 12
}

/// Decoding so many cells.
pub(super) const fn cells(count: usize) -> u64 {
    20 + 2 * count as u64
}

/// Looking at so many logs for a salt that was not seen before. However many there are, what follows
/// has to be possible in the same window.
pub(super) fn salt(logs: usize) -> u64 {
    (100 + logs as u64 / 2).min(WORK / 2)
}

/// Looking so many heads up.
pub(super) const fn heads(count: usize) -> u64 {
    10 + 2 * count as u64
}

impl Budget {
    pub(crate) fn charge(&mut self, now: Duration, work: u64) -> Result<(), SyncError> {
        if now.saturating_sub(self.since) >= WINDOW {
            *self = Self { since: now, spent: 0 };
        }
        if self.spent + work > WORK {
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
        let mut budget = Budget::default();
        assert!(budget.charge(Duration::ZERO, salt(1_000_000)).is_ok());
        assert!(budget.charge(Duration::ZERO, syndromes(128)).is_ok(), "it is of use");
        let again = budget.charge(Duration::ZERO, salt(1_000_000));
        assert!(matches!(again, Err(SyncError::Busy { .. })));
        assert!(budget.charge(WINDOW, cells(1)).is_ok());
        let decode = |budget: &mut Budget| budget.charge(WINDOW, syndromes(128));
        let decoded = (0..1000).take_while(|_| decode(&mut budget).is_ok()).count();
        assert!((20..60).contains(&decoded), "{decoded}");
    }
}
