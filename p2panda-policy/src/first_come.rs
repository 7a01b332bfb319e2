use p2panda_core::EntityId;

use crate::{Case, Policy, Verdict};

/// `first-come`: whoever comes first gets it. It has no parameters.
///
/// First is what reached the owner's [`steward`](crate::steward()) first: only what the steward
/// signed is confirmed. Until then a request is tentative if it fits beside what is confirmed and
/// beside the tentative requests with an earlier claimed time (then lower id). Claimed times are
/// only claims, so nothing else rests on them.
#[derive(Clone, Copy, Debug, Default)]
pub struct FirstCome;

impl Policy for FirstCome {
    fn kind(&self) -> &'static str {
        "first-come"
    }

    fn judge(&self, case: &Case<'_>) -> Vec<(EntityId, Verdict)> {
        let mut room = case.room();
        let mut judge_one = |open| match open {
            &crate::Open { released: true, .. } => case.ask_owner(open),
            open => match room.take(open) {
                Ok(()) => Verdict::Tentative { from: vec![case.facts().owner] },
                Err(with) => Verdict::Conflicted { with, broken: None },
            },
        };
        case.open().iter().map(|open| (open.fact.id.clone(), judge_one(open))).collect()
    }

    fn is_automatic(&self) -> bool {
        true
    }
}
