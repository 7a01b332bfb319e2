use std::collections::BTreeSet;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    blob::BlobId,
    id::{EntityId, UserId},
    schema::{Draw, Instant, PolicySpec, Span, Spans, text_set},
};

/// An entity with fields: what its `kind` field says, and the type that reads it.
///
/// Applications implement it for their own extensions, with a `reverse.domain/kind`.
///
/// ```
/// use p2panda_core::schema::{Entity, read_fields, write_fields};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, PartialEq, Debug)]
/// struct Menu { dish: String, portions: i64 }
/// impl Entity for Menu { const KIND: &'static str = "org.example/menu"; }
///
/// let menu = Menu { dish: "soup".into(), portions: 80 };
/// assert_eq!(read_fields::<Menu>(&write_fields(&menu)?)?, menu);
/// # Ok::<(), p2panda_core::schema::Malformed>(())
/// ```
pub trait Entity: Serialize + DeserializeOwned {
    /// The value of the entity's `kind` field.
    const KIND: &'static str;
}

/// A user about themself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// How the user wants to be called. Nobody checks it.
    pub name: String,
    /// A few words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub about: String,
}

impl Entity for Profile {
    const KIND: &'static str = "profile";
}

/// What the founder says of the festival.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FestivalInfo {
    /// Its title.
    pub title: String,
    /// A description.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// When it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts: Option<Instant>,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<Instant>,
    /// The IANA name of its time zone.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub zone: String,
    /// Where it takes place, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// Pictures of it.
    #[serde(with = "text_set", skip_serializing_if = "BTreeSet::is_empty")]
    pub images: BTreeSet<BlobId>,
    /// Files that belong to it.
    #[serde(with = "text_set", skip_serializing_if = "BTreeSet::is_empty")]
    pub files: BTreeSet<BlobId>,
}

impl Entity for FestivalInfo {
    const KIND: &'static str = "festival";
}

/// Another festival that belongs to this one: a camp within it, or one whose programme it takes in.
/// Those of a festival's founder lead whoever follows it with a depth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FestivalLink {
    /// The other festival's ticket.
    pub ticket: String,
    /// What it is called here.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// How it belongs: `nested` (a part of this festival), `adopted` or `overlaid`. Others may follow.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub relation: String,
}

impl Entity for FestivalLink {
    const KIND: &'static str = "festival-link";
}

/// Something that can be requested: a stage, a projector, a skill, money. Its document's user owns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// What it is called.
    #[serde(default)]
    pub title: String,
    /// A description.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Words to find it by.
    #[serde(default, with = "text_set", skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// How many units there are at any moment; 1 for a stage.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub capacity: i64,
    /// How many units an undertaking needs at least, as a shift needs volunteers. It is told, and
    /// limits nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub minimum: i64,
    /// Whether units are used up, as money and tokens are: then spans are ignored, and units count
    /// against the whole until they are released.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub consumable: bool,
    /// What there are units of: `EUR`, `drink`. Empty for units of the resource itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// How much of it one unit is: 10 for money that is given in units of 10 EUR.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub unit_amount: i64,
    /// Milliseconds before each use in which it is in use too. Negative ones count as none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub buffer_before: i64,
    /// Milliseconds after each use in which it is in use too. Negative ones count as none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub buffer_after: i64,
    /// When it can be used; always where empty.
    #[serde(default, skip_serializing_if = "Spans::is_empty")]
    pub available: Spans,
    /// The only spans for which it can be requested; any where empty.
    #[serde(default, skip_serializing_if = "Spans::is_empty")]
    pub slots: Spans,
    /// The rule by which it may be used.
    pub policy: PolicySpec,
    /// How lots fell, where its policy draws lots and the owner has drawn them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw: Option<Draw>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// Pictures of it.
    #[serde(default, with = "text_set", skip_serializing_if = "BTreeSet::is_empty")]
    pub images: BTreeSet<BlobId>,
    /// Files that belong to it.
    #[serde(default, with = "text_set", skip_serializing_if = "BTreeSet::is_empty")]
    pub files: BTreeSet<BlobId>,
    /// Who, besides the owner, may amend it.
    #[serde(default, with = "text_set", skip_serializing_if = "BTreeSet::is_empty")]
    pub editors: BTreeSet<UserId>,
}

/// One unit, and its owner answers every request in person.
impl Default for Resource {
    fn default() -> Self {
        Self {
            title: String::new(),
            description: String::new(),
            tags: BTreeSet::new(),
            capacity: 1,
            minimum: 0,
            consumable: false,
            unit: String::new(),
            unit_amount: 1,
            buffer_before: 0,
            buffer_after: 0,
            available: Spans::default(),
            slots: Spans::default(),
            policy: PolicySpec::new("manual"),
            draw: None,
            location: None,
            images: BTreeSet::new(),
            files: BTreeSet::new(),
            editors: BTreeSet::new(),
        }
    }
}

const fn one() -> i64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_one(value: &i64) -> bool {
    *value == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(value: &i64) -> bool {
    *value == 0
}

impl Resource {
    /// The time that a use of a span occupies: with the buffers, or all of it where units are used
    /// up.
    #[must_use]
    pub fn occupied(&self, span: &Span) -> Span {
        if self.consumable {
            let [starts, ends] = [i64::MIN, i64::MAX].map(Instant::from_millis);
            return Span { starts, ends };
        }
        let starts = span.starts.millis().saturating_sub(self.buffer_before.max(0));
        let ends = span.ends.millis().saturating_add(self.buffer_after.max(0));
        Span { starts: Instant::from_millis(starts), ends: Instant::from_millis(ends) }
    }

    /// Whether it is offered over this span: within its available times, and one of its slots.
    #[must_use]
    pub fn offers(&self, span: &Span) -> bool {
        (self.available.is_empty() || self.available.cover(span))
            && (self.slots.is_empty() || self.slots.contains(span))
    }
}

impl Entity for Resource {
    const KIND: &'static str = "resource";
}

/// A place, by as many of these as are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Location {
    /// Degrees north times 10,000,000 (WGS 84).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latitude_e7: Option<i64>,
    /// Degrees east times 10,000,000 (WGS 84).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longitude_e7: Option<i64>,
    /// A postal address, one line each.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// A URL.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// A named space in which `x`, `y` and `z` are millimetres.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub space: String,
    /// Millimetres in the named space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<i64>,
    /// Millimetres in the named space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<i64>,
    /// Millimetres in the named space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub z: Option<i64>,
}

/// Something that happens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// Its title.
    pub title: String,
    /// A second line.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subtitle: String,
    /// A short text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// A long text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// When it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts: Option<Instant>,
    /// When it ends; its span does not include this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<Instant>,
    /// The IANA name of the zone in which people read its times.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub zone: String,
    /// Who takes part, by name.
    #[serde(with = "text_set", skip_serializing_if = "BTreeSet::is_empty")]
    pub people: BTreeSet<String>,
    /// Words to find it by.
    #[serde(with = "text_set", skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// The language it is held in (BCP 47).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub language: String,
    /// Links.
    #[serde(with = "text_set", skip_serializing_if = "BTreeSet::is_empty")]
    pub links: BTreeSet<String>,
    /// Pictures of it.
    #[serde(with = "text_set", skip_serializing_if = "BTreeSet::is_empty")]
    pub images: BTreeSet<BlobId>,
    /// Files that belong to it.
    #[serde(with = "text_set", skip_serializing_if = "BTreeSet::is_empty")]
    pub files: BTreeSet<BlobId>,
    /// The event of which this one is an instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<EntityId>,
    /// Whether it was called off. It stays visible.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cancelled: bool,
    /// Who, besides the owner, may amend it and requests things for it.
    #[serde(with = "text_set", skip_serializing_if = "BTreeSet::is_empty")]
    pub editors: BTreeSet<UserId>,
}

impl Entity for Event {
    const KIND: &'static str = "event";
}
