//! What comes by the thousand, packed closer than CBOR would: wishes, and the vector of all logs.

use crate::sketch::{Fp, Hint, UNNAMED as SHORT};

/// The most wishes of one `WANT`: at most 19 bytes each.
pub(crate) const MAX_WANTS: usize = 800;

/// The most logs of one `VECTOR`: at most 12 bytes each.
pub(crate) const MAX_STANDS: usize = 1300;

/// The most heads of one `IHAVE`: at most 19 bytes each.
pub(crate) const MAX_HEADS: usize = 512;

/// One log of a `WANT`: the first 40 bits of its key, the length that is held, and where it is not
/// zero a digest of the chain value there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) key: u64,
    pub(crate) from: u64,
    pub(crate) digest: Option<[u8; 4]>,
}

/// The logs of a `WANT`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wants(pub(crate) Vec<Wanted>);

impl Wants {
    pub(crate) const MAX: usize = MAX_WANTS;

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for wanted in &self.0 {
            bytes.extend(&wanted.key.to_be_bytes()[3..]);
            write_number(&mut bytes, wanted.from);
            bytes.extend(wanted.digest.iter().flatten());
        }
        bytes
    }

    pub(crate) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut wants = Vec::new();
        while !bytes.is_empty() {
            let [a, b, c, d, e] = read_array(&mut bytes)?;
            let key = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
            let from = read_number(&mut bytes)?;
            let digest = if from == 0 { None } else { Some(read_array(&mut bytes)?) };
            wants.push(Wanted { key, from, digest });
        }
        (wants.len() <= MAX_WANTS).then_some(Self(wants))
    }
}

/// One log of an `IHAVE`: the first 40 bits of its key, its length, and a digest of the chain value
/// there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) key: u64,
    pub(crate) length: u64,
    pub(crate) digest: [u8; 4],
}

/// The logs of an `IHAVE`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heads(pub(crate) Vec<Head>);

impl Heads {
    pub(crate) const MAX: usize = MAX_HEADS;

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for head in &self.0 {
            bytes.extend(&head.key.to_be_bytes()[3..]);
            write_number(&mut bytes, head.length);
            bytes.extend(head.digest);
        }
        bytes
    }

    pub(crate) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut heads = Vec::new();
        while !bytes.is_empty() {
            let [a, b, c, d, e] = read_array(&mut bytes)?;
            let key = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
            let length = read_number(&mut bytes)?;
            heads.push(Head { key, length, digest: read_array(&mut bytes)? });
        }
        (heads.len() <= MAX_HEADS).then_some(Self(heads))
    }
}

/// One log of a `VECTOR`: the first 40 bits of its key, and its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stand {
    pub(crate) key: u64,
    pub(crate) hint: Hint,
}

impl Stand {
    pub(crate) const fn short(key: Fp) -> u64 {
        key.value() >> SHORT
    }

    /// The lowest key that begins so.
    pub(crate) const fn long(short: u64) -> Fp {
        Fp::new(short << SHORT)
    }
}

/// The logs of a `VECTOR`, with ascending keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stands(pub(crate) Vec<Stand>);

impl Stands {
    pub(crate) const MAX: usize = MAX_STANDS;

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut previous = 0;
        for Stand { key, hint } in &self.0 {
            write_number(&mut bytes, *key - previous);
            previous = *key;
            bytes.extend(hint.length.to_be_bytes());
            let rest = hint.digest << 1 | u32::from(hint.cut);
            bytes.extend(&rest.to_be_bytes()[1..]);
        }
        bytes
    }

    pub(crate) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut stands = Vec::new();
        let mut previous = 0_u64;
        while !bytes.is_empty() {
            let key = previous.checked_add(read_number(&mut bytes)?)?;
            previous = key;
            let length = u16::from_be_bytes(read_array(&mut bytes)?);
            let [high, middle, low] = read_array(&mut bytes)?;
            let rest = u32::from_be_bytes([0, high, middle, low]);
            if key >> (61 - SHORT) > 0 || rest >> 22 > 0 {
                return None;
            }
            let hint = Hint { length, digest: rest >> 1, cut: rest & 1 == 1 };
            stands.push(Stand { key, hint });
        }
        (stands.len() <= MAX_STANDS).then_some(Self(stands))
    }
}

/// Keys behind one another.
pub(crate) fn write_keys(keys: impl IntoIterator<Item = Fp>) -> Vec<u8> {
    keys.into_iter().flat_map(|key| key.value().to_be_bytes()).collect()
}

pub(crate) fn read_keys(mut bytes: &[u8]) -> Option<Vec<Fp>> {
    let mut keys = Vec::new();
    while !bytes.is_empty() {
        keys.push(read_key(&mut bytes)?);
    }
    Some(keys)
}

fn read_key(bytes: &mut &[u8]) -> Option<Fp> {
    Fp::from_canonical(u64::from_be_bytes(read_array(bytes)?))
}

fn read_array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (array, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*array)
}

/// Base 128, the least digit first.
fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 128 {
        bytes.push(128 | (number & 127) as u8);
        number >>= 7;
    }
    bytes.push((number & 127) as u8);
}

fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0_u64, 0_u32);
    loop {
        let [byte] = read_array(bytes)?;
        let digit = u64::from(byte & 127);
        // No digits that do not fit, and no empty ones at the end.
        if shift > 63 || digit << shift >> shift != digit || (byte == 0 && shift > 0) {
            return None;
        }
        number |= digit << shift;
        shift += 7;
        if byte < 128 {
            return Some(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wanted() -> impl Strategy<Value = Wanted> {
        let from = prop_oneof![Just(0), 1..300_u64, any::<u64>()];
        (0..1_u64 << 40, from, any::<[u8; 4]>()).prop_map(|(key, from, digest)| Wanted {
            key,
            from,
            digest: (from > 0).then_some(digest),
        })
    }

    fn head() -> impl Strategy<Value = Head> {
        let length = prop_oneof![0..300_u64, any::<u64>()];
        (0..1_u64 << 40, length, any::<[u8; 4]>()).prop_map(|(key, length, digest)| Head {
            key,
            length,
            digest,
        })
    }

    fn stand() -> impl Strategy<Value = Stand> {
        (0..1_u64 << 40, any::<u16>(), 0..1_u32 << 21, any::<bool>()).prop_map(
            |(key, length, digest, cut)| Stand { key, hint: Hint { length, digest, cut } },
        )
    }

    proptest! {
        #[test]
        fn wishes_are_read_again(wants in prop::collection::vec(wanted(), 0..40)) {
            let wants = Wants(wants);
            prop_assert_eq!(Wants::from_bytes(&wants.to_bytes()), Some(wants));
        }

        #[test]
        fn heads_are_read_again(heads in prop::collection::vec(head(), 0..40)) {
            let heads = Heads(heads);
            prop_assert_eq!(Heads::from_bytes(&heads.to_bytes()), Some(heads));
        }

        #[test]
        fn the_vector_is_read_again(mut stands in prop::collection::vec(stand(), 0..40)) {
            stands.sort_by_key(|stand| stand.key);
            let stands = Stands(stands);
            prop_assert_eq!(Stands::from_bytes(&stands.to_bytes()), Some(stands));
        }

        #[test]
        fn garbage_has_one_reading_or_none(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(wants) = Wants::from_bytes(&bytes) {
                prop_assert_eq!(wants.to_bytes(), &bytes[..]);
            }
            if let Some(heads) = Heads::from_bytes(&bytes) {
                prop_assert_eq!(heads.to_bytes(), &bytes[..]);
            }
            if let Some(stands) = Stands::from_bytes(&bytes) {
                prop_assert_eq!(stands.to_bytes(), &bytes[..]);
            }
            if let Some(keys) = read_keys(&bytes) {
                prop_assert_eq!(write_keys(keys), bytes);
            }
        }
    }

    #[test]
    fn more_than_a_frame_has_room_for_is_refused() {
        let many = Wants(vec![Wanted { key: 1, from: 0, digest: None }; MAX_WANTS + 1]);
        assert_eq!(Wants::from_bytes(&many.to_bytes()), None);
        let many = Heads(vec![Head { key: 1, length: 1, digest: [0; 4] }; MAX_HEADS + 1]);
        assert_eq!(Heads::from_bytes(&many.to_bytes()), None);
    }
}
