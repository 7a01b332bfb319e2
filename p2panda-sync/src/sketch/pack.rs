//! Field elements on the wire: 61 bits each, behind one another, the lowest bit first.

use super::field::Fp;

const BITS: usize = 61;

/// The bytes of field elements; the bits that are left over are zero.
#[must_use]
pub fn pack(elements: impl IntoIterator<Item = Fp>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut rest, mut bits) = (0_u128, 0);
    for element in elements {
        rest |= u128::from(element.value()) << bits;
        bits += BITS;
        while bits >= 8 {
            bytes.push((rest & 0xff) as u8);
            rest >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        bytes.push((rest & 0xff) as u8);
    }
    bytes
}

/// How many elements so many bytes hold.
#[must_use]
pub const fn packed_count(bytes: usize) -> usize {
    bytes * 8 / BITS
}

/// Reads what [`pack`] wrote; `None` for anything else.
#[must_use]
pub fn unpack(bytes: &[u8]) -> Option<Vec<Fp>> {
    let count = packed_count(bytes.len());
    let mut elements = Vec::with_capacity(count);
    let (mut rest, mut bits) = (0_u128, 0);
    for byte in bytes {
        rest |= u128::from(*byte) << bits;
        bits += 8;
        if bits >= BITS {
            let element = u64::try_from(rest & ((1 << BITS) - 1)).ok()?;
            elements.push(Fp::from_canonical(element)?);
            rest >>= BITS;
            bits -= BITS;
        }
    }
    // No more bytes than needed, and nothing in the bits left over.
    (rest == 0 && bytes.len() == (count * BITS).div_ceil(8)).then_some(elements)
}

#[cfg(test)]
mod tests {
    use super::{super::field::P, *};
    use proptest::prelude::*;

    #[test]
    fn the_packing_is_what_it_is() {
        let bytes = pack([Fp::new(1), Fp::new(2), -Fp::ONE]);
        let mut expected = vec![1, 0, 0, 0, 0, 0, 0, 0x40];
        expected.extend([0, 0, 0, 0, 0, 0, 0, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
        assert_eq!(bytes, expected);
        assert_eq!(pack((0..16).map(Fp::new)).len(), 122);
        assert!(pack([]).is_empty());
        // The prime itself is no element, and 62 bits are none too many.
        assert_eq!(unpack(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f]), None);
        assert_eq!(unpack(&[0, 0, 0, 0, 0, 0, 0, 0x20]), None);
        assert_eq!(unpack(&[0]), None);
    }

    proptest! {
        #[test]
        fn elements_are_read_again(values in prop::collection::vec(0..P, 0..70)) {
            let elements: Vec<_> = values.into_iter().map(Fp::new).collect();
            let bytes = pack(elements.clone());
            prop_assert_eq!(unpack(&bytes), Some(elements));
        }

        #[test]
        fn bytes_are_read_only_if_they_are_a_packing(bytes in prop::collection::vec(any::<u8>(), 0..70)) {
            if let Some(elements) = unpack(&bytes) {
                prop_assert_eq!(pack(elements), bytes);
            }
        }
    }
}
