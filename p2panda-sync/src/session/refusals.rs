//! Logs that one of the two sides refuses: told at once, left out of what is compared, and offered
//! again when their time is over.
//!
//! Who refuses says so in a `REFUSE`, with keys and for how long: right behind its `HELLO` or `OPEN`
//! what it has refused since it told this peer last, and later what it refuses when it is offered.
//! Who is refused remembers it for its peer and compares as if it did not hold these logs.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use p2panda_core::{DocumentDescriptor, FestivalId, LogId, UserId};

use super::{Context, exchange::Exchange, greeting::BUSY, report::SyncEvent};
use crate::{
    admission::NewLog,
    error::{PeerFault, SyncError},
    peers::MAX_REFUSAL,
    sketch::{Fp, Keys},
    wire::{Message, Refuse, Stand, Wants, read_keys, write_keys},
};

/// How many logs of a festival a peer is told of at the beginning; of more it hears when it offers
/// them.
const MAX_TOLD: usize = 1600;

/// How many logs may be refused in one session.
const MAX_REFUSED: usize = 65_536;

/// How long a blocked user's logs are refused. It is said again in every session.
const BLOCKED: Duration = Duration::from_secs(60 * 60);

/// What the two sides refuse.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// By the peer, until when.
    pub(super) theirs: BTreeMap<LogId, Duration>,
    /// By us, as the peer was told in this session.
    ours: BTreeMap<LogId, Duration>,
    /// What the peer is about to be told, by place and seconds.
    untold: BTreeMap<(u64, Option<u64>), Vec<Fp>>,
    /// The short keys of all that we refuse, by place, under its present salt; made when needed.
    keys: BTreeMap<u64, BTreeSet<u64>>,
}

/// A log that may come in; where it is new, it counts when it has.
#[must_use]
pub(super) struct Entrance(Option<(NewLog, UserId)>);

impl Entrance {
    pub(super) fn passed(&self, cx: &mut Context<'_>) {
        if let Some((new, user)) = &self.0 {
            cx.sketches.gate.admitted(new, *user);
        }
    }
}

impl Refusals {
    pub(super) fn new(theirs: BTreeMap<LogId, Duration>) -> Self {
        Self { theirs, ..Self::default() }
    }

    /// Whether one of the two refuses a log.
    pub(super) fn contains(&self, log: &LogId, now: Duration) -> bool {
        let ours = self.ours.get(log);
        self.theirs.contains_key(log) || ours.is_some_and(|until| *until > now)
    }

    /// All that one of us has refused in this session.
    pub(super) fn all(&self) -> impl Iterator<Item = &LogId> {
        self.theirs.keys().chain(self.ours.keys())
    }

    /// Whether one of us has refused it in this session.
    pub(super) fn concern(&self, log: &LogId) -> bool {
        self.theirs.contains_key(log) || self.ours.contains_key(log)
    }

    /// The keys of what the peer refuses, for comparing without it.
    pub(super) fn left_out(&self, keys: &Keys) -> BTreeSet<Fp> {
        self.theirs.keys().map(|log| keys.key(log)).collect()
    }

    /// A place has another salt.
    pub(super) fn forget_keys(&mut self, place: u64) {
        self.keys.remove(&place);
    }

    pub(super) fn is_told(&self) -> bool {
        self.untold.is_empty()
    }

    /// The next `REFUSE`.
    pub(super) fn next_to_tell(&mut self) -> Option<Message> {
        let mut entry = self.untold.first_entry()?;
        let (place, seconds) = *entry.key();
        let keys = entry.get_mut();
        let some = keys.split_off(keys.len().saturating_sub(Wants::MAX));
        if keys.is_empty() {
            entry.remove();
        }
        Some(refuse(place, &some, seconds))
    }

    /// The next moment at which the peer does not refuse something any more.
    pub(super) fn next_end(&self) -> Option<Duration> {
        self.theirs.values().min().copied().filter(|end| *end < Duration::MAX)
    }
}

/// What a peer is told at the beginning of a session: what is refused here of a festival.
pub(super) fn refusals_to_tell(
    place: u64,
    festival: FestivalId,
    keys: &Keys,
    told: Option<Duration>,
    cx: &Context<'_>,
) -> Result<Vec<Message>, SyncError> {
    let mut by_seconds: BTreeMap<u64, Vec<Fp>> = BTreeMap::new();
    let mut room = MAX_TOLD;
    let mut add = |seconds: u64, log: &LogId| {
        if room > 0 {
            room -= 1;
            by_seconds.entry(seconds).or_default().push(keys.key(log));
        }
    };
    for blocked in cx.replica.blocked_logs(festival)? {
        add(if blocked.is_blocked { BLOCKED.as_secs() } else { 0 }, &blocked.log);
    }
    for (log, since, until) in cx.sketches.gate.refused(festival, cx.peer, cx.now) {
        if told.is_none_or(|told| since >= told) {
            add(seconds_until(until, cx.now), &log);
        }
    }
    let mut messages = Vec::new();
    for (seconds, keys) in by_seconds {
        messages.extend(keys.chunks(Wants::MAX).map(|some| refuse(place, some, Some(seconds))));
    }
    Ok(messages)
}

fn refuse(place: u64, keys: &[Fp], seconds: Option<u64>) -> Message {
    Message::Refuse(Refuse { place, keys: write_keys(keys.iter().copied()).into(), seconds })
}

/// Rounded up: who comes back then does not come too early.
fn seconds_until(until: Duration, now: Duration) -> u64 {
    let left = until.saturating_sub(now);
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}

impl Exchange {
    /// Tells the peer that there is nothing to give of these logs now, which says nothing of later.
    pub(super) fn deny(&mut self, place: u64, keys: Vec<Fp>) {
        if !keys.is_empty() {
            self.refusals.untold.entry((place, Some(0))).or_default().extend(keys);
        }
    }

    /// Refuses a log that the peer offers, and says so once; without an end for this session alone.
    pub(super) fn refuse_log(
        &mut self,
        festival: FestivalId,
        log: LogId,
        until: Duration,
        now: Duration,
    ) -> Result<(), SyncError> {
        let Some((place, key)) = self.key_of(festival, &log) else { return Ok(()) };
        self.wishes.drop(place, key);
        let Refusals { ours, untold, keys, .. } = &mut self.refusals;
        if ours.len() >= MAX_REFUSED && !ours.contains_key(&log) {
            return Err(SyncError::Busy { retry_after: BUSY });
        }
        let told = ours.insert(log, until).is_some_and(|told| told > now);
        keys.entry(place).or_default().insert(Stand::short(key));
        if !told {
            let seconds = (until < Duration::MAX).then(|| seconds_until(until, now));
            untold.entry((place, seconds)).or_default().push(key);
        }
        Ok(())
    }

    pub(super) fn refuse_blocked(
        &mut self,
        festival: FestivalId,
        log: LogId,
        now: Duration,
    ) -> Result<(), SyncError> {
        self.refuse_log(festival, log, now.saturating_add(BLOCKED), now)
    }

    /// Whether a log may come in. `None` says that it may not, which the peer is told; of one that
    /// is held, or refused whatever the number, nothing needs to be asked.
    pub(super) fn admit(
        &mut self,
        descriptor: &DocumentDescriptor,
        log: LogId,
        cx: &mut Context<'_>,
    ) -> Result<Option<Entrance>, SyncError> {
        let DocumentDescriptor { festival, user, .. } = descriptor;
        if cx.replica.held(&log)?.is_some() || cx.replica.is_blocked(user)? {
            return Ok(Some(Entrance(None)));
        }
        let is_new_document = cx.replica.descriptor(&log.document)?.is_none();
        let new = NewLog {
            log,
            is_new_document,
            is_new_user: is_new_document && !cx.replica.holds_any_of(*festival, user)?,
            is_own: *user == cx.replica.user(),
            peer: cx.peer,
            now: cx.now,
        };
        if let Some(until) = cx.sketches.gate.refuses(&new, descriptor) {
            self.refuse_log(*festival, log, until, cx.now)?;
            return Ok(None);
        }
        Ok(Some(Entrance(Some((new, *user)))))
    }

    /// Whether a log that is not known here is one that we refuse, by its key.
    pub(super) fn refuses_key(
        &mut self,
        place: u64,
        key: Fp,
        cx: &Context<'_>,
    ) -> Result<bool, SyncError> {
        let Some(common) = self.commons.get(&place) else { return Ok(false) };
        if let std::collections::btree_map::Entry::Vacant(free) = self.refusals.keys.entry(place) {
            let gate = &cx.sketches.gate;
            let blocked = cx.replica.blocked_logs(common.festival)?;
            let blocked = blocked.iter().filter(|blocked| blocked.is_blocked);
            let refused = gate.refused(common.festival, cx.peer, cx.now).map(|(log, ..)| log);
            let all = blocked.map(|blocked| blocked.log).chain(refused);
            free.insert(all.map(|log| Stand::short(common.keys.key(&log))).collect());
        }
        let keys = self.refusals.keys.get(&place);
        Ok(keys.is_some_and(|keys| keys.contains(&Stand::short(key))))
    }

    /// The peer neither takes nor gives these logs.
    pub(super) fn take_refusal(
        &mut self,
        refuse: &Refuse,
        cx: &mut Context<'_>,
    ) -> Result<(), SyncError> {
        let place = refuse.place;
        let keys = read_keys(&refuse.keys).ok_or(PeerFault::Message("REFUSE"))?;
        // The accepting side tells before it knows which festivals are in common.
        let Some(common) = self.commons.get(&place) else { return Ok(()) };
        let festival = common.festival;
        let until = refuse.seconds.map_or(Duration::MAX, |seconds| {
            cx.now.saturating_add(Duration::from_secs(seconds).min(MAX_REFUSAL))
        });
        let mut news = false;
        for key in keys {
            if self.wishes.drop(place, key) {
                self.withheld.insert(place);
            }
            let Some(common) = self.commons.get_mut(&place) else { break };
            let Some(log) = common.sketch(cx)?.log(key) else { continue };
            if refuse.seconds == Some(0) {
                if self.refusals.theirs.contains_key(&log) {
                    self.taken_again(log, cx);
                    self.offer(log, cx)?;
                }
                continue;
            }
            self.push.remove(&log);
            self.prove.remove(&log);
            if let Some(peer) = cx.peer.filter(|_| refuse.seconds.is_some()) {
                cx.sketches.peers.refuse(&peer, festival, log, until, cx.now);
            }
            if self.refusals.theirs.insert(log, until).is_none() {
                news = true;
                cx.report.event(SyncEvent::Refused { festival, log });
            }
        }
        if news {
            self.compare_without(place, cx)?;
        }
        Ok(())
    }

    /// The peer holds a log, or wants it, so it does not refuse it.
    pub(super) fn taken_again(&mut self, log: LogId, cx: &mut Context<'_>) {
        if self.refusals.theirs.remove(&log).is_some()
            && let Some(peer) = &cx.peer
        {
            cx.sketches.peers.take_back(peer, &log);
        }
    }

    /// Offers again what the peer does not refuse any more.
    pub(super) fn offer_again(&mut self, cx: &mut Context<'_>) -> Result<(), SyncError> {
        if self.refusals.next_end().is_none_or(|end| end > cx.now) {
            return Ok(());
        }
        let over = self.refusals.theirs.iter().filter(|(_, until)| **until <= cx.now);
        for log in over.map(|(log, _)| *log).collect::<Vec<_>>() {
            self.taken_again(log, cx);
            if self.is_live() {
                self.offer(log, cx)?;
            }
        }
        Ok(())
    }

    /// Pushes all of a log that the peer does not hold.
    fn offer(&mut self, log: LogId, cx: &mut Context<'_>) -> Result<(), SyncError> {
        let Some(festival) = self.festival_of(&log.document, cx)? else { return Ok(()) };
        if let Some(entry) = cx.sketches.entry(cx.replica, festival, &log)? {
            self.peer_holds(log, 0);
            if entry.tip.length == 0 {
                self.prove.insert(log);
            } else {
                self.push.insert(log);
            }
        }
        Ok(())
    }
}
