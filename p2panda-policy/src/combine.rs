//! What the combinations have in common: asking their members, and adding up what they say.

use std::collections::BTreeMap;

use p2panda_core::{EntityId, UserId, schema::PolicySpec};

use crate::{Case, Gate, Lots, Policy, Scope, Verdict};

/// What the members of a combination say of each open request, and the combination of that.
pub(crate) fn judge(
    case: &Case<'_>,
    members: &[PolicySpec],
    combine: impl Fn(&Case<'_>, Vec<Verdict>) -> Verdict,
) -> Vec<(EntityId, Verdict)> {
    let mut order: Vec<EntityId> = case.open().iter().map(|open| open.fact.id.clone()).collect();
    let mut said: BTreeMap<EntityId, Vec<Verdict>> = BTreeMap::new();
    let mut is_drawn = false;
    for spec in members {
        let case = case.member(spec, case.open());
        let Ok(policy) = case.scope().policy() else { continue };
        let answers = policy.judge(&case);
        // Where lots are drawn they say who comes first.
        if !is_drawn && !policy.lots(&case.scope()).is_empty() {
            order = answers.iter().map(|(id, _)| id.clone()).collect();
            is_drawn = true;
        }
        let mut answers: BTreeMap<EntityId, Verdict> = answers.into_iter().collect();
        for open in case.open() {
            let id = &open.fact.id;
            let verdict = answers.remove(id).unwrap_or_else(|| case.ask_owner(open));
            said.entry(id.clone()).or_default().push(verdict);
        }
    }
    let combined = |id: EntityId| said.remove(&id).map(|said| (id, combine(case, said)));
    order.into_iter().filter_map(combined).collect()
}

/// Checks each member.
pub(crate) fn check(scope: &Scope<'_>, members: &[PolicySpec]) -> Result<(), String> {
    members.iter().try_for_each(|spec| {
        let scope = scope.member(spec);
        scope.policy()?.check(&scope)
    })
}

/// Each member's policy and scope.
fn each<'a>(
    scope: &Scope<'a>,
    members: &'a [PolicySpec],
) -> impl Iterator<Item = (&'a dyn Policy, Scope<'a>)> {
    let scope = *scope;
    members.iter().filter_map(move |spec| {
        let scope = scope.member(spec);
        Some((scope.policy().ok()?, scope))
    })
}

pub(crate) fn hears(scope: &Scope<'_>, members: &[PolicySpec], user: &UserId) -> bool {
    each(scope, members).any(|(policy, scope)| policy.hears(&scope, user))
}

pub(crate) fn tokens(scope: &Scope<'_>, members: &[PolicySpec]) -> Vec<EntityId> {
    each(scope, members).flat_map(|(policy, scope)| policy.tokens(&scope)).collect()
}

pub(crate) fn lots(scope: &Scope<'_>, members: &[PolicySpec]) -> Vec<Lots> {
    each(scope, members).flat_map(|(policy, scope)| policy.lots(&scope)).collect()
}

/// What each member needs besides the owner's decision.
pub(crate) fn gates(
    case: &Case<'_>,
    members: &[PolicySpec],
    request: (&p2panda_core::view::Fact, &p2panda_core::schema::Request),
) -> Vec<Gate> {
    let ask = |spec: &PolicySpec| {
        let case = case.member(spec, case.open());
        Some(case.scope().policy().ok()?.gate(&case, request))
    };
    members.iter().filter_map(ask).collect()
}

/// Open where one of them is; else what the first one says.
pub(crate) fn any_gate(gates: Vec<Gate>) -> Gate {
    let open = gates.iter().find(|gate| matches!(gate, Gate::Open(_))).cloned();
    open.or_else(|| gates.into_iter().next()).unwrap_or(Gate::Open(Vec::new()))
}

/// The records by which a member lets a request in; nothing where it does not.
pub(crate) fn holds(verdict: &Verdict) -> Option<&Vec<EntityId>> {
    match verdict {
        Verdict::Confirmed { by, .. } | Verdict::Tentative { by, .. } => Some(by),
        _ => None,
    }
}

/// Adds items that are not there yet.
pub(crate) fn join<T: PartialEq + Clone>(to: &mut Vec<T>, items: &[T]) {
    for item in items {
        if !to.contains(item) {
            to.push(item.clone());
        }
    }
}
