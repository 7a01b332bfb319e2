//! Two maps of logs, compared by their sketches and by looking at every log.

use std::collections::{BTreeMap, BTreeSet};

use p2panda_core::{Chain, DocumentId, FestivalId, Incarnation, LogId, Tip};
use proptest::prelude::*;

use super::{poly::tests::random, *};

type Map = BTreeMap<LogId, Entry>;
/// A difference: its key, whether the log is held here, and the peer's length, digest and cut.
type Found = (Fp, bool, Option<(u16, u32, bool)>);

fn log(id: u32) -> LogId {
    let mut document = [0; 32];
    document[..4].copy_from_slice(&id.to_be_bytes());
    let incarnation = Incarnation::from_bytes([0; 8]);
    LogId { document: DocumentId::from_bytes(document), incarnation }
}

fn entry(length: u64, branch: u8, cut: bool) -> Entry {
    let mut chain = [branch; 32];
    chain[..8].copy_from_slice(&length.to_be_bytes());
    Entry { tip: Tip { length, chain: Chain::from_bytes(chain) }, cut }
}

fn keys(salt: u8) -> Keys {
    Keys::new(Salt([salt; 8]), &FestivalId::from_bytes([9; 32]))
}

/// What a comparison should find, by looking.
fn naive(keys: &Keys, ours: &Map, theirs: &Map) -> BTreeSet<Found> {
    let all: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    all.into_iter()
        .filter(|log| ours.get(log) != theirs.get(log))
        .map(|log| {
            let hint = theirs.get(log).map(|entry| {
                let length = u16::try_from(entry.tip.length % 65_536).unwrap();
                (length, keys.digest(&entry.tip.chain), entry.cut)
            });
            (keys.key(log), ours.contains_key(log), hint)
        })
        .collect()
}

fn found(differences: Vec<Difference>) -> BTreeSet<Found> {
    let hint = |hint: Hint| (hint.length, hint.digest, hint.cut);
    differences
        .into_iter()
        .map(|difference| (difference.key, difference.ours.is_some(), difference.theirs.map(hint)))
        .collect()
}

fn entries() -> impl Strategy<Value = Entry> {
    (0_u64..70_000, 0_u8..3, any::<bool>())
        .prop_map(|(length, branch, cut)| entry(length, branch, cut))
}

/// Ids from everywhere, or from a few runs next to each other.
fn maps(most: usize) -> impl Strategy<Value = Map> {
    let id = prop_oneof![any::<u32>(), 0_u32..500, 7000_u32..7500];
    prop::collection::btree_map(id.prop_map(log), entries(), 0..most)
}

/// A map, and another that differs from it in a few logs.
fn pairs(common: usize, most: usize) -> impl Strategy<Value = (Map, Map)> {
    (
        maps(common),
        maps(most),
        maps(most),
        prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    )
        .prop_map(|(common, ours, theirs, gone)| {
            let (mut left, mut right) = (common.clone(), common.clone());
            left.extend(ours);
            right.extend(theirs);
            let all: Vec<_> = common.keys().collect();
            for index in gone {
                if !all.is_empty() {
                    right.remove(all[index.index(all.len())]);
                }
            }
            (left, right)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn syndromes_find_what_looking_finds((left, right) in pairs(200, 12), salt in any::<u8>()) {
        let (mut ours, mut theirs) = (Sketch::new(keys(salt), &left), Sketch::new(keys(salt), &right));
        let expected = naive(ours.keys(), &left, &right);
        let differences = ours.compare_syndromes(&theirs.syndromes(64), &mut random(3));
        prop_assert_eq!(differences.map(found), Some(expected));
    }

    #[test]
    fn cells_find_what_looking_finds((left, right) in pairs(400, 150), salt in any::<u8>()) {
        let (mut ours, mut theirs) = (Sketch::new(keys(salt), &left), Sketch::new(keys(salt), &right));
        let expected = naive(ours.keys(), &left, &right);
        let count = 2 * expected.len() + 40;
        let differences = ours.compare_cells(&theirs.cells(count));
        prop_assert_eq!(differences.map(found), Ok(expected));
    }

    #[test]
    fn a_sketch_that_grew_is_one_made_anew(
        steps in prop::collection::vec((0_u32..20, prop::option::of(entries())), 0..60),
        asked in 0_usize..60,
    ) {
        let mut map = Map::new();
        let mut grown = Sketch::new(keys(1), &map);
        let mut sum = LogSum::default();
        for (at, (id, entry)) in steps.into_iter().enumerate() {
            if at == asked {
                grown.syndromes(16);
                grown.cells(100);
            }
            let log = log(id);
            let old = match entry {
                Some(entry) => map.insert(log, entry),
                None => map.remove(&log),
            };
            grown.set(&log, old.as_ref(), entry.as_ref());
            old.iter().for_each(|old| sum.subtract(&log, old));
            entry.iter().for_each(|entry| sum.add(&log, entry));
        }
        let mut anew = Sketch::new(keys(1), &map);
        prop_assert_eq!(grown.syndromes(128), anew.syndromes(128));
        prop_assert_eq!(grown.cells(300), anew.cells(300));
        prop_assert_eq!(grown.estimator(), anew.estimator());
        prop_assert_eq!(grown.iter().collect::<Vec<_>>(), anew.iter().collect::<Vec<_>>());
        let mut summed = LogSum::default();
        map.iter().for_each(|(log, entry)| summed.add(log, entry));
        prop_assert_eq!(sum, summed);
    }

    #[test]
    fn logs_that_a_peer_refuses_are_subtracted((left, right) in pairs(100, 6), seed in any::<u8>()) {
        // We know what the peer does not take, and compare without it.
        let refused: Map = (0..20_u32)
            .map(|id| (log(1_000_000 + id), entry(u64::from(id), seed, false)))
            .collect();
        let mut all = left.clone();
        all.extend(refused.clone());
        let (mut ours, mut theirs) = (Sketch::new(keys(2), &all), Sketch::new(keys(2), &right));
        let mut without = ours.syndromes(40);
        let keys = ours.keys().clone();
        refused.iter().for_each(|(log, entry)| without.subtract(&keys.item(log, entry)));
        let decoded = without.less(&theirs.syndromes(40)).decode(&mut random(1)).unwrap();
        prop_assert_eq!(decoded.len(), naive(&keys, &left, &right).len());
    }

    #[test]
    fn lying_syndromes_are_refused_or_harmless(
        (left, _) in pairs(50, 1),
        sums in prop::collection::vec(any::<u64>(), 0..=MAX_SYNDROMES),
    ) {
        let theirs = Syndromes::from_sums(sums.into_iter().map(Fp::new).collect()).unwrap();
        let mut ours = Sketch::new(keys(1), &left);
        let lied = ours.compare_syndromes(&theirs, &mut random(1));
        // What passes for a value has a probability of 2^-23 for each key.
        prop_assert!(lied.is_none_or(|differences| differences.iter().all(|one| one.theirs.is_none())));
    }

    #[test]
    fn lying_cells_are_refused(
        (left, _) in pairs(50, 1),
        cells in prop::collection::vec((any::<u64>(), any::<u64>()), 1..300),
    ) {
        let cells = cells.into_iter()
            .map(|(values, products)| Cell { values: Fp::new(values), products: Fp::new(products) });
        let theirs = Cells::from_cells(cells.collect()).unwrap();
        prop_assert!(Sketch::new(keys(1), &left).compare_cells(&theirs).is_err());
    }
}

#[test]
fn overfull_sketches_say_so() {
    let left: Map = (0..500).map(|id| (log(id), entry(1, 0, false))).collect();
    let mut ours = Sketch::new(keys(1), &left);
    let mut theirs = Sketch::new(keys(1), &Map::new());
    for count in [0, 1, 2, 16, 128] {
        assert_eq!(ours.compare_syndromes(&theirs.syndromes(count), &mut random(1)), None);
    }
    for count in [0, 1, 100, 450] {
        assert_eq!(ours.compare_cells(&theirs.cells(count)), Err(PeelError::TooFew));
    }
    assert_eq!(ours.compare_cells(&theirs.cells(900)).map(|found| found.len()), Ok(500));
}

#[test]
fn logs_that_are_as_long_but_differ_are_told_apart() {
    let left = Map::from([(log(1), entry(5, 0, false)), (log(2), entry(5, 0, false))]);
    let right = Map::from([(log(1), entry(5, 1, false)), (log(2), entry(5, 0, true))]);
    let (mut ours, mut theirs) = (Sketch::new(keys(1), &left), Sketch::new(keys(1), &right));
    let differences = ours.compare_syndromes(&theirs.syndromes(16), &mut random(1));
    assert_eq!(differences.map(found), Some(naive(ours.keys(), &left, &right)));
}

#[test]
fn two_logs_whose_keys_begin_alike_are_noticed() {
    let keys = keys(1);
    let mut named = std::collections::HashMap::new();
    let alike =
        (1..).find_map(|n| Some((named.insert(keys.key(&log(n)).value() >> UNNAMED, n)?, n)));
    let (one, other) = alike.unwrap();
    assert_ne!(keys.key(&log(one)), keys.key(&log(other)));
    let mut sketch = Sketch::new(keys, &Map::from([(log(one), entry(5, 0, false))]));
    assert!(!sketch.collided());
    sketch.set(&log(other), None, Some(&entry(1, 0, false)));
    assert!(sketch.collided());
}

#[test]
fn two_logs_with_one_key_are_noticed() {
    // No two such logs can be found; one log that is put in twice looks the same.
    let mut sketch = Sketch::new(keys(1), &Map::from([(log(1), entry(5, 0, false))]));
    assert!(!sketch.collided());
    sketch.set(&log(1), None, Some(&entry(6, 0, false)));
    assert!(sketch.collided());
}
