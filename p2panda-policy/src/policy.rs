//! The seam where applications add rules of their own.

use std::{collections::BTreeMap, fmt};

use p2panda_core::{
    EntityId, UserId,
    schema::{PolicySpec, Request, Resource},
    view::{Fact, ResourceFacts},
};

use crate::{Allocation, FirstCome, Manual, Pending, Room, Verdict};

/// A rule by which a resource may be used: a pure function of the facts.
///
/// A policy is asked only about *open* requests. What the owner decided, what was withdrawn, what
/// makes no sense and what has no room beside the owner's decisions is settled before, for all
/// policies alike. A policy must depend on nothing but its [`Case`]: no clock, no randomness, no
/// I/O, or peers with the same facts would see different festivals.
pub trait Policy: Send + Sync {
    /// The kind that names it in a resource; applications use `reverse.domain/kind`.
    fn kind(&self) -> &str;

    /// Whether these parameters are understood. Without this method none are allowed.
    ///
    /// # Errors
    /// What is not understood; every request is [`Verdict::Unsupported`] then.
    fn check(&self, spec: &PolicySpec) -> Result<(), String> {
        spec.params
            .keys()
            .next()
            .map_or(Ok(()), |name| Err(format!("it has the unknown parameter \"{name}\"")))
    }

    /// What it says of the open requests, by request.
    ///
    /// A request that it leaves out waits for the owner. [`Verdict::Confirmed`] stands only while
    /// the room that the owner left lasts, in the order of the answer.
    fn judge(&self, case: &Case<'_>) -> Vec<(EntityId, Verdict)>;

    /// Whether the decisions of a user who is not the owner mean something to it.
    fn hears(&self, _spec: &PolicySpec, _user: &UserId) -> bool {
        false
    }

    /// Whether the owner's [`steward`](crate::steward()) confirms what there is room for.
    fn is_automatic(&self) -> bool {
        false
    }
}

/// A request that nothing has settled yet.
#[derive(Clone, Copy, Debug)]
pub struct Open<'a> {
    /// The record, with its id, author and position.
    pub fact: &'a Fact,
    /// What it says.
    pub request: &'a Request,
    /// Whether the owner confirmed it once and released that: only the owner in person answers
    /// again.
    pub released: bool,
}

/// What a policy judges.
#[derive(Debug)]
pub struct Case<'a> {
    pub(crate) facts: &'a ResourceFacts,
    pub(crate) resource: &'a Resource,
    pub(crate) allocation: &'a Allocation,
    pub(crate) room: &'a Room,
    pub(crate) open: &'a [Open<'a>],
}

impl<'a> Case<'a> {
    /// The policy's kind and parameters.
    #[must_use]
    pub const fn spec(&self) -> &'a PolicySpec {
        &self.resource.policy
    }

    /// The resource.
    #[must_use]
    pub const fn resource(&self) -> &'a Resource {
        self.resource
    }

    /// Everything that is known of it, votes included.
    #[must_use]
    pub const fn facts(&self) -> &'a ResourceFacts {
        self.facts
    }

    /// What the owner's decisions hold.
    #[must_use]
    pub const fn allocation(&self) -> &'a Allocation {
        self.allocation
    }

    /// The open requests by claimed time, then id. Each fits beside the owner's decisions, but they
    /// need not all fit together.
    #[must_use]
    pub const fn open(&self) -> &'a [Open<'a>] {
        self.open
    }

    /// A copy of the room that the owner's decisions leave, for placing open requests in it.
    #[must_use]
    pub fn room(&self) -> Room {
        self.room.clone()
    }

    /// The verdict on a request that only the owner can answer.
    #[must_use]
    pub fn ask_owner(&self, open: &Open<'_>) -> Verdict {
        let pending = if open.released { Pending::Reconsideration } else { Pending::Answers };
        Verdict::Requested { have: 0, need: 1, from: vec![self.facts.owner], pending }
    }
}

/// The policies that this program can evaluate.
///
/// ```
/// use p2panda_core::{EntityId, schema::PolicySpec};
/// use p2panda_policy::{Case, Policies, Policy, Verdict};
///
/// /// Whatever is asked for is only ever tentative.
/// struct Pencil;
/// impl Policy for Pencil {
///     fn kind(&self) -> &str { "org.example/pencil" }
///     fn judge(&self, case: &Case<'_>) -> Vec<(EntityId, Verdict)> {
///         let tentative = || Verdict::Tentative { from: vec![case.facts().owner] };
///         case.open().iter().map(|open| (open.fact.id.clone(), tentative())).collect()
///     }
/// }
///
/// let policies = Policies::default().with(Box::new(Pencil));
/// assert!(policies.find(&PolicySpec::new("org.example/pencil")).is_ok());
/// assert!(policies.find(&PolicySpec::new("org.example/pen")).is_err());
/// ```
pub struct Policies(BTreeMap<String, Box<dyn Policy>>);

impl Default for Policies {
    /// The built-in policies: [`Manual`] and [`FirstCome`].
    fn default() -> Self {
        Self(BTreeMap::new()).with(Box::new(Manual)).with(Box::new(FirstCome))
    }
}

impl Policies {
    /// Adds a policy, in place of one of the same kind.
    #[must_use]
    pub fn with(mut self, policy: Box<dyn Policy>) -> Self {
        self.0.insert(policy.kind().to_owned(), policy);
        self
    }

    /// The policy that a resource names.
    ///
    /// # Errors
    /// Why it cannot be evaluated: its kind or one of its parameters is unknown.
    pub fn find(&self, spec: &PolicySpec) -> Result<&dyn Policy, String> {
        let policy = self.0.get(&spec.kind).ok_or_else(|| "its kind is unknown".to_owned())?;
        policy.check(spec)?;
        Ok(policy.as_ref())
    }
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
