//! Real shifts and real room plans: EMF 2024 and the 36C3. They skip, and say so, where the data is
//! not there; `P2PANDA_DATA` names its folder.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use common::*;
use p2panda_core::{
    EntityId, FestivalId, Identity, LogId, Replica,
    schema::{FestivalInfo, Instant, PolicySpec, Record, Request, Resource, Span, Terms},
    store::{MemoryStore, NoResume},
    view::{Fact, ResourceFacts},
};
use p2panda_policy::{
    Act, Choice, Duty, Filling, FirstCome, Judge, Judged, Manual, Policies, Tokens, Verdict,
    evaluate, steward_with,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use serde_json::Value;

fn data(name: &str) -> Option<Value> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let path = std::env::var_os("P2PANDA_DATA").map_or(beside, Into::into).join(name);
    let Ok(text) = std::fs::read(&path) else {
        eprintln!("SKIPPED: {} is not here", path.display());
        return None;
    };
    Some(serde_json::from_slice(&text).unwrap())
}

/// `2024-05-29 10:00:00` and the like, as if it were UTC.
fn instant(text: &str) -> Instant {
    let part = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
    let (year, month, day) = (part(0..4), part(5..7), part(8..10));
    // Days since 1970 in the civil calendar, years starting in March.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    let seconds = part(11..13) * 3_600 + part(14..16) * 60 + part(17..19);
    Instant::from_millis((days * 86_400 + seconds) * 1_000)
}

#[test]
fn the_shifts_of_emf_2024_are_staffed_as_they_were() {
    assert_eq!(instant("1970-01-01 00:00:00").millis(), 0);
    assert_eq!(instant("2024-05-29 10:00:00").millis(), 1_716_976_800_000);
    let Some(shifts) = data("emf2024/Shift.json") else { return };
    let shifts = shifts.as_array().unwrap();
    let (mut sign_ups, mut below, mut short, mut raised, mut timeless) = (0, 0, 0, 0, 0);
    for (number, shift) in shifts.iter().enumerate() {
        let int = |key: &str| shift[key].as_i64().unwrap();
        let mut span = Span {
            starts: instant(shift["start"].as_str().unwrap()),
            ends: instant(shift["end"].as_str().unwrap()),
        };
        if span.starts == span.ends {
            // One lasts no time, for which nothing can be requested: give it a minute.
            span.ends = Instant::from_millis(span.starts.millis() + 60_000);
            timeless += 1;
        }
        let id = named(OLGA, &format!("shift-{number}"));
        let resource = Resource {
            title: shift["role"].as_str().unwrap().to_owned(),
            // Where more signed up than were wanted, they were taken all the same.
            capacity: int("max_needed").max(int("signed_up")),
            minimum: int("min_needed"),
            policy: FirstCome::spec(),
            ..Resource::default()
        };
        let mut facts = ResourceFacts {
            id: id.clone(),
            owner: user(OLGA),
            resource: Some(resource),
            records: Vec::new(),
        };
        for volunteer in 0..int("signed_up") {
            let terms = Terms { resource: id.clone(), span, ..terms(0, 1, 1) };
            let mut device = Device::new(u8::try_from(100 + volunteer).unwrap(), 1);
            facts.records.push(device.request(terms, volunteer));
        }
        let mut olga = Device::new(OLGA, 1);
        run_steward(&mut facts, &mut olga, &arrivals([]), None);
        let evaluation = judge(&facts);
        let judged = Judged { facts, evaluation };
        let filling = Filling::of(&judged, &span);
        let signed_up = int("signed_up");
        assert_eq!(filling.confirmed, signed_up);
        assert_eq!(filling.is_enough(), signed_up >= int("min_needed"), "{shift}");
        sign_ups += signed_up;
        raised += i64::from(signed_up > int("max_needed"));
        below += i64::from(signed_up < int("min_needed"));
        short += i64::from(!filling.is_enough());
    }
    assert_eq!((shifts.len(), sign_ups, below, short), (718, 1_516, 40, 40));
    assert_eq!((raised, timeless), (21, 1), "shifts that took more than they wanted, and no time");
}

/// By track, the sessions' rooms, names and times.
type Wishes = BTreeMap<String, Vec<(String, String, Span)>>;

/// What the 36C3 asks for.
fn congress() -> Option<Wishes> {
    let schedule = data("36c3/schedule.json")?;
    let mut tracks = Wishes::new();
    for day in schedule["schedule"]["conference"]["days"].as_array().unwrap() {
        for (room, sessions) in day["rooms"].as_object().unwrap() {
            for session in sessions.as_array().unwrap() {
                let text = |key: &str| session[key].as_str().unwrap_or("");
                let starts = instant(text("date"));
                let (hours, minutes) = text("duration").split_once(':').unwrap();
                let minutes = hours.parse::<i64>().unwrap() * 60 + minutes.parse::<i64>().unwrap();
                let ends = Instant::from_millis(starts.millis() + minutes * 60_000);
                let wish = (room.clone(), text("guid").to_owned(), Span { starts, ends });
                tracks.entry(text("track").to_owned()).or_default().push(wish);
            }
        }
    }
    Some(tracks)
}

fn open(rng: &mut ChaCha20Rng) -> Replica {
    let user = Identity::generate(rng);
    Replica::open(Box::new(MemoryStore::new()), user, Box::new(NoResume)).unwrap()
}

/// Hands over log by log, in this or the opposite order, each as an arrival of its own.
fn hand_over(from: &Replica, to: &mut Replica, festival: FestivalId, is_backwards: bool) {
    let mut logs: Vec<LogId> =
        from.logs(festival).unwrap().into_iter().map(|(log, _)| log).collect();
    if is_backwards {
        logs.reverse();
    }
    for log in logs {
        let descriptor = from.descriptor(&log.document).unwrap().unwrap();
        let held = |to: &Replica| to.held(&log).unwrap().map_or(0, |tip| tip.length);
        while let Some(segment) = from.segment(&log, held(to)).unwrap() {
            to.accept(&descriptor, segment.into_segment()).unwrap();
        }
        to.flush().unwrap();
    }
}

/// How many requests have which verdict.
fn counts(peer: &Replica, festival: FestivalId, rooms: &[EntityId]) -> BTreeMap<String, usize> {
    let mut judge = Judge::default();
    let mut counts = BTreeMap::new();
    for room in rooms {
        let Some(judged) = judge.resource(peer.view(festival), room).unwrap() else { continue };
        for (_, request, verdict) in judged.requests() {
            *counts.entry(verdict.name().to_owned()).or_default() += 1;
            if let Verdict::Conflicted { with, .. } = verdict {
                // Each names what is in the way, and that does overlap.
                let overlaps = |fact: &&Fact| match &fact.record {
                    Record::Request(other) => other.terms.span.overlaps(&request.terms.span),
                    _ => false,
                };
                let named: BTreeSet<_> = with.iter().map(|obstacle| &obstacle.request).collect();
                let named = judged.facts.records.iter().filter(|fact| named.contains(&fact.id));
                assert!(named.clone().count() == with.len() && named.clone().all(|f| overlaps(&f)));
            }
        }
    }
    counts
}

#[test]
fn the_rooms_of_the_36c3_under_first_come_and_under_manual() {
    let Some(tracks) = congress() else { return };
    let mut seen = Vec::new();
    for policy in [FirstCome::spec(), Manual::spec()] {
        seen.push(rooms_under(&policy, &tracks));
    }
    assert_eq!(seen[0], seen[1], "an owner who says yes to all is as first come");
    // One session lasts no time; the others that are not confirmed have somebody in their way.
    let expected = [("confirmed", 1_228), ("conflicted", 122), ("invalid", 1)];
    assert_eq!(seen[0], expected.map(|(name, count)| (name.to_owned(), count)).into());
}

fn rooms_under(policy: &PolicySpec, tracks: &Wishes) -> BTreeMap<String, usize> {
    let mut rng = ChaCha20Rng::seed_from_u64(36);
    let mut olga = open(&mut rng);
    let now = Instant::default();
    let festival = olga.create_festival(&FestivalInfo::default(), now, &mut rng).unwrap();
    let id = festival.id();
    let names: BTreeSet<&String> = tracks.values().flatten().map(|(room, ..)| room).collect();
    assert_eq!(names.len(), 92);
    let mut rooms = BTreeMap::new();
    for name in names {
        let room = Resource { title: name.clone(), policy: policy.clone(), ..Resource::default() };
        let room = olga.edit(id, now, &mut rng, |edit| edit.create(&room)).unwrap();
        rooms.insert(name.clone(), room);
    }
    // One requester for each track.
    for wishes in tracks.values() {
        let mut requester = open(&mut rng);
        requester.join(&festival).unwrap();
        for (n, wishes) in wishes.chunks(100).enumerate() {
            requester
                .edit(id, now, &mut rng, |edit| {
                    for (m, (room, guid, span)) in wishes.iter().enumerate() {
                        let event = EntityId::new(rooms[room].document, guid.parse().unwrap());
                        let terms =
                            Terms { event, resource: rooms[room].clone(), span: *span, units: 1 };
                        let claimed = Instant::from_millis(i64::try_from(n * 100 + m).unwrap());
                        let note = format!("{n}.{m}");
                        edit.request(Request { terms, claimed, note })?;
                    }
                    Ok::<_, p2panda_core::EditError>(())
                })
                .unwrap();
        }
        hand_over(&requester, &mut olga, id, false);
    }
    let rooms: Vec<EntityId> = rooms.into_values().collect();
    let before = counts(&olga, id, &rooms);
    if policy.kind == "manual" {
        assert_eq!(before["requested"], 1_350);
    }
    // Olga's steward, or Olga in person, takes them in the order of their arrival.
    for room in &rooms {
        let view = olga.view(id);
        let facts = view.facts(room).unwrap().unwrap();
        let arrivals = view.arrivals(room).unwrap();
        let duty =
            Duty { me: olga.user(), arrivals: &arrivals, previous_run: None, now, seed: None };
        let acts = steward_with(&Policies::default(), &facts, &Tokens::none(), &duty, |_| {
            Choice::Confirm(String::new())
        });
        olga.edit(id, now, &mut rng, |edit| {
            acts.iter().try_for_each(|act| match act {
                Act::Decide(decision) => edit.decide(decision.clone()).map(drop),
                _ => panic!("{act:?}"),
            })
        })
        .unwrap();
    }
    let after = counts(&olga, id, &rooms);

    // Two peers receive all of it in opposite orders.
    let mut peers = [open(&mut rng), open(&mut rng)];
    for (peer, is_backwards) in peers.iter_mut().zip([false, true]) {
        peer.join(&festival).unwrap();
        hand_over(&olga, peer, id, is_backwards);
    }
    let [one, other] = &peers;
    assert_eq!(one.fingerprint_view().unwrap(), other.fingerprint_view().unwrap());
    for room in &rooms {
        let said = |peer: &Replica| {
            let facts = peer.view(id).facts(room).unwrap().unwrap();
            evaluate(&Policies::default(), &facts, &Tokens::none())
        };
        assert_eq!(said(one), said(other));
        assert_ne!(one.view(id).arrivals(room).unwrap().0.len(), 0);
    }
    assert_eq!(counts(one, id, &rooms), after);
    after
}
