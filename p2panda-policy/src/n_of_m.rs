use std::collections::BTreeSet;

use p2panda_core::{
    EntityId, UserId,
    schema::{Answer, PolicySpec, Value},
};

use crate::{Case, Policy, Scope, Verdict, params, votes::poll};

/// `n-of-m`: so many votes are needed.
///
/// Parameters: `n`, a whole number; `voters`, a map from user ids to true. Without `voters` anyone
/// votes but the requester (and the owner, whose signature always suffices).
///
/// Votes of more than half of the named voters confirm a single unit by themselves: no two such
/// quorums can agree on overlapping requests while nobody contradicts themself. All other votes are
/// approvals, which the owner's steward turns into decisions. Where so many of the named voters say
/// no that the rest is not enough, the request is denied.
///
/// **Anyone is anyone**: a user is a key, and keys cost nothing. Votes of any users are worth
/// something only among people who would notice.
#[derive(Clone, Copy, Debug, Default)]
pub struct NOfM;

impl NOfM {
    /// The policy as data, with named voters.
    #[must_use]
    pub fn named(n: i64, voters: impl IntoIterator<Item = UserId>) -> PolicySpec {
        let voters = params::voters_value(voters);
        params::spec("n-of-m", [("n", Value::Int(n)), ("voters", voters)])
    }

    /// The policy as data, any users voting.
    #[must_use]
    pub fn anyone(n: i64) -> PolicySpec {
        params::spec("n-of-m", [("n", Value::Int(n))])
    }
}

impl Policy for NOfM {
    fn kind(&self) -> &'static str {
        "n-of-m"
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), String> {
        params::only(scope.spec(), &["n", "voters"])?;
        let voters = named_voters(scope)?;
        params::quorum(scope.spec(), voters.map(|voters| voters.len())).map(drop)
    }

    fn judge(&self, case: &Case<'_>) -> Vec<(EntityId, Verdict)> {
        let voters = named_voters(&case.scope()).ok().flatten();
        let n = params::quorum(case.scope().spec(), None).unwrap_or(usize::MAX);
        match voters {
            Some(voters) => poll(case, &voters, n),
            None => case
                .open()
                .iter()
                .map(|open| (open.fact.id.clone(), anyone(case, open, n)))
                .collect(),
        }
    }

    fn hears(&self, scope: &Scope<'_>, user: &UserId) -> bool {
        named_voters(scope).ok().flatten().is_none_or(|voters| voters.contains(user))
    }
}

fn anyone(case: &Case<'_>, open: &crate::Open<'_>, n: usize) -> Verdict {
    let votes = case.votes().on(&open.fact.id).iter();
    let yes = votes.filter(|vote| vote.answer == Answer::Confirm && vote.voter != open.fact.author);
    let by: Vec<EntityId> = yes.take(n).map(|vote| vote.decision.clone()).collect();
    if by.len() >= n { case.let_in(by) } else { Verdict::votes(by, n, Vec::new()) }
}

/// The voters, who cannot be the owner: the owner's own signature confirms by itself, so as a vote
/// it would say more than it seems to.
pub(crate) fn named_voters(scope: &Scope<'_>) -> Result<Option<BTreeSet<UserId>>, String> {
    let voters = params::voters(scope.spec())?;
    match voters {
        Some(voters) if voters.contains(&scope.owner()) => {
            Err("it names the owner as a voter, whose signature alone suffices".to_owned())
        }
        voters => Ok(voters),
    }
}
