use std::collections::BTreeSet;

use p2panda_core::{EntityId, UserId, schema::PolicySpec};

use crate::{Case, Lots, Open, Policy, Scope, Verdict, combine, params};

/// `unless-conflict`: let in, unless not all that is asked for at some moment of its time has
/// room; then another policy judges those who compete.
///
/// Parameter: `else`, the policy to fall back on. No votes confirm by themselves here.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnlessConflict;

impl UnlessConflict {
    /// The policy as data.
    #[must_use]
    pub fn or_else(fallback: PolicySpec) -> PolicySpec {
        params::spec("unless-conflict", [("else", params::policy_value(fallback))])
    }
}

fn fallback(spec: &PolicySpec) -> Result<[PolicySpec; 1], String> {
    params::member(spec, "else").map(|member| [member])
}

impl Policy for UnlessConflict {
    fn kind(&self) -> &'static str {
        "unless-conflict"
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), String> {
        params::only(scope.spec(), &["else"])?;
        combine::check(scope, &fallback(scope.spec())?)
    }

    fn judge(&self, case: &Case<'_>) -> Vec<(EntityId, Verdict)> {
        let Ok(fallback) = fallback(case.scope().spec()) else { return Vec::new() };
        let mut crowd = case.room();
        case.open().iter().for_each(|open| crowd.crowd(open));
        let compete = |open: &&Open<'_>| crowd.is_crowded(open);
        let contested: Vec<Open<'_>> = case.open().iter().filter(compete).copied().collect();
        let among: BTreeSet<&EntityId> = contested.iter().map(|open| &open.fact.id).collect();
        let free = case.open().iter().filter(|open| !among.contains(&open.fact.id));
        let mut verdicts: Vec<(EntityId, Verdict)> =
            free.map(|open| (open.fact.id.clone(), case.let_in(Vec::new()))).collect();
        let case = case.member(&fallback[0], &contested);
        verdicts.extend(combine::judge(&case, &fallback, |case, mut said| match said.pop() {
            Some(Verdict::Confirmed { by, .. }) => case.let_in(by),
            Some(verdict) => verdict,
            None => case.let_in(Vec::new()),
        }));
        verdicts
    }

    fn hears(&self, scope: &Scope<'_>, user: &UserId) -> bool {
        fallback(scope.spec()).is_ok_and(|members| combine::hears(scope, &members, user))
    }

    fn tokens(&self, scope: &Scope<'_>) -> Vec<EntityId> {
        fallback(scope.spec()).map_or(Vec::new(), |members| combine::tokens(scope, &members))
    }

    fn lots(&self, scope: &Scope<'_>) -> Vec<Lots> {
        fallback(scope.spec()).map_or(Vec::new(), |members| combine::lots(scope, &members))
    }
}
