//! Reading never panics, whatever the bytes, and what was read can be written.

mod common;

use common::{fixture, parse};
use interchange::frab::{self, ParseOptions};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

/// A change of a document: where, and what.
#[derive(Clone, Debug)]
enum Damage {
    Replace(prop::sample::Index, Vec<u8>),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Cut(prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    let bytes = || {
        prop_oneof![
            vec(any::<u8>(), 1..4),
            "[\\[\\]{}\",:0-9eE.+-]{1,6}".prop_map(String::into_bytes),
            Just(b"null".to_vec()),
            Just(b"\"\\ud800\"".to_vec()),
        ]
    };
    prop_oneof![
        4 => (at(), bytes()).prop_map(|(at, bytes)| Damage::Replace(at, bytes)),
        4 => (at(), bytes()).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        4 => (at(), 1..40_usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        1 => at().prop_map(Damage::Cut),
    ]
}

fn harm(document: &mut Vec<u8>, damage: &Damage) {
    let length = document.len() + 1;
    match damage {
        Damage::Replace(at, bytes) => {
            let at = at.index(length);
            let end = document.len().min(at + bytes.len());
            document.splice(at..end, bytes.iter().copied());
        }
        Damage::Insert(at, bytes) => {
            let at = at.index(length);
            document.splice(at..at, bytes.iter().copied());
        }
        Damage::Remove(at, count) => {
            let at = at.index(length);
            let end = document.len().min(at + count);
            document.drain(at..end);
        }
        Damage::Cut(at) => document.truncate(at.index(length)),
    }
}

/// All values of a document, by JSON pointer.
fn places(value: &Value, at: String, all: &mut Vec<String>) {
    let step = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, format!("{at}/{index}"), all);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                places(member, format!("{at}/{}", step(key)), all);
            }
        }
        _ => {}
    }
    all.push(at);
}

fn odd_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::Null),
        Just(serde_json::json!([])),
        Just(serde_json::json!({})),
        Just(serde_json::json!([[], {}, 1, null, "x", {"name": "y", "url": "z"}])),
        "[0-9]{0,5}:[0-9]{0,3}(:[0-9]{0,3})?".prop_map(Value::from),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2})?)?(Z|[+-][0-9]{2}:[0-9]{2})?"
            .prop_map(Value::from),
        "-?[0-9]{4,6}-(01|12)-(01|31)T(00|23):59:60[+-](25|14):59".prop_map(Value::from),
    ]
}

/// Reads a document and, where that works, checks that it can be written.
fn try_out(document: &[u8]) -> Result<(), TestCaseError> {
    if let Ok((schedule, _)) = frab::parse(document, &ParseOptions::default()) {
        let mut tidy = schedule.clone();
        tidy.tidy();
        prop_assert_eq!(&tidy, &schedule);
        let (again, skipped) = parse(&frab::write(&schedule));
        prop_assert_eq!(skipped, []);
        prop_assert_eq!(again, schedule);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in vec(any::<u8>(), 0..200)) {
        try_out(&bytes)?;
    }

    #[test]
    fn damaged_documents_are_read_without_panic(damages in vec(damage(), 1..4)) {
        for name in ["glade.json", "hurt.json"] {
            let mut document = fixture(name);
            for damage in &damages {
                harm(&mut document, damage);
            }
            try_out(&document)?;
        }
    }

    #[test]
    fn documents_with_odd_values_are_read_without_panic(
        changes in vec((any::<prop::sample::Index>(), odd_value()), 1..6),
    ) {
        let mut document: Value = serde_json::from_slice(&fixture("glade.json")).unwrap();
        for (at, value) in changes {
            let mut all = Vec::new();
            places(&document, String::new(), &mut all);
            if let Some(place) = document.pointer_mut(&all[at.index(all.len())]) {
                *place = value;
            }
        }
        try_out(document.to_string().as_bytes())?;
    }
}
