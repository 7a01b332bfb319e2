//! Every order of arrival of small sets of segments and proofs: the same end, and the one that a
//! model of the rules says.
//!
//! Larger: `P2PANDA_ORDERS=1000 cargo test --release -p p2panda-core --test orders`
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{end::end, forks::*, *};
use p2panda_core::{
    Chain, DocumentDescriptor, FestivalId, ForkProof, Identity, LogId, Replica, Seal, Segment, Tip,
    VerifiedSegment,
};
use rand_chacha::ChaCha20Rng;

/// Calls with every order of the numbers below `count`.
fn each_order(count: usize, mut call: impl FnMut(&[usize])) {
    fn place(at: usize, order: &mut Vec<usize>, call: &mut impl FnMut(&[usize])) {
        if at == order.len() {
            return call(order);
        }
        for other in at..order.len() {
            order.swap(at, other);
            place(at + 1, order, call);
            order.swap(at, other);
        }
    }
    place(0, &mut (0..count).collect(), &mut call);
}

/// Offers pieces in an order, those that came too early again until nothing changes any more.
fn learn(replica: &mut Replica, descriptor: &DocumentDescriptor, pieces: &[&Piece]) {
    let mut before = None;
    for piece in pieces {
        offer(replica, descriptor, piece);
    }
    while before != Some(replica.fingerprint_logs().unwrap()) {
        before = Some(replica.fingerprint_logs().unwrap());
        for piece in pieces {
            offer(replica, descriptor, piece);
        }
    }
    replica.flush().unwrap();
}

fn offer(replica: &mut Replica, descriptor: &DocumentDescriptor, piece: &Piece) {
    match piece {
        // Too early, or of another branch than the one held.
        Piece::Segment(segment) => drop(replica.accept(descriptor, segment.clone())),
        Piece::Proof(proof) => drop(replica.accept_fork(descriptor, proof.clone()).unwrap()),
    }
}

/// What rules F say that all of this amounts to: the log up to the lowest parting of chains that
/// start at its beginning, or to the lowest proof that lies on what they have in common.
/// `ends` are the chain values that the author signed.
fn model(log: &LogId, pieces: &[&Piece], ends: &BTreeSet<Chain>) -> (u64, bool) {
    let follows = |start: &Chain, segment: &Segment| {
        let after = |chain: Chain, payload: &Vec<u8>| chain.after(payload);
        ends.contains(&segment.payloads.iter().fold(*start, after))
    };
    let mut children: BTreeMap<Chain, BTreeSet<Chain>> = BTreeMap::new();
    let mut reached = BTreeMap::from([(Chain::start(log), 0_u64)]);
    loop {
        let known = reached.len();
        for piece in pieces {
            let Piece::Segment(segment) = piece else { continue };
            let starts: Vec<Chain> = reached
                .iter()
                .filter(|(_, length)| **length == segment.from)
                .map(|(chain, _)| *chain)
                .collect();
            for start in starts.into_iter().filter(|start| follows(start, segment)) {
                let mut chain = start;
                for (at, payload) in (segment.from + 1..).zip(&segment.payloads) {
                    let next = chain.after(payload);
                    children.entry(chain).or_default().insert(next);
                    reached.insert(next, at);
                    chain = next;
                }
            }
        }
        if reached.len() == known {
            break;
        }
    }
    let acts = |at: &Tip| {
        let proof = |piece: &&Piece| matches!(piece, Piece::Proof(proof) if proof.at == *at);
        pieces.iter().any(proof)
    };
    let mut tip = Tip::start(log);
    loop {
        let next = children.get(&tip.chain);
        if acts(&tip) || next.is_some_and(|next| next.len() > 1) {
            return (tip.length, true);
        }
        let Some(next) = next.and_then(|next| next.first()) else { return (tip.length, false) };
        tip = Tip { length: tip.length + 1, chain: *next };
    }
}

/// A few segments of one log in up to three branches, and proofs of some partings.
fn small(liar: &Liar, log: LogId, rng: &mut ChaCha20Rng) -> (Vec<Piece>, BTreeSet<Chain>) {
    let mut ends = vec![Tip::start(&log)];
    let mut segments: Vec<VerifiedSegment> = Vec::new();
    for number in 0..3 + pick(rng, 2) {
        let from = ends[pick(rng, ends.len())];
        let names: Vec<String> = (0..1 + pick(rng, 2)).map(|n| format!("{number} {n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let segment = liar.segment(log, &from, &names);
        ends.push(*segment.end());
        segments.push(segment);
    }
    let mut pieces = Vec::new();
    for one in &segments {
        for other in &segments {
            let run = |segment: &VerifiedSegment| run_of_segment(&segment.clone().into_segment());
            let proof = (one.start() == other.start() && pick(rng, 2) == 0)
                .then(|| ForkProof::between(log, one.start(), run(one), run(other)))
                .flatten();
            pieces.extend(proof.map(Piece::Proof));
        }
    }
    pieces.truncate(1);
    pieces.extend(segments.into_iter().map(|segment| Piece::Segment(segment.into_segment())));
    (pieces, ends.into_iter().map(|tip| tip.chain).collect())
}

#[test]
fn every_order_of_few_pieces_cuts_where_the_model_says() {
    let runs = std::env::var("P2PANDA_ORDERS").ok().and_then(|runs| runs.parse().ok());
    let (mut orders, mut cuts) = (0, 0);
    for seed in 0..runs.unwrap_or(30_u64) {
        let mut rng = rng(5000 + seed);
        let liar = Liar::new(&mut rng);
        let log = liar.log(1);
        let (pieces, ends) = small(&liar, log, &mut rng);
        let all: Vec<&Piece> = pieces.iter().collect();
        let expected = model(&log, &all, &ends);
        cuts += u32::from(expected.1);
        let mut same = None;
        each_order(pieces.len(), |order| {
            let mut peer = liar.reader(&mut rng);
            let ordered: Vec<&Piece> = order.iter().map(|at| &pieces[*at]).collect();
            learn(&mut peer, &liar.descriptor, &ordered);
            let length = peer.held(&log).unwrap().map_or(0, |tip| tip.length);
            let found = (length, peer.is_cut(&log).unwrap());
            assert_eq!(found, expected, "seed {seed}, order {order:?}");
            let logs = peer.fingerprint_logs().unwrap();
            assert_eq!(*same.get_or_insert(logs), logs, "seed {seed}, order {order:?}");
            orders += 1;
        });
    }
    assert!(orders > 1_000 && cuts > 5, "{orders} orders, {cuts} cuts");
}

/// Real entries of four logs of one user: two that fork, one that waits for the other, one with an
/// entry that is refused.
fn real(
    rng: &mut ChaCha20Rng,
) -> (FestivalId, p2panda_core::Festival, DocumentDescriptor, Vec<Piece>) {
    let Twins { mut ada, mut clone, festival, log } = twins(rng, 1);
    let ticket = ada.festival(festival).unwrap().unwrap();
    let descriptor = ada.descriptor(&log.document).unwrap().unwrap();
    put(&mut ada, festival, "a", &event("a"), rng);
    put(&mut clone, festival, "b", &event("b"), rng);
    let mut laptop = replica(&ada_key());
    laptop.join(&ticket).unwrap();
    meet(&mut ada, &mut laptop, festival);
    put(&mut laptop, festival, "a", &event("built on a"), rng);
    put(&mut laptop, festival, "l", &event("l"), rng);
    let mut pieces = Vec::new();
    for (replica, from) in [(&ada, 0), (&clone, 2)] {
        pieces.push(Piece::Segment(replica.segment(&log, from).unwrap().unwrap().into_segment()));
    }
    for (other, _) in laptop.logs(festival).unwrap() {
        if other != log {
            let whole = laptop.segment(&other, 0).unwrap().unwrap();
            let tip = whole.start().after(&whole.payloads()[..1]);
            let first = vec![whole.payloads()[0].clone()];
            let first = VerifiedSegment::sign(&ada_key(), other, whole.start(), first).unwrap();
            let rest = whole.payloads()[1..].to_vec();
            let rest = VerifiedSegment::sign(&ada_key(), other, &tip, rest).unwrap();
            pieces.extend([first, rest].map(|piece| Piece::Segment(piece.into_segment())));
        }
    }
    let bad = LogId { incarnation: p2panda_core::Incarnation::from_bytes([3; 8]), ..log };
    let refused = vec![b"no change".to_vec()];
    let refused = VerifiedSegment::sign(&ada_key(), bad, &Tip::start(&bad), refused).unwrap();
    pieces.push(Piece::Segment(refused.into_segment()));
    assert!(
        pieces
            .iter()
            .all(|piece| matches!(piece, Piece::Segment(Segment { seal: Seal::Signature(_), .. })))
    );
    let parting = Tip { length: 2, chain: ada.chain_at(&log, 2).unwrap().unwrap() };
    let [left, right] = [&ada, &clone].map(|replica| replica.run(&log, 2).unwrap().unwrap());
    pieces.push(Piece::Proof(ForkProof::between(log, &parting, left, right).unwrap()));
    (festival, ticket, descriptor, pieces)
}

#[test]
fn every_order_of_real_segments_and_a_proof_gives_the_same_changes_documents_rows_and_stops() {
    let mut rng = rng(6000);
    let (festival, ticket, descriptor, pieces) = real(&mut rng);
    let reader = Identity::generate(&mut rng);
    let mut same = None;
    let mut orders = 0;
    each_order(pieces.len(), |order| {
        let mut peer = replica(&reader);
        peer.join(&ticket).unwrap();
        let ordered: Vec<&Piece> = order.iter().map(|at| &pieces[*at]).collect();
        learn(&mut peer, &descriptor, &ordered);
        let end = (end(&peer, festival), titles(&peer, festival));
        let first = same.get_or_insert_with(|| end.clone());
        assert_eq!(*first, end, "order {order:?}");
        orders += 1;
    });
    assert_eq!(orders, 720);
}
