use p2panda_core::{EntityId, schema::PolicySpec};

use crate::{Case, Policy, Verdict};

/// `manual`: the owner answers every request in person. It has no parameters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manual;

impl Manual {
    /// The policy as data.
    #[must_use]
    pub fn spec() -> PolicySpec {
        PolicySpec::new("manual")
    }
}

impl Policy for Manual {
    fn kind(&self) -> &'static str {
        "manual"
    }

    fn judge(&self, case: &Case<'_>) -> Vec<(EntityId, Verdict)> {
        case.open().iter().map(|open| (open.fact.id.clone(), case.ask_owner(open))).collect()
    }
}
