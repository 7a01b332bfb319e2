//! Pairs of replicas drawn at random, against a model that only knows what each of the two holds.
//!
//! `P2PANDA_PAIRS=100000` is the longer run; `P2PANDA_PAIR=7` repeats one.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::{Fate, Peer, RESALT, exchange, festival, replica, rng};
use p2panda_core::{
    DocumentDescriptor, Festival, Identity, Incarnation, LogEntry, LogId, Replica, Tip,
    VerifiedSegment,
};
use p2panda_sync::Role;
use rand_chacha::{ChaCha20Rng, rand_core::Rng as _};

/// How many entries a branch has.
const ENTRIES: usize = 5;

/// A log of which there are two branches, signed entry by entry and as a whole up to each.
struct Log {
    descriptor: DocumentDescriptor,
    log: LogId,
    /// How many entries the branches have in common.
    parting: usize,
    branches: [Vec<VerifiedSegment>; 2],
    wholes: [Vec<VerifiedSegment>; 2],
    /// Whether replicas hold it in one piece.
    in_one_piece: bool,
}

impl Log {
    fn new(seed: u64, festival: &Festival) -> Self {
        let identity = Identity::generate(&mut rng(seed));
        let descriptor = DocumentDescriptor {
            festival: festival.id(),
            user: identity.user(),
            label: String::new(),
        };
        let incarnation = Incarnation::from_bytes(seed.to_be_bytes());
        let log = LogId { document: descriptor.id(), incarnation };
        let parting = usize::try_from(seed % 4).unwrap();
        let branches = [0_u8, 1].map(|branch| {
            let mut tip = Tip::start(&log);
            let mut segments = Vec::new();
            for at in 0..ENTRIES {
                let payload = vec![if at < parting { 0 } else { branch }, at.to_le_bytes()[0]];
                let segment = VerifiedSegment::sign(&identity, log, &tip, vec![payload]).unwrap();
                tip = *segment.end();
                segments.push(segment);
            }
            segments
        });
        let wholes = branches.each_ref().map(|segments| {
            let whole = |length: usize| {
                let payloads = segments[..length].iter().flat_map(|one| one.payloads());
                let payloads = payloads.cloned().collect();
                VerifiedSegment::sign(&identity, log, &Tip::start(&log), payloads).unwrap()
            };
            (1..=ENTRIES).map(whole).collect()
        });
        Self { descriptor, log, parting, branches, wholes, in_one_piece: seed % 3 > 0 }
    }

    fn tip(&self, branch: usize, length: usize) -> Tip {
        length.checked_sub(1).map_or(Tip::start(&self.log), |at| *self.branches[branch][at].end())
    }

    /// Brings a replica to hold it so.
    fn give(&self, replica: &mut Replica, held: Held) {
        let mut accept = |segment: &VerifiedSegment| {
            replica.accept(&self.descriptor, segment.clone().into_segment()).unwrap();
        };
        let mut give = |branch: usize, length: usize| match self.in_one_piece {
            true => accept(&self.wholes[branch][length - 1]),
            false => self.branches[branch][..length].iter().for_each(&mut accept),
        };
        match held {
            Held::Nothing => {}
            Held::Branch(branch, length) => give(branch, length),
            Held::Cut => {
                give(0, self.parting + 1);
                give(1, self.parting + 1);
            }
        }
    }

    /// What two that hold it so hold in the end.
    fn merged(&self, one: Held, other: Held) -> Held {
        match (one, other) {
            (Held::Cut, _) | (_, Held::Cut) => Held::Cut,
            (Held::Nothing, held) | (held, Held::Nothing) => held,
            (Held::Branch(a, long), Held::Branch(b, longer)) => {
                let parts = a != b && long > self.parting && longer > self.parting;
                match parts {
                    true => Held::Cut,
                    false if long > longer => one,
                    false => other,
                }
            }
        }
    }

    fn entry(&self, held: Held) -> Option<LogEntry> {
        match held {
            Held::Nothing => None,
            Held::Branch(branch, length) => {
                Some(LogEntry { tip: self.tip(branch, length), is_cut: false })
            }
            Held::Cut => Some(LogEntry { tip: self.tip(0, self.parting), is_cut: true }),
        }
    }
}

/// What a replica holds of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Nothing,
    /// So many entries of a branch.
    Branch(usize, usize),
    /// What the branches have in common, and the proof that there are two.
    Cut,
}

fn below(rng: &mut ChaCha20Rng, end: usize) -> usize {
    rng.next_u32() as usize % end
}

fn any_held(rng: &mut ChaCha20Rng, forks: bool) -> Held {
    match below(rng, 12) {
        0..=2 => Held::Nothing,
        3 if forks => Held::Cut,
        4..=6 if forks => Held::Branch(1, 1 + below(rng, ENTRIES)),
        _ => Held::Branch(0, 1 + below(rng, ENTRIES)),
    }
}

/// One pair, and the types of its frames.
fn meet(pair: u64, festival: &Festival, logs: &[Log]) -> Vec<u8> {
    let mut rng = rng(0x9a12 ^ pair << 16);
    // Mostly a few logs, sometimes more than a HELLO, or syndromes at all, can tell apart.
    let (count, equal) = match below(&mut rng, 1000) {
        0..700 => (below(&mut rng, 8), below(&mut rng, 101)),
        700..940 => (below(&mut rng, 30), below(&mut rng, 101)),
        940..990 => (100 + below(&mut rng, 50), 90 + below(&mut rng, 8)),
        990..994 => (logs.len() * 2, 84 + below(&mut rng, 8)),
        _ => (below(&mut rng, 100), below(&mut rng, 101)),
    };
    let forked = below(&mut rng, 30);
    let mut sides = [1, 2].map(|seed| replica(seed, &[festival]));
    let mut expected = BTreeMap::new();
    for _ in 0..count {
        let log = &logs[below(&mut rng, logs.len())];
        if expected.contains_key(&log.log) {
            continue;
        }
        let forks = below(&mut rng, 100) < forked;
        let one = any_held(&mut rng, forks);
        let other = if below(&mut rng, 100) < equal { one } else { any_held(&mut rng, forks) };
        for (side, held) in sides.iter_mut().zip([one, other]) {
            log.give(side, held);
        }
        expected.insert(log.log, log.entry(log.merged(one, other)));
    }
    sides.iter_mut().for_each(|side| side.flush().unwrap());
    let [one, other] = &mut sides;
    let seed = rng.next_u64();
    let mut opener = Peer::new(one, Role::Sync, seed);
    let mut acceptor = Peer::new(other, Role::Accept, seed ^ 1);
    if below(&mut rng, 2) == 0 {
        (opener, acceptor) = (opener.on(7), acceptor.on(7));
    }
    let mut kinds = Vec::new();
    let outcome = exchange(opener, acceptor, |_, frame| {
        kinds.push(frame[0]);
        Fate::Deliver(frame)
    });
    if let (Err(error), _) | (_, Err(error)) = (outcome.opener, outcome.acceptor) {
        panic!("{error}");
    }
    let expected: Vec<_> =
        expected.into_iter().filter_map(|(log, entry)| Some((log, entry?))).collect();
    for side in &sides {
        assert_eq!(side.log_entries(festival.id()).unwrap(), expected);
    }
    kinds
}

#[test]
fn any_two_replicas_end_with_what_both_of_them_held() {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let pairs = match number("P2PANDA_PAIR") {
        Some(one) => one..one + 1,
        None => 0..number("P2PANDA_PAIRS").unwrap_or(300),
    };
    let festival = festival(1);
    let logs: Vec<_> = (0..400).map(|seed| Log::new(1000 + seed, &festival)).collect();
    let mut kinds = BTreeMap::<u8, usize>::new();
    let all = pairs.end - pairs.start;
    for pair in pairs {
        let met = std::panic::catch_unwind(|| meet(pair, &festival, &logs));
        let Ok(met) = met else {
            panic!("P2PANDA_PAIR={pair} cargo test -p p2panda-sync --test pairs");
        };
        met.into_iter().for_each(|kind| *kinds.entry(kind).or_default() += 1);
        if pair % 10_000 == 9_999 {
            println!("{} pairs", pair + 1);
        }
    }
    println!("{all} pairs, frames by type: {kinds:?}");
    let is_used = |kind| kind == RESALT || kinds.contains_key(&kind);
    assert!(all < 300 || (1..=13).all(is_used), "not everything was tried");
}
