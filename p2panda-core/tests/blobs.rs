//! Blobs: verified piece by piece, kept as they come, gone on with after any cut.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{fs, path::Path};

use p2panda_core::{
    BlobError, BlobId, BlobPiece, BlobProgress, BlobStore, EditError, Identity, MAX_BLOB, PIECE,
    Replica,
    schema::{Event, FestivalInfo, Instant, Value},
    store::{MemoryStore, NoResume},
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

const SIZES: [usize; 9] =
    [1, 1024, 1025, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 5, 17 * PIECE - 1024];

fn bytes(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    ChaCha20Rng::seed_from_u64(size as u64).fill_bytes(&mut bytes);
    bytes
}

fn with(size: usize) -> (BlobStore, BlobId, Vec<u8>) {
    let (mut store, bytes) = (BlobStore::memory(), bytes(size));
    let id = store.add(&bytes[..]).unwrap();
    (store, id, bytes)
}

/// All pieces, the last one first.
fn pieces(from: &mut BlobStore, id: &BlobId) -> Vec<BlobPiece> {
    let last = from.last_piece(id).unwrap().unwrap();
    let others = (0..last.index).map(|index| from.piece(id, index).unwrap().unwrap());
    let others: Vec<_> = others.collect();
    [last].into_iter().chain(others).collect()
}

#[test]
fn a_blob_of_any_size_travels_in_pieces() {
    for size in SIZES {
        let (mut ada, id, bytes) = with(size);
        assert_eq!(id, BlobId::of(&bytes), "the id is the plain BLAKE3 hash");
        assert_eq!(id.as_bytes(), blake3::hash(&bytes).as_bytes());
        let mut bob = BlobStore::memory();
        assert_eq!(bob.progress(&id).unwrap(), BlobProgress::Absent);
        let pieces = pieces(&mut ada, &id);
        assert_eq!(pieces.len(), size.div_ceil(PIECE));
        for (at, piece) in pieces.iter().enumerate() {
            assert!(piece.bytes.len() <= BlobPiece::MAX_BYTES);
            assert!(bob.insert(&id, piece).unwrap());
            assert!(!bob.insert(&id, piece).unwrap(), "once");
            assert_eq!(bob.missing(&id, usize::MAX).unwrap().len(), pieces.len() - at - 1);
        }
        assert_eq!(bob.read(&id).unwrap(), Some(bytes));
        assert_eq!(bob.progress(&id).unwrap(), BlobProgress::Whole { size: size as u64 });
        // Who has it whole serves it.
        assert_eq!(self::pieces(&mut bob, &id), pieces);
        assert_eq!(ada.piece(&id, u32::try_from(pieces.len()).unwrap()).unwrap(), None);
    }
}

#[test]
fn garbage_is_found_in_its_piece_and_nothing_of_it_is_kept() {
    for size in SIZES {
        let (mut ada, id, _) = with(size);
        let pieces = pieces(&mut ada, &id);
        let mut bob = BlobStore::memory();
        let refuse = |bob: &mut BlobStore, piece: &BlobPiece| {
            let refused = bob.insert(&id, piece);
            assert!(matches!(refused, Err(BlobError::Garbage(of)) if of == id), "{refused:?}");
        };
        for piece in &pieces {
            let length = piece.bytes.len();
            for at in [0, 31, 32, 63, 64, length / 2, length - 1] {
                let mut bent = piece.clone();
                bent.bytes[at.min(length - 1)] ^= 1;
                refuse(&mut bob, &bent);
            }
            let longer = [&piece.bytes[..], &[0]].concat();
            let shorter = piece.bytes[..length - 1].to_vec();
            for bytes in [longer, shorter, Vec::new()] {
                refuse(&mut bob, &BlobPiece { bytes, ..piece.clone() });
            }
            for index in [piece.index + 1, piece.index ^ 1, u32::MAX] {
                refuse(&mut bob, &BlobPiece { index, ..piece.clone() });
            }
        }
        // Whatever else is claimed of its size, the last piece does not prove it.
        let last = &pieces[0];
        let sizes = [0, 1, last.size - 1, last.size + 1, last.size * 2, MAX_BLOB, u64::MAX];
        for size in sizes.into_iter().filter(|size| *size != last.size) {
            refuse(&mut bob, &BlobPiece { size, ..last.clone() });
        }
        assert_eq!(bob.progress(&id).unwrap(), BlobProgress::Absent);
    }
}

#[test]
fn a_size_that_the_last_piece_did_not_prove_is_no_beginning() {
    let (mut ada, id, _) = with(3 * PIECE + 5);
    let mut first = ada.piece(&id, 0).unwrap().unwrap();
    let mut bob = BlobStore::memory();
    assert!(!bob.insert(&id, &first).unwrap());
    assert_eq!(bob.progress(&id).unwrap(), BlobProgress::Absent);
    // As many pieces, so that this one holds; but not the size that was proved.
    bob.insert(&id, &ada.last_piece(&id).unwrap().unwrap()).unwrap();
    first.size += 1;
    assert!(matches!(bob.insert(&id, &first), Err(BlobError::Garbage(_))));
}

#[test]
fn what_has_come_outlives_the_process_and_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ada, id, bytes) = with(10 * PIECE + 7);
    let pieces = pieces(&mut ada, &id);
    for (at, piece) in pieces.iter().enumerate() {
        // Opened anew for each piece.
        let mut bob = BlobStore::folder(folder.path().join("blobs")).unwrap();
        assert_eq!(bob.missing(&id, usize::MAX).unwrap().len(), if at == 0 { 0 } else { 11 - at });
        assert!(bob.insert(&id, piece).unwrap());
        assert_eq!(bob.is_durable(), at + 1 == pieces.len(), "a whole one is durable at once");
        bob.flush().unwrap();
        assert!(bob.is_durable());
    }
    let bob = BlobStore::folder(folder.path().join("blobs")).unwrap();
    assert_eq!(bob.read(&id).unwrap().as_ref(), Some(&bytes));
    assert!(bob.list().eq([(id, bytes.len() as u64)]));
    let mut left: Vec<_> = names(&folder.path().join("blobs"));
    left.sort();
    assert_eq!(left, [id.to_string(), format!("{id}.tree")]);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_power_cut_costs_the_pieces_that_were_not_durable_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ada, id, bytes) = with(10 * PIECE + 7);
    let pieces = pieces(&mut ada, &id);
    let open = || BlobStore::folder(folder.path()).unwrap();
    let mut bob = open();
    pieces[..4].iter().for_each(|piece| assert!(bob.insert(&id, piece).unwrap()));
    bob.flush().unwrap();
    pieces[4..6].iter().for_each(|piece| assert!(bob.insert(&id, piece).unwrap()));
    drop(bob); // without a flush
    assert_eq!(open().missing(&id, 99).unwrap().len(), 7);
    // A number that was cut off in the middle.
    let got = folder.path().join(format!("{id}.got"));
    let length = fs::metadata(&got).unwrap().len();
    fs::OpenOptions::new().write(true).open(&got).unwrap().set_len(length - 2).unwrap();
    assert_eq!(open().missing(&id, 99).unwrap().len(), 8);
    // A piece that is said to be here and was lost: found out before the blob counts.
    let part = folder.path().join(format!("{id}.part"));
    let mut spoilt = fs::read(&part).unwrap();
    spoilt[10 * PIECE] ^= 1;
    fs::write(&part, &spoilt).unwrap();
    let mut bob = open();
    pieces.iter().for_each(|piece| _ = bob.insert(&id, piece).unwrap());
    assert_eq!(bob.progress(&id).unwrap(), BlobProgress::Absent);
    assert_eq!(names(folder.path()), [""; 0]);
    pieces.iter().for_each(|piece| assert!(bob.insert(&id, piece).unwrap()));
    assert_eq!(bob.read(&id).unwrap(), Some(bytes));
}

#[test]
fn a_blob_that_is_spoilt_on_disk_is_not_served_and_can_be_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut ada = BlobStore::folder(folder.path()).unwrap();
    let bytes = bytes(2 * PIECE);
    let id = ada.add(&bytes[..]).unwrap();
    let mut spoilt = bytes.clone();
    spoilt[PIECE] ^= 1;
    fs::write(folder.path().join(id.to_string()), spoilt).unwrap();
    assert!(ada.piece(&id, 0).unwrap().is_some());
    assert_eq!(ada.piece(&id, 1).unwrap(), None);
    assert_eq!(ada.progress(&id).unwrap(), BlobProgress::Absent);
    assert_eq!(ada.add(&bytes[..]).unwrap(), id);
    assert!(ada.piece(&id, 1).unwrap().is_some());
}

#[test]
fn what_is_empty_or_too_large_is_no_blob() {
    let mut store = BlobStore::memory();
    assert!(matches!(store.add(&b""[..]), Err(BlobError::Size)));
    assert_eq!(store.list().count(), 0);
    assert_eq!(BlobPiece::count(MAX_BLOB), Some(16384));
    assert_eq!([BlobPiece::count(0), BlobPiece::count(MAX_BLOB + 1)], [None, None]);
}

#[test]
fn sessions_ask_for_different_pieces_as_long_as_there_are_any() {
    let (mut ada, id, _) = with(5 * PIECE);
    let mut bob = BlobStore::memory();
    bob.insert(&id, &ada.last_piece(&id).unwrap().unwrap()).unwrap();
    for index in bob.missing(&id, 3).unwrap() {
        bob.ask(&id, index);
    }
    assert_eq!(bob.missing(&id, 1).unwrap(), [3]);
    // Then for those that somebody else was asked for, who may have gone.
    assert_eq!(bob.missing(&id, 9).unwrap(), [3, 0, 1, 2]);
    bob.remove(&id).unwrap();
    assert_eq!(bob.progress(&id).unwrap(), BlobProgress::Absent);
}

#[test]
fn a_festival_says_which_blobs_it_refers_to_and_from_where() {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let identity = Identity::generate(&mut rng);
    let store = Box::new(MemoryStore::new());
    let mut ada = Replica::open(store, identity, Box::new(NoResume)).unwrap();
    let now = Instant::from_millis(0);
    let festival = ada.create_festival(&FestivalInfo::default(), now, &mut rng).unwrap().id();
    let [one, two, three] = [1, 2, 3].map(|byte| BlobId::of(&[byte]));
    let show = Event { images: [one, two].into(), files: [two].into(), ..Event::default() };
    let show_id = ada.edit(festival, now, &mut rng, |edit| edit.create(&show)).unwrap();
    // A kind of an application's own, one name that is no blob, and one that was taken out.
    let menu: Vec<(String, bool)> =
        vec![(two.to_string(), true), ("soup".into(), true), (three.to_string(), false)];
    let menu_id = ada
        .edit(festival, now, &mut rng, |edit| {
            let id = edit.create(&Event::default())?;
            edit.set(&id, &["kind"], "org.example/menu".into())?;
            let files = menu.into_iter().map(|(name, is)| (name, is.into())).collect();
            edit.set(&id, &["files"], Value::Map(files))?;
            Ok::<_, EditError>(id)
        })
        .unwrap();
    let sorted = |mut blobs: Vec<BlobId>| {
        blobs.sort();
        blobs
    };
    let view = ada.view(festival);
    assert_eq!(view.blobs().unwrap(), sorted(vec![one, two]));
    let mut both = vec![show_id.clone(), menu_id.clone()];
    both.sort();
    assert_eq!(view.entities_with(&two).unwrap(), both);
    assert_eq!(view.entities_with(&one).unwrap(), std::slice::from_ref(&show_id));
    assert_eq!(view.entities_with(&three).unwrap(), []);
    let less = Event { images: [one].into(), ..Event::default() };
    ada.edit(festival, now, &mut rng, |edit| edit.update(&show_id, &less)).unwrap();
    assert_eq!(ada.view(festival).entities_with(&two).unwrap(), std::slice::from_ref(&menu_id));
    ada.edit(festival, now, &mut rng, |edit| edit.delete(&menu_id, &[])).unwrap();
    assert_eq!(ada.view(festival).blobs().unwrap(), [one]);
    ada.leave_festival(festival).unwrap();
    assert_eq!(ada.view(festival).blobs().unwrap(), []);
}
