//! Runs the policies' steward over the resources of this home's user.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use p2panda_core::{
    Edit, EntityId, FestivalId, Replica,
    schema::{Instant, Resource, write_fields},
};
use p2panda_policy::{Act, Duty, Judge, steward};
use rand_chacha::ChaCha20Rng;

use crate::{home::Home, time};

/// Acts in one commit: a crash between two commits does no harm.
const ACTS: usize = 128;

/// Decides for the user of a home. It looks at what changed since it last looked.
pub(crate) struct Steward {
    home: Home,
    rng: ChaCha20Rng,
    watches: BTreeMap<FestivalId, Watch>,
}

/// What it has looked at of one festival.
#[derive(Default)]
struct Watch {
    judge: Judge,
    /// Draws that wait for their time.
    draws: BTreeMap<EntityId, Instant>,
}

/// What a steward signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) confirmed: usize,
    pub(crate) released: usize,
}

impl Steward {
    pub(crate) const fn new(home: Home, rng: ChaCha20Rng) -> Self {
        Self { home, rng, watches: BTreeMap::new() }
    }

    /// One run over everything that changed, in all festivals or in one. Nothing is signed where
    /// this device may not decide. `progress` is told how much is signed, and of how much.
    pub(crate) fn run(
        &mut self,
        replica: &mut Replica,
        only: Option<FestivalId>,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Signed> {
        let previous = self.home.steward_ran();
        let mut signed = Signed::default();
        for festival in replica.festivals()? {
            let id = festival.id();
            if only.is_none_or(|only| only == id) && replica.may_decide(id) {
                self.festival(replica, id, previous, &mut signed, &mut progress)?;
            }
        }
        self.home.set_steward_ran(time::now())?;
        Ok(signed)
    }

    fn festival(
        &mut self,
        replica: &mut Replica,
        festival: FestivalId,
        previous_run: Option<Instant>,
        signed: &mut Signed,
        progress: &mut impl FnMut(usize, usize),
    ) -> Result<()> {
        let Self { home, rng, watches } = self;
        let watch = watches.entry(festival).or_default();
        let me = replica.user();
        // Its own releases can let others in, so it looks until nothing changes any more.
        loop {
            let now = time::now();
            let mut changed = watch.judge.follow(replica.view(festival))?;
            let due = watch.draws.iter().filter(|(_, closes)| **closes <= now);
            changed.extend(due.map(|(resource, _)| resource.clone()));
            if changed.is_empty() {
                return Ok(());
            }
            let mut acts = Vec::new();
            for resource in changed {
                let view = replica.view(festival);
                watch.draws.remove(&resource);
                if view.author(&resource.document)? != Some(me) {
                    continue;
                }
                let Some(facts) = view.facts(&resource)? else { continue };
                let tokens = watch.judge.tokens(&facts, &mut |id| view.facts(id))?;
                let arrivals = view.arrivals(&resource)?;
                let lots =
                    facts.resource.as_ref().and_then(|of| watch.judge.policies().lots(of, me));
                let seed = lots.map(|_| home.seed(&resource)).transpose()?;
                let duty = Duty { me, arrivals: &arrivals, previous_run, now, seed };
                let signs = steward(watch.judge.policies(), &facts, &tokens, &duty);
                if let Some(lots) = lots.filter(|lots| lots.closes > now) {
                    watch.draws.insert(resource.clone(), lots.closes);
                }
                acts.extend(signs.into_iter().map(|act| (resource.clone(), act)));
            }
            let total = acts.len();
            let mut done = 0;
            while !acts.is_empty() {
                let later = acts.split_off(acts.len().min(ACTS));
                let batch = std::mem::replace(&mut acts, later);
                done += batch.len();
                replica.edit(festival, time::now(), rng, |edit| -> Result<()> {
                    batch.into_iter().try_for_each(|(of, act)| sign(edit, &of, act, signed))
                })?;
                progress(done, total);
            }
        }
    }
}

fn sign(edit: &mut Edit<'_>, resource: &EntityId, act: Act, signed: &mut Signed) -> Result<()> {
    match act {
        Act::Decide(decision) => {
            edit.decide(decision)?;
            signed.confirmed += 1;
        }
        Act::Release(release) => {
            signed.released += release.decisions.len();
            edit.release(release)?;
        }
        Act::Draw(draw) => {
            let drawn = Resource { draw: Some(draw), ..Resource::default() };
            let value = write_fields(&drawn)?.remove("draw");
            edit.set(resource, &["draw"], value.context("a draw is a field")?)?;
        }
    }
    Ok(())
}
