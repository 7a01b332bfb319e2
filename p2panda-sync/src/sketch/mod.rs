//! Sketches: what two peers tell each other to find out which logs differ.
//!
//! A festival is a map from logs to their [`Entry`]s, of `N` logs. Two peers that meet hold maps that
//! differ in `d` logs, mostly a few, and want to pay for those. Under a [`Salt`] of the side that
//! encodes, each log becomes a key `k` and its entry a value `v` in a field of `2^61 - 1` elements
//! ([`Keys`]); a log that is not there has value zero. A map is then a vector with one coordinate for
//! every possible key, nearly all zero, and the difference of two maps is the difference of the
//! vectors, with `d` coordinates that are not zero. Everything here is a *linear* function of that
//! vector, so a function of the difference is had by subtracting what the peer sent:
//!
//! | sketch | is | tells | size |
//! |---|---|---|---|
//! | [`Syndromes`] | power sums of the keys, weighted with the values | up to 64 keys and value changes | 2 elements a difference |
//! | [`Cells`] | sums over random sets of logs | thousands of them, in linear time | about 2.8 elements a difference |
//! | [`Estimator`] | 64 random sums | about how many logs differ | 64-128 bytes |
//! | [`LogSum`] | a sum of vectors nobody can forge | whether any logs differ, for certain | 32 bytes as a [`Fingerprint`] |
//!
//! A sketch of the *set* of entries, as reconciliation usually has it, would pay for the old state
//! of a changed log and for the new one; a map's has one unknown for each log that differs, and the
//! peer's new length can be read out of it: its value is ours less the difference.
//!
//! What follows from linearity: a log that grows changes a sketch by one term ([`Sketch::set`],
//! some microseconds whatever `N` is); sketches of parts add up to that of the whole; and logs that
//! a peer refuses are subtracted from what is compared with it.
//!
//! What a decoded sketch says is a hint where to look and never more: nothing is stored without its
//! chain and its author's signature. A peer that lies about its sketch wastes bounded work: syndromes
//! are at most [`MAX_SYNDROMES`], cells at most [`MAX_CELLS`], and peels at most the cells.

mod cell;
mod estimate;
mod field;
mod fingerprint;
mod key;
mod pack;
mod plan;
mod poly;
mod sums;
mod syn;

use std::collections::{BTreeMap, BTreeSet, btree_map};

use p2panda_core::LogId;

pub use self::{
    cell::{Cell, Cells, MAX_CELLS, PeelError},
    estimate::{COUNTERS, Estimator},
    field::Fp,
    fingerprint::{Fingerprint, LogSum},
    key::{Entry, Hint, Item, Keys, Salt},
    pack::{pack, packed_count, unpack},
    plan::Plan,
    sums::Sums,
    syn::{MAX_SYNDROMES, Syndromes},
};

#[cfg(test)]
pub(crate) use key::narrow::set_key_bits;

/// How many bits of a key, the lowest, are left out where a log is named by it on the wire.
pub(crate) const UNNAMED: u32 = 21;

/// A log that the two sides do not hold alike, as far as a sketch tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its key.
    pub key: Fp,
    /// Which one it is, if it is held here; else only the other side can say.
    pub ours: Option<LogId>,
    /// Its state at the other side, if it is held there.
    pub theirs: Option<Hint>,
}

/// A festival's map of logs under one salt, with its sketches, kept up to date log by log.
///
/// Syndromes and cells are made as far as they were asked for, and from then on kept.
#[derive(Clone, Debug)]
pub struct Sketch {
    sums: Sums,
    /// Each log by its key, with its value.
    logs: BTreeMap<Fp, (LogId, Fp)>,
}

impl Sketch {
    /// Of these logs.
    pub fn new<'a>(keys: Keys, logs: impl IntoIterator<Item = (&'a LogId, &'a Entry)>) -> Self {
        let mut this = Self { sums: Sums::new(keys), logs: BTreeMap::new() };
        for (log, entry) in logs {
            this.put_in(log, entry);
        }
        this
    }

    /// Of the logs whose sums these are.
    pub fn complete<'a>(
        sums: Sums,
        logs: impl IntoIterator<Item = (&'a LogId, &'a Entry)>,
    ) -> Self {
        let mut this = Self { sums, logs: BTreeMap::new() };
        for (log, entry) in logs {
            this.name(log, &this.sums.keys.item(log, entry));
        }
        this
    }

    /// Changes a log's entry; `None` is a log that is not there.
    pub fn set(&mut self, log: &LogId, old: Option<&Entry>, new: Option<&Entry>) {
        if old == new {
            return;
        }
        self.sums.change();
        if let Some(old) = old {
            let item = self.sums.keys.item(log, old);
            self.sums.take_out(&item);
            self.logs.remove(&item.key);
        }
        if let Some(new) = new {
            self.put_in(log, new);
        }
    }

    fn put_in(&mut self, log: &LogId, entry: &Entry) {
        let item = self.sums.keys.item(log, entry);
        self.sums.put_in(&item);
        self.name(log, &item);
    }

    fn name(&mut self, log: &LogId, item: &Item) {
        match self.logs.entry(item.key) {
            btree_map::Entry::Vacant(free) => _ = free.insert((*log, item.value)),
            btree_map::Entry::Occupied(_) => self.sums.collided = true,
        }
        // Logs are asked for by the first bits of their keys alone.
        let name = item.key.value() >> UNNAMED;
        let from = self.logs.range(Fp::new(name << UNNAMED)..);
        let alike = from.take_while(|(key, _)| key.value() >> UNNAMED == name);
        self.sums.collided |= alike.take(2).count() > 1;
    }

    /// The sums alone.
    #[must_use]
    pub const fn sums(&self) -> &Sums {
        &self.sums
    }

    pub(crate) const fn sums_mut(&mut self) -> &mut Sums {
        &mut self.sums
    }

    /// Whether the keys of two logs begin alike, so that they cannot be named by them: another salt
    /// is needed.
    #[must_use]
    pub const fn collided(&self) -> bool {
        self.sums.collided()
    }

    /// How often the map has changed since the sketch was made.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.sums.version()
    }

    /// The keyed hashes.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.sums.keys
    }

    /// How many logs there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.sums.len()
    }

    /// Whether there is no log.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// The log of a key.
    #[must_use]
    pub fn log(&self, key: Fp) -> Option<LogId> {
        self.logs.get(&key).map(|(log, _)| *log)
    }

    /// Every log, by key, with its value.
    pub fn iter(&self) -> impl Iterator<Item = (Fp, LogId, Fp)> + '_ {
        self.logs.iter().map(|(key, (log, value))| (*key, *log, *value))
    }

    /// Every log from a key on, by key, with its value.
    pub fn from_key(&self, key: Fp) -> impl Iterator<Item = (Fp, LogId, Fp)> + '_ {
        self.logs.range(key..).map(|(key, (log, value))| (*key, *log, *value))
    }

    /// The first syndromes, at most [`MAX_SYNDROMES`].
    pub fn syndromes(&mut self, count: usize) -> Syndromes {
        let have = self.sums.syndromes.sums().len();
        let wanted = count.min(MAX_SYNDROMES);
        if have < wanted {
            let mut more = vec![Fp::ZERO; wanted - have];
            for (key, (_, value)) in &self.logs {
                syn::change(&mut more, *key, *value * power(*key, have));
            }
            self.sums.syndromes.extend(&more);
        }
        self.sums.syndromes(wanted).unwrap_or_default()
    }

    /// The first cells, at most [`MAX_CELLS`].
    pub fn cells(&mut self, count: usize) -> Cells {
        let wanted = count.min(MAX_CELLS);
        if self.sums.cells.cells().len() < wanted {
            // Rounded up, so that asking for a few more does not begin anew.
            let mut cells = Cells::new(wanted.next_power_of_two());
            for (key, (_, value)) in &self.logs {
                cells.change(*key, *value);
            }
            self.sums.cells = cells;
        }
        self.sums.cells(wanted).unwrap_or_default()
    }

    /// The counters that tell how many logs differ.
    #[must_use]
    pub const fn estimator(&self) -> &Estimator {
        self.sums.estimator()
    }

    /// The values of those keys that are there: what is left out of a sketch is taken out of it with
    /// [`Syndromes::leave_out`] and [`Cells::leave_out`].
    pub fn values<K: IntoIterator<Item = Fp>>(
        &self,
        keys: K,
    ) -> impl Iterator<Item = (Fp, Fp)> + use<'_, K> {
        keys.into_iter().filter_map(|key| Some((key, self.logs.get(&key)?.1)))
    }

    /// What differs from a peer, by its syndromes; `None` where that is more than they tell.
    pub fn compare_syndromes(
        &mut self,
        theirs: &Syndromes,
        random: &mut dyn FnMut() -> u64,
    ) -> Option<Vec<Difference>> {
        self.compare_syndromes_without(&BTreeSet::new(), theirs, random)
    }

    /// The same as if some keys were not here.
    pub fn compare_syndromes_without(
        &mut self,
        left_out: &BTreeSet<Fp>,
        theirs: &Syndromes,
        random: &mut dyn FnMut() -> u64,
    ) -> Option<Vec<Difference>> {
        let mut ours = self.syndromes(theirs.sums().len());
        ours.leave_out(self.values(left_out.iter().copied()));
        let pairs = ours.less(theirs).decode(random)?;
        let found = pairs.into_iter().map(|(key, change)| self.difference(key, change, left_out));
        found.collect()
    }

    /// What differs from a peer, by its cells.
    ///
    /// # Errors
    /// [`PeelError`].
    pub fn compare_cells(&mut self, theirs: &Cells) -> Result<Vec<Difference>, PeelError> {
        self.compare_cells_without(&BTreeSet::new(), theirs)
    }

    /// The same as if some keys were not here.
    ///
    /// # Errors
    /// [`PeelError`].
    pub fn compare_cells_without(
        &mut self,
        left_out: &BTreeSet<Fp>,
        theirs: &Cells,
    ) -> Result<Vec<Difference>, PeelError> {
        let mut ours = self.cells(theirs.cells().len());
        ours.leave_out(self.values(left_out.iter().copied()));
        let difference = ours.less(theirs);
        let pairs =
            difference.decode(|key, change| self.difference(key, change, left_out).is_some())?;
        let found = pairs.into_iter().map(|(key, change)| self.difference(key, change, left_out));
        found.collect::<Option<_>>().ok_or(PeelError::Contradiction)
    }

    /// What a difference of values at a key means, if it can be one.
    fn difference(&self, key: Fp, difference: Fp, left_out: &BTreeSet<Fp>) -> Option<Difference> {
        let ours = self.logs.get(&key);
        let compared = ours.filter(|_| !left_out.contains(&key));
        let theirs = compared.map_or(Fp::ZERO, |(_, value)| *value) - difference;
        let hint = match theirs {
            Fp::ZERO => None,
            value => Some(self.sums.keys.read(key, value)?),
        };
        Some(Difference { key, ours: ours.map(|(log, _)| *log), theirs: hint })
    }
}

/// `key` to the power of a small number.
fn power(key: Fp, exponent: usize) -> Fp {
    (0..exponent).fold(Fp::ONE, |power, _| power * key)
}

#[cfg(test)]
mod tests;
