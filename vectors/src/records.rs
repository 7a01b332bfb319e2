//! Records and policies.

use p2panda_core::{
    DocumentId, EntityId,
    schema::{
        Answer, Decision, Instant, PolicySpec, Record, Release, Request, Span, Terms,
        Value as Field, Withdrawal,
    },
};
use serde_json::{Value, json};

use crate::{Topic, hex, invalid, valid};

fn entity(document: u8, local: &str) -> EntityId {
    EntityId::new(DocumentId::from_bytes([document; 32]), local.parse().expect("valid"))
}

fn terms() -> Terms {
    let at = Instant::from_millis;
    let span = Span { starts: at(1_700_000_000_000), ends: at(1_700_003_600_000) };
    Terms { event: entity(1, "show"), resource: entity(2, "stage"), span, units: 1 }
}

fn request() -> Request {
    let claimed = Instant::from_millis(1_699_999_999_000);
    Request { terms: terms(), claimed, note: String::new() }
}

fn records() -> Vec<(&'static str, Record)> {
    let decision = |answer, reason: &str| {
        let (request, policy) = (entity(1, "#x"), PolicySpec::new("manual").hash());
        Record::Decision(Decision {
            request,
            terms: terms(),
            policy,
            answer,
            reason: reason.into(),
        })
    };
    let (resource, reason) = (entity(2, "stage"), String::new());
    let withdrawal = Withdrawal { resource: resource.clone(), request: entity(1, "#x"), reason };
    let decisions = vec![entity(2, "#a"), entity(2, "#b")];
    vec![
        ("a request", Record::Request(request())),
        ("a request with a note", Record::Request(Request { note: "please".into(), ..request() })),
        ("a request for no units", {
            Record::Request(Request { terms: Terms { units: 0, ..terms() }, ..request() })
        }),
        ("a confirmation", decision(Answer::Confirm, "")),
        ("a denial with its reason", decision(Answer::Deny, "it rains")),
        ("a release", Record::Release(Release { resource, decisions, reason: "ill".into() })),
        ("a withdrawal", Record::Withdrawal(withdrawal)),
    ]
}

/// Puts bytes in place of others.
fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = bytes.windows(old.len()).position(|window| window == old).expect("is there");
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}

pub(crate) fn topic() -> Topic {
    let mut cases = Vec::new();
    let about = |bytes: &[u8]| json!({"kind": "record", "bytes": hex(bytes), "local": p2panda_core::LocalId::of_record(bytes)});
    for (name, record) in records() {
        cases.push(valid(name, about(&record.to_bytes())));
    }
    let good = Record::Request(request()).to_bytes();
    let unknown = replaced(&good, b"\xa2\x65terms", b"\xa3\x61z\x01\x65terms");
    cases.push(valid("a field of a later version", about(&unknown)));
    for (name, reason, bytes) in [
        ("another key", "kind", replaced(&good, b"\x67request", b"\x67requesX")),
        ("two keys", "kind", replaced(&good, b"\xa1\x67request", b"\xa2\x61a\x00\x67request")),
        ("no units", "field", replaced(&good, b"\xa4\x64span", b"\xa3\x64span")),
        ("text in place of units", "field", replaced(&good, b"\x65units\x01", b"\x65units\x61x")),
        (
            "an integer in place of an instant",
            "field",
            replaced(&good, b"\x67claimed\x81", b"\x67claimed"),
        ),
        ("a resource that is no id", "field", replaced(&good, b"/stage", b"/st/ge")),
        ("a kind by number", "encoding", [&[0xa1, 0x00], &good[9..]].concat()),
        ("a field by number", "encoding", replaced(&good, b"\x67claimed", b"\x01")),
        ("cut off", "encoding", good[..good.len() - 1].to_vec()),
        ("a byte behind it", "encoding", [&good[..], &[0]].concat()),
        (
            "an integer that is not shortest",
            "encoding",
            replaced(&good, b"\x65units\x01", b"\x65units\x18\x01"),
        ),
        ("an array", "encoding", vec![0x80]),
        ("nothing", "encoding", vec![]),
        ("beyond 16 KiB", "size", {
            let note = "x".repeat(16 * 1024);
            Record::Request(Request { note, ..request() }).to_bytes()
        }),
    ] {
        if bytes.len() > 16 * 1024 {
            let head = bytes.len() - 16 * 1024;
            let start = bytes.windows(8).position(|window| window == b"xxxxxxxx").unwrap_or(head);
            let parts = json!([hex(&bytes[..start]), {"byte": 120, "times": 16 * 1024}, hex(&bytes[start + 16 * 1024..])]);
            cases.push(invalid(name, reason, json!({"kind": "record", "parts": parts})));
        } else {
            cases.push(invalid(name, reason, json!({"kind": "record", "bytes": hex(bytes)})));
        }
    }
    cases.extend(policies());
    Topic::new(
        "records",
        "Records (what a reader of this version understands; the gate takes any bytes) and policies, with what they are named by.",
        cases,
    )
}

fn policies() -> Vec<Value> {
    let mut cases = Vec::new();
    let mut long = PolicySpec::new("org.example/lottery");
    long.params.insert("seed".into(), Field::Bytes(vec![1, 2, 3]));
    long.params.insert("since".into(), Instant::from_millis(5).into());
    long.params.insert("nested".into(), Field::Map([("deep".to_owned(), true.into())].into()));
    for policy in [PolicySpec::new("manual"), PolicySpec::new("first-come"), long] {
        let bytes = p2panda_core::codec::encode(&(&policy.kind, &policy.params));
        let fields =
            json!({"kind": "policy", "bytes": hex(&bytes), "hash": hex(policy.hash().as_bytes())});
        cases.push(valid(&format!("the policy {}", policy.kind), fields));
    }
    for (name, reason, bytes) in [
        ("a policy without parameters' map", "shape", &b"\x81\x66manual"[..]),
        ("a policy with a third part", "shape", b"\x83\x66manual\xa0\xf6"),
        ("a policy as a map", "shape", b"\xa1\x66manual\xa0"),
        ("a policy with a list as parameter", "shape", b"\x82\x66manual\xa1\x61a\x82\x01\x02"),
        ("a policy with unsorted parameters", "encoding", b"\x82\x66manual\xa2\x61b\x01\x61a\x01"),
    ] {
        cases.push(invalid(name, reason, json!({"kind": "policy", "bytes": hex(bytes)})));
    }
    cases
}
