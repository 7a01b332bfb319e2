use p2panda_core::{
    EntityId, UserId,
    schema::{PolicySpec, Request},
    view::Fact,
};

use crate::{Case, Gate, Lots, Policy, Scope, Verdict, combine, combine::join, params};

/// `all`: what every member lets in.
///
/// Parameter: `of`, a map of policies; the names are for people.
///
/// A member whose votes would confirm by themselves confirms here too, once the other members hold
/// by records of their own. Where a member merely leaves it to the owner's steward, it is the
/// steward who confirms.
#[derive(Clone, Copy, Debug, Default)]
pub struct All;

impl All {
    /// The policy as data.
    #[must_use]
    pub fn of(members: impl IntoIterator<Item = PolicySpec>) -> PolicySpec {
        params::spec("all", [("of", params::members_value(members))])
    }
}

impl Policy for All {
    fn kind(&self) -> &'static str {
        "all"
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), String> {
        params::only(scope.spec(), &["of"])?;
        combine::check(scope, &params::members(scope.spec())?)
    }

    fn judge(&self, case: &Case<'_>) -> Vec<(EntityId, Verdict)> {
        let members = params::members(case.scope().spec()).unwrap_or_default();
        combine::judge(case, &members, all)
    }

    fn gate(&self, case: &Case<'_>, request: (&Fact, &Request)) -> Gate {
        let members = params::members(case.scope().spec()).unwrap_or_default();
        let mut needed = Vec::new();
        for gate in combine::gates(case, &members, request) {
            match gate {
                Gate::Open(by) => join(&mut needed, &by),
                shut @ Gate::Shut(_) => return shut,
            }
        }
        Gate::Open(needed)
    }

    fn hears(&self, scope: &Scope<'_>, user: &UserId) -> bool {
        combine::hears(scope, &params::members(scope.spec()).unwrap_or_default(), user)
    }

    fn tokens(&self, scope: &Scope<'_>) -> Vec<EntityId> {
        combine::tokens(scope, &params::members(scope.spec()).unwrap_or_default())
    }

    fn lots(&self, scope: &Scope<'_>) -> Vec<Lots> {
        combine::lots(scope, &params::members(scope.spec()).unwrap_or_default())
    }
}

fn all(case: &Case<'_>, said: Vec<Verdict>) -> Verdict {
    let waits = |verdict: &Verdict| matches!(verdict, Verdict::Requested { .. });
    let ends = |verdict: &&Verdict| !waits(verdict) && combine::holds(verdict).is_none();
    let denied = said.iter().find(|verdict| matches!(verdict, Verdict::Denied { .. }));
    if let Some(end) = denied.or_else(|| said.iter().find(ends)) {
        return end.clone();
    }
    if said.iter().any(waits) {
        return missing(said);
    }
    let (mut by, mut words) = (Vec::new(), Vec::new());
    // A member that holds without any record leaves the choice to the steward.
    let mut alone = false;
    let mut steward = false;
    for verdict in &said {
        match verdict {
            Verdict::Confirmed { by: members, conditions } => {
                alone = true;
                join(&mut by, members);
                join(&mut words, conditions);
            }
            Verdict::Tentative { by: members, .. } => {
                steward |= members.is_empty();
                join(&mut by, members);
            }
            _ => {}
        }
    }
    if alone && !steward { Verdict::Confirmed { by, conditions: words } } else { case.let_in(by) }
}

/// What is there and what is missing, of all members together.
fn missing(said: Vec<Verdict>) -> Verdict {
    let (mut records, mut askable) = (Vec::new(), Vec::new());
    let (mut present, mut needed, mut first) = (0, 0, None);
    for verdict in said {
        match verdict {
            Verdict::Requested { have, need, from, pending, by } => {
                present += have;
                needed += need;
                join(&mut askable, &from);
                join(&mut records, &by);
                first = first.or(Some(pending));
            }
            Verdict::Confirmed { by, .. } | Verdict::Tentative { by, .. } => {
                present += by.len();
                needed += by.len();
                join(&mut records, &by);
            }
            _ => {}
        }
    }
    Verdict::Requested {
        have: present,
        need: needed,
        from: askable,
        pending: first.unwrap_or(crate::Pending::Answers),
        by: records,
    }
}
