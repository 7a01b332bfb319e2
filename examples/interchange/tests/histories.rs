//! A history replays to the schedule that it records.

mod common;

use common::fixture;
use interchange::edits::{self, Op, Revision, RevisionError, Revisions};
use interchange::{Event, Schedule};

fn revisions(history: &[u8]) -> Vec<Revision> {
    Revisions::new(history).map(Result::unwrap).collect()
}

/// The schedule after this many revisions, each of which fits.
fn after(count: usize) -> Schedule {
    let mut schedule = Schedule::default();
    for revision in revisions(&fixture("history.jsonl")).iter().take(count) {
        assert_eq!(revision.skipped, []);
        assert_eq!(edits::apply(&mut schedule, revision), []);
    }
    schedule
}

fn event(guid: &str, starts: i64) -> Event {
    let guid = guid.to_owned();
    Event { guid, starts, ends: starts + 60_000, ..Event::default() }
}

#[test]
fn a_revision_says_when_and_what_it_was() {
    let revisions = revisions(&fixture("history.jsonl"));
    assert_eq!(revisions.len(), 3, "the empty line is none");
    assert_eq!(revisions[0].at, 1_777_629_600_000);
    assert_eq!(revisions[0].commit, "c1");
    assert_eq!(revisions[2].version, "three");
    assert_eq!(revisions[2].ops[0], Op::Remove { guid: "nap".into() });
}

#[test]
fn events_are_added_changed_and_removed() {
    let schedule = after(1);
    let guids: Vec<_> = schedule.events.iter().map(|event| &*event.guid).collect();
    assert_eq!(guids, ["nap", "tea"]);
    assert_eq!(schedule.version, "one");
    let tea = schedule.event("tea").unwrap();
    let names: Vec<_> = tea.persons.iter().map(|person| &*person.name).collect();
    assert_eq!(names, ["Ada", "Grace"]);
    assert_eq!(tea.links[0].url, "https://tea.example");

    let schedule = after(2);
    let moved = schedule.event("tea").unwrap();
    assert_eq!(moved.starts, tea.starts - 2 * 3_600_000);
    assert_eq!(moved.ends - moved.starts, 3_600_000, "a moved event keeps its duration");
    assert_eq!(moved.room.as_deref(), Some("Barn"));
    assert_eq!(moved.persons.len(), 1);

    let schedule = after(3);
    assert_eq!(schedule.events.len(), 1);
    let tea = schedule.event("tea").unwrap();
    assert_eq!(tea.title, "High tea");
    assert_eq!(tea.ends - tea.starts, 9_000_000);
}

#[test]
fn rooms_come_with_their_first_event_and_go_on_request() {
    let mut schedule = after(3);
    let names = |schedule: &Schedule| -> Vec<_> {
        schedule.rooms.iter().map(|room| room.name.clone()).collect()
    };
    assert_eq!(names(&schedule), ["Meadow", "Tent", "Barn"]);
    schedule.drop_unused_rooms();
    assert_eq!(names(&schedule), ["Barn"]);
}

#[test]
fn ops_that_do_not_fit_are_said_and_the_others_are_done() {
    let mut schedule = Schedule { events: vec![event("a", 0)], ..Schedule::default() };
    let fields = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    };
    let wrong =
        fields(&[("duration", r#""0:00""#), ("date", "5"), ("guid", "{"), ("track", r#""x""#)]);
    let revision = Revision {
        ops: vec![
            Op::Remove { guid: "gone".into() },
            Op::Change { guid: "gone".into(), fields: fields(&[]) },
            Op::Add(Box::new(event("a", 60_000))),
            Op::Change { guid: "a".into(), fields: wrong },
            Op::Add(Box::new(event("b", 0))),
        ],
        ..Revision::default()
    };
    let misfits = edits::apply(&mut schedule, &revision);
    let misfits: Vec<_> = misfits.iter().map(ToString::to_string).collect();
    assert_eq!(
        misfits,
        [
            "/ops/0: there is no event gone to remove",
            "/ops/1: there is no event gone to change",
            "/ops/2: the event is there already: it is replaced",
            "/ops/3/fields/date: its date is not text",
            "/ops/3/fields/duration: its duration is zero",
            "/ops/3/fields/guid: its guid cannot change",
        ]
    );
    let events: Vec<_> = schedule.events.iter().map(|e| (&*e.guid, e.starts, &*e.track)).collect();
    assert_eq!(events, [("b", 0, ""), ("a", 60_000, "x")]);
}

#[test]
fn a_line_that_is_no_revision_is_an_error_and_the_next_one_is_read() {
    let history = br#"{"at": "2026-05-01T12:00:00Z", "ops": [
{"ops": []}
{"at": "2026-05-01T12:00:00Z"}
{"at": "yesterday", "ops": []}
{"at": "2026-05-01T12:00:00Z", "ops": [5, {"op": "add", "guid": "a"}, {"op": "remove"}, {"op": "x", "guid": "a"}, {"op": "change", "guid": "a", "fields": {"title": []}}, {"op": "add", "guid": "a", "event": {"date": "2026-05-01T12:00:00Z", "duration": "0:00"}}]}"#;
    let mut errors = Vec::new();
    let mut read = Vec::new();
    for revision in Revisions::new(&history[..]) {
        match revision {
            Ok(revision) => read.push(revision),
            Err(error) => errors.push(error.to_string()),
        }
    }
    assert_eq!(errors.len(), 4, "{errors:?}");
    assert!(errors[0].starts_with("line 1 is no revision: EOF"), "{errors:?}");
    assert_eq!(errors[1], "line 2 is no revision: its time, `at`, is missing");
    assert_eq!(errors[2], "line 3 is no revision: `ops` is missing");
    let skipped: Vec<_> = read[0].skipped.iter().map(ToString::to_string).collect();
    assert_eq!(
        skipped,
        [
            "/ops/0: it is not an object",
            "/ops/1: it has no event",
            "/ops/2: it has no guid",
            "/ops/3: it is neither add, nor remove, nor change",
            "/ops/4: a field has no new value",
            "/ops/5: its duration is zero",
        ]
    );
    assert_eq!(read[0].ops, []);
}

#[test]
fn a_history_that_cannot_be_read_ends_there() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    let mut revisions = Revisions::new(std::io::BufReader::new(Broken));
    let error = revisions.next().unwrap().unwrap_err();
    assert!(matches!(error, RevisionError::Read { line: 1, .. }), "{error}");
    assert!(revisions.next().is_none());
}
