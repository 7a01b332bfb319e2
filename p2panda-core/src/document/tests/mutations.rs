//! Valid payloads, mutated: whatever still passes must be sound.

use super::{
    oracle::{Oracle, contents},
    *,
};

/// A payload with every kind of operation, two actors, and what comes before it.
fn rich() -> (Vec<(Incarnation, Vec<u8>)>, Vec<u8>) {
    let (mut document, first) = document();
    let nested = Value::Map([("x".to_owned(), 1.into()), ("y".to_owned(), true.into())].into());
    let second = write(&mut document, B, |draft| {
        draft.put(&local("e"), &["place"], &nested).unwrap();
        draft.put(&local("f"), &["title"], &"Another".into()).unwrap();
    });
    let mut draft = Draft::default();
    draft.put(&local("e"), &["place", "x"], &2.into()).unwrap();
    draft.put(&local("e"), &["title"], &"Changed".into()).unwrap();
    draft.put(&local("e"), &["when"], &Instant::from_millis(5).into()).unwrap();
    draft.put(&local("e"), &["none"], &Value::Null).unwrap();
    draft.delete(&local("e"), &["place", "y"]);
    draft.delete(&local("f"), &[]);
    draft.record(b"a record".to_vec());
    let payload = document.next_payload(A, NOW, &mut draft).unwrap();
    (vec![(A, first), (B, second)], payload)
}

fn built(before: &[(Incarnation, Vec<u8>)]) -> Document {
    let mut document = Document::new(USER);
    for (writer, payload) in before {
        let position = document.length(writer);
        assert!(matches!(document.offer(*writer, position, payload), Outcome::Valid(_)));
    }
    document
}

/// Offers a mutated payload. What passes must apply, save and load, read alike from a document
/// built anew, and leave an honest writer able to go on.
fn survives(before: &[(Incarnation, Vec<u8>)], payload: &[u8]) -> bool {
    let mut document = built(before);
    let passed = matches!(document.offer(A, 1, payload), Outcome::Valid(_));

    if passed {
        let all: Vec<Vec<u8>> =
            before.iter().map(|(_, payload)| payload.clone()).chain([payload.to_vec()]).collect();
        let Oracle(automerge) = Oracle::of(&all);
        let saved = automerge::Automerge::load(&automerge.save()).unwrap();
        assert_eq!(saved.get_heads(), automerge.get_heads());
        assert_eq!(Oracle(saved).read(), contents(&document));
        let mut again = built(before);
        assert!(matches!(again.offer(A, 1, payload), Outcome::Valid(_)));

        for entity in ["e", "f"] {
            assert_eq!(again.read(&local(entity)), document.read(&local(entity)));
        }
        write(&mut document, B, |draft| draft.put(&local("e"), &["x"], &1.into()).unwrap());
    }
    passed
}

#[test]
fn mutated_payloads_never_panic_and_what_passes_is_sound() {
    use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
    let (before, good) = rich();
    assert!(survives(&before, &good));
    let mut passed = 0;
    for at in 8..good.len() {
        for bit in 0..8 {
            let mut mutated = good.clone();
            mutated[at] ^= 1 << bit;
            repair_checksum(&mut mutated);
            passed += u32::from(survives(&before, &mutated));
        }
    }
    // Longer runs: P2PANDA_MUTATIONS=1000000 cargo test --release -p p2panda-core mutated
    let runs = std::env::var("P2PANDA_MUTATIONS").ok().and_then(|runs| runs.parse().ok());
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    for _ in 0..runs.unwrap_or(20_000_u32) {
        let mut mutated = good.clone();
        for _ in 0..1 + rng.next_u32() % 4 {
            let at = 9 + rng.next_u32() as usize % (mutated.len() - 9);
            match rng.next_u32() % 4 {
                0 => mutated[at] = rng.next_u32().to_le_bytes()[0],
                1 => mutated[at] ^= 1 << (rng.next_u32() % 8),
                2 => mutated.insert(at, rng.next_u32().to_le_bytes()[0]),
                _ => drop(mutated.remove(at)),
            }
        }
        // Keep the frame whole, so that the inside is reached.
        if rng.next_u32() % 4 > 0 && mutated[9] & 0x80 != 0 && mutated.len() > 11 {
            let body = mutated.len() - 11;
            mutated[9] = u8::try_from(body & 0x7f).unwrap() | 0x80;
            mutated[10] = u8::try_from(body >> 7).unwrap();
        }
        repair_checksum(&mut mutated);
        passed += u32::from(survives(&before, &mutated));
    }
    assert!(passed > 0, "some mutations only change a text or the time");
}

fn repair_checksum(payload: &mut [u8]) {
    use sha2::Digest as _;
    let sum = sha2::Sha256::digest(&payload[8..]);
    payload[4..8].copy_from_slice(&sum[..4]);
}
