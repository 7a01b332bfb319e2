//! Two peers' maps of logs that differ in a known number of them, and their sketches.

use std::collections::BTreeMap;

use p2panda_core::{Chain, DocumentId, FestivalId, Incarnation, LogId, Tip};
use p2panda_sync::sketch::{
    Cells, Difference, Entry, Estimator, Keys, LogSum, Salt, Sketch, Syndromes,
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// Our map, and what a peer sent whose map differs in some logs.
pub struct Sketches {
    ours: Sketch,
    sum: LogSum,
    theirs: Sketch,
    syndromes: Syndromes,
    cells: Cells,
    rng: ChaCha20Rng,
    grown: (LogId, Entry),
}

impl Sketches {
    /// Maps of so many logs, of which the peer has so many at another length.
    #[must_use]
    pub fn new(logs: usize, differences: usize) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let mut map = BTreeMap::new();
        while map.len() < logs {
            map.insert(log(&mut rng), entry(&mut rng, 1));
        }
        let keys = Keys::new(Salt([3; 8]), &FestivalId::from_bytes([4; 32]));
        let mut ours = Sketch::new(keys, &map);
        let mut sum = LogSum::default();
        map.iter().for_each(|(log, entry)| sum.add(log, entry));
        let mut theirs = ours.clone();
        for (log, old) in map.iter().take(differences) {
            theirs.set(log, Some(old), Some(&entry(&mut rng, 2)));
        }
        let (syndromes, cells) = (theirs.syndromes(128), theirs.cells(4096));
        ours.syndromes(128);
        ours.cells(4096);
        let grown = map.into_iter().next_back().expect("there are logs");
        Self { ours, sum, theirs, syndromes, cells, rng, grown }
    }

    /// Decodes so many of the peer's syndromes.
    pub fn decode_syndromes(&mut self, count: usize) -> Option<Vec<Difference>> {
        let sums = self.syndromes.sums()[..count].to_vec();
        let theirs = Syndromes::from_sums(sums)?;
        let rng = &mut self.rng;
        self.ours.compare_syndromes(&theirs, &mut || rng.next_u64())
    }

    /// Decodes so many of the peer's cells.
    pub fn decode_cells(&mut self, count: usize) -> Option<Vec<Difference>> {
        let theirs = Cells::from_cells(self.cells.cells()[..count].to_vec())?;
        self.ours.compare_cells(&theirs).ok()
    }

    /// About how many logs differ.
    #[must_use]
    pub fn estimate(&self) -> u64 {
        let theirs: &Estimator = self.theirs.estimator();
        self.ours.estimator().distance(theirs)
    }

    /// A log grows: 128 syndromes, 4,096 cells, counters.
    pub fn grow(&mut self) {
        let (log, old) = self.grown;
        let new = Entry { tip: Tip { length: old.tip.length + 1, ..old.tip }, ..old };
        self.ours.set(&log, Some(&old), Some(&new));
        self.grown.1 = new;
    }

    /// A log grows: the sum behind the fingerprint.
    pub fn grow_sum(&mut self) {
        let (log, old) = &mut self.grown;
        self.sum.subtract(log, old);
        old.tip.length += 1;
        self.sum.add(log, old);
    }

    /// The map under a salt that was never seen, as far as one greeting needs it.
    #[must_use]
    pub fn salted(&self, salt: u8, logs: &BTreeMap<LogId, Entry>) -> Syndromes {
        let keys = Keys::new(Salt([salt; 8]), &FestivalId::from_bytes([4; 32]));
        Sketch::new(keys, logs).syndromes(16)
    }
}

/// So many logs.
#[must_use]
pub fn logs(count: usize) -> BTreeMap<LogId, Entry> {
    let mut rng = ChaCha20Rng::seed_from_u64(6);
    (0..count).map(|_| (log(&mut rng), entry(&mut rng, 1))).collect()
}

fn log(rng: &mut ChaCha20Rng) -> LogId {
    let mut document = [0; 32];
    rng.fill_bytes(&mut document);
    LogId { document: DocumentId::from_bytes(document), incarnation: Incarnation::random(rng) }
}

fn entry(rng: &mut ChaCha20Rng, length: u64) -> Entry {
    let mut chain = [0; 32];
    rng.fill_bytes(&mut chain);
    Entry::new(Tip { length, chain: Chain::from_bytes(chain) })
}
