//! How many logs differ, from 64 small numbers.
//!
//! Counter `i` is the sum, over all logs, of a random sign of the log times a random bit of log and
//! state. Of two maps the difference of counters is then a sum over the logs that differ. For each
//! of them the square of its term is one half on the average, whether both sides hold the log (two
//! independent bits differ half of the time) or only one does (its bit is one half of the time); and
//! as the signs are independent, products of different terms vanish. So the mean square is half the
//! number of logs that differ. (Alon, Matias, Szegedy, *The space complexity of approximating the
//! frequency moments*, 1996.) With 64 counters the standard error is `sqrt(2 / 64)`, about 18%.

use super::key::Item;

/// How many counters there are.
pub const COUNTERS: usize = 64;

/// The counters of a map of logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimator([i64; COUNTERS]);

impl Default for Estimator {
    fn default() -> Self {
        Self([0; COUNTERS])
    }
}

impl Estimator {
    /// Puts a log in.
    pub fn add(&mut self, item: &Item) {
        self.change(item, 1);
    }

    /// Takes a log out.
    pub fn subtract(&mut self, item: &Item) {
        self.change(item, -1);
    }

    fn change(&mut self, item: &Item, by: i64) {
        let (mut signs, mut weights) = (item.signs, item.weights);
        for counter in &mut self.0 {
            let weight = i64::from(weights & 1 == 1);
            *counter += by * if signs & 1 == 1 { weight } else { -weight };
            signs >>= 1;
            weights >>= 1;
        }
    }

    /// About how many logs differ between two maps.
    #[must_use]
    pub fn distance(&self, other: &Self) -> u64 {
        let squares = self.0.iter().zip(&other.0).map(|(ours, theirs)| {
            let distance = ours.abs_diff(*theirs);
            distance.saturating_mul(distance)
        });
        let sum = squares.fold(0, u64::saturating_add);
        sum.div_ceil(COUNTERS as u64 / 2)
    }

    /// The counters, each as a base-128 number whose lowest bit is the sign, least digit first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 * COUNTERS);
        for counter in self.0 {
            let mut rest = (counter.unsigned_abs() << 1) | u64::from(counter < 0);
            while rest >= 128 {
                bytes.push(128 | (rest & 127) as u8);
                rest >>= 7;
            }
            bytes.push((rest & 127) as u8);
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut counters = [0; COUNTERS];
        let mut rest = bytes.iter();
        for counter in &mut counters {
            let (mut value, mut shift) = (0_u64, 0);
            loop {
                let byte = *rest.next()?;
                // No sum over a festival's logs comes near this.
                if shift > 42 {
                    return None;
                }
                value |= u64::from(byte & 127) << shift;
                shift += 7;
                if byte < 128 {
                    break;
                }
            }
            let size = i64::try_from(value >> 1).ok()?;
            *counter = if value & 1 == 1 { -size } else { size };
        }
        let this = Self(counters);
        // One form only: no empty digits at the end, no negative zero.
        (rest.next().is_none() && this.to_bytes() == bytes).then_some(this)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::field::Fp, *};
    use crate::sketch::poly::tests::random;
    use proptest::prelude::*;

    fn item(log: u64, state: u64) -> Item {
        let (mut signs, mut weights) = (random(log), random(log << 32 | state));
        Item { key: Fp::new(log), value: Fp::new(state), signs: signs(), weights: weights() }
    }

    #[test]
    fn an_estimate_is_right_on_the_average() {
        for size in [1_u64, 10, 100, 1000] {
            // A third only ours, a third only theirs, a third in other states.
            let mut sum = 0;
            for round in 1..=40 {
                let (mut ours, mut theirs) = (Estimator::default(), Estimator::default());
                for at in 0..size {
                    let log = round << 20 | at;
                    if at % 3 != 1 {
                        ours.add(&item(log, 1));
                    }
                    if at % 3 != 0 {
                        theirs.add(&item(log, 2));
                    }
                }
                sum += ours.distance(&theirs);
            }
            assert!(sum.abs_diff(40 * size) <= 40 * size / 10 + 40, "{size}: {}", sum / 40);
        }
    }

    #[test]
    fn equal_maps_are_at_no_distance() {
        let mut estimator = Estimator::default();
        estimator.add(&item(1, 1));
        assert_eq!(estimator.distance(&estimator), 0);
        estimator.subtract(&item(1, 1));
        assert_eq!(estimator, Estimator::default());
        assert_eq!(estimator.to_bytes(), [0; COUNTERS]);
    }

    #[test]
    fn absurd_counters_are_far_away() {
        let far = Estimator([1 << 47; COUNTERS]);
        assert_eq!(far.distance(&Estimator::default()), u64::MAX.div_ceil(32));
        assert_eq!(Estimator::from_bytes(&far.to_bytes()), Some(far));
    }

    proptest! {
        #[test]
        fn counters_have_one_encoding(counters in prop::array::uniform32(-1_000_000_i64..1_000_000)) {
            let mut all = [0; COUNTERS];
            all[..32].copy_from_slice(&counters);
            let estimator = Estimator(all);
            let bytes = estimator.to_bytes();
            prop_assert_eq!(Estimator::from_bytes(&bytes), Some(estimator));
            prop_assert_eq!(Estimator::from_bytes(&bytes[..bytes.len() - 1]), None);
            prop_assert_eq!(Estimator::from_bytes(&[&bytes[..], &[0]].concat()), None);
        }

        #[test]
        fn garbage_is_refused_or_has_that_encoding(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(estimator) = Estimator::from_bytes(&bytes) {
                prop_assert_eq!(estimator.to_bytes(), bytes);
            }
        }
    }
}
