//! Well-formed changes that break a rule of the document.

use std::num::NonZeroU64;

use automerge::{
    ActorId, ChangeHash, ExpandedChange, ObjType, ScalarValue as S,
    legacy::{ElementId, Key, ObjectId, Op, OpId, OpType},
};

use super::{
    Cases,
    Verdict::Refused,
    writing::{actor, apart, delete, empty, encoded, id, make, one, op, put, record, two},
};

/// The change that the cases break: a field of entity `e`.
fn good() -> ExpandedChange {
    one().change(1, &[], vec![put(id(1, 1), "f", 1_i64, &[])])
}

fn with(operation: Op) -> ExpandedChange {
    one().change(1, &[], vec![operation])
}

fn add_one(cases: &mut Cases, name: &str, kind: &'static str, change: ExpandedChange) {
    cases.add(name, Refused(kind), "one", 1, &encoded(change));
}

pub(super) fn add(cases: &mut Cases) {
    headers(cases);
    dependencies(cases);
    operations(cases);
    references(cases);
    inflated(cases);
    overwrites(cases);
    roots(cases);
    records(cases);
}

fn headers(cases: &mut Cases) {
    for (name, seq) in [
        ("a sequence number again", 1),
        ("a sequence number left out", 3),
        ("sequence number 0", 0),
    ] {
        add_one(cases, name, "sequence", ExpandedChange { seq, ..good() });
    }
    cases.add_at("at another place of its log", Refused("sequence"), "one", 2, 0, &{
        encoded(ExpandedChange { actor_id: actor(2), ..good() })
    });
    let stranger = ActorId::from([&[8; 32][..], &[1; 8]].concat());
    add_one(
        cases,
        "another user's actor",
        "actor",
        ExpandedChange { actor_id: stranger, ..good() },
    );
    add_one(
        cases,
        "another incarnation's actor",
        "actor",
        ExpandedChange { actor_id: actor(2), ..good() },
    );
    let short = ActorId::from([7; 32]);
    add_one(cases, "an actor of 32 bytes", "actor", ExpandedChange { actor_id: short, ..good() });
    for (name, time) in [("a time too late", (1 << 54) + 1), ("a time too early", -(1 << 54) - 1)] {
        add_one(cases, name, "time", ExpandedChange { time, ..good() });
    }
    let message = Some("hello".to_owned());
    add_one(cases, "a message", "message", ExpandedChange { message, ..good() });
    let message = Some("x".repeat(200));
    add_one(cases, "a long message", "message", ExpandedChange { message, ..good() });
    add_one(
        cases,
        "a byte behind the operations",
        "extra-bytes",
        ExpandedChange { extra_bytes: vec![0], ..good() },
    );
    add_one(
        cases,
        "100 bytes behind the operations",
        "extra-bytes",
        ExpandedChange { extra_bytes: vec![7; 100], ..good() },
    );
    let counter = |value: u64| NonZeroU64::new(value).expect("not zero");
    for (name, start) in [
        ("counters from the start again", 1),
        ("counters that repeat the last", 2),
        ("a counter left out", 4),
        ("counters that end", (1 << 31) - 1),
        ("the last counter of all", u64::from(u32::MAX)),
    ] {
        add_one(cases, name, "counter", ExpandedChange { start_op: counter(start), ..good() });
    }
    let first = ExpandedChange {
        start_op: counter(2),
        ..empty().change(1, &[], vec![make(None, "e", &[])])
    };
    cases.add("a first change that begins with 2", Refused("counter"), "empty", 1, &encoded(first));
    add_one(
        cases,
        "no operations and one dependency",
        "empty",
        ExpandedChange { operations: vec![], ..good() },
    );
    let nothing = empty().change(1, &[], vec![]);
    cases.add("no operations and no dependency", Refused("empty"), "empty", 1, &encoded(nothing));
}

fn dependencies(cases: &mut Cases) {
    add_one(
        cases,
        "without its own previous change",
        "dependencies",
        ExpandedChange { deps: vec![], ..good() },
    );
    let own = good().deps[0];
    add_one(
        cases,
        "its own previous change twice",
        "dependencies",
        ExpandedChange { deps: vec![own; 2], ..good() },
    );
    let mut deps: Vec<ChangeHash> = (0..32).map(|n| ChangeHash([n; 32])).collect();
    deps.push(own);
    add_one(cases, "33 dependencies", "dependencies", ExpandedChange { deps, ..good() });
    let other = two().change(1, &[1], vec![put(id(3, 2), "x", 2_i64, &[id(4, 2)])]);
    let indirect = ExpandedChange { deps: vec![two().hash(1)], ..other };
    cases.add(
        "its own previous change only by way of another",
        Refused("dependencies"),
        "two",
        1,
        &encoded(indirect),
    );
    let unknown = ExpandedChange { deps: vec![ChangeHash([9; 32])], ..good() };
    add_one(cases, "an unknown dependency alone", "dependencies", unknown);
}

fn operations(cases: &mut Cases) {
    let value = |value: S| with(put(id(1, 1), "f", value, &[]));
    add_one(cases, "an unsigned integer", "profile", value(S::Uint(1)));
    add_one(cases, "a float", "profile", value(S::F64(1.5)));
    add_one(cases, "a counter", "profile", value(S::counter(1)));
    let unknown = S::Unknown { type_code: 12, bytes: vec![1, 2] };
    add_one(cases, "a value of an unknown type", "profile", value(unknown));
    add_one(
        cases,
        "an insertion into a map",
        "profile",
        with(Op { insert: true, ..put(id(1, 1), "f", 1_i64, &[]) }),
    );
    add_one(cases, "an empty field name", "profile", with(put(id(1, 1), "", 1_i64, &[])));
    add_one(
        cases,
        "a field name of 129 bytes",
        "profile",
        with(put(id(1, 1), &"k".repeat(129), 1_i64, &[])),
    );
    let sequence =
        Op { key: Key::Seq(ElementId::Head), insert: true, ..put(id(1, 1), "f", 1_i64, &[]) };
    add_one(cases, "an element of a sequence", "columns", with(sequence));
    let sequence =
        Op { key: Key::Seq(ElementId::Id(id(2, 1))), ..put(id(1, 1), "f", 1_i64, &[id(2, 1)]) };
    add_one(cases, "an element after another", "columns", with(sequence));
    for (name, action) in [
        ("a list", OpType::Make(ObjType::List)),
        ("a text sequence", OpType::Make(ObjType::Text)),
        ("a table", OpType::Make(ObjType::Table)),
        ("an increment", OpType::Increment(1)),
    ] {
        add_one(cases, name, "action", with(op(Some(id(1, 1)), "f", action, &[])));
    }
    let maps = |count: u64| {
        let mut maps = vec![make(Some(id(1, 1)), "m", &[])];
        maps.extend((3..2 + count).map(|counter| make(Some(id(counter, 1)), "m", &[])));
        maps.push(put(id(1, 1), "text", "x".repeat(500), &[]));
        one().change(1, &[], maps)
    };
    add_one(cases, "maps 9 deep", "depth", maps(8));
    add_one(cases, "maps 10 deep", "depth", maps(9));
    let many = (0..4097).map(|n| put(id(1, 1), "title", S::Null, &[id(2 + n, 1)]));
    add_one(cases, "4,097 operations", "operations", one().change(1, &[], many.collect()));
    let instead: Vec<OpId> = (0..4097).map(|n| id(2 + n, 1)).collect();
    add_one(
        cases,
        "4,097 predecessors",
        "operations",
        with(put(id(1, 1), "title", 1_i64, &instead)),
    );
}

fn references(cases: &mut Cases) {
    add_one(cases, "into a scalar", "reference", with(put(id(2, 1), "f", 1_i64, &[])));
    add_one(
        cases,
        "into a map that was never made",
        "reference",
        with(put(id(77, 1), "f", 1_i64, &[])),
    );
    let gone = vec![delete(None, "e", &[id(1, 1)]), put(id(1, 1), "title", "Tea", &[id(2, 1)])];
    add_one(cases, "into an entity deleted before", "reference", one().change(1, &[], gone));
    add_one(cases, "into itself", "reference", with(make(Some(id(3, 1)), "f", &[])));
    let later = vec![put(id(4, 1), "f", 1_i64, &[]), make(Some(id(1, 1)), "m", &[])];
    add_one(cases, "into a map that is made later", "reference", one().change(1, &[], later));
    add_one(
        cases,
        "into a map of an unknown incarnation",
        "reference",
        with(put(id(1, 9), "f", 1_i64, &[])),
    );
    let unseen = two().change(1, &[], vec![put(id(3, 2), "y", 1_i64, &[])]);
    cases.add("into a map that it has not seen", Refused("reference"), "two", 1, &encoded(unseen));
    let stranger = OpId(1, ActorId::from([&[8; 32][..], &[1; 8]].concat()));
    add_one(
        cases,
        "into another user's map",
        "actor",
        with(put(stranger.clone(), "f", 1_i64, &[])),
    );
    add_one(
        cases,
        "in place of another user's value",
        "actor",
        with(put(id(1, 1), "f", 1_i64, &[stranger])),
    );
}

/// Operations that their payload does not pay for: 8 bytes each, and every key as often as it is used.
fn inflated(cases: &mut Cases) {
    let small = (0..60).map(|n| put(id(1, 1), &format!("{n:02}"), S::Null, &[])).collect();
    add_one(cases, "60 empty fields", "inflated", one().change(1, &[], small));
    let key = "k".repeat(100);
    let again = (0..40).map(|n| {
        let instead = if n == 0 { vec![] } else { vec![id(2 + n, 1)] };
        put(id(1, 1), &key, n as i64, &instead)
    });
    let again = one().change(1, &[], again.collect());
    add_one(cases, "a long key 40 times", "inflated", again);
}

fn overwrites(cases: &mut Cases) {
    let title = |instead: &[OpId]| with(put(id(1, 1), "title", "b", instead));
    add_one(cases, "without what stands there", "predecessors", title(&[]));
    add_one(cases, "in place of what stands elsewhere", "predecessors", title(&[id(1, 1)]));
    add_one(cases, "in place of what was never written", "predecessors", title(&[id(99, 1)]));
    add_one(cases, "in place of itself", "predecessors", title(&[id(3, 1)]));
    add_one(cases, "in place of one thing twice", "predecessors", title(&[id(2, 1), id(2, 1)]));
    add_one(cases, "in place of one thing too many", "predecessors", title(&[id(1, 1), id(2, 1)]));
    add_one(
        cases,
        "in place of an unknown incarnation's",
        "predecessors",
        title(&[id(2, 1), id(2, 9)]),
    );
    add_one(cases, "deleting nothing", "predecessors", with(delete(Some(id(1, 1)), "f", &[])));
    add_one(
        cases,
        "deleting what stands elsewhere",
        "predecessors",
        with(delete(Some(id(1, 1)), "f", &[id(2, 1)])),
    );
    let twice =
        vec![put(id(1, 1), "title", "b", &[id(2, 1)]), put(id(1, 1), "title", "c", &[id(2, 1)])];
    add_one(
        cases,
        "what the change itself has overwritten",
        "predecessors",
        one().change(1, &[], twice),
    );
    let unseen = apart().change(1, &[], vec![delete(None, "e", &[id(1, 1), id(1, 2)])]);
    cases.add(
        "in place of what it has not seen",
        Refused("predecessors"),
        "apart",
        1,
        &encoded(unseen),
    );
    let half = apart().change(1, &[1], vec![delete(None, "e", &[id(1, 1)])]);
    cases.add(
        "in place of one of two that stand there",
        Refused("predecessors"),
        "apart",
        1,
        &encoded(half),
    );
}

fn roots(cases: &mut Cases) {
    for (name, value) in [
        ("a text at the root", S::Str("x".into())),
        ("bytes under an entity's id", S::Bytes(vec![1])),
        ("null at the root", S::Null),
    ] {
        let operation = op(None, "e2", OpType::Put(value), &[]);
        add_one(cases, name, "profile", with(operation));
    }
    for (name, key) in [
        ("a slash in a local id", "a/b"),
        ("a local id of 65 letters", &*"x".repeat(65)),
        ("a local id beyond ASCII", "caf\u{e9}"),
        ("a local id that is a mark alone", "#"),
    ] {
        add_one(cases, name, "entity-id", with(make(None, key, &[])));
    }
    add_one(cases, "an empty local id", "profile", with(make(None, "", &[])));
}

fn records(cases: &mut Cases) {
    let content = || OpType::Put(S::Bytes(b"content".to_vec()));
    let key = p2panda_core::LocalId::of_record(b"content");
    let other = p2panda_core::LocalId::of_record(b"other");
    add_one(
        cases,
        "a record under another record's id",
        "record-id",
        with(op(None, other.as_str(), content(), &[])),
    );
    add_one(
        cases,
        "a record under an id that is no hash",
        "record-id",
        with(op(None, "#abc", content(), &[])),
    );
    let upper = format!("#{}", key.as_str()[1..].to_uppercase());
    add_one(
        cases,
        "a record's id in upper case",
        "record-id",
        with(op(None, &upper, content(), &[])),
    );
    add_one(
        cases,
        "a map under a record's id",
        "record-changed",
        with(make(None, key.as_str(), &[])),
    );
    let text = OpType::Put(S::Str("content".into()));
    add_one(
        cases,
        "a text under a record's id",
        "record-changed",
        with(op(None, key.as_str(), text, &[])),
    );
    cases.past("held-record", empty().and(1, &[], vec![record(b"content")]));
    for (name, action) in [("a record put again", content()), ("a record deleted", OpType::Delete)]
    {
        let past = empty().and(1, &[], vec![record(b"content")]);
        let change = past.change(
            1,
            &[],
            vec![Op { obj: ObjectId::Root, ..op(None, key.as_str(), action, &[id(1, 1)]) }],
        );
        cases.add(name, Refused("record-changed"), "held-record", 1, &encoded(change));
    }
    let past = empty().and(1, &[], vec![record(b"content")]);
    let again = past.change(1, &[], vec![record(b"content")]);
    cases.add(
        "a record put again as if it were new",
        Refused("predecessors"),
        "held-record",
        1,
        &encoded(again),
    );
}
