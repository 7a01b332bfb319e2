//! The sketches of one replica, kept for all of its sessions.

mod stored;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use p2panda_core::{FestivalId, LogEntry, LogId, Replica};
use rand_core::CryptoRng;

use crate::{
    admission::{Admission, Gate, Quotas},
    error::SyncError,
    live::Links,
    peers::Peers,
    session::EarlyBytes,
    sketch::{Entry, Fingerprint, Keys, LogSum, Salt, Sketch, Sums},
};

/// How long a salt of ours is used.
const SALT_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How soon a salt may be given up for another one: each costs a look at every log.
const SALT_REST: Duration = Duration::from_secs(10);

/// Under how many salts of peers, those met lately, sketches are kept, besides our own.
const MAX_SALTS: usize = 16;

/// How many changes are remembered for sessions that are about to look at them.
const MAX_CHANGES: usize = 8192;

/// The most logs of one festival that are compared.
pub(crate) const MAX_LOGS: usize = 1 << 20;

/// The sketches of one replica's festivals, which follow what becomes durable there, at a cost for
/// each log that grows and not for each that is held.
///
/// They belong to one [`Replica`], and go along with it to every call of a
/// [`Session`](crate::Session); a [`Node`](crate::Node) does that by itself. What is
/// [kept](Self::keep) with the replica is gone on with after an opening. Otherwise a festival is read
/// once, when it is first compared; and so are its logs when one that differs has to be found.
#[derive(Debug)]
pub struct Sketches {
    secret: [u8; 32],
    drawn: u64,
    salt: Option<UsedSalt>,
    maps: BTreeMap<FestivalId, Map>,
    sketches: BTreeMap<(FestivalId, Salt), Kept>,
    uses: u64,
    /// How often all sketches were given up, because too much had changed to follow it.
    given_up: u64,
    /// Whether what the replica has kept was looked at, and whether there is more to keep.
    is_loaded: bool,
    is_changed: bool,
    kept_at: Option<Duration>,
    cursor: u64,
    changes: VecDeque<Change>,
    changes_end: u64,
    expected: u64,
    /// What goes along with them, as it is the replica's too and not a session's: what live links
    /// share, what is remembered of peers, and what new is taken in.
    pub(crate) links: Links,
    pub(crate) peers: Peers,
    pub(crate) gate: Gate,
    /// What sessions hold that came too early.
    pub(crate) early: EarlyBytes,
}

/// Our salt, since when it is used here, and how long before that.
#[derive(Clone, Copy, Debug)]
struct UsedSalt {
    salt: Salt,
    since: Option<Duration>,
    before: Duration,
}

impl UsedSalt {
    fn age(&self, now: Duration) -> Duration {
        self.before + now.saturating_sub(self.since.unwrap_or(now))
    }
}

/// A festival's logs, as far as they are durable.
#[derive(Debug)]
struct Map {
    /// The logs themselves, once they were needed.
    logs: Option<BTreeMap<LogId, Entry>>,
    sum: LogSum,
    len: usize,
    /// The version of the logs of which the replica keeps this.
    kept: Option<u64>,
}

/// A sketch, or as much of it as answers a peer that holds the same.
#[derive(Debug)]
struct Kept {
    form: Form,
    last_use: u64,
}

#[derive(Debug)]
enum Form {
    Sums(Sums),
    Whole(Sketch),
}

impl Kept {
    const fn sums(&self) -> &Sums {
        match &self.form {
            Form::Sums(sums) => sums,
            Form::Whole(sketch) => sketch.sums(),
        }
    }
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
            given_up: 0,
            is_loaded: false,
            is_changed: false,
            kept_at: None,
            cursor: 0,
            changes: VecDeque::new(),
            changes_end: 0,
            expected: 0,
            links: Links::default(),
            peers: Peers::default(),
            gate: Gate::default(),
            early: EarlyBytes::default(),
        }
    }

    /// What is remembered of peers.
    pub const fn peers(&mut self) -> &mut Peers {
        &mut self.peers
    }

    /// Limits how fast new users and logs are taken in.
    pub const fn set_quotas(&mut self, quotas: Quotas) {
        self.gate.quotas = quotas;
    }

    /// Asks an application about every new document.
    pub fn set_admission(&mut self, admission: impl Admission + 'static) {
        self.gate.admission = Some(Box::new(admission));
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
        match &mut self.salt {
            Some(used) if used.age(now) < SALT_LIFETIME => {
                // The next opening has to know that this one used it.
                self.is_changed |= used.since.is_none();
                used.since.get_or_insert(now);
                used.salt
            }
            _ => self.draw_salt(now),
        }
    }

    /// Another salt, unless ours is still new.
    pub(crate) fn fresh_salt(&mut self, now: Duration) -> Option<Salt> {
        let rested = self.salt.is_none_or(|used| used.age(now) >= SALT_REST);
        (rested || self.drawn < 2).then(|| self.draw_salt(now))
    }

    fn draw_salt(&mut self, now: Duration) -> Salt {
        self.drawn += 1;
        let mut hasher = blake3::Hasher::new_derive_key("p2panda 1 sketch salt");
        hasher.update(&self.secret).update(&self.drawn.to_be_bytes());
        let mut salt = [0; 8];
        hasher.finalize_xof().fill(&mut salt);
        let salt = Salt(salt);
        self.salt = Some(UsedSalt { salt, since: Some(now), before: Duration::ZERO });
        self.is_changed = true;
        salt
    }

    /// The sums of a festival under a salt, as of now, with at least so many syndromes.
    pub(crate) fn sums(
        &mut self,
        replica: &Replica,
        festival: FestivalId,
        salt: Salt,
        syndromes: usize,
    ) -> Result<&Sums, SyncError> {
        self.map(replica, festival)?;
        let key = (festival, salt);
        let kept = self.sketches.get(&key).map(Kept::sums);
        if kept.is_none_or(|sums| sums.syndromes(syndromes).is_none()) {
            self.sketch(replica, festival, salt)?.syndromes(syndromes);
        }
        self.uses += 1;
        let kept = self.sketches.get_mut(&key).expect("it is there, or was just made");
        kept.last_use = self.uses;
        Ok(kept.sums())
    }

    /// The sketch of a festival under a salt, as of now.
    pub(crate) fn sketch(
        &mut self,
        replica: &Replica,
        festival: FestivalId,
        salt: Salt,
    ) -> Result<&mut Sketch, SyncError> {
        self.map(replica, festival)?;
        self.uses += 1;
        self.is_changed = true;
        let key = (festival, salt);
        let sums = match self.sketches.get(&key).map(|kept| &kept.form) {
            Some(Form::Whole(_)) => None,
            Some(Form::Sums(sums)) => Some(Some(sums.clone())),
            None => {
                self.make_room(salt);
                Some(None)
            }
        };
        if let Some(sums) = sums {
            let version = self.given_up << 32;
            let logs = self.logs(replica, festival)?;
            let sketch = match sums {
                Some(sums) => Sketch::complete(sums, logs),
                None => {
                    let mut sketch = Sketch::new(Keys::new(salt, &festival), logs);
                    sketch.sums_mut().begin(version);
                    sketch
                }
            };
            self.sketches.insert(key, Kept { form: Form::Whole(sketch), last_use: 0 });
        }
        match self.sketches.get_mut(&key) {
            Some(Kept { form: Form::Whole(sketch), last_use }) => {
                *last_use = self.uses;
                Ok(sketch)
            }
            _ => unreachable!("it is there, or was just made"),
        }
    }

    /// Drops the sketches under the salt that was not used for longest, where a new one is one too
    /// many. Those of our own salt stay.
    fn make_room(&mut self, new: Salt) {
        let own = self.salt.map(|used| used.salt);
        let mut foreign: BTreeMap<Salt, u64> = BTreeMap::new();
        for ((_, salt), kept) in self.sketches.iter().filter(|((_, salt), _)| Some(*salt) != own) {
            let last_use = foreign.entry(*salt).or_default();
            *last_use = kept.last_use.max(*last_use);
        }
        if Some(new) == own || foreign.contains_key(&new) || foreign.len() < MAX_SALTS {
            return;
        }
        let oldest = foreign.into_iter().min_by_key(|(_, last_use)| *last_use);
        self.sketches.retain(|(_, salt), _| oldest.is_none_or(|(oldest, _)| *salt != oldest));
        // What is made again in its place is not what was told of it.
        self.given_up += 1;
    }

    /// The fingerprint of a festival's logs without some of them, as of now.
    pub(crate) fn fingerprint_without<'a>(
        &mut self,
        replica: &Replica,
        festival: FestivalId,
        logs: impl IntoIterator<Item = &'a LogId>,
    ) -> Result<Fingerprint, SyncError> {
        let mut sum = self.map(replica, festival)?.sum.clone();
        for log in logs {
            if let Some(entry) = self.entry(replica, festival, log)? {
                sum.subtract(log, &entry);
            }
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
        match &self.map(replica, festival)?.logs {
            Some(logs) => Ok(logs.get(log).copied()),
            None => match replica.descriptor(&log.document)? {
                Some(descriptor) if descriptor.festival == festival => {
                    Ok(replica.log_entry(log)?.map(read))
                }
                _ => Ok(None),
            },
        }
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

    /// What is known of a festival, as of now.
    fn map(&mut self, replica: &Replica, festival: FestivalId) -> Result<&Map, SyncError> {
        self.follow(replica)?;
        if !self.maps.contains_key(&festival) && !self.load_festival(replica, festival)? {
            let logs = logs(replica, festival)?;
            let mut sum = LogSum::default();
            logs.iter().for_each(|(log, entry)| sum.add(log, entry));
            self.maps.insert(festival, Map { len: logs.len(), logs: Some(logs), sum, kept: None });
            self.is_changed = true;
        }
        Ok(self.maps.get(&festival).expect("it is there, or was just made"))
    }

    /// The logs of a festival that is known.
    fn logs(
        &mut self,
        replica: &Replica,
        festival: FestivalId,
    ) -> Result<&BTreeMap<LogId, Entry>, SyncError> {
        let map = self.maps.get_mut(&festival).expect("it was looked at");
        if map.logs.is_none() {
            map.logs = Some(logs(replica, festival)?);
        }
        Ok(map.logs.get_or_insert_default())
    }

    /// Takes in what has become durable since the last time.
    pub(crate) fn follow(&mut self, replica: &Replica) -> Result<(), SyncError> {
        if !self.is_loaded {
            self.load(replica)?;
        }
        if replica.log_cursor() == self.cursor {
            return Ok(());
        }
        let Some((changes, cursor)) = replica.log_changes(self.cursor) else {
            // Too much to be followed: everything is read again when it is needed.
            self.maps.clear();
            self.given_up += u64::from(!self.sketches.is_empty());
            self.sketches.clear();
            self.changes.clear();
            self.changes_end += 1;
            self.is_changed = true;
            self.cursor = replica.log_cursor();
            return Ok(());
        };
        let mut seen = BTreeSet::new();
        for change in changes {
            // Where a log has changed several times, what it was before the first is what we have.
            if self.maps.contains_key(&change.festival) && seen.insert(change.log) {
                let new = replica.log_entry(&change.log)?.map(read);
                self.set(change.festival, change.log, change.before.map(read), new);
            }
        }
        self.cursor = cursor;
        Ok(())
    }

    fn set(&mut self, festival: FestivalId, log: LogId, old: Option<Entry>, new: Option<Entry>) {
        let Some(map) = self.maps.get_mut(&festival) else { return };
        if old == new {
            return;
        }
        if let Some(logs) = &mut map.logs {
            let known = match new {
                Some(new) => logs.insert(log, new),
                None => logs.remove(&log),
            };
            debug_assert_eq!(known, old, "the replica says what was durable before");
        }
        map.len = map.len + usize::from(new.is_some()) - usize::from(old.is_some());
        old.iter().for_each(|old| map.sum.subtract(&log, old));
        new.iter().for_each(|new| map.sum.add(&log, new));
        for ((of, _), kept) in &mut self.sketches {
            if *of == festival {
                match &mut kept.form {
                    Form::Sums(sums) => sums.set(&log, old.as_ref(), new.as_ref()),
                    Form::Whole(sketch) => sketch.set(&log, old.as_ref(), new.as_ref()),
                }
            }
        }
        self.is_changed = true;
        let before = old.map_or(0, |old| old.tip.length);
        self.changes.push_back(Change { festival, log, before });
        self.changes_end += 1;
        if self.changes.len() > MAX_CHANGES {
            self.changes.pop_front();
        }
    }
}

/// The durable state of a log; `None` where there is nothing to tell of it.
pub(crate) fn entry(replica: &Replica, log: &LogId) -> Result<Option<Entry>, SyncError> {
    Ok(replica.log_entry(log)?.map(read))
}

const fn read(entry: LogEntry) -> Entry {
    Entry { tip: entry.tip, cut: entry.is_cut }
}

fn logs(replica: &Replica, festival: FestivalId) -> Result<BTreeMap<LogId, Entry>, SyncError> {
    let logs: BTreeMap<_, _> =
        replica.log_entries(festival)?.into_iter().map(|(log, entry)| (log, read(entry))).collect();
    if logs.len() > MAX_LOGS {
        return Err(SyncError::TooManyLogs { logs: logs.len() });
    }
    Ok(logs)
}
