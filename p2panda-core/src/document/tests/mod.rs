//! The gate and what stands behind it. Whatever is refused here is well signed as far as a log can
//! tell.

use std::num::NonZeroU64;

use automerge::{
    ActorId, Change, ChangeHash, ExpandedChange, ObjType, ScalarValue,
    legacy::{ElementId, Key, ObjectId, Op, OpId, OpType},
};

use super::{
    Content, Document, Draft, Outcome, Refusal,
    gate::{self, Known, actor},
};
use crate::{
    id::{Incarnation, LocalId, UserId},
    schema::{Instant, Value},
};

mod attacks;
mod chunk;
pub(crate) mod faults;
mod history;
mod merging;
mod mutations;
mod oracle;
mod refusals;
mod standing;
mod writers;

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
