//! Identifiers as text.

use data_encoding::BASE32_NOPAD;
use serde_json::{Value, json};

use crate::{Topic, hex, invalid, valid};

pub(crate) fn topic() -> Topic {
    let mut cases = Vec::new();
    for (kind, length) in
        [("user", 32), ("festival", 32), ("document", 32), ("incarnation", 8), ("signature", 64)]
    {
        bytes_cases(kind, length, &mut cases);
    }
    local_cases(&mut cases);
    entity_cases(&mut cases);
    Topic::new(
        "ids",
        "Identifiers as text. `canonical` is how a writer writes it, `bytes` what it stands for.",
        cases,
    )
}

fn text(bytes: &[u8]) -> String {
    BASE32_NOPAD.encode(bytes).to_lowercase()
}

fn bytes_cases(kind: &str, length: u8, cases: &mut Vec<Value>) {
    let bytes: Vec<u8> = (0..length).map(|at| at.wrapping_mul(37).wrapping_add(5)).collect();
    let good = text(&bytes);
    let fields = |input: &str| json!({"kind": kind, "text": input});
    let mut canonical = fields(&good);
    canonical["canonical"] = good.clone().into();
    canonical["bytes"] = hex(&bytes).into();
    cases.push(valid(&format!("{kind}: lower case"), canonical.clone()));
    canonical["text"] = good.to_uppercase().into();
    cases.push(valid(&format!("{kind}: upper case is read too"), canonical));
    let mut refuse = |what: &str, reason: &str, input: &str| {
        cases.push(invalid(&format!("{kind}: {what}"), reason, fields(input)));
    };
    refuse("one letter short", "length", &good[1..]);
    refuse("one letter long", "length", &format!("{good}a"));
    refuse("nothing", "length", "");
    refuse("padding", "letters", &format!("{good}="));
    refuse("a digit that base32 has not", "letters", &format!("1{}", &good[1..]));
    refuse("a space before it", "letters", &format!(" {}", &good[1..]));
    // The last letter has bits to spare, and they have to be zero.
    let last = good.chars().next_back().unwrap_or_default();
    let next = char::from_u32(u32::from(last) + 1).unwrap_or_default();
    refuse("bits behind the last byte", "letters", &format!("{}{next}", &good[..good.len() - 1]));
}

fn local_cases(cases: &mut Vec<Value>) {
    for (name, input) in [
        ("one letter", "a"),
        ("all that is allowed", "Az09._-"),
        ("a dot alone", "."),
        ("64 letters", &"x".repeat(64)),
        ("a record's", &format!("#{}", text(&[7; 32]))),
    ] {
        let fields = json!({"kind": "local", "text": input, "canonical": input});
        cases.push(valid(&format!("local: {name}"), fields));
    }
    for (name, reason, input) in [
        ("nothing", "length", ""),
        ("65 letters", "length", &*"x".repeat(65)),
        ("a slash", "letters", "a/b"),
        ("a space", "letters", "a b"),
        ("beyond ASCII", "letters", "caf\u{e9}"),
        ("a mark alone", "length", "#"),
        ("a mark within", "letters", "a#b"),
        ("a line break", "letters", "a\n"),
    ] {
        let fields = json!({"kind": "local", "text": input});
        cases.push(invalid(&format!("local: {name}"), reason, fields));
    }
}

fn entity_cases(cases: &mut Vec<Value>) {
    let document = text(&[9; 32]);
    for (name, input, canonical) in [
        ("an entity", format!("{document}/show"), format!("{document}/show")),
        (
            "the document in upper case",
            format!("{}/Show", document.to_uppercase()),
            format!("{document}/Show"),
        ),
        (
            "a record",
            format!("{document}/#{}", text(&[1; 32])),
            format!("{document}/#{}", text(&[1; 32])),
        ),
    ] {
        let fields = json!({"kind": "entity", "text": input, "canonical": canonical});
        cases.push(valid(&format!("entity: {name}"), fields));
    }
    for (name, reason, input) in [
        ("no slash", "shape", document.clone()),
        ("no local id", "shape", format!("{document}/")),
        ("no document", "shape", "/show".to_owned()),
        ("two slashes", "letters", format!("{document}/a/b")),
        ("a short document", "length", format!("{}/a", &document[..51])),
    ] {
        let fields = json!({"kind": "entity", "text": input});
        cases.push(invalid(&format!("entity: {name}"), reason, fields));
    }
}
