//! The exchange after the greeting: comparing, asking, pushing, and knowing when it is over.
//!
//! Mostly the opener compares: it pushes what the accepting side lacks and asks for what it lacks
//! itself, both at once. Everything that waits to be sent waits as the id of a log, never as bytes.
//!
//! A `DONE` says how many of the other side's messages are taken care of. A side is settled when it
//! owes nothing, has said so, and was told the same.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use p2panda_core::{FestivalId, LogId};

use super::{
    Context,
    budget::Budget,
    common::Common,
    compare::Telling,
    early::Early,
    greeting::{Agreed, Hashes, Start},
    live::Live,
    refusals::Refusals,
    report::SyncEvent,
    standing::Standing,
    wishes::Wishes,
};
use crate::{
    error::{PeerFault, SyncError},
    wire::{Message, Open},
};

/// The most answers that wait for a peer that asks and does not read.
const MAX_QUEUED: usize = 1024;

pub(super) struct Exchange {
    pub(super) opener: bool,
    pub(super) hashes: Hashes,
    /// The largest frame that both sides take.
    pub(super) frame: usize,
    /// The festivals in common, by their place in the `HELLO`.
    pub(super) commons: BTreeMap<u64, Common>,
    pub(super) places: BTreeMap<FestivalId, u64>,
    /// `OPEN` and `PROOF`, until they are sent.
    greeting: VecDeque<Message>,
    /// Small messages that wait, and what is told in several.
    pub(super) queue: VecDeque<Message>,
    pub(super) telling: VecDeque<Telling>,
    /// What makes it a link that stays.
    pub(super) live: Option<Live>,
    /// The connection has ended as it should.
    ended: bool,

    /// The length of logs at the peer, or of what it is being sent. Of a log that is not here, what
    /// we held when we compared is what the peer holds.
    pub(super) theirs: BTreeMap<LogId, u64>,
    /// Logs to push, from where the peer's ends.
    pub(super) push: BTreeSet<LogId>,
    /// Logs to ask for, and those that were asked for.
    pub(super) wishes: Wishes,
    /// Cut logs whose proof the peer has to get.
    pub(super) prove: BTreeSet<LogId>,
    /// Where the peer is known to have cut logs.
    pub(super) proved: BTreeMap<LogId, u64>,
    /// Logs that are left alone: parted, or refused by one of us, if only for a time.
    pub(super) parted: BTreeSet<LogId>,
    /// Places of which the peer did not give what we asked for, whosesoever that is.
    pub(super) withheld: BTreeSet<u64>,
    pub(super) refusals: Refusals,
    /// How often the peer was asked where a log parts, and whose segments did not fit once.
    pub(super) probed: BTreeMap<LogId, u32>,
    pub(super) doubted: BTreeSet<LogId>,
    pub(super) early: Early,
    /// Where the replica's changes were last looked at.
    pub(super) cursor: u64,
    /// Logs that this session took in, and whether others have changed since it began.
    pub(super) received: BTreeSet<LogId>,
    pub(super) disturbed: bool,
    /// How many questions were answered, since when.
    pub(super) wants_served: usize,
    pub(super) wants_since: Duration,
    pub(super) budget: Budget,
    pub(super) seed: u64,

    /// Messages sent, and messages of the peer that were taken in; and up to which of them the other
    /// side waits for an answer.
    pub(super) sent: u64,
    pub(super) taken: u64,
    pub(super) asked: u64,
    pub(super) owed: u64,
    /// What we told the peer last, and it us.
    pub(super) told: Option<u64>,
    pub(super) heard: Option<u64>,
    /// The peer waits for our `DONE`.
    pub(super) awaited: bool,
    pub(super) rechecks: u32,
    /// Whether the logs were not equal when the session began.
    pub(super) differed: bool,
    /// Segments and bytes received since the last flush.
    pub(super) unflushed: (usize, usize),
    pub(super) standing: Standing,
    #[cfg(feature = "blobs")]
    pub(super) blobs: super::blobs::Blobs,
    /// Both sides were settled once, and now.
    pub(super) caught_up: bool,
    was_settled: bool,
    /// What had been moved then.
    moved: u64,
}

impl Exchange {
    pub(super) fn opening(
        open: Open,
        agreed: Agreed,
        seed: u64,
        cx: &mut Context<'_>,
    ) -> Result<Self, SyncError> {
        let (mut this, starts) = Self::new(true, agreed, seed, cx);
        this.greeting.push_front(Message::Open(open));
        this.awaited = true;
        if starts.iter().all(|(_, start)| matches!(start, Start::Equal)) {
            // The OPEN says as much.
            this.told = Some(0);
            this.differed = false;
        }
        for (place, start) in starts {
            match start {
                Start::Compare { syndromes, size } => {
                    this.compare(place, syndromes, Some(size), cx)?;
                }
                Start::Narrow { is_theirs_a_part } => this.narrow(place, is_theirs_a_part, cx)?,
                Start::Equal | Start::Await | Start::Mistaken => {}
            }
        }
        Ok(this)
    }

    pub(super) fn accepting(
        agreed: Agreed,
        seed: u64,
        cx: &mut Context<'_>,
    ) -> Result<Self, SyncError> {
        let (mut this, starts) = Self::new(false, agreed, seed, cx);
        if cx.sketches.cursor(cx.replica)? == this.cursor {
            this.commons.values_mut().try_for_each(|common| common.goes_on(cx))?;
        }
        if starts.iter().all(|(_, start)| matches!(start, Start::Equal | Start::Mistaken)) {
            this.heard = Some(0);
            this.awaited = true;
            this.differed = starts.iter().any(|(_, start)| matches!(start, Start::Mistaken));
        }
        for (place, start) in starts {
            if matches!(start, Start::Mistaken) {
                // They have grown since the HELLO, or collide under its salt.
                let grown = cx.sketches.cursor(cx.replica)? != this.cursor;
                this.resalt(place, !grown, cx)?;
            }
        }
        Ok(this)
    }

    fn new(
        opener: bool,
        agreed: Agreed,
        seed: u64,
        cx: &mut Context<'_>,
    ) -> (Self, Vec<(u64, Start)>) {
        let Agreed { hashes, proof, commons, cursor, frame, live, refused, refusals } = agreed;
        let links = &mut cx.sketches.links;
        let festivals = commons.iter().map(|common| common.festival);
        let live = live.then(|| Live::new(festivals, cx.now, links));
        let places = commons.iter().map(|common| (common.festival, common.place)).collect();
        let mut by_place = BTreeMap::new();
        let mut starts = Vec::new();
        for common in commons {
            let keys = common.keys;
            by_place.insert(common.place, Common::new(common.festival, common.salt, keys));
            starts.push((common.place, common.start));
        }
        let this = Self {
            opener,
            hashes,
            frame,
            commons: by_place,
            places,
            greeting: proof.map(Message::Proof).into_iter().collect(),
            queue: refusals,
            telling: VecDeque::new(),
            live,
            ended: false,
            theirs: BTreeMap::new(),
            push: BTreeSet::new(),
            wishes: Wishes::default(),
            prove: BTreeSet::new(),
            proved: BTreeMap::new(),
            parted: BTreeSet::new(),
            withheld: BTreeSet::new(),
            refusals: Refusals::new(refused),
            probed: BTreeMap::new(),
            doubted: BTreeSet::new(),
            early: Early::new(&cx.sketches.early),
            cursor,
            received: BTreeSet::new(),
            disturbed: false,
            wants_served: 0,
            wants_since: cx.now,
            budget: Budget::default(),
            seed,
            sent: 0,
            taken: 0,
            asked: 0,
            owed: 0,
            told: None,
            heard: None,
            awaited: false,
            rechecks: 0,
            differed: true,
            unflushed: (0, 0),
            standing: Standing::new(),
            #[cfg(feature = "blobs")]
            blobs: super::blobs::Blobs::default(),
            caught_up: false,
            was_settled: false,
            moved: 0,
        };
        (this, starts)
    }

    /// This side goes, as it follows other festivals now than when the session began.
    pub(super) const fn end(&mut self) {
        self.ended = true;
    }

    /// The connection was closed by a peer that had everything.
    pub(super) fn ended(mut self) -> Self {
        self.ended = true;
        self
    }

    /// The opener leaves when all is exchanged. The accepting side waits for that: it cannot know
    /// whether the opener, who hears the fingerprint last, has to ask once more.
    pub(super) const fn is_finished(&self) -> bool {
        #[cfg(feature = "blobs")]
        if !self.ended && !self.blobs.is_over() {
            return false;
        }
        self.ended || self.was_settled && self.opener && !self.is_live()
    }

    /// Whether neither side owes the other anything, and both know it.
    pub(super) fn is_settled(&self) -> bool {
        self.owes_nothing() && self.told >= Some(self.owed) && self.heard >= Some(self.asked)
    }

    pub(super) fn owes_nothing(&self) -> bool {
        #[cfg(feature = "blobs")]
        if !self.blobs.is_quiet() {
            return false;
        }
        self.greeting.is_empty()
            && !self.is_comparing()
            && self.queue.is_empty()
            && self.telling.is_empty()
            && self.refusals.is_told()
            && self.wishes.is_empty()
            && self.push.is_empty()
            && self.prove.is_empty()
    }

    pub(super) const fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// When there is something to do, although nothing happens.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let offers = self.refusals.next_end().filter(|_| self.is_live() && self.is_settled());
        self.live.as_ref().and_then(Live::deadline).into_iter().chain(offers).min()
    }

    /// Whether this side still waits for what tells it which logs differ.
    fn is_comparing(&self) -> bool {
        self.commons.values().any(|common| !common.is_over())
    }

    /// Whether both sides know which logs differ, so that new ones can be told apart.
    pub(super) fn has_compared(&self) -> bool {
        !self.is_comparing() && (self.opener || self.heard.is_some())
    }

    /// A message of a type that is not known here: nothing needs to be done about it.
    pub(super) const fn skip(&mut self) {
        self.taken += 1;
        self.owed = self.taken;
        self.awaited = true;
    }

    pub(super) fn handle(
        &mut self,
        message: Message,
        cx: &mut Context<'_>,
    ) -> Result<(), SyncError> {
        if !message.is_counted() {
            return match message {
                Message::Done(done) => self.peer_is_done(&done, cx),
                Message::Refuse(refuse) => self.take_refusal(&refuse, cx),
                message => Err(PeerFault::Unexpected(message.name()).into()),
            };
        }
        self.taken += 1;
        let is_answered = message.is_answered();
        if is_answered {
            self.owed = self.taken;
        }
        // Before both have caught up, acknowledging each burst would be no use to a peer that is
        // still sending: it says when it is done.
        let is_part_of_more = matches!(
            message,
            Message::Push(_) | Message::Need(_) | Message::More(_) | Message::Vector(_)
        );
        self.awaited |= is_answered && !is_part_of_more;
        match message {
            Message::Need(need) => self.need(&need, cx),
            Message::More(more) => self.more(&more, cx),
            Message::Resalt(resalt) => self.resalted(resalt, cx),
            Message::Vector(vector) => self.hear(&vector, cx),
            Message::Want(want) => self.serve(&want, cx),
            Message::Push(push) => self.accept_all(&push, cx),
            Message::Probe(probe) => self.probed(&probe, cx),
            Message::Runs(runs) => self.take_runs(runs, cx),
            Message::Fork(fork) => self.take_fork(*fork, cx),
            Message::Subs(subs) => self.narrowed(&subs, cx),
            #[cfg(feature = "blobs")]
            Message::BlobWant(want) => self.serve_blob(&want),
            #[cfg(feature = "blobs")]
            Message::Blob(blob) => self.take_blob(blob, cx),
            Message::Ihave(ihave) => self.told_of(&ihave, cx),
            Message::Graft(want) => self.grafted(&want, cx),
            Message::Prune(prune) => self.pruned(&prune),
            message => Err(PeerFault::Unexpected(message.name()).into()),
        }?;
        if self.queue.len() > MAX_QUEUED || self.prove.len() > MAX_QUEUED {
            return Err(PeerFault::TooMany("questions").into());
        }
        Ok(())
    }

    pub(super) fn next_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Result<Option<Message>, SyncError> {
        let message = if self.ended { None } else { self.next_to_send(cx)? };
        if let Some(message) = &message
            && message.is_counted()
        {
            self.sent += 1;
            if message.is_answered() {
                self.asked = self.sent;
            }
            if !self.caught_up {
                cx.report.turn();
            }
        }
        let settled = message.is_none() && self.is_settled();
        if settled && !self.was_settled {
            let stats = cx.report.stats;
            let moved = stats.segments_sent + stats.segments_received + stats.logs_cut;
            // That nothing differed is no news.
            if !self.caught_up || moved > self.moved {
                let own = self.own_compared(cx)?;
                cx.report.event(SyncEvent::CaughtUp { stats, own });
            }
            (self.caught_up, self.moved) = (true, moved);
        }
        self.was_settled = settled;
        Ok(message)
    }

    fn next_to_send(&mut self, cx: &mut Context<'_>) -> Result<Option<Message>, SyncError> {
        if let Some(greeting) = self.greeting.pop_front() {
            return Ok(Some(greeting));
        }
        self.offer_again(cx)?;
        if let Some(message) = self.queue.pop_front() {
            return Ok(Some(message));
        }
        if let Some(message) = self.refusals.next_to_tell() {
            return Ok(Some(message));
        }
        if let Some(message) = self.tell(cx)? {
            return Ok(Some(message));
        }
        self.ask_for_missing(cx)?;
        if let Some(want) = self.next_want(cx)? {
            return Ok(Some(want));
        }
        loop {
            self.look_for_changes(cx)?;
            if let Some(message) = self.queue.pop_front() {
                return Ok(Some(message));
            }
            if let Some(push) = self.next_push(cx)? {
                return Ok(Some(Message::Push(push)));
            }
            if let Some(fork) = self.next_fork(cx)? {
                return Ok(Some(fork));
            }
            // What becomes durable here is not only this peer's: look again.
            if !self.flush(cx)? {
                break;
            }
        }
        #[cfg(feature = "blobs")]
        {
            if !self.blobs.is_quiet()
                && let Some(ihave) = self.next_ihave(cx)?
            {
                return Ok(Some(ihave));
            }
            if let Some(message) = self.next_blob(cx)? {
                return Ok(Some(message));
            }
        }
        if let Some(done) = self.next_done(cx)? {
            return Ok(Some(done));
        }
        if let Some(ihave) = self.next_ihave(cx)? {
            return Ok(Some(ihave));
        }
        self.compare_when_due(cx)?;
        Ok(self.queue.pop_front())
    }

    /// Makes everything durable that is held, from whomever it came: what another session received
    /// counts here as held, and so is acknowledged here. Whether there was anything.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) -> Result<bool, SyncError> {
        self.unflushed = (0, 0);
        if cx.replica.is_durable() {
            return Ok(false);
        }
        cx.replica.flush()?;
        Ok(true)
    }
}
