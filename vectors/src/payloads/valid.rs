//! What a document takes, and what it waits for.

use automerge::{ChangeHash, ScalarValue as S, legacy::Op};

use super::{
    Cases,
    Verdict::{Valid, Waiting},
    writing::{Past, apart, delete, empty, encoded, id, make, one, put, record, two},
};
use crate::chunk::Chunk;

/// A past's next change, which is valid.
struct Next<'a>(&'a mut Cases, &'static str);

impl Next<'_> {
    fn is(&mut self, name: &str, incarnation: u8, seen: &[usize], operations: Vec<Op>) {
        let payload = encoded(self.0.get(self.1).change(incarnation, seen, operations));
        self.0.add(name, Valid, self.1, incarnation, &payload);
    }
}

pub(super) fn add(cases: &mut Cases) {
    values(cases);
    places(cases);
    merges(cases);
    records(cases);
    large(cases);
    waiting(cases);
}

fn values(cases: &mut Cases) {
    let values: [(&str, S); 17] = [
        ("null", S::Null),
        ("true", S::Boolean(true)),
        ("false", S::Boolean(false)),
        ("0", S::Int(0)),
        ("63, one byte of LEB128", S::Int(63)),
        ("64, two bytes", S::Int(64)),
        ("-1", S::Int(-1)),
        ("-65", S::Int(-65)),
        ("the greatest integer", S::Int(i64::MAX)),
        ("the least integer", S::Int(i64::MIN)),
        ("an instant", S::Timestamp(1_700_000_000_000)),
        ("an instant before 1970", S::Timestamp(-1)),
        ("no text", S::Str("".into())),
        ("text", S::Str("Fire show".into())),
        ("text beyond ASCII", S::Str("caf\u{e9} \u{1f525}".into())),
        ("no bytes", S::Bytes(vec![])),
        ("bytes", S::Bytes((0..200).collect())),
    ];
    let mut next = Next(cases, "one");
    for (name, value) in &values {
        next.is(&format!("put {name}"), 1, &[], vec![put(id(1, 1), "f", value.clone(), &[])]);
    }
    let all = values.iter().enumerate();
    let all = all.map(|(at, (_, value))| put(id(1, 1), &format!("f{at}"), value.clone(), &[]));
    next.is("every kind of value in one change", 1, &[], all.collect());
}

fn places(cases: &mut Cases) {
    let mut next = Next(cases, "empty");
    next.is("an entity without fields", 1, &[], vec![make(None, "e", &[])]);
    let both = vec![make(None, "e", &[]), put(id(1, 1), "title", "Tea", &[])];
    next.is("an entity with a field", 1, &[], both);
    next.is("a local id of 64 letters", 1, &[], vec![make(None, &"x".repeat(64), &[])]);
    next.is("the local id of all that is allowed", 1, &[], vec![make(None, "Az09._-", &[])]);
    let mut next = Next(cases, "one");
    let (root, title) = (|| id(1, 1), || id(2, 1));
    next.is("overwrite", 1, &[], vec![put(root(), "title", "Tea", &[title()])]);
    next.is("delete a field", 1, &[], vec![delete(Some(root()), "title", &[title()])]);
    next.is("delete an entity", 1, &[], vec![delete(None, "e", &[root()])]);
    next.is("make an entity anew over itself", 1, &[], vec![make(None, "e", &[root()])]);
    next.is("a map in place of a text", 1, &[], vec![make(Some(root()), "title", &[title()])]);
    next.is(
        "twice at one place",
        1,
        &[],
        vec![put(root(), "title", "a", &[title()]), put(root(), "title", "b", &[id(3, 1)])],
    );
    next.is(
        "delete and put again",
        1,
        &[],
        vec![delete(Some(root()), "title", &[title()]), put(root(), "title", "b", &[])],
    );
    next.is("a field name of 128 bytes", 1, &[], vec![put(root(), &"k".repeat(128), 1_i64, &[])]);
    next.is("a field name beyond ASCII", 1, &[], vec![put(root(), "\u{1f525}/ \n", 1_i64, &[])]);
    let mut deep = vec![make(Some(root()), "m", &[])];
    deep.extend((3..9).map(|counter| make(Some(id(counter, 1)), "m", &[])));
    // Maps have to be paid for.
    deep.push(put(root(), "text", "x".repeat(300), &[]));
    next.is("maps 8 deep", 1, &[], deep.clone());
    deep.push(put(id(9, 1), "f", 1_i64, &[]));
    next.is("a scalar in the deepest map", 1, &[], deep);
    let mut next = Next(cases, "two");
    next.is(
        "write into a map of another incarnation",
        1,
        &[1],
        vec![put(id(3, 2), "x", 2_i64, &[id(4, 2)])],
    );
    next.is(
        "a scalar in place of a map",
        1,
        &[1],
        vec![put(id(1, 1), "place", 2_i64, &[id(3, 2)])],
    );
    next.is(
        "not having seen the other incarnation",
        1,
        &[],
        vec![make(Some(id(1, 1)), "place", &[])],
    );
    for (name, time) in [("time 0", 0), ("a time before 1970", -70_000), ("the last time", 1 << 54)]
    {
        let past = one();
        let mut change = past.change(1, &[], vec![put(id(1, 1), "f", 1_i64, &[])]);
        change.time = time;
        cases.add(name, Valid, "one", 1, &encoded(change));
    }
}

fn merges(cases: &mut Cases) {
    let mut next = Next(cases, "apart");
    next.is("a change that only folds two heads", 1, &[1], vec![]);
    next.is(
        "one title in place of two, one of them",
        1,
        &[1],
        vec![put(id(1, 1), "title", "c", &[id(2, 1)])],
    );
    next.is(
        "into the other incarnation's map",
        1,
        &[1],
        vec![put(id(1, 2), "title", "c", &[id(2, 2)])],
    );
    next.is(
        "delete an entity that was made twice",
        1,
        &[1],
        vec![delete(None, "e", &[id(1, 1), id(1, 2)])],
    );
    next.is(
        "an incarnation that saw both",
        3,
        &[0, 1],
        vec![make(None, "e", &[id(1, 1), id(1, 2)])],
    );
    next.is("an incarnation that saw nothing", 3, &[], vec![make(None, "e", &[])]);
    next.is("an incarnation that saw one of them", 3, &[1], vec![put(id(1, 2), "n", 1_i64, &[])]);
    let again = apart().and(1, &[1], vec![put(id(1, 1), "n", 1_i64, &[])]);
    cases.past("merged", again.clone());
    let mut change = again.change(1, &[], vec![put(id(1, 1), "m", 1_i64, &[])]);
    change.deps.push(again.hash(1));
    cases.add("a dependency that the own one holds already", Valid, "merged", 1, &encoded(change));
    let three = apart().and(1, &[1], vec![put(id(1, 1), "s", 1_i64, &[])]).and(
        2,
        &[0],
        vec![put(id(1, 1), "s", 2_i64, &[])],
    );
    cases.past("three", three);
    let both = vec![put(id(1, 1), "s", 3_i64, &[id(3, 1), id(3, 2)])];
    Next(cases, "three").is("in place of two concurrent values", 1, &[3], both);
    let mut many = empty();
    for incarnation in 1..=32 {
        let entity = format!("e{incarnation}");
        many.add(incarnation, &[], vec![make(None, &entity, &[])]);
    }
    let mut next = Next(cases, "many");
    next.0.past("many", many);
    let seen: Vec<usize> = (1..32).collect();
    next.is("32 dependencies", 1, &seen, vec![]);
    let all: Vec<usize> = (0..32).collect();
    next.is("32 dependencies, none of its own", 33, &all, vec![]);
}

fn records(cases: &mut Cases) {
    Next(cases, "empty").is("a record", 1, &[], vec![record(b"content")]);
    Next(cases, "empty").is("an empty record", 1, &[], vec![record(b"")]);
    let recorded = empty().and(1, &[], vec![record(b"content")]);
    cases.past("recorded", recorded);
    let mut next = Next(cases, "recorded");
    next.is("another record", 1, &[], vec![record(b"more")]);
    next.is(
        "the same record by an incarnation that has not seen it",
        2,
        &[],
        vec![record(b"content")],
    );
}

fn large(cases: &mut Cases) {
    let past = one();
    let places = (0..500).map(|counter| {
        let instead = id(2 + counter, 1);
        put(id(1, 1), "title", format!("{counter:014}"), &[instead])
    });
    let payload = encoded(past.change(1, &[], places.collect()));
    cases.add("500 operations that are paid for", Valid, "one", 1, &payload);
    Next(cases, "one").is(
        "2,000 bytes of text",
        1,
        &[],
        vec![put(id(1, 1), "text", "x".repeat(2000), &[])],
    );
}

fn waiting(cases: &mut Cases) {
    let field = || vec![put(id(1, 1), "f", 1_i64, &[])];
    let unknown = ChangeHash([9; 32]);
    let wait = |cases: &mut Cases, name: &str, past: &'static str, payload: &[u8]| {
        cases.add(name, Waiting, past, 1, payload);
    };
    let mut change = one().change(1, &[], field());
    change.deps.push(unknown);
    wait(cases, "an unknown dependency beside the own one", "one", &encoded(change.clone()));
    change.start_op = std::num::NonZeroU64::new(900).expect("not zero");
    wait(cases, "whose counter cannot be checked yet", "one", &encoded(change.clone()));
    change.operations = vec![delete(None, "nothing", &[])];
    wait(cases, "whose operations cannot be checked yet", "one", &encoded(change));
    let mut first = empty().change(1, &[], vec![make(None, "e", &[])]);
    first.deps.push(unknown);
    wait(cases, "a first change with an unknown dependency", "empty", &encoded(first));
    // A change of another incarnation that has not arrived.
    let Past(entries) = two();
    let later = two().change(1, &[1], vec![put(id(3, 2), "x", 2_i64, &[id(4, 2)])]);
    assert_eq!(later.deps[1].0, Chunk::hash(&entries[1].1));
    wait(cases, "another incarnation's change that is not here", "one", &encoded(later));
    let mut folding = one().change(1, &[], vec![]);
    folding.deps.push(unknown);
    wait(cases, "folding an unknown head", "one", &encoded(folding));
}
