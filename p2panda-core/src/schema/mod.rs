//! What a festival consists of: entities with fields, and immutable records.
//!
//! The schema is open. Fields and kinds that this version does not know are kept, replicated and
//! readable as plain [`Fields`].

mod draw;
mod entity;
mod record;
mod spans;
mod value;

pub use draw::{Draw, Lot};
pub use entity::{Entity, Event, FestivalInfo, Location, Profile, Resource};
pub use record::{
    Answer, Decision, MAX_POLICY, MAX_RECORD, PolicyHash, PolicySpec, Record, Release, Request,
    Span, Terms, Withdrawal,
};
pub use spans::Spans;
pub(crate) use value::field_names;
pub use value::{Fields, Instant, Malformed, Value, read_fields, text_set, write_fields};
