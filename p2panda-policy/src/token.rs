use p2panda_core::{
    EntityId, UserId,
    schema::{PolicySpec, Request, Span, Value},
    view::Fact,
};

use crate::{Case, Gate, Pending, Policy, Scope, Tokens, Verdict, params};

/// `token`: who holds a granted unit of another resource: a badge, a training, a share.
///
/// Parameter: `resource`, its id as text.
///
/// A requester holds a token while a request of theirs for it is confirmed, over the whole time
/// that is asked for; of a consumable at any time. The token gates the verdict, never the
/// allocation: what the owner confirmed keeps its units while the token is missing, but it is not
/// confirmed. So a token's issuers, who decide about it, can end a grant that rests on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Token;

impl Token {
    /// The policy as data.
    #[must_use]
    pub fn spec(resource: &EntityId) -> PolicySpec {
        params::spec("token", [("resource", Value::Text(resource.to_string()))])
    }
}

impl Policy for Token {
    fn kind(&self) -> &'static str {
        "token"
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), String> {
        params::only(scope.spec(), &["resource"])?;
        params::entity(scope.spec(), "resource").map(drop)
    }

    fn judge(&self, case: &Case<'_>) -> Vec<(EntityId, Verdict)> {
        let Ok(token) = params::entity(case.scope().spec(), "resource") else { return Vec::new() };
        let verdict = |fact: &Fact, request: &Request| {
            let span = &request.terms.span;
            match held(case.tokens(), &token, &fact.author, span) {
                Gate::Open(by) => case.let_in(by),
                Gate::Shut(missing) => missing,
            }
        };
        let open = case.open().iter();
        open.map(|open| (open.fact.id.clone(), verdict(open.fact, open.request))).collect()
    }

    fn gate(&self, case: &Case<'_>, (fact, request): (&Fact, &Request)) -> Gate {
        let Ok(token) = params::entity(case.scope().spec(), "resource") else {
            return Gate::Open(Vec::new());
        };
        held(case.tokens(), &token, &fact.author, &request.terms.span)
    }

    fn tokens(&self, scope: &Scope<'_>) -> Vec<EntityId> {
        params::entity(scope.spec(), "resource").into_iter().collect()
    }
}

/// Open by the records by which a user holds a token, else shut by what is missing and from whom.
fn held(tokens: &Tokens, token: &EntityId, user: &UserId, span: &Span) -> Gate {
    let pending = || Pending::Token { resource: token.clone() };
    let Some(judged) = tokens.get(token) else {
        return Gate::Shut(Verdict::waits(pending(), vec![*user]));
    };
    let consumable = judged.facts.resource.as_ref().is_some_and(|resource| resource.consumable);
    let covers = |own: &Span| consumable || (own.starts <= span.starts && span.ends <= own.ends);
    let mut askable = vec![*user];
    for (_, request, verdict) in judged.requests_of(user) {
        match verdict {
            Verdict::Confirmed { by, .. } if covers(&request.terms.span) => {
                return Gate::Open(by.clone());
            }
            Verdict::Requested { from, .. } | Verdict::Tentative { from, .. }
                if covers(&request.terms.span) && !from.is_empty() =>
            {
                askable.clone_from(from);
            }
            _ => {}
        }
    }
    Gate::Shut(Verdict::waits(pending(), askable))
}
