//! Authors who sign two chains, by accident or on purpose, and peers that find out.

use p2panda_core::{
    DocumentDescriptor, FestivalId, ForkProof, Identity, Incarnation, LogId, PayloadHash, Replica,
    Run, Seal, Segment, Tip, VerifiedSegment, schema::Event, store::ResumeTokens,
};
use rand_chacha::{ChaCha20Rng, rand_core::Rng as _};

use super::*;

/// Tokens that can be claimed again and again, as after a memory snapshot of a machine.
pub struct Always;

impl ResumeTokens for Always {
    fn leave(&mut self, _: &[u8; 16]) -> std::io::Result<()> {
        Ok(())
    }
    fn claim(&mut self, _: &[u8; 16]) -> bool {
        true
    }
}

/// Two devices that go on with one incarnation, as only a memory snapshot can bring about.
pub struct Twins {
    pub ada: Replica,
    pub clone: Replica,
    pub festival: FestivalId,
    pub log: LogId,
}

pub fn ada_key() -> Identity {
    Identity::from_secret(&[42; 32])
}

/// Twins with a festival and this many events in common.
pub fn twins(rng: &mut ChaCha20Rng, common: usize) -> Twins {
    let open = |store: &Shared| {
        Replica::open(Box::new(store.clone()), ada_key(), Box::new(Always)).unwrap()
    };
    let store = Shared::new();
    let mut ada = open(&store);
    let festival = festival_of(&mut ada, rng).id();
    for n in 0..common {
        let name = format!("common {n}");
        put(&mut ada, festival, &name.replace(' ', "-"), &event(&name), rng);
    }
    ada.close(rng).unwrap();
    let copy = store.copy();
    let (ada, clone) = (open(&store), open(&copy));
    let (log, _) = ada.logs(festival).unwrap()[0];
    Twins { ada, clone, festival, log }
}

pub fn titles(replica: &Replica, festival: FestivalId) -> Vec<String> {
    let events = replica.view(festival).list::<Event>().unwrap();
    let mut titles: Vec<_> = events.into_iter().map(|(_, event)| event.unwrap().title).collect();
    titles.sort();
    titles
}

/// A user who signs whatever harms: payloads that mean nothing are enough.
pub struct Liar {
    pub identity: Identity,
    pub festival: FestivalId,
    pub ticket: Festival,
    pub descriptor: DocumentDescriptor,
}

/// Something that a liar hands out.
pub enum Piece {
    Segment(Segment),
    Proof(ForkProof),
}

impl Liar {
    pub fn new(rng: &mut ChaCha20Rng) -> Self {
        let ticket = Festival::found(&Identity::generate(rng), rng);
        Self::in_festival(&ticket, rng)
    }

    pub fn in_festival(ticket: &Festival, rng: &mut ChaCha20Rng) -> Self {
        let identity = Identity::generate(rng);
        let ticket = ticket.clone();
        let (festival, user) = (ticket.id(), identity.user());
        let descriptor = DocumentDescriptor { festival, user, label: String::new() };
        Self { identity, festival, ticket, descriptor }
    }

    pub fn user(&self) -> p2panda_core::UserId {
        self.identity.user()
    }

    pub fn log(&self, incarnation: u8) -> LogId {
        let incarnation = Incarnation::from_bytes([incarnation; 8]);
        LogId { document: self.descriptor.id(), incarnation }
    }

    /// A peer that follows the festival and holds nothing.
    pub fn reader(&self, rng: &mut ChaCha20Rng) -> Replica {
        let mut reader = replica(&Identity::generate(rng));
        reader.join(&self.ticket).unwrap();
        reader
    }

    pub fn segment(&self, log: LogId, tip: &Tip, names: &[&str]) -> VerifiedSegment {
        let payloads = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        VerifiedSegment::sign(&self.identity, log, tip, payloads).unwrap()
    }

    /// Trees of chains of several incarnations, some longer than a block, cut into segments; with
    /// proofs of some partings, and of phantoms that no segment belongs to.
    pub fn tangle(&self, rng: &mut ChaCha20Rng) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for incarnation in 1..=1 + pick(rng, 2) {
            let log = self.log(u8::try_from(incarnation).unwrap());
            let mut ends = vec![Tip::start(&log)];
            let mut runs: Vec<(Tip, Run)> = Vec::new();
            for number in 0..4 + pick(rng, 8) {
                let from = ends[pick(rng, ends.len())];
                let room = usize::try_from(p2panda_core::block_end(from.length) - from.length);
                let wanted = if pick(rng, 3) == 0 { 126 } else { 1 + pick(rng, 4) };
                let count = wanted.min(room.unwrap());
                let names: Vec<String> = (0..count).map(|n| format!("{number} {n}")).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let segment = self.segment(log, &from, &names);
                ends.push(*segment.end());
                let segment = segment.into_segment();
                runs.push((from, run_of_segment(&segment)));
                // Phantoms are signed but never handed out.
                if pick(rng, 6) > 0 {
                    pieces.push(Piece::Segment(segment));
                }
            }
            for (from, run) in &runs {
                for (other, second) in &runs {
                    let parts = from == other && pick(rng, 3) == 0;
                    let proof = parts
                        .then(|| ForkProof::between(log, from, run.clone(), second.clone()))
                        .flatten();
                    pieces.extend(proof.map(Piece::Proof));
                }
            }
        }
        pieces
    }
}

pub fn run_of_segment(segment: &Segment) -> Run {
    let Seal::Signature(signature) = segment.seal else { panic!("signed by a head") };
    let hashes = segment.payloads.iter().map(|payload| PayloadHash::of(payload)).collect();
    Run { hashes, signature }
}

pub fn pick(rng: &mut ChaCha20Rng, below: usize) -> usize {
    rng.next_u32() as usize % below
}

pub fn meet_two(peers: &mut [Replica], one: usize, other: usize, festival: FestivalId) {
    let (low, high) = (one.min(other), one.max(other));
    let (left, right) = peers.split_at_mut(high);
    meet(&mut left[low], &mut right[0], festival);
}

/// Two peers exchange all that they hold of a festival: from the last multiple of 128 entries at
/// which they agree, the runs by which each finds where their chains part, then segments and
/// proofs. What a session does over a network, without saving bytes.
pub fn meet(one: &mut Replica, other: &mut Replica, festival: FestivalId) {
    for replica in [&mut *one, &mut *other] {
        replica.flush().unwrap();
    }
    let mut logs: Vec<LogId> = Vec::new();
    for replica in [&*one, &*other] {
        logs.extend(replica.logs(festival).unwrap().iter().map(|(log, _)| *log));
    }
    logs.sort();
    logs.dedup();
    for log in logs {
        let descriptor = one.descriptor(&log.document).unwrap();
        let descriptor = descriptor.or_else(|| other.descriptor(&log.document).unwrap()).unwrap();
        let mut common = 0;
        while let (Some(left), Some(right)) = (
            one.chain_at(&log, common + p2panda_core::BLOCK).unwrap(),
            other.chain_at(&log, common + p2panda_core::BLOCK).unwrap(),
        ) && left == right
        {
            common += p2panda_core::BLOCK;
        }
        let runs = [one.run(&log, common).unwrap(), other.run(&log, common).unwrap()];
        let [left, right] = runs;
        if let Some(run) = right {
            one.accept_run(&descriptor, &log, common, run).unwrap();
        }
        if let Some(run) = left {
            other.accept_run(&descriptor, &log, common, run).unwrap();
        }
        send(one, other, &descriptor, &log, common);
        send(other, one, &descriptor, &log, common);
    }
    for replica in [one, other] {
        replica.flush().unwrap();
    }
}

fn send(
    from: &mut Replica,
    to: &mut Replica,
    descriptor: &DocumentDescriptor,
    log: &LogId,
    common: u64,
) {
    let mut at = common;
    while let Some(segment) = from.segment(log, at).unwrap() {
        at = segment.end().length;
        to.accept(descriptor, segment.into_segment()).unwrap();
    }
    if let Some(proof) = from.fork_proof(log).unwrap() {
        to.accept_fork(descriptor, proof.into_proof()).unwrap();
    }
}

/// Devices that all go on with one incarnation, then a laptop of the same user, then strangers.
pub struct Copies {
    pub peers: Vec<Replica>,
    pub festival: FestivalId,
    pub ticket: Festival,
}

pub fn copies(rng: &mut ChaCha20Rng, count: usize) -> Copies {
    let open = |store: Shared| Replica::open(Box::new(store), ada_key(), Box::new(Always)).unwrap();
    let store = Shared::new();
    let mut ada = open(store.clone());
    let ticket = festival_of(&mut ada, rng);
    ada.close(rng).unwrap();
    let mut peers: Vec<Replica> = (0..count).map(|_| open(store.copy())).collect();
    for identity in [ada_key(), Identity::generate(rng), Identity::generate(rng)] {
        let mut peer = replica(&identity);
        peer.join(&ticket).unwrap();
        peers.push(peer);
    }
    Copies { peers, festival: ticket.id(), ticket }
}

pub fn delete(replica: &mut Replica, festival: FestivalId, local: &str, rng: &mut ChaCha20Rng) {
    let user = replica.user();
    let document = DocumentDescriptor { festival, user, label: String::new() }.id();
    let id = EntityId::new(document, local.parse().unwrap());
    let deleted: Result<(), p2panda_core::EditError> =
        replica.edit(festival, NOW, rng, |edit| edit.delete(&id, &[]));
    // Nothing of the document may be known yet.
    assert!(matches!(deleted, Ok(()) | Err(p2panda_core::EditError::NotYours(_))), "{deleted:?}");
}
