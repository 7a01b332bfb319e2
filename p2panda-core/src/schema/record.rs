use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    codec::{self, CodecError},
    hash::{Domain, hash},
    id::{EntityId, ParseIdError, byte_id, from_text, to_text},
    schema::{Instant, Value},
};
use std::str::FromStr;

byte_id!(
    /// The hash of a policy as data: decisions name the policy under which they were made.
    PolicyHash, 32, "a policy hash (52 letters and digits)"
);

/// A policy as data: a kind and its parameters. Written as one scalar, so that two versions never mix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicySpec {
    /// Which policy: `manual`, `first-come`, or one that an application adds.
    pub kind: String,
    /// Its parameters, plain data.
    pub params: BTreeMap<String, Value>,
}

/// The largest policy, in encoded bytes.
pub const MAX_POLICY: usize = 16 * 1024;

impl PolicySpec {
    /// A policy without parameters.
    #[must_use]
    pub fn new(kind: impl Into<String>) -> Self {
        Self { kind: kind.into(), params: BTreeMap::new() }
    }

    /// The hash that decisions carry.
    #[must_use]
    pub fn hash(&self) -> PolicyHash {
        PolicyHash(hash(Domain::Policy, &self.to_bytes()))
    }

    fn to_bytes(&self) -> Vec<u8> {
        codec::encode(&(&self.kind, &self.params))
    }
}

impl Serialize for PolicySpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.to_bytes())
    }
}

impl<'de> Deserialize<'de> for PolicySpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        let (kind, params) = codec::decode(&bytes, MAX_POLICY).map_err(D::Error::custom)?;
        Ok(Self { kind, params })
    }
}

/// A half-open span of time: `starts` belongs to it, `ends` does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The first moment.
    pub starts: Instant,
    /// The first moment after it.
    pub ends: Instant,
}

impl Span {
    /// A span, unless it is empty or inverted.
    #[must_use]
    pub fn new(starts: Instant, ends: Instant) -> Option<Self> {
        (starts < ends).then_some(Self { starts, ends })
    }

    /// Whether two spans share a moment. One that starts where another ends does not.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.starts < other.ends && other.starts < self.ends
    }
}

/// What is asked for and what is promised: votes and decisions carry it whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Terms {
    /// The event for which a resource is requested.
    pub event: EntityId,
    /// The resource.
    pub resource: EntityId,
    /// When it is needed.
    pub span: Span,
    /// How many units.
    pub units: i64,
}

/// Asks the owner of a resource for its use. Its terms never change: other terms are another request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What is asked for.
    pub terms: Terms,
    /// When the requester says it was asked. It breaks ties only within one arrival.
    pub claimed: Instant,
    /// A word to the owner.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What a decision says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// The resource is promised. It occupies capacity wherever it is seen.
    Confirm,
    /// It is not.
    Deny,
}

/// An owner's (or voter's) answer to a request. It carries the terms, so it counts in every view
/// that holds it, whether or not the request has arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The request that is answered.
    pub request: EntityId,
    /// Its terms, as the decider saw them.
    pub terms: Terms,
    /// The policy under which it was decided.
    pub policy: PolicyHash,
    /// Yes or no.
    pub answer: Answer,
    /// Why, or under which conditions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Ends decisions of the same user: their units come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The resource.
    pub resource: EntityId,
    /// Every decision that it ends.
    pub decisions: Vec<EntityId>,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Ends a request of the same user, for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// The resource.
    pub resource: EntityId,
    /// The request.
    pub request: EntityId,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// An immutable record: one scalar, named by the hash of its content, never overwritten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each variant wraps the documented type of its name")]
pub enum Record {
    Request(Request),
    Decision(Decision),
    Release(Release),
    Withdrawal(Withdrawal),
}

/// The largest record, in bytes.
pub const MAX_RECORD: usize = 16 * 1024;

impl Record {
    /// The record as it stands in a document.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a record; keys that this version does not know are ignored.
    ///
    /// # Errors
    /// [`CodecError`] where the bytes are no record.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode_open(bytes, MAX_RECORD)
    }

    /// The resource that the record is about.
    #[must_use]
    pub const fn resource(&self) -> &EntityId {
        match self {
            Self::Request(request) => &request.terms.resource,
            Self::Decision(decision) => &decision.terms.resource,
            Self::Release(release) => &release.resource,
            Self::Withdrawal(withdrawal) => &withdrawal.resource,
        }
    }
}

/// The label of the document in which a user's decisions on a resource stand.
pub(crate) fn decisions_label(resource: &EntityId) -> String {
    format!("decisions/{}", to_text(&hash(Domain::Record, resource.to_string().as_bytes())))
}
