//! Replicas that keep some documents of a festival: what both of two keep they hold alike, and nothing
//! else is offered, asked for or taken.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use common::{
    Author, Fate, OPEN, PUSH, REFUSE, SUBS, Side, festival, frame, logs,
    met::{Moved, Named, link, meet},
    replica, replica_in, sync, sync_over,
};
use futures::{FutureExt as _, executor::LocalPool, task::LocalSpawnExt as _};
use p2panda_core::{
    DocumentId, FestivalId, LogId, Replica, Subscription, Tip, codec,
    store::{Batch, CommitId, Entry, MemoryStore, Store, StoreError, Table},
};
use p2panda_sync::{Input, Output, PeerFault, Role, Session, Sketches, SyncError, SyncEvent};
use proptest::prelude::*;
use serde_bytes::ByteBuf;

fn author(number: u64) -> Author {
    Author::new(1000 + number, festival(1).id())
}

fn document(number: u64) -> DocumentId {
    author(number).log.document
}

/// A replica that keeps these documents alone.
fn keeps(seed: u64, documents: impl IntoIterator<Item = u64>) -> Replica {
    let mut replica = replica(seed, &[&festival(1)]);
    let documents = Some(documents.into_iter().map(document).collect());
    replica.subscribe(festival(1).id(), Subscription { documents, depth: 0 }).unwrap();
    replica
}

fn of(replica: &Replica, documents: impl IntoIterator<Item = u64>) -> Vec<(LogId, Tip)> {
    let documents: BTreeSet<_> = documents.into_iter().map(document).collect();
    logs(replica).into_iter().filter(|(log, _)| documents.contains(&log.document)).collect()
}

/// One that keeps all of twenty documents, and two that keep some of them.
fn three() -> (Replica, Replica, Replica) {
    let mut whole = replica(1, &[&festival(1)]);
    for number in 0..20 {
        author(number).fill(&mut whole, 1 + usize::try_from(number % 3).unwrap(), 10);
    }
    (whole, keeps(2, 0..10), keeps(3, 5..15))
}

#[test]
fn who_keeps_a_part_gets_that_part_from_whoever_has_some_of_it() {
    for opens in [true, false] {
        let (mut whole, mut left, mut right) = three();
        let meet = |one: &mut Replica, other: &mut Replica| {
            if opens { narrow(one, other) } else { narrow(other, one) }
        };
        meet(&mut left, &mut whole);
        assert_eq!(logs(&left), of(&whole, 0..10));
        let pushed = meet(&mut right, &mut left);
        assert_eq!(logs(&right), of(&whole, 5..10), "what the two have in common");
        assert_eq!(pushed, 5);
        meet(&mut right, &mut whole);
        assert_eq!(logs(&right), of(&whole, 5..15));
        // What is written at one reaches all that keep it.
        author(7).go_on(&mut right, 4);
        author(2).go_on(&mut left, 4);
        author(12).go_on(&mut whole, 4);
        assert_eq!(meet(&mut left, &mut right), 1);
        assert_eq!(meet(&mut right, &mut whole), 2);
        assert_eq!(meet(&mut whole, &mut left), 1);
        assert_eq!(logs(&left), of(&whole, 0..10));
        assert_eq!(logs(&right), of(&whole, 5..15));
        assert_eq!(meet(&mut left, &mut whole), 0, "nothing is left to say");
        assert_eq!(meet(&mut right, &mut left), 0);
    }
}

/// Exchanges, and says how many segments were sent; nobody refuses anything.
fn narrow(opener: &mut Replica, acceptor: &mut Replica) -> u64 {
    let outcome = sync_over(opener, acceptor, |_, frame| Fate::Deliver(frame));
    let refused = |events: &[SyncEvent]| {
        events.iter().any(|event| matches!(event, SyncEvent::Refused { .. }))
    };
    assert!(!refused(&outcome.opener_events) && !refused(&outcome.acceptor_events));
    let (opener, acceptor) = (outcome.opener.unwrap(), outcome.acceptor.unwrap());
    assert!(opener.round_trips <= 4, "{}", opener.round_trips);
    opener.segments_sent + acceptor.segments_sent
}

/// The festivals in which each of two learned that its own documents were compared.
fn own(opener: &mut Replica, acceptor: &mut Replica) -> [Vec<FestivalId>; 2] {
    let outcome = sync_over(opener, acceptor, |_, frame| Fate::Deliver(frame));
    outcome.opener.unwrap();
    outcome.acceptor.unwrap();
    [outcome.opener_events, outcome.acceptor_events].map(|events| {
        let of = |event| if let SyncEvent::CaughtUp { own, .. } = event { Some(own) } else { None };
        events.into_iter().filter_map(of).next_back().unwrap()
    })
}

#[test]
fn ones_own_documents_are_known_to_be_compared_only_where_both_keep_all() {
    let id = festival(1).id();
    let all = || Subscription::default();
    for opens in [true, false] {
        // The phone wrote in a document that the laptop cannot name before it holds it.
        let mut phone = replica(1, &[&festival(1), &festival(2)]);
        author(0).fill(&mut phone, 2, 10);
        let mut decided = Author::labelled(1, id, "decisions/some resource");
        decided.fill(&mut phone, 1, 10);
        let mut laptop = keeps(1, [0]);
        laptop.join(&festival(2)).unwrap();
        let meet = |laptop: &mut Replica, phone: &mut Replica| {
            if opens { own(laptop, phone) } else { own(phone, laptop) }
        };
        let only = vec![festival(2).id()];
        assert_eq!(meet(&mut laptop, &mut phone), [only.clone(), only.clone()]);
        assert_eq!(laptop.held(&decided.log).unwrap(), None, "it was in nobody's scope");
        laptop.subscribe(id, all()).unwrap();
        phone.subscribe(id, Subscription { documents: Some(BTreeSet::new()), depth: 0 }).unwrap();
        assert_eq!(meet(&mut laptop, &mut phone), [only.clone(), only], "the peer keeps a part");
        phone.subscribe(id, all()).unwrap();
        for one in meet(&mut laptop, &mut phone) {
            assert_eq!(BTreeSet::from_iter(one), BTreeSet::from([id, festival(2).id()]));
        }
        assert!(laptop.held(&decided.log).unwrap().is_some());
    }
}

#[test]
fn a_peer_that_refuses_ones_own_log_leaves_it_uncompared() {
    let id = festival(1).id();
    let mut mine = replica(1, &[&festival(1)]);
    Author::labelled(1, id, "").fill(&mut mine, 2, 10);
    let mut friend = replica(2, &[&festival(1)]);
    friend.block(mine.user()).unwrap();
    assert_eq!(own(&mut mine, &mut friend), [vec![], vec![id]], "the friend blocks this user");
}

#[test]
fn two_that_keep_nothing_in_common_have_nothing_to_say() {
    let (mut whole, _, _) = three();
    let (mut left, mut right) = (keeps(2, 0..5), keeps(3, 10..15));
    narrow(&mut left, &mut whole);
    narrow(&mut right, &mut whole);
    assert_eq!(narrow(&mut left, &mut right), 0);
    assert_eq!((logs(&left).len(), logs(&right).len()), (5, 5));
}

#[test]
fn what_is_beyond_a_new_subscription_goes_and_comes_back_with_the_next() {
    let (mut whole, _, _) = three();
    let mut other = replica(4, &[&festival(1)]);
    sync(&mut other, &mut whole);
    assert_eq!(logs(&other), logs(&whole));
    let some = |numbers: std::ops::Range<u64>| Subscription {
        documents: Some(numbers.map(document).collect()),
        depth: 0,
    };
    other.subscribe(festival(1).id(), some(3..6)).unwrap();
    assert_eq!(logs(&other), of(&whole, 3..6));
    assert_eq!(narrow(&mut whole, &mut other), 0);
    other.subscribe(festival(1).id(), some(3..9)).unwrap();
    assert_eq!(narrow(&mut other, &mut whole), 3);
    other.subscribe(festival(1).id(), Subscription::default()).unwrap();
    sync(&mut whole, &mut other);
    assert_eq!(logs(&other), logs(&whole));
}

#[test]
fn live_links_push_what_both_keep_and_what_one_writes_itself() {
    let clock = Moved::default();
    let (whole, left, right) = three();
    let peers: Vec<_> = [whole, left, right]
        .into_iter()
        .zip(1..)
        .map(|(replica, seed)| Named::new(replica, &clock, seed))
        .collect();
    let mut pool = LocalPool::new();
    for (one, other) in [(0, 1), (2, 0), (1, 2)] {
        let (here, there) = link(&peers[one], &peers[other]);
        let (opened, accepted) = (peers[one].node.link(here), peers[other].node.accept(there));
        pool.spawner().spawn_local(opened.map(|done| _ = done.unwrap())).unwrap();
        pool.spawner().spawn_local(accepted.map(|done| _ = done.unwrap())).unwrap();
    }
    pool.run_until_stalled();
    let own = |peer: u64| Author::new(peer, festival(1).id()); // the replica's own user
    for round in 0..3 {
        for number in [2, 7, 12, 17] {
            peers[0].node.with(|replica| author(number).go_on(replica, 1 + round));
            pool.run_until_stalled();
        }
        peers[1].node.with(|replica| author(6).go_on(replica, 2));
        peers[2].node.with(|replica| author(14).go_on(replica, 2));
        pool.run_until_stalled();
        // A new document of who keeps a part, as an edit would make it.
        let mut mine = own(2).with_incarnation(round as u64);
        peers[1].node.with(|replica| mine.fill(replica, 2, 10));
        pool.run_until_stalled();
    }
    let all = peers[0].node.with(|replica| logs(replica));
    let part = |numbers: std::ops::Range<u64>| peers[0].node.with(|replica| of(replica, numbers));
    assert_eq!(all.len(), 23);
    let mine: Vec<_> =
        all.iter().filter(|(log, _)| log.document == own(2).log.document).copied().collect();
    let mut expected = [part(0..10), mine].concat();
    expected.sort_by_key(|(log, _)| *log);
    assert_eq!(peers[1].node.with(|replica| logs(replica)), expected);
    assert_eq!(peers[2].node.with(|replica| logs(replica)), part(5..15));
    // And with a later session nothing is left to say.
    drop(pool);
    let (opened, accepted) = meet(&peers[1], &peers[0]);
    assert_eq!((opened.segments_sent, accepted.segments_sent), (0, 0));
}

#[test]
fn the_most_documents_that_can_be_kept_are_told_in_several_messages() {
    let mut whole = replica(1, &[&festival(1)]);
    for number in 1000..1030 {
        author(number).fill(&mut whole, 1, 10);
    }
    let mut part = keeps(2, 0..1020);
    let mut told = 0;
    let outcome = sync_over(&mut part, &mut whole, |_, frame| {
        told += usize::from(frame[0] == SUBS);
        Fate::Deliver(frame)
    });
    outcome.opener.unwrap();
    outcome.acceptor.unwrap();
    assert_eq!(told, 3, "500 ids a message");
    assert_eq!(logs(&part), of(&whole, 1000..1020));
    let kept = keeps(3, 0..2000).kept_documents(festival(1).id()).unwrap().unwrap();
    assert_eq!(kept.len(), p2panda_core::MAX_DOCUMENTS);
}

#[test]
fn a_part_costs_no_more_however_much_else_there_is() {
    let cost = |others: u64| {
        let reads = Arc::new(AtomicUsize::new(0));
        let store = Counted { inner: MemoryStore::new(), reads: Arc::clone(&reads) };
        let mut whole = replica_in(store, 1, &[&festival(1)]);
        for number in (0..5).chain(100..100 + others) {
            author(number).fill(&mut whole, 1, 10);
        }
        let clock = Moved::default();
        let whole = Named::new(whole, &clock, 1);
        // All of it is read once, by whoever comes first.
        meet(&Named::new(replica(3, &[&festival(1)]), &clock, 3), &whole);
        let before = reads.load(Ordering::Relaxed);
        let part = Named::new(keeps(2, 0..5), &clock, 2);
        let (stats, _) = meet(&part, &whole);
        assert_eq!(stats.segments_received, 5);
        (reads.load(Ordering::Relaxed) - before, stats.metadata_received)
    };
    // More than there are documents that health follows.
    let (few, many) = (cost(100), cost(2_000));
    assert_eq!(few.1, many.1);
    // Some of those that health follows are among the part.
    assert!(few.0.abs_diff(many.0) < 20, "{few:?} {many:?}");
}

/// Counts what is read.
struct Counted {
    inner: MemoryStore,
    reads: Arc<AtomicUsize>,
}

impl Store for Counted {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.inner.get(table, key)
    }

    fn range(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let found = self.inner.range(table, start, end, limit)?;
        self.reads.fetch_add(1 + found.len(), Ordering::Relaxed);
        Ok(found)
    }

    fn commit(&mut self, batch: Batch) -> Result<CommitId, StoreError> {
        self.inner.commit(batch)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.inner.flush()
    }

    fn durable(&self) -> CommitId {
        self.inner.durable()
    }
}

/// An accepting side whose peer the test is, behind the `OPEN`.
fn accepting(mut mine: Replica) -> (Session, Replica, Sketches) {
    let now = Duration::ZERO;
    let mut theirs = replica(9, &[&festival(1)]);
    let [mut rng, mut other] = [1, 2].map(common::rng);
    let (mut ours, mut sketches) = (Sketches::new(&mut rng), Sketches::new(&mut other));
    let mut opener = Session::new(Role::Sync, now, &mut rng);
    let mut acceptor = Session::new(Role::Accept, now, &mut other);
    let turn = |from: &mut Session, replica: &mut Replica, sketches: &mut Sketches| match from
        .poll(now, replica, sketches)
    {
        Ok(Some(Output::Send(frame))) => frame,
        other => panic!("{other:?}"),
    };
    let greet = turn(&mut opener, &mut theirs, &mut ours);
    acceptor.handle(now, Input::Frame(greet), &mut mine, &mut sketches).unwrap();
    let hello = turn(&mut acceptor, &mut mine, &mut sketches);
    opener.handle(now, Input::Frame(hello), &mut theirs, &mut ours).unwrap();
    while let Ok(Some(output)) = opener.poll(now, &mut theirs, &mut ours) {
        if let Output::Send(frame) = output
            && frame[0] == OPEN
        {
            acceptor.handle(now, Input::Frame(frame), &mut mine, &mut sketches).unwrap();
            break;
        }
    }
    (acceptor, mine, sketches)
}

fn subs(documents: Option<Vec<u8>>, last: bool) -> Bytes {
    frame(SUBS, &codec::encode(&(0_u64, documents.map(ByteBuf::from), last)))
}

#[test]
fn a_peer_that_keeps_too_much_or_says_it_wrongly_misbehaves() {
    let ids = |from: u64, to: u64| -> Vec<u8> {
        (from..to).flat_map(|n| [&[0; 24][..], &n.to_be_bytes()].concat()).collect()
    };
    let cases: [(&str, Vec<Bytes>); 5] = [
        ("not ascending", vec![subs(Some([ids(2, 3), ids(1, 2)].concat()), true)]),
        ("the same again", vec![subs(Some(ids(0, 5)), false), subs(Some(ids(4, 6)), true)]),
        ("no id", vec![subs(Some(vec![1; 33]), true)]),
        (
            "more than can be kept",
            vec![
                subs(Some(ids(0, 500)), false),
                subs(Some(ids(500, 1000)), false),
                subs(Some(ids(1000, 1025)), true),
            ],
        ),
        ("twice", vec![subs(None, true), subs(Some(ids(0, 500)), true), subs(None, true)]),
    ];
    for (case, frames) in cases {
        let (mut session, mut replica, mut sketches) = accepting(keeps(2, 0..5));
        let mut results = Vec::new();
        for frame in frames {
            results.push(session.handle(
                Duration::ZERO,
                Input::Frame(frame),
                &mut replica,
                &mut sketches,
            ));
        }
        let faults = results.iter().filter(|result| match result {
            Err(SyncError::Peer(PeerFault::Message("SUBS") | PeerFault::Unexpected("SUBS"))) => {
                true
            }
            Err(other) => panic!("{case}: {other}"),
            Ok(()) => false,
        });
        if case == "twice" {
            // Saying it again before anything was compared begins again, and no more.
            assert_eq!(faults.count(), 0, "{case}");
        } else {
            assert_eq!(faults.count(), 1, "{case}");
        }
    }
}

#[test]
fn what_is_pushed_from_outside_is_not_taken() {
    let (mut whole, mut part, _) = three();
    narrow(&mut part, &mut whole);
    let before = logs(&part);
    let mut stranger = replica(5, &[&festival(1)]);
    author(19).fill(&mut stranger, 1, 10);
    let outside = stranger.segment(&author(19).log, 0).unwrap().unwrap().into_segment();
    let refused = part.accept(&author(19).descriptor, outside);
    assert!(matches!(refused, Err(p2panda_core::AcceptError::NotKept(_))));
    let mut offered = 0;
    let outcome = sync_over(&mut stranger, &mut part, |side, frame| {
        offered += usize::from(side == Side::Opener && frame[0] == PUSH);
        Fate::Deliver(frame)
    });
    outcome.opener.unwrap();
    assert_eq!((offered, logs(&part)), (0, before.clone()));
    // A peer that pushes it all the same: as it would to one that keeps all.
    let mut stranger = replica(6, &[&festival(1)]);
    author(19).fill(&mut stranger, 1, 10);
    let mut push = None;
    sync_over(&mut stranger, &mut replica(7, &[&festival(1)]), |_, frame| {
        push = push.take().or_else(|| (frame[0] == PUSH).then(|| frame.clone()));
        Fate::Deliver(frame)
    });
    let (mut session, mut part, mut sketches) = accepting(part);
    for frame in [subs(None, true), push.unwrap()] {
        session.handle(Duration::ZERO, Input::Frame(frame), &mut part, &mut sketches).unwrap();
    }
    let mut told = Vec::new();
    while let Some(output) = session.poll(Duration::ZERO, &mut part, &mut sketches).unwrap() {
        told.extend(if let Output::Send(frame) = output { Some(frame[0]) } else { None });
    }
    assert!(told.contains(&REFUSE), "{told:?}");
    assert_eq!(logs(&part), before);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_two_end_with_all_that_both_keep(
        left in prop::option::of(prop::collection::btree_set(0_u64..60, 0..60)),
        right in prop::option::of(prop::collection::btree_set(0_u64..60, 0..60)),
        held in prop::collection::vec((0_u64..60, prop::bool::ANY, prop::bool::ANY), 0..60),
    ) {
        let make = |seed, documents: &Option<BTreeSet<u64>>| match documents {
            Some(documents) => keeps(seed, documents.iter().copied()),
            None => replica(seed, &[&festival(1)]),
        };
        let (mut a, mut b) = (make(1, &left), make(2, &right));
        let has = |documents: &Option<BTreeSet<u64>>, number: &u64| {
            documents.as_ref().is_none_or(|documents| documents.contains(number))
        };
        for (number, here, there) in held {
            let mut author = author(number);
            let known = a.held(&author.log).unwrap().is_some() || b.held(&author.log).unwrap().is_some();
            if !known && here && has(&left, &number) {
                author.clone().fill(&mut a, 3, 10);
            }
            if !known && there && has(&right, &number) {
                author.fill(&mut b, 2, 10);
            }
        }
        let before = (logs(&a), logs(&b));
        narrow(&mut a, &mut b);
        let both: Vec<u64> = (0..60).filter(|n| has(&left, n) && has(&right, n)).collect();
        prop_assert_eq!(of(&a, both.clone()), of(&b, both.clone()));
        // Nothing else has moved, either way.
        let rest = |logs: Vec<(LogId, Tip)>| -> Vec<(LogId, Tip)> {
            let both: BTreeSet<_> = both.iter().map(|n| document(*n)).collect();
            logs.into_iter().filter(|(log, _)| !both.contains(&log.document)).collect()
        };
        prop_assert_eq!((rest(logs(&a)), rest(logs(&b))), (rest(before.0), rest(before.1)));
        prop_assert_eq!(narrow(&mut b, &mut a), 0);
    }
}
