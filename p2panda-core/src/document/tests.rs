//! What the gate must refuse, and why: each of these is well signed as far as a log can tell.

use std::num::NonZeroU64;

use automerge::{
    ActorId, Change, ChangeHash, ExpandedChange, ObjType, ScalarValue,
    legacy::{ElementId, Key, ObjectId, Op, OpId, OpType},
};

use super::{Content, Document, Draft, Outcome, Refusal, gate::actor};
use crate::{
    id::{Incarnation, LocalId, UserId},
    schema::{Instant, Value},
};

const USER: UserId = UserId::from_bytes([7; 32]);
const A: Incarnation = Incarnation::from_bytes([1; 8]);
const B: Incarnation = Incarnation::from_bytes([2; 8]);
const NOW: Instant = Instant::from_millis(0);

fn local(name: &str) -> LocalId {
    name.parse().unwrap()
}

/// A document in which incarnation A has written entity `e` with a title.
fn document() -> (Document, Vec<u8>) {
    let mut document = Document::new(USER);
    let payload = write(&mut document, A, |draft| {
        draft.create(&local("e"));
        draft.put(&local("e"), &["title"], &"Opening".into()).unwrap();
    });
    (document, payload)
}

fn write(document: &mut Document, writer: Incarnation, edit: impl FnOnce(&mut Draft)) -> Vec<u8> {
    let mut draft = Draft::default();
    edit(&mut draft);
    let payload = document.next_payload(writer, NOW, &mut draft).unwrap();
    let outcome = document.offer(writer, document.length(&writer), &payload);
    assert!(matches!(outcome, Outcome::Valid(_)), "{outcome:?}");
    document.settle().unwrap();
    payload
}

fn decoded(payload: &[u8]) -> ExpandedChange {
    Change::from_bytes(payload.to_vec()).unwrap().decode()
}

fn encoded(change: ExpandedChange) -> Vec<u8> {
    Change::from(change).raw_bytes().to_vec()
}

/// A change of A that follows the document's first one, with one operation.
fn next(first: &[u8], operation: Op) -> ExpandedChange {
    let first = decoded(first);
    let start = first.start_op.get() + first.operations.len() as u64;
    ExpandedChange {
        operations: vec![operation],
        actor_id: first.actor_id,
        hash: None,
        seq: 2,
        start_op: NonZeroU64::new(start).unwrap(),
        time: 0,
        message: None,
        deps: vec![first.hash.unwrap()],
        extra_bytes: vec![],
        author: None,
    }
}

fn op_id(counter: u64) -> OpId {
    OpId(counter, actor(&USER, &A))
}

/// Sets `title` of entity `e` properly: the map is operation 1, the title operation 2.
fn retitle() -> Op {
    Op {
        action: OpType::Put(ScalarValue::Str("Closing".into())),
        obj: ObjectId::Id(op_id(1)),
        key: Key::Map("title".into()),
        pred: vec![op_id(2)].into(),
        insert: false,
    }
}

#[track_caller]
fn refused(change: ExpandedChange, why: Refusal) {
    refused_at(1, &encoded(change), why);
}

#[track_caller]
fn refused_at(position: u64, payload: &[u8], why: Refusal) {
    let (mut document, _) = document();
    assert_eq!(document.offer(A, position, payload), Outcome::Refused(why));
    // And the honest writer goes on.
    write(&mut document, A, |draft| draft.put(&local("e"), &["title"], &"on".into()).unwrap());
}

#[test]
fn a_proper_change_passes() {
    let (mut document, first) = document();
    let payload = encoded(next(&first, retitle()));
    assert!(matches!(document.offer(A, 1, &payload), Outcome::Valid(_)));
    document.settle().unwrap();
    let Some(Content::Entity(fields)) = document.read(&local("e")) else { panic!() };
    assert_eq!(fields["title"], Value::from("Closing"));
}

#[test]
fn changes_out_of_sequence_or_in_another_name_are_refused() {
    let (_, first) = document();
    let good = next(&first, retitle());
    refused(ExpandedChange { seq: 3, ..good.clone() }, Refusal::Sequence);
    refused(ExpandedChange { seq: 1, ..good.clone() }, Refusal::Sequence);
    refused_at(2, &encoded(good.clone()), Refusal::Sequence);
    let other = actor(&UserId::from_bytes([8; 32]), &A);
    refused(ExpandedChange { actor_id: other, ..good.clone() }, Refusal::Actor);
    let short = ActorId::from([7; 32]);
    refused(ExpandedChange { actor_id: short, ..good.clone() }, Refusal::Actor);
    refused(ExpandedChange { deps: vec![], ..good.clone() }, Refusal::Dependencies);
    let twice = vec![good.deps[0]; 2];
    refused(ExpandedChange { deps: twice, ..good.clone() }, Refusal::Dependencies);
    let start_op = NonZeroU64::new(u64::from(u32::MAX)).unwrap();
    refused(ExpandedChange { start_op, ..good.clone() }, Refusal::Counter);
    refused(ExpandedChange { start_op: NonZeroU64::MIN, ..good.clone() }, Refusal::Counter);
    refused(ExpandedChange { operations: vec![], ..good.clone() }, Refusal::Empty);
    refused(ExpandedChange { message: Some("hi".into()), ..good.clone() }, Refusal::Message);
    refused(ExpandedChange { extra_bytes: vec![1], ..good.clone() }, Refusal::ExtraBytes);
    let many = (0..40).map(|n| ChangeHash([n; 32])).chain(good.deps.clone()).collect();
    refused(ExpandedChange { deps: many, ..good }, Refusal::Dependencies);
}

#[test]
fn a_change_whose_dependency_is_missing_waits() {
    let (mut document, first) = document();
    let mut change = next(&first, retitle());
    change.deps.push(ChangeHash([9; 32]));
    let payload = encoded(change);
    assert_eq!(document.offer(A, 1, &payload), Outcome::Waiting);
}

#[test]
fn operations_outside_the_profile_are_refused() {
    let (_, first) = document();
    let with = |action: OpType| next(&first, Op { action, ..retitle() });
    use ScalarValue as S;
    refused(with(OpType::Put(S::Uint(1))), Refusal::Profile);
    refused(with(OpType::Put(S::F64(1.0))), Refusal::Profile);
    refused(with(OpType::Put(S::counter(1))), Refusal::Profile);
    refused(with(OpType::Put(S::Unknown { type_code: 12, bytes: vec![] })), Refusal::Profile);
    refused(with(OpType::Make(ObjType::List)), Refusal::Action);
    refused(with(OpType::Make(ObjType::Text)), Refusal::Action);
    refused(with(OpType::Make(ObjType::Table)), Refusal::Action);
    refused(with(OpType::Increment(1)), Refusal::Action);
    let sequence = Op { key: Key::Seq(ElementId::Head), insert: true, ..retitle() };
    refused(next(&first, sequence), Refusal::Columns);
    refused(next(&first, Op { insert: true, ..retitle() }), Refusal::Profile);
    refused(
        next(&first, Op { key: Key::Map("x".repeat(129).into()), ..retitle() }),
        Refusal::Profile,
    );
}

#[test]
fn operations_must_refer_to_what_their_past_holds() {
    let (_, first) = document();
    let with = |op: Op| next(&first, op);
    refused(with(Op { pred: vec![].into(), ..retitle() }), Refusal::Predecessors);
    refused(with(Op { pred: vec![op_id(1)].into(), ..retitle() }), Refusal::Predecessors);
    refused(with(Op { pred: vec![op_id(99)].into(), ..retitle() }), Refusal::Predecessors);
    let twice = vec![op_id(2), op_id(2)];
    refused(with(Op { pred: twice.into(), ..retitle() }), Refusal::Predecessors);
    refused(with(Op { obj: ObjectId::Id(op_id(2)), ..retitle() }), Refusal::Reference);
    refused(with(Op { obj: ObjectId::Id(op_id(77)), ..retitle() }), Refusal::Reference);
    let stranger = OpId(1, actor(&USER, &B));
    let unmet = vec![stranger.clone()];
    refused(with(Op { pred: unmet.into(), ..retitle() }), Refusal::Predecessors);
    refused(with(Op { obj: ObjectId::Id(stranger), ..retitle() }), Refusal::Reference);
    let nothing = Op {
        action: OpType::Delete,
        key: Key::Map("absent".into()),
        pred: vec![].into(),
        ..retitle()
    };
    refused(with(nothing), Refusal::Predecessors);
}

#[test]
fn a_concurrent_object_is_no_part_of_the_past() {
    let (mut document, first) = document();
    // B has seen A's first change; A's second does not depend on B.
    write(&mut document, B, |draft| {
        draft
            .put(&local("e"), &["place"], &Value::Map([("x".to_owned(), 1.into())].into()))
            .unwrap();
    });
    let made = OpId(3, actor(&USER, &B));
    let into =
        Op { obj: ObjectId::Id(made), key: Key::Map("y".into()), pred: vec![].into(), ..retitle() };
    let payload = encoded(next(&first, into));
    assert_eq!(document.offer(A, 1, &payload), Outcome::Refused(Refusal::Reference));
}

#[test]
fn the_root_holds_only_entities_and_records() {
    let (_, first) = document();
    let root = |key: &str, action: OpType| {
        let key = Key::Map(key.into());
        next(&first, Op { obj: ObjectId::Root, key, pred: vec![].into(), action, insert: false })
    };
    let text = || OpType::Put(ScalarValue::Str("x".into()));
    let bytes = || OpType::Put(ScalarValue::Bytes(b"x".to_vec()));
    refused(root("e2", text()), Refusal::Profile);
    refused(root("a/b", OpType::Make(ObjType::Map)), Refusal::EntityId);
    refused(root("#abc", OpType::Make(ObjType::Map)), Refusal::RecordChanged);
    refused(root("#abc", bytes()), Refusal::RecordId);
    refused(root(LocalId::of_record(b"y").as_str(), bytes()), Refusal::RecordId);
}

#[test]
fn a_record_is_never_overwritten_or_deleted() {
    let mut document = Document::new(USER);
    let mut name = None;
    let first = write(&mut document, A, |draft| name = Some(draft.record(b"content".to_vec())));
    let name = name.unwrap();
    for action in [OpType::Put(ScalarValue::Bytes(b"content".to_vec())), OpType::Delete] {
        let key = Key::Map(name.as_str().into());
        let change =
            Op { action, obj: ObjectId::Root, key, pred: vec![op_id(1)].into(), insert: false };
        let outcome = document.offer(A, 1, &encoded(next(&first, change)));
        assert_eq!(outcome, Outcome::Refused(Refusal::RecordChanged));
    }
}

#[test]
fn nesting_ends_at_depth_eight() {
    let (_, first) = document();
    let mut change = next(&first, retitle());
    let start = change.start_op.get();
    change.operations = (0..8)
        .map(|depth| Op {
            action: OpType::Make(ObjType::Map),
            obj: ObjectId::Id(if depth == 0 { op_id(1) } else { op_id(start + depth - 1) }),
            key: Key::Map("deeper".into()),
            pred: vec![].into(),
            insert: false,
        })
        .collect();
    refused(change.clone(), Refusal::Depth);
    change.operations.pop();
    let (mut document, _) = document();
    assert!(matches!(document.offer(A, 1, &encoded(change)), Outcome::Valid(_)));
}

#[test]
fn rewriting_one_place_within_a_change_is_remembered_once() {
    let (mut document, first) = document();
    let before = document.index.remembered();
    let mut change = next(&first, retitle());
    let start = change.start_op.get();
    change.operations = (0..4096)
        .map(|n| {
            let pred = vec![if n == 0 { op_id(2) } else { op_id(start + n - 1) }].into();
            Op { action: OpType::Put(ScalarValue::Null), pred, ..retitle() }
        })
        .collect();
    assert!(matches!(document.offer(A, 1, &encoded(change)), Outcome::Valid(_)));
    document.settle().unwrap();
    assert_eq!(document.index.remembered(), before + 1);
    let Some(Content::Entity(fields)) = document.read(&local("e")) else { panic!() };
    assert_eq!(fields["title"], Value::Null);
    write(&mut document, A, |draft| draft.put(&local("e"), &["title"], &"on".into()).unwrap());
}

#[test]
fn measured_attacks_are_refused_before_automerge_sees_them() {
    let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
    // 19 bytes that panic Automerge, and 53 bytes that claim 2^20 operations.
    refused_at(1, &hex("856f4a8308ff18de0109000101020100000000"), Refusal::Actor);
    let bomb = "856f4a838c658a3e012b000101010100000005150634034205560570058080c000017880\
                80408080c000018080c000008080c00000";
    refused_at(1, &hex(&bomb.replace(' ', "")), Refusal::Actor);
    let (_, first) = document();
    let good = encoded(next(&first, retitle()));
    let mut checksum = good.clone();
    checksum[4] ^= 1;
    refused_at(1, &checksum, Refusal::NotCanonical);
    for kind in [0, 2, 3, 4] {
        let mut other = good.clone();
        other[8] = kind;
        refused_at(1, &other, Refusal::NotAChange);
    }
    for length in 0..good.len() {
        let (mut document, _) = document();
        assert!(matches!(document.offer(A, 1, &good[..length]), Outcome::Refused(_)), "{length}");
    }
}

/// The same bomb with an actor of our length: what the run-length bound is for.
#[test]
fn a_run_length_bomb_is_refused_by_its_claims() {
    let (_, first) = document();
    let good = encoded(next(&first, retitle()));
    let mut body = Vec::new();
    body.push(0); // no dependencies
    body.push(40);
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(A.as_bytes());
    body.extend_from_slice(&[1, 1, 0, 0, 0]); // sequence, start, time, message, other actors
    let column = [0x80_u8, 0x80, 0xc0, 0x00, 0x01]; // 2^20 times action 1
    body.extend_from_slice(&[1, 66, 5]);
    body.extend_from_slice(&column);
    let mut bomb = good[..9].to_vec();
    bomb.push(u8::try_from(body.len()).unwrap());
    bomb.extend_from_slice(&body);
    refused_at(0, &bomb, Refusal::Operations);
}

/// A payload with every kind of operation, two actors, and what comes before it.
fn rich() -> (Vec<(Incarnation, Vec<u8>)>, Vec<u8>) {
    let (mut document, first) = document();
    let nested = Value::Map([("x".to_owned(), 1.into()), ("y".to_owned(), true.into())].into());
    let second = write(&mut document, B, |draft| {
        draft.put(&local("e"), &["place"], &nested).unwrap();
        draft.put(&local("f"), &["title"], &"Another".into()).unwrap();
    });
    let mut draft = Draft::default();
    draft.put(&local("e"), &["place", "x"], &2.into()).unwrap();
    draft.put(&local("e"), &["title"], &"Changed".into()).unwrap();
    draft.put(&local("e"), &["when"], &Instant::from_millis(5).into()).unwrap();
    draft.put(&local("e"), &["none"], &Value::Null).unwrap();
    draft.delete(&local("e"), &["place", "y"]);
    draft.delete(&local("f"), &[]);
    draft.record(b"a record".to_vec());
    let payload = document.next_payload(A, NOW, &mut draft).unwrap();
    (vec![(A, first), (B, second)], payload)
}

fn built(before: &[(Incarnation, Vec<u8>)]) -> Document {
    let mut document = Document::new(USER);
    for (writer, payload) in before {
        let position = document.length(writer);
        assert!(matches!(document.offer(*writer, position, payload), Outcome::Valid(_)));
    }
    document
}

/// Offers a mutated payload. What passes must apply, save and load, read alike from a document
/// built anew, and leave an honest writer able to go on.
fn survives(before: &[(Incarnation, Vec<u8>)], payload: &[u8]) -> bool {
    let mut document = built(before);
    let passed = matches!(document.offer(A, 1, payload), Outcome::Valid(_));
    document.settle().unwrap();
    if passed {
        let saved = automerge::Automerge::load(&document.automerge.save()).unwrap();
        assert_eq!(saved.get_heads(), document.automerge.get_heads());
        let mut again = built(before);
        assert!(matches!(again.offer(A, 1, payload), Outcome::Valid(_)));
        again.settle().unwrap();
        for entity in ["e", "f"] {
            assert_eq!(again.read(&local(entity)), document.read(&local(entity)));
        }
        write(&mut document, B, |draft| draft.put(&local("e"), &["x"], &1.into()).unwrap());
    }
    passed
}

#[test]
fn mutated_payloads_never_panic_and_what_passes_is_sound() {
    use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
    let (before, good) = rich();
    assert!(survives(&before, &good));
    let mut passed = 0;
    for at in 8..good.len() {
        for bit in 0..8 {
            let mut mutated = good.clone();
            mutated[at] ^= 1 << bit;
            repair_checksum(&mut mutated);
            passed += u32::from(survives(&before, &mutated));
        }
    }
    // Longer runs: P2PANDA_MUTATIONS=1000000 cargo test --release -p p2panda-core mutated
    let runs = std::env::var("P2PANDA_MUTATIONS").ok().and_then(|runs| runs.parse().ok());
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    for _ in 0..runs.unwrap_or(20_000_u32) {
        let mut mutated = good.clone();
        for _ in 0..1 + rng.next_u32() % 4 {
            let at = 9 + rng.next_u32() as usize % (mutated.len() - 9);
            match rng.next_u32() % 4 {
                0 => mutated[at] = rng.next_u32().to_le_bytes()[0],
                1 => mutated[at] ^= 1 << (rng.next_u32() % 8),
                2 => mutated.insert(at, rng.next_u32().to_le_bytes()[0]),
                _ => drop(mutated.remove(at)),
            }
        }
        // Keep the frame whole, so that the inside is reached.
        if rng.next_u32() % 4 > 0 && mutated[9] & 0x80 != 0 && mutated.len() > 11 {
            let body = mutated.len() - 11;
            mutated[9] = u8::try_from(body & 0x7f).unwrap() | 0x80;
            mutated[10] = u8::try_from(body >> 7).unwrap();
        }
        repair_checksum(&mut mutated);
        passed += u32::from(survives(&before, &mutated));
    }
    assert!(passed > 0, "some mutations only change a text or the time");
}

fn repair_checksum(payload: &mut [u8]) {
    use sha2::Digest as _;
    let sum = sha2::Sha256::digest(&payload[8..]);
    payload[4..8].copy_from_slice(&sum[..4]);
}
