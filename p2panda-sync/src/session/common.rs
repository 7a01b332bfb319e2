//! A festival in common, and how far its comparison has come.

use std::collections::BTreeSet;

use p2panda_core::{DocumentId, FestivalId};

use super::{Context, refusals::Refusals, scope::Scope};
use crate::{
    error::SyncError,
    sketch::{Cell, Estimator, Keys, Plan, Salt, pack},
};

/// The syndromes of a `RESALT`.
const SYNDROMES: usize = 16;

/// A festival in common, and how far its comparison has come.
pub(super) struct Common {
    pub(super) festival: FestivalId,
    pub(super) salt: Salt,
    pub(super) keys: Keys,
    pub(super) state: State,
    pub(super) told: Told,
    /// What both sides keep, where that is not all.
    pub(super) scope: Option<Scope>,
    /// What the peer keeps, as far as it has said.
    pub(super) heard: Option<BTreeSet<DocumentId>>,
}

/// What this side waits for.
pub(super) enum State {
    /// Nothing more.
    Over,
    /// More of the peer's sketches, or its vector.
    Decoding { syndromes: Vec<crate::sketch::Fp>, cells: Vec<Cell> },
    /// The rest of the peer's vector, which is compared up to a key.
    Hearing { heard: usize, next: u64 },
    /// Another salt.
    Resalting,
    /// What the peer keeps.
    Narrowing,
}

/// What the accepting side has told of its sketches.
#[derive(Default)]
pub(super) struct Told {
    pub(super) rounds: u32,
    pub(super) plan: Option<Plan>,
    pub(super) estimate: u64,
    /// Of the sketch; `None` where what was told does not fit what follows.
    pub(super) version: Option<u64>,
    pub(super) syndromes: usize,
    pub(super) cells: usize,
}

impl Common {
    pub(super) fn new(festival: FestivalId, salt: Salt, keys: Keys) -> Self {
        let told = Told { syndromes: SYNDROMES, ..Told::default() };
        Self { festival, salt, keys, state: State::Over, told, scope: None, heard: None }
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Accepting: no log has changed since the `HELLO`, so what follows goes on from it.
    pub(super) fn goes_on(&mut self, cx: &mut Context<'_>) -> Result<(), SyncError> {
        let sums = cx.sketches.sums(cx.replica, self.festival, self.salt, 0)?;
        self.told.version = Some(sums.version());
        Ok(())
    }

    pub(super) fn restart(&mut self, salt: Salt) {
        let scope = self.scope.take();
        *self = Self::new(self.festival, salt, Keys::new(salt, &self.festival));
        self.scope = scope;
        self.resalt_scope();
    }

    pub(super) const fn is_narrowing(&self) -> bool {
        matches!(self.state, State::Narrowing)
    }

    /// Accepting: whether the comparison has not begun.
    pub(super) const fn is_untold(&self) -> bool {
        matches!(self.state, State::Over) && self.told.plan.is_none()
    }

    /// The syndromes with which a comparison begins, as they are sent.
    pub(super) fn sums(
        &mut self,
        cx: &mut Context<'_>,
        refusals: &Refusals,
    ) -> Result<Vec<u8>, SyncError> {
        let left_out = refusals.left_out(&self.keys);
        let sketch = self.sketch(cx)?;
        let version = sketch.version();
        let mut syndromes = sketch.syndromes(SYNDROMES);
        syndromes.leave_out(sketch.values(left_out));
        self.told.version = Some(version);
        Ok(pack(syndromes.sums().iter().copied()))
    }

    /// The estimator of what is compared, without what the peer refuses.
    pub(super) fn estimator(
        &mut self,
        refusals: &Refusals,
        cx: &mut Context<'_>,
    ) -> Result<Estimator, SyncError> {
        let mut estimator = self.sketch(cx)?.estimator().clone();
        for log in refusals.theirs.keys().filter(|log| self.covers(&log.document)) {
            if let Some(entry) = cx.sketches.entry(cx.replica, self.festival, log)? {
                estimator.subtract(&self.keys.item(log, &entry));
            }
        }
        Ok(estimator)
    }
}
