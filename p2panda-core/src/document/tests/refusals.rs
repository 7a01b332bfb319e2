//! Each rule of the gate, by a change that breaks that one alone.

use super::*;

#[test]
fn a_proper_change_passes() {
    let (mut document, first) = document();
    let payload = encoded(next(&first, retitle()));
    assert!(matches!(document.offer(A, 1, &payload), Outcome::Valid(_)));

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
    let pays = Op {
        action: OpType::Put(ScalarValue::Str("t".repeat(400).into())),
        key: Key::Map("pays".into()),
        pred: vec![].into(),
        ..retitle()
    };
    change.operations.push(pays);
    refused(change.clone(), Refusal::Depth);
    change.operations.remove(7);
    let (mut document, _) = document();
    assert!(matches!(document.offer(A, 1, &encoded(change)), Outcome::Valid(_)));
}

#[test]
fn rewriting_one_place_within_a_change_is_remembered_once() {
    let (mut document, first) = document();
    let before = document.places.remembered();
    let mut change = next(&first, retitle());
    let start = change.start_op.get();
    change.operations = (0..1000)
        .map(|n| {
            let pred = vec![if n == 0 { op_id(2) } else { op_id(start + n - 1) }].into();
            let text = format!("the {n}th title");
            Op { action: OpType::Put(ScalarValue::Str(text.into())), pred, ..retitle() }
        })
        .collect();
    assert!(matches!(document.offer(A, 1, &encoded(change)), Outcome::Valid(_)));
    assert_eq!(document.places.remembered(), before + 1);
    let Some(Content::Entity(fields)) = document.read(&local("e")) else { panic!() };
    assert_eq!(fields["title"], Value::from("the 999th title"));
    write(&mut document, A, |draft| draft.put(&local("e"), &["title"], &"on".into()).unwrap());
}
