//! Sketches that outlive the process: what the replica keeps of them, and when that is right.
//!
//! Kept are the sums, not the logs: a few kilobytes for each salt, whatever the festival holds. With
//! them goes the replica's count of changes; if that is still the same after an opening, so are the
//! sums, and a peer that holds the same is answered without looking at a log. After a kill the count
//! has mostly gone on, and the festival is read again.
//!
//! Our salt is kept too, as the sums are of no use without. Nobody knows here what time passed while
//! the replica was closed, so each opening counts for an hour of a salt's life: it is used for a day
//! of running or for two dozen openings, whatever comes first. That is a matter of habit. Who can
//! make keys of logs collide under a known salt needs minutes, not days, and what helps against that
//! is that another salt is drawn when it happens.

use std::time::Duration;

use p2panda_core::{FestivalId, MAX_KEPT, Replica, codec};
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};

use super::{Form, Kept, MAX_LOGS, Map, SALT_LIFETIME, Sketches, UsedSalt};
use crate::{
    error::SyncError,
    sketch::{Keys, LogSum, Salt, Sums},
};

/// What an opening counts for in the life of a salt.
const OPENING: Duration = Duration::from_secs(60 * 60);

/// How often sketches are kept while sessions come and go.
const KEEP_EVERY: Duration = Duration::from_secs(60);

/// The names under which they are kept. What is kept in another way gets another name.
const SKETCHES: &str = "sketches 1";
const SALT: &str = "salt 1";

#[derive(Serialize, Deserialize)]
struct StoredFestival {
    /// How often logs had changed.
    version: u64,
    logs: u64,
    sum: ByteBuf,
    sketches: Vec<(ByteArray<8>, ByteBuf)>,
}

impl Sketches {
    /// Keeps the sketches with the replica, and makes both durable. To be called before the replica
    /// is closed, and now and then. Costs nothing where nothing has changed.
    ///
    /// # Errors
    /// [`SyncError::Store`].
    pub fn keep(&mut self, now: Duration, replica: &mut Replica) -> Result<(), SyncError> {
        replica.flush()?;
        self.follow(replica)?;
        self.kept_at = Some(now);
        if let Some(used) = self.salt.filter(|_| self.is_changed) {
            let stored = (ByteArray::new(used.salt.0), used.age(now).as_secs());
            replica.keep(None, SALT, &codec::encode(&stored))?;
        }
        let mut versions = Vec::new();
        for (festival, map) in &self.maps {
            let version = replica.log_version(*festival)?;
            // A log that came and went again has changed too.
            let is_right = !self.is_changed && map.kept == Some(version);
            if !is_right && replica.festival(*festival)?.is_some() {
                let stored = self.stored(*festival, map, version);
                replica.keep(Some(*festival), SKETCHES, &codec::encode(&stored))?;
                versions.push((*festival, version));
            }
        }
        for (festival, version) in versions {
            self.maps.get_mut(&festival).iter_mut().for_each(|map| map.kept = Some(version));
        }
        replica.flush()?;
        self.is_changed = false;
        Ok(())
    }

    /// The same, unless it was done lately.
    pub(crate) fn keep_now_and_then(
        &mut self,
        now: Duration,
        replica: &mut Replica,
    ) -> Result<(), SyncError> {
        if self.kept_at.is_some_and(|at| now.saturating_sub(at) < KEEP_EVERY) {
            return Ok(());
        }
        self.keep(now, replica)
    }

    fn stored(&self, festival: FestivalId, map: &Map, version: u64) -> StoredFestival {
        let sum = map.sum.to_bytes();
        let mut room = MAX_KEPT - sum.len() - 64;
        let mut all: Vec<_> = self.sketches.iter().filter(|((of, _), _)| *of == festival).collect();
        all.sort_unstable_by_key(|(_, kept)| std::cmp::Reverse(kept.last_use));
        let mut sketches = Vec::new();
        for ((_, salt), kept) in all {
            let bytes = kept.sums().to_bytes();
            if kept.sums().collided() || bytes.len() + 64 > room {
                continue;
            }
            room -= bytes.len() + 64;
            sketches.push((ByteArray::new(salt.0), bytes.into()));
        }
        StoredFestival { version, logs: map.len as u64, sum: sum.into(), sketches }
    }

    /// Looks at what is kept of the salt.
    pub(super) fn load(&mut self, replica: &Replica) -> Result<(), SyncError> {
        self.is_loaded = true;
        let Some(bytes) = replica.kept(None, SALT)? else { return Ok(()) };
        let Ok((salt, age)) = codec::decode::<(ByteArray<8>, u64)>(&bytes, bytes.len()) else {
            return Ok(());
        };
        let before = Duration::from_secs(age).saturating_add(OPENING);
        if self.salt.is_none() && before < SALT_LIFETIME {
            self.salt = Some(UsedSalt { salt: Salt(*salt), since: None, before });
        }
        Ok(())
    }

    /// Goes on with what is kept of a festival; whether there is anything that is still right.
    pub(super) fn load_festival(
        &mut self,
        replica: &Replica,
        festival: FestivalId,
    ) -> Result<bool, SyncError> {
        let Some(bytes) = replica.kept(Some(festival), SKETCHES)? else { return Ok(false) };
        let Ok(stored) = codec::decode::<StoredFestival>(&bytes, MAX_KEPT) else {
            return Ok(false);
        };
        // Changes that are not durable yet count already; then the sums would be of a state that
        // was and is durable, but none of what follows says so.
        if stored.version != replica.log_version(festival)? {
            return Ok(false);
        }
        let (Ok(len), Some(sum)) = (usize::try_from(stored.logs), LogSum::from_bytes(&stored.sum))
        else {
            return Ok(false);
        };
        if len > MAX_LOGS {
            return Err(SyncError::TooManyLogs { logs: len });
        }
        self.maps.insert(festival, Map { logs: None, sum, len, kept: Some(stored.version) });
        for (salt, bytes) in stored.sketches.into_iter().rev() {
            let salt = Salt(*salt);
            let Some(mut sums) = Sums::from_bytes(Keys::new(salt, &festival), &bytes) else {
                continue;
            };
            if sums.len() == len {
                self.make_room(salt);
                self.uses += 1;
                sums.begin(self.given_up << 32);
                let kept = Kept { form: Form::Sums(sums), last_use: self.uses };
                self.sketches.insert((festival, salt), kept);
            }
        }
        Ok(true)
    }
}
