//! Bytes that Automerge would not have written.

use automerge::ScalarValue as S;

use super::{
    Cases,
    Verdict::{Refused, Valid},
    writing::{actor, encoded, id, make, one, put, two},
};
use crate::chunk::{Chunk, frame, signed, unsigned};

/// Three operations: a map, and two fields of it.
fn good() -> Vec<u8> {
    encoded(one().change(
        1,
        &[],
        vec![
            make(Some(id(1, 1)), "m", &[]),
            put(id(3, 1), "x", 5_i64, &[]),
            put(id(1, 1), "title", "Tea", &[id(2, 1)]),
        ],
    ))
}

fn add_one(cases: &mut Cases, name: &str, kind: &'static str, payload: &[u8]) {
    cases.add(name, Refused(kind), "one", 1, payload);
}

fn changed(edit: impl FnOnce(&mut Chunk)) -> Vec<u8> {
    let mut chunk = Chunk::parse(&good());
    edit(&mut chunk);
    chunk.to_bytes()
}

fn leb(value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    unsigned(value, &mut bytes);
    bytes
}

/// A run of one value in a run-length column.
fn run(times: i64, value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    signed(times, &mut bytes);
    unsigned(value, &mut bytes);
    bytes
}

pub(super) fn add(cases: &mut Cases) {
    assert_eq!(Chunk::parse(&good()).to_bytes(), good());
    cases.add("what the cases behind it break", Valid, "one", 1, &good());
    frames(cases);
    columns(cases);
    bombs(cases);
    other_encodings(cases);
}

fn frames(cases: &mut Cases) {
    let good = good();
    for length in [3, 8, 9, 12, 40, 100, good.len() - 1] {
        let name = format!("cut off after {length} bytes");
        add_one(cases, &name, "truncated", &good[..length]);
    }
    add_one(cases, "a byte behind the chunk", "truncated", &[&good[..], &[0]].concat());
    let mut magic = good.clone();
    magic[0] ^= 1;
    add_one(cases, "another magic", "not-a-change", &magic);
    let body = Chunk::parse(&good).body();
    for (name, kind) in
        [("a document chunk", 0), ("a deflated chunk", 2), ("a bundle", 3), ("chunk type 9", 9)]
    {
        add_one(cases, name, "not-a-change", &frame(kind, &body));
    }
    let mut checksum = good.clone();
    checksum[5] ^= 1;
    add_one(cases, "a wrong checksum", "not-canonical", &checksum);
    // The length in more bytes than it needs; the checksum is that of the right form.
    let mut longer = good.clone();
    let length = leb(body.len() as u64).len();
    longer[8 + length] |= 0x80;
    longer.insert(9 + length, 0);
    add_one(cases, "a length of the chunk that is not shortest", "not-a-change", &longer);
    let endless = [&good[..9], &[0xff; 10], &good[9..]].concat();
    add_one(cases, "a length beyond 64 bits", "integer", &endless);
    let mut time = Chunk::parse(&good);
    time.dependencies.clear();
    let mut bytes = time.body();
    let at = 1 + 41; // dependencies, actor
    bytes.splice(at..=at, [0x80; 12]);
    add_one(cases, "a sequence number beyond 64 bits", "integer", &frame(1, &bytes));
    // The time is -1 in one byte; here it is 2^64.
    let mut late = Chunk::parse(&good);
    late.time = -1;
    let mut bytes = late.body();
    let at = 1 + 32 + 41 + 2; // a dependency, the actor, sequence and start
    assert_eq!(bytes[at], 0x7f);
    bytes.splice(at..=at, [&[0x80; 9][..], &[2]].concat());
    add_one(cases, "a time beyond 64 bits", "not-a-change", &frame(1, &bytes));
    let attack = "856f4a8308ff18de0109000101020100000000";
    let attack = data_encoding::HEXLOWER.decode(attack.as_bytes()).expect("hex");
    add_one(cases, "19 bytes that make Automerge 0.12 panic", "actor", &attack);
    add_one(cases, "start 0", "not-a-change", &changed(|chunk| chunk.start = 0));
    add_one(cases, "start 2^32", "counter", &changed(|chunk| chunk.start = 1 << 32));
    add_one(
        cases,
        "a message of no UTF-8",
        "message",
        &changed(|chunk| chunk.message = vec![0xff]),
    );
}

fn columns(cases: &mut Cases) {
    let set = |spec: u64, data: &[u8]| Chunk::parse(&good()).with(spec, data).to_bytes();
    for (name, spec) in [
        ("a column of element actors", 17),
        ("a column of element counters", 19),
        ("a column of marks", 148),
        ("a column of mark names", 165),
        ("an unknown column", 1000),
        ("a deflated column", 66 | 8),
        ("column 0", 0),
    ] {
        add_one(cases, name, "columns", &set(spec, &run(3, 0)));
    }
    add_one(cases, "columns out of order", "columns", &changed(|chunk| chunk.columns.swap(0, 1)));
    add_one(
        cases,
        "a column twice",
        "columns",
        &changed(|chunk| {
            let first = chunk.columns[0].clone();
            chunk.columns.insert(0, first);
        }),
    );
    add_one(
        cases,
        "17 columns",
        "columns",
        &changed(|chunk| {
            chunk.columns = (1..18).map(|spec| (spec, vec![])).collect();
        }),
    );
    add_one(cases, "action 2, a list", "action", &set(66, &run(3, 2)));
    add_one(cases, "action 7, a mark", "action", &set(66, &run(3, 7)));
    add_one(cases, "action 99", "action", &set(66, &run(3, 99)));
    add_one(cases, "an actor that the change does not name", "actor", &set(113, &run(1, 1)));
    add_one(cases, "an object's actor that it does not name", "actor", &set(1, &run(3, 4)));
    add_one(cases, "no actions", "not-canonical", &set(66, &[]));
    add_one(cases, "no keys", "not-a-change", &set(21, &[]));
    add_one(cases, "too few actions", "not-canonical", &set(66, &run(2, 1)));
    add_one(cases, "too many actions", "not-a-change", &set(66, &run(4, 1)));
    add_one(cases, "no insert column", "not-a-change", &set(52, &[]));
    add_one(cases, "a key of no UTF-8", "not-a-change", &{
        let mut keys = run(3, 1);
        keys.push(0xff);
        set(21, &keys)
    });
    add_one(cases, "a value column that is too short", "not-a-change", &set(87, &[5]));
    add_one(cases, "a value column that is too long", "not-canonical", &{
        let chunk = Chunk::parse(&good());
        let data = [chunk.column(87), &[0]].concat();
        chunk.with(87, &data).to_bytes()
    });
    add_one(
        cases,
        "41 bytes in an other actor",
        "actor",
        &changed(|chunk| chunk.others = vec![vec![1; 41]]),
    );
    add_one(
        cases,
        "449 other actors",
        "actor",
        &changed(|chunk| {
            chunk.others =
                (0..449_u64).map(|n| [&chunk.actor[..32], &n.to_be_bytes()].concat()).collect();
        }),
    );
}

/// What is small and claims much.
fn bombs(cases: &mut Cases) {
    let set = |spec: u64, data: &[u8]| Chunk::parse(&good()).with(spec, data).to_bytes();
    add_one(cases, "a million actions", "operations", &set(66, &run(1 << 20, 1)));
    add_one(cases, "2^62 actions", "operations", &set(66, &run(1 << 62, 1)));
    add_one(cases, "a million insert flags", "operations", &set(52, &leb(1 << 20)));
    add_one(
        cases,
        "2^62 insert flags, twice",
        "operations",
        &set(52, &[leb(1 << 62), leb(1 << 62)].concat()),
    );
    add_one(cases, "a million nulls", "operations", &set(1, &[vec![0], leb(1 << 20)].concat()));
    add_one(cases, "a million predecessors", "operations", &set(112, &run(1, 1 << 20)));
    add_one(cases, "4,096 times 4,096 predecessors", "operations", &set(112, &run(4096, 4096)));
    add_one(
        cases,
        "a million literal values",
        "operations",
        &set(86, &{
            let mut bytes = Vec::new();
            signed(-(1 << 20), &mut bytes);
            bytes
        }),
    );
    add_one(cases, "a string beyond its column", "truncated", &set(21, &run(1, 1 << 40)));
    add_one(cases, "a column beyond the chunk", "truncated", &{
        let body = Chunk::parse(&good()).body();
        frame(1, &body[..body.len() - 3])
    });
    add_one(cases, "an integer in a column beyond 64 bits", "integer", &set(66, &[0xff; 11]));
    add_one(cases, "2^32 dependencies", "dependencies", &{
        let body = Chunk::parse(&good()).body();
        frame(1, &[&leb(1 << 32)[..], &body[1..]].concat())
    });
}

/// Other bytes that mean the same: refused, so that a change has one form.
fn other_encodings(cases: &mut Cases) {
    add_at_two(cases);
    let set = |spec: u64, data: &[u8]| Chunk::parse(&good()).with(spec, data).to_bytes();
    let mut literals = Vec::new();
    signed(-3, &mut literals);
    assert_eq!(Chunk::parse(&good()).column(66), [&run(-1, 0)[..], &run(2, 1)].concat());
    add_one(
        cases,
        "literals in place of a run",
        "not-canonical",
        &set(66, &[&literals[..], &[0, 1, 1]].concat()),
    );
    add_one(cases, "a run of one", "not-canonical", &set(66, &[run(1, 0), run(2, 1)].concat()));
    add_one(
        cases,
        "a run in two",
        "not-canonical",
        &set(66, &[run(-1, 0), run(1, 1), run(1, 1)].concat()),
    );
    add_one(
        cases,
        "a run length that is not shortest",
        "not-canonical",
        &set(66, &[&run(-1, 0)[..], &[0x82, 0x00, 1]].concat()),
    );
    add_one(cases, "no false flags before the others", "not-canonical", &set(52, &[3, 0]));
    add_one(cases, "dependencies out of order", "not-canonical", &{
        let change = two().change(1, &[1], vec![put(id(1, 1), "f", S::Null, &[])]);
        let mut chunk = Chunk::parse(&encoded(change));
        chunk.dependencies.swap(0, 1);
        chunk.to_bytes()
    });
    add_one(
        cases,
        "an other actor that no operation names",
        "not-canonical",
        &changed(|chunk| {
            chunk.others.push(actor(5).to_bytes().to_vec());
        }),
    );
    add_one(
        cases,
        "a column without bytes",
        "not-canonical",
        &changed(|chunk| {
            let at = chunk.columns.partition_point(|(spec, _)| *spec < 115);
            if chunk.column(113).is_empty() {
                chunk.columns.insert(at, (113, vec![]));
            } else {
                chunk.columns.insert(0, (1, vec![]));
                chunk.columns.dedup_by_key(|(spec, _)| *spec);
                chunk.columns.retain(|(spec, data)| *spec != 1 || data.is_empty());
            }
        }),
    );
    add_one(cases, "an integer value that is not shortest", "not-a-change", &{
        let chunk = Chunk::parse(&good());
        assert_eq!(chunk.column(87), b"\x05Tea");
        let meta = [&[0x7d, 0x00, 0x24][..], &[0x36]].concat();
        chunk.with(86, &meta).with(87, b"\x85\x00Tea").to_bytes()
    });
}

/// In place of two values: the predecessors in the other order, and the other actors.
fn add_at_two(cases: &mut Cases) {
    let past = cases.get("three").clone();
    let both = vec![put(id(1, 1), "s", 3_i64, &[id(3, 1), id(3, 2)])];
    let good = Chunk::parse(&encoded(past.change(3, &[2, 3], both)));
    assert_eq!(good.others.len(), 2);
    cases.add(
        "in place of the values of two other incarnations",
        Valid,
        "three",
        3,
        &good.to_bytes(),
    );
    let swapped = good.clone().with(113, &[&[0x7e][..], &[2, 1]].concat());
    cases.add(
        "predecessors out of order",
        Refused("not-canonical"),
        "three",
        3,
        &swapped.to_bytes(),
    );
    let mut others = good;
    others.others.swap(0, 1);
    let others = others.with(113, &[&[0x7e][..], &[2, 1]].concat()).with(1, &run(-1, 2));
    cases.add(
        "other actors out of order",
        Refused("not-canonical"),
        "three",
        3,
        &others.to_bytes(),
    );
}
