//! JSON one level at a time.
//!
//! Parsing a stranger's 64 MiB into a tree can take gigabytes. Here an object
//! or array is opened only where something is wanted of it, so many entries and
//! no more, and what is not understood is kept as the text it is.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits;
use crate::report::Report;

/// The members of an object in their order, or why it cannot be opened. Of those with one name
/// the last counts, as with most readers.
pub(crate) fn members(raw: &RawValue, limit: usize) -> Result<Vec<(String, &RawValue)>, String> {
    let mut places = HashMap::new();
    let mut members: Vec<(String, &RawValue)> = Vec::new();
    for (name, value) in all_members(raw, limit)? {
        match places.get(&name) {
            Some(place) => members[*place] = (name, value),
            None => {
                places.insert(name.clone(), members.len());
                members.push((name, value));
            }
        }
    }
    Ok(members)
}

/// The members of an object in their order, however often one name comes.
pub(crate) fn all_members(
    raw: &RawValue,
    limit: usize,
) -> Result<Vec<(String, &RawValue)>, String> {
    if !raw.get().starts_with('{') {
        return Err("it is not an object".into());
    }
    serde_json::Deserializer::from_str(raw.get())
        .deserialize_map(Members(limit))
        .map_err(|error| because(&error))
}

/// The items of an array, or why it cannot be opened.
pub(crate) fn items(raw: &RawValue, limit: usize) -> Result<Vec<&RawValue>, String> {
    let items = first_items(raw, limit + 1)?;
    if items.len() > limit {
        return Err(format!("it has more than {limit} entries"));
    }
    Ok(items)
}

/// The items of an array, but no more than so many.
pub(crate) fn first_items(raw: &RawValue, limit: usize) -> Result<Vec<&RawValue>, String> {
    if !raw.get().starts_with('[') {
        return Err("it is not an array".into());
    }
    serde_json::Deserializer::from_str(raw.get())
        .deserialize_seq(Items(limit))
        .map_err(|error| because(&error))
}

/// The string that this is, if it is one.
pub(crate) fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

pub(crate) fn integer(raw: &RawValue) -> Option<i64> {
    serde_json::from_str(raw.get()).ok()
}

pub(crate) fn boolean(raw: &RawValue) -> Option<bool> {
    serde_json::from_str(raw.get()).ok()
}

pub(crate) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// Reads a string into `field`; null leaves it as it is. `Ok(false)` if it is
/// neither, so that the caller keeps it as an extra.
pub(crate) fn read_text(field: &mut String, raw: &RawValue, limit: usize) -> Result<bool, String> {
    if is_null(raw) {
        return Ok(true);
    }
    let Some(text) = text(raw) else {
        return Ok(false);
    };
    if limits::longer_than(&text, limit) {
        return Err(format!("it is longer than {limit} characters"));
    }
    *field = text;
    Ok(true)
}

/// Keeps a field that is not understood, under `key`.
pub(crate) fn keep(
    extra: &mut BTreeMap<String, String>,
    key: &str,
    raw: &RawValue,
    report: &mut Report,
    at: &str,
) {
    if limits::longer_than(key, limits::LINE_CHARS) {
        let limit = limits::LINE_CHARS;
        report.skip(at, format!("a field's name is longer than {limit} characters"));
    } else if raw.get().len() > limits::EXTRA_BYTES {
        let limit = limits::EXTRA_BYTES;
        report.skip(under(at, key), format!("it is larger than {limit} bytes"));
    } else {
        extra.insert(key.to_owned(), compact(raw.get()));
    }
}

/// Valid JSON without the white space between its tokens, otherwise verbatim:
/// the same value laid out differently is no change, and no number loses a digit.
pub(crate) fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in json.chars() {
        if quoted {
            out.push(c);
            (quoted, escaped) = (escaped || c != '"', !escaped && c == '\\');
        } else if !matches!(c, ' ' | '\t' | '\n' | '\r') {
            out.push(c);
            quoted = c == '"';
        }
    }
    out
}

/// The JSON pointer to `key` of what stands at `at`.
pub(crate) fn under(at: &str, key: &str) -> String {
    format!("{at}/{}", escape(key))
}

/// `key` as one step of a JSON pointer.
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The key that one step of a JSON pointer stands for.
pub(crate) fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// serde_json's reason without its position, which counts from the wrong place.
pub(crate) fn because(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let cut = text.rfind(" at line ").unwrap_or(text.len());
    text[..cut].to_owned()
}

struct Members(usize);

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            if members.len() == self.0 {
                return Err(A::Error::custom(format!("it has more than {} members", self.0)));
            }
            members.push(member);
        }
        Ok(members)
    }
}

struct Items(usize);

impl<'de> Visitor<'de> for Items {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() < self.0 {
            let Some(item) = seq.next_element()? else {
                return Ok(items);
            };
            items.push(item);
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_goes_and_strings_stay() {
        let json = "{ \"a b\" : [ 1.10 , \"x \\\" y\\\\\" ,\n\tnull ] }";
        assert_eq!(compact(json), r#"{"a b":[1.10,"x \" y\\",null]}"#);
    }

    #[test]
    fn a_pointer_step_goes_there_and_back() {
        for key in ["Ada", "a/b", "~1", "~/~0", ""] {
            assert_eq!(unescape(&escape(key)), key);
        }
    }
}
