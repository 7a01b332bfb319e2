//! The field of the sketches: integers modulo the Mersenne prime `p = 2^61 - 1`.
//!
//! `2^61 = 1` modulo `p`, so that a product of 122 bits is reduced by adding its two halves.

use std::ops::{Add, AddAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// The prime.
pub(crate) const P: u64 = (1 << 61) - 1;

/// How many products of two elements fit into the 128 bits of one sum that is not reduced yet.
pub(crate) const PRODUCTS: usize = 64;

/// An element of the field, always below the prime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fp(u64);

impl Fp {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// One.
    pub const ONE: Self = Self(1);

    /// The residue of an integer.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        let sum = (value & P) + (value >> 61);
        Self(if sum >= P { sum - P } else { sum })
    }

    /// The element that is written so; `None` for what is not below the prime.
    #[must_use]
    pub const fn from_canonical(value: u64) -> Option<Self> {
        if value < P { Some(Self(value)) } else { None }
    }

    /// The residue of 64 uniformly random bits, without zero. (Off uniform by less than 2^-60.)
    #[must_use]
    pub(crate) const fn non_zero(bits: u64) -> Self {
        match Self::new(bits) {
            Self::ZERO => Self::ONE,
            element => element,
        }
    }

    /// The integer below the prime.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Reduces a sum of at most [`PRODUCTS`] products.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "both parts are below 2^64")]
    pub(crate) const fn reduce(sum: u128) -> Self {
        // Below 2^67 after one fold, so a second one is needed before 64 bits hold it.
        let once = (sum & P as u128) + (sum >> 61);
        Self::new(((once & P as u128) + (once >> 61)) as u64)
    }

    /// The product, not reduced.
    pub(crate) const fn wide(self, other: Self) -> u128 {
        self.0 as u128 * other.0 as u128
    }

    const fn times(self, other: Self) -> Self {
        let product = self.wide(other);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are below 2^61")]
        let sum = (product as u64 & P) + (product >> 61) as u64;
        Self(if sum >= P { sum - P } else { sum })
    }

    /// Squares so many times: the power `2^times`.
    #[must_use]
    pub(crate) const fn squared(self, times: u32) -> Self {
        let mut power = self;
        let mut at = 0;
        while at < times {
            power = power.times(power);
            at += 1;
        }
        power
    }

    /// The multiplicative inverse, by Fermat: the power `p - 2`. Zero has none and gives zero.
    #[must_use]
    pub(crate) const fn inverse(self) -> Self {
        // ones(n) is the power 2^n - 1, and p - 2 = 4 * (2^59 - 1) + 1.
        let one = self;
        let two = one.squared(1).times(one);
        let four = two.squared(2).times(two);
        let eight = four.squared(4).times(four);
        let sixteen = eight.squared(8).times(eight);
        let thirty_two = sixteen.squared(16).times(sixteen);
        let forty_eight = thirty_two.squared(16).times(sixteen);
        let fifty_six = forty_eight.squared(8).times(eight);
        let fifty_eight = fifty_six.squared(2).times(two);
        let fifty_nine = fifty_eight.squared(1).times(one);
        fifty_nine.squared(2).times(one)
    }

    /// A square root, if there is one: `p = 3 mod 4`, so the power `(p + 1) / 4 = 2^59` is one.
    #[must_use]
    pub(crate) fn root(self) -> Option<Self> {
        let root = self.squared(59);
        (root * root == self).then_some(root)
    }
}

impl Add for Fp {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let sum = self.0 + other.0;
        Self(if sum >= P { sum - P } else { sum })
    }
}

impl Sub for Fp {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(if self.0 >= other.0 { self.0 - other.0 } else { self.0 + P - other.0 })
    }
}

impl Mul for Fp {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        self.times(other)
    }
}

impl Neg for Fp {
    type Output = Self;

    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl AddAssign for Fp {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Fp {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl MulAssign for Fp {
    fn mul_assign(&mut self, other: Self) {
        *self = *self * other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slow(value: u128) -> u64 {
        u64::try_from(value % u128::from(P)).unwrap()
    }

    #[test]
    fn the_edges_reduce() {
        assert_eq!(Fp::new(P), Fp::ZERO);
        assert_eq!(Fp::new(P + 1), Fp::ONE);
        assert_eq!(Fp::new(u64::MAX).value(), u64::MAX % P);
        assert_eq!(Fp::from_canonical(P), None);
        assert_eq!(Fp::non_zero(P), Fp::ONE);
        assert_eq!(Fp::reduce(u128::MAX).value(), slow(u128::MAX));
        let largest = -Fp::ONE;
        let sum = (0..PRODUCTS).map(|_| largest.wide(largest)).try_fold(0, u128::checked_add);
        assert_eq!(Fp::reduce(sum.unwrap()).value(), PRODUCTS as u64);
        assert_eq!(Fp::ZERO.inverse(), Fp::ZERO);
    }

    proptest! {
        #[test]
        fn the_operations_are_those_of_integers_modulo_p(a in any::<u64>(), b in any::<u64>()) {
            let (x, y) = (Fp::new(a), Fp::new(b));
            let (a, b) = (u128::from(a), u128::from(b));
            prop_assert_eq!((x + y).value(), slow(a + b));
            prop_assert_eq!((x * y).value(), slow(a * b));
            prop_assert_eq!(x - y + y, x);
            prop_assert_eq!(x + -x, Fp::ZERO);
            if x != Fp::ZERO {
                prop_assert_eq!(x * x.inverse(), Fp::ONE);
            }
            let square = x * x;
            let root = square.root().unwrap();
            prop_assert!(root == x || root == -x);
            // -1 is no square, so of an element and its negative one is.
            prop_assert!(x == Fp::ZERO || x.root().is_some() != (-x).root().is_some());
        }
    }
}
