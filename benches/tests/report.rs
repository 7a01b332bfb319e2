//! The convergence report: the same seed gives the same page, which needs nothing else, and what
//! was not played is not passed over.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use benches::report::{
    ALL, Part, Size,
    observer::{AGREEMENT, DOUBLE_GRANTS, Observer, PROMISED_TWICE, SAME_VIEW, VIEWS},
    page, play,
};
use p2panda_core::{
    EditError, Festival, Identity, Replica,
    schema::{Answer, Decision, Event, Instant, PolicySpec, Request, Resource, Span, Terms},
    store::{MemoryStore, NoResume},
};
use p2panda_sync::sim::PeerId;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

fn made(seed: u64, key: &str) -> String {
    let parts = play(seed, Size::Quick, |one| one == key, |_| {}).unwrap();
    page(&parts, seed, Size::Quick).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_page_and_another_seed_another() {
    let first = made(3, "nested");
    assert_eq!(made(3, "nested"), first);
    assert_ne!(made(4, "nested"), first);
}

#[test]
fn a_page_needs_nothing_else_and_has_every_plot() {
    let html = made(1, "congress");
    for outside in ["http:", "https:", "<script", "src=", "<link", "url(", "@import"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert_eq!(html.matches("<svg").count(), 3);
    assert!(html.contains("prefers-color-scheme: dark"));
}

#[test]
fn what_was_not_played_is_told() {
    let parts = [Part::Skipped { key: "36c3", why: "no <data>".to_owned() }];
    let html = page(&parts, 1, Size::Full).unwrap();
    assert_eq!(html.matches("no &lt;data&gt;").count(), 2, "in the table and for itself");
    assert!(ALL.iter().any(|(key, _)| *key == "36c3"));
}

/// An owner on two devices promises one hour to two, before they meet.
fn apart() -> [Replica; 2] {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let owner = Identity::generate(&mut rng);
    let festival = Festival::found(&owner, &mut rng);
    let now = Instant::from_millis(0);
    let stage = Resource {
        title: "Stage".into(),
        capacity: 1,
        policy: PolicySpec::new("manual"),
        ..Resource::default()
    };
    let local = "stage".parse().unwrap();
    let policy = stage.policy.hash();
    [(); 2].map(|()| {
        let store = Box::new(MemoryStore::new());
        let mut replica = Replica::open(store, owner.clone(), Box::new(NoResume)).unwrap();
        replica.join(&festival).unwrap();
        let span = Span { starts: now, ends: Instant::from_millis(3_600_000) };
        let promised = replica.edit(festival.id(), now, &mut rng, |edit| {
            let resource = edit.put(&local, &stage)?;
            let event = edit.create(&Event { title: "Show".into(), ..Event::default() })?;
            let terms = Terms { event, resource, span, units: 1 };
            let asks = Request { terms: terms.clone(), claimed: now, note: String::new() };
            let request = edit.request(asks)?;
            let (answer, reason) = (Answer::Confirm, String::new());
            edit.decide(Decision { request, terms, policy, answer, reason }).map(drop)
        });
        promised.map_err(|error: EditError| error.to_string()).unwrap();
        replica
    })
}

#[test]
fn what_is_promised_on_two_sides_is_no_double_grant_in_either_view() {
    let replicas = apart();
    let peers = [(PeerId(0), &replicas[0]), (PeerId(1), &replicas[1])];
    let mut observer = Observer::default();
    let figures: BTreeMap<String, u64> = observer.measure(&peers).unwrap();
    assert_eq!((figures[DOUBLE_GRANTS], figures[PROMISED_TWICE]), (0, 1));
    // Each knows of its own event alone.
    assert_eq!((figures[VIEWS], figures[SAME_VIEW], figures[AGREEMENT]), (2, 500, 500));
    let alone = observer.measure(&peers[..1]).unwrap();
    assert_eq!((alone[PROMISED_TWICE], alone[AGREEMENT], alone[SAME_VIEW]), (0, 1000, 1000));
}
