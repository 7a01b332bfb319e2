//! One exchange between two replicas.

mod common;

use common::{Author, Fate, PUSH, Side, festival, logs, replica, sync, sync_over};
use p2panda_core::Replica;
use p2panda_sync::{Fault, SyncError, SyncEvent};

/// Two replicas of one festival: each holds a log of its own, and a third that one has further.
fn two_different() -> (Replica, Replica) {
    let festival = festival(1);
    let (mut a, mut b) = (replica(1, &[&festival]), replica(2, &[&festival]));
    Author::new(11, festival.id()).fill(&mut a, 300, 50);
    Author::new(12, festival.id()).fill(&mut b, 40, 20_000);
    let mut both = Author::new(13, festival.id());
    both.fill(&mut a, 100, 10);
    let mut ahead = Author::new(13, festival.id());
    ahead.fill(&mut b, 170, 10);
    (a, b)
}

#[test]
fn two_replicas_end_equal_in_one_exchange() {
    let (mut a, mut b) = two_different();
    let (opener, acceptor) = sync(&mut a, &mut b);
    assert_eq!(logs(&a), logs(&b));
    assert_eq!(logs(&a).len(), 3);
    assert_eq!(opener.round_trips, 1);
    assert_eq!((opener.entries_sent, opener.entries_received), (300, 40 + 70));
    assert_eq!(opener.entries_sent, acceptor.entries_received);
    assert_eq!(opener.segments_sent, acceptor.segments_received);
    assert_eq!(opener.bytes_sent, acceptor.bytes_received);
    assert_eq!(opener.bytes_received, acceptor.bytes_sent);
    // A block has 128 entries: one signature proves as many as a segment holds.
    assert_eq!(acceptor.signatures_checked, 3);
}

#[test]
fn a_second_exchange_moves_nothing_and_takes_one_round_trip() {
    let (mut a, mut b) = two_different();
    sync(&mut a, &mut b);
    for (opener, acceptor) in [sync(&mut a, &mut b), sync(&mut b, &mut a)] {
        assert_eq!((opener.round_trips, acceptor.round_trips), (1, 1));
        assert_eq!(opener.segments_sent + opener.segments_received, 0);
        assert!(opener.bytes_sent + opener.bytes_received <= 200, "{opener:?}");
    }
}

#[test]
fn fetching_takes_one_round_trip() {
    let festival = festival(1);
    let (mut a, mut b) = (replica(1, &[&festival]), replica(2, &[&festival]));
    Author::new(11, festival.id()).fill(&mut b, 1000, 100);
    let (opener, _) = sync(&mut a, &mut b);
    assert_eq!((opener.round_trips, opener.entries_received), (1, 1000));
    assert_eq!(logs(&a), logs(&b));
}

#[test]
fn three_replicas_in_a_chain_end_equal() {
    let (mut a, mut b) = two_different();
    let mut c = replica(3, &[&festival(1)]);
    Author::new(14, festival(1).id()).fill(&mut c, 10, 10);
    sync(&mut a, &mut b);
    sync(&mut b, &mut c);
    sync(&mut a, &mut b);
    assert_eq!(logs(&a), logs(&c));
    assert_eq!(logs(&b), logs(&c));
}

#[test]
fn more_logs_than_one_frame_holds_are_compared_in_several() {
    let festival = festival(1);
    let (mut a, mut b) = (replica(1, &[&festival]), replica(2, &[&festival]));
    for seed in 0..700 {
        let mut author = Author::new(1000 + seed, festival.id());
        let mut same = author.clone();
        match seed % 3 {
            0 => author.fill(&mut a, 1, 10),
            1 => author.fill(&mut b, 2, 10),
            _ => {
                author.fill(&mut a, 1, 10);
                same.fill(&mut b, 1, 10);
            }
        }
    }
    let (opener, _) = sync(&mut a, &mut b);
    assert_eq!(logs(&a), logs(&b));
    assert_eq!(logs(&a).len(), 700);
    assert_eq!((opener.segments_sent, opener.segments_received), (234, 233));
    assert_eq!(opener.round_trips, 2);
}

#[test]
fn thousands_of_logs_are_asked_for_in_turns() {
    let festival = festival(1);
    let (mut a, mut b) = (replica(1, &[&festival]), replica(2, &[&festival]));
    for seed in 0..2500 {
        Author::new(1000 + seed, festival.id()).fill(&mut a, 1, 10);
    }
    let (opener, _) = sync(&mut a, &mut b);
    assert_eq!(logs(&a), logs(&b));
    assert_eq!(opener.segments_sent, 2500);
}

#[test]
fn only_festivals_in_common_are_exchanged_and_no_id_travels() {
    let [first, second, third] = [1, 2, 3].map(festival);
    let mut a = replica(1, &[&first, &third]);
    let mut b = replica(2, &[&second, &third]);
    Author::new(11, first.id()).fill(&mut a, 3, 10);
    Author::new(12, second.id()).fill(&mut b, 3, 10);
    Author::new(13, third.id()).fill(&mut a, 3, 10);
    let mut seen = Vec::new();
    let outcome = sync_over(&mut a, &mut b, |_, frame| {
        seen.extend_from_slice(&frame);
        Fate::Deliver(frame)
    });
    outcome.opener.unwrap();
    assert_eq!(a.logs(third.id()).unwrap(), b.logs(third.id()).unwrap());
    assert_eq!((logs(&a).len(), logs(&b).len()), (2, 2));
    for festival in [&first, &second, &third] {
        let id = festival.id();
        assert!(!seen.windows(32).any(|window| window == id.as_bytes()));
    }
    let met = SyncEvent::Met { festivals: vec![third.id()] };
    assert_eq!((&outcome.opener_events[0], &outcome.acceptor_events[0]), (&met, &met));
}

#[test]
fn without_a_festival_in_common_both_sides_are_told_so() {
    let (mut a, mut b) = (replica(1, &[&festival(1)]), replica(2, &[&festival(2)]));
    let outcome = sync_over(&mut a, &mut b, |_, frame| Fate::Deliver(frame));
    for result in [outcome.opener, outcome.acceptor] {
        let error = result.unwrap_err();
        assert!(matches!(error, SyncError::NoFestivalInCommon), "{error}");
        assert_eq!(error.fault(), Fault::Neither);
    }
}

#[test]
fn a_connection_that_is_cut_anywhere_is_gone_on_with_by_the_next() {
    let (mut a, mut b) = two_different();
    let all = sync_over(&mut a, &mut b, |_, frame| Fate::Deliver(frame)).frames;
    for at in 0..all {
        let (mut a, mut b) = two_different();
        let mut left = at;
        let cut = sync_over(&mut a, &mut b, |_, frame| match left.checked_sub(1) {
            Some(less) => {
                left = less;
                Fate::Deliver(frame)
            }
            None => Fate::Cut,
        });
        let interrupted =
            |result: &Result<_, _>| matches!(result, Err(SyncError::Interrupted)) || result.is_ok();
        assert!(interrupted(&cut.opener) && interrupted(&cut.acceptor), "cut after {at} frames");
        assert!(cut.opener.is_err() || cut.acceptor.is_err(), "cut after {at} frames");
        let kept = total(&a) + total(&b);
        let (opener, acceptor) = sync(&mut a, &mut b);
        assert_eq!(logs(&a), logs(&b), "cut after {at} frames");
        // The second exchange moved only what was still missing: nothing was lost or sent twice.
        let again = opener.entries_received + acceptor.entries_received;
        assert_eq!(kept + again, total(&a) + total(&b), "cut after {at} frames");
        assert_eq!(opener.entries_sent, acceptor.entries_received, "cut after {at} frames");
        assert_eq!(acceptor.entries_sent, opener.entries_received, "cut after {at} frames");
    }
}

fn total(replica: &Replica) -> u64 {
    logs(replica).iter().map(|(_, tip)| tip.length).sum()
}

#[test]
fn frames_carry_as_much_as_a_segment_may_hold() {
    let festival = festival(1);
    let (mut a, mut b) = (replica(1, &[&festival]), replica(2, &[&festival]));
    Author::new(11, festival.id()).fill(&mut a, 10, 60 * 1024);
    Author::new(12, festival.id()).fill(&mut a, 128, 100);
    let mut pushes = Vec::new();
    let outcome = sync_over(&mut a, &mut b, |side, frame| {
        if side == Side::Opener && frame[0] == PUSH {
            pushes.push(frame.len());
        }
        Fate::Deliver(frame)
    });
    assert_eq!(logs(&a), logs(&b));
    assert_eq!(outcome.acceptor.unwrap().segments_received, 10 + 1);
    // Two of the largest segments go into a frame, and what is alike in them is sent once.
    assert_eq!(pushes.len(), 6);
    assert!(pushes.iter().all(|size| *size < 1024), "{pushes:?}");
}
