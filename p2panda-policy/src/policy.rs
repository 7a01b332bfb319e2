//! The seam where applications add rules of their own.

use std::{collections::BTreeMap, fmt};

use p2panda_core::{
    EntityId, UserId,
    schema::{Instant, PolicySpec, Request, Resource},
    view::{Fact, ResourceFacts},
};

use crate::{
    All, Allocation, Any, ByDraw, FirstCome, Majority, Manual, NOfM, Otherwise, Pending, Room,
    Token, Tokens, UnlessConflict, Verdict, params, votes::Votes,
};

/// A rule by which a resource may be used: a pure function of the facts.
///
/// A policy is asked only about *open* requests. What the owner decided, what was withdrawn, what
/// makes no sense, what is not offered and what has no room beside the owner's decisions is settled
/// before, for all policies alike. A policy must depend on nothing but its [`Case`]: no clock, no
/// randomness, no I/O, or peers with the same facts would see different festivals.
pub trait Policy: Send + Sync {
    /// The kind that names it in a resource; applications use `reverse.domain/kind`.
    fn kind(&self) -> &str;

    /// Whether its parameters are understood. Without this method none are allowed.
    ///
    /// # Errors
    /// What is not understood; every request is [`Verdict::Unsupported`] then.
    fn check(&self, scope: &Scope<'_>) -> Result<(), String> {
        params::only(scope.spec, &[])
    }

    /// What it says of the open requests, first come first.
    ///
    /// A request that it leaves out waits for the owner. [`Verdict::Confirmed`], and after that
    /// [`Verdict::Tentative`], stands only while the room that the owner left lasts, in the order
    /// of the answer; whoever comes too late is [`Verdict::Conflicted`]. The owner's steward signs
    /// what is tentative.
    fn judge(&self, case: &Case<'_>) -> Vec<(EntityId, Verdict)>;

    /// What even a request that the owner confirmed needs besides.
    fn gate(&self, _case: &Case<'_>, _request: (&Fact, &Request)) -> Gate {
        Gate::Open(Vec::new())
    }

    /// Whether the decisions of a user who is not the owner mean something to it.
    fn hears(&self, _scope: &Scope<'_>, _user: &UserId) -> bool {
        false
    }

    /// The other resources that it asks about.
    fn tokens(&self, _scope: &Scope<'_>) -> Vec<EntityId> {
        Vec::new()
    }

    /// The lots that the owner draws for it.
    fn lots(&self, _scope: &Scope<'_>) -> Vec<Lots> {
        Vec::new()
    }
}

/// Whether a request that the owner confirmed is confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It is, and rests on these records besides the decisions.
    Open(Vec<EntityId>),
    /// It holds its units, but this is the verdict.
    Shut(Verdict),
}

/// When lots are drawn, and what the owner committed to before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lots {
    /// The hash of the seed.
    pub commitment: [u8; 32],
    /// From when on the owner's steward draws.
    pub closes: Instant,
}

/// A policy's kind and parameters, with what it takes to read them.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub(crate) policies: &'a Policies,
    pub(crate) spec: &'a PolicySpec,
    pub(crate) owner: UserId,
}

impl<'a> Scope<'a> {
    /// The kind and parameters.
    #[must_use]
    pub const fn spec(&self) -> &'a PolicySpec {
        self.spec
    }

    /// The resource's owner.
    #[must_use]
    pub const fn owner(&self) -> UserId {
        self.owner
    }

    /// The scope of another policy, one that is a parameter of this one.
    #[must_use]
    pub const fn member<'b>(&self, spec: &'b PolicySpec) -> Scope<'b>
    where
        'a: 'b,
    {
        Scope { policies: self.policies, spec, owner: self.owner }
    }

    /// The rule behind the kind.
    ///
    /// # Errors
    /// That the kind is unknown.
    pub fn policy(&self) -> Result<&'a dyn Policy, String> {
        let policy = self.policies.0.get(&self.spec.kind);
        policy.map(AsRef::as_ref).ok_or_else(|| match self.spec.kind.as_str() {
            kind if kind.len() <= 64 => format!("the kind \"{kind}\" is unknown"),
            _ => "its kind is unknown".to_owned(),
        })
    }
}

/// A request that nothing has settled yet.
#[derive(Clone, Copy, Debug)]
pub struct Open<'a> {
    /// The record, with its id, author and position.
    pub fact: &'a Fact,
    /// What it says.
    pub request: &'a Request,
    /// The release by which the owner took a confirmation back: only the owner in person answers
    /// again.
    pub released: Option<&'a EntityId>,
}

/// What a policy judges.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    pub(crate) scope: Scope<'a>,
    pub(crate) facts: &'a ResourceFacts,
    pub(crate) resource: &'a Resource,
    pub(crate) allocation: &'a Allocation,
    pub(crate) room: &'a Room,
    pub(crate) open: &'a [Open<'a>],
    pub(crate) votes: &'a Votes,
    pub(crate) tokens: &'a Tokens,
}

impl<'a> Case<'a> {
    /// The policy's kind and parameters, and who owns the resource.
    #[must_use]
    pub const fn scope(&self) -> Scope<'a> {
        self.scope
    }

    /// The resource.
    #[must_use]
    pub const fn resource(&self) -> &'a Resource {
        self.resource
    }

    /// Everything that is known of it.
    #[must_use]
    pub const fn facts(&self) -> &'a ResourceFacts {
        self.facts
    }

    /// What the owner's decisions hold.
    #[must_use]
    pub const fn allocation(&self) -> &'a Allocation {
        self.allocation
    }

    /// The open requests, in views by claimed time and then id, for stewards in their order of
    /// arrival. Each fits beside the owner's decisions, but they need not all fit together.
    #[must_use]
    pub const fn open(&self) -> &'a [Open<'a>] {
        self.open
    }

    /// The votes that count.
    #[must_use]
    pub const fn votes(&self) -> &'a Votes {
        self.votes
    }

    /// The resources that its policy asks about.
    #[must_use]
    pub const fn tokens(&self) -> &'a Tokens {
        self.tokens
    }

    /// A copy of the room that the owner's decisions leave, for placing open requests in it.
    #[must_use]
    pub fn room(&self) -> Room {
        self.room.clone()
    }

    /// The same case for another policy, one that is a parameter of this one, and perhaps for
    /// fewer of the requests.
    #[must_use]
    pub const fn member<'b>(&self, spec: &'b PolicySpec, open: &'b [Open<'b>]) -> Case<'b>
    where
        'a: 'b,
    {
        let Case { facts, resource, allocation, room, votes, tokens, .. } = *self;
        let scope = self.scope.member(spec);
        Case { scope, facts, resource, allocation, room, open, votes, tokens }
    }

    /// The verdict on a request that only the owner can answer.
    #[must_use]
    pub fn ask_owner(&self, open: &Open<'_>) -> Verdict {
        let from = vec![self.facts.owner];
        match open.released {
            None => Verdict::waits(Pending::Answers, from),
            Some(release) => {
                let pending = Pending::Reconsideration { release: release.clone() };
                Verdict::waits(pending, from)
            }
        }
    }

    /// The verdict on a request that is let in where there is room, on account of these records.
    #[must_use]
    pub fn let_in(&self, by: Vec<EntityId>) -> Verdict {
        Verdict::Tentative { from: vec![self.facts.owner], by }
    }
}

/// The policies that this program can evaluate.
///
/// ```
/// use p2panda_core::{EntityId, UserId, schema::PolicySpec};
/// use p2panda_policy::{Case, Policies, Policy, Verdict};
///
/// /// Requests with a note are let in, by note; the others wait for the owner.
/// struct Polite;
/// impl Policy for Polite {
///     fn kind(&self) -> &str { "org.example/polite" }
///     fn judge(&self, case: &Case<'_>) -> Vec<(EntityId, Verdict)> {
///         let polite = case.open().iter().filter(|open| !open.request.note.is_empty());
///         polite.map(|open| (open.fact.id.clone(), case.let_in(Vec::new()))).collect()
///     }
/// }
///
/// let (policies, owner) = (Policies::default().with(Box::new(Polite)), UserId::from_bytes([1; 32]));
/// assert!(policies.check(&PolicySpec::new("org.example/polite"), owner).is_ok());
/// assert!(policies.check(&PolicySpec::new("org.example/police"), owner).is_err());
/// ```
pub struct Policies(BTreeMap<String, Box<dyn Policy>>);

impl Default for Policies {
    /// The built-in policies.
    fn default() -> Self {
        Self(BTreeMap::new())
            .with(Box::new(Manual))
            .with(Box::new(FirstCome))
            .with(Box::new(Majority))
            .with(Box::new(NOfM))
            .with(Box::new(UnlessConflict))
            .with(Box::new(All))
            .with(Box::new(Any))
            .with(Box::new(Otherwise))
            .with(Box::new(Token))
            .with(Box::new(ByDraw))
    }
}

impl Policies {
    /// How many policies one policy can consist of.
    pub const MAX_MEMBERS: usize = 32;
    /// How deep policies can stand within each other.
    pub const MAX_DEPTH: usize = 4;

    /// Adds a policy, in place of one of the same kind.
    #[must_use]
    pub fn with(mut self, policy: Box<dyn Policy>) -> Self {
        self.0.insert(policy.kind().to_owned(), policy);
        self
    }

    /// Whether a resource of this owner can have this policy.
    ///
    /// # Errors
    /// Why it cannot be evaluated: a kind is unknown, or a parameter makes no sense.
    pub fn check(&self, spec: &PolicySpec, owner: UserId) -> Result<(), String> {
        self.find(spec, owner).map(drop)
    }

    /// Whether a policy asks a user who is not the owner.
    #[must_use]
    pub fn asks(&self, spec: &PolicySpec, owner: UserId, user: &UserId) -> bool {
        self.find(spec, owner).is_ok_and(|(policy, scope)| policy.hears(&scope, user))
    }

    /// Whether a policy still waits for the owner to draw lots.
    #[must_use]
    pub fn lots(&self, resource: &Resource, owner: UserId) -> Option<Lots> {
        let (policy, scope) = self.find(&resource.policy, owner).ok()?;
        policy.lots(&scope).pop().filter(|_| resource.draw.is_none())
    }

    /// The policy of a resource, checked.
    pub(crate) fn find<'a>(
        &'a self,
        spec: &'a PolicySpec,
        owner: UserId,
    ) -> Result<(&'a dyn Policy, Scope<'a>), String> {
        let scope = Scope { policies: self, spec, owner };
        // A combination checks each of its members, so this bounds how deep that can go.
        let mut level = vec![spec.clone()];
        let mut count = 0;
        for _ in 0..=Self::MAX_DEPTH {
            count += level.len();
            if count > Self::MAX_MEMBERS {
                return Err(format!("it consists of more than {} policies", Self::MAX_MEMBERS));
            }
            level = level.iter().flat_map(params::policies_in).collect();
        }
        if !level.is_empty() {
            return Err(format!("policies stand within it more than {} deep", Self::MAX_DEPTH));
        }
        let policy = scope.policy()?;
        policy.check(&scope)?;
        if policy.lots(&scope).len() > 1 {
            return Err("it draws lots more than once".to_owned());
        }
        Ok((policy, scope))
    }
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
