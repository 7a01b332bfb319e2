//! The sketches of one replica, kept for all of its sessions.

use std::{
    collections::{BTreeMap, VecDeque, btree_map},
    time::Duration,
};

use p2panda_core::{FestivalId, LogId, Replica};
use rand_core::CryptoRng;

use crate::{
    error::SyncError,
    live::Links,
    sketch::{Entry, Fingerprint, Keys, LogSum, Salt, Sketch},
};

/// How long a salt of ours is used.
const SALT_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How soon a salt may be given up for another one: each costs a look at every log.
const SALT_REST: Duration = Duration::from_secs(10);

/// How many sketches are kept: of our own salt, and of those of peers met lately.
const MAX_SKETCHES: usize = 16;

/// How many changes are remembered for sessions that are about to look at them.
const MAX_CHANGES: usize = 8192;

/// The most logs of one festival that are compared.
pub(crate) const MAX_LOGS: usize = 1 << 20;

/// The sketches of one replica's festivals, which follow what becomes durable there, at a cost for
/// each log that grows and not for each that is held.
///
/// They belong to one [`Replica`], and go along with it to every call of a
/// [`Session`](crate::Session); a [`Node`](crate::Node) does that by itself. A festival is read
/// once, when it is first compared; opening a replica anew reads it again.
#[derive(Debug)]
pub struct Sketches {
    secret: [u8; 32],
    drawn: u64,
    salt: Option<(Salt, Duration)>,
    maps: BTreeMap<FestivalId, Map>,
    sketches: BTreeMap<(FestivalId, Salt), (Sketch, u64)>,
    uses: u64,
    cursor: u64,
    changes: VecDeque<Change>,
    changes_end: u64,
    expected: u64,
    /// What live links share goes along, as it belongs to the same replica.
    pub(crate) links: Links,
}

/// A festival's logs, as far as they are durable.
#[derive(Debug, Default)]
struct Map {
    logs: BTreeMap<LogId, Entry>,
    sum: LogSum,
}

/// A log that has changed, and how long it was before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) festival: FestivalId,
    pub(crate) log: LogId,
    pub(crate) before: u64,
}

impl Sketches {
    /// Of a replica. `rng` is for a secret that all salts derive from.
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        let mut secret = [0; 32];
        rng.fill_bytes(&mut secret);
        Self {
            secret,
            drawn: 0,
            salt: None,
            maps: BTreeMap::new(),
            sketches: BTreeMap::new(),
            uses: 0,
            cursor: 0,
            changes: VecDeque::new(),
            changes_end: 0,
            expected: 0,
            links: Links::default(),
        }
    }

    /// How many logs differed in the last session, as far as that is known.
    pub(crate) const fn expected(&self) -> u64 {
        self.expected
    }

    pub(crate) const fn expect(&mut self, differences: u64) {
        self.expected = differences;
    }

    /// The salt under which we encode.
    pub(crate) fn salt(&mut self, now: Duration) -> Salt {
        match self.salt {
            Some((salt, since)) if now.saturating_sub(since) < SALT_LIFETIME => salt,
            _ => self.draw_salt(now),
        }
    }

    /// Another salt, unless ours is still new.
    pub(crate) fn fresh_salt(&mut self, now: Duration) -> Option<Salt> {
        let rested = self.salt.is_none_or(|(_, since)| now.saturating_sub(since) >= SALT_REST);
        (rested || self.drawn < 2).then(|| self.draw_salt(now))
    }

    fn draw_salt(&mut self, now: Duration) -> Salt {
        self.drawn += 1;
        let mut hasher = blake3::Hasher::new_derive_key("p2panda 1 sketch salt");
        hasher.update(&self.secret).update(&self.drawn.to_be_bytes());
        let mut salt = [0; 8];
        hasher.finalize_xof().fill(&mut salt);
        self.salt = Some((Salt(salt), now));
        Salt(salt)
    }

    /// The sketch of a festival under a salt, as of now.
    pub(crate) fn sketch(
        &mut self,
        replica: &Replica,
        festival: FestivalId,
        salt: Salt,
    ) -> Result<&mut Sketch, SyncError> {
        self.follow(replica)?;
        self.uses += 1;
        let key = (festival, salt);
        if !self.sketches.contains_key(&key) {
            self.make_room();
            let map = self.map(replica, festival)?;
            let sketch = Sketch::new(Keys::new(salt, &festival), &map.logs);
            self.sketches.insert(key, (sketch, 0));
        }
        let (sketch, last_use) =
            self.sketches.get_mut(&key).expect("it is there, or was just made");
        *last_use = self.uses;
        Ok(sketch)
    }

    /// Drops the sketch that was not used for longest, our own salt's last.
    fn make_room(&mut self) {
        if self.sketches.len() < MAX_SKETCHES {
            return;
        }
        let own = self.salt.map(|(own, _)| own);
        let oldest = self
            .sketches
            .iter()
            .min_by_key(|((_, salt), (_, last_use))| (Some(*salt) == own, *last_use))
            .map(|(oldest, _)| *oldest);
        oldest.and_then(|oldest| self.sketches.remove(&oldest));
    }

    /// The fingerprint of a festival's logs, as of now.
    pub(crate) fn fingerprint(
        &mut self,
        replica: &Replica,
        festival: FestivalId,
    ) -> Result<Fingerprint, SyncError> {
        self.fingerprint_without(replica, festival, [])
    }

    /// The fingerprint of a festival's logs without some of them.
    pub(crate) fn fingerprint_without<'a>(
        &mut self,
        replica: &Replica,
        festival: FestivalId,
        logs: impl IntoIterator<Item = &'a LogId>,
    ) -> Result<Fingerprint, SyncError> {
        self.follow(replica)?;
        let map = self.map(replica, festival)?;
        let mut sum = map.sum.clone();
        for log in logs {
            map.logs.get(log).iter().for_each(|entry| sum.subtract(log, entry));
        }
        Ok(sum.fingerprint())
    }

    /// The state of a log, as of now.
    pub(crate) fn entry(
        &mut self,
        replica: &Replica,
        festival: FestivalId,
        log: &LogId,
    ) -> Result<Option<Entry>, SyncError> {
        self.follow(replica)?;
        Ok(self.map(replica, festival)?.logs.get(log).copied())
    }

    /// Where followers of [`changes`](Self::changes) start.
    pub(crate) fn cursor(&mut self, replica: &Replica) -> Result<u64, SyncError> {
        self.follow(replica)?;
        Ok(self.changes_end)
    }

    /// Logs that have changed since a cursor, oldest first, and the new cursor; of festivals that
    /// were compared at least once. `None` where the cursor is too old: compare again.
    pub(crate) fn changes(
        &mut self,
        replica: &Replica,
        since: u64,
    ) -> Result<(Option<Vec<Change>>, u64), SyncError> {
        self.follow(replica)?;
        let new = usize::try_from(self.changes_end.saturating_sub(since)).unwrap_or(usize::MAX);
        let skip = self.changes.len().checked_sub(new);
        let changes = skip.map(|skip| self.changes.iter().skip(skip).copied().collect());
        Ok((changes, self.changes_end))
    }

    fn map(&mut self, replica: &Replica, festival: FestivalId) -> Result<&Map, SyncError> {
        match self.maps.entry(festival) {
            btree_map::Entry::Occupied(map) => Ok(map.into_mut()),
            btree_map::Entry::Vacant(free) => {
                let mut map = Map { logs: logs(replica, festival)?, sum: LogSum::default() };
                map.logs.iter().for_each(|(log, entry)| map.sum.add(log, entry));
                Ok(free.insert(map))
            }
        }
    }

    /// Takes in what has become durable since the last time.
    fn follow(&mut self, replica: &Replica) -> Result<(), SyncError> {
        if replica.log_cursor() == self.cursor {
            return Ok(());
        }
        if let Some((changes, cursor)) = replica.log_changes(self.cursor) {
            for (festival, log) in changes {
                if self.maps.contains_key(&festival) {
                    self.set(festival, log, entry(replica, &log)?);
                }
            }
            self.cursor = cursor;
            return Ok(());
        }
        for festival in self.maps.keys().copied().collect::<Vec<_>>() {
            let now = logs(replica, festival)?;
            let before = self.maps.get(&festival).map(|map| map.logs.clone()).unwrap_or_default();
            for log in before.keys().filter(|log| !now.contains_key(log)) {
                self.set(festival, *log, None);
            }
            for (log, entry) in now {
                self.set(festival, log, Some(entry));
            }
        }
        self.cursor = replica.log_cursor();
        Ok(())
    }

    fn set(&mut self, festival: FestivalId, log: LogId, new: Option<Entry>) {
        let Some(map) = self.maps.get_mut(&festival) else { return };
        let old = match new {
            Some(new) => map.logs.insert(log, new),
            None => map.logs.remove(&log),
        };
        if old == new {
            return;
        }
        old.iter().for_each(|old| map.sum.subtract(&log, old));
        new.iter().for_each(|new| map.sum.add(&log, new));
        for ((of, _), (sketch, _)) in &mut self.sketches {
            if *of == festival {
                sketch.set(&log, old.as_ref(), new.as_ref());
            }
        }
        let before = old.map_or(0, |old| old.tip.length);
        self.changes.push_back(Change { festival, log, before });
        self.changes_end += 1;
        if self.changes.len() > MAX_CHANGES {
            self.changes.pop_front();
        }
    }
}

/// The durable state of a log; `None` where there is nothing to tell of it.
fn entry(replica: &Replica, log: &LogId) -> Result<Option<Entry>, SyncError> {
    let Some(tip) = replica.tip(log)? else { return Ok(None) };
    let cut = replica.fork_proof(log)?.is_some();
    Ok((tip.length > 0 || cut).then_some(Entry { tip, cut }))
}

fn logs(replica: &Replica, festival: FestivalId) -> Result<BTreeMap<LogId, Entry>, SyncError> {
    let mut logs: BTreeMap<_, _> =
        replica.logs(festival)?.into_iter().map(|(log, tip)| (log, Entry::new(tip))).collect();
    for fork in replica.forks(festival)? {
        if let Some(entry) = logs.get_mut(&fork.log) {
            entry.cut = true;
        }
    }
    logs.retain(|_, entry| entry.tip.length > 0 || entry.cut);
    if logs.len() > MAX_LOGS {
        return Err(SyncError::TooManyLogs { logs: logs.len() });
    }
    Ok(logs)
}
