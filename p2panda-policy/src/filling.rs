use p2panda_core::schema::{Record, Span};
use serde::Serialize;

use crate::{Judged, Verdict};

/// How well a shift is staffed, or anything else that needs so many at least and takes so many at
/// most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Filling {
    /// Units that are confirmed over the whole span.
    pub confirmed: i64,
    /// Units that are tentative over the whole span.
    pub tentative: i64,
    /// How many are needed at least.
    pub minimum: i64,
    /// How many there can be.
    pub maximum: i64,
}

impl Filling {
    /// How a resource is filled over a span: one of its slots, or the one span it is about. Requests
    /// for a part of the span are left out.
    #[must_use]
    pub fn of(judged: &Judged, span: &Span) -> Self {
        let mut filling = Self::default();
        let Some(resource) = &judged.facts.resource else { return filling };
        (filling.minimum, filling.maximum) = (resource.minimum, resource.capacity);
        for fact in &judged.facts.records {
            let Record::Request(request) = &fact.record else { continue };
            let own = &request.terms.span;
            if own.starts > span.starts || own.ends < span.ends {
                continue;
            }
            let counter = match judged.evaluation.verdicts.get(&fact.id) {
                Some(Verdict::Confirmed { .. }) => &mut filling.confirmed,
                Some(Verdict::Tentative { .. }) => &mut filling.tentative,
                _ => continue,
            };
            *counter = counter.saturating_add(request.terms.units);
        }
        filling
    }

    /// Whether enough are confirmed.
    #[must_use]
    pub const fn is_enough(&self) -> bool {
        self.confirmed >= self.minimum
    }

    /// How many are missing.
    #[must_use]
    pub const fn missing(&self) -> i64 {
        let missing = self.minimum.saturating_sub(self.confirmed);
        if missing > 0 { missing } else { 0 }
    }

    /// The confirmed ones among 100 that are needed, at most 100; 100 where none are needed.
    #[must_use]
    pub fn percent(&self) -> u8 {
        if self.is_enough() {
            return 100;
        }
        let hundredths = i128::from(self.confirmed) * 100 / i128::from(self.minimum);
        u8::try_from(hundredths).unwrap_or(0)
    }
}
