use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    codec,
    hash::{Domain, hash},
    id::EntityId,
};

/// What an owner reveals when lots were drawn: the seed to which the policy was committed, and the
/// lots that took part. Written as one scalar, so that two versions never mix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Draw {
    /// Whoever knows it can compute every lot.
    pub seed: [u8; 32],
    /// The lots of the requests that took part: the lowest comes first.
    lots: Vec<Lot>,
}

/// The lot of one request under one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lot([u8; 16]);

impl Lot {
    /// The lot of a request. Nobody can tell it, or choose a request for it, without the seed.
    #[must_use]
    pub fn of(seed: &[u8; 32], request: &EntityId) -> Self {
        let hash = hash(Domain::Policy, &codec::encode(&("lot", seed, request)));
        Self(std::array::from_fn(|at| hash[at]))
    }
}

impl Draw {
    /// How many requests take part at most: the lowest lots of more.
    pub const MAX: usize = 2_048;

    /// A seed that nobody knows but the holder of a secret, who finds it on every device.
    #[must_use]
    pub fn seed(secret: &[u8; 32], resource: &EntityId) -> [u8; 32] {
        hash(Domain::Policy, &codec::encode(&("seed", secret, resource)))
    }

    /// What commits to a seed before it is revealed.
    #[must_use]
    pub fn commitment(seed: &[u8; 32]) -> [u8; 32] {
        hash(Domain::Policy, &codec::encode(&("commitment", seed, "")))
    }

    /// The draw among these requests.
    #[must_use]
    pub fn among<'a>(seed: [u8; 32], requests: impl IntoIterator<Item = &'a EntityId>) -> Self {
        let lots = requests.into_iter().map(|request| Lot::of(&seed, request));
        let mut lots: Vec<Lot> = lots.collect();
        lots.sort_unstable();
        lots.dedup();
        lots.truncate(Self::MAX);
        Self { seed, lots }
    }

    /// The place of a request, the first one being 0; `None` where it did not take part.
    #[must_use]
    pub fn place(&self, request: &EntityId) -> Option<usize> {
        self.lots.binary_search(&Lot::of(&self.seed, request)).ok()
    }
}

impl Serialize for Draw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = self.seed.to_vec();
        bytes.extend(self.lots.iter().flat_map(|lot| lot.0));
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for Draw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        let malformed = || D::Error::custom("a draw is a seed and lots in order");
        let (seed, rest) = bytes.split_first_chunk::<32>().ok_or_else(malformed)?;
        let (lots, []) = rest.as_chunks::<16>() else { return Err(malformed()) };
        let lots: Vec<Lot> = lots.iter().copied().map(Lot).collect();
        if lots.len() > Self::MAX || !lots.is_sorted_by(|a, b| a < b) {
            return Err(malformed());
        }
        Ok(Self { seed: *seed, lots })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::DocumentId;

    #[test]
    fn a_draw_is_read_back_and_nothing_but_a_draw_is() {
        let id = |name: &str| EntityId::new(DocumentId::from_bytes([1; 32]), name.parse().unwrap());
        let requests = ["a", "b", "c"].map(id);
        let draw = Draw::among([7; 32], &requests);
        let bytes = cbor2::Value::serialized(&draw).unwrap();
        assert_eq!(bytes.deserialized::<Draw>().unwrap(), draw);
        let mut places = requests.each_ref().map(|request| draw.place(request).unwrap());
        places.sort_unstable();
        assert_eq!(places, [0, 1, 2]);
        assert_eq!(draw.place(&id("d")), None);

        let cbor2::Value::Bytes(bytes) = bytes else { panic!() };
        let mut swapped = bytes.clone();
        swapped[32..64].rotate_left(16);
        for bad in [&bytes[..31], &bytes[..79], &swapped, &[0; 32 + 2 * 16]] {
            assert!(cbor2::Value::Bytes(bad.to_vec()).deserialized::<Draw>().is_err());
        }
    }

    #[test]
    fn of_too_many_the_lowest_lots_take_part() {
        let document = DocumentId::from_bytes([1; 32]);
        let ids: Vec<EntityId> =
            (0..3_000).map(|n| EntityId::new(document, n.to_string().parse().unwrap())).collect();
        let draw = Draw::among([7; 32], &ids);
        let (in_it, out): (Vec<&EntityId>, Vec<&EntityId>) =
            ids.iter().partition(|id| draw.place(id).is_some());
        assert_eq!(in_it.len(), Draw::MAX);
        let lot = |id: &&EntityId| Lot::of(&[7; 32], id);
        assert!(in_it.iter().map(lot).max() < out.iter().map(lot).min());
    }
}
