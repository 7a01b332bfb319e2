use p2panda_core::{
    EntityId, UserId,
    schema::{PolicySpec, Request},
    view::Fact,
};

use crate::{Case, Gate, Lots, Policy, Scope, Verdict, combine, params};

/// `otherwise`: what the first policy lets in; of the rest, what the second one says.
///
/// Parameters: `first` and `then`, policies. As under [`Any`](crate::Any) no votes confirm by
/// themselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Otherwise;

impl Otherwise {
    /// The policy as data.
    #[must_use]
    pub fn of(first: PolicySpec, then: PolicySpec) -> PolicySpec {
        let [first, then] = [first, then].map(params::policy_value);
        params::spec("otherwise", [("first", first), ("then", then)])
    }
}

fn members(spec: &PolicySpec) -> Result<[PolicySpec; 2], String> {
    Ok([params::member(spec, "first")?, params::member(spec, "then")?])
}

impl Policy for Otherwise {
    fn kind(&self) -> &'static str {
        "otherwise"
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), String> {
        params::only(scope.spec(), &["first", "then"])?;
        combine::check(scope, &members(scope.spec())?)
    }

    fn judge(&self, case: &Case<'_>) -> Vec<(EntityId, Verdict)> {
        let Ok(members) = members(case.scope().spec()) else { return Vec::new() };
        combine::judge(case, &members, |case, said| match said.iter().find_map(combine::holds) {
            Some(by) => case.let_in(by.clone()),
            None => said.into_iter().next_back().unwrap_or_else(|| case.let_in(Vec::new())),
        })
    }

    fn gate(&self, case: &Case<'_>, request: (&Fact, &Request)) -> Gate {
        let members = members(case.scope().spec());
        members.map_or(Gate::Open(Vec::new()), |members| {
            combine::any_gate(combine::gates(case, &members, request))
        })
    }

    fn hears(&self, scope: &Scope<'_>, user: &UserId) -> bool {
        members(scope.spec()).is_ok_and(|members| combine::hears(scope, &members, user))
    }

    fn tokens(&self, scope: &Scope<'_>) -> Vec<EntityId> {
        members(scope.spec()).map_or(Vec::new(), |members| combine::tokens(scope, &members))
    }

    fn lots(&self, scope: &Scope<'_>) -> Vec<Lots> {
        members(scope.spec()).map_or(Vec::new(), |members| combine::lots(scope, &members))
    }
}
