use p2panda_core::{DocumentId, Identity, Incarnation};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::*;

const NOW: Duration = Duration::from_secs(1_000);

fn document(user: UserId) -> DocumentDescriptor {
    let festival = FestivalId::from_bytes([7; 32]);
    DocumentDescriptor { festival, user, label: String::new() }
}

fn new(number: u64, now: Duration) -> NewLog {
    let incarnation = Incarnation::from_bytes(number.to_be_bytes());
    NewLog {
        log: LogId { document: DocumentId::from_bytes([1; 32]), incarnation },
        is_new_document: true,
        is_new_user: true,
        is_own: false,
        peer: None,
        now,
    }
}

fn user(number: u8) -> UserId {
    UserId::from_bytes([number; 32])
}

#[test]
fn by_default_a_flood_of_users_ends_where_the_largest_festivals_do() {
    let mut gate = Gate::default();
    let mut taken = 0;
    for number in 0..10_000_u64 {
        let mut name = [0; 32];
        name[..8].copy_from_slice(&number.to_be_bytes());
        let (new, user) = (new(number, NOW), UserId::from_bytes(name));
        if gate.refuses(&new, &document(user)).is_none() {
            gate.admitted(&new, user);
            taken += 1;
        }
    }
    assert_eq!(taken, 8_192);
    assert_eq!(gate.refused(FestivalId::from_bytes([7; 32]), None, NOW).count(), 10_000 - 8_192);
}

#[test]
fn only_so_many_refused_logs_are_remembered_and_what_is_over_makes_room() {
    let mut gate = Gate::default();
    gate.quotas.users_per_peer = 0;
    for number in 0..20_000 {
        assert_eq!(
            gate.refuses(&new(number, NOW), &document(user(1))),
            Some(NOW + gate.quotas.window)
        );
    }
    assert_eq!(gate.refused.len(), MAX_REFUSED);
    let later = NOW + gate.quotas.window;
    assert!(gate.refuses(&new(30_000, later), &document(user(1))).is_some());
    assert_eq!(gate.refused.len(), 1);
}

#[test]
fn only_so_many_windows_are_kept() {
    let mut gate = Gate::default();
    for number in 0..3_000_u64 {
        let peer = Some(PeerId::new(&number.to_be_bytes()));
        let identity = Identity::generate(&mut ChaCha20Rng::seed_from_u64(number % 50));
        gate.admitted(&NewLog { peer, ..new(number, NOW) }, identity.user());
    }
    assert_eq!((gate.peers.len(), gate.authors.len()), (MAX_PEERS, 50));
}

#[test]
fn a_peer_that_has_brought_enough_keeps_nobody_else_out() {
    let mut gate =
        Gate { quotas: Quotas { users_per_peer: 1, ..Quotas::default() }, ..Gate::default() };
    let [one, other] = [1, 2].map(|name| Some(PeerId::new(&[name])));
    let from = |peer, number| NewLog { peer, ..new(number, NOW) };
    gate.admitted(&from(one, 1), user(1));
    assert!(gate.refuses(&from(one, 2), &document(user(2))).is_some());
    assert!(gate.refuses(&from(other, 2), &document(user(2))).is_none());
    // What the application says concerns everybody.
    gate.admission = Some(Box::new(|_: &Newcomer<'_>| Admit::Refuse));
    assert!(gate.refuses(&from(other, 3), &document(user(3))).is_some());
    gate.admission = None;
    assert!(gate.refuses(&from(None, 3), &document(user(3))).is_some());
}
