//! Rooms are resources, which who comes first may use.

use p2panda_core::schema::{Fields, Malformed, PolicySpec, Resource, read_fields};
use serde::{Deserialize, Serialize};

use super::{Sourced, holdable, origin, place};
use crate::model::{Extra, Room};
use crate::report::Report;
use crate::source::Source;

/// What only the source knows of a room.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RoomOrigin {
    pub(crate) source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    guid: Option<String>,
    /// Its place in the list of rooms, from 0.
    pub(crate) position: i64,
    /// Whether the source has it no more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) gone: bool,
    #[serde(skip_serializing_if = "Extra::is_empty")]
    extra: Extra,
}

pub(crate) fn room_fields(
    room: &Room,
    position: i64,
    source: &Source,
    report: &mut Report,
) -> Result<Sourced, Malformed> {
    let at = place("rooms", &room.name);
    let resource = Resource {
        title: room.name.clone(),
        policy: PolicySpec::new("first-come"),
        ..Resource::default()
    };
    let origin = RoomOrigin {
        source: source.name().to_owned(),
        guid: room.guid.clone(),
        position,
        gone: false,
        extra: holdable(&room.extra, &at, report),
    };
    Sourced::new(&resource, &origin, &at, report)
}

/// A resource as a room; nothing if it is malformed.
pub(crate) fn model_room(fields: &Fields) -> Option<(Room, Option<RoomOrigin>)> {
    let resource: Resource = read_fields(fields).ok()?;
    let origin: Option<RoomOrigin> = origin(fields);
    let room = Room {
        name: resource.title,
        guid: origin.as_ref().and_then(|origin| origin.guid.clone()),
        extra: origin.as_ref().map(|origin| origin.extra.clone()).unwrap_or_default(),
    };
    Some((room, origin))
}
