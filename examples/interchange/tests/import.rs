//! A schedule goes into a festival and comes out again, however often it is imported
//! and whatever happens in between.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "common/any_schedule.rs"]
mod any_schedule;

#[path = "common/peer.rs"]
mod peer;

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::{fixture, parse_clean};
use interchange::model::{Event, Person, Room};
use interchange::{Changed, ImportError, ImportReport, Schedule, frab, import, import_as};
use p2panda_core::schema::{self, Entity as _, Instant, Record, Request, Span, Terms, Withdrawal};
use p2panda_core::schema::{PolicySpec, Resource, Value};
use p2panda_core::store::RedbStore;
use p2panda_core::{EditError, EntityId, FestivalId};
use peer::{Peer, identity, open};
use proptest::prelude::*;

const TEN: i64 = 1_784_023_200_000;
const HOUR: i64 = 3_600_000;

fn event(guid: &str, room: &str, starts: i64) -> Event {
    Event {
        guid: guid.into(),
        title: format!("About {guid}"),
        starts,
        ends: starts + HOUR,
        room: Some(room.into()),
        ..Event::default()
    }
}

/// Two talks in the Barn one after the other, and a third across both.
fn small() -> Schedule {
    let mut schedule = Schedule {
        acronym: "small".into(),
        title: "Small".into(),
        zone: Some("Europe/Berlin".into()),
        events: vec![
            event("a", "Barn", TEN),
            event("b", "Barn", TEN + HOUR),
            event("c", "Barn", TEN + HOUR / 2),
        ],
        ..Schedule::default()
    };
    schedule.tidy();
    schedule
}

fn of<'a>(schedule: &'a mut Schedule, guid: &str) -> &'a mut Event {
    schedule.events.iter_mut().find(|event| event.guid == guid).unwrap()
}

fn id_of(peer: &Peer, title: &str) -> EntityId {
    let view = peer.replica.view(peer.festival);
    let events = view.list::<schema::Event>().unwrap().into_iter();
    let mut found = events.filter(|(_, event)| event.as_ref().unwrap().title == title);
    found.next().unwrap().0
}

fn read(peer: &Peer, id: &EntityId) -> schema::Event {
    peer.replica.view(peer.festival).entity(id).unwrap().unwrap().unwrap()
}

fn edit(peer: &mut Peer, id: &EntityId, field: &str, value: impl Into<Value>) {
    let Peer { replica, festival, rng, now } = peer;
    let set = |edit: &mut p2panda_core::Edit<'_>| edit.set(id, &[field], value.into());
    replica.edit(*festival, *now, rng, set).unwrap();
}

/// The requests that stand for an event, in order of start.
fn standing(peer: &Peer, event: &EntityId) -> Vec<(EntityId, Request)> {
    let view = peer.replica.view(peer.festival);
    let mut standing = Vec::new();
    for fact in view.event_requests(event).unwrap() {
        let Record::Request(request) = fact.record else { continue };
        let records = view.facts(&request.terms.resource).unwrap().unwrap().records;
        let is_withdrawal = |record: &Record| matches!(record, Record::Withdrawal(Withdrawal { request, .. }) if *request == fact.id);
        if !records.iter().any(|other| is_withdrawal(&other.record)) {
            standing.push((fact.id, request));
        }
    }
    standing.sort_by_key(|(_, request)| request.terms.span);
    standing
}

/// Imports what is there already, and shows that nothing was written.
fn assert_unchanged(peer: &mut Peer, schedule: &Schedule) -> ImportReport {
    let before = (peer.logs(), peer.replica.fingerprint_view().unwrap());
    let report = peer.import(schedule);
    assert_eq!(report.changed, Changed::default());
    assert_eq!((peer.logs(), peer.replica.fingerprint_view().unwrap()), before);
    report
}

#[test]
fn rooms_become_resources_and_events_ask_for_them() {
    let (mut peer, _) = Peer::founder(1);
    let report = peer.import(&small());
    let changed = Changed { created: 4, requested: 3, ..Changed::default() };
    let expected = ImportReport {
        events: 3,
        resources: 1,
        requests: 3,
        conflicts: 2,
        changed,
        ..Default::default()
    };
    assert_eq!(report, expected);

    let view = peer.replica.view(peer.festival);
    let resources = view.list::<Resource>().unwrap();
    let (barn, resource) = &resources[0];
    let resource = resource.as_ref().unwrap();
    assert_eq!((&*resource.title, resource.capacity), ("Barn", 1));
    assert_eq!(resource.policy, PolicySpec::new("first-come"));

    let a = id_of(&peer, "About a");
    assert_eq!(read(&peer, &a).zone, "Europe/Berlin");
    let (_, request) = &standing(&peer, &a)[0];
    let (starts, ends) = (Instant::from_millis(TEN), Instant::from_millis(TEN + HOUR));
    let span = Span { starts, ends };
    assert_eq!(request.terms, Terms { event: a, resource: barn.clone(), span, units: 1 });
    assert_eq!(request.claimed, peer.now);
}

#[test]
fn importing_again_writes_nothing() {
    let (mut peer, _) = Peer::founder(1);
    let first = peer.import(&small());
    peer.now = Instant::from_millis(peer.now.millis() + HOUR);
    let again = assert_unchanged(&mut peer, &small());
    assert_eq!(again, ImportReport { changed: Changed::default(), ..first });
}

#[test]
fn a_newer_schedule_changes_only_what_differs() {
    let (mut peer, _) = Peer::founder(1);
    let mut schedule = small();
    peer.import(&schedule);
    let before = peer.logs();
    of(&mut schedule, "a").title = "About apples".into();
    let report = peer.import(&schedule);
    assert_eq!(report.changed, Changed { updated: 1, ..Changed::default() });
    let grown = peer.logs().iter().filter(|log| !before.contains(log)).count();
    assert_eq!(grown, 1, "one small document");
    assert_eq!(peer.export(), schedule);
}

#[test]
fn a_moved_event_withdraws_its_request_and_asks_anew() {
    let (mut peer, _) = Peer::founder(1);
    let mut schedule = small();
    peer.import(&schedule);
    let id = id_of(&peer, "About a");
    let before = standing(&peer, &id);
    of(&mut schedule, "a").room = Some("Tent".into());
    schedule.tidy();
    let report = peer.import(&schedule);
    // The event's fields do not name its room; what the import remembers of it does.
    let changed =
        Changed { created: 1, updated: 1, withdrawn: 1, requested: 1, ..Changed::default() };
    assert_eq!(report.changed, changed);
    assert_eq!((report.resources, report.requests, report.conflicts), (2, 3, 1));
    let after = standing(&peer, &id);
    assert_eq!(after.len(), 1);
    assert_ne!(after[0].1.terms.resource, before[0].1.terms.resource);
    assert_eq!(peer.export(), schedule);

    // Back to where it was, at the same time by a clock that stands still.
    schedule = small();
    let report = peer.import(&schedule);
    assert_eq!((report.changed.withdrawn, report.changed.requested), (1, 1));
    let back = standing(&peer, &id);
    assert_eq!(back[0].1.terms, before[0].1.terms);
    assert_ne!(back[0].0, before[0].0);
    assert_eq!(peer.export(), schedule, "a room that nobody lists any more is gone");
    assert_unchanged(&mut peer, &schedule);
}

#[test]
fn an_event_that_vanishes_is_cancelled_and_comes_back() {
    let (mut peer, _) = Peer::founder(1);
    peer.import(&small());
    let id = id_of(&peer, "About c");
    let mut less = small();
    less.events.retain(|event| event.guid != "c");
    let report = peer.import(&less);
    assert_eq!(report.changed, Changed { cancelled: 1, withdrawn: 1, ..Changed::default() });
    assert_eq!((report.events, report.cancelled, report.requests, report.conflicts), (2, 1, 2, 0));
    assert!(read(&peer, &id).cancelled);
    assert_eq!(standing(&peer, &id), []);
    assert_eq!(peer.export(), less);
    assert_eq!(assert_unchanged(&mut peer, &less).cancelled, 1);

    let report = peer.import(&small());
    assert_eq!(report.changed, Changed { updated: 1, requested: 1, ..Changed::default() });
    assert_eq!((report.events, report.cancelled, report.requests, report.conflicts), (3, 0, 3, 2));
    assert!(!read(&peer, &id).cancelled);
    assert_eq!(standing(&peer, &id).len(), 1);
    assert_unchanged(&mut peer, &small());
}

#[test]
fn what_people_changed_stays_until_the_source_changes_the_same() {
    let (mut peer, _) = Peer::founder(1);
    let mut schedule = small();
    of(&mut schedule, "a").persons = vec![Person { name: "Ada".into(), ..Person::default() }];
    peer.import(&schedule);
    let id = id_of(&peer, "About a");
    edit(&mut peer, &id, "title", "About apricots");
    edit(&mut peer, &id, "people", Value::Map([("Eve".to_owned(), true.into())].into()));
    edit(&mut peer, &id, "com.example/colour", "red");
    assert_unchanged(&mut peer, &schedule);

    let a = of(&mut schedule, "a");
    a.subtitle = "and pears".into();
    a.persons = vec![Person { name: "Bob".into(), ..Person::default() }];
    peer.import(&schedule);
    let event = read(&peer, &id);
    assert_eq!((&*event.title, &*event.subtitle), ("About apricots", "and pears"));
    assert_eq!(Vec::from_iter(&event.people), ["Bob", "Eve"]);

    of(&mut schedule, "a").title = "About almonds".into();
    peer.import(&schedule);
    assert_eq!(read(&peer, &id).title, "About almonds");
    let fields = peer.replica.view(peer.festival).fields(&id).unwrap().unwrap();
    assert_eq!(fields["com.example/colour"].as_text(), Some("red"));
}

#[test]
fn a_request_that_somebody_withdrew_is_not_made_again_and_other_requests_stay() {
    let (mut peer, _) = Peer::founder(1);
    peer.import(&small());
    let id = id_of(&peer, "About a");
    let (request, made) = standing(&peer, &id).remove(0);
    let Peer { replica, festival, rng, now } = &mut peer;
    let later = Span { starts: made.terms.span.ends, ends: Instant::from_millis(TEN + 2 * HOUR) };
    let own = Request {
        terms: Terms { span: later, ..made.terms.clone() },
        claimed: *now,
        note: String::new(),
    };
    let withdrawal = Withdrawal { resource: made.terms.resource, request, reason: String::new() };
    replica
        .edit(*festival, *now, rng, |edit| {
            edit.withdraw(withdrawal)?;
            edit.request(own)
        })
        .unwrap();
    assert_eq!(assert_unchanged(&mut peer, &small()).requests, 2);

    let mut less = small();
    less.events.retain(|event| event.guid != "a");
    assert_eq!(peer.import(&less).changed, Changed { cancelled: 1, ..Changed::default() });
    assert_eq!(standing(&peer, &id).len(), 1);
}

#[test]
fn events_made_here_are_left_alone_and_exported() {
    let (mut peer, _) = Peer::founder(1);
    peer.import(&small());
    let barn = peer.replica.view(peer.festival).ids(Resource::KIND).unwrap().remove(0);
    let Peer { replica, festival, rng, now } = &mut peer;
    let starts = Instant::from_millis(TEN + 5 * HOUR);
    let ends = Instant::from_millis(TEN + 6 * HOUR);
    let own = schema::Event {
        title: "Swim".into(),
        starts: Some(starts),
        ends: Some(ends),
        people: ["Zoe".to_owned()].into(),
        ..Default::default()
    };
    replica
        .edit(*festival, *now, rng, |edit| {
            let event = edit.create(&own)?;
            edit.create(&schema::Event { title: "Some time".into(), ..Default::default() })?;
            let terms = Terms { event, resource: barn, span: Span { starts, ends }, units: 1 };
            edit.request(Request { terms, claimed: Instant::default(), note: String::new() })
        })
        .unwrap();
    assert_unchanged(&mut peer, &small());

    let exported = peer.export();
    let swim = exported.events.iter().find(|event| event.title == "Swim").unwrap();
    assert_eq!(swim.room.as_deref(), Some("Barn"));
    assert_eq!(swim.persons[0].name, "Zoe");
    assert_eq!(swim.guid.len(), 36);
    assert_eq!(exported.events.len(), 4, "what has no time is in no schedule");
    assert_eq!(peer.export(), exported);
    assert_eq!(parse_clean(&frab::write(&exported)), exported);
}

#[test]
fn a_festival_without_imports_is_exported_under_its_own_title() {
    let (peer, _) = Peer::founder(1);
    let exported = peer.export();
    assert_eq!((&*exported.title, &*exported.acronym), ("A festival", "a-festival"));
    assert_eq!(exported.events, []);
}

#[test]
fn everything_that_a_file_says_comes_out_again() {
    let schedule = parse_clean(&fixture("glade.json"));
    let (mut peer, _) = Peer::founder(1);
    let report = peer.import(&schedule);
    assert_eq!(report.skipped, []);
    assert_eq!(peer.export(), schedule);
    assert_eq!(parse_clean(&frab::write(&peer.export())), schedule);
}

#[test]
fn what_no_document_can_hold_is_cut_or_left_out_and_said() {
    let mut schedule = small();
    let a = of(&mut schedule, "a");
    a.description = "ä".repeat(20_000);
    a.extra.insert("big".into(), format!("\"{}\"", "x".repeat(40_000)));
    a.extra.insert("k".repeat(200), "1".into());
    let name = "Very long ".repeat(20);
    a.persons = vec![Person { name: name.clone(), ..Person::default() }];
    let (mut peer, _) = Peer::founder(1);
    let report = peer.import(&schedule);
    let skipped: Vec<_> = report.skipped.iter().map(|skipped| &*skipped.at).collect();
    assert_eq!(skipped, ["/events/a/big", "/events/a", "/events/a/description"]);
    let exported = peer.export();
    let a = exported.event("a").unwrap();
    assert_eq!(a.description, "ä".repeat(16_384));
    assert_eq!(a.persons[0].name, name);
    assert_unchanged(&mut peer, &schedule);
}

#[test]
fn two_sources_do_not_touch_each_other() {
    let (mut peer, _) = Peer::founder(1);
    peer.import(&small());
    let Peer { replica, festival, rng, now } = &mut peer;
    let empty =
        Schedule { rooms: vec![Room { name: "Barn".into(), ..Room::default() }], ..small() };
    let empty = Schedule { events: vec![], ..empty };
    let report = import_as("other", replica, *festival, &empty, *now, rng, &mut |_| {}).unwrap();
    assert_eq!(report.changed, Changed { created: 1, ..Changed::default() });
    assert_eq!(assert_unchanged(&mut peer, &small()).events, 3);
}

#[test]
fn two_devices_of_one_user_that_imported_apart_end_with_one_request_each() {
    let (mut laptop, festival) = Peer::founder(1);
    let mut phone = Peer::joining(&festival, 1, 2);
    laptop.import(&small());
    phone.now = Instant::from_millis(phone.now.millis() + 1);
    phone.import(&small());
    laptop.meet(&mut phone);
    laptop.assert_same(&phone);
    assert_eq!(laptop.export(), small());

    let report = phone.import(&small());
    assert_eq!(report.changed, Changed { withdrawn: 3, ..Changed::default() });
    assert_eq!((report.events, report.resources, report.requests, report.conflicts), (3, 1, 3, 2));
    laptop.meet(&mut phone);
    assert_unchanged(&mut laptop, &small());
    assert_eq!(laptop.export(), small());
}

#[test]
fn the_same_schedule_by_another_user_is_exported_once() {
    let (mut ada, festival) = Peer::founder(1);
    let mut bob = Peer::joining(&festival, 2, 2);
    ada.import(&small());
    bob.import(&small());
    ada.meet(&mut bob);
    ada.assert_same(&bob);
    assert_eq!(ada.export(), small());
    assert_unchanged(&mut bob, &small());
}

#[test]
fn a_festival_that_is_not_followed_is_refused() {
    let (mut peer, _) = Peer::founder(1);
    let Peer { replica, rng, now, .. } = &mut peer;
    let unknown = FestivalId::from_bytes([9; 32]);
    let refused = import(replica, unknown, &small(), *now, rng, &mut |_| {});
    assert!(matches!(refused, Err(ImportError::Edit(EditError::UnknownFestival(_)))));
}

/// 250 events in seven rooms, each of which overlaps the next one there.
fn large() -> Schedule {
    let event =
        |i: i64| event(&format!("e{i}"), &format!("Room {}", i % 7), TEN + i / 7 * HOUR / 2);
    let mut schedule =
        Schedule { acronym: "large".into(), events: (0..250).map(event).collect(), ..small() };
    schedule.tidy();
    schedule
}

#[test]
fn an_import_that_is_cut_off_loses_nothing_it_had_counted_and_goes_on() {
    let (mut whole, festival) = Peer::founder(1);
    let expected = whole.import(&large());

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let mut done = 0;
    for cut in [1, 2, 3] {
        let store = Box::new(RedbStore::open(&path).unwrap());
        let mut peer = Peer::on(store, &festival, 1, 2);
        let Peer { replica, festival, rng, now } = &mut peer;
        let mut calls = 0;
        let cut_off = catch_unwind(AssertUnwindSafe(|| {
            import(replica, *festival, &large(), *now, rng, &mut |progress| {
                calls += 1;
                done = progress.done;
                assert!(calls < cut, "cut off here");
            })
        }));
        assert!(cut_off.is_err());
        // The process is gone, and with it the replica, which nobody closed.
        drop(peer);
        let store = Box::new(RedbStore::open(&path).unwrap());
        let replica = open(store, &identity(1));
        let view = replica.view(whole.festival);
        let held = [Resource::KIND, schema::Event::KIND].map(|kind| view.ids(kind).unwrap().len());
        assert_eq!(held.iter().sum::<usize>(), done);
    }
    let mut peer = Peer::on(Box::new(RedbStore::open(&path).unwrap()), &festival, 1, 3);
    let report = peer.import(&large());
    assert_eq!(
        ImportReport { changed: Changed::default(), ..report },
        ImportReport { changed: Changed::default(), ..expected }
    );
    assert_eq!(peer.export(), whole.export());
    let view = peer.replica.view(peer.festival);
    for id in view.ids(schema::Event::KIND).unwrap() {
        assert_eq!(view.event_requests(&id).unwrap().len(), 1);
    }
    assert_unchanged(&mut peer, &large());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn after_any_revisions_the_festival_has_the_newest(
        revisions in proptest::collection::vec(any_schedule::schedule(), 1..5)
    ) {
        let (mut peer, _) = Peer::founder(1);
        for mut revision in revisions {
            "any".clone_into(&mut revision.acronym);
            let report = peer.import(&revision);
            revision.tidy();
            prop_assert_eq!(report.skipped, []);
            prop_assert_eq!(peer.export(), revision.clone());
            assert_unchanged(&mut peer, &revision);
        }
    }
}
