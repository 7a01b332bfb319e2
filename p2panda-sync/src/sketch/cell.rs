//! CELL: rateless coded cells, for large differences.
//!
//! Every log is added to some of an endless row of cells, each of which is
//! `(sum of value, sum of key * value)`. Which ones, the log's key decides: cell `i` takes it in with
//! a probability of `1 / (1 + i / 2)`, as in *Practical Rateless Set Reconciliation* (Yang, Gilad,
//! Alizadeh, SIGCOMM 2024), whose mapping this is. Cells of two maps subtract like the maps do.
//! A cell in which one log differs, by `d` at key `k`, is `(d, k * d)`: `k` is the quotient, and
//! that log is taken out of all its other cells, which may leave one log alone in those. This
//! *peeling* ends with all cells zero from about 1.4 cells a difference on, each 16 bytes, however
//! many there are; any prefix that is long enough will do.
//!
//! A quotient of a cell with several differences is random. It passes for a key only if the mapping
//! puts it into that cell and the value it would give the peer passes its check of 24 bits, which
//! the caller tests. Each peel costs the logarithm of the number of cells.

use std::collections::{BTreeSet, VecDeque};

use super::{field::Fp, key::Item};

/// The most cells that are kept, sent or decoded.
pub const MAX_CELLS: usize = 4096;

/// A cell: sums over the logs that are mapped to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// The sum of the values.
    pub values: Fp,
    /// The sum of the products of key and value.
    pub products: Fp,
}

impl Cell {
    const EMPTY: Self = Self { values: Fp::ZERO, products: Fp::ZERO };

    fn less(self, other: Self) -> Self {
        Self { values: self.values - other.values, products: self.products - other.products }
    }
}

/// The first cells of a map of logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cells(Vec<Cell>);

/// Why cells were not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeelError {
    /// More cells are needed.
    #[error("too few cells for what differs")]
    TooFew,
    /// The cells are no difference of two maps: more of them would not help.
    #[error("the cells contradict themselves")]
    Contradiction,
}

impl Cells {
    /// So many of the empty map, at most [`MAX_CELLS`].
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self(vec![Cell::EMPTY; count.min(MAX_CELLS)])
    }

    /// Those that arrived; `None` for more than [`MAX_CELLS`].
    #[must_use]
    pub fn from_cells(cells: Vec<Cell>) -> Option<Self> {
        (cells.len() <= MAX_CELLS).then_some(Self(cells))
    }

    /// The cells.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        &self.0
    }

    /// Puts a log in.
    pub fn add(&mut self, item: &Item) {
        self.change(item.key, item.value);
    }

    /// Takes a log out.
    pub fn subtract(&mut self, item: &Item) {
        self.change(item.key, -item.value);
    }

    /// Takes logs out, by key and value.
    pub fn leave_out(&mut self, logs: impl IntoIterator<Item = (Fp, Fp)>) {
        logs.into_iter().for_each(|(key, value)| self.change(key, -value));
    }

    /// Changes the value at a key.
    pub(crate) fn change(&mut self, key: Fp, by: Fp) {
        let product = key * by;
        for at in Places::of(key) {
            let Some(cell) = self.0.get_mut(at) else { break };
            cell.values += by;
            cell.products += product;
        }
    }

    /// The cells of this map less those of another one, as far as both go.
    #[must_use]
    pub fn less(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(ours, theirs)| ours.less(*theirs)).collect())
    }

    /// The cells of the union of two maps without a common log.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let sum = |(ours, theirs): (&Cell, &Cell)| Cell {
            values: ours.values + theirs.values,
            products: ours.products + theirs.products,
        };
        Self(self.0.iter().zip(&other.0).map(sum).collect())
    }

    /// The keys and values of a map. `sound` says whether a value can be right at a key.
    ///
    /// It ends after at most as many peels as there are cells, whatever the cells say.
    ///
    /// # Errors
    /// [`PeelError`].
    pub fn decode(
        mut self,
        mut sound: impl FnMut(Fp, Fp) -> bool,
    ) -> Result<Vec<(Fp, Fp)>, PeelError> {
        let mut waiting: VecDeque<usize> = (0..self.0.len()).collect();
        let mut is_waiting = vec![true; self.0.len()];
        let mut found = Vec::new();
        let mut keys = BTreeSet::new();
        while let Some(at) = waiting.pop_front() {
            is_waiting[at] = false;
            let Cell { values, products } = self.0[at];
            if values == Fp::ZERO || products == Fp::ZERO {
                continue;
            }
            let key = products * values.inverse();
            let mapped = Places::of(key).take_while(|place| *place <= at).last() == Some(at);
            if !mapped || !sound(key, values) {
                continue;
            }
            // What was taken out comes back only if it never was in.
            if !keys.insert(key) || found.len() == self.0.len() {
                return Err(PeelError::Contradiction);
            }
            found.push((key, values));
            self.change(key, -values);
            for place in Places::of(key).take_while(|place| *place < self.0.len()) {
                if !std::mem::replace(&mut is_waiting[place], true) {
                    waiting.push_back(place);
                }
            }
        }
        if !self.0.is_empty() && self.0.iter().all(|cell| *cell == Cell::EMPTY) {
            Ok(found)
        } else {
            Err(PeelError::TooFew)
        }
    }
}

/// The cells that a key is mapped to, ascending and without end.
///
/// Of a place `i`, the next is `i + ceil((i + 3/2) * (u^(-1/2) - 1))` for a uniform `u`: the inverse
/// of the distribution of gaps that follows from a density of `1 / (1 + i / 2)`. Square root and
/// division are exact to the last bit in IEEE 754, so every machine maps alike.
struct Places {
    next: usize,
    state: u64,
}

/// The multiplier of a generator modulo 2^64 that passes spectral tests (Steele, Vigna, 2021).
const MULTIPLIER: u64 = 0xda94_2042_e4dd_58b5;

impl Places {
    const fn of(key: Fp) -> Self {
        Self { next: 0, state: key.value() << 3 | 1 }
    }
}

impl Iterator for Places {
    type Item = usize;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "places beyond all cells may be whatever they are"
    )]
    fn next(&mut self) -> Option<usize> {
        const TWO_TO_32: f64 = 4_294_967_296.0;
        let place = self.next;
        self.state = self.state.wrapping_mul(MULTIPLIER);
        let factor = TWO_TO_32 / (self.state as f64 + 1.0).sqrt() - 1.0;
        let gap = ((place as f64 + 1.5) * factor).ceil();
        self.next = place.saturating_add((gap as usize).max(1));
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sketch::{field::P, poly::tests::random};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn cells(map: &BTreeMap<u64, u64>, count: usize) -> Cells {
        let mut cells = Cells::new(count);
        for (key, value) in map {
            cells.change(Fp::new(*key), Fp::new(*value));
        }
        cells
    }

    fn any_map(seed: u64, size: usize) -> BTreeMap<u64, u64> {
        let mut random = random(seed);
        (0..size).map(|_| (1 + random() % (P - 1), 1 + random() % (P - 1))).collect()
    }

    /// Most random values fail the check that real values pass.
    fn known(map: &BTreeMap<u64, u64>) -> impl Fn(Fp, Fp) -> bool {
        |key, value| map.get(&key.value()).is_some_and(|known| Fp::new(*known) == value)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn what_differs_between_two_maps_is_decoded(
            seed in any::<u64>(), size in 0_usize..600, clustered in any::<bool>(),
        ) {
            let mut map = any_map(seed, size);
            if clustered {
                // Keys next to each other: the mapping has to scatter them.
                map = (1 << 40..).zip(map.into_values()).collect();
            }
            let common = any_map(seed ^ 1, 300);
            let mut left = common.clone();
            left.extend(map.clone());
            let count = 2 * size + 40;
            let difference = cells(&left, count).less(&cells(&common, count));
            let found: BTreeMap<_, _> = difference.decode(known(&map)).unwrap()
                .into_iter().map(|(key, value)| (key.value(), value.value())).collect();
            prop_assert_eq!(found, map);
        }

        #[test]
        fn too_few_cells_say_so(seed in any::<u64>(), size in 100_usize..400) {
            let map = any_map(seed, size);
            let few = cells(&map, size * 3 / 4);
            prop_assert_eq!(few.decode(known(&map)), Err(PeelError::TooFew));
        }

        #[test]
        fn garbage_ends(seed in any::<u64>(), count in 0_usize..600, gullible in any::<bool>()) {
            let mut random = random(seed);
            let mut cell = || Cell { values: Fp::new(random()), products: Fp::new(random()) };
            let garbage = Cells::from_cells((0..count).map(|_| cell()).collect()).unwrap();
            let mut asked = 0;
            let decoded = garbage.decode(|_, _| { asked += 1; gullible });
            prop_assert!(decoded.is_err());
            prop_assert!(asked <= 40 * (count + 1));
        }

        #[test]
        fn sums_are_added_and_taken_apart(seed in any::<u64>()) {
            let (left, right) = (any_map(seed, 40), any_map(seed ^ 1, 40));
            let union = left.iter().chain(&right).map(|(key, value)| (*key, *value)).collect();
            let sum = cells(&left, 64).plus(&cells(&right, 64));
            prop_assert_eq!(&sum, &cells(&union, 64));
            prop_assert_eq!(sum.less(&cells(&right, 64)), cells(&left, 64));
        }
    }

    #[test]
    fn a_thousand_differences_need_about_one_and_a_half_times_as_many_cells() {
        let needed = |seed| {
            let map = any_map(seed, 1000);
            let (mut low, mut high) = (1000, 2000);
            while low < high {
                let middle = usize::midpoint(low, high);
                match cells(&map, middle).decode(known(&map)) {
                    Ok(_) => high = middle,
                    Err(_) => low = middle + 1,
                }
            }
            low
        };
        let sum: usize = (0..8).map(needed).sum();
        assert!((8 * 1300..8 * 1550).contains(&sum), "{} cells", sum / 8);
    }

    #[test]
    fn the_same_key_twice_aborts() {
        // A log stands in cell 0 only, although it is mapped to others too: taking it out leaves
        // its negative in those, where it is found again.
        let mut lying = Cells::new(64);
        let key = Fp::new(12_345);
        assert!(Places::of(key).nth(1).unwrap() < 64);
        lying.0[0] = Cell { values: Fp::ONE, products: key };
        assert_eq!(lying.decode(|_, _| true), Err(PeelError::Contradiction));
        assert_eq!(Cells::from_cells(vec![Cell::EMPTY; MAX_CELLS + 1]), None);
        assert_eq!(Cells::new(100).decode(|_, _| true), Ok(Vec::new()));
    }

    #[test]
    fn the_mapping_is_what_it_is() {
        let places: Vec<_> = Places::of(Fp::new(12_345)).take(8).collect();
        assert_eq!(places, MAPPED, "{places:?}");
        // Of all keys, half are in cell 2, and a third in cell 4.
        let share = |cell: usize| {
            let within = |key: &u64| {
                Places::of(Fp::new(*key << 20)).take_while(|at| *at <= cell).last() == Some(cell)
            };
            (1..10_000_u64).filter(within).count()
        };
        assert!((4700..5300).contains(&share(2)), "{}", share(2));
        assert!((3000..3650).contains(&share(4)), "{}", share(4));
    }

    const MAPPED: [usize; 8] = [0, 1, 2, 3, 4, 8, 9, 10];
}
