//! One file that holds a festival: what goes out comes in again, and nothing that was not verified.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{self, Read};

use common::{
    NOW, assert_equal, event, festival_of,
    forks::{Liar, Piece, meet},
    hand_over, put, replica, rng,
};
use p2panda_core::{
    AcceptError, Festival, Identity, Replica, SegmentError,
    archive::{ImportError, ImportFault, Imported, Refusing},
    schema::Value,
};

/// Ada's festival with three documents, and what Bob holds of it.
fn held() -> (Festival, Replica) {
    let mut rng = rng(1);
    let mut ada = replica(&Identity::from_secret(&[1; 32]));
    let festival = festival_of(&mut ada, &mut rng);
    let id = festival.id();
    for number in 0..40 {
        put(&mut ada, id, &format!("e{number}"), &event("Tea"), &mut rng);
    }
    ada.edit(id, NOW, &mut rng, |edit| edit.label("more").create(&event("Cake"))).unwrap();
    let mut bob = replica(&Identity::from_secret(&[2; 32]));
    bob.join(&festival).unwrap();
    hand_over(&ada, &mut bob, id);
    let show = put(&mut bob, id, "show", &event("Show"), &mut rng);
    let long = Value::from("x".repeat(30_000));
    for field in ["a", "b", "c", "d"] {
        bob.edit(id, NOW, &mut rng, |edit| edit.set(&show, &[field], long.clone())).unwrap();
    }
    (festival, bob)
}

fn exported(replica: &Replica, festival: &Festival) -> Vec<u8> {
    let mut file = Vec::new();
    replica.export(festival.id(), &mut file).unwrap();
    file
}

/// The entries that are held of a festival.
fn entries(replica: &Replica, festival: &Festival) -> u64 {
    replica.logs(festival.id()).unwrap().iter().map(|(_, tip)| tip.length).sum()
}

fn reader() -> Replica {
    replica(&Identity::from_secret(&[3; 32]))
}

/// A file that comes in pieces of one byte, as from a pipe.
struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let length = to.len().min(1);
        self.0.read(&mut to[..length])
    }
}

/// Where each frame starts, and its kind.
fn frames(file: &[u8]) -> Vec<(usize, u8)> {
    let mut frames = Vec::new();
    let mut at = 18;
    while at < file.len() {
        frames.push((at, file[at]));
        let length = u32::from_be_bytes(file[at + 1..at + 5].try_into().unwrap());
        at += 5 + length as usize;
    }
    assert_eq!(at, file.len());
    frames
}

#[test]
fn what_is_exported_is_imported_whole_and_exported_alike() {
    let (festival, bob) = held();
    let mut file = Vec::new();
    let out = bob.export(festival.id(), &mut file).unwrap();
    let all = entries(&bob, &festival);
    assert_eq!((out.documents, out.logs, out.entries), (3, 3, all));
    let mut carol = reader();
    let imported = carol.import(&mut Slow(&file)).unwrap();
    assert_eq!((imported.documents, imported.new, imported.refusals), (3, all, 0));
    assert_eq!(imported.festival, Some(festival.id()));
    assert_equal(&bob, &carol);
    assert!(carol.is_durable());
    assert_eq!(exported(&carol, &festival), file, "the same contents give the same bytes");

    let again = carol.import(&mut &file[..]).unwrap();
    assert_eq!((again.new, again.refusals), (0, 0));
    assert!(again.held > 0);
    assert_equal(&bob, &carol);
}

#[test]
fn a_file_that_is_cut_off_anywhere_imports_what_came_before_and_says_so() {
    let (festival, bob) = held();
    let file = exported(&bob, &festival);
    let frames = frames(&file);
    let cuts =
        frames.iter().flat_map(|(at, _)| [*at, at + 3, at + 40]).filter(|at| *at < file.len());
    let mut most = 0;
    for cut in cuts {
        let mut carol = reader();
        let ImportError { imported, why } = carol.import(&mut &file[..cut]).unwrap_err();
        assert!(matches!(why, ImportFault::Truncated { .. }), "{cut}: {why}");
        assert_eq!(imported.refusals, 0);
        let held = entries(&carol, &festival);
        assert_eq!(imported.new, held);
        most = most.max(held);
        // The whole file makes up for it.
        carol.import(&mut &file[..]).unwrap();
        assert_equal(&bob, &carol);
    }
    assert_eq!(most, entries(&bob, &festival), "all but the last frame");
    let none = reader().import(&mut &file[..7]).unwrap_err();
    assert!(matches!(none.why, ImportFault::NotAnArchive));
}

#[test]
fn a_damaged_segment_is_refused_and_the_rest_is_imported() {
    let (festival, bob) = held();
    let file = exported(&bob, &festival);
    let total = frames(&file).len() as u64;
    for (at, kind) in frames(&file).into_iter().filter(|(_, kind)| *kind != 0) {
        let mut damaged = file.clone();
        damaged[at + 5 + 50] ^= 1;
        let result = reader().import(&mut &damaged[..]);
        match kind {
            1 => assert!(matches!(result.unwrap_err().why, ImportFault::Festival(_))),
            _ => {
                let Imported { refused, refusals, new, .. } = result.unwrap();
                assert_eq!(refused.len() as u64, refusals);
                assert!(refusals > 0 && new > 0 && refusals < total, "{kind} at {at}");
                assert_eq!(refused[0].at, if kind == 3 { at as u64 } else { refused[0].at });
            }
        }
    }
}

#[test]
fn what_is_not_signed_is_not_imported() {
    let (festival, bob) = held();
    let file = exported(&bob, &festival);
    let (at, _) = *frames(&file).iter().find(|(_, kind)| *kind == 3).unwrap();
    let length = u32::from_be_bytes(file[at + 1..at + 5].try_into().unwrap()) as usize;
    let mut forged = file.clone();
    forged[at + 5 + length - 1] ^= 1; // the last byte of a signature
    let imported = reader().import(&mut &forged[..]).unwrap();
    assert!(matches!(
        imported.refused[0].why,
        Refusing::Segment(AcceptError::Segment(SegmentError::Signature))
    ));
    assert!(imported.refused[0].log.is_some());
}

#[test]
fn frames_that_only_add_are_skipped_and_others_end_the_import() {
    let (festival, bob) = held();
    let file = exported(&bob, &festival);
    let last = frames(&file).last().unwrap().0;
    let with = |kind: u8, count: u8| {
        let mut more = file[..last].to_vec();
        more.extend([kind, 0, 0, 0, 3, 1, 2, 3]);
        more.extend([0, 0, 0, 0, 1, count]);
        more
    };
    let count = file[last + 5];
    assert!(count < 23, "one byte of CBOR");
    let imported = reader().import(&mut &with(200, count + 1)[..]).unwrap();
    let all = entries(&bob, &festival);
    assert_eq!((imported.skipped, imported.new), (1, all));
    let error = reader().import(&mut &with(100, count + 1)[..]).unwrap_err();
    assert!(matches!(error.why, ImportFault::NewerFrame { kind: 100, .. }));
    assert_eq!(error.imported.new, all);
    let missing = reader().import(&mut &with(200, count)[..]).unwrap_err();
    assert!(matches!(missing.why, ImportFault::Damaged { .. }));
    let behind = [&file[..], b"x"].concat();
    let error = reader().import(&mut &behind[..]).unwrap_err();
    assert!(matches!(error.why, ImportFault::Damaged { .. }));
    let mut newer = file.clone();
    newer[16] = b'2';
    let error = reader().import(&mut &newer[..]).unwrap_err();
    assert!(matches!(error.why, ImportFault::NewerFormat));
}

#[test]
fn cut_logs_go_along_with_their_proofs() {
    let mut with_cuts = 0;
    let mut at_the_start = 0;
    for seed in 0..60 {
        let mut rng = rng(1000 + seed);
        let liar = Liar::new(&mut rng);
        let [mut bob, mut carol] = [liar.reader(&mut rng), liar.reader(&mut rng)];
        for piece in liar.tangle(&mut rng) {
            let _ = match piece {
                Piece::Segment(segment) => bob.accept(&liar.descriptor, segment).map(drop),
                Piece::Proof(proof) => bob.accept_fork(&liar.descriptor, proof).map(drop),
            };
        }
        bob.flush().unwrap();
        let mut file = Vec::new();
        bob.export(liar.festival, &mut file).unwrap();
        let imported = carol.import(&mut &file[..]).unwrap();
        let forks = bob.forks(liar.festival).unwrap();
        assert_eq!((imported.cut, imported.refusals), (forks.len() as u64, 0), "{seed}");
        at_the_start += forks.iter().filter(|fork| fork.at.length == 0).count();
        with_cuts += forks.len();
        assert_equal(&bob, &carol);
        let mut again = Vec::new();
        carol.export(liar.festival, &mut again).unwrap();
        assert_eq!(again, file);
        // Who holds another branch comes to the same by way of the file.
        let mut dan = liar.reader(&mut rng);
        for piece in liar.tangle(&mut rng) {
            if let Piece::Segment(segment) = piece {
                let _ = dan.accept(&liar.descriptor, segment);
            }
        }
        dan.import(&mut &file[..]).unwrap();
        meet(&mut dan, &mut bob, liar.festival);
        assert_equal(&bob, &dan);
    }
    assert!(with_cuts > 30 && at_the_start > 5, "{with_cuts} cuts, {at_the_start} at the start");
}

#[test]
fn a_length_beyond_its_bound_is_refused_before_anything_is_allocated() {
    let (festival, bob) = held();
    let mut file = exported(&bob, &festival);
    let (at, _) = *frames(&file).iter().find(|(_, kind)| *kind == 3).unwrap();
    file[at + 1..at + 5].copy_from_slice(&u32::MAX.to_be_bytes());
    let error = reader().import(&mut &file[..]).unwrap_err();
    assert!(matches!(error.why, ImportFault::Damaged { .. }));
    // Skipping costs no memory, however long the frame says it is.
    file[at] = 200;
    let error = reader().import(&mut &file[..]).unwrap_err();
    assert!(matches!(error.why, ImportFault::Truncated { .. }));
}

#[test]
fn a_failing_disk_is_nobody_elses_fault() {
    let (festival, bob) = held();
    let file = exported(&bob, &festival);
    let store = common::Shared::new();
    let identity = Identity::from_secret(&[3; 32]);
    let open = || {
        let resume = Box::new(p2panda_core::store::NoResume);
        Replica::open(Box::new(store.clone()), identity.clone(), resume).unwrap()
    };
    let mut carol = open();
    store.fail(true);
    assert!(matches!(carol.import(&mut &file[..]).unwrap_err().why, ImportFault::Store(_)));
    store.fail(false);
    let mut carol = open();
    carol.import(&mut &file[..]).unwrap();
    assert_equal(&bob, &carol);
}
