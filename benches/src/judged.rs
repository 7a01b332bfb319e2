//! A resource that many ask for, and what a policy says of it.

use p2panda_core::{
    DocumentId, EntityId, Incarnation, LocalId, UserId,
    schema::{Answer, Decision, Instant, PolicySpec, Record, Request, Resource, Span, Terms},
    view::{Causality, Fact, Position, ResourceFacts},
};
use p2panda_policy::{Evaluation, FirstCome, Policies, Tokens, evaluate};

const HOUR: i64 = 3_600_000;

/// The facts of one room.
pub struct Judged {
    policies: Policies,
    facts: ResourceFacts,
}

fn fact(author: u8, index: u64, record: Record) -> Fact {
    let document = DocumentId::from_bytes([author; 32]);
    let incarnation = Incarnation::from_bytes([author; 8]);
    Fact {
        id: EntityId::new(document, LocalId::of_record(&record.to_bytes())),
        author: UserId::from_bytes([author; 32]),
        record,
        position: Position { incarnation, index, causality: Causality::default() },
    }
}

impl Judged {
    /// So many requests of two hours each, one an hour; the owner has confirmed every third.
    ///
    /// # Panics
    /// Never: the names are names.
    #[must_use]
    pub fn new(requests: u32) -> Self {
        let id = |name: &str| {
            EntityId::new(DocumentId::from_bytes([1; 32]), name.parse().expect("a name"))
        };
        let policy: PolicySpec = FirstCome::spec();
        let mut records = Vec::new();
        for at in 0..requests {
            let starts = i64::from(at) * HOUR;
            let [starts, ends, claimed] =
                [starts, starts + 2 * HOUR, i64::from(at)].map(Instant::from_millis);
            let (event, resource) = (id("event"), id("room"));
            let terms = Terms { event, resource, span: Span { starts, ends }, units: 1 };
            let request = Request { terms: terms.clone(), claimed, note: String::new() };
            let request = fact(2, at.into(), Record::Request(request));
            if at % 3 == 0 {
                let decision = Decision {
                    request: request.id.clone(),
                    terms,
                    policy: policy.hash(),
                    answer: Answer::Confirm,
                    reason: String::new(),
                };
                records.push(fact(1, at.into(), Record::Decision(decision)));
            }
            records.push(request);
        }
        let owner = UserId::from_bytes([1; 32]);
        let resource = Resource { capacity: 1, policy, ..Resource::default() };
        let facts = ResourceFacts { id: id("room"), owner, resource: Some(resource), records };
        Self { policies: Policies::default(), facts }
    }

    /// The verdicts on all of them.
    #[must_use]
    pub fn evaluate(&self) -> Evaluation {
        evaluate(&self.policies, &self.facts, &Tokens::none())
    }
}
