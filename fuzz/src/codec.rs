//! Every structure that is read from bytes or text: what is read is written as it was, or as the
//! same value.

use std::{collections::BTreeMap, fmt::Debug, str::FromStr};

use p2panda_core::{
    DocumentId, EntityId, Festival, ForkEvidence, ForkProof, Identity, Incarnation, LocalId, LogId,
    PayloadHash, Run, Seal, Signature, Ticket, Tip, UserId, VerifiedSegment, codec,
    schema::{Fields, Instant, Record, Value, Withdrawal},
};

use crate::bed::Bed;

/// One input of each kind that is read.
#[must_use]
pub fn seeds(bed: &Bed) -> Vec<Vec<u8>> {
    let document = DocumentId::from_bytes([2; 32]);
    let id = |local: &str| EntityId::new(document, local.parse().expect("a local id"));
    let (resource, request) = (id("stage"), id("#x"));
    let record = Record::Withdrawal(Withdrawal {
        resource: resource.clone(),
        request,
        reason: "rain".into(),
    });
    let fields: Fields = [
        ("title".to_owned(), Value::from("Tea")),
        ("starts".to_owned(), Instant::from_millis(5).into()),
        ("nested".to_owned(), Value::Map([("x".to_owned(), 1.into())].into())),
    ]
    .into();
    let key = Identity::from_secret(&[7; 32]);
    let log = LogId { document, incarnation: Incarnation::from_bytes([1; 8]) };
    let start = Tip::start(&log);
    let run = |name: &[u8]| {
        let segment = VerifiedSegment::sign(&key, log, &start, vec![name.to_vec()]);
        let segment = segment.expect("within bounds");
        let Seal::Signature(signature) = *segment.seal() else { unreachable!("just signed") };
        Run { hashes: vec![PayloadHash::of(name)], signature }
    };
    let proof = ForkProof::between(log, &start, run(b"a"), run(b"b")).expect("they part");
    let proof = proof.to_bytes();
    let policy = codec::encode(&("manual", &fields));
    let with = |kind: u8, bytes: &[u8]| [&[kind], bytes].concat();
    vec![
        with(0, &record.to_bytes()),
        with(1, &proof),
        with(3, &bed.festival_bytes()),
        with(4, &codec::encode(&fields)),
        with(5, &policy),
        with(6, resource.to_string().as_bytes()),
        with(7, bed.ticket().as_bytes()),
    ]
}

/// The first byte says what the rest should be.
pub fn read(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 8 {
        0 => {
            if let Ok(record) = Record::from_bytes(data) {
                let bytes = record.to_bytes();
                assert_eq!(Record::from_bytes(&bytes), Ok(record));
            }
        }
        1 => {
            if let Ok(proof) = ForkProof::from_bytes(data) {
                assert_eq!(proof.to_bytes(), data);
                let _ = proof.verify(&UserId::from_bytes([7; 32]));
            }
        }
        2 => {
            if let Ok(evidence) = ForkEvidence::from_bytes(data) {
                assert_eq!(evidence.to_bytes(), data);
                let _ = evidence.verify();
            }
        }
        3 => {
            if let Ok(festival) = Festival::from_bytes(data) {
                assert_eq!(festival.to_bytes(), data);
            }
        }
        4 => {
            if let Ok(fields) = codec::decode_open::<Fields>(data, 1 << 16) {
                assert_eq!(codec::encode(&fields), data);
            }
        }
        5 => {
            type Policy = (String, BTreeMap<String, Value>);
            if let Ok(policy) = codec::decode::<Policy>(data, 1 << 16) {
                assert_eq!(codec::encode(&policy), data);
            }
        }
        6 => {
            let Ok(text) = std::str::from_utf8(data) else { return };
            round_trip::<EntityId>(text);
            round_trip::<LocalId>(text);
            round_trip::<DocumentId>(text);
            round_trip::<Signature>(text);
        }
        _ => {
            let Ok(text) = std::str::from_utf8(data) else { return };
            round_trip::<Ticket>(text);
        }
    }
}

fn round_trip<T: FromStr + ToString + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert!(value.to_string().parse::<T>().is_ok_and(|again| again == value));
    }
}
