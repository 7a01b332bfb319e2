//! One hash of a whole map of logs that grows with it: whether two maps are equal, for certain.
//!
//! LtHash (Bellare, Micciancio, *A new paradigm for collision-free hashing: incrementality at reduced
//! cost*, 1997; parameters of Lewi, Kim, Maykov, Weis, *Securing update propagation with homomorphic
//! hashing*, 2019): each log and its state is hashed to 1,024 integers of 16 bits, and these are
//! added up lane by lane. A fingerprint is the hash of the sum.
//!
//! # Security
//! Two different maps with one sum are a vector with small coefficients that 1,024 equations modulo
//! 2^16 over random numbers send to zero, a short integer solution; finding one is at least as hard
//! as finding short vectors in the worst lattice. The paper finds more than 200 bits of security for
//! these parameters against both known attacks: lattice reduction, and the generalised birthday
//! attack (Wagner, 2002), which needs about `2^(2 * sqrt(16384)) = 2^256` steps. The hash of the sum
//! has 32 bytes, so collisions of it cost 2^128 steps.
//!
//! What must not be done in place of it: XOR of hashes is linear over bits, so that 256 logs of
//! one's own are enough to solve for any value; sums modulo 2^256 fall to the generalised birthday
//! attack in about `2^(2 * sqrt(256)) = 2^32` steps.
//!
//! The sum depends on no salt: one for each festival serves all sessions. What is sent depends on
//! the session, which is the session's business.

use std::fmt;

use p2panda_core::LogId;

use super::key::Entry;

const LANES: usize = 1024;

/// The sum over a map of logs, to which logs can be added and from which they can be taken.
#[derive(Clone, PartialEq, Eq)]
pub struct LogSum(Box<[u16; LANES]>);

/// A hash of all logs of a map: equal for equal maps and, as far as anybody can find, only for
/// those.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Default for LogSum {
    fn default() -> Self {
        Self(Box::new([0; LANES]))
    }
}

impl LogSum {
    /// Puts a log in.
    pub fn add(&mut self, log: &LogId, entry: &Entry) {
        self.each_lane(log, entry, |lane, by| *lane = lane.wrapping_add(by));
    }

    /// Takes a log out.
    pub fn subtract(&mut self, log: &LogId, entry: &Entry) {
        self.each_lane(log, entry, |lane, by| *lane = lane.wrapping_sub(by));
    }

    /// Adds a map that has no log in common with this one.
    pub fn merge(&mut self, other: &Self) {
        for (lane, by) in self.0.iter_mut().zip(other.0.iter()) {
            *lane = lane.wrapping_add(*by);
        }
    }

    /// The fingerprint of the map.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(blake3::derive_key("p2panda 1 log set fingerprint", &self.to_bytes()))
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|lane| lane.to_le_bytes()).collect()
    }

    /// What was stored; `None` for anything else.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut sum = Self::default();
        for (pair, lane) in bytes.chunks(2).zip(sum.0.iter_mut()) {
            *lane = u16::from_le_bytes(pair.try_into().ok()?);
        }
        (bytes.len() == 2 * LANES).then_some(sum)
    }

    fn each_lane(&mut self, log: &LogId, entry: &Entry, mut change: impl FnMut(&mut u16, u16)) {
        let mut hasher = blake3::Hasher::new_derive_key("p2panda 1 log set entry");
        hasher.update(log.document.as_bytes()).update(log.incarnation.as_bytes());
        hasher.update(&entry.tip.length.to_be_bytes()).update(entry.tip.chain.as_bytes());
        hasher.update(&[u8::from(entry.cut)]);
        let mut bytes = [0; 2 * LANES];
        hasher.finalize_xof().fill(&mut bytes);
        for (pair, lane) in bytes.chunks_exact(2).zip(self.0.iter_mut()) {
            change(lane, u16::from_le_bytes([pair[0], pair[1]]));
        }
    }
}

impl fmt::Debug for LogSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogSum").field(&self.fingerprint()).finish()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint(")?;
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, ")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2panda_core::{Chain, DocumentId, Incarnation, Tip};
    use proptest::prelude::*;

    fn log(byte: u8) -> LogId {
        let document = DocumentId::from_bytes([byte; 32]);
        LogId { document, incarnation: Incarnation::from_bytes([byte; 8]) }
    }

    fn entry(length: u64, byte: u8, cut: bool) -> Entry {
        Entry { tip: Tip { length, chain: Chain::from_bytes([byte; 32]) }, cut }
    }

    #[test]
    fn everything_about_a_log_counts() {
        let of = |log: LogId, entry: Entry| {
            let mut sum = LogSum::default();
            sum.add(&log, &entry);
            sum.fingerprint()
        };
        let all = [
            LogSum::default().fingerprint(),
            of(log(1), entry(1, 1, false)),
            of(log(2), entry(1, 1, false)),
            of(log(1), entry(2, 1, false)),
            of(log(1), entry(65_537, 1, false)),
            of(log(1), entry(1, 2, false)),
            of(log(1), entry(1, 1, true)),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{at}");
        }
    }

    #[test]
    fn the_same_log_twice_is_not_none() {
        let mut sum = LogSum::default();
        sum.add(&log(1), &entry(1, 1, false));
        sum.add(&log(1), &entry(1, 1, false));
        assert_ne!(sum, LogSum::default());
    }

    #[test]
    fn the_fingerprint_of_a_map_is_what_it_is() {
        let mut sum = LogSum::default();
        sum.add(&log(1), &entry(5, 2, false));
        sum.add(&log(3), &entry(0, 4, true));
        assert_eq!(format!("{:?}", sum.fingerprint()), VECTOR);
    }

    const VECTOR: &str = "Fingerprint(df671718207b2852)";

    proptest! {
        #[test]
        fn the_order_and_the_way_do_not_matter(logs in prop::collection::vec(any::<u8>(), 0..20)) {
            let mut forwards = LogSum::default();
            logs.iter().for_each(|byte| forwards.add(&log(*byte), &entry(1, *byte, false)));
            let (mut left, mut right) = (LogSum::default(), LogSum::default());
            for (at, byte) in logs.iter().rev().enumerate() {
                let half = if at % 2 == 0 { &mut left } else { &mut right };
                // Grown step by step.
                half.add(&log(*byte), &entry(0, *byte, true));
                half.subtract(&log(*byte), &entry(0, *byte, true));
                half.add(&log(*byte), &entry(1, *byte, false));
            }
            left.merge(&right);
            prop_assert_eq!(left.fingerprint(), forwards.fingerprint());
        }
    }
}
