//! A door for those who keep what they worked out of this replica's logs, such as sketches: opaque
//! bytes by name, beside the facts and not part of them.

use crate::{
    id::FestivalId,
    replica::Replica,
    store::{Batch, StoreError, Table},
};

/// The most bytes that are kept under one name.
pub const MAX_KEPT: usize = 1 << 20;

const KEPT: &[u8] = b"kept";

impl Replica {
    /// Keeps something under a name, in place of what is there; empty, or longer than [`MAX_KEPT`],
    /// it takes away what is there. It is durable after the next [`flush`](Self::flush), and goes
    /// with the festival that it is of.
    ///
    /// Who keeps something has to be able to do without it: a store that was copied or cut off may
    /// hold what was kept before. See [`log_version`](Self::log_version).
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep(
        &mut self,
        of: Option<FestivalId>,
        name: &str,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        if bytes.is_empty() || bytes.len() > MAX_KEPT {
            batch.delete(Table::Meta, key(of, name));
        } else {
            batch.put(Table::Meta, key(of, name), bytes);
        }
        self.store.commit(batch)?;
        self.dirty = true;
        Ok(())
    }

    /// What is kept under a name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn kept(&self, of: Option<FestivalId>, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(Table::Meta, &key(of, name))
    }
}

fn key(of: Option<FestivalId>, name: &str) -> Vec<u8> {
    let of = of.as_ref().map_or(&[][..], |festival| &festival.as_bytes()[..]);
    [&prefix_of(of), name.as_bytes()].concat()
}

/// With the length of what it is of, so that no name of the replica's own can look like a
/// festival's.
fn prefix_of(of: &[u8]) -> Vec<u8> {
    [KEPT, &[u8::from(!of.is_empty())], of].concat()
}

impl Replica {
    /// Takes away all that is kept, of whatever.
    pub(super) fn keep_nothing(&mut self) -> Result<(), StoreError> {
        [0, 1].iter().try_for_each(|of| self.remove_all(Table::Meta, &[KEPT, &[*of]].concat()))
    }
}

pub(super) fn prefix(festival: FestivalId) -> Vec<u8> {
    prefix_of(festival.as_bytes())
}
