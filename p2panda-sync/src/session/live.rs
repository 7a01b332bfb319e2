//! A live link: how what one side learns reaches the other, and what else the two do while they wait.
//!
//! In each festival a link is eager at first: what changes is pushed over it at once. Where that
//! brings a peer what it holds already, there is a shorter way around, and it says `PRUNE`: the link
//! becomes lazy on both sides, and new heads are told in batches as `IHAVE`. So the eager links of
//! all peers thin out to a tree. What was told and does not come is asked for with `GRAFT`, of one
//! peer after the other, and that link is eager again. (This is Plumtree: Leitão, Pereira and
//! Rodrigues, "Epidemic Broadcast Trees", SRDS 2007. It needs no memory of messages here, as a head
//! is known if its chain value is ours at that length; if it is not, its author has signed two.)
//!
//! A peer that has no more than two live links in a festival never prunes: between two or three peers
//! every link stays eager.
//!
//! Now and then the accepting side sends its sketch again. Mostly that says that all is well, for
//! some 150 bytes. What differs may be on its way already, so it counts as told, and not as missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use p2panda_core::{FestivalId, LogId};

use super::{Context, budget, exchange::Exchange, outgoing::named, wishes::Wish};
use crate::{
    error::{PeerFault, SyncError},
    live::{Links, Missing},
    sketch::Fp,
    wire::{Head, Heads, Ihave, Message, Prune, Stand, Want},
};

/// How long new heads are collected before they are told. The accepting side takes twice as long:
/// mostly it hears by then that the peer has them too.
const COLLECT: Duration = Duration::from_millis(250);

/// How long what was told may take to come from elsewhere.
const GRAFT_AFTER: Duration = Duration::from_millis(750);

/// With so few live links nothing is gained by a tree.
const FEW_LINKS: usize = 2;

/// How many heads are remembered that were told and have not come; the next comparison knows more.
const MAX_MISSING: usize = 1024;

/// How many festivals are compared at once.
const MAX_COMPARED: usize = 8;

/// Where more differs in a comparison, it is not because it is on its way.
const MAX_PATIENT: usize = 64;

/// What a link that stays knows besides an exchange.
pub(super) struct Live {
    number: u64,
    /// Makes the link count, in each festival.
    _handles: Vec<Arc<()>>,
    /// The festivals in which heads are told here, not pushed.
    lazy: BTreeSet<u64>,
    /// Heads to be told, and when.
    news: BTreeSet<(u64, LogId)>,
    news_at: Option<Duration>,
    /// Up to where the peer was told of logs: it gets what it lacks from elsewhere, or asks.
    told: BTreeMap<LogId, u64>,
    /// What the peer told of and has not come, by place and short key, and when to ask for it.
    missing: BTreeMap<(u64, u64), Told>,
    missing_at: Option<Duration>,
    /// The festivals in which the next wishes make the link eager.
    grafting: BTreeSet<u64>,
    /// The festivals of which the peer sent something in a frame: new, and held already.
    fresh: BTreeSet<u64>,
    doubled: BTreeSet<u64>,
    /// Which comparison was made last, which festival comes next in it, and when that is due.
    beat: u64,
    next_compared: u64,
    compare_at: Option<Duration>,
    /// The differences of this comparison may be on their way.
    patient: bool,
}

/// A head that the peer has.
#[derive(Clone, Copy)]
struct Told {
    length: u64,
    digest: Option<[u8; 4]>,
    /// When to ask for it, and what should have come by then.
    at: Duration,
    first: u64,
}

impl Told {
    fn new(length: u64, digest: Option<[u8; 4]>, now: Duration) -> Self {
        Self { length, digest, at: now + GRAFT_AFTER, first: length }
    }
}

impl Live {
    pub(super) fn new(
        festivals: impl Iterator<Item = FestivalId>,
        now: Duration,
        links: &mut Links,
    ) -> Self {
        Self {
            number: links.number(),
            _handles: festivals.map(|festival| links.join(festival)).collect(),
            lazy: BTreeSet::new(),
            news: BTreeSet::new(),
            news_at: None,
            told: BTreeMap::new(),
            missing: BTreeMap::new(),
            missing_at: None,
            grafting: BTreeSet::new(),
            fresh: BTreeSet::new(),
            doubled: BTreeSet::new(),
            beat: links.beat(now).0,
            next_compared: 0,
            compare_at: None,
            patient: false,
        }
    }

    /// When it has something to do by itself.
    pub(super) fn deadline(&self) -> Option<Duration> {
        [self.news_at, self.missing_at, self.compare_at].into_iter().flatten().min()
    }

    /// Whether the next wishes of a festival make the link eager.
    pub(super) fn grafts(&mut self, place: u64) -> bool {
        self.grafting.remove(&place)
    }

    fn expect(&mut self, at: (u64, u64), told: Told) {
        let full = self.missing.len() >= MAX_MISSING;
        match self.missing.get_mut(&at) {
            Some(known) if known.length < told.length => {
                *known = Told { at: known.at, first: known.first, ..told };
                return;
            }
            Some(_) => return,
            None if full => return,
            None => _ = self.missing.insert(at, told),
        }
        let soonest = self.missing_at.map_or(told.at, |at| at.min(told.at));
        self.missing_at = Some(soonest);
    }
}

impl Exchange {
    /// What the peer holds of a log, is being sent, or was told of.
    pub(super) fn known_to_peer(&self, log: &LogId) -> u64 {
        let told = self.live.as_ref().and_then(|live| live.told.get(log));
        let theirs = self.theirs.get(log);
        theirs.max(told).copied().unwrap_or_default()
    }

    /// The peer says how much it holds of a log.
    pub(super) fn peer_holds(&mut self, log: LogId, length: u64) {
        self.theirs.insert(log, length);
        if let Some(live) = &mut self.live {
            live.told.remove(&log);
        }
    }

    /// A log has grown here beyond what the peer knows.
    pub(super) fn spread(&mut self, place: u64, log: LogId, now: Duration) {
        match &mut self.live {
            Some(live) if live.lazy.contains(&place) => {
                live.news.insert((place, log));
                let pause = if self.opener { COLLECT } else { COLLECT * 2 };
                live.news_at.get_or_insert(now + pause);
            }
            _ => _ = self.push.insert(log),
        }
    }

    /// Whether what differs in the comparison may be on its way.
    fn is_patient(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.patient)
    }

    /// A comparison begins on a link that has been live for a while; nobody had a reason to ask for it.
    pub(super) fn compares_idly(&mut self, idly: bool, links: &Links) {
        if let Some(live) = &mut self.live {
            live.patient = idly && self.caught_up && !links.is_flooding();
        }
    }

    /// So many logs differ.
    pub(super) fn weigh(&mut self, differences: usize) {
        if let Some(live) = &mut self.live {
            live.patient &= differences <= MAX_PATIENT;
        }
    }

    /// The peer holds more of a log.
    pub(super) fn lacks(
        &mut self,
        place: u64,
        key: Fp,
        wish: Wish,
        now: Duration,
    ) -> Result<(), PeerFault> {
        match &mut self.live {
            Some(live) if live.patient && !wish.fork => {
                live.expect((place, Stand::short(key)), Told::new(wish.until, None, now));
                Ok(())
            }
            _ => self.wishes.want(place, key, wish),
        }
    }

    /// The peer lacks the end of a log; `true` where it is told of it first.
    pub(super) fn tells_first(&mut self, place: u64, log: LogId, now: Duration) -> bool {
        let patient = self.is_patient();
        if let Some(live) = self.live.as_mut().filter(|_| patient) {
            live.news.insert((place, log));
            live.news_at = Some(now);
        }
        patient
    }

    /// The next heads to be told, as far as it is time for them.
    pub(super) fn next_ihave(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Result<Option<Message>, SyncError> {
        loop {
            let Some(live) = &mut self.live else { return Ok(None) };
            if live.news_at.is_none_or(|at| at > cx.now) {
                return Ok(None);
            }
            let Some((place, _)) = live.news.first().copied() else {
                live.news_at = None;
                return Ok(None);
            };
            let heads = self.heads(place, cx)?;
            if let Some(live) = &mut self.live {
                // Never faster than a peer takes it.
                live.news_at = (!live.news.is_empty()).then_some(cx.now + COLLECT);
                live.told.extend(heads.iter().map(|(log, head)| (*log, head.length)));
            }
            if !heads.is_empty() {
                // What it is told of, it may ask for.
                self.wants_served = self.wants_served.saturating_sub(heads.len());
                let heads = heads.into_iter().map(|(_, head)| head).collect();
                let heads = Heads(heads).to_bytes().into();
                return Ok(Some(Message::Ihave(Ihave { place, heads })));
            }
        }
    }

    /// Takes heads of one festival that the peer does not know.
    fn heads(&mut self, place: u64, cx: &mut Context<'_>) -> Result<Vec<(LogId, Head)>, SyncError> {
        let mut heads = Vec::new();
        while heads.len() < Heads::MAX {
            let Some(live) = &mut self.live else { break };
            let Some((_, log)) = live.news.first().copied().filter(|(of, _)| *of == place) else {
                break;
            };
            live.news.pop_first();
            let Some(common) = self.commons.get(&place) else { continue };
            let (festival, key) = (common.festival, common.keys.key(&log));
            let Some(entry) = cx.sketches.entry(cx.replica, festival, &log)? else { continue };
            let known = entry.tip.length <= self.known_to_peer(&log);
            if known || self.parted.contains(&log) || self.refusals.contains(&log, cx.now) {
                continue;
            }
            let digest = self.digest(&log, &entry.tip.chain);
            heads.push((log, Head { key: Stand::short(key), length: entry.tip.length, digest }));
        }
        Ok(heads)
    }

    /// The peer tells of heads.
    pub(super) fn told_of(&mut self, ihave: &Ihave, cx: &mut Context<'_>) -> Result<(), SyncError> {
        let place = ihave.place;
        if self.live.is_none() || !self.commons.contains_key(&place) {
            return Err(PeerFault::Unexpected("IHAVE").into());
        }
        let heads = Heads::from_bytes(&ihave.heads).ok_or(PeerFault::Message("IHAVE"))?.0;
        self.charge(budget::heads(heads.len()), cx)?;
        for Head { key, length, digest } in heads {
            let Some(common) = self.commons.get_mut(&place) else { break };
            let named = named(common.sketch(cx)?, Stand::long(key));
            if let Some(log) = named {
                self.taken_again(log, cx);
            } else if self.refuses_key(place, Stand::long(key), cx)? {
                continue;
            }
            let told = Told::new(length, Some(digest), cx.now);
            if let Some(log) = named
                && self.has_come(&log, told, cx)?
            {
                if !self.parted.contains(&log) && !self.refusals.contains(&log, cx.now) {
                    let theirs = self.theirs.entry(log).or_default();
                    *theirs = length.max(*theirs);
                    self.standing.moved(log);
                }
                continue;
            }
            if let Some(live) = &mut self.live {
                live.expect((place, key), told);
            }
        }
        Ok(())
    }

    /// Whether a head is held here, or nothing of it is to be had. One that differs from ours is
    /// asked about.
    fn has_come(
        &mut self,
        log: &LogId,
        told: Told,
        cx: &mut Context<'_>,
    ) -> Result<bool, SyncError> {
        if self.parted.contains(log) || self.refusals.contains(log, cx.now) {
            return Ok(true);
        }
        if cx.replica.held(log)?.is_none_or(|held| held.length < told.length) {
            let cut = cx.replica.fork_proof(log)?.is_some();
            if cut && !self.proved.contains_key(log) {
                self.prove.insert(*log);
            }
            return Ok(cut);
        }
        let chain = cx.replica.chain_at(log, told.length)?;
        let digest = chain.map(|chain| self.digest(log, &chain));
        if told.digest.is_some() && told.digest != digest {
            self.probe(log, cx)?;
        }
        Ok(true)
    }

    /// Asks for what the peer told of long enough ago and nobody has sent.
    pub(super) fn ask_for_missing(&mut self, cx: &mut Context<'_>) -> Result<(), SyncError> {
        let Some(live) = &mut self.live else { return Ok(()) };
        if live.missing_at.is_none_or(|at| at > cx.now) {
            return Ok(());
        }
        let number = live.number;
        let due = live.missing.iter().filter(|(_, told)| told.at <= cx.now);
        for (at, told) in due.map(|(at, told)| (*at, *told)).collect::<Vec<_>>() {
            let later = self.ask_for(at, told, number, cx)?;
            let Some(live) = &mut self.live else { break };
            match later {
                Some(later) => _ = live.missing.insert(at, later),
                None => _ = live.missing.remove(&at),
            }
        }
        if let Some(live) = &mut self.live {
            live.missing_at = live.missing.values().map(|told| told.at).min();
        }
        Ok(())
    }

    /// Asks for something, unless it has come; or says when to look again.
    fn ask_for(
        &mut self,
        (place, key): (u64, u64),
        told: Told,
        link: u64,
        cx: &mut Context<'_>,
    ) -> Result<Option<Told>, SyncError> {
        let Some(common) = self.commons.get_mut(&place) else { return Ok(None) };
        let festival = common.festival;
        let log = named(common.sketch(cx)?, Stand::long(key));
        if let Some(log) = &log {
            if self.has_come(log, told, cx)? {
                return Ok(None);
            }
            // It comes, one entry after the other, and is only being written too fast to be held.
            if cx.replica.held(log)?.is_some_and(|held| held.length >= told.first) {
                return Ok(Some(Told::new(told.length, told.digest, cx.now)));
            }
        }
        if self.wishes.is_asked(place, Stand::long(key)) {
            return Ok(None);
        }
        let missing = log.map_or(Missing::Unknown(festival), Missing::Log);
        if let Err(later) = cx.sketches.links.may_ask(missing, link, cx.now) {
            return Ok(Some(Told { at: later, ..told }));
        }
        cx.sketches.links.differed(cx.now);
        let wish = Wish { log, until: told.length, fork: false };
        self.wishes.want(place, Stand::long(key), wish)?;
        if let Some(live) = &mut self.live {
            live.lazy.remove(&place);
            live.grafting.insert(place);
        }
        Ok(None)
    }

    /// The peer misses something that was told here: the link is eager again.
    pub(super) fn grafted(&mut self, want: &Want, cx: &mut Context<'_>) -> Result<(), SyncError> {
        let live = self.live.as_mut().ok_or(PeerFault::Unexpected("GRAFT"))?;
        let place = want.place;
        live.lazy.remove(&place);
        self.push.extend(live.news.iter().filter(|(of, _)| *of == place).map(|(_, log)| *log));
        live.news.retain(|(of, _)| *of != place);
        cx.sketches.links.differed(cx.now);
        self.serve(want, cx)
    }

    /// The peer gets what is pushed here from elsewhere.
    pub(super) fn pruned(&mut self, prune: &Prune) -> Result<(), SyncError> {
        let live = self.live.as_mut().filter(|_| self.commons.contains_key(&prune.place));
        let live = live.ok_or(PeerFault::Unexpected("PRUNE"))?;
        live.lazy.insert(prune.place);
        Ok(())
    }

    /// A segment came that was new, or held already.
    pub(super) fn note_segment(&mut self, festival: &FestivalId, new: bool) {
        if let (Some(live), Some(place)) = (&mut self.live, self.places.get(festival)) {
            let came = if new { &mut live.fresh } else { &mut live.doubled };
            came.insert(*place);
        }
    }

    /// A frame was taken in. Where all that it brought in a festival was held already, the peer is
    /// told not to push here.
    pub(super) fn prune(&mut self, links: &Links) {
        let Some(live) = &mut self.live else { return };
        let fresh = std::mem::take(&mut live.fresh);
        for place in std::mem::take(&mut live.doubled) {
            let Some(common) = self.commons.get(&place) else { continue };
            let few = links.count(&common.festival) <= FEW_LINKS;
            if fresh.contains(&place) || few || links.is_flooding() || !self.caught_up {
                continue;
            }
            if live.lazy.insert(place) {
                self.queue.push_back(Message::Prune(Prune { place }));
            }
        }
    }

    /// The comparison of a festival begins again, perhaps under other keys.
    pub(super) fn forget_told(&mut self, place: u64) {
        if let Some(live) = &mut self.live {
            live.missing.retain(|(of, _), _| *of != place);
        }
    }

    /// Accepting: sends sketches again when it is time to.
    pub(super) fn compare_when_due(&mut self, cx: &mut Context<'_>) -> Result<(), SyncError> {
        let settled = self.is_settled();
        let Some(live) = self.live.as_mut().filter(|_| !self.opener && self.caught_up) else {
            return Ok(());
        };
        let (beat, due) = cx.sketches.links.beat(cx.now);
        live.compare_at = Some(due);
        // What is in the middle of something is not idle.
        if live.beat == beat || !settled {
            return Ok(());
        }
        live.beat = beat;
        let behind = self.commons.range(live.next_compared..).map(|(place, _)| *place);
        let places: Vec<u64> = behind.take(MAX_COMPARED).collect();
        let last = places.last().filter(|last| self.commons.range(**last + 1..).next().is_some());
        live.next_compared = last.map_or(0, |last| last + 1);
        for place in places {
            let Some(common) = self.commons.get(&place) else { continue };
            if cx.replica.festival(common.festival)?.is_none() {
                self.end();
                return Ok(());
            }
            self.resalt(place, false, cx)?;
        }
        Ok(())
    }
}
