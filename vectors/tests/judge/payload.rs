use std::collections::BTreeMap;

use p2panda_core::{
    DocumentDescriptor, EntityId, Festival, Identity, Incarnation, LogId, Refusal, Replica,
    Stopped, Tip, VerifiedSegment,
    schema::{Fields, Value as Field},
    store::{MemoryStore, NoResume},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use serde_json::{Value, json};

use super::{array, bytes, number, same, text};

/// A replica that takes in what Ada's incarnations sign.
struct Bed {
    ada: Identity,
    festival: Festival,
    descriptor: DocumentDescriptor,
    replica: Replica,
}

impl Bed {
    fn new(file: &Value) -> Self {
        let ada = Identity::from_secret(&[7; 32]);
        assert_eq!(ada.user().as_bytes(), &array(&file["user"]));
        let festival = Festival::found(&ada, &mut ChaCha20Rng::seed_from_u64(1));
        let (id, user) = (festival.id(), ada.user());
        let descriptor = DocumentDescriptor { festival: id, user, label: String::new() };
        let reader = Identity::from_secret(&[99; 32]);
        let store = Box::new(MemoryStore::new());
        let mut replica = Replica::open(store, reader, Box::new(NoResume)).unwrap();
        replica.join(&festival).unwrap();
        Self { ada, festival, descriptor, replica }
    }

    /// The same in a labelled document, where the case has one.
    fn labelled(mut self, case: &Value) -> Self {
        self.descriptor.label = case["label"].as_str().unwrap_or_default().to_owned();
        self
    }

    fn take(&mut self, incarnation: &Value, payload: &Value) -> Option<Stopped> {
        let incarnation = Incarnation::from_bytes(array(incarnation));
        let log = LogId { document: self.descriptor.id(), incarnation };
        let tip = self.replica.held(&log).unwrap().unwrap_or_else(|| Tip::start(&log));
        let segment = VerifiedSegment::sign(&self.ada, log, &tip, vec![bytes(payload)]).unwrap();
        self.replica.accept(&self.descriptor, segment.into_segment()).unwrap();
        let stopped = self.replica.stopped_logs(self.festival.id()).unwrap();
        stopped.into_iter().find(|(other, _)| *other == log).map(|(_, why)| why)
    }

    fn take_all(&mut self, entries: &Value) -> Result<(), String> {
        for entry in entries.as_array().unwrap() {
            same(self.take(&entry[0], &entry[1]), None)?;
        }
        Ok(())
    }
}

pub(crate) fn payload(file: &Value, case: &Value) -> Result<(), String> {
    let past = &file["pasts"][text(case, "past")];
    let mut bed = Bed::new(file);
    bed.take_all(past)?;
    let own = past.as_array().unwrap().iter().filter(|entry| entry[0] == case["incarnation"]);
    same(own.count() as u64, number(case, "position"))?;
    let (verdict, reason) = match bed.take(&case["incarnation"], &case["payload"]) {
        None => ("valid", Value::Null),
        Some(Stopped::Waiting) => ("waiting", Value::Null),
        Some(Stopped::Refused(why)) => ("refused", serde_json::to_value(why).unwrap()),
        Some(other) => return Err(format!("{other:?}")),
    };
    same((verdict, &reason), (text(case, "verdict"), &case["reason"]))
}

/// Every kind of refusal.
pub(crate) fn kinds() -> Vec<String> {
    use Refusal::{
        Action, Actor, Columns, Counter, Dependencies, Depth, Empty, EntityId, ExtraBytes,
        Inflated, Integer, Message, NotAChange, NotCanonical, Operations, Predecessors, Profile,
        RecordChanged, RecordId, Reference, Sequence, Time, Truncated,
    };
    let all = [
        Truncated,
        Integer,
        NotAChange,
        NotCanonical,
        Message,
        ExtraBytes,
        Columns,
        Operations,
        Inflated,
        Time,
        Action,
        Actor,
        Sequence,
        Dependencies,
        Empty,
        Counter,
        Profile,
        Depth,
        EntityId,
        Reference,
        Predecessors,
        RecordId,
        RecordChanged,
    ];
    // A new kind is a new case above, and two in `payloads.json`.
    let name = |refusal: &Refusal| match refusal {
        Truncated | Integer | NotAChange | NotCanonical | Message | ExtraBytes | Columns
        | Operations | Inflated | Time | Action | Actor | Sequence | Dependencies | Empty
        | Counter | Profile | Depth | EntityId | Reference | Predecessors | RecordId
        | RecordChanged => serde_json::to_value(refusal),
    };
    all.iter().map(|refusal| name(refusal).unwrap().as_str().unwrap().to_owned()).collect()
}

pub(crate) fn entities(file: &Value, case: &Value) -> Result<(), String> {
    let entries = case["past"].as_array().unwrap();
    let backwards: Vec<Value> = entries.iter().rev().cloned().collect();
    let mut bed = Bed::new(file).labelled(case);
    bed.take_all(&case["past"])?;
    check(&bed, case)?;
    // What arrives the other way round waits, and comes to the same.
    let mut other = Bed::new(file).labelled(case);
    let mut incarnations: Vec<&Value> = backwards.iter().map(|entry| &entry[0]).collect();
    incarnations.dedup();
    for incarnation in incarnations {
        for entry in entries.iter().filter(|entry| entry[0] == *incarnation) {
            if number_held(&other, incarnation) < position(entries, entry) {
                continue;
            }
            other.take(&entry[0], &entry[1]);
        }
    }
    check(&other, case)
}

fn position(entries: &[Value], entry: &Value) -> u64 {
    let before = entries.iter().take_while(|other| *other != entry);
    before.filter(|other| other[0] == entry[0]).count() as u64
}

fn number_held(bed: &Bed, incarnation: &Value) -> u64 {
    let incarnation = Incarnation::from_bytes(array(incarnation));
    let log = LogId { document: bed.descriptor.id(), incarnation };
    bed.replica.held(&log).unwrap().map_or(0, |tip| tip.length)
}

fn check(bed: &Bed, case: &Value) -> Result<(), String> {
    let view = bed.replica.view(bed.festival.id());
    let expected: BTreeMap<&String, &Value> =
        case["entities"].as_object().unwrap().iter().collect();
    let mut found = BTreeMap::new();
    let mut seen = 0;
    for (_, id) in view.changes(0, usize::MAX).unwrap() {
        seen += usize::from(!id.local.is_record());
        if let Some(fields) = view.fields(&id).unwrap() {
            found.insert(id.local.to_string(), json_fields(&fields));
        }
    }
    for (local, record) in case["records"].as_object().into_iter().flatten() {
        let id = EntityId::new(bed.descriptor.id(), local.parse().unwrap());
        let fact = view.record(&id).unwrap().ok_or_else(|| format!("{local} is missing"))?;
        same(fact.record.to_bytes(), bytes(&record["bytes"]))?;
        same(fact.position.incarnation.as_bytes(), &array(&record["incarnation"]))?;
        same(fact.position.index, number(record, "index"))?;
        let hex =
            |incarnation: &Incarnation| data_encoding::HEXLOWER.encode(incarnation.as_bytes());
        let had_seen: serde_json::Map<_, _> = fact
            .position
            .seen()
            .iter()
            .map(|(other, length)| (hex(other), (*length).into()))
            .collect();
        same(&Value::Object(had_seen), &record["seen"])?;
    }
    let found: BTreeMap<&String, &Value> = found.iter().collect();
    same(found, expected.clone())?;
    for local in expected.keys() {
        let id = EntityId::new(bed.descriptor.id(), local.parse().unwrap());
        same(view.fields(&id).unwrap().is_some(), true)?;
    }
    same(seen >= expected.len(), true)
}

pub(crate) fn amended(_: &Value, case: &Value) -> Result<(), String> {
    let store = Box::new(MemoryStore::new());
    let reader = Identity::from_secret(&[98; 32]);
    let mut replica = Replica::open(store, reader, Box::new(NoResume)).unwrap();
    let imported = replica.import(&mut &bytes(&case["bytes"])[..]).unwrap();
    same(imported.refusals, 0)?;
    let view = replica.view(imported.festival.unwrap());
    for (id, expected) in case["entities"].as_object().unwrap() {
        let fields = view.fields(&id.parse().unwrap()).unwrap();
        same(&fields.as_ref().map_or(Value::Null, json_fields), expected)?;
    }
    Ok(())
}

fn json_fields(fields: &Fields) -> Value {
    fields.iter().map(|(name, field)| (name.clone(), json_field(field))).collect()
}

fn json_field(field: &Field) -> Value {
    match field {
        Field::Null => json!({"null": true}),
        Field::Bool(value) => json!({"bool": value}),
        Field::Int(value) => json!({"int": value}),
        Field::Instant(value) => json!({"instant": value.millis()}),
        Field::Text(value) => json!({"text": value}),
        Field::Bytes(value) => json!({"bytes": data_encoding::HEXLOWER.encode(value)}),
        Field::Map(fields) => json!({"map": json_fields(fields)}),
    }
}
