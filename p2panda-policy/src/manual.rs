use p2panda_core::EntityId;

use crate::{Case, Policy, Verdict};

/// `manual`: the owner answers every request in person. It has no parameters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manual;

impl Policy for Manual {
    fn kind(&self) -> &'static str {
        "manual"
    }

    fn judge(&self, case: &Case<'_>) -> Vec<(EntityId, Verdict)> {
        let ask = |open| case.ask_owner(open);
        case.open().iter().map(|open| (open.fact.id.clone(), ask(open))).collect()
    }
}
