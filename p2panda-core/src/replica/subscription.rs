//! How much of a festival a replica keeps: all of it, or single documents; and how far it goes along
//! with festivals that others name as part of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    codec,
    id::{DocumentId, FestivalId, UserId},
    log::DocumentDescriptor,
    replica::{Replica, damaged, fixed},
    store::{Batch, Store, StoreError, Table, prefix_end},
    view::author_prefix,
};

/// The most single documents of one festival that a replica keeps.
pub const MAX_DOCUMENTS: usize = 1024;

const KEY: &[u8] = b"subscription";

/// How much of a festival is kept. By default all of it, and nothing of others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Only these documents, at most [`MAX_DOCUMENTS`], and one's own; `None` is all. One's own come
    /// to a device only as far as it can name them, so one that keeps a part, and was given its key
    /// or opened in doubt, [decides](Replica::may_decide) after a sync in which it kept all.
    pub documents: Option<BTreeSet<DocumentId>>,
    /// How many steps to follow links to other festivals: 1 are those that this festival names, 2
    /// those that these name, and so on. It is stored here and acted on by whoever joins, such as a
    /// sync node.
    pub depth: u8,
}

impl Replica {
    /// How much is kept of a festival.
    #[must_use]
    pub fn subscription(&self, festival: FestivalId) -> Subscription {
        self.subscriptions.get(&festival).cloned().unwrap_or_default()
    }

    /// Keeps so much of a festival from now on. What is beyond that is removed from this device; of
    /// more than [`MAX_DOCUMENTS`] documents the first by id are kept.
    ///
    /// # Errors
    /// [`StoreError`]; what is left beyond it then goes with the next call.
    pub fn subscribe(
        &mut self,
        festival: FestivalId,
        mut subscription: Subscription,
    ) -> Result<(), StoreError> {
        if let Some(documents) = &mut subscription.documents {
            *documents = std::mem::take(documents).into_iter().take(MAX_DOCUMENTS).collect();
        }
        let mut batch = Batch::new();
        batch.put(Table::Meta, key(festival), codec::encode(&subscription));
        self.store.commit(batch)?;
        self.dirty = true;
        let some = subscription.documents.clone();
        self.subscriptions.insert(festival, subscription);
        let Some(some) = some else { return self.flush() };
        let own = self.user();
        self.remove_documents(|descriptor| {
            descriptor.festival == festival
                && descriptor.user != own
                && !some.contains(&descriptor.id())
        })
    }

    /// The documents of a festival that are kept, where that is not all of them: those subscribed
    /// to, and one's own as far as they are held; at most [`MAX_DOCUMENTS`], one's own first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn kept_documents(
        &self,
        festival: FestivalId,
    ) -> Result<Option<BTreeSet<DocumentId>>, StoreError> {
        let subscribed = self.subscriptions.get(&festival);
        let Some(some) = subscribed.and_then(|subscribed| subscribed.documents.as_ref()) else {
            return Ok(None);
        };
        let user = self.user();
        let unlabelled = DocumentDescriptor { festival, user, label: String::new() };
        let mut kept = BTreeSet::from([unlabelled.id()]);
        let prefix = author_prefix(festival, &user);
        let end = prefix_end(&prefix);
        let own = self.store.range(Table::Index, &prefix, end.as_deref(), MAX_DOCUMENTS)?;
        for (key, _) in own {
            kept.insert(DocumentId::from_bytes(fixed(&key[prefix.len()..])?));
        }
        kept = kept.into_iter().take(MAX_DOCUMENTS).collect();
        let room = MAX_DOCUMENTS - kept.len();
        let others: Vec<_> = some.iter().filter(|one| !kept.contains(*one)).take(room).collect();
        kept.extend(others);
        Ok(Some(kept))
    }

    /// Whether anything is held that a user wrote in a festival.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn holds_any_of(&self, festival: FestivalId, user: &UserId) -> Result<bool, StoreError> {
        let prefix = author_prefix(festival, user);
        let end = prefix_end(&prefix);
        Ok(!self.store.range(Table::Index, &prefix, end.as_deref(), 1)?.is_empty())
    }

    pub(super) fn keeps(&self, descriptor: &DocumentDescriptor, document: &DocumentId) -> bool {
        let subscribed = self.subscriptions.get(&descriptor.festival);
        let some = subscribed.and_then(|subscribed| subscribed.documents.as_ref());
        some.is_none_or(|some| some.contains(document) || descriptor.user == self.user())
    }

    pub(super) fn unsubscribe(&mut self, festival: FestivalId, batch: &mut Batch) {
        self.subscriptions.remove(&festival);
        batch.delete(Table::Meta, key(festival));
    }
}

pub(super) fn load(store: &dyn Store) -> Result<BTreeMap<FestivalId, Subscription>, StoreError> {
    let entries = store.range(Table::Meta, KEY, prefix_end(KEY).as_deref(), usize::MAX)?;
    let read = |(key, bytes): &(Vec<u8>, Vec<u8>)| {
        let festival = FestivalId::from_bytes(fixed(&key[KEY.len()..])?);
        Ok((festival, codec::decode_stored(bytes).map_err(damaged)?))
    };
    entries.iter().map(read).collect()
}

fn key(festival: FestivalId) -> Vec<u8> {
    [KEY, &festival.as_bytes()[..]].concat()
}
