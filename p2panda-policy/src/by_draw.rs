use p2panda_core::{
    EntityId,
    schema::{Draw, Instant, PolicySpec, Value},
};

use crate::{Case, Lots, Pending, Policy, Scope, Verdict, params};

/// `draw`: lots decide, and everyone can draw them again.
///
/// Parameters: `commitment`, the hash of a secret seed ([`Draw::commitment`]); `closes`, the time
/// at which the owner's steward draws. Drawing means that the owner writes the field `draw` of the
/// resource: the seed and the tickets that took part. A request's ticket is the hash of the seed
/// and the request's id; the lowest comes first. Requests that did not take part come after all
/// that did.
///
/// What it is derived from: the seed, which stands fixed in the policy before anyone asks, and the
/// ids of the requests.
///
/// - **Requesters** gain nothing by choosing when or what they write: they do not know the seed.
///   Who comes after the seed is out is not on the list. Asking twice buys two lots, as it would in
///   a hat; the owner sees it and can deny one.
/// - **The owner** cannot change the seed, and an excluded request or a decision against the order
///   shows, to everyone. But the owner knows the seed all along: an owner who asks under another
///   name, or tells a friend the seed, can try requests until one wins, and nobody can tell. An
///   owner who never reveals stalls the draw, visibly. Lots are as fair as their owner is; they show
///   what was done, and replace no trust.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByDraw;

impl ByDraw {
    /// The policy as data, committed to a seed that nobody else knows.
    #[must_use]
    pub fn spec(seed: &[u8; 32], closes: Instant) -> PolicySpec {
        let commitment = Value::Bytes(Draw::commitment(seed).to_vec());
        params::spec("draw", [("commitment", commitment), ("closes", closes.into())])
    }
}

fn lots(spec: &PolicySpec) -> Result<Lots, String> {
    let commitment = params::hash(spec, "commitment")?;
    Ok(Lots { commitment, closes: params::instant(spec, "closes")? })
}

impl Policy for ByDraw {
    fn kind(&self) -> &'static str {
        "draw"
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), String> {
        params::only(scope.spec(), &["commitment", "closes"])?;
        lots(scope.spec()).map(drop)
    }

    fn judge(&self, case: &Case<'_>) -> Vec<(EntityId, Verdict)> {
        let Some(draw) = &case.resource().draw else {
            let owner = case.facts().owner;
            let waits = |open: &crate::Open<'_>| match open.released {
                Some(_) => case.ask_owner(open),
                None => Verdict::waits(Pending::Draw, vec![owner]),
            };
            return case.open().iter().map(|open| (open.fact.id.clone(), waits(open))).collect();
        };
        let kept = lots(case.scope().spec())
            .is_ok_and(|lots| lots.commitment == Draw::commitment(&draw.seed));
        if !kept {
            let verdict = || Verdict::Unsupported {
                kind: self.kind().to_owned(),
                reason: "the seed that was revealed is not the one it was committed to".to_owned(),
            };
            return case.open().iter().map(|open| (open.fact.id.clone(), verdict())).collect();
        }
        let place = |open: &crate::Open<'_>| draw.place(&open.fact.id).unwrap_or(usize::MAX);
        // A stable sort: those who did not take part keep their order behind the others.
        let mut open: Vec<_> = case.open().iter().collect();
        open.sort_by_cached_key(|open| place(open));
        open.iter().map(|open| (open.fact.id.clone(), case.let_in(Vec::new()))).collect()
    }

    fn lots(&self, scope: &Scope<'_>) -> Vec<Lots> {
        lots(scope.spec()).into_iter().collect()
    }
}
