//! Real schedules of large events go into a festival and come out again. They are not
//! part of this repository: where they are absent, each test says so and does nothing.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "common/peer.rs"]
mod peer;

mod common;

use std::time::Instant as Clock;

use common::{parse, parse_clean, read_real};
use interchange::{Changed, Schedule, edits, frab};
use p2panda_core::schema::Instant;
use peer::Peer;

#[test]
fn the_36c3_comes_out_as_it_went_in_and_a_second_import_writes_nothing() {
    let Some(file) = read_real("36c3/schedule.json") else {
        return;
    };
    let (schedule, _) = parse(&file);
    let (mut peer, festival) = Peer::founder(1);
    let clock = Clock::now();
    let report = peer.import(&schedule);
    eprintln!("imported in {:?}: {report:?}", clock.elapsed());
    // 1,351 entries but three repeated guids and one without duration.
    assert_eq!((report.events, report.resources), (1_347, 92));
    // Every event is in a room.
    assert_eq!(report.requests, 1_347);
    assert_eq!(report.cancelled, 0);
    assert_eq!(report.conflicts, overlapping_pairs(&schedule));
    assert_eq!(report.skipped, []);

    let clock = Clock::now();
    let before = (peer.logs(), peer.replica.fingerprint_view().unwrap());
    let again = peer.import(&schedule);
    eprintln!("imported again in {:?}", clock.elapsed());
    assert_eq!(again.changed, Changed::default());
    assert_eq!(again.conflicts, report.conflicts);
    assert_eq!((peer.logs(), peer.replica.fingerprint_view().unwrap()), before);

    let clock = Clock::now();
    let exported = peer.export();
    eprintln!("exported in {:?}", clock.elapsed());
    assert_eq!(exported, schedule);
    assert_eq!(parse_clean(&frab::write(&exported)), schedule);

    let mut other = Peer::joining(&festival, 2, 2);
    peer.meet(&mut other);
    peer.assert_same(&other);
    assert_eq!(other.export(), schedule);
}

/// Pairs of events in one room at one time, by comparing all of them.
fn overlapping_pairs(schedule: &Schedule) -> usize {
    let events = &schedule.events;
    let pairs = events.iter().enumerate().flat_map(|(i, a)| {
        events[..i].iter().filter(move |b| {
            a.room.is_some() && a.room == b.room && a.starts < b.ends && b.starts < a.ends
        })
    });
    pairs.count()
}

/// Replays the camp's first 50 revisions; `import` is called with each state.
fn replay_camp(mut import: impl FnMut(usize, &Schedule, Instant)) -> Option<Schedule> {
    let history = read_real("camp2019/edits.jsonl.gz")?;
    let mut schedule = Schedule { acronym: "camp2019".into(), ..Schedule::default() };
    for (number, revision) in edits::Revisions::new(&*history).take(50).enumerate() {
        let revision = revision.unwrap();
        assert_eq!(edits::apply(&mut schedule, &revision), []);
        import(number, &schedule, Instant::from_millis(revision.at));
    }
    schedule.tidy();
    Some(schedule)
}

#[test]
fn fifty_revisions_of_the_camp_reach_a_second_peer_one_by_one() {
    let (mut importer, festival) = Peer::founder(1);
    let mut other = Peer::joining(&festival, 2, 2);
    let mut all = Changed::default();
    let clock = Clock::now();
    let end = replay_camp(|_, schedule, now| {
        importer.now = now;
        let report = importer.import(schedule);
        assert_eq!(report.events, schedule.events.len());
        assert_eq!(report.conflicts, overlapping_pairs(schedule));
        assert_eq!(report.skipped, []);
        all.created += report.changed.created;
        all.updated += report.changed.updated;
        all.cancelled += report.changed.cancelled;
        all.withdrawn += report.changed.withdrawn;
        all.requested += report.changed.requested;
        importer.meet(&mut other);
        importer.assert_same(&other);
    });
    let Some(end) = end else { return };
    eprintln!("replayed in {:?}: {all:?}, {} logs", clock.elapsed(), importer.logs().len());
    assert_eq!(other.export(), end);
}

#[test]
fn two_devices_of_one_user_take_turns_with_the_camps_revisions() {
    let (mut laptop, festival) = Peer::founder(1);
    let mut phone = Peer::joining(&festival, 1, 2);
    let end = replay_camp(|number, schedule, now| {
        let device = if number % 2 == 0 { &mut laptop } else { &mut phone };
        device.now = now;
        device.import(schedule);
        laptop.meet(&mut phone);
        laptop.assert_same(&phone);
    });
    let Some(end) = end else { return };
    assert_eq!(laptop.export(), end);
    assert_eq!(phone.export(), end);
}
