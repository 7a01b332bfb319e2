//! The exchange after the greeting: comparing, asking, pushing, and knowing when it is over.
//!
//! The opener tells its logs and the accepting side compares. That side then pushes what the opener
//! lacks and asks for what it lacks itself, both at once. Everything that waits to be sent waits as
//! the id of a log, never as bytes.
//!
//! A `DONE` says how much of the other side's `WANT`s and `PUSH`es is served and durable. A side is
//! settled when it owes nothing, has said so, and was told the same.

use std::collections::{BTreeMap, BTreeSet};

use p2panda_core::{FestivalId, LogId, Replica};

use super::{
    Report,
    greeting::{Common, Opening},
    report::SyncEvent,
};
use crate::{
    error::{PeerFault, SyncError},
    reconcile::Reconcile,
    wire::{Answer, Done, Message, Token},
};

/// `WANT`s beyond one for each of our logs: for entries that came too early.
const SPARE_WANTS: usize = 1024;

pub(super) struct Exchange {
    /// The festivals in common, by their place in the `HELLO`.
    pub(super) commons: BTreeMap<u64, (FestivalId, Reconcile)>,
    pub(super) places: BTreeMap<FestivalId, u64>,
    /// `OPEN` or `ANSWER`, until it is sent.
    pub(super) greeting: Option<Message>,
    /// Opening: what the `ANSWER` has to hold, until it came.
    proofs: Option<Vec<Token>>,
    /// Whether this side compares, and so sends the `WANT` that is marked as the last.
    pub(super) compares: bool,
    /// Whether the comparison can still ask for something.
    pub(super) comparing: bool,
    live: bool,
    /// The connection has ended as it should.
    ended: bool,

    /// The length of each log that the peer holds, or is being sent.
    pub(super) theirs: BTreeMap<LogId, u64>,
    /// Logs to push, from where the peer's ends.
    pub(super) push: BTreeSet<LogId>,
    /// Logs to ask for, and up to which length the peer offered them.
    pub(super) wanted: BTreeMap<LogId, u64>,
    /// Logs asked for, and up to which length the peer offered them.
    pub(super) asked: BTreeMap<LogId, u64>,
    /// Logs of which the peer holds another chain.
    pub(super) parted: BTreeSet<LogId>,
    /// Those of them that the peer has not been told.
    pub(super) untold: Vec<LogId>,
    /// Where the replica's changes were last looked at.
    pub(super) cursor: u64,
    /// How many logs the peer has told.
    pub(super) logs_heard: usize,
    pub(super) wants_left: usize,

    /// Messages sent, and messages of the peer that were taken in.
    pub(super) sent: Done,
    pub(super) taken: Done,
    /// What we told the peer last, and it us.
    told: Option<Done>,
    heard: Option<Done>,
    /// The peer waits for our `DONE`.
    pub(super) awaited: bool,
    /// Segments and bytes received since the last flush.
    pub(super) unflushed: (usize, usize),
    /// Both sides were settled once, and now.
    pub(super) caught_up: bool,
    was_settled: bool,
}

impl Exchange {
    pub(super) fn opening(opening: Opening) -> Self {
        let Opening { open, commons, cursor, proofs } = opening;
        let mut this = Self::new(commons, cursor, open.live);
        this.greeting = Some(Message::Open(open));
        this.proofs = Some(proofs);
        this.awaited = !this.comparing;
        this
    }

    pub(super) fn accepting(answer: Answer, commons: Vec<Common>, cursor: u64, live: bool) -> Self {
        let mut this = Self::new(commons, cursor, live);
        this.greeting = Some(Message::Answer(answer));
        this.compares = true;
        this.awaited = true;
        this
    }

    fn new(commons: Vec<Common>, cursor: u64, live: bool) -> Self {
        let nothing = Done { wants: 0, pushes: 0 };
        let comparing = commons.iter().any(|common| !common.reconcile.is_over());
        let places = commons.iter().map(|common| (common.festival, common.place)).collect();
        let mut theirs = BTreeMap::new();
        let mut by_place = BTreeMap::new();
        for common in commons {
            theirs.extend(common.assumed);
            by_place.insert(common.place, (common.festival, common.reconcile));
        }
        Self {
            commons: by_place,
            places,
            greeting: None,
            proofs: None,
            compares: false,
            comparing,
            live,
            ended: false,
            push: BTreeSet::new(),
            wanted: BTreeMap::new(),
            asked: BTreeMap::new(),
            parted: BTreeSet::new(),
            untold: Vec::new(),
            cursor,
            logs_heard: 0,
            wants_left: theirs.len() + SPARE_WANTS,
            theirs,
            sent: nothing.clone(),
            taken: nothing,
            told: None,
            heard: None,
            awaited: false,
            unflushed: (0, 0),
            caught_up: false,
            was_settled: false,
        }
    }

    /// The connection was closed by a peer that had everything.
    pub(super) fn ended(mut self) -> Self {
        self.ended = true;
        self
    }

    pub(super) const fn is_finished(&self) -> bool {
        self.ended || self.was_settled && !self.live
    }

    /// Whether neither side owes the other anything, and both know it.
    pub(super) fn is_settled(&self) -> bool {
        self.proofs.is_none()
            && self.owes_nothing()
            && self.told.as_ref() == Some(&self.taken)
            && self.heard.as_ref() == Some(&self.sent)
    }

    fn owes_nothing(&self) -> bool {
        !self.comparing
            && self.greeting.is_none()
            && self.wanted.is_empty()
            && self.asked.is_empty()
            && self.push.is_empty()
            && self.untold.is_empty()
    }

    pub(super) fn handle(
        &mut self,
        message: Message,
        replica: &mut Replica,
        report: &mut Report,
    ) -> Result<(), SyncError> {
        if let Some(proofs) = self.proofs.take() {
            return match message {
                Message::Answer(answer) if answer.proofs == proofs => {
                    report.answered();
                    report
                        .event(SyncEvent::Met { festivals: self.places.keys().copied().collect() });
                    Ok(())
                }
                Message::Answer(_) => Err(PeerFault::Proof.into()),
                message => Err(PeerFault::Unexpected(message.name()).into()),
            };
        }
        match message {
            Message::Vector(vector) => self.compare(&vector, replica, report),
            Message::Want(want) => self.serve(&want, replica, report),
            Message::Push(push) => self.accept(push, replica, report),
            Message::Parted(parted) => self.part_all(parted, replica, report),
            Message::Done(done) => self.peer_is_done(done, replica, report),
            message => Err(PeerFault::Unexpected(message.name()).into()),
        }
    }

    pub(super) fn next_message(
        &mut self,
        replica: &mut Replica,
        report: &mut Report,
    ) -> Result<Option<Message>, SyncError> {
        let message = if self.ended { None } else { self.next_to_send(replica, report)? };
        let settled = message.is_none() && self.is_settled();
        if settled && !self.was_settled {
            self.caught_up = true;
            report.event(SyncEvent::CaughtUp { stats: report.stats });
        }
        self.was_settled = settled;
        Ok(message)
    }

    fn next_to_send(
        &mut self,
        replica: &mut Replica,
        report: &mut Report,
    ) -> Result<Option<Message>, SyncError> {
        if let Some(greeting) = self.greeting.take() {
            return Ok(Some(greeting));
        }
        if let Some(vector) = self.next_vector() {
            return Ok(Some(Message::Vector(vector)));
        }
        if let Some(want) = self.next_want(replica)? {
            self.ask(report);
            return Ok(Some(Message::Want(want)));
        }
        if let Some(parted) = self.next_parted() {
            return Ok(Some(Message::Parted(parted)));
        }
        loop {
            if self.live && !self.comparing {
                self.look_for_changes(replica)?;
            }
            if let Some(push) = self.next_push(replica, report)? {
                self.ask(report);
                return Ok(Some(Message::Push(push)));
            }
            // What becomes durable here is not only this peer's: look again.
            if !self.flush(replica)? {
                break;
            }
        }
        Ok(self.next_done().map(Message::Done))
    }

    /// Makes everything durable that is held, from whomever it came: what another session received
    /// counts here as held, and so is acknowledged here. Whether there was anything.
    pub(super) fn flush(&mut self, replica: &mut Replica) -> Result<bool, SyncError> {
        self.unflushed = (0, 0);
        if replica.is_durable() {
            return Ok(false);
        }
        replica.flush()?;
        Ok(true)
    }

    /// Before both have caught up, every `DONE` answers something: acknowledging each burst would
    /// be no use to a peer that is still sending. On a live link it is the acknowledgement.
    fn next_done(&mut self) -> Option<Done> {
        let says_news = self.told.as_ref() != Some(&self.taken);
        if !says_news || !(self.awaited || self.caught_up) || !self.owes_nothing() {
            return None;
        }
        self.awaited = false;
        self.told = Some(self.taken.clone());
        self.told.clone()
    }

    fn peer_is_done(
        &mut self,
        done: Done,
        replica: &Replica,
        report: &mut Report,
    ) -> Result<(), SyncError> {
        if done.wants > self.sent.wants || done.pushes > self.sent.pushes {
            return Err(PeerFault::Message("DONE").into());
        }
        if done.wants == self.sent.wants && !self.asked.is_empty() {
            // Others may have sent what was asked for, and then it was not sent again.
            for (log, offered) in std::mem::take(&mut self.asked) {
                if replica.held(&log)?.is_none_or(|held| held.length < offered) {
                    self.asked.insert(log, offered);
                }
            }
            if !self.asked.is_empty() {
                return Err(PeerFault::Undelivered { logs: self.asked.len() }.into());
            }
        }
        if !self.caught_up {
            report.answered();
        }
        self.heard = Some(done);
        self.awaited = true;
        Ok(())
    }

    const fn ask(&self, report: &mut Report) {
        if !self.caught_up {
            report.turn();
        }
    }
}
