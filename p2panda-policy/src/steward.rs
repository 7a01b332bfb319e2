//! The automation that signs for an owner who is not at the keyboard.

use std::collections::BTreeMap;

use p2panda_core::{
    EntityId, UserId,
    schema::{Answer, Decision, Draw, Instant, Release, Request, Resource},
    view::{Arrivals, Fact, ResourceFacts},
};

use crate::{
    Obstacle, Open, Pending, Policies, Standing, Tokens, Verdict, Votes,
    docket::Docket,
    evaluate::{Court, Settled},
};

/// How many decisions one release names, so that it stays far below the largest record.
const MAX_RELEASED: usize = 64;

/// Something that the steward would have its owner sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Gives the units of a withdrawn request back.
    Release(Release),
    /// Draws lots: the value of the resource's field `draw`.
    Draw(Draw),
    /// Answers a request.
    Decide(Decision),
}

/// What a steward knows besides the facts.
#[derive(Clone, Copy, Debug)]
pub struct Duty<'a> {
    /// For whom it signs.
    pub me: UserId,
    /// The order in which requests came to this device.
    pub arrivals: &'a Arrivals,
    /// When a steward last ran here, if ever.
    pub previous_run: Option<Instant>,
    /// Now, which matters for draws alone.
    pub now: Instant,
    /// The secret seed to which the resource's draw is committed.
    pub seed: Option<[u8; 32]>,
}

/// What a steward that somebody programmed is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The request, as a record.
    pub fact: &'a Fact,
    /// What it says.
    pub request: &'a Request,
    /// What the policy says of it: tentative, or requested from the owner.
    pub verdict: &'a Verdict,
}

/// What a steward that somebody programmed answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Nothing yet.
    #[default]
    Leave,
    /// Yes, under these conditions if any.
    Confirm(String),
    /// No, for this reason if any.
    Deny(String),
}

/// What the steward of `duty.me` signs next for one resource, to be written in this order.
///
/// It acts only on resources that it owns and whose policy this program can evaluate.
///
/// - Confirmations of withdrawn requests are released. Not of a consumable: what was handed out does
///   not come back because somebody withdraws, so there the owner releases in person.
/// - Where the policy draws lots, the time has come and the seed is there, it draws.
/// - It confirms what the policy lets in while there is room. The policy is asked about the
///   requests in the order in which they arrived at this device, within one arrival by claimed time,
///   then by id. A claimed time before `previous_run` counts as `previous_run`: whoever backdates
///   overtakes only those who came in the same batch.
/// - What does not fit stays undecided, so that a release can let it in later.
/// - Units that a broken promise still claims are kept for it. So no release makes the steward
///   break what it promised.
/// - A request whose confirmation the owner released is left to the owner in person.
///
/// It is pure and it settles: run again with its acts among the facts until it returns none, which
/// most policies reach at once, it ends where it would have ended without a crash between two acts.
/// Nothing is signed twice. A device that imported its key, or drew a fresh incarnation in
/// doubt, must not run it before it has synced its own documents once: two stewards that do not
/// know of each other promise one slot twice.
#[must_use]
pub fn steward(
    policies: &Policies,
    facts: &ResourceFacts,
    tokens: &Tokens,
    duty: &Duty<'_>,
) -> Vec<Act> {
    steward_with(policies, facts, tokens, duty, |asked| match asked.verdict {
        Verdict::Tentative { .. } => Choice::Confirm(String::new()),
        _ => Choice::Leave,
    })
}

/// A steward that somebody programmed: [`steward()`], but `choose` answers what the policy lets in
/// and what waits for the owner, one request after the other.
///
/// `choose` can ask a question, play a game or let a bot decide. It is asked again about whatever it
/// left, and never about what it answered. A crash loses the answers that were not written: if the
/// same is to be decided after it, `choose` has to depend on nothing but what it is asked.
pub fn steward_with(
    policies: &Policies,
    facts: &ResourceFacts,
    tokens: &Tokens,
    duty: &Duty<'_>,
    mut choose: impl FnMut(&Asked<'_>) -> Choice,
) -> Vec<Act> {
    let Some(resource) = facts.resource.as_ref().filter(|_| facts.owner == duty.me) else {
        return Vec::new();
    };
    let mut resource = resource.clone();
    if policies.find(&resource.policy, facts.owner).is_err() || tokens.problem().is_some() {
        return Vec::new();
    }
    let mut docket = Docket::new(facts);
    let mut acts = if resource.consumable { Vec::new() } else { release_withdrawn(&mut docket) };
    let mut settled = Settled::of(&docket, &resource);
    acts.extend(draw(policies, &mut resource, &settled, duty));

    let court = Court::open(policies, facts, &resource, tokens);
    let votes = Votes::count(&docket, &resource, |user| court.hears(user));
    let mut room = settled.room.clone();
    for (fact, decision) in &docket.decisions {
        if let Some(Standing::NoRoom(_)) = settled.allocation.standing(&fact.id) {
            let (request, by) = (decision.request.clone(), Some(fact.id.clone()));
            room.reserve(&decision.terms, Obstacle { request, decision: by });
        }
    }
    settled.open.sort_by_cached_key(|open| turn(duty, open));
    let (mut let_in, mut waiting) = (Vec::new(), Vec::new());
    for (open, verdict) in court.opinions(&settled, &votes) {
        match &verdict {
            // Votes did it; there may be no room left for them beside a broken promise.
            Verdict::Confirmed { .. } => drop(room.take(open)),
            Verdict::Tentative { .. } => let_in.push((open, verdict)),
            Verdict::Requested { from, pending: Pending::Answers, .. }
                if from.contains(&duty.me) =>
            {
                waiting.push((open, verdict));
            }
            _ => {}
        }
    }
    let policy = resource.policy.hash();
    for (open, verdict) in let_in.into_iter().chain(waiting) {
        if !room.fits(open) {
            continue;
        }
        let asked = Asked { fact: open.fact, request: open.request, verdict: &verdict };
        let (answer, reason) = match choose(&asked) {
            Choice::Leave => continue,
            Choice::Confirm(reason) => (Answer::Confirm, reason),
            Choice::Deny(reason) => (Answer::Deny, reason),
        };
        if answer == Answer::Confirm {
            room.crowd(open);
        }
        let (request, terms) = (open.fact.id.clone(), open.request.terms.clone());
        acts.push(Act::Decide(Decision { request, terms, policy, answer, reason }));
    }
    acts
}

/// When it is a request's turn: by arrival, then by claimed time, then by id.
fn turn(duty: &Duty<'_>, open: &Open<'_>) -> (u64, Instant, EntityId) {
    let arrival = duty.arrivals.0.get(&open.fact.id).copied().unwrap_or(u64::MAX);
    let claimed = open.request.claimed;
    let claimed = duty.previous_run.map_or(claimed, |run| run.max(claimed));
    (arrival, claimed, open.fact.id.clone())
}

/// Draws lots, in the resource too.
fn draw(
    policies: &Policies,
    resource: &mut Resource,
    settled: &Settled<'_>,
    duty: &Duty<'_>,
) -> Option<Act> {
    let lots = {
        let (policy, scope) = policies.find(&resource.policy, duty.me).ok()?;
        policy.lots(&scope).pop()?
    };
    let seed = duty.seed.filter(|seed| Draw::commitment(seed) == lots.commitment)?;
    if resource.draw.is_some() || duty.now < lots.closes {
        return None;
    }
    let draw = Draw::among(seed, settled.open.iter().map(|open| &open.fact.id));
    resource.draw = Some(draw.clone());
    Some(Act::Draw(draw))
}

/// Releases the standing confirmations of withdrawn requests, in the docket too.
fn release_withdrawn(docket: &mut Docket<'_>) -> Vec<Act> {
    let mut ended: BTreeMap<&EntityId, Vec<&EntityId>> = BTreeMap::new();
    for (fact, decision) in &docket.decisions {
        let withdrawn = docket.withdrawn.contains_key(&decision.request);
        let standing = !docket.released.contains_key(&fact.id);
        if withdrawn && standing && decision.answer == Answer::Confirm {
            ended.entry(&decision.request).or_default().push(&fact.id);
        }
    }
    docket.released.extend(ended.values().flatten().map(|decision| (*decision, None)));
    let decisions = ended.values().flat_map(|decisions| decisions.chunks(MAX_RELEASED));
    let release = |decisions: &[&EntityId]| Release {
        resource: docket.facts.id.clone(),
        decisions: decisions.iter().map(|id| (*id).clone()).collect(),
        reason: "the request was withdrawn".to_owned(),
    };
    decisions.map(|decisions| Act::Release(release(decisions))).collect()
}
