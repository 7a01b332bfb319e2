//! JSON on its way out: members in the order in which they are put.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

/// A JSON value that borrows what it can from the schedule.
pub(super) enum Node<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    Text(Cow<'a, str>),
    List(Vec<Self>),
    Object(Vec<(Cow<'a, str>, Self)>),
    /// JSON that a source gave and nobody here understands.
    Raw(Box<RawValue>),
}

impl Node<'static> {
    pub(super) fn owned(text: impl Into<String>) -> Self {
        Node::Text(Cow::Owned(text.into()))
    }
}

impl<'a> Node<'a> {
    pub(super) fn list<T>(items: &'a [T], node: fn(&'a T) -> Self) -> Self {
        Self::List(items.iter().map(node).collect())
    }

    /// Whether this says nothing, so that an extra field may say it better.
    fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Boolean(_) | Self::Integer(_) | Self::Object(_) | Self::Raw(_) => false,
        }
    }
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Boolean(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
            Self::Raw(value) => value.serialize(serializer),
        }
    }
}

/// An object in the making, with the extra fields that its source had.
pub(super) struct Object<'a> {
    members: Vec<(Cow<'a, str>, Node<'a>)>,
    extra: Vec<(Cow<'a, str>, Box<RawValue>)>,
}

impl<'a> Object<'a> {
    /// An object with these extra fields, without those whose text is not JSON.
    pub(super) fn new<K: Into<Cow<'a, str>>>(
        extra: impl IntoIterator<Item = (K, &'a String)>,
    ) -> Self {
        let extra = extra.into_iter().filter_map(|(key, text)| {
            Some((key.into(), RawValue::from_string(text.clone()).ok()?))
        });
        let (members, extra) = (Vec::new(), extra.collect());
        Self { members, extra }
    }

    /// Adds a field. Where it is empty, an extra field of its name takes its
    /// place: the source had it with a type that is not understood.
    pub(super) fn put(&mut self, key: &'static str, node: Node<'a>) {
        let key = Cow::Borrowed(key);
        if !(node.is_empty() && self.extra.iter().any(|(extra, _)| *extra == key)) {
            self.members.push((key, node));
        }
    }

    /// Adds a field that is left out where there is none.
    pub(super) fn put_some(&mut self, key: &'static str, node: Option<Node<'a>>) {
        if let Some(node) = node {
            self.put(key, node);
        }
    }

    pub(super) fn text(&mut self, key: &'static str, text: &'a str) {
        self.put(key, Node::Text(Cow::Borrowed(text)));
    }

    /// Adds a text that is null where it is empty.
    pub(super) fn text_or_null(&mut self, key: &'static str, text: &'a str) {
        let text = Some(text).filter(|text| !text.is_empty());
        self.put(key, text.map_or(Node::Null, |text| Node::Text(Cow::Borrowed(text))));
    }

    pub(super) fn finish(mut self) -> Node<'a> {
        for (key, raw) in self.extra {
            if !self.members.iter().any(|(known, _)| *known == key) {
                self.members.push((key, Node::Raw(raw)));
            }
        }
        Node::Object(self.members)
    }
}
