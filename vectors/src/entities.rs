//! What a document's entities and records are, after some payloads.

use automerge::{ScalarValue as S, legacy::OpType};
use p2panda_core::{
    DocumentId, EntityId, LocalId,
    schema::{Answer, Decision, Instant, PolicySpec, Record, Span, Terms, Withdrawal},
};
use serde_json::{Value, json};

use crate::{
    Topic, hex,
    payloads::{
        entries,
        writing::{Past, apart, delete, empty, id, make, one, op, put, record, two},
    },
    user::user,
    valid,
};

fn text(value: &str) -> Value {
    json!({"text": value})
}

fn add(cases: &mut Vec<Value>, name: &str, past: Past, entities: Value) {
    let fields = json!({"past": entries(&past), "entities": entities});
    cases.push(valid(name, fields));
}

pub(crate) fn topic() -> Topic {
    let mut cases = Vec::new();
    single(&mut cases);
    concurrent(&mut cases);
    records(&mut cases);
    let mut topic = Topic::new(
        "entities",
        "All entities of a document of `user` after the payloads of `past`, in any order that the \
         dependencies allow: local id to fields. A field is {null, bool, int, instant, text, bytes \
         or map: value}. `records` says of each record whose entry put it, at which place from 0, \
         and how many entries of other incarnations that entry had seen, which is known of decisions in \
         the document for them; `label` is the document's, where it has one.",
        cases,
    );
    topic.shared.insert("user".into(), hex(user().as_bytes()).into());
    topic
}

fn single(cases: &mut Vec<Value>) {
    let e = || id(1, 1);
    add(cases, "nothing", empty(), json!({}));
    add(
        cases,
        "an entity without fields",
        empty().and(1, &[], vec![make(None, "e", &[])]),
        json!({"e": {}}),
    );
    add(cases, "a field", one(), json!({"e": {"title": text("Opening")}}));
    let all = one().and(
        1,
        &[],
        vec![
            put(e(), "n", S::Null, &[]),
            put(e(), "b", S::Boolean(true), &[]),
            put(e(), "i", S::Int(-5), &[]),
            put(e(), "t", S::Timestamp(1_700_000_000_000), &[]),
            put(e(), "y", S::Bytes(vec![0, 255]), &[]),
            put(e(), "title", S::Str("\u{e9}".into()), &[id(2, 1)]),
        ],
    );
    let fields = json!({
        "b": {"bool": true}, "i": {"int": -5}, "n": {"null": true}, "t": {"instant": 1_700_000_000_000_i64},
        "title": text("\u{e9}"), "y": {"bytes": "00ff"},
    });
    add(cases, "a field of each kind", all, json!({"e": fields}));
    add(
        cases,
        "a field overwritten twice",
        {
            one().and(1, &[], vec![put(e(), "title", "b", &[id(2, 1)])]).and(
                1,
                &[],
                vec![put(e(), "title", "c", &[id(3, 1)])],
            )
        },
        json!({"e": {"title": text("c")}}),
    );
    add(
        cases,
        "a field deleted",
        one().and(1, &[], vec![delete(Some(e()), "title", &[id(2, 1)])]),
        json!({"e": {}}),
    );
    add(cases, "an entity deleted", one().and(1, &[], vec![delete(None, "e", &[e()])]), json!({}));
    add(
        cases,
        "an entity deleted and made anew has no fields",
        {
            one().and(1, &[], vec![delete(None, "e", &[e()])]).and(
                1,
                &[],
                vec![make(None, "e", &[])],
            )
        },
        json!({"e": {}}),
    );
    add(
        cases,
        "a nested map",
        two(),
        json!({"e": {"title": text("Opening"), "place": {"map": {"x": {"int": 1}}}}}),
    );
    add(
        cases,
        "a field within a nested map deleted",
        two().and(2, &[], vec![delete(Some(id(3, 2)), "x", &[id(4, 2)])]),
        json!({"e": {"title": text("Opening"), "place": {"map": {}}}}),
    );
    add(
        cases,
        "a scalar in place of a map",
        two().and(1, &[1], vec![put(e(), "place", 1_i64, &[id(3, 2)])]),
        json!({"e": {"title": text("Opening"), "place": {"int": 1}}}),
    );
    add(
        cases,
        "twice at one place in one change",
        {
            one().and(
                1,
                &[],
                vec![put(e(), "title", "b", &[id(2, 1)]), put(e(), "title", "c", &[id(3, 1)])],
            )
        },
        json!({"e": {"title": text("c")}}),
    );
    add(
        cases,
        "a field deleted and put again in one change",
        {
            one().and(
                1,
                &[],
                vec![delete(Some(e()), "title", &[id(2, 1)]), put(e(), "title", "c", &[])],
            )
        },
        json!({"e": {"title": text("c")}}),
    );
    add(
        cases,
        "several entities",
        one().and(1, &[], vec![make(None, "f", &[]), put(id(3, 1), "title", "Closing", &[])]),
        json!({"e": {"title": text("Opening")}, "f": {"title": text("Closing")}}),
    );
    add(
        cases,
        "another order of keys",
        {
            empty()
                .and(1, &[], vec![make(None, "b", &[])])
                .and(1, &[], vec![make(None, "a", &[])])
                .and(1, &[], vec![put(id(1, 1), "z", 1_i64, &[]), put(id(1, 1), "aa", 2_i64, &[])])
        },
        json!({"a": {}, "b": {"aa": {"int": 2}, "z": {"int": 1}}}),
    );
}

fn concurrent(cases: &mut Vec<Value>) {
    add(
        cases,
        "two incarnations make one entity: equal counters, the higher actor wins",
        apart(),
        json!({"e": {"title": text("Beginning")}}),
    );
    add(
        cases,
        "the higher counter wins over the higher actor",
        {
            empty()
                .and(
                    1,
                    &[],
                    vec![
                        make(None, "e", &[]),
                        make(None, "f", &[]),
                        put(id(1, 1), "t", "late", &[]),
                    ],
                )
                .and(2, &[], vec![make(None, "e", &[]), put(id(1, 2), "t", "early", &[])])
        },
        json!({"e": {"t": text("late")}, "f": {}}),
    );
    add(
        cases,
        "fields of both maps are read as one",
        {
            empty().and(1, &[], vec![make(None, "e", &[]), put(id(1, 1), "a", 1_i64, &[])]).and(
                2,
                &[],
                vec![make(None, "e", &[]), put(id(1, 2), "b", 2_i64, &[])],
            )
        },
        json!({"e": {"a": {"int": 1}, "b": {"int": 2}}}),
    );
    add(
        cases,
        "nested maps are read as one too",
        {
            empty()
                .and(1, &[], vec![make(None, "e", &[])])
                .and(1, &[], vec![make(Some(id(1, 1)), "m", &[]), put(id(2, 1), "a", 1_i64, &[])])
                .and(2, &[], vec![make(None, "e", &[])])
                .and(2, &[], vec![make(Some(id(1, 2)), "m", &[]), put(id(2, 2), "b", 2_i64, &[])])
        },
        json!({"e": {"m": {"map": {"a": {"int": 1}, "b": {"int": 2}}}}}),
    );
    add(
        cases,
        "a higher scalar hides the maps at its field",
        {
            empty()
                .and(1, &[], vec![make(None, "e", &[])])
                .and(1, &[], vec![make(Some(id(1, 1)), "m", &[]), put(id(2, 1), "a", 1_i64, &[])])
                .and(2, &[], vec![make(None, "e", &[]), put(id(1, 2), "m", 9_i64, &[])])
        },
        json!({"e": {"m": {"int": 9}}}),
    );
    add(
        cases,
        "a higher map hides the scalars at its field",
        {
            empty()
                .and(2, &[], vec![make(None, "e", &[])])
                .and(2, &[], vec![make(Some(id(1, 2)), "m", &[]), put(id(2, 2), "a", 1_i64, &[])])
                .and(1, &[], vec![make(None, "e", &[]), put(id(1, 1), "m", 9_i64, &[])])
        },
        json!({"e": {"m": {"map": {"a": {"int": 1}}}}}),
    );
    let both = || {
        one().and(1, &[], vec![put(id(1, 1), "n", 1_i64, &[])]).and(
            2,
            &[0],
            vec![put(id(1, 1), "n", 2_i64, &[])],
        )
    };
    add(
        cases,
        "concurrent writes of one field",
        both(),
        json!({"e": {"title": text("Opening"), "n": {"int": 2}}}),
    );
    add(
        cases,
        "written over both",
        both().and(1, &[2], vec![put(id(1, 1), "n", 3_i64, &[id(3, 1), id(3, 2)])]),
        json!({"e": {"title": text("Opening"), "n": {"int": 3}}}),
    );
    add(
        cases,
        "a deletion beside a write: the write stands",
        {
            one().and(1, &[], vec![delete(Some(id(1, 1)), "title", &[id(2, 1)])]).and(
                2,
                &[0],
                vec![put(id(1, 1), "title", "new", &[id(2, 1)])],
            )
        },
        json!({"e": {"title": text("new")}}),
    );
    add(
        cases,
        "the winner deleted: the other stands again",
        both().and(2, &[], vec![delete(Some(id(1, 1)), "n", &[id(3, 2)])]),
        json!({"e": {"title": text("Opening"), "n": {"int": 1}}}),
    );
    add(
        cases,
        "an entity deleted beside a write into it",
        {
            one().and(1, &[], vec![delete(None, "e", &[id(1, 1)])]).and(
                2,
                &[0],
                vec![put(id(1, 1), "n", 1_i64, &[])],
            )
        },
        json!({}),
    );
    add(
        cases,
        "one of two maps deleted: its fields are gone",
        apart().and(1, &[], vec![delete(None, "e", &[id(1, 1)])]),
        json!({"e": {"title": text("Beginning")}}),
    );
    add(
        cases,
        "both maps deleted",
        apart().and(1, &[1], vec![delete(None, "e", &[id(1, 1), id(1, 2)])]),
        json!({}),
    );
    add(
        cases,
        "a field deleted in one map stands in the other",
        apart().and(2, &[], vec![delete(Some(id(1, 2)), "title", &[id(2, 2)])]),
        json!({"e": {"title": text("Opening")}}),
    );
    add(
        cases,
        "three incarnations",
        apart().and(3, &[0, 1], vec![put(id(1, 2), "n", 1_i64, &[])]).and(1, &[2], vec![]),
        json!({"e": {"title": text("Beginning"), "n": {"int": 1}}}),
    );
    let null = op(Some(id(1, 1)), "title", OpType::Put(S::Null), &[id(2, 1)]);
    add(
        cases,
        "null is a value, not a deletion",
        one().and(1, &[], vec![null]),
        json!({"e": {"title": {"null": true}}}),
    );
}

fn other(local: &str) -> EntityId {
    EntityId::new(DocumentId::from_bytes([2; 32]), local.parse().expect("valid"))
}

/// A withdrawal: a record that says little.
fn withdrawal(reason: &str) -> Vec<u8> {
    let (resource, request) = (other("stage"), other("#x"));
    Record::Withdrawal(Withdrawal { resource, request, reason: reason.into() }).to_bytes()
}

fn decision(reason: &str) -> Vec<u8> {
    let span = Span { starts: Instant::from_millis(0), ends: Instant::from_millis(1) };
    let terms = Terms { event: other("show"), resource: other("stage"), span, units: 1 };
    let (request, policy) = (other("#x"), PolicySpec::new("manual").hash());
    let (answer, reason) = (Answer::Confirm, reason.into());
    Record::Decision(Decision { request, terms, policy, answer, reason }).to_bytes()
}

fn records(cases: &mut Vec<Value>) {
    let (x, y) = (&withdrawal("x"), &withdrawal("y"));
    let of = |content: &[u8]| LocalId::of_record(content).to_string();
    let mut add = |name: &str, past: Past, records: Value, entities: Value| {
        let fields = json!({"past": entries(&past), "entities": entities, "records": records});
        cases.push(valid(name, fields));
    };
    let place = |content: &[u8], incarnation: u8, index: u64, seen: Value| {
        let incarnation = hex([incarnation; 8]);
        json!({"bytes": hex(content), "incarnation": incarnation, "index": index, "seen": seen})
    };
    let past = empty().and(1, &[], vec![record(x)]);
    add("a record", past, json!({of(x): place(x, 1, 0, json!({}))}), json!({}));
    add(
        "a record beside entities, in a later entry",
        one().and(1, &[], vec![record(x)]),
        json!({of(x): place(x, 1, 1, json!({}))}),
        json!({"e": {"title": text("Opening")}}),
    );
    let past = empty().and(2, &[], vec![record(x)]).and(1, &[], vec![record(y)]);
    add(
        "one record put by two incarnations: the lower one's counts",
        past.and(1, &[], vec![record(x)]),
        json!({of(x): place(x, 1, 1, json!({})), of(y): place(y, 1, 0, json!({}))}),
        json!({}),
    );
    let (x, y) = (&decision("x"), &decision("y"));
    let place_of = LocalId::of_record(other("stage").to_string().as_bytes()).to_string();
    let past = apart().and(2, &[0], vec![record(x)]).and(1, &[2], vec![record(y)]);
    cases.push(valid(
        "what an entry had seen",
        json!({
            "label": format!("decisions/{}", place_of.trim_start_matches('#')),
            "past": entries(&past),
            "records": {
                of(x): place(x, 2, 1, json!({hex([1; 8]): 1})),
                of(y): place(y, 1, 1, json!({hex([2; 8]): 2})),
            },
            "entities": {"e": {"title": text("Beginning")}},
        }),
    ));
}
