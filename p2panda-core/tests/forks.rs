//! Authors that sign two chains of one log: the cut is the same at every peer that knows of it.
#![allow(clippy::unwrap_used)]

mod common;

use common::{forks::*, *};
use p2panda_core::{
    Accepted, BLOCK, EditError, ForkError, ForkEvidence, ForkOutcome, ForkProof, Identity,
    Incarnation, LogId, MAX_KEPT_FORKS, Replica, Run, Tip, VerifiedSegment,
    store::{NoResume, Store, Table},
};
use rand_chacha::{ChaCha20Rng, rand_core::Rng as _};

#[test]
fn a_fork_is_proved_cut_and_shown() {
    let mut rng = rng(100);
    let Twins { mut ada, mut clone, festival, log } = twins(&mut rng, 3);
    put(&mut ada, festival, "a", &event("a"), &mut rng);
    put(&mut clone, festival, "b", &event("b"), &mut rng);
    let mut bob = replica(&Identity::generate(&mut rng));
    bob.join(&ada.festival(festival).unwrap().unwrap()).unwrap();
    hand_over(&ada, &mut bob, festival);
    assert_eq!(titles(&bob, festival), ["a", "common 0", "common 1", "common 2"]);

    let descriptor = ada.descriptor(&log.document).unwrap().unwrap();
    let other = clone.segment(&log, 4).unwrap().unwrap().into_segment();
    assert_eq!(bob.accept(&descriptor, other).unwrap(), Accepted::Cut { at: 4 });
    assert_eq!(titles(&bob, festival), ["common 0", "common 1", "common 2"]);
    assert_eq!(bob.held(&log).unwrap().unwrap().length, 4);
    let forks = bob.forks(festival).unwrap();
    assert_eq!((forks.len(), forks[0].log, forks[0].author), (1, log, ada.user()));
    assert_eq!(forks[0].branches.len(), 1, "what was held is kept, what came is not");
    assert_eq!(forks[0].branches[0].entries, 1);

    // A third party needs nothing but the evidence.
    let evidence = bob.fork_evidence(&log).unwrap().unwrap();
    let evidence = ForkEvidence::from_bytes(&evidence.to_bytes()).unwrap();
    assert_eq!(evidence.verify().unwrap().at().length, 4);
    let mut wrong = evidence.clone();
    wrong.prefix.pop();
    assert_eq!(wrong.verify(), Err(ForkError::NoParting));
    let mut wrong = evidence;
    wrong.descriptor.user = bob.user();
    assert_eq!(wrong.verify(), Err(ForkError::NoParting));

    // Whoever learns of it later, from the proof alone, comes to the same.
    for late in [&mut ada, &mut clone] {
        let proof = bob.fork_proof(&log).unwrap().unwrap().into_proof();
        let outcome = late.accept_fork(&descriptor, proof.clone()).unwrap();
        assert_eq!(outcome, ForkOutcome::Cut { at: 4 });
        let again = late.accept_fork(&descriptor, proof).unwrap();
        assert_eq!(again, ForkOutcome::Known { at: 4 });
        assert_equal(late, &bob);
    }
    // And who meets the cut log first gets it with the proof.
    let mut carl = replica(&Identity::generate(&mut rng));
    carl.join(&ada.festival(festival).unwrap().unwrap()).unwrap();
    meet(&mut bob, &mut carl, festival);
    assert_equal(&bob, &carl);
    assert_eq!(carl.forks(festival).unwrap()[0].at, bob.forks(festival).unwrap()[0].at);
}

#[test]
fn an_author_who_was_set_back_writes_the_lost_branch_again_with_one_call() {
    let mut rng = rng(101);
    let Twins { mut ada, mut clone, festival, log } = twins(&mut rng, 2);
    put(&mut ada, festival, "set", &event("written before the image was set back"), &mut rng);
    put(&mut ada, festival, "common-0", &event("changed"), &mut rng);
    put(&mut clone, festival, "b", &event("written after"), &mut rng);
    let descriptor = ada.descriptor(&log.document).unwrap().unwrap();
    // Another device of the same user has built on the branch that will be cut.
    let mut laptop = replica(&ada_key());
    laptop.join(&ada.festival(festival).unwrap().unwrap()).unwrap();
    hand_over(&ada, &mut laptop, festival);
    put(&mut laptop, festival, "set", &event("and changed on the laptop"), &mut rng);
    hand_over(&laptop, &mut ada, festival);

    let segment = clone.segment(&log, 3).unwrap().unwrap().into_segment();
    assert_eq!(ada.accept(&descriptor, segment).unwrap(), Accepted::Cut { at: 3 });
    assert_eq!(titles(&ada, festival), ["common 0", "common 1"]);
    let fork = ada.forks(festival).unwrap().remove(0);
    let branch = |entries| {
        let branch = fork.branches.iter().find(|branch| branch.entries == entries);
        branch.unwrap().end.chain
    };
    assert_eq!(fork.branches.len(), 2, "an author keeps both: {:?}", fork.branches);
    let changes = ada.reissue(&log, &branch(2), NOW, &mut rng).unwrap();
    assert_eq!(changes, 3, "two of the branch and one that depended on it");
    let all = ["and changed on the laptop", "changed", "common 1"];
    assert_eq!(titles(&ada, festival), all);
    ada.reissue(&log, &branch(1), NOW, &mut rng).unwrap();
    assert_eq!(ada.forks(festival).unwrap()[0].branches, []);
    let again = ada.reissue(&log, &branch(1), NOW, &mut rng);
    assert!(matches!(again, Err(EditError::NothingToReissue(_))), "{again:?}");

    // Everybody, the other device too, sees what was written again.
    for (other, titled) in [(&mut clone, 4), (&mut laptop, 5)] {
        meet(&mut ada, other, festival);
        assert_equal(&ada, other);
        assert_eq!(titles(other, festival).len(), titled);
        put(other, festival, &titled.to_string(), &event("on it goes"), &mut rng);
        meet(&mut ada, other, festival);
        assert_equal(&ada, other);
    }
    assert_eq!(ada.forks(festival).unwrap().len(), 1, "nobody forked anybody again");
}

#[test]
fn proofs_that_prove_nothing_are_refused_by_kind() {
    let mut rng = rng(102);
    let liar = Liar::new(&mut rng);
    let log = liar.log(1);
    let tip = Tip::start(&log);
    let chain = |names: &[&str]| liar.segment(log, &tip, names);
    let run = |names: &[&str]| run_of(&chain(names));
    let good = ForkProof::between(log, &tip, run(&["x", "a"]), run(&["x", "b", "c"])).unwrap();
    assert_eq!(good.at.length, 1);
    assert!(good.clone().verify(&liar.user()).is_ok());
    assert_eq!(ForkProof::from_bytes(&good.to_bytes()).unwrap(), good);
    assert!(ForkProof::between(log, &tip, run(&["x"]), run(&["x", "b"])).is_none());

    let wrong = |change: &dyn Fn(&mut ForkProof)| {
        let mut proof = good.clone();
        change(&mut proof);
        proof.verify(&liar.user()).unwrap_err()
    };
    assert_eq!(wrong(&|proof| proof.runs.swap(0, 1)), ForkError::NoParting);
    assert_eq!(wrong(&|proof| proof.runs[1] = proof.runs[0].clone()), ForkError::NoParting);
    assert_eq!(wrong(&|proof| proof.runs[0].hashes.clear()), ForkError::Length);
    assert_eq!(wrong(&|proof| proof.at.length = BLOCK - 1), ForkError::Length);
    assert_eq!(wrong(&|proof| proof.at.length = u64::MAX), ForkError::Length);
    assert_eq!(wrong(&|proof| proof.at.length = 2), ForkError::Signature);
    assert_eq!(wrong(&|proof| proof.log.incarnation = inc(9)), ForkError::Signature);
    assert_eq!(wrong(&|proof| proof.runs[1].hashes.truncate(1)), ForkError::Signature);
    let stranger = Identity::generate(&mut rng).user();
    assert_eq!(good.verify(&stranger), Err(ForkError::Signature));

    // The longest proof there can be fits its bound.
    let long: Vec<String> = (0..128).map(|n| n.to_string()).collect();
    let left: Vec<&str> = long.iter().map(String::as_str).collect();
    let right: Vec<&str> = left.iter().rev().copied().collect();
    let proof = ForkProof::between(log, &tip, run(&left), run(&right)).unwrap();
    assert!(proof.to_bytes().len() <= p2panda_core::MAX_FORK_PROOF);
    assert!(ForkProof::from_bytes(&proof.to_bytes()).unwrap().verify(&liar.user()).is_ok());
}

#[test]
fn a_proof_before_its_log_waits_and_phantoms_do_not_keep_it_out() {
    let mut rng = rng(103);
    let liar = Liar::new(&mut rng);
    let log = liar.log(1);
    let start = Tip::start(&log);
    let prefix = liar.segment(log, &start, &["a", "b"]);
    let left = liar.segment(log, prefix.end(), &["c"]);
    let right = liar.segment(log, prefix.end(), &["d"]);
    let real = ForkProof::between(log, prefix.end(), run_of(&left), run_of(&right)).unwrap();
    // A chain that nobody ever saw, parting at the same length and below.
    let phantom = |name: &str| {
        let never = liar.segment(log, &start, &[name, "y"]);
        let (one, two) =
            (liar.segment(log, never.end(), &["1"]), liar.segment(log, never.end(), &["2"]));
        ForkProof::between(log, never.end(), run_of(&one), run_of(&two)).unwrap()
    };
    let other = liar.log(9);
    let other = liar.segment(other, &Tip::start(&other), &["other"]).into_segment();
    let mut bob = liar.reader(&mut rng);
    bob.accept(&liar.descriptor, other.clone()).unwrap();
    assert_eq!(bob.accept_fork(&liar.descriptor, real.clone()).unwrap(), ForkOutcome::Unknown);
    for name in ["p1", "p2", "p3", "p4", "p5"] {
        let outcome = bob.accept_fork(&liar.descriptor, phantom(name)).unwrap();
        assert_eq!(outcome, ForkOutcome::Unknown);
    }
    let whole = liar.segment(log, &start, &["a", "b", "c"]).into_segment();
    assert_eq!(bob.accept(&liar.descriptor, whole).unwrap(), Accepted::New { entries: 2 });
    assert_eq!(bob.forks(liar.festival).unwrap()[0].at, *prefix.end());
    bob.flush().unwrap();

    // Where phantoms came first, the real one acts when it comes with its prefix.
    let mut carl = liar.reader(&mut rng);
    carl.accept(&liar.descriptor, other).unwrap();
    for name in ["p1", "p2", "p3", "p4", "p5"] {
        carl.accept_fork(&liar.descriptor, phantom(name)).unwrap();
    }
    assert_eq!(carl.accept_fork(&liar.descriptor, real).unwrap(), ForkOutcome::Unknown);
    meet(&mut bob, &mut carl, liar.festival);
    assert_equal(&bob, &carl);
    let outcome = carl.accept_fork(&liar.descriptor, phantom("p1")).unwrap();
    assert_eq!(outcome, ForkOutcome::Known { at: 2 });

    // A phantom about another chain than the one held does nothing.
    let mut dora = liar.reader(&mut rng);
    dora.accept(&liar.descriptor, prefix.into_segment()).unwrap();
    let outcome = dora.accept_fork(&liar.descriptor, phantom("p1")).unwrap();
    assert_eq!(outcome, ForkOutcome::OtherChain);
    assert_eq!(dora.forks(liar.festival).unwrap(), []);
}

#[test]
fn a_log_that_forks_at_its_first_entry_is_cut_to_nothing_and_not_absent() {
    let mut rng = rng(104);
    let liar = Liar::new(&mut rng);
    let log = liar.log(1);
    let start = Tip::start(&log);
    let (left, right) = (liar.segment(log, &start, &["a"]), liar.segment(log, &start, &["b"]));
    let mut bob = liar.reader(&mut rng);
    bob.accept(&liar.descriptor, left.clone().into_segment()).unwrap();
    let cut = Accepted::Cut { at: 0 };
    assert_eq!(bob.accept(&liar.descriptor, right.clone().into_segment()).unwrap(), cut);
    assert_eq!(bob.logs(liar.festival).unwrap().len(), 1);
    for _ in 0..2 {
        assert_eq!(bob.accept(&liar.descriptor, left.clone().into_segment()).unwrap(), cut);
        assert_eq!(bob.accept(&liar.descriptor, right.clone().into_segment()).unwrap(), cut);
    }
    let later = liar.segment(log, left.end(), &["later"]).into_segment();
    assert_eq!(bob.accept(&liar.descriptor, later).unwrap(), cut);
    let mut carl = liar.reader(&mut rng);
    let before = carl.fingerprint_logs().unwrap();
    meet(&mut bob, &mut carl, liar.festival);
    assert_equal(&bob, &carl);
    assert_ne!(carl.fingerprint_logs().unwrap(), before);
}

#[test]
fn a_segment_that_ends_in_a_fork_proof_is_checked_like_any_other() {
    let mut rng = rng(105);
    let liar = Liar::new(&mut rng);
    let log = liar.log(1);
    let start = Tip::start(&log);
    let mut bob = liar.reader(&mut rng);
    for names in [["a", "b", "c"], ["a", "b", "d"]] {
        let whole = liar.segment(log, &start, &names).into_segment();
        bob.accept(&liar.descriptor, whole).unwrap();
    }
    let sealed = bob.segment(&log, 0).unwrap().unwrap().into_segment();
    assert_eq!(sealed.payloads.len(), 2);
    let mut short = sealed.clone();
    short.payloads.pop();
    let mut other = sealed.clone();
    other.payloads[1] = b"z".to_vec();
    let mut carl = liar.reader(&mut rng);
    for wrong in [short, other] {
        assert!(carl.accept(&liar.descriptor, wrong).is_err());
        assert_eq!(carl.logs(liar.festival).unwrap(), []);
    }
    assert_eq!(carl.accept(&liar.descriptor, sealed).unwrap(), Accepted::New { entries: 2 });
    carl.flush().unwrap();
    assert_equal(&bob, &carl);
}

/// Every peer learns the branches, proofs, phantoms and cuts of several logs in an order of its own.
#[test]
fn whatever_the_order_of_learning_all_peers_cut_alike() {
    let runs = std::env::var("P2PANDA_FORKS").ok().and_then(|runs| runs.parse().ok());
    let mut all_cuts = 0;
    for seed in 0..runs.unwrap_or(150_u64) {
        let mut rng = rng(seed);
        let liar = Liar::new(&mut rng);
        let pieces = liar.tangle(&mut rng);
        let mut peers: Vec<_> = (0..3).map(|_| liar.reader(&mut rng)).collect();
        for _ in 0..pieces.len() * 2 {
            let peer = pick(&mut rng, 3);
            if rng.next_u32().is_multiple_of(8) {
                let other = (peer + 1 + pick(&mut rng, 2)) % 3;
                meet_two(&mut peers, peer, other, liar.festival);
                continue;
            }
            match &pieces[pick(&mut rng, pieces.len())] {
                Piece::Segment(segment) => {
                    drop(peers[peer].accept(&liar.descriptor, segment.clone()));
                }
                Piece::Proof(proof) => {
                    peers[peer].accept_fork(&liar.descriptor, proof.clone()).unwrap();
                }
            }
        }
        for round in 0..6 {
            meet_two(&mut peers, round % 3, (round + 1) % 3, liar.festival);
        }
        assert_equal(&peers[0], &peers[1]);
        assert_equal(&peers[1], &peers[2]);
        let cuts = |n: usize| -> Vec<(LogId, Tip)> {
            let forks = peers[n].forks(liar.festival).unwrap();
            forks.into_iter().map(|fork| (fork.log, fork.at)).collect()
        };
        assert_eq!(cuts(0), cuts(1), "seed {seed}");
        all_cuts += cuts(0).len();
    }
    assert!(all_cuts > 100, "the tangles are tangled enough: {all_cuts}");
}

fn inc(n: u8) -> Incarnation {
    Incarnation::from_bytes([n; 8])
}

fn run_of(segment: &VerifiedSegment) -> Run {
    run_of_segment(&segment.clone().into_segment())
}

/// Real edits on three copies of one device, and on a laptop of the same user that merges what it
/// meets: rows that came from entries behind a cut go everywhere, whatever each peer saw before.
/// Of three branches two part at entry 5 and the third at entry 3, all in one block, and none is
/// signed between. A peer cut at 5 has no signature of its own behind 3 but those in the proof.
#[test]
fn f1_a_lower_parting_in_the_same_block_is_proved_by_own_hashes_and_a_run_of_the_kept_proof() {
    let mut rng = rng(111);
    let liar = Liar::new(&mut rng);
    let log = liar.log(1);
    let start = Tip::start(&log);
    let branch = |names: &[&str]| liar.segment(log, &start, names).into_segment();
    let (one, other) = (["a", "b", "c", "d", "e", "x"], ["a", "b", "c", "d", "e", "y"]);
    let lower = ["a", "b", "c", "z", "w"];
    let cut_at_five = |rng: &mut ChaCha20Rng| {
        let mut peer = liar.reader(rng);
        peer.accept(&liar.descriptor, branch(&one)).unwrap();
        let cut = peer.accept(&liar.descriptor, branch(&other)).unwrap();
        assert_eq!(cut, Accepted::Cut { at: 5 });
        peer
    };
    let with_lower = |rng: &mut ChaCha20Rng| {
        let mut peer = liar.reader(rng);
        peer.accept(&liar.descriptor, branch(&lower)).unwrap();
        peer
    };

    // By the segment itself, by its run, and by what two peers say to each other.
    let mut by_segment = cut_at_five(&mut rng);
    let cut = by_segment.accept(&liar.descriptor, branch(&lower)).unwrap();
    assert_eq!(cut, Accepted::Cut { at: 3 });
    let (mut by_run, mut holder) = (cut_at_five(&mut rng), with_lower(&mut rng));
    let runs = [&by_run, &holder].map(|peer| peer.run(&log, 0).unwrap().unwrap());
    assert_eq!(runs[0].hashes.len(), 6, "its own five, and a run of the proof behind them");
    let [cut_run, lower_run] = runs;
    let outcome = by_run.accept_run(&liar.descriptor, &log, 0, lower_run).unwrap();
    assert_eq!(outcome, ForkOutcome::Cut { at: 3 });
    let outcome = holder.accept_run(&liar.descriptor, &log, 0, cut_run).unwrap();
    assert_eq!(outcome, ForkOutcome::Cut { at: 3 });
    let (mut left, mut right) = (cut_at_five(&mut rng), with_lower(&mut rng));
    meet(&mut left, &mut right, liar.festival);
    for peer in [&by_segment, &by_run, &holder, &left, &right] {
        assert_eq!(peer.held(&log).unwrap().unwrap().length, 3);
        assert_equal(peer, &left);
        let proof = peer.fork_proof(&log).unwrap().unwrap();
        assert_eq!(proof.at().length, 3);
        assert!(peer.fork_evidence(&log).unwrap().unwrap().verify().is_ok());
    }
}

#[test]
fn views_agree_after_cuts_in_every_order_and_with_a_peer_that_sees_only_the_end() {
    for seed in 0..40_u64 {
        let mut rng = rng(1000 + seed);
        let Copies { mut peers, festival, ticket } = copies(&mut rng, 3);
        for step in 0..40 {
            let peer = pick(&mut rng, peers.len());
            if pick(&mut rng, 3) > 0 && peer < 4 {
                let name = format!("e{}", pick(&mut rng, 6));
                if pick(&mut rng, 5) == 0 {
                    delete(&mut peers[peer], festival, &name, &mut rng);
                } else {
                    put(&mut peers[peer], festival, &name, &event(&step.to_string()), &mut rng);
                }
            } else {
                let other = (peer + 1 + pick(&mut rng, peers.len() - 1)) % peers.len();
                meet_two(&mut peers, peer, other, festival);
            }
        }
        for _ in 0..3 {
            for peer in 1..peers.len() {
                meet_two(&mut peers, 0, peer, festival);
            }
        }
        let mut last = replica(&Identity::generate(&mut rng));
        last.join(&ticket).unwrap();
        meet(&mut peers[0], &mut last, festival);
        for peer in &peers {
            assert_equal(peer, &last);
            assert_eq!(titles(peer, festival), titles(&last, festival), "seed {seed}");
        }
    }
}

#[test]
fn proofs_that_do_not_act_are_kept_within_a_bound() {
    let mut rng = rng(106);
    let liar = Liar::new(&mut rng);
    let store = Shared::new();
    let key = Identity::generate(&mut rng);
    let open = |store: &Shared| {
        Replica::open(Box::new(store.clone()), key.clone(), Box::new(NoResume)).unwrap()
    };
    let mut bob = open(&store);
    bob.join(&liar.ticket).unwrap();
    let kept = || store.range(Table::Forks, &[], None, usize::MAX).unwrap().len();
    // Nothing is kept of documents of which nothing is held.
    let phantom = |log: LogId, name: &str| {
        let never = liar.segment(log, &Tip::start(&log), &[name]);
        let run = |name: &str| run_of(&liar.segment(log, never.end(), &[name]));
        ForkProof::between(log, never.end(), run("1"), run("2")).unwrap()
    };
    let unknown = bob.accept_fork(&liar.descriptor, phantom(liar.log(0), "p1")).unwrap();
    assert_eq!((unknown, kept()), (ForkOutcome::Unknown, 0));
    let other = liar.log(250);
    let other = liar.segment(other, &Tip::start(&other), &["other"]).into_segment();
    bob.accept(&liar.descriptor, other).unwrap();
    for incarnation in 0..100_u8 {
        for name in ["p1", "p2", "p3", "p4", "p5"] {
            let proof = phantom(liar.log(incarnation), name);
            bob.accept_fork(&liar.descriptor, proof).unwrap();
        }
        assert!(kept() <= MAX_KEPT_FORKS * (usize::from(incarnation) + 1));
    }
    assert_eq!(kept(), 256);
    // What acts is kept all the same.
    let log = liar.log(200);
    let start = Tip::start(&log);
    for name in ["a", "b"] {
        let segment = liar.segment(log, &start, &[name]).into_segment();
        bob.accept(&liar.descriptor, segment).unwrap();
    }
    assert_eq!(bob.forks(liar.festival).unwrap().len(), 1);
    drop(bob);
    let mut bob = open(&store);
    assert_eq!(bob.forks(liar.festival).unwrap().len(), 1);
    bob.block(liar.user()).unwrap();
    assert_eq!(kept(), 0, "whoever is blocked leaves no proofs behind either");
}

/// Two own logs that built on each other are both cut: writing one again takes in the other's.
#[test]
fn a_branch_that_built_on_another_cut_log_is_written_again_with_it() {
    let mut rng = rng(107);
    let Twins { mut ada, mut clone, festival, log } = twins(&mut rng, 1);
    let ticket = ada.festival(festival).unwrap().unwrap();
    // The laptop's log forks too, and the phone's lost branch has seen its lost entry.
    let store = Shared::new();
    let open = |store: &Shared| {
        Replica::open(Box::new(store.clone()), ada_key(), Box::new(Always)).unwrap()
    };
    let mut laptop = open(&store);
    laptop.join(&ticket).unwrap();
    meet(&mut laptop, &mut ada, festival);
    put(&mut laptop, festival, "l0", &event("l0"), &mut rng);
    laptop.close(&mut rng).unwrap();
    let (mut laptop, mut other) = (open(&store), open(&store.copy()));
    put(&mut laptop, festival, "l1", &event("l1"), &mut rng);
    put(&mut other, festival, "l2", &event("l2"), &mut rng);
    meet(&mut laptop, &mut ada, festival);
    put(&mut ada, festival, "a1", &event("a1"), &mut rng);
    put(&mut clone, festival, "a2", &event("a2"), &mut rng);
    let mut bob = replica(&Identity::generate(&mut rng));
    bob.join(&ticket).unwrap();
    for peer in [&mut other, &mut clone] {
        meet(&mut bob, peer, festival);
    }
    meet(&mut bob, &mut ada, festival);
    assert_eq!(ada.forks(festival).unwrap().len(), 2);
    assert_eq!(titles(&ada, festival), ["common 0", "l0"]);
    let fork = ada.forks(festival).unwrap().into_iter().find(|fork| fork.log == log).unwrap();
    let held = fork.branches.iter().max_by_key(|branch| branch.end.length).unwrap();
    for branch in &fork.branches {
        let again = ada.reissue(&log, &branch.end.chain, NOW, &mut rng).unwrap();
        assert!(branch != held || again > 0);
    }
    assert!(titles(&ada, festival).contains(&"a1".to_owned()), "{:?}", titles(&ada, festival));
    assert!(titles(&ada, festival).contains(&"l1".to_owned()), "{:?}", titles(&ada, festival));
}

#[test]
fn a_stranger_cannot_make_a_device_leave_its_log() {
    let mut rng = rng(108);
    let Twins { mut ada, festival, log, .. } = twins(&mut rng, 1);
    let liar = Liar::in_festival(&ada.festival(festival).unwrap().unwrap(), &mut rng);
    put(&mut ada, festival, "a", &event("a"), &mut rng);
    let same = LogId { document: liar.descriptor.id(), incarnation: log.incarnation };
    let segment = liar.segment(same, &Tip::start(&same), &["x"]).into_segment();
    ada.accept(&liar.descriptor, segment).unwrap();
    put(&mut ada, festival, "b", &event("b"), &mut rng);
    let own = ada.logs(festival).unwrap();
    assert_eq!(own.iter().filter(|(other, _)| other.document == log.document).count(), 1);
}
