use std::str::FromStr;

use p2panda_core::{
    Chain, DocumentId, EntityId, FestivalId, Incarnation, LocalId, LogId, Signature, UserId, codec,
    schema::{MAX_POLICY, PolicySpec, Record},
};
use serde_json::Value;

use super::{array, bytes, same, text, verdict};

pub(crate) fn id(_: &Value, case: &Value) -> Result<(), String> {
    match text(case, "kind") {
        "user" => byte_id::<UserId>(case, |id| id.as_bytes().to_vec()),
        "festival" => byte_id::<FestivalId>(case, |id| id.as_bytes().to_vec()),
        "document" => byte_id::<DocumentId>(case, |id| id.as_bytes().to_vec()),
        "incarnation" => byte_id::<Incarnation>(case, |id| id.as_bytes().to_vec()),
        "signature" => byte_id::<Signature>(case, |id| id.as_bytes().to_vec()),
        "local" => text_id::<LocalId>(case).map(drop),
        "entity" => text_id::<EntityId>(case).map(drop),
        other => Err(format!("no kind {other}")),
    }
}

fn text_id<T: FromStr + ToString>(case: &Value) -> Result<Option<T>, String>
where
    T::Err: std::fmt::Debug,
{
    let id = verdict(case, text(case, "text").parse::<T>())?;
    if let Some(id) = &id {
        same(&*id.to_string(), text(case, "canonical"))?;
    }
    Ok(id)
}

fn byte_id<T: FromStr + ToString>(case: &Value, to_bytes: fn(&T) -> Vec<u8>) -> Result<(), String>
where
    T::Err: std::fmt::Debug,
{
    match text_id::<T>(case)? {
        Some(id) => same(to_bytes(&id), bytes(&case["bytes"])),
        None => Ok(()),
    }
}

pub(crate) fn cbor(_: &Value, case: &Value) -> Result<(), String> {
    let times = case["times"].as_u64().map_or(1, |times| usize::try_from(times).unwrap());
    let input = bytes(&case["bytes"]).repeat(times);
    let value = verdict(case, codec::decode_open::<cbor2::Value>(&input, 1 << 20))?;
    value.map_or(Ok(()), |value| same(codec::encode(&value), input))
}

pub(crate) fn hash(_: &Value, case: &Value) -> Result<(), String> {
    if case.get("context").is_some() {
        return same(
            blake3::derive_key(text(case, "context"), &bytes(&case["input"])),
            array(&case["hash"]),
        );
    }
    if case.get("record").is_some() {
        let local = LocalId::of_record(&bytes(&case["record"]));
        return same(local.as_str(), text(case, "local"));
    }
    if case.get("resource").is_some() {
        let hash = blake3::derive_key("p2panda 1 record", text(case, "resource").as_bytes());
        return same(&*format!("decisions/{}", DocumentId::from_bytes(hash)), text(case, "label"));
    }
    let log = LogId {
        document: DocumentId::from_bytes(array(&case["document"])),
        incarnation: Incarnation::from_bytes(array(&case["incarnation"])),
    };
    let mut chain = vec![Chain::start(&log)];
    for payload in case["payloads"].as_array().unwrap() {
        chain.push(chain.last().unwrap().after(&bytes(payload)));
    }
    let expected = case["chain"].as_array().unwrap().iter();
    same(chain, expected.map(|value| Chain::from_bytes(array(value))).collect())
}

/// Bytes given whole or in parts.
fn whole(case: &Value) -> Vec<u8> {
    let Some(parts) = case.get("parts") else { return bytes(&case["bytes"]) };
    let part = |part: &Value| match part.as_str() {
        Some(_) => bytes(part),
        None => {
            let byte = u8::try_from(part["byte"].as_u64().unwrap()).unwrap();
            vec![byte; usize::try_from(part["times"].as_u64().unwrap()).unwrap()]
        }
    };
    parts.as_array().unwrap().iter().flat_map(part).collect()
}

pub(crate) fn record(_: &Value, case: &Value) -> Result<(), String> {
    let content = whole(case);
    if text(case, "kind") == "policy" {
        let read = codec::decode(&content, MAX_POLICY);
        let policy = verdict(case, read.map(|(kind, params)| PolicySpec { kind, params }))?;
        return policy
            .map_or(Ok(()), |policy| same(*policy.hash().as_bytes(), array(&case["hash"])));
    }
    match verdict(case, Record::from_bytes(&content))? {
        Some(_) => same(LocalId::of_record(&content).as_str(), text(case, "local")),
        None => Ok(()),
    }
}
