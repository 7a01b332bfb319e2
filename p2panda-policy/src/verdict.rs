//! What is said of a request.

use p2panda_core::{
    EntityId, UserId,
    schema::{Span, Terms},
};
use serde::Serialize;

use crate::MAX_NAMED;

/// What a policy says of one request.
///
/// Peers that hold the same facts reach the same verdict. [`Verdict::explanation`] says it to
/// people, [`Verdict::signatures`] names the signed records that it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Verdict {
    /// Answers are missing.
    Requested {
        /// How many of the needed answers are there.
        have: usize,
        /// How many are needed.
        need: usize,
        /// Whose answers are missing; anyone's but the requester's where empty.
        from: Vec<UserId>,
        /// What the request waits for.
        pending: Pending,
        /// The answers that are there.
        by: Vec<EntityId>,
    },
    /// There is room for it and the policy lets it in, but nobody has signed that yet. Anyone
    /// computes this from what they see, so two peers can differ.
    Tentative {
        /// Whose confirmation is missing.
        from: Vec<UserId>,
        /// The records by which the policy lets it in: approvals, tokens.
        by: Vec<EntityId>,
    },
    /// The signatures that the policy requires are there.
    Confirmed {
        /// The decisions, at least one, and the tokens on which it rests.
        by: Vec<EntityId>,
        /// The deciders' words, as they were written.
        conditions: Vec<String>,
    },
    /// The deciders said no.
    Denied {
        /// The decisions.
        by: Vec<EntityId>,
        /// A decider's words, as they were written.
        reason: String,
    },
    /// There is no room for it.
    Conflicted {
        /// What stands in the way, at most [`MAX_NAMED`].
        with: Vec<Obstacle>,
        /// The decision that confirms it but does not count for want of room: a broken promise.
        broken: Option<EntityId>,
    },
    /// The resource is not offered at this time.
    Outside {
        /// Times at which it is: the nearest ones, at most [`MAX_NAMED`].
        offered: Vec<Span>,
    },
    /// The requester ended it, for ever.
    Withdrawn {
        /// The withdrawal.
        by: EntityId,
        /// The requester's words, as they were written.
        reason: String,
    },
    /// This program cannot evaluate the resource's policy.
    Unsupported {
        /// The policy's kind.
        kind: String,
        /// What is not understood.
        reason: String,
    },
    /// Its terms make no sense.
    Invalid {
        /// What is wrong with them.
        reason: BadTerms,
    },
}

/// What a request waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Pending {
    /// The owner's answer.
    Answers,
    /// Votes.
    Votes,
    /// The owner's new answer: the owner confirmed it once and released that.
    Reconsideration {
        /// The release.
        release: EntityId,
    },
    /// A token that its requester does not hold: a confirmed request for another resource.
    Token {
        /// That resource.
        resource: EntityId,
    },
    /// The draw.
    Draw,
    /// The resource itself: it has not arrived, was deleted or cannot be read.
    Resource,
}

/// What stands in the way of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// The request that takes the room. It need not have arrived.
    pub request: EntityId,
    /// The decision that granted it; `None` where it is only tentative.
    pub decision: Option<EntityId>,
}

impl Obstacle {
    /// The signed record that takes the room: the decision, else the tentative request.
    #[must_use]
    pub fn signature(&self) -> &EntityId {
        self.decision.as_ref().unwrap_or(&self.request)
    }
}

/// Why terms make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum BadTerms {
    /// Fewer than one unit.
    #[error("it is about {units} units, at least 1 is needed")]
    TooFew {
        /// How many units.
        units: i64,
    },
    /// More units than there are.
    #[error("it is about {units} units of a resource that has {capacity}")]
    TooMany {
        /// How many units.
        units: i64,
        /// How many there are.
        capacity: i64,
    },
    /// A span that ends where it starts, or before.
    #[error("its time ends before it has started")]
    Span,
}

impl BadTerms {
    /// Checks terms for a resource of some capacity.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn check(terms: &Terms, capacity: i64) -> Result<(), Self> {
        let units = terms.units;
        if units < 1 {
            return Err(Self::TooFew { units });
        }
        if units > capacity {
            return Err(Self::TooMany { units, capacity });
        }
        if terms.span.starts >= terms.span.ends { Err(Self::Span) } else { Ok(()) }
    }
}

impl Verdict {
    /// The verdict on a request that needs one answer, of any of these.
    #[must_use]
    pub const fn waits(pending: Pending, from: Vec<UserId>) -> Self {
        Self::Requested { have: 0, need: 1, from, pending, by: Vec::new() }
    }

    /// The verdict on a request that has these votes and needs more, from any of these; from anyone
    /// where nobody is named.
    #[must_use]
    pub fn votes(by: Vec<EntityId>, need: usize, from: Vec<UserId>) -> Self {
        Self::Requested { have: by.len(), need, from, pending: Pending::Votes, by }
    }

    /// Confirmed by these, with these words where they say any: each once, at most [`MAX_NAMED`].
    pub(crate) fn confirmed<'a>(by: Vec<EntityId>, words: impl Iterator<Item = &'a str>) -> Self {
        let mut conditions: Vec<String> = Vec::new();
        for word in words.filter(|word| !word.is_empty()) {
            if conditions.len() < MAX_NAMED && conditions.iter().all(|known| known != word) {
                conditions.push(word.to_owned());
            }
        }
        Self::Confirmed { by, conditions }
    }

    /// The verdict in one word: `requested`, `tentative`, `confirmed`...
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Requested { .. } => "requested",
            Self::Tentative { .. } => "tentative",
            Self::Confirmed { .. } => "confirmed",
            Self::Denied { .. } => "denied",
            Self::Conflicted { .. } => "conflicted",
            Self::Outside { .. } => "outside",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Unsupported { .. } => "unsupported",
            Self::Invalid { .. } => "invalid",
        }
    }

    /// The signed records that the verdict rests on: decisions, votes, releases, withdrawals, and
    /// requests that are in the way.
    #[must_use]
    pub fn signatures(&self) -> Vec<&EntityId> {
        match self {
            Self::Requested { pending: Pending::Reconsideration { release }, by, .. } => {
                [release].into_iter().chain(by).collect()
            }
            Self::Requested { by, .. }
            | Self::Tentative { by, .. }
            | Self::Confirmed { by, .. }
            | Self::Denied { by, .. } => by.iter().collect(),
            Self::Withdrawn { by, .. } => vec![by],
            Self::Conflicted { with, broken } => {
                broken.iter().chain(with.iter().map(Obstacle::signature)).collect()
            }
            Self::Outside { .. } | Self::Unsupported { .. } | Self::Invalid { .. } => Vec::new(),
        }
    }

    /// Whose act would bring the request on. Anyone's but the requester's where a requested one
    /// names nobody.
    #[must_use]
    pub fn waits_for(&self) -> &[UserId] {
        match self {
            Self::Requested { from, .. } | Self::Tentative { from, .. } => from,
            _ => &[],
        }
    }
}
