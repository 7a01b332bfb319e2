//! What new is taken in, and what is refused: limits delay, and never decide what is finally held.
#![allow(clippy::unwrap_used)]

mod common;

use std::{collections::BTreeSet, time::Duration};

use common::{
    Author, festival, logs,
    met::{Moved, Named, link, meet},
    replica,
};
use futures::{FutureExt as _, executor::LocalPool, task::LocalSpawnExt as _};
use p2panda_core::{LogId, UserId};
use p2panda_sync::{Admit, Newcomer, Quotas};
use proptest::prelude::*;

const WINDOW: Duration = Duration::from_secs(600);

const fn quotas(users: u32, logs: u32, of_one: u32) -> Quotas {
    Quotas { window: WINDOW, users_per_peer: users, logs_per_peer: logs, logs_per_author: of_one }
}

/// Two that know each other, the first with documents of so many users.
fn pair(users: u64, clock: &Moved) -> [Named; 2] {
    let festival = festival(1);
    let mut a = replica(1, &[&festival]);
    for user in 0..users {
        let mut author = Author::new(1000 + user, festival.id());
        let segment = author.write(user.to_be_bytes().to_vec());
        author.store(&mut a, segment);
    }
    a.flush().unwrap();
    [Named::new(a, clock, 1), Named::new(replica(2, &[&festival]), clock, 2)]
}

fn held(peer: &Named) -> BTreeSet<LogId> {
    peer.node.with(|replica| logs(replica)).into_iter().map(|(log, _)| log).collect()
}

#[test]
fn what_is_beyond_a_quota_is_not_offered_again_before_its_time_and_then_it_is() {
    for refuser_opens in [true, false] {
        let clock = Moved::default();
        let [a, b] = pair(10, &clock);
        b.node.set_quotas(quotas(3, 100, 100));
        let sync = || if refuser_opens { meet(&b, &a) } else { meet(&a, &b) };
        for round in 1..=4 {
            sync();
            assert_eq!(held(&b).len(), 10.min(3 * round));
            // Without what is refused they are equal, at once and at no cost.
            let (opener, acceptor) = sync();
            let sent = opener.segments_sent + acceptor.segments_sent;
            assert_eq!((sent, opener.round_trips), (0, 1), "{refuser_opens} {round}");
            clock.by(WINDOW - Duration::from_secs(1));
            assert_eq!(sync().0.round_trips, 1);
            clock.by(Duration::from_secs(2));
        }
        assert_eq!(held(&a), held(&b));
    }
}

#[test]
fn a_flood_costs_a_window_no_more_than_its_quota() {
    let clock = Moved::default();
    let [flood, victim] = pair(10_000, &clock);
    victim.node.set_quotas(quotas(100, 200, 10));
    let (_, first) = meet(&flood, &victim);
    assert_eq!(held(&victim).len(), 100);
    assert_eq!(first.signatures_checked, 100, "nothing else is worth a look");
    // What it was told it remembers, as far as that is bounded; the rest is refused again.
    let (again, _) = meet(&flood, &victim);
    assert!(again.segments_sent <= 10_000 - 4096, "{}", again.segments_sent);
    // Under another name, or none, it gets no further in the window of that name than before.
    let nobody = Named { name: p2panda_sync::PeerId::new(b"somebody else"), ..flood };
    let (_, third) = meet(&nobody, &victim);
    assert_eq!((held(&victim).len(), third.signatures_checked), (200, 100));
    let (_, fourth) = meet(&nobody, &victim);
    assert_eq!((held(&victim).len(), fourth.signatures_checked), (200, 0));
    // Others' documents come in meanwhile.
    let mut honest = replica(3, &[&festival(1)]);
    Author::new(7, festival(1).id()).fill(&mut honest, 3, 10);
    meet(&Named::new(honest, &clock, 3), &victim);
    assert_eq!(held(&victim).len(), 201);
    clock.by(WINDOW);
    meet(&nobody, &victim);
    assert_eq!(held(&victim).len(), 301);
}

#[test]
fn one_author_is_limited_over_all_peers_and_the_writer_here_is_not() {
    let clock = Moved::default();
    let festival = festival(1);
    let mut peers = [1, 2].map(|seed| Named::new(replica(seed, &[&festival]), &clock, seed));
    let author = Author::new(50, festival.id());
    for (at, peer) in peers.iter_mut().enumerate() {
        for log in 0..4 {
            let mut author = author.with_incarnation((10 * at + log) as u64);
            peer.node.with(|replica| author.fill(replica, 1, 10));
        }
    }
    let victim = Named::new(replica(3, &[&festival]), &clock, 3);
    victim.node.set_quotas(quotas(100, 100, 5));
    meet(&peers[0], &victim);
    meet(&peers[1], &victim);
    assert_eq!(held(&victim).len(), 5);
    // Another device of the author itself.
    let own = Named::new(replica(50, &[&festival]), &clock, 4);
    assert_eq!(own.node.with(|replica| replica.user()), author.descriptor.user);
    own.node.set_quotas(quotas(0, 0, 0));
    meet(&peers[0], &own);
    assert_eq!(held(&own).len(), 4);
}

#[test]
fn an_application_has_its_own_word() {
    let clock = Moved::default();
    let [a, b] = pair(6, &clock);
    let users: Vec<UserId> =
        (0..6).map(|n| Author::new(1000 + n, festival(1).id()).descriptor.user).collect();
    let known = a.name;
    b.node.set_admission(move |new: &Newcomer<'_>| {
        assert!(new.is_new_user && new.peer == Some(&known));
        match users.iter().position(|user| *user == new.document.user) {
            Some(0) => Admit::Refuse,
            Some(1) => Admit::Later(Duration::from_secs(60)),
            _ => Admit::Now,
        }
    });
    meet(&a, &b);
    assert_eq!(held(&b).len(), 4);
    clock.by(Duration::from_secs(61));
    b.node.set_admission(|_: &Newcomer<'_>| Admit::Now);
    meet(&a, &b);
    assert_eq!(held(&b).len(), 5);
    // What was refused is asked about again after an hour.
    clock.by(Duration::from_secs(3600));
    meet(&a, &b);
    assert_eq!(held(&b).len(), 6);
}

#[test]
fn a_live_link_offers_again_by_itself_what_was_refused_for_a_time() {
    let clock = Moved::default();
    let [a, b] = pair(0, &clock);
    b.node.set_quotas(quotas(100, 2, 100));
    let mut pool = LocalPool::new();
    let (here, there) = link(&a, &b);
    pool.spawner().spawn_local(a.node.link(here).map(|done| _ = done.unwrap())).unwrap();
    pool.spawner().spawn_local(b.node.accept(there).map(|done| _ = done.unwrap())).unwrap();
    pool.run_until_stalled();
    for seed in 0..5 {
        let mut author = Author::new(1000 + seed, festival(1).id());
        a.node.with(|replica| author.fill(replica, 1, 10));
        pool.run_until_stalled();
    }
    for expected in [2, 4, 5] {
        assert_eq!(held(&b).len(), expected);
        clock.by(WINDOW - Duration::from_secs(5));
        pool.run_until_stalled();
        assert_eq!(held(&b).len(), expected);
        clock.by(Duration::from_secs(7));
        pool.run_until_stalled();
    }
}

#[test]
fn blocked_users_are_told_at_once_and_again_when_they_are_not_blocked_any_more() {
    for blocker_opens in [true, false] {
        let clock = Moved::default();
        let [a, b] = pair(4, &clock);
        let sync = |a: &Named, b: &Named| if blocker_opens { meet(b, a) } else { meet(a, b) };
        sync(&a, &b);
        let user = Author::new(1000, festival(1).id()).descriptor.user;
        b.node.with(|replica| replica.block(user)).unwrap();
        let sent = |(one, other): (p2panda_sync::Stats, p2panda_sync::Stats)| {
            one.segments_sent + other.segments_sent
        };
        assert_eq!(sent(sync(&a, &b)), 0, "not even once");
        assert_eq!(sync(&a, &b).0.round_trips, 1);
        // Also by a device that was started anew, to a peer that knows nothing of it.
        let b = Named::new(b.node.into_replica().unwrap(), &clock, 2);
        let other = Named::new(replica(5, &[&festival(1)]), &clock, 5);
        meet(&a, &other);
        assert_eq!(sent(sync(&other, &b)), 0);
        assert_eq!((held(&a).len(), held(&b).len()), (4, 3));

        b.node.with(|replica| replica.unblock(&user)).unwrap();
        sync(&a, &b);
        assert_eq!(held(&b).len(), 4, "{blocker_opens}");
        assert_eq!(sync(&a, &b).0.round_trips, 1);
        assert!(b.node.with(|replica| replica.blocked_logs(festival(1).id())).unwrap().is_empty());
    }
}

#[test]
fn a_log_that_the_refuser_got_elsewhere_is_no_difference_for_ever() {
    for refuser_opens in [true, false] {
        let clock = Moved::default();
        let [a, b] = pair(3, &clock);
        b.node.set_quotas(quotas(1, 100, 100));
        let sync = |a: &Named, b: &Named| if refuser_opens { meet(b, a) } else { meet(a, b) };
        sync(&a, &b);
        assert_eq!(held(&b).len(), 1);
        // It forgets what it refused, as it is started anew, and so lets another peer bring it all.
        let b = Named::new(b.node.into_replica().unwrap(), &clock, 2);
        let other = Named::new(replica(5, &[&festival(1)]), &clock, 5);
        meet(&a, &other);
        meet(&other, &b);
        assert_eq!(held(&b).len(), 3);
        let mut author = Author::new(1002, festival(1).id());
        a.node.with(|replica| author.go_on(replica, 2));
        sync(&a, &b);
        let [ours, theirs] = [&a, &b].map(|peer| peer.node.with(|replica| logs(replica)));
        assert_eq!(ours, theirs);
        sync(&a, &b);
        assert_eq!(sync(&a, &b).0.round_trips, 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn quotas_delay_and_never_decide_what_is_finally_held(
        limits in prop::collection::vec((1_u32..4, 1_u32..6, 1_u32..4), 4),
        written in prop::collection::vec((0_usize..4, 0_u64..12, 0_u64..3), 1..40),
        meetings in prop::collection::vec((0_usize..4, 0_usize..4, 0_u64..400), 0..24),
    ) {
        let clock = Moved::default();
        let festival = festival(1);
        let peers: Vec<_> = (0..4)
            .map(|seed| Named::new(replica(seed, &[&festival]), &clock, seed))
            .collect();
        for (peer, (users, logs, of_one)) in peers.iter().zip(limits) {
            peer.node.set_quotas(quotas(users, logs, of_one));
        }
        let mut all = BTreeSet::new();
        for (peer, user, incarnation) in written {
            let author = Author::new(1000 + user, festival.id());
            let mut author = author.with_incarnation(100 * user + incarnation);
            if all.insert(author.log) {
                peers[peer].node.with(|replica| author.fill(replica, 1, 10));
            }
        }
        for (one, other, passes) in meetings {
            if one != other {
                meet(&peers[one], &peers[other]);
            }
            clock.by(Duration::from_secs(passes));
        }
        // At least one log comes over each link a window.
        for _ in 0..all.len() + 1 {
            for at in 0..4 {
                meet(&peers[at], &peers[(at + 1) % 4]);
            }
            clock.by(WINDOW);
        }
        for peer in &peers {
            prop_assert_eq!(held(peer), all.clone());
        }
    }
}
