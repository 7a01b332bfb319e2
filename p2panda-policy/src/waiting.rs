//! Who has to act next, and on what.

use std::collections::{BTreeMap, BTreeSet};

use p2panda_core::{EntityId, UserId};
use serde::Serialize;

use crate::{Finding, Judged, Pending, Verdict};

/// Something that waits for somebody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Task {
    /// Who has to act; `None` where anyone but the requester can.
    pub user: Option<UserId>,
    /// What would bring it on.
    pub what: Deed,
    /// The request that it is about.
    pub request: EntityId,
    /// The resource that is asked for.
    pub resource: EntityId,
    /// The event for which it is asked for.
    pub event: EntityId,
    /// Who asked.
    pub requester: UserId,
}

/// What somebody has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Deed {
    /// Answer as the owner.
    Answer,
    /// Vote.
    Vote,
    /// Confirm what the policy lets in; a steward does it.
    Sign,
    /// Draw lots; a steward does it.
    Draw,
    /// Answer again, after a confirmation was taken back.
    Reconsider,
    /// Get, or give, a token that the requester lacks.
    Token,
    /// Release a promise that cannot be kept, or one for a request that was withdrawn.
    Release,
}

impl Deed {
    /// What to do, in few words.
    #[must_use]
    pub const fn words(&self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Vote => "vote",
            Self::Sign => "confirm",
            Self::Draw => "draw lots",
            Self::Reconsider => "answer again",
            Self::Token => "bring a token",
            Self::Release => "release",
        }
    }
}

/// Everything that the requests for a resource wait for, by user.
#[must_use]
pub fn tasks(judged: &Judged) -> BTreeSet<Task> {
    let mut tasks = BTreeSet::new();
    let owner = judged.facts.owner;
    let mut unreleased: BTreeMap<&EntityId, UserId> = BTreeMap::new();
    for finding in &judged.evaluation.findings {
        if let Finding::Unreleased { user, request, .. }
        | Finding::BrokenPromise { user, request, .. } = finding
            && *user == owner
        {
            unreleased.insert(request, *user);
        }
    }
    for (fact, request, verdict) in judged.requests() {
        let mut add = |user, what| {
            tasks.insert(Task {
                user,
                what,
                request: fact.id.clone(),
                resource: judged.facts.id.clone(),
                event: request.terms.event.clone(),
                requester: fact.author,
            });
        };
        let what = match verdict {
            Verdict::Requested { pending, .. } => match pending {
                Pending::Answers => Some(Deed::Answer),
                Pending::Votes => Some(Deed::Vote),
                Pending::Reconsideration { .. } => Some(Deed::Reconsider),
                Pending::Token { .. } => Some(Deed::Token),
                Pending::Draw => Some(Deed::Draw),
                // Nothing can be done about a resource that is not there.
                Pending::Resource => None,
            },
            Verdict::Tentative { .. } => Some(Deed::Sign),
            _ => None,
        };
        if let Some(what) = what {
            match verdict.waits_for() {
                [] => add(None, what),
                users => users.iter().for_each(|user| add(Some(*user), what)),
            }
        }
        if let Some(owner) = unreleased.get(&fact.id) {
            add(Some(*owner), Deed::Release);
        }
    }
    tasks
}

/// Who must still act for an event, and on which of the hosts' requests.
#[must_use]
pub fn must_act<'a>(
    event: &EntityId,
    hosts: &BTreeSet<UserId>,
    resources: impl IntoIterator<Item = &'a Judged>,
) -> BTreeSet<Task> {
    let all = resources.into_iter().flat_map(tasks);
    all.filter(|task| task.event == *event && hosts.contains(&task.requester)).collect()
}

/// What waits for a user: what names them, and what anyone but the requester can do.
#[must_use]
pub fn waits_for<'a>(
    user: &UserId,
    resources: impl IntoIterator<Item = &'a Judged>,
) -> BTreeSet<Task> {
    let all = resources.into_iter().flat_map(tasks);
    let mine = |task: &Task| match &task.user {
        Some(named) => named == user,
        None => task.requester != *user,
    };
    all.filter(mine).collect()
}
