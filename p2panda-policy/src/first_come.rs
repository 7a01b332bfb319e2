use p2panda_core::{EntityId, schema::PolicySpec};

use crate::{Case, Policy, Verdict};

/// `first-come`: whoever comes first gets it. It has no parameters.
///
/// First is what reached the owner's [`steward`](crate::steward()) first: only what the steward
/// signed is confirmed. Until then a request is tentative if it fits beside what is confirmed and
/// beside the tentative requests with an earlier claimed time (then lower id). Claimed times are
/// only claims, so nothing else rests on them.
#[derive(Clone, Copy, Debug, Default)]
pub struct FirstCome;

impl FirstCome {
    /// The policy as data.
    #[must_use]
    pub fn spec() -> PolicySpec {
        PolicySpec::new("first-come")
    }
}

impl Policy for FirstCome {
    fn kind(&self) -> &'static str {
        "first-come"
    }

    fn judge(&self, case: &Case<'_>) -> Vec<(EntityId, Verdict)> {
        let let_in = || case.let_in(Vec::new());
        case.open().iter().map(|open| (open.fact.id.clone(), let_in())).collect()
    }
}
