//! The other resources that a policy asks about, judged beforehand.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
};

use p2panda_core::{
    EntityId, UserId,
    schema::{PolicySpec, Record, Request},
    view::{Fact, ResourceFacts},
};

use crate::{Evaluation, Policies, Verdict, evaluate};

/// A resource with everything that is known and concluded of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What is known.
    pub facts: ResourceFacts,
    /// What that amounts to.
    pub evaluation: Evaluation,
}

impl Judged {
    /// Every request with the verdict on it, in the order of the facts.
    pub fn requests(&self) -> impl Iterator<Item = (&Fact, &Request, &Verdict)> {
        self.facts.records.iter().filter_map(|fact| match &fact.record {
            Record::Request(request) => {
                Some((fact, request, self.evaluation.verdicts.get(&fact.id)?))
            }
            _ => None,
        })
    }

    /// A user's requests with the verdicts on them, by id.
    pub(crate) fn requests_of(&self, user: &UserId) -> Vec<(&Fact, &Request, &Verdict)> {
        let mut own: Vec<_> = self.requests().filter(|(fact, ..)| fact.author == *user).collect();
        own.sort_by_key(|(fact, ..)| &fact.id);
        own
    }
}

/// The token resources behind one resource, each judged; or why they cannot be.
///
/// Tokens can require tokens themselves. A resource whose tokens form a cycle, or that rests on more
/// than [`Tokens::MAX`] of them, is unsupported.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    judged: BTreeMap<EntityId, Arc<Judged>>,
    problem: Option<String>,
    /// Every token that was looked for, those that are missing included.
    pub(crate) rests_on: BTreeSet<EntityId>,
}

impl Tokens {
    /// How many tokens, and tokens of tokens, a resource can rest on.
    pub const MAX: usize = 32;

    /// For policies that ask about no other resource; all tokens are missing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Looks up and judges every token behind a resource.
    ///
    /// # Errors
    /// What the look-up fails with.
    pub fn find<E>(
        policies: &Policies,
        facts: &ResourceFacts,
        mut look_up: impl FnMut(&EntityId) -> Result<Option<ResourceFacts>, E>,
    ) -> Result<Self, E> {
        Self::with_cache(policies, facts, &mut BTreeMap::new(), &mut look_up, &mut |_, _| ())
    }

    /// As [`Tokens::find`], among facts that are at hand.
    #[must_use]
    pub fn among<'a>(
        policies: &Policies,
        facts: &ResourceFacts,
        others: impl IntoIterator<Item = &'a ResourceFacts>,
    ) -> Self {
        let others: BTreeMap<&EntityId, &ResourceFacts> =
            others.into_iter().map(|facts| (&facts.id, facts)).collect();
        let found = Self::find(policies, facts, |id| {
            Ok::<_, Infallible>(others.get(id).map(|facts| (*facts).clone()))
        });
        match found {
            Ok(tokens) => tokens,
            Err(never) => match never {},
        }
    }

    /// Judges only what is not in the cache yet, and tells what it judged and on what that rests.
    pub(crate) fn with_cache<E>(
        policies: &Policies,
        facts: &ResourceFacts,
        cache: &mut BTreeMap<EntityId, Arc<Judged>>,
        look_up: &mut impl FnMut(&EntityId) -> Result<Option<ResourceFacts>, E>,
        judged: &mut impl FnMut(&EntityId, &BTreeSet<EntityId>),
    ) -> Result<Self, E> {
        let mut graph = Graph::default();
        let mut known: BTreeMap<EntityId, Option<ResourceFacts>> = BTreeMap::new();
        graph.needs.insert(facts.id.clone(), needed(policies, facts));
        let mut tokens = Self::default();
        while let Some(id) = graph.missing() {
            if tokens.rests_on.len() == Self::MAX {
                tokens.problem = Some(format!("it rests on more than {} tokens", Self::MAX));
                return Ok(tokens);
            }
            let found = match cache.get(&id) {
                Some(judged) => Some(judged.facts.clone()),
                None => look_up(&id)?,
            };
            let needs = found.as_ref().map_or_else(BTreeSet::new, |facts| needed(policies, facts));
            graph.needs.insert(id.clone(), needs);
            tokens.rests_on.insert(id.clone());
            known.insert(id, found);
        }
        let Some(order) = graph.order() else {
            tokens.problem = Some("its tokens require each other in a circle".to_owned());
            return Ok(tokens);
        };
        for id in order {
            let Some(facts) = known.remove(&id).flatten() else { continue };
            let token = match cache.get(&id) {
                Some(token) => Arc::clone(token),
                None => {
                    let rests_on = graph.reach(&id);
                    let own = tokens.judged.iter().filter(|(id, _)| rests_on.contains(*id));
                    let own = own.map(|(id, judged)| (id.clone(), Arc::clone(judged))).collect();
                    let own = Self { judged: own, problem: None, rests_on };
                    let evaluation = evaluate(policies, &facts, &own);
                    judged(&id, &own.rests_on);
                    let token = Arc::new(Judged { facts, evaluation });
                    cache.insert(id.clone(), Arc::clone(&token));
                    token
                }
            };
            tokens.judged.insert(id, token);
        }
        Ok(tokens)
    }

    /// A token's resource; `None` where it is not known.
    #[must_use]
    pub fn get(&self, token: &EntityId) -> Option<&Judged> {
        self.judged.get(token).map(AsRef::as_ref)
    }

    /// Why the tokens cannot be judged.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}

/// The tokens that a resource's own policy asks about.
fn needed(policies: &Policies, facts: &ResourceFacts) -> BTreeSet<EntityId> {
    let policy: Option<&PolicySpec> = facts.resource.as_ref().map(|resource| &resource.policy);
    let found = policy.and_then(|spec| policies.find(spec, facts.owner).ok());
    found.map_or_else(BTreeSet::new, |(policy, scope)| policy.tokens(&scope).into_iter().collect())
}

#[derive(Default)]
struct Graph {
    needs: BTreeMap<EntityId, BTreeSet<EntityId>>,
}

impl Graph {
    /// A token that is needed and was not looked up yet.
    fn missing(&self) -> Option<EntityId> {
        let needed = self.needs.values().flatten();
        needed.into_iter().find(|id| !self.needs.contains_key(*id)).cloned()
    }

    /// All of them, each behind those that it needs; `None` where there is a circle.
    fn order(&self) -> Option<Vec<EntityId>> {
        let mut order: Vec<EntityId> = Vec::new();
        while order.len() < self.needs.len() {
            let ready = |(id, needs): &(&EntityId, &BTreeSet<EntityId>)| {
                !order.contains(id) && needs.iter().all(|need| order.contains(need))
            };
            let (next, _) = self.needs.iter().find(ready)?;
            order.push(next.clone());
        }
        Some(order)
    }

    /// Everything that one of them rests on.
    fn reach(&self, from: &EntityId) -> BTreeSet<EntityId> {
        let mut reached = BTreeSet::new();
        let mut next = vec![from];
        while let Some(id) = next.pop() {
            for need in self.needs.get(id).into_iter().flatten() {
                if reached.insert(need.clone()) {
                    next.push(need);
                }
            }
        }
        reached
    }
}
