//! Hashes under their contexts, and chains.

use p2panda_core::{Chain, DocumentId, EntityId, Incarnation, LocalId, LogId};
use serde_json::json;

use crate::{Topic, hex, valid};

const CONTEXTS: [&str; 7] = [
    "p2panda 1 festival",
    "p2panda 1 document",
    "p2panda 1 log",
    "p2panda 1 payload",
    "p2panda 1 chain",
    "p2panda 1 record",
    "p2panda 1 policy",
];

pub(crate) fn topic() -> Topic {
    let mut cases = Vec::new();
    let long: Vec<u8> = (0..3000_u32).map(|at| (at % 251).to_le_bytes()[0]).collect();
    for context in CONTEXTS {
        for input in [&b""[..], b"p2panda"] {
            let hash = hex(blake3::derive_key(context, input));
            let name = format!("{context}, {} bytes", input.len());
            let fields = json!({"context": context, "input": hex(input), "hash": hash});
            cases.push(valid(&name, fields));
        }
    }
    let hash = hex(blake3::derive_key(CONTEXTS[3], &long));
    let fields = json!({"context": CONTEXTS[3], "input": hex(&long), "hash": hash});
    cases.push(valid("more than two BLAKE3 chunks", fields));
    cases.extend(chains());
    for content in [&b""[..], b"a record", &[0xa0]] {
        let fields = json!({"record": hex(content), "local": LocalId::of_record(content)});
        cases.push(valid(&format!("the id of a record of {} bytes", content.len()), fields));
    }
    let resource = EntityId::new(DocumentId::from_bytes([4; 32]), "stage".parse().expect("valid"));
    let hash = blake3::derive_key(CONTEXTS[5], resource.to_string().as_bytes());
    let label = format!("decisions/{}", DocumentId::from_bytes(hash));
    let fields = json!({"resource": resource, "label": label});
    cases.push(valid("where the decisions on a resource stand", fields));
    Topic::new(
        "hashes",
        "BLAKE3 in key-derivation mode; chain values from length 0 on; names made of hashes.",
        cases,
    )
}

fn chains() -> Vec<serde_json::Value> {
    let logs: [(u8, u8, &[&[u8]]); 4] = [
        (0, 0, &[]),
        (1, 2, &[b"a"]),
        (1, 3, &[b"a", b"b", b"a"]),
        (255, 255, &[&[0], &[0], &[0], &[0], &[0]]),
    ];
    let mut cases = Vec::new();
    for (document, incarnation, payloads) in logs {
        let log = LogId {
            document: DocumentId::from_bytes([document; 32]),
            incarnation: Incarnation::from_bytes([incarnation; 8]),
        };
        let mut chain = vec![Chain::start(&log)];
        for payload in payloads {
            chain.extend(chain.last().map(|last| last.after(payload)));
        }
        let values: Vec<String> = chain.iter().map(|value| hex(value.as_bytes())).collect();
        let fields = json!({
            "document": hex(log.document.as_bytes()),
            "incarnation": hex(log.incarnation.as_bytes()),
            "payloads": payloads.iter().map(hex).collect::<Vec<_>>(),
            "chain": values,
        });
        cases.push(valid(&format!("a chain of {} payloads", payloads.len()), fields));
    }
    cases
}
