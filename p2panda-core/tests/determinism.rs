//! Any order of arrival of the same segments and proofs: the same raw changes, document fingerprints,
//! rows and stops, and the same to Automerge.
//!
//! Larger: `P2PANDA_ARRIVALS=500 cargo test -p p2panda-core --test determinism`
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::{
    end::{End, end},
    forks::*,
    *,
};
use p2panda_core::{
    DocumentDescriptor, Festival, FestivalId, ForkProof, Identity, Incarnation, LogId, Replica,
    Segment, Tip, VerifiedSegment,
};
use proptest::prelude::*;

/// What is handed out of one festival.
struct World {
    ticket: Festival,
    pieces: Vec<(DocumentDescriptor, Piece)>,
}

impl World {
    fn id(&self) -> FestivalId {
        self.ticket.id()
    }

    /// A log's entries in pieces of one to three.
    fn add(&mut self, key: &Identity, from: &Replica, log: &LogId, size: usize) {
        let descriptor = from.descriptor(&log.document).unwrap().unwrap();
        let mut payloads = Vec::new();
        while let Some(segment) = from.segment(log, payloads.len() as u64).unwrap() {
            payloads.extend(segment.payloads().iter().cloned());
        }
        let mut at = Tip::start(log);
        for piece in payloads.chunks(size) {
            let piece = VerifiedSegment::sign(key, *log, &at, piece.to_vec()).unwrap();
            at = *piece.end();
            self.pieces.push((descriptor.clone(), Piece::Segment(piece.into_segment())));
        }
    }

    /// What somebody makes of the pieces in this order, offering what came too early again.
    fn learn(&self, order: impl Iterator<Item = usize> + Clone) -> Replica {
        let mut peer = replica(&Identity::from_secret(&[77; 32]));
        peer.join(&self.ticket).unwrap();
        let mut before = None;
        while before != Some(peer.fingerprint_logs().unwrap()) {
            before = Some(peer.fingerprint_logs().unwrap());
            for at in order.clone() {
                match &self.pieces[at] {
                    (descriptor, Piece::Segment(segment)) => {
                        drop(peer.accept(descriptor, segment.clone()));
                    }
                    (descriptor, Piece::Proof(proof)) => {
                        peer.accept_fork(descriptor, proof.clone()).unwrap();
                    }
                }
            }
        }
        peer.flush().unwrap();
        peer
    }
}

/// A user with a forked log and a laptop that built on one branch; a friend on two devices that saw
/// each other; a log that is refused halfway; a proof.
fn world(seed: u64, size: usize) -> World {
    let mut rng = rng(seed);
    let Twins { mut ada, mut clone, festival, log } = twins(&mut rng, 2);
    let ticket = ada.festival(festival).unwrap().unwrap();
    let mut world = World { ticket: ticket.clone(), pieces: Vec::new() };
    let peer = |key: &Identity| {
        let mut peer = replica(key);
        peer.join(&ticket).unwrap();
        peer
    };
    put(&mut ada, festival, "a", &event("a"), &mut rng);
    put(&mut clone, festival, "b", &event("b"), &mut rng);
    let mut laptop = peer(&ada_key());
    put(&mut laptop, festival, "c", &event("before they met"), &mut rng);
    hand_over(&ada, &mut laptop, festival);
    for (name, title) in [("a", "built on a"), ("common-0", "changed"), ("d", "d")] {
        put(&mut laptop, festival, name, &event(title), &mut rng);
    }
    delete(&mut laptop, festival, "common-1", &mut rng);
    let friend = Identity::generate(&mut rng);
    let mut devices = [peer(&friend), peer(&friend)];
    for round in 0..3 {
        for device in &mut devices {
            put(device, festival, "shared", &event(&format!("round {round}")), &mut rng);
            put(device, festival, &format!("own-{round}"), &event("own"), &mut rng);
        }
        if round == 1 {
            let [one, other] = &mut devices;
            meet(one, other, festival);
        }
    }
    world.add(&ada_key(), &ada, &log, size);
    world.add(&ada_key(), &clone, &log, size);
    let [one, other] = &mut devices;
    meet(one, other, festival);
    for (key, replica) in [(ada_key(), &laptop), (friend, one)] {
        for (other, _) in replica.logs(festival).unwrap() {
            if other != log {
                world.add(&key, replica, &other, size);
            }
        }
    }
    // An entry that is refused, and one behind it.
    let bad = LogId { incarnation: Incarnation::from_bytes([3; 8]), ..log };
    let payloads = vec![b"no change".to_vec(), b"nor this".to_vec()];
    let refused = VerifiedSegment::sign(&ada_key(), bad, &Tip::start(&bad), payloads).unwrap();
    let descriptor = ada.descriptor(&log.document).unwrap().unwrap();
    world.pieces.push((descriptor.clone(), Piece::Segment(refused.into_segment())));
    let parting = Tip { length: 3, chain: ada.chain_at(&log, 3).unwrap().unwrap() };
    let runs = [&ada, &clone].map(|replica| replica.run(&log, 3).unwrap().unwrap());
    let [left, right] = runs;
    let proof = ForkProof::between(log, &parting, left, right).expect("they part there");
    world.pieces.push((descriptor, Piece::Proof(proof)));
    world
}

fn arrivals() -> u32 {
    std::env::var("P2PANDA_ARRIVALS").ok().and_then(|cases| cases.parse().ok()).unwrap_or(16)
}

/// What the pieces amount to in the order in which they were made.
fn first(world: &World) -> End {
    let end = end(&world.learn(0..world.pieces.len()), world.id());
    let stopped: BTreeSet<_> =
        end.stopped.iter().map(|(_, why)| *why == p2panda_core::Stopped::Waiting).collect();
    assert_eq!(stopped, [false, true].into(), "one log is refused, one waits for what was cut off");
    let (documents, entries): (usize, usize) = (
        end.documents.values().map(|document| document.changes.len()).sum(),
        end.held.values().map(|(_, payloads)| payloads.len()).sum(),
    );
    assert!(documents > 10 && documents < entries, "{documents} of {entries} entries");
    end
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 0, ..ProptestConfig::with_cases(arrivals()) })]

    #[test]
    fn any_order_of_many_segments_and_proofs_gives_the_same_changes_documents_and_rows(
        seed in 0..4_u64,
        size in 1..4_usize,
        order in any::<u64>(),
    ) {
        let world = world(7000 + seed, size);
        let expected = first(&world);
        let mut random = rng(order);
        for _ in 0..3 {
            let mut order: Vec<usize> = (0..world.pieces.len()).collect();
            for at in (1..order.len()).rev() {
                order.swap(at, pick(&mut random, at + 1));
            }
            prop_assert_eq!(&end(&world.learn(order.iter().copied()), world.id()), &expected);
        }
    }
}

#[test]
fn a_document_s_fingerprint_follows_its_valid_changes_alone() {
    let mut rng = rng(7100);
    let mut ada = replica(&Identity::generate(&mut rng));
    let festival = festival_of(&mut ada, &mut rng).id();
    let id = put(&mut ada, festival, "a", &event("a"), &mut rng).document;
    let mut seen = BTreeSet::new();
    for title in ["b", "c"] {
        put(&mut ada, festival, "a", &event(title), &mut rng);
        assert!(seen.insert(ada.document_fingerprint(&id).unwrap().unwrap()));
    }
    let before = ada.document_fingerprint(&id).unwrap();
    // An entry of another log that is refused is held and does not count.
    let key = Identity::generate(&mut rng);
    let descriptor = DocumentDescriptor { festival, user: key.user(), label: String::new() };
    let log = LogId { document: descriptor.id(), incarnation: Incarnation::from_bytes([9; 8]) };
    let one = |payload: &[u8]| -> Segment {
        VerifiedSegment::sign(&key, log, &Tip::start(&log), vec![payload.to_vec()])
            .unwrap()
            .into_segment()
    };
    ada.accept(&descriptor, one(b"no change")).unwrap();
    assert_eq!(ada.document_fingerprint(&id).unwrap(), before);
    let of_nothing = ada.document_fingerprint(&log.document).unwrap().unwrap();
    let empty = blake3::derive_key("p2panda 1 document changes", log.document.as_bytes());
    assert_eq!(of_nothing, empty);
    assert_eq!(
        ada.document_fingerprint(&p2panda_core::DocumentId::from_bytes([1; 32])).unwrap(),
        None
    );
}
