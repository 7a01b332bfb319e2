//! Which sketch to send, by the estimate of how many logs differ.

use super::{cell::MAX_CELLS, syn::MAX_SYNDROMES};

/// What to send next to a peer that could not decode what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Syndromes, up to so many in all.
    Syndromes(usize),
    /// Cells, up to so many in all.
    Cells(usize),
    /// The whole map, in short.
    Vector,
}

/// Up to so many differences syndromes are decoded quickly enough.
const SYNDROMES_UP_TO: u64 = 40;

impl Plan {
    /// Of an estimate, for a map of so many logs.
    ///
    /// A map of which more than a fifth differs costs less as it is. Room is left for an estimate
    /// that is a quarter too low, which is one and a half times its standard error.
    #[must_use]
    pub fn new(estimate: u64, logs: u64) -> Self {
        if estimate.saturating_mul(5) > logs {
            return Self::Vector;
        }
        let roomy = estimate.saturating_add(estimate.div_ceil(4));
        if estimate <= SYNDROMES_UP_TO {
            return Self::syndromes(2 * (roomy + 2));
        }
        // 1.42 cells decode one difference.
        let cells = roomy.saturating_mul(142) / 100 + 16;
        if cells > MAX_CELLS as u64 { Self::Vector } else { Self::cells(cells) }
    }

    /// More of the same, after it was too little.
    #[must_use]
    pub fn more(self) -> Self {
        match self {
            Self::Syndromes(count) if count < MAX_SYNDROMES => Self::Syndromes(MAX_SYNDROMES),
            // Twice as many differences as were looked for.
            Self::Syndromes(_) => Self::Cells(MAX_SYNDROMES * 3 / 2),
            Self::Cells(count) if count < MAX_CELLS => {
                Self::Cells((count + count / 2).min(MAX_CELLS))
            }
            Self::Cells(_) | Self::Vector => Self::Vector,
        }
    }

    /// The same, or the vector where a session with this estimate may not have so many cells.
    #[must_use]
    pub fn within(self, estimate: u64) -> Self {
        match self {
            Self::Cells(count) if count as u64 > Self::most_cells(estimate) => Self::Vector,
            plan => plan,
        }
    }

    /// What a session may cost, by its estimate.
    const fn most_cells(estimate: u64) -> u64 {
        let most = estimate.saturating_mul(4).saturating_add(64);
        if most < MAX_CELLS as u64 { most } else { MAX_CELLS as u64 }
    }

    fn syndromes(count: u64) -> Self {
        Self::Syndromes(usize::try_from(count).map_or(MAX_SYNDROMES, |n| n.min(MAX_SYNDROMES)))
    }

    fn cells(count: u64) -> Self {
        Self::Cells(usize::try_from(count).map_or(MAX_CELLS, |n| n.min(MAX_CELLS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_decides() {
        assert_eq!(Plan::new(10, 10_000), Plan::Syndromes(30));
        assert_eq!(Plan::new(40, 10_000), Plan::Syndromes(104));
        assert_eq!(Plan::new(100, 10_000), Plan::Cells(193));
        assert_eq!(Plan::new(1000, 100_000), Plan::Cells(1791));
        assert_eq!(Plan::new(5000, 100_000), Plan::Vector);
        assert_eq!(Plan::new(21, 100), Plan::Vector);
        assert_eq!(Plan::new(u64::MAX, u64::MAX), Plan::Vector);
    }

    #[test]
    fn cells_are_bounded_by_what_was_estimated() {
        assert_eq!(Plan::new(2000, 1_000_000).within(2000), Plan::Cells(3566));
        assert_eq!(Plan::new(2400, 1_000_000), Plan::Vector, "more than 4,096 cells");
        let mut plan = Plan::new(100, 10_000);
        let mut counts = Vec::new();
        while let Plan::Cells(count) = plan {
            counts.push(count);
            plan = plan.more().within(100);
        }
        assert_eq!((counts, plan), (vec![193, 289, 433], Plan::Vector), "464 cells at most");
    }

    #[test]
    fn more_of_it_ends_with_the_vector() {
        for start in [Plan::Syndromes(16), Plan::Cells(70)] {
            let mut plan = start;
            let steps = (0..20).take_while(|_| {
                plan = plan.more();
                plan != Plan::Vector
            });
            assert!(steps.count() < 15);
        }
    }
}
