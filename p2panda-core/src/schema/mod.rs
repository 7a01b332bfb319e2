//! What a festival consists of: entities with fields, and immutable records.
//!
//! The schema is open. Fields and kinds that this version does not know are kept, replicated and
//! readable as plain [`Fields`].

mod amendment;
mod draw;
mod entity;
mod known;
mod record;
mod spans;
mod value;

pub use amendment::{
    AMENDED, AMENDMENT, Amendment, EDITORS, MAX_EDITORS, amends_label, is_amendable,
};
pub(crate) use amendment::{amended_document, editors};
pub use draw::{Draw, Lot};
pub use entity::{Entity, Event, FestivalInfo, FestivalLink, Location, Profile, Resource};
pub(crate) use known::known;
pub(crate) use record::decisions_label;
pub use record::{
    Answer, Decision, MAX_POLICY, MAX_RECORD, PolicyHash, PolicySpec, Record, Release, Request,
    Span, Terms, Withdrawal,
};
pub use spans::Spans;
pub(crate) use value::field_names;
pub use value::{Fields, Instant, Malformed, Value, read_fields, text_set, write_fields};
