//! Polynomials over the field, and the roots of those that are products of linear factors.
//!
//! Coefficients stand from the lowest to the highest. A locator has at most [`MAX_DEGREE`] roots,
//! so sums of products are reduced once and not at every step.

use super::field::{Fp, PRODUCTS};

/// The highest degree of a polynomial that is taken apart.
pub(crate) const MAX_DEGREE: usize = PRODUCTS;

/// How often a split is tried; one attempt fails with a probability of about a half.
const ATTEMPTS: usize = 128;

/// The roots of a monic polynomial, if it has as many different ones as its degree says.
///
/// The `p` elements of the field are the roots of `x^p - x`, so a polynomial has that property
/// exactly if it divides it, which one power tells. It is then taken apart as Cantor and Zassenhaus
/// do for factors of equal degree (*A new algorithm for factoring polynomials over finite fields*,
/// 1981): for a random `a`, half of all elements `r` make `(r + a)^((p - 1) / 2)` one, so the
/// greatest common divisor with `(x + a)^((p - 1) / 2) - 1` holds about half of the roots.
pub(crate) fn roots(monic: &[Fp], random: &mut dyn FnMut() -> u64) -> Option<Vec<Fp>> {
    let degree = monic.len().checked_sub(1)?;
    if degree > MAX_DEGREE {
        return None;
    }
    // x^(p + 1) = x^(2^61) is x^2 wherever x^p is x, zero as a double root apart.
    if degree > 2 {
        let modulus = Modulus::new(monic);
        let mut power = modulus.remainder(&[Fp::ZERO, Fp::ONE]);
        for _ in 0..61 {
            power = modulus.square(&power);
        }
        let square = modulus.remainder(&[Fp::ZERO, Fp::ZERO, Fp::ONE]);
        if power != square || monic[0] == Fp::ZERO {
            return None;
        }
    }
    let mut found = Vec::with_capacity(degree);
    let mut waiting = vec![monic.to_vec()];
    while let Some(part) = waiting.pop() {
        match part[..] {
            [] | [_] => {}
            [constant, _] => found.push(-constant),
            [constant, linear, _] => found.extend(both_roots(constant, linear)?),
            _ => {
                let (left, right) = split(&part, random)?;
                waiting.push(left);
                waiting.push(right);
            }
        }
    }
    Some(found)
}

/// The two different roots of `x^2 + linear x + constant`.
fn both_roots(constant: Fp, linear: Fp) -> Option<[Fp; 2]> {
    let half = Fp::new(2).inverse();
    let middle = -linear * half;
    let distance = (middle * middle - constant).root()?;
    (distance != Fp::ZERO).then(|| [middle + distance, middle - distance])
}

/// Two factors of a product of at least two different linear factors.
fn split(monic: &[Fp], random: &mut dyn FnMut() -> u64) -> Option<(Vec<Fp>, Vec<Fp>)> {
    let modulus = Modulus::new(monic);
    for _ in 0..ATTEMPTS {
        let shift = Fp::new(random());
        // (x + a)^(2^60 - 1), whose exponent is sixty ones.
        let mut power = modulus.remainder(&[shift, Fp::ONE]);
        for _ in 1..60 {
            power = modulus.square(&power);
            power = modulus.times_linear(&power, shift);
        }
        power[0] -= Fp::ONE;
        let left = common_divisor(monic.to_vec(), power);
        if left.len() > 1 && left.len() < monic.len() {
            let right = quotient(monic, &left);
            return Some((left, right));
        }
    }
    None
}

/// Arithmetic modulo a monic polynomial of degree one to [`MAX_DEGREE`].
struct Modulus {
    /// All coefficients but the first, negated: what the highest power is replaced by.
    negated: Vec<Fp>,
}

impl Modulus {
    fn new(monic: &[Fp]) -> Self {
        let degree = monic.len() - 1;
        Self { negated: monic[..degree].iter().map(|coefficient| -*coefficient).collect() }
    }

    /// The remainder, with exactly as many coefficients as the modulus has roots.
    fn remainder(&self, polynomial: &[Fp]) -> Vec<Fp> {
        let degree = self.negated.len();
        let mut sums: Vec<u128> =
            polynomial.iter().map(|element| u128::from(element.value())).collect();
        sums.resize(sums.len().max(degree), 0);
        for at in (degree..sums.len()).rev() {
            let factor = Fp::reduce(sums[at]);
            if factor != Fp::ZERO {
                // At most MAX_DEGREE - 1 of these meet in one sum, and one element.
                for (sum, negated) in sums[at - degree..at].iter_mut().zip(&self.negated) {
                    *sum += factor.wide(*negated);
                }
            }
        }
        sums[..degree].iter().map(|sum| Fp::reduce(*sum)).collect()
    }

    fn square(&self, factor: &[Fp]) -> Vec<Fp> {
        let mut product = vec![Fp::ZERO; (2 * factor.len()).saturating_sub(1)];
        for (at, coefficient) in product.iter_mut().enumerate() {
            let low = (at + 1).saturating_sub(factor.len());
            // Each pair once, and twice in the product.
            let pairs = (low..at.div_ceil(2)).map(|i| factor[i].wide(factor[at - i]));
            let twice = Fp::reduce(pairs.sum());
            *coefficient = twice + twice;
            if at % 2 == 0 {
                *coefficient += factor[at / 2] * factor[at / 2];
            }
        }
        self.remainder(&product)
    }

    /// Times `x + constant`.
    fn times_linear(&self, factor: &[Fp], constant: Fp) -> Vec<Fp> {
        let highest = factor[factor.len() - 1];
        let mut product: Vec<_> = (0..factor.len())
            .map(|at| {
                let below = if at == 0 { Fp::ZERO } else { factor[at - 1] };
                below + factor[at] * constant
            })
            .collect();
        for (coefficient, negated) in product.iter_mut().zip(&self.negated) {
            *coefficient += highest * *negated;
        }
        product
    }
}

/// The monic greatest common divisor.
fn common_divisor(mut left: Vec<Fp>, mut right: Vec<Fp>) -> Vec<Fp> {
    loop {
        make_monic(&mut right);
        if right.is_empty() {
            return left;
        }
        let rest = remainder(&left, &right);
        left = std::mem::replace(&mut right, rest);
    }
}

fn make_monic(polynomial: &mut Vec<Fp>) {
    while polynomial.last() == Some(&Fp::ZERO) {
        polynomial.pop();
    }
    if let Some(highest) = polynomial.last() {
        let inverse = highest.inverse();
        polynomial.iter_mut().for_each(|coefficient| *coefficient *= inverse);
    }
}

fn remainder(dividend: &[Fp], monic: &[Fp]) -> Vec<Fp> {
    if monic.len() == 1 { Vec::new() } else { Modulus::new(monic).remainder(dividend) }
}

/// The quotient by a monic divisor, whatever the remainder.
fn quotient(dividend: &[Fp], monic: &[Fp]) -> Vec<Fp> {
    let mut rest = dividend.to_vec();
    let degree = monic.len() - 1;
    for at in (degree..rest.len()).rev() {
        let factor = rest[at];
        for (below, coefficient) in rest[at - degree..at].iter_mut().zip(monic) {
            *below -= factor * *coefficient;
        }
    }
    rest.split_off(degree)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// A generator for tests, and nothing else.
    pub(crate) fn random(mut state: u64) -> impl FnMut() -> u64 {
        move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut bits = state;
            bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            bits ^ (bits >> 31)
        }
    }

    fn product(roots: &BTreeSet<Fp>) -> Vec<Fp> {
        let mut product = vec![Fp::ONE];
        for root in roots {
            product.insert(0, Fp::ZERO);
            for at in 0..product.len() - 1 {
                let above = product[at + 1];
                product[at] -= above * *root;
            }
        }
        product
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn the_roots_of_a_product_of_linear_factors_are_found(
            values in prop::collection::btree_set(1..super::super::field::P, 0..=64),
            seed in any::<u64>(),
        ) {
            let expected: BTreeSet<_> = values.into_iter().map(Fp::new).collect();
            let found = roots(&product(&expected), &mut random(seed)).unwrap();
            prop_assert_eq!(found.len(), expected.len());
            prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
        }

        #[test]
        fn other_polynomials_are_refused(
            mut coefficients in prop::collection::vec(any::<u64>(), 12..40),
            seed in any::<u64>(),
        ) {
            coefficients.push(1);
            let polynomial: Vec<_> = coefficients.into_iter().map(Fp::new).collect();
            // That a random one splits has a probability of one in 12! at most.
            prop_assert_eq!(roots(&polynomial, &mut random(seed)), None);
        }
    }

    #[test]
    fn repeated_roots_and_too_high_degrees_are_refused() {
        let once = product(&BTreeSet::from([Fp::new(3), Fp::new(5), Fp::new(9)]));
        let mut twice = vec![Fp::ZERO; 7];
        for (i, a) in once.iter().enumerate() {
            for (j, b) in once.iter().enumerate() {
                twice[i + j] += *a * *b;
            }
        }
        assert_eq!(roots(&twice, &mut random(1)), None);
        let square = [Fp::new(9), -Fp::new(6), Fp::ONE];
        assert_eq!(roots(&square, &mut random(1)), None);
        let no_square = [Fp::ONE, Fp::ZERO, Fp::ONE];
        assert_eq!(roots(&no_square, &mut random(1)), None);
        let many: BTreeSet<_> = (1..=65).map(Fp::new).collect();
        assert_eq!(roots(&product(&many), &mut random(1)), None);
        assert_eq!(roots(&[Fp::ONE], &mut random(1)), Some(Vec::new()));
        assert_eq!(roots(&[], &mut random(1)), None);
    }

    #[test]
    fn a_generator_that_never_splits_ends() {
        let many: BTreeSet<_> = (1..=5).map(Fp::new).collect();
        let monic = product(&many);
        let mut calls = 0;
        // The same shift again and again, one that splits nothing: all roots plus it are zero or
        // on one side.
        let stuck = (0..1000).map(Fp::new).find(|shift| {
            let power = |root: &Fp| (*root + *shift).squared(60) == (*root + *shift);
            many.iter().all(power)
        });
        if let Some(stuck) = stuck {
            let found = roots(&monic, &mut || {
                calls += 1;
                stuck.value()
            });
            assert_eq!((found, calls), (None, ATTEMPTS));
        }
    }
}
