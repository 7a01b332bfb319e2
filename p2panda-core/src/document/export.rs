//! The way out: a document as Automerge itself has it.

use automerge::{Automerge, AutomergeError, Change};

/// The saved Automerge document of valid changes, for programs that read Automerge.
pub(crate) fn to_automerge(
    payloads: impl IntoIterator<Item = Vec<u8>>,
) -> Result<Vec<u8>, AutomergeError> {
    let changes = payloads.into_iter().map(Change::from_bytes);
    let mut automerge = Automerge::new();
    automerge.apply_changes(changes.collect::<Result<Vec<_>, _>>()?)?;
    Ok(automerge.save())
}
