//! What is said of a request, and why.

use p2panda_core::{EntityId, UserId, schema::Terms};
use serde::Serialize;

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
        /// Whose answers are missing.
        from: Vec<UserId>,
        /// What the request waits for.
        pending: Pending,
    },
    /// There is room for it and the policy will let it in, but nobody has signed that yet. Anyone
    /// computes this from what they see, so two peers can differ.
    Tentative {
        /// Whose confirmation is missing.
        from: Vec<UserId>,
    },
    /// The signatures that the policy requires are there.
    Confirmed {
        /// The decisions; at least one.
        by: Vec<EntityId>,
    },
    /// A decider said no.
    Denied {
        /// The decision.
        by: EntityId,
        /// The decider's words, as they were written.
        reason: String,
    },
    /// There is no room for it.
    Conflicted {
        /// What stands in the way, at most [`MAX_NAMED`](crate::MAX_NAMED).
        with: Vec<Obstacle>,
        /// The decision that confirms it but does not count for want of room: a broken promise.
        broken: Option<EntityId>,
    },
    /// The requester ended it, for ever.
    Withdrawn {
        /// The withdrawal.
        by: EntityId,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Pending {
    /// Answers of those who decide.
    Answers,
    /// The owner's new answer: the owner confirmed it once and released that.
    Reconsideration,
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
    /// The verdict in one word: `requested`, `tentative`, `confirmed`...
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Requested { .. } => "requested",
            Self::Tentative { .. } => "tentative",
            Self::Confirmed { .. } => "confirmed",
            Self::Denied { .. } => "denied",
            Self::Conflicted { .. } => "conflicted",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Unsupported { .. } => "unsupported",
            Self::Invalid { .. } => "invalid",
        }
    }

    /// The signed records that the verdict rests on: decisions, withdrawals, and requests that are
    /// in the way.
    #[must_use]
    pub fn signatures(&self) -> Vec<&EntityId> {
        match self {
            Self::Confirmed { by } => by.iter().collect(),
            Self::Denied { by, .. } | Self::Withdrawn { by } => vec![by],
            Self::Conflicted { with, broken } => {
                broken.iter().chain(with.iter().map(Obstacle::signature)).collect()
            }
            Self::Requested { .. }
            | Self::Tentative { .. }
            | Self::Unsupported { .. }
            | Self::Invalid { .. } => Vec::new(),
        }
    }

    /// The verdict and its reason in one sentence of one line. Ids are shortened.
    #[must_use]
    pub fn explanation(&self) -> String {
        match self {
            Self::Requested { pending: Pending::Resource, .. } => {
                "The resource has not arrived, was deleted or cannot be read, so nothing can be \
                 said yet."
                    .to_owned()
            }
            Self::Requested { pending: Pending::Reconsideration, .. } => {
                "It was confirmed once, but the owner took that back and has not answered again."
                    .to_owned()
            }
            Self::Requested { have, need, from, .. } => {
                format!("{have} of {need} answers are there; {} can give one.", users(from))
            }
            Self::Tentative { from } => {
                format!("There is room for it, but {} has not confirmed it yet.", users(from))
            }
            Self::Confirmed { by } => {
                format!("It is confirmed by {}.", list(by.iter().map(|id| record("decision", id))))
            }
            Self::Denied { by, reason } if reason.is_empty() => {
                format!("It is denied by {}.", record("decision", by))
            }
            Self::Denied { by, reason } => {
                format!("It is denied by {}: {}.", record("decision", by), plain(reason))
            }
            Self::Conflicted { with, broken: None } => {
                format!("There is no room for it beside {}.", obstacles(with))
            }
            Self::Conflicted { with, broken: Some(decision) } => format!(
                "It was promised by {}, but there is no room for it beside {}.",
                record("decision", decision),
                obstacles(with),
            ),
            Self::Withdrawn { by } => {
                format!("Its requester withdrew it with {}.", record("withdrawal", by))
            }
            Self::Unsupported { kind, reason } => format!(
                "This program cannot evaluate the policy \"{}\": {}.",
                plain(kind),
                plain(reason),
            ),
            Self::Invalid { reason } => format!("It cannot be granted: {reason}."),
        }
    }
}

impl Obstacle {
    /// The signed record that takes the room: the decision, else the tentative request.
    #[must_use]
    pub fn signature(&self) -> &EntityId {
        self.decision.as_ref().unwrap_or(&self.request)
    }
}

pub(crate) fn obstacles(with: &[Obstacle]) -> String {
    list(with.iter().map(|obstacle| match &obstacle.decision {
        Some(_) => format!("{}, which is confirmed", record("request", &obstacle.request)),
        None => format!("{}, which comes first", record("request", &obstacle.request)),
    }))
}

/// A record as people tell it from others: the first letters of its name.
pub(crate) fn record(what: &str, id: &EntityId) -> String {
    let name = id.local.as_str().trim_start_matches('#');
    format!("{what} {}", name.chars().take(8).collect::<String>())
}

pub(crate) fn user(user: &UserId) -> String {
    user.to_string().chars().take(8).collect()
}

fn users(from: &[UserId]) -> String {
    list(from.iter().map(user))
}

/// At most five items; the data has them all.
pub(crate) fn list(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(5);
    let mut items: Vec<String> = items.take(5).collect();
    if more > 0 {
        items.push(format!("{more} more"));
    }
    let Some(last) = items.pop() else {
        return "nothing that is known".to_owned();
    };
    if items.is_empty() { last } else { format!("{} and {last}", items.join(", ")) }
}

/// Other people's words, fit for one line: no control characters, of bounded length.
fn plain(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.trim_end_matches('.').chars().take(200).map(visible).collect()
}
