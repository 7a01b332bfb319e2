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
//! use p2panda_policy::{Act, Policies, Verdict, evaluate, steward};
//!
//! // Facts come from `View::facts`; here they are made by hand.
//! let (olga, rita) = (UserId::from_bytes([1; 32]), UserId::from_bytes([2; 32]));
//! let fact = |author: UserId, record: Record| {
//!     let document = DocumentId::from_bytes(*author.as_bytes());
//!     let id = EntityId::new(document, LocalId::of_record(&record.to_bytes()));
//!     let incarnation = Incarnation::from_bytes([0; 8]);
//!     let position = Position { incarnation, index: 0, seen: Default::default() };
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
//! let policies = Policies::default();
//! let verdict = &evaluate(&policies, &facts).verdicts[&request.id];
//! assert!(matches!(verdict, Verdict::Tentative { .. }));
//!
//! // ...and once Olga's steward has signed, that it is confirmed, and by what.
//! let acts = steward(&policies, olga, &facts, &Arrivals::default(), None);
//! let [Act::Decide(decision)] = acts.as_slice() else { panic!("one request, one decision") };
//! let decision = fact(olga, Record::Decision(decision.clone()));
//! facts.records.push(decision.clone());
//! let verdict = &evaluate(&policies, &facts).verdicts[&request.id];
//! assert_eq!(verdict.signatures(), [&decision.id]);
//! assert!(verdict.explanation().starts_with("It is confirmed by decision "));
//! # Ok::<(), p2panda_core::ParseIdError>(())
//! ```
//!
//! What the parts are for:
//!
//! - [`Policy`] and [`Policies`]: the rules, built-in ([`Manual`], [`FirstCome`]) and others'.
//! - [`Evaluation`]: verdicts, what the owner has promised ([`Allocation`]), and what deserves
//!   telling about decisions that contradict each other ([`Finding`]).
//! - [`EventConfirmation`]: how far an event is confirmed.
//! - [`steward()`]: what an owner's automation signs next.

mod allocation;
mod confirmation;
mod docket;
mod evaluate;
mod finding;
mod first_come;
mod manual;
mod order;
mod policy;
mod room;
mod steward;
mod verdict;

pub use allocation::{Allocation, Grant, Standing};
pub use confirmation::{EventConfirmation, Share};
pub use evaluate::{Evaluation, evaluate};
pub use finding::Finding;
pub use first_come::FirstCome;
pub use manual::Manual;
pub use policy::{Case, Open, Policies, Policy};
pub use room::{MAX_NAMED, Room};
pub use steward::{Act, steward};
pub use verdict::{BadTerms, Obstacle, Pending, Verdict};
