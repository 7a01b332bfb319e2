//! Judgement: who gets which resource, when, and why. Pure functions over the facts that
//! [`p2panda_core`] holds; no I/O, no clock, no randomness.
//!
//! A resource names its policy as data. [`evaluate`] turns all that is known of the resource
//! ([`ResourceFacts`](p2panda_core::view::ResourceFacts)) into a [`Verdict`] on every request, each
//! with its explanation. Peers that hold the same facts reach the same verdicts, in whatever order
//! the facts came, and in no view are more units promised than there are.
//!
//! ```
//! use p2panda_core::{DocumentId, EntityId, Incarnation, LocalId, UserId, schema::*, view::*};
//! use p2panda_policy::{Act, Duty, Policies, Tokens, Verdict, evaluate, steward};
//!
//! // Facts come from `View::facts`; here they are made by hand.
//! let (olga, rita) = (UserId::from_bytes([1; 32]), UserId::from_bytes([2; 32]));
//! let fact = |author: UserId, record: Record| {
//!     let document = DocumentId::from_bytes(*author.as_bytes());
//!     let id = EntityId::new(document, LocalId::of_record(&record.to_bytes()));
//!     let incarnation = Incarnation::from_bytes([0; 8]);
//!     let position = Position { incarnation, index: 0, causality: Causality::default() };
//!     Fact { id, author, record, position }
//! };
//! let name = |user: UserId, name: &str| -> Result<EntityId, _> {
//!     name.parse().map(|local| EntityId::new(DocumentId::from_bytes(*user.as_bytes()), local))
//! };
//!
//! // Olga lends a stage to whoever comes first; Rita asks for it.
//! let stage = Resource {
//!     title: "Stage".into(),
//!     policy: PolicySpec::new("first-come"),
//!     ..Resource::default()
//! };
//! let [noon, one] = [12, 13].map(|hour| Instant::from_millis(hour * 3_600_000));
//! let request = fact(rita, Record::Request(Request {
//!     terms: Terms {
//!         event: name(rita, "concert")?,
//!         resource: name(olga, "stage")?,
//!         span: Span { starts: noon, ends: one },
//!         units: 1,
//!     },
//!     claimed: noon,
//!     note: String::new(),
//! }));
//! let mut facts = ResourceFacts {
//!     id: name(olga, "stage")?,
//!     owner: olga,
//!     resource: Some(stage),
//!     records: vec![request.clone()],
//! };
//!
//! // Everybody sees that there is room for it...
//! let (policies, tokens) = (Policies::default(), Tokens::none());
//! let verdict = &evaluate(&policies, &facts, &tokens).verdicts[&request.id];
//! assert!(matches!(verdict, Verdict::Tentative { .. }));
//!
//! // ...and once Olga's steward has signed, that it is confirmed, and by what.
//! let arrivals = Arrivals::default();
//! let duty = Duty { me: olga, arrivals: &arrivals, previous_run: None, now: noon, seed: None };
//! let acts = steward(&policies, &facts, &tokens, &duty);
//! let [Act::Decide(decision)] = acts.as_slice() else { panic!("one request, one decision") };
//! let decision = fact(olga, Record::Decision(decision.clone()));
//! facts.records.push(decision.clone());
//! let verdict = &evaluate(&policies, &facts, &tokens).verdicts[&request.id];
//! assert_eq!(verdict.signatures(), [&decision.id]);
//! assert!(verdict.explanation().starts_with("It is confirmed by decision "));
//! # Ok::<(), p2panda_core::ParseIdError>(())
//! ```
//!
//! # The policies
//!
//! Whatever the policy: the owner's signed decision confirms (but for a missing token), units are
//! counted by what is signed, and one view never shows more promised than there is. "Apart" means:
//! while peers have not met.
//!
//! | kind | what it promises apart | a cheater gains | and does not gain |
//! |---|---|---|---|
//! | [`manual`](Manual) | nothing is confirmed without the owner | an owner on two devices can promise one slot twice; met, one promise stands and the other shows as broken | who asks, however often or early dated, gains nothing |
//! | [`first-come`](FirstCome) | the steward's order of arrival is final where it signed; elsewhere "tentative" is each peer's guess | a place in front of those who arrived in the same batch, by an early claimed time; tentative places, by many requests | whatever arrived at the steward before |
//! | [`majority`](Majority) | confirms a single unit without the owner; two peers see different winners only if voters contradict themselves (the bound below) | a voter's word where the voter signs; one who votes on two devices apart can split two peers, until they meet, and it shows | outsiders nothing; one voter alone never two winners in one view |
//! | [`n-of-m`](NOfM), named | as majority where 2n > m and the capacity is 1; else nothing is confirmed before the steward signs | as majority; at 2n <= m approvals for both of two rivals, of which the steward signs one | |
//! | [`n-of-m`](NOfM), anyone | nothing is confirmed before the steward signs | any number of approvals: keys cost nothing | more than there is; what the owner denied |
//! | [`unless-conflict`](UnlessConflict) | nothing is confirmed before the steward signs | can drag rivals before the fallback policy by asking for their time | what the steward signed before |
//! | [`all`](All) | what its most exclusive member promises | what every member lets through | |
//! | [`any`](Any), [`otherwise`](Otherwise) | nothing is confirmed before the steward signs | what the weakest member lets through | |
//! | [`token`](Token) | a verdict is as good as the view of the token | what the token's issuers give away; and they can end grants that rest on it | units: they stay with the grant, and nobody else is let in |
//! | [`draw`](ByDraw) | the order is one that everybody can compute again | an owner can leave requests out (it shows), or ask under other names knowing the seed (it does not) | requesters and latecomers nothing, by whatever they write |
//!
//! The bound for quorums with 2n > m at capacity 1: in one view no two overlapping requests are
//! confirmed by votes, however many voters contradict themselves. Two peers' views can differ in what
//! votes confirm for one time only if at least 2n - m voters signed overlapping votes of which neither
//! knew the other (in histories without releases, withdrawals, edits of the resource and decisions of
//! its owner). Everyone who holds both sees who that was: [`Finding::is_self_contradiction`].
//!
//! # What the parts are for
//!
//! - [`Policy`] and [`Policies`]: the rules, built-in and others'.
//! - [`Evaluation`]: verdicts, what deciders have promised ([`Allocation`]), and what deserves
//!   telling about decisions that contradict each other ([`Finding`]).
//! - [`Judge`]: evaluations kept up to date with a view.
//! - [`Tokens`]: the other resources that a policy asks about.
//! - [`EventConfirmation`]: how far an event is confirmed; [`Filling`]: how well a shift is staffed;
//!   [`must_act`] and [`waits_for`]: who is to act.
//! - [`steward()`] and [`steward_with`]: what an owner's automation signs next.

mod all;
mod allocation;
mod any;
mod by_draw;
mod combine;
mod confirmation;
#[cfg(test)]
mod cost;
mod docket;
mod evaluate;
mod explain;
mod filling;
mod finding;
mod first_come;
mod judge;
mod majority;
mod manual;
mod n_of_m;
mod order;
mod otherwise;
mod params;
mod policy;
mod room;
mod steward;
mod token;
mod tokens;
mod unless_conflict;
mod verdict;
mod votes;
mod waiting;

pub use all::All;
pub use allocation::{Allocation, Grant, Standing};
pub use any::Any;
pub use by_draw::ByDraw;
pub use confirmation::{EventConfirmation, Share};
pub use evaluate::{Evaluation, evaluate};
pub use filling::Filling;
pub use finding::Finding;
pub use first_come::FirstCome;
pub use judge::Judge;
pub use majority::Majority;
pub use manual::Manual;
pub use n_of_m::NOfM;
pub use otherwise::Otherwise;
pub use policy::{Case, Gate, Lots, Open, Policies, Policy, Scope};
pub use room::{MAX_NAMED, Room};
pub use steward::{Act, Asked, Choice, Duty, steward, steward_with};
pub use token::Token;
pub use tokens::{Judged, Tokens};
pub use unless_conflict::UnlessConflict;
pub use verdict::{BadTerms, Obstacle, Pending, Verdict};
pub use votes::{Vote, Votes};
pub use waiting::{Deed, Task, must_act, tasks, waits_for};
