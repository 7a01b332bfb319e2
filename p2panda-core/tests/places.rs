//! What counts only where it belongs: amendments have one document each, and records are nobody's to
//! amend (rules D2 and D3).
#![allow(clippy::unwrap_used)]

mod common;

use automerge::{ActorId, AutoCommit, ObjType, ROOT, ScalarValue, transaction::Transactable as _};
use common::*;
use p2panda_core::{
    DocumentDescriptor, EditError, EntityId, FestivalId, Identity, Incarnation, LocalId, LogId,
    Refusal, Replica, Stopped, Tip, VerifiedSegment,
    schema::{
        AMENDED, AMENDMENT, Amendment, Answer, Decision, Entity, Event, Fields, PolicySpec,
        Request, Resource, Terms, Value, amends_label,
    },
};
use rand_chacha::ChaCha20Rng;

#[derive(serde::Serialize, serde::Deserialize)]
struct Forged {
    amended: Fields,
}

impl Entity for Forged {
    const KIND: &'static str = AMENDMENT;
}

/// Ada owns an event, a stage and a decision; Bob edits both and requests the stage; Dora reads.
struct Bed {
    rng: ChaCha20Rng,
    festival: FestivalId,
    ada: Replica,
    bob: Replica,
    event: EntityId,
    stage: EntityId,
    request: EntityId,
    decision: EntityId,
}

const BOB: [u8; 32] = [8; 32];

fn bed() -> Bed {
    let mut rng = rng(1);
    let mut ada = replica(&Identity::generate(&mut rng));
    let mut bob = replica(&Identity::from_secret(&BOB));
    let ticket = festival_of(&mut ada, &mut rng);
    let festival = ticket.id();
    bob.join(&ticket).unwrap();
    let editors = [bob.user()];
    let show = Event { editors: editors.into(), ..event("Fire show") };
    let stage = Resource { title: "Stage".into(), editors: editors.into(), ..Resource::default() };
    let made: Result<_, EditError> =
        ada.edit(festival, NOW, &mut rng, |edit| Ok((edit.create(&show)?, edit.create(&stage)?)));
    let (event, stage) = made.unwrap();
    hand_over(&ada, &mut bob, festival);
    let terms = Terms {
        event: event.clone(),
        resource: stage.clone(),
        span: span(1_000_000, 2_000_000),
        units: 1,
    };
    let request = Request { terms: terms.clone(), claimed: NOW, note: String::new() };
    let request = bob.edit(festival, NOW, &mut rng, |edit| edit.request(request)).unwrap();
    hand_over(&bob, &mut ada, festival);
    let policy = PolicySpec::new("manual").hash();
    let confirm = Answer::Confirm;
    let decision = Decision {
        request: request.clone(),
        terms,
        policy,
        answer: confirm,
        reason: String::new(),
    };
    let decision = ada.edit(festival, NOW, &mut rng, |edit| edit.decide(decision)).unwrap();
    hand_over(&ada, &mut bob, festival);
    Bed { rng, festival, ada, bob, event, stage, request, decision }
}

impl Bed {
    /// Everything that the view says of the event, the stage and its records.
    fn facts(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let view = self.ada.view(self.festival);
        let fields = [&self.event, &self.stage].map(|id| view.fields(id).unwrap().unwrap());
        let facts = view.facts(&self.stage).unwrap().unwrap();
        assert_eq!(facts.records.len(), 2);
        let open = view.open_requests(&self.ada.user()).unwrap();
        (fields, format!("{facts:?}"), format!("{open:?}"))
    }

    /// Amendments of these fields by Bob, in a document and at a name of his choice.
    fn amend(
        &mut self,
        label: &str,
        local: &LocalId,
        fields: &[&str],
    ) -> Result<EntityId, EditError> {
        let bytes = Amendment { counter: 7, value: Some("Bob's".into()) }.to_bytes();
        let amended = fields.iter().map(|field| ((*field).to_owned(), Value::Bytes(bytes.clone())));
        let forged = Forged { amended: amended.collect() };
        let festival = self.festival;
        self.bob.edit(festival, NOW, &mut self.rng, |edit| edit.label(label).put(local, &forged))
    }

    fn meet(&mut self) {
        hand_over(&self.bob, &mut self.ada, self.festival);
    }

    /// An entry of a log of Bob's that Automerge itself writes, past this library.
    fn sign(&mut self, label: &str, number: u8, write: impl FnOnce(&mut AutoCommit)) -> LogId {
        let key = Identity::from_secret(&BOB);
        let (festival, user) = (self.festival, key.user());
        let descriptor = DocumentDescriptor { festival, user, label: label.to_owned() };
        let incarnation = Incarnation::from_bytes([number; 8]);
        let log = LogId { document: descriptor.id(), incarnation };
        let actor = [&user.as_bytes()[..], incarnation.as_bytes()].concat();
        let mut document = AutoCommit::new().with_actor(ActorId::from(actor));
        write(&mut document);
        document.commit();
        let payload = document.get_last_local_change().unwrap().raw_bytes().to_vec();
        let segment = VerifiedSegment::sign(&key, log, &Tip::start(&log), vec![payload]).unwrap();
        self.ada.accept(&descriptor, segment.into_segment()).unwrap();
        self.ada.flush().unwrap();
        log
    }
}

#[test]
fn d2_a_forged_amendment_of_a_request_or_a_decision_counts_for_nothing() {
    let mut bed = bed();
    let before = bed.facts();
    let terms = ["terms", "claimed", "note", "request", "decision", "answer", "units", "span"];
    for id in [bed.request.clone(), bed.decision.clone()] {
        let label = amends_label(&id.document);
        let refused = bed.amend(&label, &id.local, &terms);
        assert!(refused.is_err(), "{refused:?}");
        // A record's name is for a record alone, whoever wrote the payload.
        let number = u8::from(id == bed.request);
        let log = bed.sign(&label, number, |document| {
            let map = document.put_object(ROOT, id.local.as_str(), ObjType::Map).unwrap();
            document.put(&map, "kind", AMENDMENT).unwrap();
            let amended = document.put_object(&map, AMENDED, ObjType::Map).unwrap();
            let bytes = Amendment { counter: 7, value: Some("Bob's".into()) }.to_bytes();
            document.put(&amended, "note", ScalarValue::Bytes(bytes)).unwrap();
        });
        let stopped = bed.ada.stopped_logs(bed.festival).unwrap();
        let (_, why) = stopped.iter().find(|(stopped, _)| *stopped == log).unwrap();
        assert!(matches!(why, Stopped::Refused(Refusal::RecordChanged)), "{why:?}");
        assert_eq!(bed.facts(), before);
    }
    // At a name that an entity may have, of documents that hold the records: nothing is there.
    for document in [bed.request.document, bed.decision.document] {
        bed.amend(&amends_label(&document), &"terms".parse().unwrap(), &terms).unwrap();
    }
    bed.meet();
    assert_eq!(bed.facts(), before);
}

#[test]
fn d3_an_amendment_counts_only_in_the_document_that_is_named_for_it() {
    let mut bed = bed();
    let before = bed.facts();
    let local = bed.event.local.clone();
    let right = amends_label(&bed.event.document);
    let other = amends_label(&bed.request.document);
    for label in ["", "amends/", &right.to_uppercase(), &other, "decisions/x", "more"] {
        bed.amend(label, &local, &["title"]).unwrap();
        bed.meet();
        assert_eq!(bed.facts(), before, "{label}");
    }
    // At another name it is an amendment of something else.
    bed.amend(&right, &"elsewhere".parse().unwrap(), &["title"]).unwrap();
    bed.meet();
    assert_eq!(bed.facts(), before);
    bed.amend(&right, &local, &["title"]).unwrap();
    bed.meet();
    let fields = bed.ada.view(bed.festival).fields(&bed.event).unwrap().unwrap();
    assert_eq!(fields["title"], "Bob's".into());
}
