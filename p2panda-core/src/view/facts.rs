use std::collections::BTreeMap;

use crate::{
    id::{EntityId, Incarnation, UserId},
    schema::{Record, Resource},
    view::Causality,
};

/// Where a record stands: the payload of its author's document that first put it, and what of the
/// author's own logs of that document the payload knew.
///
/// Two positions of one document are equal where they name the same entry; what that had seen
/// follows from it.
#[derive(Clone, Debug)]
pub struct Position {
    /// The incarnation that wrote it.
    pub incarnation: Incarnation,
    /// The entry in that incarnation's log of the record's document, from 0.
    pub index: u64,
    /// From what follows what the entry had seen of the document's *other* incarnations. Only
    /// decisions are ever compared: a view leaves it empty for other records, and for decisions
    /// that stand elsewhere than in their author's document for that resource. Of those only the
    /// order in one log counts.
    pub causality: Causality,
}

impl Position {
    /// Whether this position causally precedes another of the same document.
    #[must_use]
    pub fn precedes(&self, other: &Self) -> bool {
        if self.incarnation == other.incarnation {
            self.index < other.index
        } else {
            let of_other = (other.incarnation, other.index);
            self.index < other.causality.seen_of(of_other, &self.incarnation)
        }
    }

    /// How many entries of each *other* incarnation's log of the document the entry had seen.
    #[must_use]
    pub fn seen(&self) -> BTreeMap<Incarnation, u64> {
        self.causality.seen((self.incarnation, self.index))
    }
}

impl PartialEq for Position {
    fn eq(&self, other: &Self) -> bool {
        (self.incarnation, self.index) == (other.incarnation, other.index)
    }
}

impl Eq for Position {}

/// A record about a resource, with everything that a policy may read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The record's id; a decision's or request's id.
    pub id: EntityId,
    /// Who signed it.
    pub author: UserId,
    /// What it says.
    pub record: Record,
    /// Where it stands in its author's logs.
    pub position: Position,
}

/// All that is known of one resource: an owned snapshot, the input of every policy.
///
/// It is a function of the facts held, the same at every peer that holds the same; the local order
/// of arrival is kept apart, in [`Arrivals`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceFacts {
    /// The resource.
    pub id: EntityId,
    /// The user whose document defines it.
    pub owner: UserId,
    /// Its fields; `None` while the resource itself has not arrived, was deleted or is malformed.
    pub resource: Option<Resource>,
    /// Requests, decisions, releases and withdrawals about it, by id.
    pub records: Vec<Fact>,
}

/// In which order records first arrived at this device: local knowledge that no two peers share.
/// Records that came in one batch have the same number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrivals(pub BTreeMap<EntityId, u64>);
