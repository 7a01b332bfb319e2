//! Opening and closing a store, and what an opening in doubt means.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use rand_core::CryptoRng;

use crate::{
    id::{Incarnation, UserId},
    identity::Identity,
    replica::{INCARNATION_KEY, Replica, aside::Aside, decisions::Decisions, fixed, subscription},
    store::{Batch, ResumeTokens, Store, StoreError, Table},
};

const RESUME_KEY: &[u8] = b"resume";
const USER_KEY: &[u8] = b"user";

/// Why a replica could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store belongs to another user.
    #[error("this store belongs to user {found}, the key is that of {expected}")]
    OtherUser {
        /// Whose store it is.
        found: UserId,
        /// Whose key was given.
        expected: UserId,
    },
}

impl Replica {
    /// Opens a store for its user; an empty store becomes that user's.
    ///
    /// # Errors
    /// [`OpenError`], with the store unchanged.
    pub fn open(
        mut store: Box<dyn Store>,
        identity: Identity,
        mut resume: Box<dyn ResumeTokens>,
    ) -> Result<Self, OpenError> {
        let user = identity.user();
        match store.get(Table::Meta, USER_KEY)? {
            None => {
                let mut batch = Batch::new();
                batch.put(Table::Meta, USER_KEY, *user.as_bytes());
                store.commit(batch)?;
                store.flush()?;
            }
            Some(bytes) => {
                let found = UserId::from_bytes(fixed(&bytes)?);
                if found != user {
                    return Err(OpenError::OtherUser { found, expected: user });
                }
            }
        }
        let token = store.get(Table::Meta, RESUME_KEY)?.map(|bytes| fixed(&bytes)).transpose()?;
        let token = token.filter(|token| resume.claim(token));
        let last = store.get(Table::Meta, INCARNATION_KEY)?;
        let decisions = Decisions::of_store(&mut *store, token.is_some())?;
        let incarnation = match (token, last) {
            (Some(_), Some(bytes)) => Some(Incarnation::from_bytes(fixed(&bytes)?)),
            _ => None,
        };
        let subscriptions = subscription::load(&*store)?;
        let mut replica = Self {
            store,
            identity,
            resume,
            incarnation,
            unused_token: token,
            decisions,
            documents: HashMap::new(),
            uses: 0,
            aside: Aside::default(),
            subscriptions,
            unflushed: BTreeMap::new(),
            were_cut: BTreeSet::new(),
            dirty: false,
            noted: false,
            recent: VecDeque::new(),
            recent_end: 0,
            #[cfg(feature = "blobs")]
            blobs: None,
        };
        replica.learn_aside()?;
        replica.rebuild_outdated_view()?;
        replica.settle_aside()?;
        Ok(replica)
    }

    /// Closes cleanly: makes everything durable and leaves the single-use token with which the
    /// next opening goes on with the same incarnation. A replica that is only dropped is safe too;
    /// its next opening draws a fresh incarnation.
    ///
    /// # Errors
    /// [`StoreError`] where the store could not be flushed.
    pub fn close(mut self, rng: &mut impl CryptoRng) -> Result<(), StoreError> {
        self.dirty |= self.noted;
        let token = match self.unused_token {
            // Nothing was written, so the name in the store still names exactly this state.
            Some(token) => token,
            None if self.incarnation.is_none() && self.decisions.is_empty() => return self.flush(),
            None => {
                let mut token = [0; 16];
                rng.fill_bytes(&mut token);
                let mut batch = Batch::new();
                batch.put(Table::Meta, RESUME_KEY, token);
                // The token vouches for this incarnation, whatever the store says of others.
                match self.incarnation {
                    Some(last) => batch.put(Table::Meta, INCARNATION_KEY, *last.as_bytes()),
                    None => batch.delete(Table::Meta, INCARNATION_KEY),
                }
                self.store.commit(batch)?;
                self.dirty = true;
                token
            }
        };
        self.flush()?;
        if let Err(error) = self.resume.leave(&token) {
            tracing::debug!(%error, "no token left: the next opening draws a fresh incarnation");
        }
        Ok(())
    }
}
