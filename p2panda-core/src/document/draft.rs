//! Edits of a document, before they become changes.

use std::collections::VecDeque;

use automerge::ScalarValue;
use smol_str::SmolStr;

use super::check::{MAX_DEPTH, MAX_KEY};
use crate::{
    id::LocalId,
    schema::{Fields, Value},
};

/// The largest text or byte string of one field, in bytes.
pub(crate) const MAX_SCALAR: usize = 32 * 1024;

/// One step of an edit of a document.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Sets a field, or makes sure that a map is there.
    Put(LocalId, Vec<SmolStr>, Option<ScalarValue>),
    Delete(LocalId, Vec<SmolStr>),
    Record(LocalId, Vec<u8>),
}

/// Edits of one document that become one or several payloads.
#[derive(Debug, Default)]
pub(crate) struct Draft(pub(super) VecDeque<Step>);

/// What cannot be written into a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// A text or byte string beyond 32 KiB.
    #[error(
        "field {field:?} has {size} bytes, at most {MAX_SCALAR} are possible; keep long content in a blob"
    )]
    ValueTooLarge {
        /// The field.
        field: String,
        /// Its size in bytes.
        size: usize,
    },
    /// An empty field name, or one beyond 128 bytes.
    #[error("a field name has {size} bytes, 1 to {MAX_KEY} are possible")]
    FieldName {
        /// Its size in bytes.
        size: usize,
    },
    /// Maps nested beyond 8, the entity's own included.
    #[error("maps can nest {MAX_DEPTH} deep, the entity's own included")]
    TooDeep,
}

impl Draft {
    pub(super) fn push(&mut self, step: Step) {
        self.0.push_back(step);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes sure that the entity exists.
    pub(crate) fn create(&mut self, local: &LocalId) {
        self.0.push_back(Step::Put(local.clone(), Vec::new(), None));
    }

    /// Sets a field; a map is merged into the one that is there.
    pub(crate) fn put(
        &mut self,
        local: &LocalId,
        path: &[&str],
        value: &Value,
    ) -> Result<(), DraftError> {
        for name in path {
            check_name(name)?;
        }
        if path.len() + usize::from(matches!(value, Value::Map(_))) > usize::from(MAX_DEPTH) {
            return Err(DraftError::TooDeep);
        }
        let scalar = match value {
            Value::Map(fields) => return self.put_map(local, path, fields),
            Value::Null => ScalarValue::Null,
            Value::Bool(value) => ScalarValue::Boolean(*value),
            Value::Int(value) => ScalarValue::Int(*value),
            Value::Instant(value) => ScalarValue::Timestamp(value.millis()),
            Value::Text(value) => {
                check_size(path, value.len())?;
                ScalarValue::Str(value.as_str().into())
            }
            Value::Bytes(value) => {
                check_size(path, value.len())?;
                ScalarValue::Bytes(value.clone())
            }
        };
        self.0.push_back(Step::Put(local.clone(), owned(path), Some(scalar)));
        Ok(())
    }

    fn put_map(
        &mut self,
        local: &LocalId,
        path: &[&str],
        fields: &Fields,
    ) -> Result<(), DraftError> {
        self.0.push_back(Step::Put(local.clone(), owned(path), None));
        for (name, value) in fields {
            let mut path = path.to_vec();
            path.push(name);
            self.put(local, &path, value)?;
        }
        Ok(())
    }

    /// Deletes a field, or the entity where the path is empty.
    pub(crate) fn delete(&mut self, local: &LocalId, path: &[&str]) {
        self.0.push_back(Step::Delete(local.clone(), owned(path)));
    }

    /// Adds an immutable record.
    pub(crate) fn record(&mut self, content: Vec<u8>) -> LocalId {
        let local = LocalId::of_record(&content);
        self.0.push_back(Step::Record(local.clone(), content));
        local
    }
}

fn owned(path: &[&str]) -> Vec<SmolStr> {
    path.iter().map(|name| SmolStr::from(*name)).collect()
}

fn check_name(name: &str) -> Result<(), DraftError> {
    let size = name.len();
    if size == 0 || size > MAX_KEY { Err(DraftError::FieldName { size }) } else { Ok(()) }
}

fn check_size(path: &[&str], size: usize) -> Result<(), DraftError> {
    if size > MAX_SCALAR {
        return Err(DraftError::ValueTooLarge { field: path.join("."), size });
    }
    Ok(())
}
