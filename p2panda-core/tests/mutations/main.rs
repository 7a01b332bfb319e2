//! Damaged and forged archives and store files: nothing panics, what is refused says why, and what
//! is taken in reads alike after a restart and in another order of arrival.
//!
//! Longer runs: `P2PANDA_MUTATIONS=200000 cargo test --release -p p2panda-core --test mutations`
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

#[path = "../common/mod.rs"]
mod common;
mod stored;

use std::collections::BTreeMap;

use common::{forks::*, *};
use p2panda_core::{
    Festival, Identity, Replica, Tip, VerifiedSegment, archive,
    store::{Batch, MemoryStore, NoResume, Store, Table},
};
use rand_chacha::{ChaCha20Rng, rand_core::Rng as _};

fn runs(default: u64) -> u64 {
    std::env::var("P2PANDA_MUTATIONS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(default)
}

/// Twins who forked, a laptop that built on one of them, and a stranger: logs, documents, a cut.
struct Scene {
    festival: Festival,
    file: Vec<u8>,
    payloads: Vec<Vec<u8>>,
}

fn scene() -> Scene {
    let mut rng = rng(400);
    let Twins { mut ada, mut clone, festival, .. } = twins(&mut rng, 2);
    put(&mut ada, festival, "a", &event("a"), &mut rng);
    put(&mut clone, festival, "b", &event("b"), &mut rng);
    let ticket = ada.festival(festival).unwrap().unwrap();
    let mut bob = replica(&Identity::generate(&mut rng));
    bob.join(&ticket).unwrap();
    meet(&mut ada, &mut bob, festival);
    put(&mut bob, festival, "tea", &event("Tea"), &mut rng);
    bob.edit(festival, NOW, &mut rng, |edit| edit.label("more").create(&event("Cake"))).unwrap();
    let mut laptop = replica(&ada_key());
    laptop.join(&ticket).unwrap();
    meet(&mut bob, &mut laptop, festival);
    put(&mut laptop, festival, "a", &event("changed"), &mut rng);
    meet(&mut laptop, &mut bob, festival);
    meet(&mut clone, &mut bob, festival);
    assert_eq!(bob.forks(festival).unwrap().len(), 1);
    let mut payloads = Vec::new();
    for (log, _) in bob.logs(festival).unwrap() {
        if let Some(segment) = bob.segment(&log, 0).unwrap() {
            payloads.extend(segment.payloads().to_vec());
        }
    }
    let mut file = Vec::new();
    bob.export(festival, &mut file).unwrap();
    Scene { festival: ticket, file, payloads }
}

/// The header, and each frame's kind and body.
fn split(file: &[u8]) -> (Vec<u8>, Vec<(u8, Vec<u8>)>) {
    let start = archive::MAGIC.len() + 2;
    let mut frames = Vec::new();
    let mut at = start;
    while let Some((&[kind, a, b, c, d], rest)) = file[at..].split_first_chunk() {
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        frames.push((kind, rest[..length].to_vec()));
        at += 5 + length;
    }
    (file[..start].to_vec(), frames)
}

fn join(header: &[u8], frames: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut file = header.to_vec();
    for (kind, body) in frames {
        file.push(*kind);
        file.extend((body.len() as u32).to_be_bytes());
        file.extend(body);
    }
    file
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut ChaCha20Rng) {
    if bytes.is_empty() {
        return;
    }
    let at = pick(rng, bytes.len());
    match pick(rng, 6) {
        0 => bytes[at] = rng.next_u32() as u8,
        1 => bytes[at] ^= 1 << pick(rng, 8),
        2 => bytes.insert(at, rng.next_u32() as u8),
        3 => drop(bytes.remove(at)),
        4 => bytes.truncate(at),
        _ => {
            let end = (at + 1 + pick(rng, 40)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            let to = pick(rng, bytes.len());
            bytes.splice(to..to, piece);
        }
    }
}

/// Opens a copy of a store whose rows were thrown away.
fn rebuilt(store: &Shared, key: &Identity) -> Replica {
    let mut copy = store.copy();
    let mut batch = Batch::new();
    batch.put(Table::Meta, *b"view", *b"none");
    copy.commit(batch).unwrap();
    Replica::open(Box::new(copy), key.clone(), Box::new(NoResume)).unwrap()
}

/// Whatever was taken in reads alike after a restart, and for a peer that learns it in another order.
fn check(store: &Shared, key: &Identity, mut replica: Replica, scene: &Scene, context: &str) {
    let id = scene.festival.id();
    let again = rebuilt(store, key);
    assert_eq!(again.fingerprint_logs().unwrap(), replica.fingerprint_logs().unwrap(), "{context}");
    assert_eq!(again.fingerprint_view().unwrap(), replica.fingerprint_view().unwrap(), "{context}");
    let mut other = Replica::open(
        Box::new(MemoryStore::new()),
        Identity::from_secret(&[9; 32]),
        Box::new(NoResume),
    )
    .unwrap();
    other.join(&scene.festival).unwrap();
    let mut whole = Vec::new();
    replica.export(id, &mut whole).unwrap();
    let (header, frames) = split(&whole);
    // Documents in reverse, each with what follows it.
    let mut groups: Vec<Vec<(u8, Vec<u8>)>> = Vec::new();
    let (end, body) = frames.split_last().unwrap();
    for frame in &body[1..] {
        if frame.0 == 2 {
            groups.push(Vec::new());
        }
        groups.last_mut().unwrap().push(frame.clone());
    }
    groups.reverse();
    let mut frames = vec![body[0].clone()];
    frames.extend(groups.concat());
    frames.push(end.clone());
    let imported = other.import(&mut &join(&header, &frames)[..]).unwrap();
    assert_eq!(imported.refusals, 0, "{context}: what is stored was verified");
    meet(&mut replica, &mut other, id);
    assert_equal(&replica, &other);
}

#[test]
fn mutated_archives_are_refused_by_kind_or_taken_in_alike_in_every_order() {
    let scene = scene();
    let (header, frames) = split(&scene.file);
    let key = Identity::from_secret(&[8; 32]);
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..runs(1_500) {
        let mut rng = rng(seed);
        let mut frames = frames.clone();
        for _ in 0..1 + pick(&mut rng, 3) {
            let (at, other) = (pick(&mut rng, frames.len()), pick(&mut rng, frames.len()));
            match pick(&mut rng, 8) {
                0 => frames.swap(at, other),
                1 => frames.insert(at, frames[other].clone()),
                2 if frames.len() > 2 => drop(frames.remove(at)),
                3 => frames[at].0 = rng.next_u32() as u8 % 6,
                _ => mutate(&mut frames[at].1, &mut rng),
            }
        }
        let mut file = join(&header, &frames);
        if pick(&mut rng, 4) == 0 {
            mutate(&mut file, &mut rng);
        }
        let store = Shared::new();
        let mut replica =
            Replica::open(Box::new(store.clone()), key.clone(), Box::new(NoResume)).unwrap();
        let outcome = match replica.import(&mut &file[..]) {
            Ok(imported) if imported.refusals == 0 => "whole".to_owned(),
            Ok(imported) => format!("{:?}", imported.refused[0].why),
            Err(error) => format!("{:?}", error.why),
        };
        let kind = outcome.split([' ', '{']).next().unwrap_or_default().to_owned();
        *outcomes.entry(kind).or_default() += 1;
        if replica.festival(scene.festival.id()).unwrap().is_some() {
            check(&store, &key, replica, &scene, &format!("seed {seed}"));
        }
    }
    assert!(outcomes.len() > 5, "every kind of refusal was met: {outcomes:?}");
}

#[test]
fn rightly_signed_segments_of_mutated_payloads_are_taken_in_alike_in_every_order() {
    let scene = scene();
    let key = Identity::from_secret(&[8; 32]);
    for seed in 0..runs(400) {
        let mut rng = rng(seed);
        let liar = Liar::in_festival(&scene.festival, &mut rng);
        let store = Shared::new();
        let mut replica =
            Replica::open(Box::new(store.clone()), key.clone(), Box::new(NoResume)).unwrap();
        replica.join(&scene.festival).unwrap();
        for incarnation in 0..2 {
            let log = liar.log(incarnation);
            let mut tip = Tip::start(&log);
            for _ in 0..1 + pick(&mut rng, 4) {
                let mut payloads = Vec::new();
                for _ in 0..1 + pick(&mut rng, 3) {
                    let mut payload = scene.payloads[pick(&mut rng, scene.payloads.len())].clone();
                    mutate(&mut payload, &mut rng);
                    payloads.push(payload);
                }
                let Ok(segment) = VerifiedSegment::sign(&liar.identity, log, &tip, payloads) else {
                    continue;
                };
                if pick(&mut rng, 4) > 0 {
                    tip = *segment.end();
                }
                replica.accept(&liar.descriptor, segment.into_segment()).unwrap();
            }
        }
        replica.flush().unwrap();
        check(&store, &key, replica, &scene, &format!("seed {seed}"));
    }
}
