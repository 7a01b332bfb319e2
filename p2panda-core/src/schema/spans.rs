use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    codec,
    schema::{Instant, Span},
};

/// A list of times, written as one scalar: when a resource is available, or its slots.
///
/// By start and then end, each once. Spans may touch and overlap: two slots that touch stay two.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// How many there can be at most.
    pub const MAX: usize = 1_024;

    /// These spans in order, each once; `None` where one of them is empty or inverted, or there
    /// are more than [`Spans::MAX`].
    ///
    /// ```
    /// use p2panda_core::schema::{Instant, Span, Spans};
    ///
    /// let [nine, noon, six] = [9, 12, 18].map(|hour| Instant::from_millis(hour * 3_600_000));
    /// let morning = Span { starts: nine, ends: noon };
    /// let open = Spans::new([Span { starts: noon, ends: six }, morning]).unwrap();
    /// assert!(open.cover(&Span { starts: nine, ends: six }));
    /// assert!(Spans::new([Span { starts: noon, ends: nine }]).is_none());
    /// ```
    #[must_use]
    pub fn new(spans: impl IntoIterator<Item = Span>) -> Option<Self> {
        let mut spans: Vec<Span> = spans.into_iter().collect();
        spans.sort_unstable();
        spans.dedup();
        let sound = spans.len() <= Self::MAX && spans.iter().all(|span| span.starts < span.ends);
        sound.then_some(Self(spans))
    }

    /// The spans, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Span] {
        &self.0
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether exactly this span is one of them.
    #[must_use]
    pub fn contains(&self, span: &Span) -> bool {
        self.0.binary_search(span).is_ok()
    }

    /// Whether every moment of a span lies in one of them.
    #[must_use]
    pub fn cover(&self, span: &Span) -> bool {
        let mut covered = span.starts;
        for own in &self.0 {
            if covered >= span.ends || own.starts > covered {
                break;
            }
            covered = covered.max(own.ends);
        }
        covered >= span.ends
    }
}

impl Serialize for Spans {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pair = |span: &Span| (span.starts.millis(), span.ends.millis());
        let pairs: Vec<(i64, i64)> = self.0.iter().map(pair).collect();
        serializer.serialize_bytes(&codec::encode(&pairs))
    }
}

impl<'de> Deserialize<'de> for Spans {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        let limit = 3 + Self::MAX * (1 + 2 * 9);
        let pairs: Vec<(i64, i64)> = codec::decode(&bytes, limit).map_err(D::Error::custom)?;
        let span = |(starts, ends): &(i64, i64)| Span {
            starts: Instant::from_millis(*starts),
            ends: Instant::from_millis(*ends),
        };
        let spans = Self::new(pairs.iter().map(span));
        let in_order = |spans: &Self| spans.0.iter().copied().eq(pairs.iter().map(span));
        spans.filter(in_order).ok_or_else(|| {
            D::Error::custom("times have to be in order, each once, and none of them empty")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(starts: i64, ends: i64) -> Span {
        Span { starts: Instant::from_millis(starts), ends: Instant::from_millis(ends) }
    }

    #[test]
    fn spans_that_touch_or_overlap_cover_together_and_a_gap_does_not() {
        let spans = Spans::new([span(5, 9), span(0, 5), span(2, 3), span(12, 14)]).unwrap();
        assert!(spans.cover(&span(0, 9)) && spans.cover(&span(3, 7)) && spans.cover(&span(12, 13)));
        assert!(!spans.cover(&span(8, 13)) && !spans.cover(&span(-1, 2)));
        assert!(!spans.cover(&span(12, 15)) && !spans.cover(&span(10, 11)));
        assert!(spans.contains(&span(2, 3)) && !spans.contains(&span(0, 9)));
        assert!(!Spans::default().cover(&span(0, 1)));
    }

    #[test]
    fn only_the_one_encoding_is_read() {
        let read = |pairs: &[(i64, i64)]| {
            let value = cbor2::Value::Bytes(codec::encode(pairs));
            value.deserialized::<Spans>().ok()
        };
        assert_eq!(read(&[(0, 2), (1, 2)]), Spans::new([span(1, 2), span(0, 2)]));
        for bad in [&[(1, 2), (0, 2)][..], &[(0, 2), (0, 2)], &[(2, 2)], &[(3, 2)]] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        let many: Vec<(i64, i64)> = (0..1_024).map(|n| (i64::MIN + n, i64::MAX)).collect();
        assert!(read(&many).is_some());
        let more: Vec<(i64, i64)> = (0..1_025).map(|n| (n, n + 1)).collect();
        assert!(read(&more).is_none());
    }
}
