use p2panda_core::{
    EntityId, UserId,
    schema::{PolicySpec, Request},
    view::Fact,
};

use crate::{Case, Gate, Lots, Policy, Scope, Verdict, combine, combine::join, params};

/// `any`: what one member lets in, whichever.
///
/// Parameter: `of`, a map of policies; the names are for people.
///
/// Here no votes confirm by themselves: one member's voters do not know what another's promise. So
/// every vote is an approval, and the owner's steward confirms.
#[derive(Clone, Copy, Debug, Default)]
pub struct Any;

impl Any {
    /// The policy as data.
    #[must_use]
    pub fn of(members: impl IntoIterator<Item = PolicySpec>) -> PolicySpec {
        params::spec("any", [("of", params::members_value(members))])
    }
}

impl Policy for Any {
    fn kind(&self) -> &'static str {
        "any"
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), String> {
        params::only(scope.spec(), &["of"])?;
        combine::check(scope, &params::members(scope.spec())?)
    }

    fn judge(&self, case: &Case<'_>) -> Vec<(EntityId, Verdict)> {
        let members = params::members(case.scope().spec()).unwrap_or_default();
        combine::judge(case, &members, any)
    }

    fn gate(&self, case: &Case<'_>, request: (&Fact, &Request)) -> Gate {
        let members = params::members(case.scope().spec()).unwrap_or_default();
        combine::any_gate(combine::gates(case, &members, request))
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

fn any(case: &Case<'_>, said: Vec<Verdict>) -> Verdict {
    if let Some(by) = said.iter().find_map(combine::holds) {
        return case.let_in(by.clone());
    }
    // The one that is nearest, and everyone who can bring any of them on.
    let missing = |verdict: &Verdict| match verdict {
        Verdict::Requested { have, need, .. } => need.saturating_sub(*have),
        _ => usize::MAX,
    };
    let mut askable = Vec::new();
    let mut anyone = false;
    for verdict in &said {
        if let Verdict::Requested { from, .. } = verdict {
            anyone |= from.is_empty();
            join(&mut askable, from);
        }
    }
    match said.into_iter().min_by_key(missing) {
        Some(Verdict::Requested { have, need, pending, by, .. }) => {
            let from = if anyone { Vec::new() } else { askable };
            Verdict::Requested { have, need, from, pending, by }
        }
        Some(other) => other,
        None => case.let_in(Vec::new()),
    }
}
