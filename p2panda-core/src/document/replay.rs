//! From changes back to edits: the steps that make a change's operations again.

use std::collections::HashMap;

use automerge::{
    Change, ScalarValue,
    legacy::{Key, ObjectId, OpId, OpType},
};
use smol_str::SmolStr;

use super::draft::{Draft, Step};
use crate::id::LocalId;

/// Follows the changes of a document, each after those it depends on, to know where its maps are.
#[derive(Default)]
pub(crate) struct Replay(HashMap<OpId, (LocalId, Vec<SmolStr>)>);

impl Replay {
    /// Goes on by a change that the gate judged valid, and drafts its steps where a draft is given.
    pub(crate) fn change(&mut self, payload: &[u8], mut draft: Option<&mut Draft>) {
        let Ok(change) = Change::from_bytes(payload.to_vec()) else { return };
        let change = change.decode();
        for (counter, operation) in (change.start_op.get()..).zip(&change.operations) {
            let Key::Map(key) = &operation.key else { continue };
            let place = match &operation.obj {
                ObjectId::Root => key.parse().ok().map(|local| (local, Vec::new())),
                ObjectId::Id(map) => self.0.get(map).map(|(local, path)| {
                    let path = path.iter().chain([key]).cloned().collect();
                    (local.clone(), path)
                }),
            };
            let Some((local, path)) = place else { continue };
            let step = match &operation.action {
                OpType::Make(_) => {
                    let id = OpId(counter, change.actor_id.clone());
                    self.0.insert(id, (local.clone(), path.clone()));
                    Step::Put(local, path, None)
                }
                OpType::Put(ScalarValue::Bytes(content)) if local.is_record() => {
                    Step::Record(local, content.clone())
                }
                OpType::Put(value) => Step::Put(local, path, Some(value.clone())),
                _ => Step::Delete(local, path),
            };
            if let Some(draft) = &mut draft {
                draft.push(step);
            }
        }
    }
}
