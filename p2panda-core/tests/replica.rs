//! Replicas that write, exchange and are opened again.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use p2panda_core::{
    AcceptError, Accepted, EditError, EntityId, Identity, Replica, Segment, SegmentError,
    schema::{
        Answer, Decision, Event, PolicySpec, Record, Request, Resource, Terms, Value, Withdrawal,
    },
    store::NoResume,
};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;

#[test]
fn an_edit_is_seen_by_whoever_receives_it() {
    let mut rng = rng(1);
    let mut ada = replica(&Identity::generate(&mut rng));
    let mut bob = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng);
    let id = put(&mut ada, festival.id(), "opening", &event("Opening"), &mut rng);
    bob.join(&festival).unwrap();
    hand_over(&ada, &mut bob, festival.id());
    assert_equal(&ada, &bob);
    let view = bob.view(festival.id());
    assert_eq!(view.info().unwrap().unwrap().title, "Lake");
    assert_eq!(view.schedule(None).unwrap(), [(id, event("Opening"))]);
    assert_eq!(hand_over(&ada, &mut bob, festival.id()), 0, "nothing travels twice");
}

#[test]
fn writing_what_stands_already_writes_nothing() {
    let mut rng = rng(2);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng).id();
    let mut opening = event("Opening");
    opening.tags.extend(["music".to_owned(), "outdoors".to_owned()]);
    put(&mut ada, festival, "opening", &opening, &mut rng);
    let before = ada.fingerprint_logs().unwrap();
    put(&mut ada, festival, "opening", &opening, &mut rng);
    assert_eq!(ada.fingerprint_logs().unwrap(), before);
}

#[test]
fn fields_that_a_type_does_not_know_survive_its_edits_and_unset_ones_go() {
    let mut rng = rng(3);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng).id();
    let mut opening = event("Opening");
    opening.cancelled = true;
    opening.tags.extend(["music".to_owned(), "outdoors".to_owned()]);
    let id = put(&mut ada, festival, "opening", &opening, &mut rng);
    let set = |path: &[&str], value: &str, ada: &mut Replica, rng: &mut ChaCha20Rng| {
        ada.edit(festival, NOW, rng, |edit| edit.set(&id, path, value.into())).unwrap();
    };
    set(&["from-the-future"], "kept", &mut ada, &mut rng);
    set(&["nested", "deep"], "kept too", &mut ada, &mut rng);
    opening.cancelled = false;
    opening.tags.remove("music");
    put(&mut ada, festival, "opening", &opening, &mut rng);
    let view = ada.view(festival);
    assert_eq!(view.entity::<Event>(&id).unwrap().unwrap().unwrap(), opening);
    let fields = view.fields(&id).unwrap().unwrap();
    assert_eq!(fields.get("from-the-future"), Some(&Value::from("kept")));
    assert!(matches!(fields.get("nested"), Some(Value::Map(map)) if map.len() == 1));
    assert!(!fields.contains_key("cancelled"));
}

#[test]
fn a_malformed_entity_is_reported_and_the_others_are_read() {
    let mut rng = rng(4);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng).id();
    let good = put(&mut ada, festival, "good", &event("Good"), &mut rng);
    let bad = put(&mut ada, festival, "bad", &event("Bad"), &mut rng);
    ada.edit(festival, NOW, &mut rng, |edit| edit.set(&bad, &["title"], 7.into())).unwrap();
    let view = ada.view(festival);
    let listed = view.list::<Event>().unwrap();
    assert_eq!(listed.len(), 2);
    for (id, entity) in listed {
        assert_eq!(entity.is_ok(), id == good);
    }
    assert_eq!(view.schedule(None).unwrap().len(), 1);
}

#[test]
fn two_devices_with_one_key_merge_what_they_wrote_apart() {
    let mut rng = rng(5);
    let identity = Identity::generate(&mut rng);
    let (mut phone, mut laptop) = (replica(&identity), replica(&identity));
    let festival = festival_of(&mut phone, &mut rng);
    laptop.join(&festival).unwrap();
    put(&mut phone, festival.id(), "one", &event("One"), &mut rng);
    put(&mut laptop, festival.id(), "two", &event("Two"), &mut rng);
    // The same entity created on both: one entity, merged field by field.
    put(&mut phone, festival.id(), "both", &event("Both"), &mut rng);
    let mut summary = event("Both");
    summary.summary = "from the laptop".into();
    put(&mut laptop, festival.id(), "both", &summary, &mut rng);

    hand_over(&phone, &mut laptop, festival.id());
    hand_over(&laptop, &mut phone, festival.id());
    assert_equal(&phone, &laptop);
    let titles: Vec<String> = phone
        .view(festival.id())
        .list::<Event>()
        .unwrap()
        .into_iter()
        .map(|(_, event)| event.unwrap().title)
        .collect();
    assert_eq!(titles.len(), 3, "{titles:?}");
    let both = phone.view(festival.id());
    let both = both.list::<Event>().unwrap().into_iter().map(|(_, event)| event.unwrap());
    assert!(
        both.into_iter().any(|event| event.title == "Both" && event.summary == "from the laptop")
    );

    // And both go on writing into the merged entity.
    summary.title = "Both, renamed".into();
    put(&mut phone, festival.id(), "both", &summary, &mut rng);
    hand_over(&phone, &mut laptop, festival.id());
    assert_equal(&phone, &laptop);
}

#[test]
fn a_document_is_given_out_as_automerge_saves_it() {
    use automerge::ReadDoc as _;
    let mut rng = rng(1);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng).id();
    let id = put(&mut ada, festival, "e", &event("Opening"), &mut rng);
    let saved = ada.automerge(&id.document).unwrap().unwrap();
    let document = automerge::Automerge::load(&saved).unwrap();
    let (_, entity) = document.get(automerge::ROOT, "e").unwrap().unwrap();
    let (title, _) = document.get(entity, "title").unwrap().unwrap();
    assert_eq!(title.as_str(), Some("Opening"));
}

#[test]
fn nobody_writes_into_anothers_document() {
    let mut rng = rng(6);
    let mut ada = replica(&Identity::generate(&mut rng));
    let mut bob = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng);
    let id = put(&mut ada, festival.id(), "opening", &event("Opening"), &mut rng);
    bob.join(&festival).unwrap();
    hand_over(&ada, &mut bob, festival.id());
    let result: Result<(), EditError> =
        bob.edit(festival.id(), NOW, &mut rng, |edit| edit.set(&id, &["title"], "mine".into()));
    assert!(matches!(result, Err(EditError::NotYours(_))), "{result:?}");
}

#[test]
fn requests_and_decisions_are_facts_about_their_resource_at_every_peer() {
    let mut rng = rng(7);
    let mut ada = replica(&Identity::generate(&mut rng));
    let mut bob = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng);
    bob.join(&festival).unwrap();
    let stage = Resource {
        title: "Stage".into(),
        policy: PolicySpec::new("first-come"),
        ..Resource::default()
    };
    let resource = ada.edit(festival.id(), NOW, &mut rng, |edit| edit.create(&stage)).unwrap();
    hand_over(&ada, &mut bob, festival.id());
    let (request, terms) = bob
        .edit(festival.id(), NOW, &mut rng, |edit| {
            let event = edit.create(&event("Talk"))?;
            let terms = Terms { event, resource: resource.clone(), span: span(10, 20), units: 1 };
            let request = Request { terms: terms.clone(), claimed: NOW, note: "please".into() };
            Ok::<_, EditError>((edit.request(request)?, terms))
        })
        .unwrap();
    hand_over(&bob, &mut ada, festival.id());
    let policy = stage.policy.hash();
    let decision = Decision {
        request: request.clone(),
        terms,
        policy,
        answer: Answer::Confirm,
        reason: String::new(),
    };
    let decided =
        ada.edit(festival.id(), NOW, &mut rng, |edit| edit.decide(decision.clone())).unwrap();
    let again = ada.edit(festival.id(), NOW, &mut rng, |edit| edit.decide(decision)).unwrap();
    assert_eq!(decided, again, "the same decision twice is one record");
    hand_over(&ada, &mut bob, festival.id());
    bob.edit(festival.id(), NOW, &mut rng, |edit| {
        let reason = String::new();
        edit.withdraw(Withdrawal { resource: resource.clone(), request: request.clone(), reason })
    })
    .unwrap();
    hand_over(&bob, &mut ada, festival.id());
    assert_equal(&ada, &bob);
    let facts = ada.view(festival.id()).facts(&resource).unwrap().unwrap();
    assert_eq!(facts, bob.view(festival.id()).facts(&resource).unwrap().unwrap());
    assert_eq!((facts.owner, facts.records.len()), (ada.user(), 3));
    assert!(facts.records.iter().any(|fact| fact.id == decided && fact.author == ada.user()));
    let arrivals = ada.view(festival.id()).arrivals(&resource).unwrap();
    assert_eq!(arrivals.0.len(), 3);
    assert!(arrivals.0[&request] < arrivals.0[&decided]);
    let requests = ada.view(festival.id());
    assert!(matches!(requests.record(&request).unwrap().unwrap().record, Record::Request(_)));
}

#[test]
fn the_changes_feed_tells_each_changed_row_once_at_its_newest_change() {
    let mut rng = rng(8);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng).id();
    let start = ada.view(festival).cursor().unwrap();
    let one = put(&mut ada, festival, "one", &event("1"), &mut rng);
    let two = put(&mut ada, festival, "two", &event("2"), &mut rng);
    put(&mut ada, festival, "one", &event("1b"), &mut rng);
    let changed = |since| -> Vec<EntityId> {
        ada.view(festival).changes(since, 10).unwrap().into_iter().map(|(_, id)| id).collect()
    };
    assert_eq!(changed(start), [two, one]);
    assert!(changed(ada.view(festival).cursor().unwrap()).is_empty());
}

#[test]
fn refused_segments_leave_nothing_behind() {
    let mut rng = rng(9);
    let mut ada = replica(&Identity::generate(&mut rng));
    let mut bob = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng);
    put(&mut ada, festival.id(), "a", &event("A"), &mut rng);
    let (log, tip) = ada.logs(festival.id()).unwrap()[0];
    let descriptor = ada.descriptor(&log.document).unwrap().unwrap();
    let good = ada.segment(&log, 0).unwrap().unwrap().into_segment();
    assert_eq!(good.payloads.len() as u64, tip.length, "one segment for the whole log");
    assert!(matches!(bob.accept(&descriptor, good.clone()), Err(AcceptError::UnknownFestival(_))));
    bob.join(&festival).unwrap();
    let empty = bob.fingerprint_logs().unwrap();

    let wrong = |change: &dyn Fn(&mut Segment)| {
        let mut segment = good.clone();
        change(&mut segment);
        segment
    };
    let bad_payload = wrong(&|segment| segment.payloads[0][20] ^= 1);
    let no_entries = wrong(&|segment| segment.payloads.clear());
    let misaligned = wrong(&|segment| segment.payloads = vec![vec![1]; 129]);
    let huge = wrong(&|segment| segment.payloads[0] = vec![0; 61 * 1024]);
    let early = wrong(&|segment| segment.from = 5);
    use SegmentError::*;
    let mut refused = |segment| bob.accept(&descriptor, segment).unwrap_err();
    assert!(matches!(refused(bad_payload), AcceptError::Segment(Signature)));
    assert!(matches!(refused(no_entries), AcceptError::Segment(Empty)));
    assert!(matches!(refused(misaligned), AcceptError::Segment(Misaligned { .. })));
    assert!(matches!(refused(huge), AcceptError::Segment(PayloadSize { .. })));
    assert!(matches!(refused(early), AcceptError::Gap { held: 0 }));
    let mut foreign = descriptor.clone();
    foreign.user = ada.user();
    foreign.label = "x".into();
    assert!(matches!(bob.accept(&foreign, good.clone()), Err(AcceptError::Descriptor)));
    assert_eq!(bob.fingerprint_logs().unwrap(), empty);
    assert!(matches!(bob.accept(&descriptor, good.clone()), Ok(Accepted::New { entries: 2 })));
    assert!(matches!(bob.accept(&descriptor, good), Ok(Accepted::Duplicate)));
}

#[test]
fn a_thousand_entities_of_long_texts_fit_however_many_payloads_they_need() {
    let mut rng = rng(11);
    let mut ada = replica(&Identity::generate(&mut rng));
    let mut bob = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng);
    bob.join(&festival).unwrap();
    ada.edit(festival.id(), NOW, &mut rng, |edit| {
        for number in 0..1000 {
            let mut long = event(&format!("Event {number}"));
            long.description = "x".repeat(2000);
            edit.put(&format!("e{number}").parse().unwrap(), &long)?;
        }
        Ok::<_, EditError>(())
    })
    .unwrap();
    hand_over(&ada, &mut bob, festival.id());
    assert_equal(&ada, &bob);
    assert_eq!(bob.view(festival.id()).schedule(None).unwrap().len(), 1000);
    let mut large = event("too long");
    large.description = "x".repeat(40_000);
    let refused: Result<EntityId, EditError> =
        ada.edit(festival.id(), NOW, &mut rng, |edit| edit.create(&large));
    assert!(matches!(refused, Err(EditError::Draft(_))));
}

#[test]
fn forty_devices_that_wrote_apart_merge_into_one_document() {
    let mut rng = rng(12);
    let identity = Identity::generate(&mut rng);
    let mut main = replica(&identity);
    let festival = festival_of(&mut main, &mut rng);
    for number in 0..40 {
        let mut device = replica(&identity);
        device.join(&festival).unwrap();
        put(&mut device, festival.id(), &format!("e{number}"), &event("x"), &mut rng);
        hand_over(&device, &mut main, festival.id());
    }
    // More heads than one change may name: they are folded in several changes.
    let mut other = replica(&Identity::generate(&mut rng));
    other.join(&festival).unwrap();
    put(&mut main, festival.id(), "last", &event("last"), &mut rng);
    hand_over(&main, &mut other, festival.id());
    assert_equal(&main, &other);
    assert_eq!(other.view(festival.id()).list::<Event>().unwrap().len(), 41);
    assert!(other.stopped_logs(festival.id()).unwrap().is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Write { who: usize, entity: u8, title: u8 },
    Delete { who: usize, entity: u8 },
    Request { who: usize, entity: u8 },
    Exchange { from: usize, to: usize },
    Reopen { who: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..3_usize;
    prop_oneof![
        4 => (who.clone(), 0..4_u8, any::<u8>()).prop_map(|(who, entity, title)| Step::Write { who, entity, title }),
        1 => (who.clone(), 0..4_u8).prop_map(|(who, entity)| Step::Delete { who, entity }),
        1 => (who.clone(), 0..4_u8).prop_map(|(who, entity)| Step::Request { who, entity }),
        4 => (who.clone(), who.clone()).prop_map(|(from, to)| Step::Exchange { from, to }),
        1 => who.prop_map(|who| Step::Reopen { who }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Peers 0 and 1 share one key: their edits of one document are concurrent.
    #[test]
    fn any_interleaving_of_edits_and_exchanges_ends_with_equal_fingerprints(
        seed in any::<u64>(),
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let mut rng = rng(seed);
        let shared = Identity::generate(&mut rng);
        let identities = [shared.clone(), shared, Identity::generate(&mut rng)];
        let stores: Vec<Shared> =
            (0..3).map(|_| Shared::new()).collect();
        let open = |who: usize| {
            Replica::open(Box::new(stores[who].clone()), identities[who].clone(), Box::new(NoResume)).unwrap()
        };
        let mut peers: Vec<Replica> = (0..3).map(open).collect();
        let festival = festival_of(&mut peers[0], &mut rng);
        for peer in &mut peers {
            peer.join(&festival).unwrap();
        }
        let festival = festival.id();
        for step in steps {
            match step {
                Step::Write { who, entity, title } => {
                    let mut event = event(&title.to_string());
                    event.tags.insert(format!("tag {}", title % 5));
                    put(&mut peers[who], festival, &format!("e{entity}"), &event, &mut rng);
                }
                Step::Delete { who, entity } => {
                    let ids = peers[who].view(festival).ids("event").unwrap();
                    if let Some(id) = ids.get(usize::from(entity)) {
                        let done: Result<(), EditError> = peers[who].edit(festival, NOW, &mut rng, |edit| edit.delete(id, &[]));
                        prop_assert!(matches!(done, Ok(()) | Err(EditError::NotYours(_))), "{done:?}");
                    }
                }
                Step::Request { who, entity } => {
                    let ids = peers[who].view(festival).ids("event").unwrap();
                    if let Some(id) = ids.get(usize::from(entity)) {
                        let terms = Terms { event: id.clone(), resource: id.clone(), span: span(0, 9), units: 1 };
                        let request = Request { terms, claimed: NOW, note: String::new() };
                        peers[who].edit(festival, NOW, &mut rng, |edit| edit.request(request)).unwrap();
                    }
                }
                Step::Exchange { from, to } if from != to => {
                    let [from, to] = peers.get_disjoint_mut([from, to]).unwrap();
                    hand_over(from, to, festival);
                }
                Step::Exchange { .. } => {}
                Step::Reopen { who } => peers[who] = open(who),
            }
        }
        for (from, to) in [(0, 1), (1, 2), (2, 0), (0, 1), (0, 2)] {
            let [from, to] = peers.get_disjoint_mut([from, to]).unwrap();
            hand_over(from, to, festival);
        }
        assert_equal(&peers[0], &peers[1]);
        assert_equal(&peers[1], &peers[2]);
        for peer in &peers {
            prop_assert!(peer.stopped_logs(festival).unwrap().is_empty());
        }
        // A view built anew from the logs alone is the same.
        let mut fresh = replica(&Identity::generate(&mut rng));
        fresh.join(&peers[0].festival(festival).unwrap().unwrap()).unwrap();
        hand_over(&peers[0], &mut fresh, festival);
        assert_equal(&peers[0], &fresh);
    }
}
