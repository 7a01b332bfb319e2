//! What a sketch sums up: each log as a key and a value in the field.

use p2panda_core::{Chain, FestivalId, LogId, Tip};

use super::field::{Fp, P};

/// What all keys and values of a sketch depend on: 8 random bytes, drawn by the side that encodes.
///
/// Who knows the salt can search for logs that collide under it, so it is private until it is used
/// and is not used for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Salt(pub [u8; 8]);

/// The state of one log, as the sides compare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its length and the chain value there.
    pub tip: Tip,
    /// Whether a proof that its author signed two chains has cut it there.
    pub cut: bool,
}

impl Entry {
    /// A log that ends there and is not cut.
    #[must_use]
    pub const fn new(tip: Tip) -> Self {
        Self { tip, cut: false }
    }
}

/// An [`Entry`] of a log under a salt: what the sketches sum up.
///
/// `value` is `length mod 2^16`, 21 bits of a digest of the chain value and 24 bits of a check over
/// key and value and whether the log is cut, from the highest bit to the lowest. It is never zero,
/// which means "no such log": the packed values that are zero modulo `p` become one. So a log cut
/// to nothing differs from one that is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Which log; never zero.
    pub key: Fp,
    /// Its state; never zero.
    pub value: Fp,
    /// 64 random signs, which depend on the log alone.
    pub(crate) signs: u64,
    /// 64 random bits, which depend on log and state.
    pub(crate) weights: u64,
}

/// What a value says of a log. Nothing of it is proved: it is a hint where to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The length modulo `2^16`.
    pub length: u16,
    /// 21 bits that depend on the chain value; see [`Keys::digest`].
    pub digest: u32,
    /// Whether the log is cut there.
    pub cut: bool,
}

impl Hint {
    /// The whole length, if it is near this one: the differences of lengths that a session meets
    /// are below 32,768 entries, and a wrong guess costs a question.
    #[must_use]
    pub fn length_near(&self, near: u64) -> u64 {
        let ahead = self.length.wrapping_sub(short(near));
        if ahead < 1 << 15 {
            return near.saturating_add(ahead.into());
        }
        let behind = u64::from(ahead.wrapping_neg());
        near.checked_sub(behind).unwrap_or_else(|| near.saturating_add(ahead.into()))
    }
}

const LENGTH_SHIFT: u32 = 45;
const DIGEST_SHIFT: u32 = 24;
const DIGEST_MASK: u64 = (1 << 21) - 1;
const CHECK_MASK: u64 = (1 << 24) - 1;

const KEY: u8 = 0;
const DIGEST: u8 = 1;
const CHECK: u8 = 2;

/// Which bits of a hash make a key: all of them, but for tests in which keys have to collide.
const fn all_bits() -> u64 {
    u64::MAX
}
#[cfg(not(test))]
use all_bits as key_bits;
#[cfg(test)]
pub(crate) use narrow::key_bits;

#[cfg(test)]
pub(crate) mod narrow {
    use std::cell::Cell;

    thread_local! {
        static BITS: Cell<u64> = const { Cell::new(super::all_bits()) };
    }

    pub(crate) fn key_bits() -> u64 {
        BITS.get()
    }

    /// From here on keys of this thread have so few bits, the highest.
    pub(crate) fn set_key_bits(bits: u32) {
        BITS.set(((1 << bits) - 1) << (61 - bits));
    }
}

/// The keyed hashes of one salt and festival.
#[derive(Clone, Debug)]
pub struct Keys([u8; 32]);

impl Keys {
    /// Of a salt, in a festival. Strangers who see a sketch cannot try logs on it, as the
    /// festival's id is what they do not know.
    #[must_use]
    pub fn new(salt: Salt, festival: &FestivalId) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("p2panda 1 sketch");
        hasher.update(&salt.0).update(festival.as_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    /// The item of a log in a state.
    #[must_use]
    pub fn item(&self, log: &LogId, entry: &Entry) -> Item {
        let (key, signs) = self.log(log);
        let length = short(entry.tip.length);
        let (check, weights) = self.check(key, length, self.digest(&entry.tip.chain), entry.cut);
        Item { key, value: check, signs, weights }
    }

    /// The key of a log.
    #[must_use]
    pub fn key(&self, log: &LogId) -> Fp {
        self.log(log).0
    }

    /// What a value says, if it is one of this key; random values pass with a probability of
    /// 2^-23.
    #[must_use]
    pub fn read(&self, key: Fp, value: Fp) -> Option<Hint> {
        // Two more values have become one.
        let packed = if value == Fp::ONE { &[1, 0, P][..] } else { &[value.value()] };
        packed.iter().find_map(|packed| {
            let length = short(*packed >> LENGTH_SHIFT);
            let digest = low(*packed >> DIGEST_SHIFT & DIGEST_MASK);
            let passes = |cut: &bool| self.check(key, length, digest, *cut).0 == value;
            let cut = [false, true].into_iter().find(passes)?;
            (value != Fp::ZERO).then_some(Hint { length, digest, cut })
        })
    }

    /// The 21 bits of a chain value that a value holds.
    #[must_use]
    pub fn digest(&self, chain: &Chain) -> u32 {
        let bits = first(&self.hash(DIGEST, &[chain.as_bytes()]));
        low(bits & DIGEST_MASK)
    }

    fn log(&self, log: &LogId) -> (Fp, u64) {
        let hash = self.hash(KEY, &[log.document.as_bytes(), log.incarnation.as_bytes()]);
        (Fp::non_zero(first(&hash) & key_bits()), first(&hash[8..]))
    }

    /// The value with its check, and the weights.
    fn check(&self, key: Fp, length: u16, digest: u32, cut: bool) -> (Fp, u64) {
        let parts = [
            &key.value().to_be_bytes()[..],
            &length.to_be_bytes(),
            &digest.to_be_bytes(),
            &[u8::from(cut)],
        ];
        let hash = self.hash(CHECK, &parts);
        let high = u64::from(length) << LENGTH_SHIFT | u64::from(digest) << DIGEST_SHIFT;
        let packed = high | first(&hash) & CHECK_MASK;
        (Fp::non_zero(packed), first(&hash[8..]))
    }

    fn hash(&self, domain: u8, parts: &[&[u8]]) -> [u8; 32] {
        // At most one block, so one compression.
        let mut block = [0; 64];
        block[0] = domain;
        let mut end = 1;
        for part in parts {
            block[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        }
        *blake3::keyed_hash(&self.0, &block[..end]).as_bytes()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it is meant to")]
const fn short(length: u64) -> u16 {
    length as u16
}

#[expect(clippy::cast_possible_truncation, reason = "it is meant to")]
const fn low(bits: u64) -> u32 {
    bits as u32
}

fn first(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2panda_core::{DocumentId, Incarnation};
    use proptest::prelude::*;

    fn keys() -> Keys {
        Keys::new(Salt([1; 8]), &FestivalId::from_bytes([2; 32]))
    }

    fn log(byte: u8) -> LogId {
        let document = DocumentId::from_bytes([byte; 32]);
        LogId { document, incarnation: Incarnation::from_bytes([byte; 8]) }
    }

    fn entry(length: u64, byte: u8, cut: bool) -> Entry {
        Entry { tip: Tip { length, chain: Chain::from_bytes([byte; 32]) }, cut }
    }

    #[test]
    fn the_encoding_of_an_entry_is_what_it_is() {
        let item = keys().item(&log(3), &entry(0x1_0203, 4, false));
        assert_eq!(item.value.value() >> LENGTH_SHIFT, 0x0203);
        let figures = [item.key.value(), item.value.value(), item.signs, item.weights];
        assert_eq!(figures, VECTOR, "{figures:#x?}");
        let cut = keys().item(&log(3), &entry(0x1_0203, 4, true));
        assert_eq!((cut.key, cut.signs), (item.key, item.signs));
        let high = |item: &Item| item.value.value() >> DIGEST_SHIFT;
        assert_eq!(high(&cut), high(&item), "only the check differs");
        assert_ne!(cut.value, item.value);
    }

    const VECTOR: [u64; 4] = [
        0x1470_aa09_5a9b_72d7,
        0x0040_6a5c_2c8f_bfa2,
        0x9732_3c90_86cf_560f,
        0x9eb9_8f89_89b1_3807,
    ];

    #[test]
    fn other_salts_and_festivals_give_other_items() {
        let entry = entry(5, 1, false);
        let item = keys().item(&log(1), &entry);
        let salted = Keys::new(Salt([2; 8]), &FestivalId::from_bytes([2; 32]));
        let elsewhere = Keys::new(Salt([1; 8]), &FestivalId::from_bytes([3; 32]));
        for other in [salted, elsewhere] {
            let other = other.item(&log(1), &entry);
            assert!(other.key != item.key && other.value != item.value);
        }
    }

    #[test]
    fn a_log_cut_to_nothing_is_not_absent() {
        let start = Tip::start(&log(1));
        let cut = keys().item(&log(1), &Entry { tip: start, cut: true });
        assert_ne!(cut.value, Fp::ZERO);
        let hint = keys().read(cut.key, cut.value).unwrap();
        assert_eq!((hint.length, hint.cut), (0, true));
        assert_eq!(keys().read(cut.key, Fp::ZERO), None);
    }

    #[test]
    fn lengths_are_read_as_the_nearest() {
        let hint = |length| Hint { length: short(length), digest: 0, cut: false };
        for (theirs, near) in
            [(5, 7), (7, 5), (0, 0), (65_537, 65_535), (65_535, 65_540), (200_000, 190_000)]
        {
            assert_eq!(hint(theirs).length_near(near), theirs, "{theirs} near {near}");
        }
        // Nothing is shorter than nothing.
        assert_eq!(hint(40_000).length_near(0), 40_000);
    }

    proptest! {
        #[test]
        fn what_was_packed_is_read_again(
            length in any::<u64>(), byte in any::<u8>(), cut in any::<bool>(), noise in 1..P,
        ) {
            let keys = keys();
            let entry = entry(length, byte, cut);
            let item = keys.item(&log(byte), &entry);
            prop_assert!(item.key != Fp::ZERO && item.value != Fp::ZERO);
            let hint = keys.read(item.key, item.value).unwrap();
            let digest = keys.digest(&entry.tip.chain);
            prop_assert_eq!(hint, Hint { length: short(length), digest, cut });
            // Read under another key, or changed, it is noise.
            prop_assert_eq!(keys.read(item.key + Fp::ONE, item.value), None);
            prop_assert_eq!(keys.read(item.key, item.value + Fp::new(noise)), None);
        }
    }
}
