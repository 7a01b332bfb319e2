use serde::{Deserialize, Serialize};

/// Why a payload can never become part of its document. It is the author's fault, and the same
/// verdict at every peer: the log's materialisation stops before it, while the log still replicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// It ends too early, or its length is not what it says.
    #[error("the payload is truncated or has a wrong length")]
    Truncated,
    /// An integer is longer than any integer may be.
    #[error("an integer is malformed")]
    Integer,
    /// It is no uncompressed Automerge change.
    #[error("the payload is no uncompressed Automerge change")]
    NotAChange,
    /// Other bytes than Automerge writes for the same change.
    #[error("the change is not in canonical form")]
    NotCanonical,
    /// It has a commit message.
    #[error("the change has a message")]
    Message,
    /// Its time is further from 1970 than milliseconds can count.
    #[error("the change's time is out of range")]
    Time,
    /// It has bytes behind its operations.
    #[error("the change has extra bytes")]
    ExtraBytes,
    /// A column that maps and scalars do not need.
    #[error("the change has columns outside the profile")]
    Columns,
    /// More than 4,096 operations or predecessors.
    #[error("the change claims more than 4096 operations or predecessors")]
    Operations,
    /// More operations and keys than its bytes pay for.
    #[error("the change has more operations and longer keys than its size pays for")]
    Inflated,
    /// An action other than making a map, putting and deleting.
    #[error("the change has an action outside the profile")]
    Action,
    /// Written by, or naming, an actor that is not the document's user.
    #[error("the change names an actor that is not an incarnation of the document's user")]
    Actor,
    /// Its sequence number is not its place in the log.
    #[error("the change's sequence number is not its place in the log")]
    Sequence,
    /// Its own previous change is missing from its dependencies, or one is named twice, or too many.
    #[error("the change's dependencies are malformed or lack its own previous change")]
    Dependencies,
    /// No operations and nothing to fold.
    #[error("the change does nothing")]
    Empty,
    /// Its first operation does not follow what it depends on, or counters are used up.
    #[error("the change's operation counter does not follow its dependencies")]
    Counter,
    /// A list, text sequence, mark, counter, float, unsigned or unknown value, or a bad field name.
    #[error("the change uses something outside the profile of maps and scalars")]
    Profile,
    /// Maps nested deeper than 8.
    #[error("the change nests maps deeper than 8")]
    Depth,
    /// A key of the root that is no local id.
    #[error("the change writes an entity whose id is malformed")]
    EntityId,
    /// It writes into a map that does not stand in its past.
    #[error("the change writes into a map that does not stand in its past")]
    Reference,
    /// Its predecessors are not what stands at the place in its past.
    #[error("the change's predecessors are not what stands at its place")]
    Predecessors,
    /// A record whose id is not the hash of its content.
    #[error("a record's id is not the hash of its content")]
    RecordId,
    /// A record may not be overwritten, deleted or made a map.
    #[error("the change overwrites or deletes an immutable record")]
    RecordChanged,
}
