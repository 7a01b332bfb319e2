//! The kinds of entities that this version reads as types.

use crate::schema::{
    Entity, Event, FestivalInfo, FestivalLink, Fields, Malformed, Profile, Resource, field_names,
    read_fields,
};

/// What is known of a kind.
pub(crate) struct Known {
    /// The fields that its type reads.
    pub(crate) names: &'static [&'static str],
    /// Whether fields are what its type needs.
    pub(crate) check: fn(&Fields) -> Result<(), Malformed>,
}

/// What is known of a kind; `None` for one of an application's own or of another version.
pub(crate) fn known(kind: &str) -> Option<Known> {
    match kind {
        Profile::KIND => Some(of::<Profile>()),
        FestivalInfo::KIND => Some(of::<FestivalInfo>()),
        FestivalLink::KIND => Some(of::<FestivalLink>()),
        Resource::KIND => Some(of::<Resource>()),
        Event::KIND => Some(of::<Event>()),
        _ => None,
    }
}

fn of<E: Entity>() -> Known {
    Known { names: field_names::<E>(), check: |fields| read_fields::<E>(fields).map(drop) }
}
