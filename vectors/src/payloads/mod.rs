//! Payloads: what the gate says of each, after the entries before it.

mod broken;
mod refused;
mod valid;
pub(crate) mod writing;

use serde_json::{Map, Value, json};

use self::writing::Past;
use crate::{Topic, hex, user::user};

/// Pasts by name, and the cases that follow them.
#[derive(Default)]
struct Cases {
    pasts: Vec<(&'static str, Past)>,
    cases: Vec<Value>,
}

/// What becomes of a payload.
#[derive(Clone, Copy)]
enum Verdict {
    Valid,
    Waiting,
    Refused(&'static str),
}

impl Cases {
    fn past(&mut self, name: &'static str, past: Past) -> Past {
        self.pasts.push((name, past.clone()));
        past
    }

    fn get(&self, name: &str) -> &Past {
        let found = self.pasts.iter().find(|(other, _)| *other == name);
        found.map(|(_, past)| past).expect("a past of this name")
    }

    fn add(&mut self, name: &str, verdict: Verdict, past: &str, incarnation: u8, payload: &[u8]) {
        let position = self.get(past).length(incarnation);
        self.add_at(name, verdict, past, incarnation, position, payload);
    }

    fn add_at(
        &mut self,
        name: &str,
        verdict: Verdict,
        past: &str,
        incarnation: u8,
        position: u64,
        payload: &[u8],
    ) {
        let mut case = Map::new();
        case.insert("name".into(), name.into());
        let word = match verdict {
            Verdict::Valid => "valid",
            Verdict::Waiting => "waiting",
            Verdict::Refused(_) => "refused",
        };
        case.insert("valid".into(), (word == "valid").into());
        case.insert("verdict".into(), word.into());
        if let Verdict::Refused(kind) = verdict {
            case.insert("reason".into(), kind.into());
        }
        case.insert("past".into(), past.into());
        case.insert("incarnation".into(), hex([incarnation; 8]).into());
        case.insert("position".into(), position.into());
        case.insert("payload".into(), hex(payload).into());
        self.cases.push(case.into());
    }
}

/// A past as JSON: incarnation and payload of each entry, in an order in which all are valid.
pub(crate) fn entries(past: &Past) -> Value {
    past.0
        .iter()
        .map(|(incarnation, payload)| json!([hex([*incarnation; 8]), hex(payload)]))
        .collect()
}

pub(crate) fn topic() -> Topic {
    let mut cases = Cases::default();
    cases.past("empty", writing::empty());
    cases.past("one", writing::one());
    cases.past("two", writing::two());
    cases.past("apart", writing::apart());
    valid::add(&mut cases);
    refused::add(&mut cases);
    broken::add(&mut cases);
    let pasts: Map<String, Value> =
        cases.pasts.iter().map(|(name, past)| ((*name).to_owned(), entries(past))).collect();
    let mut topic = Topic::new(
        "payloads",
        "Payloads of a document of `user`, offered after those of a past. `reason` is the kind of \
         refusal; where several apply, another implementation may find another one first. A past \
         is a list of incarnation and payload, each valid after those before it.",
        cases.cases,
    );
    topic.shared.insert("user".into(), hex(user().as_bytes()).into());
    topic.shared.insert("pasts".into(), pasts.into());
    topic
}
