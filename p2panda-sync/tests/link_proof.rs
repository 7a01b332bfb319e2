//! Users prove inside an encrypted link who they are, to its other end and to nobody else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;
use futures::{
    FutureExt as _, SinkExt as _, StreamExt as _,
    executor::{LocalPool, block_on},
    future::try_join,
    task::LocalSpawnExt as _,
};
use p2panda_core::{Identity, LinkEnd, LinkProof, UserId, codec};
use p2panda_sync::{
    LinkKey, MemoryTransport, Node, NoiseTransport, Role, StoppedClock, SyncEvent, memory,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

type Link = NoiseTransport<MemoryTransport>;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A link between two devices; each has the number of its key.
fn link(opener: u64, acceptor: u64) -> (Link, Link) {
    let (here, there) = memory(4);
    let keys = [opener, acceptor].map(|seed| LinkKey::generate(&mut rng(seed)));
    block_on(try_join(
        NoiseTransport::establish(
            here,
            LinkEnd::Opener,
            &keys[0],
            &StoppedClock,
            &mut rng(opener * 1_000 + acceptor),
        ),
        NoiseTransport::establish(
            there,
            LinkEnd::Acceptor,
            &keys[1],
            &StoppedClock,
            &mut rng(acceptor * 1_000 + opener),
        ),
    ))
    .unwrap()
}

fn user(seed: u64) -> Identity {
    Identity::generate(&mut rng(seed))
}

/// Sends the proof that a user makes for this end of this link.
fn prove(link: &mut Link, user: &Identity, end: LinkEnd) {
    let proof = LinkProof::sign(user, &link.channel_binding(), end);
    block_on(link.send(codec::encode(&proof).into())).unwrap();
}

fn receive(link: &mut Link) -> Bytes {
    block_on(link.next()).unwrap().unwrap()
}

/// Who a received proof says is at that end.
fn verify(link: &Link, proof: &[u8], end: LinkEnd) -> Option<UserId> {
    codec::decode::<LinkProof>(proof, 128).unwrap().verify(&link.channel_binding(), end)
}

#[test]
fn both_users_prove_themselves_over_the_link() {
    let (mut here, mut there) = link(1, 2);
    let (ada, bob) = (user(11), user(12));
    prove(&mut here, &ada, LinkEnd::Opener);
    prove(&mut there, &bob, LinkEnd::Acceptor);
    let proof = receive(&mut there);
    assert_eq!(verify(&there, &proof, LinkEnd::Opener), Some(ada.user()));
    let proof = receive(&mut here);
    assert_eq!(verify(&here, &proof, LinkEnd::Acceptor), Some(bob.user()));
}

#[test]
fn a_proof_that_is_relayed_by_somebody_in_between_says_nothing() {
    // Ada connects to Eve, whom she takes for Bob; Eve connects to Bob and passes all on.
    let (mut ada_side, mut eve_to_ada) = link(1, 3);
    let (mut eve_to_bob, mut bob_side) = link(3, 2);
    let (ada, bob) = (user(11), user(12));
    prove(&mut ada_side, &ada, LinkEnd::Opener);
    prove(&mut bob_side, &bob, LinkEnd::Acceptor);
    let from_ada = receive(&mut eve_to_ada);
    // Eve has a proof that Ada is at her end of *this* link, which is true.
    assert_eq!(verify(&eve_to_ada, &from_ada, LinkEnd::Opener), Some(ada.user()));
    block_on(eve_to_bob.send(from_ada)).unwrap();
    let from_bob = receive(&mut eve_to_bob);
    block_on(eve_to_ada.send(from_bob)).unwrap();
    let at_bob = receive(&mut bob_side);
    assert_eq!(verify(&bob_side, &at_bob, LinkEnd::Opener), None);
    let at_ada = receive(&mut ada_side);
    assert_eq!(verify(&ada_side, &at_ada, LinkEnd::Acceptor), None);
}

#[test]
fn a_proof_that_is_sent_back_says_nothing() {
    let (mut here, mut there) = link(1, 2);
    prove(&mut here, &user(11), LinkEnd::Opener);
    let proof = receive(&mut there);
    block_on(there.send(proof)).unwrap();
    let returned = receive(&mut here);
    assert_eq!(verify(&here, &returned, LinkEnd::Acceptor), None);
}

#[test]
fn a_proof_of_an_earlier_link_between_the_same_devices_says_nothing() {
    let (mut here, mut there) = link(1, 2);
    prove(&mut here, &user(11), LinkEnd::Opener);
    let proof = receive(&mut there);
    let (here, there) = memory(4);
    let keys = [1, 2].map(|seed| LinkKey::generate(&mut rng(seed)));
    let (clock, mut one, mut two) = (StoppedClock, rng(77), rng(78));
    let (_here, there) = block_on(try_join(
        NoiseTransport::establish(here, LinkEnd::Opener, &keys[0], &clock, &mut one),
        NoiseTransport::establish(there, LinkEnd::Acceptor, &keys[1], &clock, &mut two),
    ))
    .unwrap();
    assert_eq!(verify(&there, &proof, LinkEnd::Opener), None);
}

/// The users that the two ends of a link between two nodes get to know, and the bytes of it.
fn meet(pool: &mut LocalPool, nodes: [&Node; 2], role: Role) -> [Vec<UserId>; 2] {
    let (here, there) = link(1, 2);
    let known = [here, there].into_iter().zip(nodes).zip([role, Role::Accept]);
    let known: Vec<_> = known
        .map(|((transport, node), role)| {
            let users = Rc::new(RefCell::new(Vec::new()));
            let seen = Rc::clone(&users);
            let run = node.run(transport, role, move |event| {
                if let SyncEvent::Peer { user } = event {
                    seen.borrow_mut().push(user);
                }
            });
            let handle = pool.spawner().spawn_local_with_handle(run.map(|_| ())).unwrap();
            (users, handle)
        })
        .collect();
    pool.run_until_stalled();
    let mut known = known.into_iter().map(|(users, _link)| users.borrow().clone());
    std::array::from_fn(|_| known.next().unwrap())
}

#[test]
fn nodes_on_an_encrypted_link_that_stays_or_moves_something_know_their_users() {
    let replicas = [1, 2].map(|seed| common::replica(seed, &[&common::festival(1)]));
    let users = [&replicas[0], &replicas[1]].map(|replica| replica.user());
    let nodes = replicas.map(|replica| Node::new(replica, StoppedClock, rng(5)));
    let pair = [&nodes[0], &nodes[1]];
    let mut pool = LocalPool::new();
    // They hold the same.
    assert_eq!(meet(&mut pool, pair, Role::Sync), [vec![], vec![]]);
    let known = [vec![users[1]], vec![users[0]]];
    assert_eq!(meet(&mut pool, pair, Role::Link), known);
    let mut author = common::Author::new(11, common::festival(1).id());
    nodes[0].with(|replica| author.fill(replica, 3, 10));
    assert_eq!(meet(&mut pool, pair, Role::Sync), known);
    assert_eq!(meet(&mut pool, pair, Role::Sync), [vec![], vec![]]);
    assert_eq!(nodes[1].with(|replica| common::logs(replica)).len(), 1);
}
