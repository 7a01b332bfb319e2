use p2panda_core::{
    DocumentDescriptor, Festival, ForkEvidence, ForkProof, Identity, Incarnation, LogId, Replica,
    Seal, Segment, Signature, UserId,
    store::{MemoryStore, NoResume},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use serde_json::Value;

use super::{array, bytes, number, same, verdict};

pub(crate) fn equivocation(file: &Value, case: &Value) -> Result<(), String> {
    if let Some(known) = case.get("known") {
        let known: Vec<&Value> = known.as_array().unwrap().iter().collect();
        let backwards: Vec<&Value> = known.iter().rev().copied().collect();
        let mut turned = known.clone();
        turned.rotate_left(1);
        for order in [known, backwards, turned] {
            cut(file, case, &order)?;
        }
        return Ok(());
    }
    if let Some(evidence) = case.get("evidence") {
        let read = ForkEvidence::from_bytes(&bytes(evidence)).map_err(|error| error.to_string());
        let found = read.and_then(|read| read.verify().map_err(|error| error.to_string()));
        return verdict(case, found).map(drop);
    }
    let author = UserId::from_bytes(array(&file["author"]));
    let input = bytes(&case["proof"]);
    let read = ForkProof::from_bytes(&input).map_err(|error| error.to_string());
    let found = read.and_then(|proof| proof.verify(&author).map_err(|error| error.to_string()));
    let proof = verdict(case, found)?;
    proof.map_or(Ok(()), |proof| same(proof.into_proof().to_bytes(), input))
}

/// Offers all that is known, again and again until nothing changes.
fn cut(file: &Value, case: &Value, known: &[&Value]) -> Result<(), String> {
    let ada = Identity::from_secret(&[7; 32]);
    let festival = Festival::found(&ada, &mut ChaCha20Rng::seed_from_u64(1));
    let descriptor =
        DocumentDescriptor { festival: festival.id(), user: ada.user(), label: String::new() };
    same(descriptor.id().as_bytes(), &array(&file["document"]))?;
    let log = LogId { document: descriptor.id(), incarnation: Incarnation::from_bytes([1; 8]) };
    let reader = Identity::from_secret(&[99; 32]);
    let store = Box::new(MemoryStore::new());
    let mut replica = Replica::open(store, reader, Box::new(NoResume)).unwrap();
    replica.join(&festival).unwrap();
    let fork = |value: &Value| ForkProof::from_bytes(&bytes(value)).unwrap();
    let segment = |parts: &Value, seal: Seal| Segment {
        log,
        from: parts[0].as_u64().unwrap(),
        payloads: parts[1].as_array().unwrap().iter().map(bytes).collect(),
        seal,
    };
    let mut before = None;
    loop {
        for item in known {
            // What cannot be taken in yet is offered again.
            let _ = if let Some(parts) = item.get("segment") {
                let seal = Seal::Signature(Signature::from_bytes(array(&parts[2])));
                replica.accept(&descriptor, segment(parts, seal)).map(drop)
            } else if let Some(parts) = item.get("cut") {
                let seal = Seal::Fork(Box::new(fork(&parts[2])));
                replica.accept(&descriptor, segment(parts, seal)).map(drop)
            } else {
                replica.accept_fork(&descriptor, fork(&item["proof"])).map(drop)
            };
        }
        let held = replica.held(&log).unwrap().map_or(0, |tip| tip.length);
        let found = (held, replica.fork_proof(&log).unwrap().is_some());
        if before == Some(found) {
            return same(found, (number(case, "length"), case["cut"].as_bool().unwrap()));
        }
        before = Some(found);
    }
}
