//! The inputs that were measured to break Automerge 0.12, and where the gate stops each. Each of
//! them a right signature could cover.

use super::{
    chunk::{Chunk, Column, Item, Run},
    *,
};

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

/// A proper second change of A, to be broken.
fn good() -> (ExpandedChange, Vec<u8>) {
    let (_, first) = document();
    let good = next(&first, retitle());
    (good.clone(), encoded(good))
}

fn broken(part: impl FnOnce(&mut Chunk)) -> Vec<u8> {
    let mut chunk = Chunk::parse(&good().1);
    part(&mut chunk);
    chunk.encode()
}

/// 19 bytes that panic when they are applied or loaded: a log's second change without a first.
#[test]
fn nineteen_bytes_that_panic() {
    let bytes = "856f4a8308ff18de0109000101020100000000";
    refused_at(0, &hex(bytes), Refusal::Actor);
    refused_at(1, &hex(bytes), Refusal::Actor);
    let mut ours = Chunk::parse(&hex(bytes));
    ours.actor = actor(&USER, &B).to_bytes().to_vec();
    let mut document = Document::new(USER);
    assert_eq!(document.offer(B, 0, &ours.encode()), Outcome::Refused(Refusal::Sequence));
}

/// 53 bytes that claim 2^20 operations; 117 bytes claim four million: 21 s and 1.5 GB.
#[test]
fn run_length_bombs() {
    let bomb = "856f4a838c658a3e012b000101010100000005150634034205560570058080c00001788080408080c000\
                018080c000008080c00000";
    let bomb = hex(&bomb.replace(' ', ""));
    refused_at(1, &bomb, Refusal::Actor);
    let mut ours = Chunk::parse(&bomb);
    ours.actor = actor(&USER, &A).to_bytes().to_vec();
    refused_at(0, &ours.encode(), Refusal::Operations);
    // As many as the bound lets through are still not paid for by their bytes.
    let dense = |count| {
        broken(|chunk| {
            for (_, column) in &mut chunk.columns {
                if let Column::Runs(runs) = column {
                    for run in runs {
                        let item = match run {
                            Run::Repeat(_, item) => item.clone(),
                            Run::Literal(items) => items[0].clone(),
                            Run::Null(_) => Item::Unsigned(0),
                        };
                        *run = Run::Repeat(count, item);
                    }
                }
            }
        })
    };
    refused_at(1, &dense(4096), Refusal::Inflated);
    refused_at(1, &dense(4097), Refusal::Operations);
    refused_at(1, &dense(4_000_000), Refusal::Operations);
    refused_at(1, &dense(i64::MAX), Refusal::Operations);
}

#[test]
fn gaps_repetitions_and_missing_predecessors_in_a_log() {
    let (good, _) = good();
    refused(ExpandedChange { seq: 3, ..good.clone() }, Refusal::Sequence);
    // Its own previous change is not among its dependencies: what is saved no longer loads.
    refused(ExpandedChange { deps: vec![], ..good.clone() }, Refusal::Dependencies);
    // Two changes with one number: the whole batch would be refused, good ones included.
    let (_, first) = document();
    refused_at(1, &first, Refusal::Sequence);
    // In another's name, which would make the victim's own be refused later.
    let other = actor(&UserId::from_bytes([8; 32]), &A);
    refused(ExpandedChange { actor_id: other, ..good.clone() }, Refusal::Actor);
    let sibling = actor(&USER, &B);
    refused(ExpandedChange { actor_id: sibling.clone(), ..good.clone() }, Refusal::Actor);
    // Nor does it wait in that name for what is missing.
    let deps = vec![good.deps[0], ChangeHash([9; 32])];
    refused(ExpandedChange { actor_id: sibling, deps, ..good }, Refusal::Actor);
}

#[test]
fn operations_on_what_is_not_there() {
    let (_, first) = document();
    let with = |op: Op| next(&first, op);
    refused(with(Op { obj: ObjectId::Id(op_id(77)), ..retitle() }), Refusal::Reference);
    refused(with(Op { obj: ObjectId::Id(op_id(2)), ..retitle() }), Refusal::Reference);
    let after = |id: ElementId, insert| {
        with(Op { key: Key::Seq(id), insert, pred: vec![].into(), ..retitle() })
    };
    refused(after(ElementId::Id(op_id(9)), true), Refusal::Columns);
    refused(after(ElementId::Id(op_id(9)), false), Refusal::Columns);
    refused(after(ElementId::Head, true), Refusal::Columns);
    refused(with(Op { action: OpType::Make(ObjType::Text), ..retitle() }), Refusal::Action);
    // A field of a text: the text is refused before anything can be done to it.
    let mut into_text = with(Op { action: OpType::Make(ObjType::Text), ..retitle() });
    let text = ObjectId::Id(op_id(into_text.start_op.get()));
    into_text.operations.push(Op { obj: text, pred: vec![].into(), ..retitle() });
    refused(into_text, Refusal::Action);
}

#[test]
fn wrong_predecessors_and_actors_that_are_not_used() {
    let (_, first) = document();
    let with = |pred: Vec<OpId>| next(&first, Op { pred: pred.into(), ..retitle() });
    refused(with(vec![]), Refusal::Predecessors);
    refused(with(vec![op_id(9)]), Refusal::Predecessors);
    refused(with(vec![op_id(1)]), Refusal::Predecessors);
    let nothing = Op {
        action: OpType::Delete,
        key: Key::Map("absent".into()),
        pred: vec![].into(),
        ..retitle()
    };
    refused(next(&first, nothing), Refusal::Predecessors);
    let unused = broken(|chunk| chunk.others.push(actor(&USER, &B).to_bytes().to_vec()));
    refused_at(1, &unused, Refusal::NotCanonical);
}

#[test]
fn counters_at_the_end_of_all_counters() {
    let (good, _) = good();
    let start_op = NonZeroU64::new(u64::from(u32::MAX)).unwrap();
    refused(ExpandedChange { start_op, ..good }, Refusal::Counter);
    refused_at(1, &broken(|chunk| chunk.start = u64::MAX), Refusal::Integer);
    refused_at(1, &broken(|chunk| chunk.start = 1 << 32), Refusal::Counter);
}

/// The parser itself panics at the counter of an object or a predecessor beyond 32 bits.
#[test]
fn references_with_counters_beyond_all_counters() {
    for value in [1 << 32, 1 << 33, u64::MAX >> 1] {
        for spec in [2, 115] {
            let payload = broken(|chunk| {
                for (_, column) in chunk.columns.iter_mut().filter(|(found, _)| *found == spec) {
                    let item = match spec {
                        2 => Item::Unsigned(value),
                        _ => Item::Signed(value.cast_signed()),
                    };
                    *column = Column::Runs(vec![Run::Literal(vec![item])]);
                }
            });
            refused_at(1, &payload, Refusal::Counter);
        }
    }
}

/// Automerge keeps differences of times, and overflows.
#[test]
fn times_that_are_too_far_apart() {
    for time in [i64::MIN, i64::MAX, (1 << 54) + 1] {
        refused_at(1, &broken(|chunk| chunk.time = time), Refusal::Time);
    }
    let (mut document, _) = document();
    let payload = broken(|chunk| chunk.time = i64::MIN / 1000);
    assert!(matches!(document.offer(A, 1, &payload), Outcome::Valid(_)));
}

/// A deflated change (type 2) of 261 KB becomes 1 GB; a bundle (type 3) hangs for minutes.
#[test]
fn chunks_of_other_types_and_deflated_columns() {
    let (_, good) = good();
    for kind in [0, 2, 3, 4, 255] {
        let mut other = good.clone();
        other[8] = kind;
        refused_at(1, &other, Refusal::NotAChange);
    }
    for at in 0..Chunk::parse(&good).columns.len() {
        let payload = broken(|chunk| chunk.columns[at].0 |= 8);
        refused_at(1, &payload, Refusal::Columns);
    }
}

/// 5,000 maps in each other, 10 KB: a stack overflow, which nothing can catch.
#[test]
fn nesting() {
    let (_, first) = document();
    let nested = |count: u64, text: usize| {
        let mut change = next(&first, retitle());
        let start = change.start_op.get();
        change.operations.extend((0..count).map(|n| Op {
            action: OpType::Make(ObjType::Map),
            obj: ObjectId::Id(if n == 0 { op_id(1) } else { op_id(start + n) }),
            key: Key::Map("d".into()),
            pred: vec![].into(),
            insert: false,
        }));
        change.operations[0].action = OpType::Put(ScalarValue::Str("t".repeat(text).into()));
        change
    };
    refused(nested(5_000, 1), Refusal::Operations);
    refused(nested(4_000, 1), Refusal::Inflated);
    refused(nested(1_000, 48 * 1024), Refusal::Depth);
}

/// 20,000 dependencies, each the same: quadratic.
#[test]
fn many_and_repeated_dependencies() {
    let (good, _) = good();
    let own = good.deps[0];
    refused(ExpandedChange { deps: vec![own; 20_000], ..good.clone() }, Refusal::Dependencies);
    refused(ExpandedChange { deps: vec![own; 2], ..good.clone() }, Refusal::Dependencies);
    let many = (0..40).map(|n| ChangeHash([n; 32])).chain([own]).collect();
    refused(ExpandedChange { deps: many, ..good }, Refusal::Dependencies);
}

/// Automerge keeps orphans without a bound and looks at all of them at each call. Here a log ends
/// at its first, and what is kept of that is what it waits for.
#[test]
fn orphans() {
    let (mut document, _) = document();
    let before = document.bytes();
    for n in 0..500_u64 {
        let mut change = good().0;
        change.actor_id = actor(&USER, &Incarnation::from_bytes(n.to_be_bytes()));
        change.seq = 1;
        change.deps = vec![ChangeHash([9; 32])];
        let outcome = document.offer(Incarnation::from_bytes(n.to_be_bytes()), 0, &encoded(change));
        assert_eq!(outcome, Outcome::Waiting);
    }
    assert!(document.bytes() - before <= 500 * 256);
    assert_eq!(document.judged, 501, "each was looked at once");
    write(&mut document, A, |draft| draft.put(&local("e"), &["title"], &"on".into()).unwrap());
    assert_eq!(document.judged, 502);
}

/// Automerge's loader says that all is well and drops the good change.
#[test]
fn a_good_change_with_more_behind_it() {
    let (_, good) = good();
    let (_, first) = document();
    let mut empty = Document::new(USER);
    let with_more = [&first[..], b"garbage"].concat();
    assert_eq!(empty.offer(A, 0, &with_more), Outcome::Refused(Refusal::Truncated));
    refused_at(1, &[&good[..], b"garbage"].concat(), Refusal::Truncated);
    refused_at(1, &[&good[..], &good[..]].concat(), Refusal::Truncated);
    refused_at(1, &broken(|chunk| chunk.rest = vec![1]), Refusal::ExtraBytes);
    refused_at(1, &broken(|chunk| chunk.message = b"hi".to_vec()), Refusal::Message);
    for length in 0..good.len() {
        let (mut document, _) = document();
        assert!(matches!(document.offer(A, 1, &good[..length]), Outcome::Refused(_)), "{length}");
    }
    // Nobody else compares the checksum.
    let mut checksum = good;
    checksum[4] ^= 1;
    refused_at(1, &checksum, Refusal::NotCanonical);
}

/// Writing into what was taken away changes nothing that anybody could read, and would be kept.
#[test]
fn writing_into_a_map_that_was_taken_away() {
    let (mut document, first) = document();
    let gone = write(&mut document, A, |draft| draft.delete(&local("e"), &[]));
    let change = decoded(&gone);
    let start_op = NonZeroU64::new(change.start_op.get() + 1).unwrap();
    let op = Op { key: Key::Map("new".into()), pred: vec![].into(), ..retitle() };
    let payload = encoded(ExpandedChange {
        seq: 3,
        start_op,
        deps: vec![change.hash.unwrap()],
        ..next(&first, op)
    });
    assert_eq!(document.offer(A, 2, &payload), Outcome::Refused(Refusal::Reference));
}
