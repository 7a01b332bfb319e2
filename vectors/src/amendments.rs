//! Amendments: what an entity shows, given what its owner and others write of it.

use p2panda_core::{
    DocumentDescriptor, EditError, EntityId, Identity, LocalId, Replica, UserId, codec,
    schema::{Fields, Instant, Value as Field, amends_label},
    store::{MemoryStore, NoResume},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use serde_json::{Value, json};

use crate::{
    Topic, hex,
    user::{ada, festival},
    valid,
};

const NOW: Instant = Instant::from_millis(1_700_000_000_000);

/// Ada owns the entity; Bob and Cleo are its editors where nothing else is said; Dora is not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Ada,
    Bob,
    Cleo,
    Dora,
}

use Who::{Ada, Bob, Cleo, Dora};

impl Who {
    fn key(self) -> Identity {
        match self {
            Ada => ada(),
            Bob => Identity::from_secret(&[8; 32]),
            Cleo => Identity::from_secret(&[9; 32]),
            Dora => Identity::from_secret(&[10; 32]),
        }
    }

    fn user(self) -> UserId {
        self.key().user()
    }

    fn id(self) -> String {
        self.user().to_string()
    }

    fn document(self, label: &str) -> DocumentDescriptor {
        let (festival, user) = (festival().id(), self.user());
        DocumentDescriptor { festival, user, label: label.to_owned() }
    }
}

/// What somebody writes, in this order.
enum Step {
    /// Ada sets a field of the entity.
    Put(Vec<&'static str>, Field),
    /// Ada deletes a field, or the entity where there is no name.
    Delete(Vec<&'static str>),
    /// Somebody amends a field, with these bytes, on this device of theirs.
    Amend(Who, u64, String, Vec<u8>),
    /// Somebody sets the kind of what holds their amendments.
    Kind(Who, &'static str),
    /// Somebody amends a field in a document with another label.
    Elsewhere(Who, &'static str, Vec<u8>),
}

use Step::{Amend, Delete, Elsewhere, Kind, Put};

fn amendment(counter: u64, value: impl Into<Field>) -> Vec<u8> {
    codec::encode(&(counter, value.into()))
}

fn amend(who: Who, field: &str, counter: u64, value: impl Into<Field>) -> Step {
    Amend(who, 1, field.to_owned(), amendment(counter, value))
}

fn raw(who: Who, bytes: &[u8]) -> Step {
    Amend(who, 1, "title".to_owned(), bytes.to_vec())
}

fn entity() -> EntityId {
    EntityId::new(Ada.document("").id(), "show".parse().expect("a local id"))
}

/// One device of a user, which sees nothing of the others.
struct Device {
    who: Who,
    number: u64,
    replica: Replica,
    rng: ChaCha20Rng,
}

fn open(key: Identity) -> Replica {
    let store = Box::new(MemoryStore::new());
    let mut replica = Replica::open(store, key, Box::new(NoResume)).expect("an empty store");
    replica.join(&festival()).expect("memory does not fail");
    replica
}

impl Device {
    fn edit(&mut self, label: &str, local: &LocalId, path: &[&str], value: Option<Field>) {
        let id = EntityId::new(self.who.document(label).id(), local.clone());
        let edited = self.replica.edit(festival().id(), NOW, &mut self.rng, |edit| {
            edit.label(label);
            match value {
                Some(value) => edit.set(&id, path, value),
                None => edit.delete(&id, path),
            }
        });
        edited.unwrap_or_else(|error: EditError| panic!("{error}"));
    }
}

/// The archive of what all of them write.
fn written(steps: &[Step]) -> Vec<u8> {
    let mut devices: Vec<Device> = Vec::new();
    let local = entity().local;
    let label = amends_label(&entity().document);
    for step in steps {
        let (who, number) = match step {
            Put(..) | Delete(_) => (Ada, 1),
            Amend(who, number, ..) => (*who, *number),
            Kind(who, _) | Elsewhere(who, ..) => (*who, 1),
        };
        let found = devices.iter().position(|device| device.who == who && device.number == number);
        let at = found.unwrap_or_else(|| {
            let rng = ChaCha20Rng::seed_from_u64(100 * number + u64::from(who as u8));
            devices.push(Device { who, number, replica: open(who.key()), rng });
            devices.len() - 1
        });
        let device = &mut devices[at];
        let bytes = |bytes: &[u8]| Some(Field::Bytes(bytes.to_vec()));
        match step {
            Put(path, value) => device.edit("", &local, path, Some(value.clone())),
            Delete(path) => device.edit("", &local, path, None),
            Amend(Ada, _, field, content) => {
                device.edit("", &local, &["amended", field], bytes(content));
            }
            Amend(_, _, field, content) => {
                device.edit(&label, &local, &["kind"], Some("amendment".into()));
                device.edit(&label, &local, &["amended", field], bytes(content));
            }
            Kind(_, kind) => device.edit(&label, &local, &["kind"], Some((*kind).into())),
            Elsewhere(_, label, content) => {
                device.edit(label, &local, &["kind"], Some("amendment".into()));
                device.edit(label, &local, &["amended", "title"], bytes(content));
            }
        }
    }
    let mut all = open(Identity::from_secret(&[99; 32]));
    for device in &devices {
        let mut file = Vec::new();
        device.replica.export(festival().id(), &mut file).expect("memory does not fail");
        all.import(&mut &file[..]).expect("whole");
    }
    let mut file = Vec::new();
    all.export(festival().id(), &mut file).expect("memory does not fail");
    file
}

fn set_of(items: &[String]) -> Field {
    Field::Map(items.iter().map(|item| (item.clone(), true.into())).collect::<Fields>())
}

/// Ada's event, with Bob and Cleo as its editors.
fn show() -> Vec<Step> {
    vec![
        Put(vec!["kind"], "event".into()),
        Put(vec!["title"], "Show".into()),
        Put(vec!["editors"], set_of(&[Bob.id(), Cleo.id()])),
    ]
}

fn text(value: &str) -> Value {
    json!({"text": value})
}

/// The fields of the event, the title being this one.
fn shows(title: Value) -> Value {
    let mut editors = [Bob.id(), Cleo.id()];
    editors.sort();
    let [first, second] = editors;
    let editors = json!({first: {"bool": true}, second: {"bool": true}});
    let mut fields = json!({"editors": {"map": editors}, "kind": text("event")});
    if !title.is_null() {
        fields["title"] = title;
    }
    fields
}

/// What the event shows after more steps.
fn add(cases: &mut Vec<Value>, name: &str, more: Vec<Step>, expected: Value) {
    let steps: Vec<Step> = show().into_iter().chain(more).collect();
    let entities = json!({entity().to_string(): expected});
    cases.push(valid(name, json!({"bytes": hex(written(&steps)), "entities": entities})));
}

pub(crate) fn topic() -> Topic {
    let mut cases = Vec::new();
    counting(&mut cases);
    owners(&mut cases);
    values(&mut cases);
    malformed(&mut cases);
    Topic::new(
        "amendments",
        "Archives, and what an entity of theirs shows: its fields as in `entities.json`, null where \
         there is none.",
        cases,
    )
}

fn counting(cases: &mut Vec<Value>) {
    let higher = if Bob.user() > Cleo.user() { "Bob's" } else { "Cleo's" };
    add(cases, "nobody amends", vec![], shows(text("Show")));
    add(cases, "an editor amends", vec![amend(Bob, "title", 1, "Bob's")], shows(text("Bob's")));
    add(cases, "a stranger amends", vec![amend(Dora, "title", 9, "Dora's")], shows(text("Show")));
    let two =
        |bob, cleo| vec![amend(Bob, "title", bob, "Bob's"), amend(Cleo, "title", cleo, "Cleo's")];
    add(cases, "two editors: the higher counter", two(3, 2), shows(text("Bob's")));
    add(
        cases,
        "two editors: the higher counter, the other way round",
        two(2, 3),
        shows(text("Cleo's")),
    );
    add(cases, "two editors, one counter: the higher user", two(2, 2), shows(text(higher)));
    let twice = vec![amend(Bob, "title", 2, "old"), amend(Bob, "title", 1, "new")];
    add(
        cases,
        "what an editor overwrote counts no more, whatever its counter",
        twice,
        shows(text("new")),
    );
    let devices = |first, second| {
        vec![
            Amend(Bob, 1, "title".into(), amendment(first, "first")),
            Amend(Bob, 2, "title".into(), amendment(second, "second")),
        ]
    };
    add(cases, "two devices of an editor: the higher counter", devices(2, 1), shows(text("first")));
    add(
        cases,
        "two devices of an editor, the other way round",
        devices(1, 2),
        shows(text("second")),
    );
    let last = amend(Bob, "title", 1 << 53, "last word");
    add(
        cases,
        "the last counter",
        vec![last, amend(Cleo, "title", 99, "Cleo's")],
        shows(text("last word")),
    );
    let deleted = vec![Amend(Bob, 1, "title".into(), codec::encode(&[2]))];
    add(cases, "a field deleted", deleted, shows(Value::Null));
    let deleted =
        vec![Amend(Bob, 1, "title".into(), codec::encode(&[1])), amend(Cleo, "title", 2, "Cleo's")];
    add(cases, "a field deleted and written again", deleted, shows(text("Cleo's")));
    add(
        cases,
        "what holds the amendments is of another kind",
        vec![amend(Bob, "title", 1, "Bob's"), Kind(Bob, "event")],
        shows(text("Show")),
    );
    add(
        cases,
        "in a document with another label",
        vec![Elsewhere(Bob, "amends", amendment(1, "Bob's"))],
        shows(text("Show")),
    );
    let unlabelled = vec![Elsewhere(Bob, "", amendment(1, "Bob's"))];
    add(cases, "in the unlabelled document", unlabelled, shows(text("Show")));
}

fn owners(cases: &mut Vec<Value>) {
    let title = || amend(Bob, "title", 2, "Bob's");
    add(
        cases,
        "the owner amends higher",
        vec![title(), amend(Ada, "title", 3, "Ada's")],
        shows(text("Ada's")),
    );
    add(
        cases,
        "the owner amends lower",
        vec![title(), amend(Ada, "title", 1, "Ada's")],
        shows(text("Bob's")),
    );
    add(
        cases,
        "the owner writes plainly, not knowing",
        vec![title(), Put(vec!["description"], "x".into())],
        {
            let mut fields = shows(text("Bob's"));
            fields["description"] = text("x");
            fields
        },
    );
    let off = Put(vec!["editors"], set_of(&[]));
    let mut fields = shows(text("Show"));
    let keep = fields["editors"].clone();
    add(cases, "a set is merged: an editor who stays", vec![title(), off], shows(text("Bob's")));
    let mut left = keep["map"].clone();
    if let Some(left) = left.as_object_mut() {
        left.retain(|user, _| *user != Bob.id());
    }
    fields["editors"] = json!({"map": left});
    let leak = || -> &'static str { Box::leak(Bob.id().into_boxed_str()) };
    add(cases, "an editor taken off", vec![title(), Delete(vec!["editors", leak()])], fields);
    add(
        cases,
        "an editor taken off and added again",
        {
            vec![
                title(),
                Delete(vec!["editors", leak()]),
                Put(vec!["editors", leak()], true.into()),
            ]
        },
        shows(text("Bob's")),
    );
    let mut fields = shows(text("Show"));
    fields["editors"]["map"][Bob.id()] = json!({"bool": false});
    add(
        cases,
        "an editor set to false",
        vec![title(), Put(vec!["editors", leak()], false.into())],
        fields,
    );
    add(cases, "the entity deleted", vec![title(), Delete(vec![])], Value::Null);
    for (name, field, value) in [
        ("the kind", "kind", Field::from("resource")),
        ("the editors", "editors", set_of(&[Dora.id()])),
        ("amendments themselves", "amended", "x".into()),
    ] {
        let steps = vec![amend(Bob, field, 5, value)];
        add(cases, &format!("{name} cannot be amended"), steps, shows(text("Show")));
    }
    add(
        cases,
        "a capacity cannot be amended",
        vec![Put(vec!["capacity"], 3.into()), amend(Bob, "capacity", 5, 9)],
        {
            let mut fields = shows(text("Show"));
            fields["capacity"] = json!({"int": 3});
            fields
        },
    );
    add(
        cases,
        "a policy that is absent cannot be amended",
        vec![amend(Bob, "policy", 5, Field::Bytes(vec![1]))],
        shows(text("Show")),
    );
}

fn values(cases: &mut Vec<Value>) {
    let nested = |depth: usize| {
        (1..depth).fold(Field::Int(1), |inner, _| Field::Map([("m".to_owned(), inner)].into()))
    };
    let nested_json =
        |depth: usize| (1..depth).fold(json!({"int": 1}), |inner, _| json!({"map": {"m": inner}}));
    for (name, value, expected) in [
        ("null", Field::Null, json!({"null": true})),
        ("false", Field::Bool(false), json!({"bool": false})),
        ("the least integer", Field::Int(i64::MIN), json!({"int": i64::MIN})),
        ("an instant", Field::Instant(Instant::from_millis(-5)), json!({"instant": -5})),
        ("text beyond ASCII", "caf\u{e9}".into(), text("caf\u{e9}")),
        ("bytes", Field::Bytes(vec![0, 255]), json!({"bytes": "00ff"})),
        ("an empty map", Field::Map(Fields::new()), json!({"map": {}})),
        ("a set, whole", set_of(&["music".to_owned()]), json!({"map": {"music": {"bool": true}}})),
        ("maps 7 deep", nested(8), nested_json(8)),
    ] {
        let mut fields = shows(text("Show"));
        fields["extra"] = expected;
        add(cases, &format!("an amendment to {name}"), vec![amend(Bob, "extra", 1, value)], fields);
    }
}

fn malformed(cases: &mut Vec<Value>) {
    let deep = (1..9).fold(Field::Int(1), |inner, _| Field::Map([("m".to_owned(), inner)].into()));
    for (name, bytes) in [
        ("no bytes", vec![]),
        ("an empty array", vec![0x80]),
        ("three parts", codec::encode(&(9, "x", "y"))),
        ("a map", vec![0xa0]),
        ("counter 0", amendment(0, "x")),
        ("a counter beyond 2^53", amendment((1 << 53) + 1, "x")),
        ("a negative counter", codec::encode(&(-1, "x"))),
        ("a counter that is text", codec::encode(&("1", "x"))),
        ("a counter that is not shortest", vec![0x82, 0x18, 0x09, 0x61, b'x']),
        ("a byte behind it", [amendment(9, "x"), vec![0]].concat()),
        ("a list", codec::encode(&(9, vec![1, 2]))),
        ("a float", vec![0x82, 0x09, 0xf9, 0x3c, 0x00]),
        ("an integer beyond 64 bits", codec::encode(&(9, u64::MAX))),
        (
            "an empty name within",
            codec::encode(&(9, Field::Map([(String::new(), 1.into())].into()))),
        ),
        ("maps 8 deep", amendment(9, deep)),
    ] {
        let steps = vec![amend(Cleo, "title", 1, "Cleo's"), raw(Bob, &bytes)];
        add(cases, &format!("malformed: {name}"), steps, shows(text("Cleo's")));
    }
}
