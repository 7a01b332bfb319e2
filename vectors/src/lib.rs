//! Test vectors of the format that `SPEC.md` describes: what is valid, what is not, and why.
//!
//! `cargo run -p vectors` writes the JSON files of this folder anew, always the same bytes. The
//! verdict of each case is written down here by hand; `tests/` holds the implementation to it, and
//! `examples/reader-python` a second implementation, made from the specification alone.

mod amendments;
mod archives;
mod cbor;
pub mod chunk;
mod entities;
mod equivocation;
mod festivals;
mod hashes;
mod ids;
mod payloads;
mod records;
mod segments;
mod signatures;
mod user;

use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};

/// One topic: the name of its file, and its content.
pub struct Topic {
    /// The file's name, without its ending.
    pub name: &'static str,
    /// What its cases say and how to judge them.
    pub about: &'static str,
    /// Data that several cases share, by name.
    pub shared: Map<String, Value>,
    /// The cases.
    pub cases: Vec<Value>,
}

/// All topics, in order.
#[must_use]
pub fn topics() -> Vec<Topic> {
    vec![
        ids::topic(),
        cbor::topic(),
        hashes::topic(),
        signatures::topic(),
        festivals::topic(),
        festivals::tickets(),
        festivals::documents(),
        segments::topic(),
        equivocation::topic(),
        payloads::topic(),
        records::topic(),
        entities::topic(),
        archives::topic(),
        amendments::topic(),
    ]
}

impl Topic {
    fn new(name: &'static str, about: &'static str, cases: Vec<Value>) -> Self {
        Self { name, about, shared: Map::new(), cases }
    }

    /// The file: one case a line, so that a difference shows what changed.
    #[must_use]
    pub fn to_json(&self) -> String {
        let line = |value: &Value| value.to_string();
        let mut text = format!(
            "{{\n\"format\": 1,\n\"topic\": {},\n\"about\": {},\n",
            json!(self.name),
            json!(self.about)
        );
        for (name, value) in &self.shared {
            text.push_str(&format!("{}: {},\n", json!(name), line(value)));
        }
        text.push_str("\"cases\": [\n");
        let cases: Vec<String> = self.cases.iter().map(line).collect();
        text.push_str(&cases.join(",\n"));
        text.push_str("\n]\n}\n");
        text
    }
}

/// A case that is valid.
fn valid(name: &str, fields: Value) -> Value {
    case(name, true, None, fields)
}

/// A case that is not, and why.
fn invalid(name: &str, reason: &str, fields: Value) -> Value {
    case(name, false, Some(reason), fields)
}

fn case(name: &str, is_valid: bool, reason: Option<&str>, fields: Value) -> Value {
    let mut case = Map::new();
    case.insert("name".into(), name.into());
    case.insert("valid".into(), is_valid.into());
    case.extend(reason.map(|reason| ("reason".into(), reason.into())));
    if let Value::Object(fields) = fields {
        case.extend(fields);
    }
    Value::Object(case)
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}
