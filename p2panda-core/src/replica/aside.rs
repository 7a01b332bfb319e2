//! The last net: payloads that this build could not judge.
//!
//! The gate's rules are what keep a payload from doing harm. Should one make this build panic all
//! the same, or kill the process, it is set aside, and its log shown as failed, instead of being
//! tried again at every start. Before each try a mark is left that outlives the process.
//!
//! A process can also be killed for reasons of its own while an innocent payload is judged. So one
//! that was set aside for a kill is tried once more at the opening after that; it is set aside for
//! good, which is until the next build, where it is caught twice.

use std::{
    collections::{BTreeSet, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
};

use serde::{Deserialize, Serialize};

use crate::{
    codec,
    hash::{Domain, hash},
    id::{DocumentId, LogId},
    replica::{Replica, damaged, materialise::Halt},
    store::{Batch, StoreError, Table, prefix_end},
};

/// Which build this is: a payload that one could not judge is tried again by the next.
const BUILD: &str = env!("CARGO_PKG_VERSION");

pub(super) const ASIDE: &[u8] = b"aside";

/// How often a payload may have killed the process before it is left for the next build.
const MAX_KILLS: u8 = 2;

/// A payload that a build is judging, or could not judge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    log: LogId,
    index: u64,
    #[serde(with = "serde_bytes")]
    payload: [u8; 32],
    build: String,
    /// How often it killed the process before.
    kills: u8,
}

impl Mark {
    fn key(&self) -> Vec<u8> {
        [ASIDE, &self.log.to_bytes()].concat()
    }

    fn is_about(&self, index: u64, payload: &[u8; 32]) -> bool {
        self.index == index && self.payload == *payload
    }
}

/// The payloads that are set aside; at most one a log, which stops there.
#[derive(Default)]
pub(super) struct Aside {
    marks: HashMap<LogId, Mark>,
    /// Those that are tried once more.
    probation: HashMap<LogId, Mark>,
    caught: u64,
}

impl Replica {
    /// How many payloads this replica has set aside since it was opened, because they made this
    /// build panic or had killed the process before. Each is a bug to report.
    #[must_use]
    pub const fn caught(&self) -> u64 {
        self.aside.caught
    }

    /// Judges a payload within the net; `None` where it is set aside. The last mark of a run is taken
    /// away with `store.mark(&[])`.
    pub(super) fn within_net<T>(
        &mut self,
        log: &LogId,
        index: u64,
        payload: &[u8],
        judge: impl FnOnce() -> T,
    ) -> Result<Option<T>, Halt> {
        let digest = hash(Domain::Payload, payload);
        let is_this = |mark: &&Mark| mark.is_about(index, &digest);
        if self.aside.marks.get(log).filter(is_this).is_some() {
            return Ok(None);
        }
        let kills = self.aside.probation.get(log).filter(is_this).map_or(0, |mark| mark.kills);
        let build = BUILD.to_owned();
        let mut mark = Mark { log: *log, index, payload: digest, build, kills };
        self.store.mark(&codec::encode(&mark))?;
        if let Ok(judged) = catch_unwind(AssertUnwindSafe(judge)) {
            return Ok(Some(judged));
        }
        tracing::error!(%index, "a payload made this build panic and is set aside");
        mark.kills = MAX_KILLS;
        let mut batch = Batch::new();
        self.set_aside(&mut batch, mark);
        self.store.commit(batch)?;
        self.store.flush()?;
        self.store.mark(&[])?;
        Err(Halt::Caught)
    }

    fn set_aside(&mut self, batch: &mut Batch, mark: Mark) {
        self.aside.caught += 1;
        batch.put(Table::Meta, mark.key(), codec::encode(&mark));
        self.aside.marks.insert(mark.log, mark);
    }

    /// Learns what was set aside, and what killed the process the last time. What another build
    /// could not judge is tried again.
    pub(super) fn recover(&mut self) -> Result<(), StoreError> {
        let mut changed: BTreeSet<DocumentId> = BTreeSet::new();
        let mut batch = Batch::new();
        let end = prefix_end(ASIDE);
        for (key, bytes) in self.store.range(Table::Meta, ASIDE, end.as_deref(), usize::MAX)? {
            let mark: Mark = codec::decode_stored(&bytes).map_err(damaged)?;
            if mark.build == BUILD && mark.kills >= MAX_KILLS {
                self.aside.marks.insert(mark.log, mark);
                continue;
            }
            batch.delete(Table::Meta, key);
            changed.insert(mark.log.document);
            if mark.build == BUILD {
                self.aside.probation.insert(mark.log, mark);
            }
        }
        // A torn mark is none: what it was about is tried again, that is all.
        let marked = self.store.marked()?;
        let marked = marked.and_then(|bytes| codec::decode_stored::<Mark>(&bytes).ok());
        if let Some(mut mark) = marked.filter(|mark| mark.build == BUILD) {
            mark.kills += 1;
            tracing::error!(index = mark.index, "a payload killed the process and is set aside");
            changed.insert(mark.log.document);
            self.set_aside(&mut batch, mark);
        }
        if !batch.is_empty() {
            self.store.commit(batch)?;
        }
        for document in changed {
            if let Some(descriptor) = self.descriptor(&document)? {
                self.remake(&descriptor)?;
            }
        }
        self.store.flush()?;
        self.store.mark(&[])
    }
}

/// A stored mark as an older build would have left it.
#[cfg(test)]
pub(super) fn of_an_older_build(bytes: &[u8]) -> Vec<u8> {
    let mark: Mark = codec::decode_stored(bytes).unwrap();
    codec::encode(&Mark { build: "0.0.0".to_owned(), ..mark })
}
