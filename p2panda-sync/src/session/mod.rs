//! One exchange with one peer, as a state machine without sockets, clocks or threads.

mod exchange;
mod greeting;
mod incoming;
mod outgoing;
mod report;

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use p2panda_core::Replica;
use rand_core::CryptoRng;
use tracing::debug;

use self::{
    exchange::Exchange,
    greeting::{Offer, Opening},
};
use crate::{
    error::{PeerFault, SyncError},
    wire::{FRAME_HEADER, Message, Open, Token},
};

pub use report::{Stats, SyncEvent};

/// How long a peer may owe an answer, or leave a frame untaken, before the session is given up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Events that wait; beyond, `Received` is dropped: the totals have it.
const MAX_EVENTS: usize = 1024;

/// Who begins, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Connected to the peer, for one exchange: it ends when both hold the same.
    Sync,
    /// Connected to the peer, to stay: what either side learns later is pushed to the other.
    Link,
    /// Was connected to, and follows the peer's wish.
    Accept,
}

/// What happens to a session.
#[derive(Clone, Debug)]
pub enum Input {
    /// A frame from the peer.
    Frame(Bytes),
    /// The [deadline](Session::deadline) has come.
    Deadline,
    /// The connection has ended; nothing more will come.
    Closed,
}

/// What a session wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this frame to the peer.
    Send(Bytes),
    /// Tell whom it may interest.
    Event(SyncEvent),
    /// The session has come to its end: close the connection.
    Finished,
}

/// One exchange with one peer: sans-IO, and pulled by its driver.
///
/// # The contract
/// - Hand in every input that is at hand with [`handle`](Self::handle), then call
///   [`poll`](Self::poll) until it returns `None`, or until the transport takes no more.
///   `poll` makes everything received durable before it says so to the peer, so that polling
///   once after a burst of frames costs one flush. While the transport takes nothing, flush the
///   replica by hand: other sessions wait for what this one received.
/// - Call `poll` only when the frame it returned last was taken by the transport, and hold at most
///   that one. Frames are made when they are asked for: a session queues none.
/// - Poll again after the replica has changed, by whatever hand; on a live link that pushes what
///   the peer lacks.
/// - When the time of [`deadline`](Self::deadline) has come, hand in [`Input::Deadline`].
/// - One replica, always the same, and one clock that never goes back.
/// - [`Output::Finished`] and any error are the end. What was received until then stays stored.
#[derive(Debug)]
pub struct Session {
    role: Role,
    phase: Phase,
    report: Report,
    /// When the peer was last seen to send, or to take, something.
    progress: Duration,
    /// Whether the driver has a frame that the transport has not taken, as far as we know.
    handed_out: bool,
}

enum Phase {
    /// Accepting: `HELLO` is to be sent under this salt.
    Greet(Token),
    /// Accepting: `HELLO` is sent.
    Offered(Box<Offer>),
    /// Opening: waiting for `HELLO`, with the nonce of our `OPEN`.
    Listening(Token),
    /// Opening: no festival in common; the peer still has to be told.
    Farewell(Option<Message>),
    Exchange(Box<Exchange>),
    Over,
}

impl std::fmt::Debug for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Greet(_) => "Greet",
            Self::Offered(_) => "Offered",
            Self::Listening(_) => "Listening",
            Self::Farewell(_) => "Farewell",
            Self::Exchange(_) => "Exchange",
            Self::Over => "Over",
        })
    }
}

impl Session {
    /// A session over a fresh connection. `now` is the time since any fixed moment.
    pub fn new(role: Role, now: Duration, rng: &mut impl CryptoRng) -> Self {
        let token = Token::random(rng);
        let phase = match role {
            Role::Accept => Phase::Greet(token),
            Role::Sync | Role::Link => Phase::Listening(token),
        };
        Self { role, phase, report: Report::default(), progress: now, handed_out: false }
    }

    /// Takes an input in.
    ///
    /// # Errors
    /// [`SyncError`] ends the session; what had been received is durable, unless the store fails.
    pub fn handle(
        &mut self,
        now: Duration,
        input: Input,
        replica: &mut Replica,
    ) -> Result<(), SyncError> {
        let result = match input {
            Input::Frame(frame) => self.frame(now, &frame, replica),
            Input::Deadline => self.time(now),
            Input::Closed => self.closed(replica),
        };
        result.or_else(|error| self.fail(error, replica))
    }

    /// What the session wants next; `None` until there is another input or the replica changes.
    ///
    /// # Errors
    /// [`SyncError`] ends the session; what had been received is durable, unless the store fails.
    pub fn poll(
        &mut self,
        now: Duration,
        replica: &mut Replica,
    ) -> Result<Option<Output>, SyncError> {
        if std::mem::take(&mut self.handed_out) {
            self.progress = now;
        }
        if let Some(event) = self.report.events.pop_front() {
            return Ok(Some(Output::Event(event)));
        }
        // A peer that owed nothing is not late.
        let idle = self.deadline().is_none();
        let message = match self.next_message(replica) {
            Ok(message) => message,
            Err(error) => return self.fail(error, replica).map(|()| None),
        };
        if let Some(message) = message {
            if idle {
                self.progress = now;
            }
            let frame = message.encode();
            self.report.stats.bytes_sent += FRAME_HEADER + frame.len() as u64;
            self.handed_out = true;
            return Ok(Some(Output::Send(frame)));
        }
        if let Some(event) = self.report.events.pop_front() {
            return Ok(Some(Output::Event(event)));
        }
        match &self.phase {
            Phase::Exchange(exchange) if exchange.is_finished() => {
                self.phase = Phase::Over;
                Ok(Some(Output::Finished))
            }
            _ => Ok(None),
        }
    }

    /// When to hand in [`Input::Deadline`], if nothing happens before. It changes with every input
    /// and output, mostly to a later time: an armed timer may fire early and ask again.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let waiting = match &self.phase {
            Phase::Exchange(exchange) => !exchange.is_settled(),
            Phase::Over => false,
            _ => true,
        };
        (waiting || self.handed_out).then(|| self.progress + PATIENCE)
    }

    /// The totals so far.
    #[must_use]
    pub const fn stats(&self) -> Stats {
        self.report.stats
    }

    fn frame(
        &mut self,
        now: Duration,
        frame: &Bytes,
        replica: &mut Replica,
    ) -> Result<(), SyncError> {
        self.report.stats.bytes_received += FRAME_HEADER + frame.len() as u64;
        let Some(message) = Message::decode(frame)? else { return Ok(()) };
        self.progress = now;
        match (std::mem::replace(&mut self.phase, Phase::Over), message) {
            (Phase::Listening(nonce), Message::Hello(hello)) => {
                let live = self.role == Role::Link;
                let opening = Opening::new(&hello, nonce, live, replica)?;
                self.phase = if opening.commons.is_empty() {
                    Phase::Farewell(Some(Message::Open(opening.open)))
                } else {
                    Phase::Exchange(Box::new(Exchange::opening(opening)))
                };
                self.report.turn();
                Ok(())
            }
            (Phase::Listening(_), Message::OtherVersion(theirs)) => {
                Err(SyncError::Version { theirs })
            }
            (Phase::Offered(offer), Message::Open(open)) => {
                self.report.answered();
                self.begin(*offer, &open)
            }
            (Phase::Exchange(mut exchange), message) => {
                let result = exchange.handle(message, replica, &mut self.report);
                self.phase = Phase::Exchange(exchange);
                result
            }
            (_, message) => Err(PeerFault::Unexpected(message.name()).into()),
        }
    }

    fn begin(&mut self, offer: Offer, open: &Open) -> Result<(), SyncError> {
        let cursor = offer.cursor;
        let (answer, commons) = offer.answer(open)?;
        let festivals = commons.iter().map(|common| common.festival).collect();
        self.report.event(SyncEvent::Met { festivals });
        self.phase =
            Phase::Exchange(Box::new(Exchange::accepting(answer, commons, cursor, open.live)));
        Ok(())
    }

    fn next_message(&mut self, replica: &mut Replica) -> Result<Option<Message>, SyncError> {
        match &mut self.phase {
            Phase::Greet(salt) => {
                let offer = Offer::new(*salt, replica)?;
                let hello = offer.hello();
                self.phase = Phase::Offered(Box::new(offer));
                self.report.turn();
                Ok(Some(Message::Hello(hello)))
            }
            Phase::Farewell(message) => message
                .take()
                .map_or(Err(SyncError::NoFestivalInCommon), |message| Ok(Some(message))),
            Phase::Exchange(exchange) => exchange.next_message(replica, &mut self.report),
            Phase::Offered(_) | Phase::Listening(_) | Phase::Over => Ok(None),
        }
    }

    fn time(&self, now: Duration) -> Result<(), SyncError> {
        match self.deadline() {
            Some(deadline) if deadline <= now => Err(SyncError::Stalled { after: PATIENCE }),
            _ => Ok(()),
        }
    }

    fn closed(&mut self, replica: &mut Replica) -> Result<(), SyncError> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Farewell(_) => Err(SyncError::NoFestivalInCommon),
            Phase::Exchange(exchange) if exchange.is_settled() => {
                replica.flush()?;
                self.phase = Phase::Exchange(Box::new(exchange.ended()));
                Ok(())
            }
            _ => Err(SyncError::Interrupted),
        }
    }

    /// Ends the session, keeping what was received.
    fn fail(&mut self, error: SyncError, replica: &mut Replica) -> Result<(), SyncError> {
        debug!(%error, "session failed");
        self.phase = Phase::Over;
        if !matches!(error, SyncError::Store(_)) {
            replica.flush()?;
        }
        Err(error)
    }
}

/// Totals, and the events that nobody has fetched yet.
#[derive(Debug, Default)]
struct Report {
    stats: Stats,
    events: VecDeque<SyncEvent>,
    /// Whether the peer has to answer something before this side can go on.
    asked: bool,
}

impl Report {
    fn event(&mut self, event: SyncEvent) {
        debug!(?event);
        if self.events.len() < MAX_EVENTS || !matches!(event, SyncEvent::Received { .. }) {
            self.events.push_back(event);
        }
    }

    /// Something was sent, or will be, that the peer has to answer.
    const fn turn(&mut self) {
        self.asked = true;
    }

    /// The peer's answer came.
    const fn answered(&mut self) {
        if self.asked {
            self.stats.round_trips += 1;
            self.asked = false;
        }
    }
}
