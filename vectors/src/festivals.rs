//! Festivals, their tickets, and what documents are called.

use data_encoding::BASE32_NOPAD;
use p2panda_core::{DocumentDescriptor, Identity, codec};
use serde_json::{Value, json};

use crate::{
    Topic, hex, invalid,
    user::{SECRET, festival, user},
    valid,
};

/// Cuts a CBOR array of descriptor and signature apart: both have fixed places.
fn parts(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes[1..].split_at(bytes.len() - 1 - 66)
}

fn joined(descriptor: &[u8], signature: &[u8]) -> Vec<u8> {
    [&[0x82], descriptor, signature].concat()
}

/// Festivals that are not: name, reason, bytes.
fn wrong() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let good = festival().to_bytes();
    let (descriptor, signature) = parts(&good);
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let other = Identity::from_secret(&[8; 32]).user();
    let end = descriptor.len() - 1;
    vec![
        ("another founder", "signature", {
            let mut bytes = good.clone();
            bytes[4..36].copy_from_slice(other.as_bytes());
            bytes
        }),
        ("another nonce", "signature", changed(40, good[40] ^ 1)),
        ("another signature", "signature", changed(good.len() - 1, good[good.len() - 1] ^ 1)),
        ("a private one", "private", changed(1 + end, 0xf5)),
        ("a number in place of private", "shape", changed(1 + end, 0x00)),
        ("no signature", "shape", [&[0x81], descriptor].concat()),
        ("a descriptor alone", "shape", descriptor.to_vec()),
        ("a third part", "shape", [&[0x83], descriptor, signature, &[0xf6]].concat()),
        (
            "a short signature",
            "shape",
            joined(descriptor, &[&[0x58, 63], &signature[3..]].concat()),
        ),
        ("a nonce of 17 bytes", "shape", {
            let mut longer = descriptor.to_vec();
            longer[35] = 0x51;
            longer.insert(36, 0);
            joined(&longer, signature)
        }),
        ("text in place of the nonce", "shape", changed(36, 0x70)),
        ("a length that is not shortest", "encoding", {
            let mut longer = good.clone();
            longer.splice(2..4, [0x59, 0, 32]);
            longer
        }),
        ("a byte behind it", "encoding", [&good[..], &[0]].concat()),
        ("cut off", "shape", good[..good.len() - 1].to_vec()),
        ("nothing", "shape", vec![]),
    ]
}

fn fields() -> Value {
    let festival = festival();
    json!({
        "bytes": hex(festival.to_bytes()),
        "founder": hex(festival.founder().as_bytes()),
        "id": hex(festival.id().as_bytes()),
    })
}

pub(crate) fn topic() -> Topic {
    let mut good = fields();
    good["secret"] = hex(SECRET).into();
    let mut cases = vec![valid("a festival, with its founder's secret key", good)];
    for (name, reason, bytes) in wrong() {
        cases.push(invalid(name, reason, json!({"bytes": hex(bytes)})));
    }
    Topic::new("festivals", "A festival's descriptor and signature, and its id.", cases)
}

fn ticket(bytes: &[u8]) -> String {
    let check = blake3::derive_key("p2panda 1 festival", bytes);
    let text = BASE32_NOPAD.encode(&[bytes, &check[..4]].concat()).to_lowercase();
    format!("panda1{text}")
}

pub(crate) fn tickets() -> Topic {
    let good = ticket(&festival().to_bytes());
    let with = |text: &str| {
        let mut fields = fields();
        fields["text"] = text.into();
        fields
    };
    let mut cases = vec![
        valid("a ticket", with(&good)),
        valid("spaces around it", with(&format!("  {good}\n"))),
        valid("upper case behind the prefix", with(&format!("panda1{}", good[6..].to_uppercase()))),
    ];
    let letter = if good.ends_with('a') { "b" } else { "a" };
    let longer = [&festival().to_bytes()[..], &[0]].concat();
    for (name, reason, text) in [
        ("another prefix", "prefix", format!("panda2{}", &good[6..])),
        ("no prefix", "prefix", good[6..].to_owned()),
        ("upper case in the prefix", "prefix", good.to_uppercase()),
        ("a wrong letter", "check", format!("{}b{}", &good[..20], &good[21..])),
        ("a wrong last letter", "check", format!("{}{letter}", &good[..good.len() - 1])),
        ("a letter short", "check", good[..good.len() - 1].to_owned()),
        ("a hyphen within", "letters", format!("{}-{}", &good[..40], &good[40..])),
        ("nothing behind the prefix", "check", "panda1".to_owned()),
        ("a byte behind the festival", "encoding", ticket(&longer)),
    ] {
        cases.push(invalid(name, reason, json!({"text": text})));
    }
    for (name, reason, bytes) in wrong().into_iter().take(4) {
        cases.push(invalid(name, reason, json!({"text": ticket(&bytes)})));
    }
    Topic::new("tickets", "Tickets as text.", cases)
}

pub(crate) fn documents() -> Topic {
    let mut cases = Vec::new();
    let (festival, user) = (festival().id(), user());
    for (name, label) in [
        ("the document everyone has", String::new()),
        ("a labelled one", "import/3".to_owned()),
        ("a label beyond ASCII", "caf\u{e9}".to_owned()),
        ("a label of 24 bytes", "x".repeat(24)),
        ("a label of 64 bytes", "x".repeat(64)),
        ("a label of 65 bytes", "x".repeat(65)),
        ("a label of 33 letters and 66 bytes", "\u{e9}".repeat(33)),
    ] {
        let bytes = codec::encode(&(festival, user, &label));
        let is_valid = label.len() <= DocumentDescriptor::MAX_LABEL;
        let id = DocumentDescriptor { festival, user, label: label.clone() }.id();
        let mut fields = json!({
            "festival": hex(festival.as_bytes()),
            "user": hex(user.as_bytes()),
            "label": label,
        });
        if is_valid {
            fields["descriptor"] = hex(bytes).into();
            fields["id"] = hex(id.as_bytes()).into();
            cases.push(valid(name, fields));
        } else {
            cases.push(invalid(name, "label", fields));
        }
    }
    Topic::new("documents", "Descriptors of documents and their ids.", cases)
}
