//! Runs the policies' steward over the resources of this home's user.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use p2panda_core::{
    Edit, EntityId, FestivalId, Replica,
    schema::{Entity as _, Instant, Resource},
    view::View,
};
use p2panda_policy::{Act, Policies, steward};
use rand_chacha::ChaCha20Rng;

use crate::{home::Home, time};

/// Acts in one commit: a crash between two commits does no harm.
const ACTS: usize = 128;
/// Changes read at once.
const CHANGES: usize = 4_096;

/// Decides for the user of a home. It looks at what changed since it last looked.
pub(crate) struct Steward {
    home: Home,
    rng: ChaCha20Rng,
    cursors: BTreeMap<FestivalId, u64>,
}

/// What a steward signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) confirmed: usize,
    pub(crate) released: usize,
}

impl Steward {
    pub(crate) const fn new(home: Home, rng: ChaCha20Rng) -> Self {
        Self { home, rng, cursors: BTreeMap::new() }
    }

    /// One run over everything that changed, in all festivals or in one. `progress` is told how
    /// much is signed, and of how much.
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
            if only.is_none_or(|only| only == id) {
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
        previous: Option<Instant>,
        signed: &mut Signed,
        progress: &mut impl FnMut(usize, usize),
    ) -> Result<()> {
        let policies = Policies::default();
        let me = replica.user();
        // Its own releases can let others in, so it looks until nothing changes any more.
        loop {
            let cursor = self.cursors.entry(festival).or_default();
            let changed = changed(replica.view(festival), cursor)?;
            if changed.is_empty() {
                return Ok(());
            }
            let mut acts = Vec::new();
            for resource in changed {
                let view = replica.view(festival);
                if view.author(&resource.document)? == Some(me)
                    && let Some(facts) = view.facts(&resource)?
                {
                    let arrivals = view.arrivals(&resource)?;
                    acts.extend(steward(&policies, me, &facts, &arrivals, previous));
                }
            }
            let total = acts.len();
            let mut done = 0;
            while !acts.is_empty() {
                let later = acts.split_off(acts.len().min(ACTS));
                let batch = std::mem::replace(&mut acts, later);
                done += batch.len();
                replica.edit(festival, time::now(), &mut self.rng, |edit| -> Result<()> {
                    batch.into_iter().try_for_each(|act| sign(edit, act, signed))
                })?;
                progress(done, total);
            }
        }
    }
}

fn sign(edit: &mut Edit<'_>, act: Act, signed: &mut Signed) -> Result<()> {
    match act {
        Act::Decide(decision) => {
            edit.decide(decision)?;
            signed.confirmed += 1;
        }
        Act::Release(release) => {
            signed.released += release.decisions.len();
            edit.release(release)?;
        }
    }
    Ok(())
}

/// The resources about which there is something new; moves the cursor.
fn changed(view: View<'_>, cursor: &mut u64) -> Result<BTreeSet<EntityId>> {
    let mut resources = BTreeSet::new();
    loop {
        let changes = view.changes(*cursor, CHANGES)?;
        let Some((newest, _)) = changes.last() else { return Ok(resources) };
        *cursor = *newest;
        for (_, id) in changes {
            if !id.local.is_record() {
                let fields = view.fields(&id)?;
                let kind = fields.as_ref().and_then(|fields| fields.get("kind")?.as_text());
                if kind == Some(Resource::KIND) {
                    resources.insert(id);
                }
            } else if let Some(fact) = view.record(&id)? {
                resources.insert(fact.record.resource().clone());
            }
        }
    }
}
