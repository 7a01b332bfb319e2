//! Keeping a part of a festival, and following what a festival names.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::{forks::titles, *};
use p2panda_core::{
    AcceptError, Festival, FestivalId, Identity, MAX_DOCUMENTS, MAX_FOLLOWED_LINKS, Replica,
    Subscription, Ticket,
    schema::FestivalLink,
    store::{NoResume, Store as _, Table},
};
use rand_chacha::ChaCha20Rng;

fn link_to(festival: &Festival) -> FestivalLink {
    let ticket = Ticket { festival: festival.clone() }.to_string();
    FestivalLink { ticket, title: "a camp".into(), relation: "nested".into() }
}

fn follow(replica: &mut Replica, festival: &Festival, depth: u8) -> Vec<FestivalId> {
    replica.join(festival).unwrap();
    replica.subscribe(festival.id(), Subscription { documents: None, depth }).unwrap();
    replica.follow_links().unwrap()
}

/// Three festivals, each of which names the next, all of one founder; and the founder.
fn nested(rng: &mut ChaCha20Rng) -> (Replica, [Festival; 3]) {
    let mut founder = replica(&Identity::generate(rng));
    let all = [(); 3].map(|()| festival_of(&mut founder, rng));
    for pair in all.windows(2) {
        put(&mut founder, pair[0].id(), "camp", &link_to(&pair[1]), rng);
    }
    // Back to where it came from.
    put(&mut founder, all[2].id(), "camp", &link_to(&all[0]), rng);
    (founder, all)
}

#[test]
fn links_of_the_founder_are_followed_as_deep_as_was_said() {
    let mut rng = rng(400);
    let (founder, [first, second, third]) = nested(&mut rng);
    for depth in 0..4 {
        let mut guest = replica(&Identity::generate(&mut rng));
        assert!(follow(&mut guest, &first, depth).is_empty(), "nothing is known yet");
        let mut joined = Vec::new();
        for festival in [&first, &second, &third] {
            if guest.festival(festival.id()).unwrap().is_some() {
                hand_over(&founder, &mut guest, festival.id());
                joined.extend(guest.follow_links().unwrap());
            }
        }
        let expected = [second.id(), third.id()];
        assert_eq!(joined, expected[..usize::from(depth).min(2)]);
        assert_eq!(guest.festivals().unwrap().len(), 1 + joined.len());
        assert!(guest.follow_links().unwrap().is_empty(), "once");
        if depth == 3 {
            // What was left stays left, until it is joined again.
            guest.leave_festival(third.id()).unwrap();
            assert!(guest.follow_links().unwrap().is_empty());
            guest.join(&third).unwrap();
            assert!(guest.festival(third.id()).unwrap().is_some());
        }
    }
}

#[test]
fn nobody_is_led_by_links_of_others_or_by_more_of_them_than_it_takes() {
    let mut rng = rng(401);
    let (mut founder, [first, ..]) = nested(&mut rng);
    let mut stranger = replica(&Identity::generate(&mut rng));
    let trap = festival_of(&mut stranger, &mut rng);
    stranger.join(&first).unwrap();
    put(&mut stranger, first.id(), "camp", &link_to(&trap), &mut rng);
    let mut guest = replica(&Identity::generate(&mut rng));
    follow(&mut guest, &first, 2);
    hand_over(&stranger, &mut guest, first.id());
    assert!(guest.follow_links().unwrap().is_empty());
    // Tickets that are none lead nowhere, and no more festivals are joined than there is room for.
    put(&mut founder, first.id(), "aaa", &FestivalLink::default(), &mut rng);
    for n in 0..MAX_FOLLOWED_LINKS + 10 {
        let another = Festival::found(&Identity::generate(&mut rng), &mut rng);
        put(&mut founder, first.id(), &format!("b{n:03}"), &link_to(&another), &mut rng);
    }
    hand_over(&founder, &mut guest, first.id());
    let joined = guest.follow_links().unwrap();
    assert_eq!(joined.len(), MAX_FOLLOWED_LINKS - 1);
    assert!(!joined.contains(&trap.id()));
}

#[test]
fn a_part_is_kept_through_restarts_and_ones_own_belongs_to_it() {
    let mut rng = rng(402);
    let store = Shared::new();
    let identity = Identity::generate(&mut rng);
    let open =
        || Replica::open(Box::new(store.clone()), identity.clone(), Box::new(NoResume)).unwrap();
    let mut others = [(); 3].map(|()| replica(&Identity::generate(&mut rng)));
    let festival = festival_of(&mut others[0], &mut rng);
    let id = festival.id();
    for (n, other) in others.iter_mut().enumerate() {
        other.join(&festival).unwrap();
        put(other, id, "event", &event(&format!("event {n}")), &mut rng);
    }
    let document = |replica: &Replica| replica.logs(id).unwrap()[0].0.document;
    let some = BTreeSet::from([document(&others[0]), document(&others[1])]);

    let mut mine = open();
    mine.join(&festival).unwrap();
    for other in &others {
        hand_over(other, &mut mine, id);
    }
    put(&mut mine, id, "mine", &event("mine"), &mut rng);
    assert_eq!(titles(&mine, id).len(), 4);
    let part = Subscription { documents: Some(some.clone()), depth: 0 };
    mine.subscribe(id, part.clone()).unwrap();
    let expected = ["event 0", "event 1", "mine"].map(String::from);
    assert_eq!(BTreeSet::from_iter(titles(&mine, id)), BTreeSet::from(expected.clone()));
    drop(mine);
    let mut mine = open();
    assert_eq!(mine.subscription(id), part);
    let (log, _) = others[2].logs(id).unwrap()[0];
    let descriptor = others[2].descriptor(&log.document).unwrap().unwrap();
    let segment = others[2].segment(&log, 0).unwrap().unwrap().into_segment();
    let refused = mine.accept(&descriptor, segment);
    assert!(matches!(refused, Err(AcceptError::NotKept(which)) if which == log.document));
    put(&mut mine, id, "more", &event("more of mine"), &mut rng);
    let kept = mine.kept_documents(id).unwrap().unwrap();
    assert_eq!(kept.len(), 3);
    assert!(kept.is_superset(&some));
    // All of it again, and nothing is left of a part when the festival is left.
    mine.subscribe(id, Subscription::default()).unwrap();
    assert_eq!(mine.kept_documents(id).unwrap(), None);
    hand_over(&others[2], &mut mine, id);
    assert_eq!(titles(&mine, id).len(), 5);
    mine.subscribe(id, part).unwrap();
    mine.leave_festival(id).unwrap();
    assert_eq!(mine.subscription(id), Subscription::default());
    let meta = store.range(Table::Meta, b"subscription", None, usize::MAX).unwrap();
    assert!(!meta.iter().any(|(key, _)| key.starts_with(b"subscription")));
    const { assert!(MAX_DOCUMENTS == 1024) };
}
