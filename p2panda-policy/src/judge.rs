//! Verdicts kept up to date: a change is judged again only where it matters.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use p2panda_core::{
    EntityId,
    schema::{Entity as _, Resource},
    store::StoreError,
    view::{ResourceFacts, View},
};

use crate::{Judged, Policies, Tokens, evaluate};

/// Judges the resources of one festival, and keeps what it concluded until something changes it.
///
/// [`Judge::follow`] reads the view's feed of changes; [`Judge::resource`] answers. A change costs
/// an evaluation of the resource that it touches, when that is next asked for, and of those whose
/// policies ask about it.
#[derive(Debug, Default)]
pub struct Judge {
    policies: Policies,
    cursor: u64,
    judged: BTreeMap<EntityId, Arc<Judged>>,
    /// By token, the resources that rest on it.
    dependents: BTreeMap<EntityId, BTreeSet<EntityId>>,
    evaluations: u64,
}

/// How many changes are read at once.
const CHANGES: usize = 4_096;

impl Judge {
    /// A judge who knows nothing yet.
    #[must_use]
    pub fn new(policies: Policies) -> Self {
        Self { policies, ..Self::default() }
    }

    /// Reads what changed since it last did, and forgets its conclusions about that. Returns the
    /// resources on which verdicts can differ now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn follow(&mut self, view: View<'_>) -> Result<BTreeSet<EntityId>, StoreError> {
        let mut touched = BTreeSet::new();
        loop {
            let changes = view.changes(self.cursor, CHANGES)?;
            let Some((newest, _)) = changes.last() else { return Ok(touched) };
            let newest = *newest;
            for resource in self.resources_of(view, changes)? {
                touched.extend(self.changed(&resource));
            }
            self.cursor = newest;
        }
    }

    /// Forgets what rests on a resource; returns that resource and those others.
    pub fn changed(&mut self, resource: &EntityId) -> BTreeSet<EntityId> {
        let mut touched = self.dependents.get(resource).cloned().unwrap_or_default();
        touched.insert(resource.clone());
        for id in &touched {
            self.judged.remove(id);
        }
        touched
    }

    /// A resource and the verdicts on its requests; `None` where nothing is known of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn resource(
        &mut self,
        view: View<'_>,
        id: &EntityId,
    ) -> Result<Option<Arc<Judged>>, StoreError> {
        self.judge(id, |id| view.facts(id))
    }

    /// As [`Judge::resource`], with facts from elsewhere.
    ///
    /// # Errors
    /// What the look-up fails with.
    pub fn judge<E>(
        &mut self,
        id: &EntityId,
        mut look_up: impl FnMut(&EntityId) -> Result<Option<ResourceFacts>, E>,
    ) -> Result<Option<Arc<Judged>>, E> {
        if let Some(judged) = self.judged.get(id) {
            return Ok(Some(Arc::clone(judged)));
        }
        let Some(facts) = look_up(id)? else { return Ok(None) };
        let tokens = self.tokens(&facts, &mut look_up)?;
        let evaluation = evaluate(&self.policies, &facts, &tokens);
        self.evaluations += 1;
        let judged = Arc::new(Judged { facts, evaluation });
        self.judged.insert(id.clone(), Arc::clone(&judged));
        Ok(Some(judged))
    }

    /// The tokens behind a resource, judged where they have to be.
    ///
    /// # Errors
    /// What the look-up fails with.
    pub fn tokens<E>(
        &mut self,
        facts: &ResourceFacts,
        look_up: &mut impl FnMut(&EntityId) -> Result<Option<ResourceFacts>, E>,
    ) -> Result<Tokens, E> {
        let Self { policies, judged, dependents, evaluations, .. } = self;
        let mut depend = |id: &EntityId, on: &BTreeSet<EntityId>| {
            for token in on {
                dependents.entry(token.clone()).or_default().insert(id.clone());
            }
        };
        let tokens = Tokens::with_cache(policies, facts, judged, look_up, &mut |id, on| {
            *evaluations += 1;
            depend(id, on);
        })?;
        depend(&facts.id, &tokens.rests_on);
        Ok(tokens)
    }

    /// The policies that it knows.
    #[must_use]
    pub const fn policies(&self) -> &Policies {
        &self.policies
    }

    /// How many resources it has evaluated so far, one as often as it was.
    #[must_use]
    pub const fn evaluations(&self) -> u64 {
        self.evaluations
    }

    /// The resources that changed rows are about.
    fn resources_of(
        &self,
        view: View<'_>,
        changes: Vec<(u64, EntityId)>,
    ) -> Result<BTreeSet<EntityId>, StoreError> {
        let (mut resources, mut gone) = (BTreeSet::new(), BTreeSet::new());
        for (_, id) in changes {
            if id.local.is_record() {
                match view.resource_of(&id)? {
                    Some(resource) => drop(resources.insert(resource)),
                    None => drop(gone.insert(id)),
                }
                continue;
            }
            let fields = view.fields(&id)?;
            let kind = fields.as_ref().and_then(|fields| fields.get("kind")?.as_text());
            let was = self.judged.contains_key(&id) || self.dependents.contains_key(&id);
            if kind == Some(Resource::KIND) || was {
                resources.insert(id);
            }
        }
        // A record that is gone was in a log that was cut; that is rare.
        if !gone.is_empty() {
            let held = |judged: &&Arc<Judged>| {
                judged.facts.records.iter().any(|fact| gone.contains(&fact.id))
            };
            let held = self.judged.values().filter(held);
            resources.extend(held.map(|judged| judged.facts.id.clone()));
        }
        Ok(resources)
    }
}
