//! SYN: power sums, for differences of known size.
//!
//! `S_j = sum over all logs of key^j * value`, for `j = 0 .. 2t - 1`. Of two maps, the difference
//! of their sums is that of the few logs that differ: `S_j = sum of d_i * k_i^j`, with `d_i` the
//! difference of values at key `k_i`. Finding up to `t` pairs `(k_i, d_i)` from `2t` such sums is
//! what a decoder of Reed-Solomon codes does (Prony's problem), over a field so large that the keys
//! cannot be tried one by one:
//!
//! 1. The sums satisfy the linear recurrence whose characteristic polynomial, the *locator*, is
//!    `(x - k_1) ... (x - k_d)`. Berlekamp and Massey find the shortest one (Massey, *Shift-register
//!    synthesis and BCH decoding*, 1969).
//! 2. Its roots are the keys ([`roots`]). A locator that does not split into `d` different linear
//!    factors says that more than `t` logs differ.
//! 3. The `d_i` solve the transposed Vandermonde system. With `q_i(x)`, the locator divided by
//!    `x - k_i`: applied to the sums, `q_i` gives `d_i * q_i(k_i)`, as it is zero at all other keys.
//!
//! PinSketch (Dodis, Ostrovsky, Reyzin, Smith, *Fuzzy extractors*, 2008; minisketch) is the same
//! for sets in characteristic two; of a set, a changed entry costs twice.

use super::{
    field::Fp,
    key::Item,
    poly::{MAX_DEGREE, roots},
};

/// The most syndromes that are kept, sent or decoded.
pub const MAX_SYNDROMES: usize = 2 * MAX_DEGREE;

/// The first so many power sums of a map of logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Syndromes(Vec<Fp>);

impl Syndromes {
    /// So many of the empty map, at most [`MAX_SYNDROMES`].
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self(vec![Fp::ZERO; count.min(MAX_SYNDROMES)])
    }

    /// Those that arrived; `None` for more than [`MAX_SYNDROMES`].
    #[must_use]
    pub fn from_sums(sums: Vec<Fp>) -> Option<Self> {
        (sums.len() <= MAX_SYNDROMES).then_some(Self(sums))
    }

    /// The sums.
    #[must_use]
    pub fn sums(&self) -> &[Fp] {
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
        change(&mut self.0, key, by);
    }

    /// Goes on with sums of higher powers.
    pub(crate) fn extend(&mut self, sums: &[Fp]) {
        self.0.extend_from_slice(sums);
    }

    /// The sums of this map less those of another one, as far as both go.
    #[must_use]
    pub fn less(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(ours, theirs)| *ours - *theirs).collect())
    }

    /// The sums of the union of two maps without a common log.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(ours, theirs)| *ours + *theirs).collect())
    }

    /// The keys and values of a map of at most half as many logs as there are sums; `None` for a
    /// larger one, as far as that can be told. `random` need not be secret from anyone but those
    /// who made the logs.
    #[must_use]
    pub fn decode(&self, random: &mut dyn FnMut() -> u64) -> Option<Vec<(Fp, Fp)>> {
        let connection = shortest_recurrence(&self.0);
        let size = connection.len() - 1;
        if self.0.is_empty() || size * 2 > self.0.len() || connection[size] == Fp::ZERO {
            return None;
        }
        let locator: Vec<_> = connection.into_iter().rev().collect();
        let keys = roots(&locator, random)?;
        let pairs: Vec<_> =
            keys.into_iter().map(|key| (key, value_at(&locator, key, &self.0))).collect();
        let sound = |(key, value): &(Fp, Fp)| *key != Fp::ZERO && *value != Fp::ZERO;
        pairs.iter().all(sound).then_some(pairs)
    }
}

/// Adds a value at a key to sums of powers from the zeroth.
pub(crate) fn change(sums: &mut [Fp], key: Fp, by: Fp) {
    let mut term = by;
    for sum in sums {
        *sum += term;
        term *= key;
    }
}

/// Berlekamp-Massey: the connection polynomial `c` of lowest degree `l` with
/// `S_n + c_1 S_(n-1) + ... + c_l S_(n-l) = 0` for all `n` from `l`. It has `l + 1` coefficients,
/// the first of which is one.
fn shortest_recurrence(sums: &[Fp]) -> Vec<Fp> {
    let mut current = vec![Fp::ONE];
    // The recurrence before the last change of length, its discrepancy's inverse, and how long ago.
    let (mut previous, mut inverse, mut since) = (vec![Fp::ONE], Fp::ONE, 1);
    let mut length = 0;
    for at in 0..sums.len() {
        let terms = current.iter().take(length + 1).zip(sums[..=at].iter().rev());
        let discrepancy =
            terms.fold(Fp::ZERO, |sum, (coefficient, term)| sum + *coefficient * *term);
        if discrepancy == Fp::ZERO {
            since += 1;
            continue;
        }
        let grows = 2 * length <= at;
        let before = grows.then(|| current.clone());
        let factor = discrepancy * inverse;
        current.resize(current.len().max(previous.len() + since), Fp::ZERO);
        for (coefficient, old) in current[since..].iter_mut().zip(&previous) {
            *coefficient -= factor * *old;
        }
        if let Some(before) = before {
            length = at + 1 - length;
            (previous, inverse, since) = (before, discrepancy.inverse(), 1);
        } else {
            since += 1;
        }
    }
    current.resize(length + 1, Fp::ZERO);
    current
}

/// The value at one root of the locator.
fn value_at(locator: &[Fp], key: Fp, sums: &[Fp]) -> Fp {
    // Synthetic division gives the quotient from its highest coefficient down; the second row,
    // its value at the key.
    let (mut coefficient, mut applied, mut evaluated) = (Fp::ZERO, Fp::ZERO, Fp::ZERO);
    for power in (0..locator.len() - 1).rev() {
        coefficient = locator[power + 1] + coefficient * key;
        applied += coefficient * sums[power];
        evaluated = evaluated * key + coefficient;
    }
    applied * evaluated.inverse()
}

#[cfg(test)]
mod tests {
    use super::{super::poly::tests::random, *};
    use crate::sketch::field::P;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn syndromes(map: &BTreeMap<u64, u64>, count: usize) -> Syndromes {
        let mut sums = Syndromes::new(count);
        for (key, value) in map {
            sums.change(Fp::new(*key), Fp::new(*value));
        }
        sums
    }

    fn naive(ours: &BTreeMap<u64, u64>, theirs: &BTreeMap<u64, u64>) -> BTreeMap<Fp, Fp> {
        let keys = ours.keys().chain(theirs.keys());
        let at = |map: &BTreeMap<u64, u64>, key| Fp::new(map.get(key).copied().unwrap_or(0));
        keys.map(|key| (Fp::new(*key), at(ours, key) - at(theirs, key)))
            .filter(|(_, difference)| *difference != Fp::ZERO)
            .collect()
    }

    fn decoded(sums: &Syndromes) -> Option<BTreeMap<Fp, Fp>> {
        sums.decode(&mut random(7)).map(|pairs| pairs.into_iter().collect())
    }

    /// Keys all over the field, and keys next to each other.
    pub(crate) fn keys() -> impl Strategy<Value = u64> {
        prop_oneof![1..P, 1_u64..100, P - 50..P]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn what_differs_between_two_maps_is_decoded(
            common in prop::collection::btree_map(keys(), 1..P, 0..60),
            ours in prop::collection::btree_map(keys(), 1..P, 0..14),
            theirs in prop::collection::btree_map(keys(), 1..P, 0..14),
        ) {
            let (mut left, mut right) = (common.clone(), common);
            left.extend(ours);
            right.extend(theirs);
            let expected = naive(&left, &right);
            for count in [2 * expected.len().max(1), 2 * expected.len() + 5, MAX_SYNDROMES] {
                let sums = syndromes(&left, count).less(&syndromes(&right, count));
                prop_assert_eq!(decoded(&sums), Some(expected.clone()));
            }
        }

        #[test]
        fn more_than_the_sums_can_tell_is_noticed(
            map in prop::collection::btree_map(1..P, 1..P, 20..80),
            t in 10_usize..16,
        ) {
            // The locator is then a random polynomial.
            prop_assert_eq!(decoded(&syndromes(&map, 2 * t)), None);
        }

        #[test]
        fn sums_are_added_and_taken_apart(
            left in prop::collection::btree_map(1..1000_u64, 1..P, 0..20),
            right in prop::collection::btree_map(1000..2000_u64, 1..P, 0..20),
        ) {
            let union: BTreeMap<_, _> =
                left.iter().chain(&right).map(|(key, value)| (*key, *value)).collect();
            let sum = syndromes(&left, 16).plus(&syndromes(&right, 16));
            prop_assert_eq!(&sum, &syndromes(&union, 16));
            prop_assert_eq!(sum.less(&syndromes(&right, 16)), syndromes(&left, 16));
        }

        #[test]
        fn garbage_is_refused_or_decoded_without_harm(
            sums in prop::collection::vec(0..P, 0..=MAX_SYNDROMES),
        ) {
            let sums = Syndromes::from_sums(sums.into_iter().map(Fp::new).collect()).unwrap();
            if let Some(pairs) = sums.decode(&mut random(1)) {
                // Then it is a sketch of just that.
                let mut again = Syndromes::new(sums.sums().len());
                pairs.iter().for_each(|(key, value)| again.change(*key, *value));
                prop_assert_eq!(again, sums);
            }
        }
    }

    #[test]
    fn equal_maps_differ_in_nothing() {
        assert_eq!(decoded(&Syndromes::new(16)), Some(BTreeMap::new()));
        assert_eq!(decoded(&Syndromes::new(0)), None, "no sums tell nothing");
    }

    #[test]
    fn sums_of_a_log_with_the_forbidden_key_are_refused() {
        // Only S_0 would see it.
        let mut sums = Syndromes::new(16);
        sums.change(Fp::ZERO, Fp::ONE);
        assert_eq!(decoded(&sums), None);
        sums.change(Fp::new(77), Fp::ONE);
        assert_eq!(decoded(&sums), None);
        assert_eq!(Syndromes::from_sums(vec![Fp::ZERO; MAX_SYNDROMES + 1]), None);
    }
}
