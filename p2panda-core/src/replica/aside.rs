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
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use serde::{Deserialize, Serialize};

use crate::{
    codec,
    hash::{Domain, hash},
    id::LogId,
    replica::{Replica, materialise::Halt},
    store::{Batch, Table},
};

/// Which build this is: a payload that one could not judge is tried again by the next.
pub(super) const BUILD: &str = env!("CARGO_PKG_VERSION");

pub(super) const ASIDE: &[u8] = b"aside";

/// How often a payload may have killed the process before it is left for the next build.
pub(super) const MAX_KILLS: u8 = 2;

/// A payload that a build is judging, or could not judge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) log: LogId,
    pub(super) index: u64,
    #[serde(with = "serde_bytes")]
    payload: [u8; 32],
    pub(super) build: String,
    /// How often it killed the process before.
    pub(super) kills: u8,
}

impl Mark {
    pub(super) fn key(&self) -> Vec<u8> {
        [ASIDE, &self.log.to_bytes()].concat()
    }

    fn is_about(&self, index: u64, payload: &[u8; 32]) -> bool {
        self.index == index && self.payload == *payload
    }

    pub(super) fn is_of(&self, payload: &[u8]) -> bool {
        self.payload == hash(Domain::Payload, payload)
    }
}

/// The payloads that are set aside; at most one a log, which stops there.
#[derive(Default)]
pub(super) struct Aside {
    pub(super) marks: HashMap<LogId, Mark>,
    /// Those that are tried once more.
    pub(super) probation: HashMap<LogId, Mark>,
    caught: u64,
    /// One panicked and could not be set aside: its mark is for the next opening.
    keeps_mark: bool,
}

impl Replica {
    /// How many payloads this replica has set aside since it was opened, because they made this
    /// build panic or had killed the process before. Each is a bug to report.
    #[must_use]
    pub const fn caught(&self) -> u64 {
        self.aside.caught
    }

    /// Judges a payload within the net; `None` where it is set aside. A run of these ends with
    /// [`leave_net`](Self::leave_net), which takes the last mark away.
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
        self.aside.keeps_mark = true;
        let mut batch = Batch::new();
        self.set_aside(&mut batch, mark);
        self.store.commit(batch)?;
        self.store.flush()?;
        self.aside.keeps_mark = false;
        self.store.mark(&[])?;
        Err(Halt::Caught)
    }

    /// Ends a run of tries, however it went: where the store failed between two of them, the last
    /// payload tried is not to blame.
    pub(super) fn leave_net<T>(&mut self, done: Result<T, Halt>) -> Result<T, Halt> {
        if self.aside.keeps_mark {
            return done;
        }
        let cleared = self.store.mark(&[]);
        done.and_then(|value| Ok(cleared.map(|()| value)?))
    }

    pub(super) fn set_aside(&mut self, batch: &mut Batch, mark: Mark) {
        self.aside.caught += 1;
        batch.put(Table::Meta, mark.key(), codec::encode(&mark));
        self.aside.marks.insert(mark.log, mark);
    }
}

/// A stored mark as an older build would have left it.
#[cfg(test)]
pub(super) fn of_an_older_build(bytes: &[u8]) -> Vec<u8> {
    let mark: Mark = codec::decode_stored(bytes).unwrap();
    codec::encode(&Mark { build: "0.0.0".to_owned(), ..mark })
}
