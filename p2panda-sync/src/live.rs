//! What the live links of one replica know of each other: how many there are, which of them asks for
//! what is missing, and when everything is compared again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use p2panda_core::{FestivalId, LogId};

/// Live links compare everything again after so long at first, and where something was missing; and
/// each time twice as long, up to so long.
const OFTEN: Duration = Duration::from_secs(5);
const RARELY: Duration = Duration::from_secs(600);

/// How many times as long it takes while energy is to be saved.
const SAVING: u32 = 6;

/// How long the others wait for what one link asked for before they ask as well.
const RETRY: Duration = Duration::from_secs(2);

/// How many questions are remembered.
const MAX_ASKED: usize = 4096;

/// What one link asks for, and the others do not meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Missing {
    /// What follows in a log.
    Log(LogId),
    /// Logs that are not known. Every link has its own keys for them, so one link at a time asks.
    Unknown(FestivalId),
}

#[derive(Debug, Default)]
pub(crate) struct Links {
    /// Each live link has a handle for each of its festivals.
    links: BTreeMap<FestivalId, Arc<()>>,
    next_id: u64,
    /// Which link asked, and until when the others wait.
    asked: BTreeMap<Missing, (u64, Duration)>,
    rhythm: Rhythm,
    /// Everything is pushed over every link.
    flooding: bool,
}

/// When everything is compared again. All links do it together, so that they wake a device once.
#[derive(Debug, Default)]
struct Rhythm {
    beat: u64,
    /// In how many doublings of the shortest time.
    doubled: u32,
    due: Option<Duration>,
    saving: bool,
}

impl Links {
    /// A number for one more link.
    pub(crate) const fn number(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// A link counts for a festival as long as it keeps what this returns: it may be dropped at any
    /// moment, without a word.
    pub(crate) fn join(&mut self, festival: FestivalId) -> Arc<()> {
        Arc::clone(self.links.entry(festival).or_default())
    }

    /// How many live links a festival has.
    pub(crate) fn count(&self, festival: &FestivalId) -> usize {
        self.links.get(festival).map_or(0, |handle| Arc::strong_count(handle) - 1)
    }

    /// Whether a link may ask for what is missing; otherwise, when to look again.
    pub(crate) fn may_ask(
        &mut self,
        missing: Missing,
        link: u64,
        now: Duration,
    ) -> Result<(), Duration> {
        if let Some((by, until)) = self.asked.get(&missing) {
            // After that it is first the turn of the others, or a peer that tells of what it does
            // not send could hold off all of them.
            let turn = if *by == link { *until + RETRY / 2 } else { *until };
            if *by == link && now < *until {
                return Ok(());
            }
            if now < turn {
                return Err(turn);
            }
        }
        if self.asked.len() >= MAX_ASKED {
            self.asked.retain(|_, (_, until)| *until > now);
        }
        let patience = match missing {
            Missing::Log(_) => RETRY,
            Missing::Unknown(_) => RETRY / 4,
        };
        self.asked.insert(missing, (link, now + patience));
        Ok(())
    }

    /// The number of the comparison that links should have made by now, and when the next one is due.
    pub(crate) fn beat(&mut self, now: Duration) -> (u64, Duration) {
        let due = self.rhythm.due.unwrap_or_else(|| now + self.rhythm.interval());
        self.rhythm.due = Some(due);
        if now < due {
            return (self.rhythm.beat, due);
        }
        self.rhythm.beat += 1;
        self.rhythm.doubled = (self.rhythm.doubled + 1).min(16);
        (self.rhythm.beat, self.rhythm.restart(now))
    }

    /// Something had to be asked for that should have been pushed: it is worth looking again soon.
    pub(crate) fn differed(&mut self, now: Duration) {
        self.rhythm.doubled = 0;
        let soon = now + self.rhythm.interval();
        if self.rhythm.due.is_none_or(|due| due > soon) {
            self.rhythm.due = Some(soon);
        }
    }

    pub(crate) fn set_saving(&mut self, saving: bool, now: Duration) {
        if self.rhythm.saving != saving {
            self.rhythm.saving = saving;
            self.rhythm.restart(now);
        }
    }

    pub(crate) const fn is_flooding(&self) -> bool {
        self.flooding
    }

    #[cfg(feature = "sim")]
    pub(crate) const fn set_flooding(&mut self, flooding: bool) {
        self.flooding = flooding;
    }
}

impl Rhythm {
    fn interval(&self) -> Duration {
        let interval = OFTEN.saturating_mul(1 << self.doubled).min(RARELY);
        if self.saving { interval * SAVING } else { interval }
    }

    fn restart(&mut self, now: Duration) -> Duration {
        let due = now + self.interval();
        self.due = Some(due);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2panda_core::{DocumentId, Incarnation};

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn comparisons_become_rare_until_something_was_missing() {
        let mut links = Links::default();
        let (first, mut due) = links.beat(secs(0));
        assert_eq!((first, due), (0, secs(5)));
        assert_eq!(links.beat(secs(4)), (0, secs(5)), "not before it is due");
        let mut intervals = Vec::new();
        for beat in 1..=10 {
            let (number, next) = links.beat(due);
            assert_eq!(number, beat);
            intervals.push((next - due).as_secs());
            due = next;
        }
        assert_eq!(intervals, [10, 20, 40, 80, 160, 320, 600, 600, 600, 600]);
        let now = due - secs(300);
        links.differed(now);
        assert_eq!(links.beat(now), (10, now + secs(5)));
        assert_eq!(links.beat(now + secs(5)), (11, now + secs(15)));
    }

    #[test]
    fn a_low_battery_makes_them_rarer_still() {
        let mut links = Links::default();
        links.beat(secs(0));
        links.set_saving(true, secs(1));
        assert_eq!(links.beat(secs(1)), (0, secs(31)));
        links.set_saving(false, secs(2));
        assert_eq!(links.beat(secs(2)), (0, secs(7)));
    }

    #[test]
    fn one_link_asks_and_the_next_one_only_after_a_while() {
        let mut links = Links::default();
        let document = DocumentId::from_bytes([1; 32]);
        let incarnation = Incarnation::from_bytes([1; 8]);
        let missing = Missing::Log(LogId { document, incarnation });
        assert_eq!(links.may_ask(missing, 1, secs(10)), Ok(()));
        assert_eq!(links.may_ask(missing, 1, secs(10)), Ok(()), "the same link, for more of them");
        assert_eq!(links.may_ask(missing, 2, secs(11)), Err(secs(12)));
        assert_eq!(links.may_ask(missing, 2, secs(12)), Ok(()));
        assert_eq!(links.may_ask(missing, 1, secs(13)), Err(secs(14)));
        assert_eq!(links.may_ask(missing, 2, secs(13)), Ok(()), "which takes no more time for it");
        assert_eq!(links.may_ask(missing, 2, secs(14)), Err(secs(15)), "it was its turn");
        assert_eq!(links.may_ask(missing, 1, secs(14)), Ok(()));
    }

    #[test]
    fn a_link_counts_as_long_as_it_is_there() {
        let mut links = Links::default();
        let festival = FestivalId::from_bytes([1; 32]);
        assert_eq!(links.count(&festival), 0);
        let handles = [links.join(festival), links.join(festival)];
        assert_eq!(links.count(&festival), 2);
        drop(handles);
        assert_eq!(links.count(&festival), 0);
    }
}
