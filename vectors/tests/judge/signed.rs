use p2panda_core::{
    Chain, DocumentDescriptor, DocumentId, Festival, FestivalId, Identity, Incarnation, LogId,
    Replica, Seal, Segment, SegmentError, Signature, Ticket, Tip, UserId,
    archive::{ImportError, ImportFault, Imported},
    codec,
    store::{MemoryStore, NoResume},
};
use serde_json::Value;

use super::{array, bytes, number, same, text, verdict};

fn log(case: &Value) -> LogId {
    LogId {
        document: DocumentId::from_bytes(array(&case["document"])),
        incarnation: Incarnation::from_bytes(array(&case["incarnation"])),
    }
}

pub(crate) fn head(_: &Value, case: &Value) -> Result<(), String> {
    let log = log(case);
    let chain = Chain::from_bytes(array(&case["chain"]));
    let length = number(case, "length");
    let message = ("p2panda 1 head", log.document, log.incarnation, length, chain);
    same(codec::encode(&message), bytes(&case["message"]))?;
    let (before, payload) = (Chain::from_bytes(array(&case["before"])), bytes(&case["payload"]));
    same(before.after(&payload), chain)?;
    let seal = Seal::Signature(Signature::from_bytes(array(&case["signature"])));
    let tip = Tip { length: length - 1, chain: before };
    let segment = Segment { log, from: tip.length, payloads: vec![payload], seal };
    let found = segment.verify(&tip, &UserId::from_bytes(array(&case["user"])));
    let of_signature = !matches!(&found, Err(why) if *why != SegmentError::Signature);
    same(of_signature, true)?;
    verdict(case, found).map(drop)
}

fn is_festival(case: &Value, festival: &Festival) -> Result<(), String> {
    same(festival.to_bytes(), bytes(&case["bytes"]))?;
    same(festival.founder().as_bytes(), &array(&case["founder"]))?;
    same(festival.id().as_bytes(), &array(&case["id"]))
}

pub(crate) fn festival(_: &Value, case: &Value) -> Result<(), String> {
    if let Some(secret) = case.get("secret") {
        let founder = Identity::from_secret(&array(secret)).user();
        same(founder.as_bytes(), &array(&case["founder"]))?;
    }
    let festival = verdict(case, Festival::from_bytes(&bytes(&case["bytes"])))?;
    festival.map_or(Ok(()), |festival| is_festival(case, &festival))
}

pub(crate) fn ticket(_: &Value, case: &Value) -> Result<(), String> {
    let ticket = verdict(case, text(case, "text").parse::<Ticket>())?;
    ticket.map_or(Ok(()), |ticket| is_festival(case, &ticket.festival))
}

pub(crate) fn document(_: &Value, case: &Value) -> Result<(), String> {
    let descriptor = DocumentDescriptor {
        festival: FestivalId::from_bytes(array(&case["festival"])),
        user: UserId::from_bytes(array(&case["user"])),
        label: text(case, "label").to_owned(),
    };
    let fits = descriptor.label.len() <= DocumentDescriptor::MAX_LABEL;
    if verdict(case, fits.then_some(()).ok_or("too long"))?.is_some() {
        let bytes_of = codec::encode(&(descriptor.festival, descriptor.user, &descriptor.label));
        same(bytes_of, bytes(&case["descriptor"]))?;
        same(descriptor.id().as_bytes(), &array(&case["id"]))?;
    }
    Ok(())
}

pub(crate) fn segment(_: &Value, case: &Value) -> Result<(), String> {
    let payload = |payload: &Value| match payload.as_str() {
        Some(_) => bytes(payload),
        None => {
            let byte = u8::try_from(number(payload, "byte")).unwrap();
            vec![byte; usize::try_from(number(payload, "times")).unwrap()]
        }
    };
    let segment = Segment {
        log: log(case),
        from: number(case, "from"),
        payloads: case["payloads"].as_array().unwrap().iter().map(payload).collect(),
        seal: Seal::Signature(Signature::from_bytes(array(&case["signature"]))),
    };
    let held = Tip {
        length: number(&case["held"], "length"),
        chain: Chain::from_bytes(array(&case["held"]["chain"])),
    };
    let found = segment.verify(&held, &UserId::from_bytes(array(&case["author"])));
    let kind = found.as_ref().err().map(|error| match error {
        SegmentError::Empty => "empty",
        SegmentError::PayloadSize { .. } => "payload size",
        SegmentError::TooLarge { .. } => "too large",
        SegmentError::Misaligned { .. } => "misaligned",
        SegmentError::NotContiguous { .. } => "not contiguous",
        SegmentError::Signature => "signature",
        SegmentError::Fork(_) => "fork",
    });
    verdict(case, found)?;
    same(kind, case["reason"].as_str())
}

pub(crate) fn archive(_: &Value, case: &Value) -> Result<(), String> {
    let reader = Identity::from_secret(&[99; 32]);
    let store = Box::new(MemoryStore::new());
    let mut replica = Replica::open(store, reader, Box::new(NoResume)).unwrap();
    let (imported, ends) = match replica.import(&mut &bytes(&case["bytes"])[..]) {
        Ok(imported) => (imported, None),
        Err(ImportError { imported, why }) => (*imported, Some(why)),
    };
    let ends = ends.map(|why| match why {
        ImportFault::NotAnArchive => "not an archive",
        ImportFault::NewerFormat => "newer format",
        ImportFault::NewerFrame { .. } => "newer frame",
        ImportFault::Truncated { .. } => "truncated",
        ImportFault::Damaged { .. } => "damaged",
        ImportFault::Festival(_) => "festival",
        ImportFault::Io(_) | ImportFault::Store(_) => "this device",
    });
    same(ends, case["ends"].as_str())?;
    let Imported { documents, new, refusals, .. } = imported;
    let whole = ends.is_none() && refusals == 0;
    same(whole, case["valid"].as_bool().unwrap())?;
    let expected = ["documents", "entries", "refused"].map(|field| number(case, field));
    same([documents, new, refusals], expected)
}
