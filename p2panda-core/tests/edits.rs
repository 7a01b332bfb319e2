//! Edits that went wrong once: merges of many devices, large edits, and what happens within one.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::{NOW, Shared, event, festival_of, hand_over, put, replica, rng, span};
use p2panda_core::{
    DraftError, Edit, EditError, EntityId, Identity, LocalId, Replica,
    schema::{
        Answer, Decision, Entity, Event, Fields, Instant, Location, PolicySpec, Request, Resource,
        Terms, Value, read_fields, write_fields,
    },
    store::NoResume,
};

#[derive(serde::Serialize, serde::Deserialize, Debug, PartialEq, Clone)]
struct Deep {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    a: Option<std::collections::BTreeMap<String, std::collections::BTreeMap<String, i64>>>,
}
impl Entity for Deep {
    const KIND: &'static str = "org.example/deep";
}

#[test]
fn one_edit_touches_what_seventy_devices_wrote() {
    let mut rng = rng(1);
    let identity = Identity::generate(&mut rng);
    let store = Shared::new();
    let open =
        || Replica::open(Box::new(store.clone()), identity.clone(), Box::new(NoResume)).unwrap();
    let mut ada = open();
    let festival = festival_of(&mut ada, &mut rng).id();
    let mut ids = vec![];
    for n in 0..70 {
        ada = open();
        ids.push(put(&mut ada, festival, &format!("e{n}"), &event("x"), &mut rng));
    }
    let done: Result<(), EditError> = ada.edit(festival, NOW, &mut rng, |edit| {
        for id in &ids {
            edit.set(id, &["cancelled"], true.into())?;
        }
        Ok(())
    });
    assert!(done.is_ok(), "{done:?}");
}

#[test]
fn an_entity_that_seventy_devices_made_can_be_deleted() {
    let mut rng = rng(1);
    let identity = Identity::generate(&mut rng);
    let mut main = replica(&identity);
    let festival = festival_of(&mut main, &mut rng);
    let mut id = None;
    for _ in 0..70 {
        let mut device = replica(&identity);
        device.join(&festival).unwrap();
        id = Some(put(&mut device, festival.id(), "profile", &event("x"), &mut rng));
        hand_over(&device, &mut main, festival.id());
    }
    let done: Result<(), EditError> =
        main.edit(festival.id(), NOW, &mut rng, |edit| edit.delete(&id.unwrap(), &[]));
    assert!(done.is_ok(), "{done:?}");
}

#[test]
fn what_six_hundred_devices_wrote_into_one_field_can_be_overwritten() {
    let mut rng = rng(1);
    let identity = Identity::generate(&mut rng);
    let mut main = replica(&identity);
    let festival = festival_of(&mut main, &mut rng);
    let id = put(&mut main, festival.id(), "e", &event("x"), &mut rng);
    let (log, _) = main.logs(festival.id()).unwrap()[0];
    let descriptor = main.descriptor(&log.document).unwrap().unwrap();
    let first = main.segment(&log, 0).unwrap().unwrap().into_segment();
    for n in 0..600 {
        let mut device = replica(&identity);
        device.join(&festival).unwrap();
        device.accept(&descriptor, first.clone()).unwrap();
        put(&mut device, festival.id(), "e", &event(&format!("title {n}")), &mut rng);
        let (own, _) =
            *device.logs(festival.id()).unwrap().iter().find(|(other, _)| *other != log).unwrap();
        let segment = device.segment(&own, 0).unwrap().unwrap().into_segment();
        main.accept(&descriptor, segment).unwrap();
    }
    for title in ["mine", "mine again"] {
        put(&mut main, festival.id(), "e", &event(title), &mut rng);
        let fields = main.view(festival.id()).fields(&id).unwrap().unwrap();
        assert_eq!(fields["title"], title.into());
    }
    let mut other = replica(&identity);
    other.join(&festival).unwrap();
    hand_over(&main, &mut other, festival.id());
    assert_eq!(main.fingerprint_view().unwrap(), other.fingerprint_view().unwrap());
    assert_eq!((main.caught(), other.caught()), (0, 0));
}

#[test]
fn an_edit_of_any_size_is_split_into_payloads_that_fit() {
    let mut rng = rng(1);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng).id();
    let id = put(&mut ada, festival, "e", &event("x"), &mut rng);
    let done: Result<(), EditError> = ada.edit(festival, NOW, &mut rng, |edit| {
        for n in 0..2040_i64 {
            edit.set(&id, &[&format!("f{n:05}")], (i64::MIN + n * 7919).into())?;
        }
        edit.set(&id, &["z"], "x".repeat(32 * 1024).into())
    });
    assert!(done.is_ok(), "{done:?}");
}

#[test]
fn writing_into_a_map_that_a_concurrent_scalar_hides_is_seen() {
    let mut rng = rng(5);
    let identity = Identity::generate(&mut rng);
    let (mut phone, mut laptop) = (replica(&identity), replica(&identity));
    let festival = festival_of(&mut phone, &mut rng);
    laptop.join(&festival).unwrap();
    let id = put(&mut phone, festival.id(), "e", &event("x"), &mut rng);
    hand_over(&phone, &mut laptop, festival.id());
    phone
        .edit(festival.id(), NOW, &mut rng, |edit| edit.set(&id, &["place", "room"], 1.into()))
        .unwrap();
    // later counter: the scalar wins
    laptop
        .edit(festival.id(), NOW, &mut rng, |edit| {
            for n in 0..9 {
                edit.set(&id, &["place"], n.into())?;
            }
            Ok::<_, EditError>(())
        })
        .unwrap();
    hand_over(&laptop, &mut phone, festival.id());
    phone
        .edit(festival.id(), NOW, &mut rng, |edit| edit.set(&id, &["place", "room"], 2.into()))
        .unwrap();
    let fields = phone.view(festival.id()).fields(&id).unwrap().unwrap();
    assert!(
        matches!(&fields["place"], Value::Map(map) if map["room"] == 2.into()),
        "{:?}",
        fields["place"]
    );
}

#[test]
fn an_event_since_the_beginning_of_time_is_on_the_schedule() {
    let mut rng = rng(5);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng).id();
    let mut e = event("x");
    e.starts = Some(Instant::from_millis(i64::MIN));
    e.ends = Some(Instant::from_millis(100));
    put(&mut ada, festival, "e", &e, &mut rng);
    assert_eq!(ada.view(festival).schedule(Some(span(1, 50))).unwrap().len(), 1);
}

#[test]
fn an_entity_can_be_changed_in_the_edit_that_created_its_document() {
    let mut rng = rng(5);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng).id();
    let done: Result<(), EditError> = ada.edit(festival, NOW, &mut rng, |edit| {
        let id = edit.label("import").create(&event("x"))?;
        edit.label("").set(&id, &["title"], "y".into())
    });
    assert!(done.is_ok(), "{done:?}");
}

#[test]
fn within_an_edit_nested_maps_merge_as_they_will_in_the_document() {
    let mut rng = rng(5);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng).id();
    let local: LocalId = "d".parse().unwrap();
    let deep = |names: &[&str]| Deep {
        a: Some([("b".to_owned(), names.iter().map(|n| (n.to_string(), 1)).collect())].into()),
    };
    let id =
        ada.edit(festival, NOW, &mut rng, |edit| edit.put(&local, &deep(&["c", "d"]))).unwrap();
    let wanted = deep(&["c"]);
    ada.edit(festival, NOW, &mut rng, |edit| {
        let c: Fields = [("c".to_owned(), 1.into())].into();
        edit.set(&id, &["a"], Value::Map([("b".to_owned(), Value::Map(c))].into()))?;
        edit.put(&local, &wanted)
    })
    .unwrap();
    assert_eq!(ada.view(festival).entity::<Deep>(&id).unwrap().unwrap().unwrap(), wanted);
}

#[test]
fn putting_over_a_malformed_entity_mends_it() {
    let mut rng = rng(5);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng).id();
    let mut e = event("x");
    e.summary = "old".into();
    e.cancelled = true;
    let id = put(&mut ada, festival, "e", &e, &mut rng);
    ada.edit(festival, NOW, &mut rng, |edit| edit.set(&id, &["title"], 7.into())).unwrap();
    put(&mut ada, festival, "e", &event("good"), &mut rng);
    assert_eq!(ada.view(festival).entity::<Event>(&id).unwrap().unwrap().unwrap(), event("good"));
}

#[test]
fn removing_the_last_tag_keeps_one_that_another_device_adds() {
    let mut rng = rng(5);
    let identity = Identity::generate(&mut rng);
    let (mut phone, mut laptop) = (replica(&identity), replica(&identity));
    let festival = festival_of(&mut phone, &mut rng);
    laptop.join(&festival).unwrap();
    let mut e = event("x");
    e.tags.insert("a".into());
    let id = put(&mut phone, festival.id(), "e", &e, &mut rng);
    hand_over(&phone, &mut laptop, festival.id());
    put(&mut phone, festival.id(), "e", &event("x"), &mut rng);
    e.tags.insert("b".into());
    put(&mut laptop, festival.id(), "e", &e, &mut rng);
    hand_over(&phone, &mut laptop, festival.id());
    let event = laptop.view(festival.id()).entity::<Event>(&id).unwrap().unwrap().unwrap();
    assert_eq!(event.tags, ["b".to_owned()].into());
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let mut rng = rng(5);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng).id();
    let mut policy = PolicySpec::new("manual");
    policy.params.insert("x".into(), "y".repeat(17 * 1024).into());
    let resource = Resource { title: "s".into(), policy, ..Resource::default() };
    let done: Result<EntityId, EditError> =
        ada.edit(festival, NOW, &mut rng, |edit| edit.create(&resource));
    assert!(matches!(done, Err(EditError::Malformed(_))), "{done:?}");
}

#[test]
fn an_entity_itself_is_never_a_scalar() {
    let mut rng = rng(5);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng).id();
    let id = put(&mut ada, festival, "e", &event("x"), &mut rng);
    let done: Result<(), EditError> =
        ada.edit(festival, NOW, &mut rng, |edit| edit.set(&id, &[], 5.into()));
    assert!(done.is_err(), "accepted and silently dropped");
}

#[test]
fn deleting_and_making_again_in_one_edit_leaves_the_new_one() {
    let mut rng = rng(5);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng).id();
    let mut e = event("x");
    e.tags.insert("a".into());
    let id = put(&mut ada, festival, "e", &e, &mut rng);
    let new = event("x");
    ada.edit(festival, NOW, &mut rng, |edit| {
        edit.delete(&id, &[])?;
        edit.put(&id.local, &new)?;
        edit.delete(&id, &[])?;
        edit.put(&id.local, &new)
    })
    .unwrap();
    assert_eq!(ada.view(festival).entity::<Event>(&id).unwrap().unwrap().unwrap(), new);
    ada.edit(festival, NOW, &mut rng, |edit| {
        edit.set(&id, &["place", "x"], 1.into())?;
        edit.set(&id, &["place"], 2.into())?;
        edit.set(&id, &["place", "y"], 3.into())?;
        edit.delete(&id, &["place", "y"])?;
        edit.delete(&id, &["place"])
    })
    .unwrap();
    assert!(!ada.view(festival).fields(&id).unwrap().unwrap().contains_key("place"));
}

#[test]
fn the_records_of_one_edit_arrive_together() {
    let mut rng = rng(5);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng).id();
    let id = put(&mut ada, festival, "e", &event("x"), &mut rng);
    ada.edit(festival, NOW, &mut rng, |edit| {
        let terms = Terms { event: id.clone(), resource: id.clone(), span: span(1, 2), units: 1 };
        let request =
            edit.request(Request { terms: terms.clone(), claimed: NOW, note: String::new() })?;
        edit.decide(Decision {
            request,
            terms,
            policy: PolicySpec::new("manual").hash(),
            answer: Answer::Confirm,
            reason: String::new(),
        })
    })
    .unwrap();
    let arrivals = ada.view(festival).arrivals(&id).unwrap().0;
    let numbers: BTreeSet<u64> = arrivals.values().copied().collect();
    assert_eq!((arrivals.len(), numbers.len()), (2, 1), "{arrivals:?}");
}

#[test]
fn one_edit_merges_what_sixty_devices_wrote_into_the_same_fields() {
    let mut rng = rng(1);
    let identity = Identity::generate(&mut rng);
    let mut main = replica(&identity);
    let festival = festival_of(&mut main, &mut rng);
    let id = put(&mut main, festival.id(), "e", &event("x"), &mut rng);
    let mut devices = vec![];
    for _ in 0..60 {
        let mut device = replica(&identity);
        device.join(&festival).unwrap();
        hand_over(&main, &mut device, festival.id());
        devices.push(device);
    }
    for (n, device) in devices.iter_mut().enumerate() {
        device
            .edit(festival.id(), NOW, &mut rng, |edit| {
                for f in 0..80 {
                    edit.set(&id, &[&format!("{f}")], (n as i64).into())?;
                }
                Ok::<_, EditError>(())
            })
            .unwrap();
    }
    for device in &devices {
        hand_over(device, &mut main, festival.id());
    }
    let done: Result<(), EditError> = main.edit(festival.id(), NOW, &mut rng, |edit| {
        for f in 0..80 {
            edit.set(&id, &[&format!("{f}")], 99.into())?;
        }
        Ok(())
    });
    assert!(done.is_ok(), "{done:?}");
}

#[test]
fn a_location_that_says_nothing_can_be_taken_away() {
    let mut rng = rng(5);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng).id();
    let mut stage = Resource {
        title: "Stage".into(),
        tags: BTreeSet::from(["indoors".to_owned()]),
        location: Some(Location::default()),
        ..Resource::default()
    };
    let local: LocalId = "stage".parse().unwrap();
    let id = ada.edit(festival, NOW, &mut rng, |edit| edit.put(&local, &stage)).unwrap();
    stage.location = None;
    stage.tags.clear();
    ada.edit(festival, NOW, &mut rng, |edit| edit.put(&local, &stage)).unwrap();
    assert_eq!(ada.view(festival).entity::<Resource>(&id).unwrap().unwrap().unwrap(), stage);
}

#[test]
fn editors_are_a_map_from_user_ids_as_text_to_true() {
    let mut rng = rng(5);
    let [ada, bob] = [(); 2].map(|()| Identity::generate(&mut rng).user());
    let concert = Event { editors: BTreeSet::from([ada, bob]), ..Event::default() };
    let stage = Resource { editors: BTreeSet::from([ada]), ..Resource::default() };
    let fields = write_fields(&concert).unwrap();
    let expected = [ada, bob].map(|user| (user.to_string(), Value::Bool(true))).into();
    assert_eq!(fields["editors"], Value::Map(expected));
    assert_eq!(read_fields::<Event>(&fields).unwrap(), concert);
    assert_eq!(read_fields::<Resource>(&write_fields(&stage).unwrap()).unwrap(), stage);
    assert!(!write_fields(&Event::default()).unwrap().contains_key("editors"));

    // One who was taken off stays off, and a key that is no user is said to be none.
    let off = Fields::from([(ada.to_string(), Value::Bool(false))]);
    let fields = Fields::from([("editors".to_owned(), Value::Map(off))]);
    assert_eq!(read_fields::<Event>(&fields).unwrap(), Event::default());
    let nobody = Fields::from([("nobody".to_owned(), Value::Bool(true))]);
    let fields = Fields::from([("editors".to_owned(), Value::Map(nobody))]);
    assert!(read_fields::<Event>(&fields).is_err());
}

#[test]
fn what_exceeds_a_limit_is_refused_by_name_and_writes_nothing() {
    let mut rng = rng(6);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng).id();
    let id = put(&mut ada, festival, "e", &event("x"), &mut rng);
    let before = ada.fingerprint_logs().unwrap();
    let mut refused = |change: &dyn Fn(&mut Edit<'_>) -> Result<(), EditError>| {
        let refusal = ada.edit(festival, NOW, &mut rng, |edit| {
            edit.create(&event("written before"))?;
            change(edit)
        });
        assert_eq!(ada.fingerprint_logs().unwrap(), before, "{refusal:?}");
        refusal.unwrap_err()
    };
    let label = "x".repeat(65);
    let error = refused(&|edit| edit.label(&label).create(&event("x")).map(drop));
    assert!(matches!(error, EditError::Label { size: 65 }), "{error:?}");
    let error = refused(&|edit| {
        let terms = Terms { event: id.clone(), resource: id.clone(), span: span(1, 2), units: 1 };
        let note = "x".repeat(17 * 1024);
        edit.request(Request { terms, claimed: NOW, note }).map(drop)
    });
    assert!(matches!(error, EditError::RecordTooLarge { .. }), "{error:?}");
    let name = "x".repeat(129);
    for name in ["", &name] {
        let error = refused(&|edit| edit.set(&id, &[name], 1.into()));
        assert!(matches!(error, EditError::Draft(DraftError::FieldName { .. })), "{error:?}");
    }
    let error = refused(&|edit| edit.set(&id, &["m"; 9], 1.into()));
    assert!(matches!(error, EditError::Draft(DraftError::TooDeep)), "{error:?}");
    let error = refused(&|edit| edit.set(&id, &["t"], "x".repeat(32 * 1024 + 1).into()));
    assert!(matches!(error, EditError::Draft(DraftError::ValueTooLarge { .. })), "{error:?}");
}
