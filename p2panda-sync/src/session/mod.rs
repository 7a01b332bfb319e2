//! One exchange with one peer, as a state machine without sockets, clocks or threads.

#[cfg(feature = "blobs")]
mod blobs;
mod budget;
mod common;
mod compare;
mod done;
mod early;
mod exchange;
mod forks;
mod greeting;
mod incoming;
mod live;
mod outgoing;
mod refusals;
mod report;
mod resalt;
mod scope;
mod standing;
#[cfg(test)]
mod tests;
mod wishes;

use std::time::Duration;

use bytes::Bytes;
use p2panda_core::{ChannelBinding, LinkEnd, LinkProof, Replica, UserId};
use rand_core::CryptoRng;
use tracing::debug;

use self::{
    exchange::Exchange,
    greeting::{Agreed, Fresh, Offer, greet},
};
use crate::{
    error::{PeerFault, SyncError},
    peers::PeerId,
    sketches::Sketches,
    wire::{Busy, Hello, Message, VERSION},
};

#[cfg(feature = "blobs")]
pub use blobs::BlobPolicy;
pub(crate) use budget::Budget;
pub(crate) use early::EarlyBytes;
use report::Report;
pub use report::{Stats, SyncEvent};
pub(crate) use standing::Acknowledged;

/// How long a peer may owe an answer, or leave a frame untaken, before the session is given up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The longest that a peer can ask us to wait, in seconds.
const MAX_WAIT: u64 = 3600;

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
/// - One replica, always the same, the [`Sketches`] that belong to it, and one clock that never goes
///   back.
/// - [`Output::Finished`] and any error are the end. What was received until then stays stored.
#[derive(Debug)]
pub struct Session {
    role: Role,
    peer: Option<PeerId>,
    phase: Phase,
    report: Report,
    fresh: Fresh,
    /// Who the peer is, once it has proved that.
    user: Option<UserId>,
    /// Where the randomness of decoders comes from.
    seed: u64,
    /// When the peer was last seen to send, or to take, something.
    progress: Duration,
    /// Whether the driver has a frame that the transport has not taken, as far as we know.
    handed_out: bool,
    /// Which blobs are fetched.
    #[cfg(feature = "blobs")]
    policy: BlobPolicy,
    /// The deadline has come since the last poll: it is known that there is something to do.
    rung: bool,
}

/// What a session works on, besides itself.
struct Context<'a> {
    now: Duration,
    peer: Option<PeerId>,
    replica: &'a mut Replica,
    sketches: &'a mut Sketches,
    report: &'a mut Report,
}

enum Phase {
    /// Opening: `GREET` is to be sent.
    Greet,
    /// Opening: waiting for `HELLO`.
    Listening,
    /// Accepting: waiting for `GREET`.
    Waiting,
    /// Accepting: `HELLO` is sent, or about to be.
    Offered(Box<Offer>, Option<Hello>),
    /// It has failed, and the peer still has to be told.
    Farewell(Option<Message>, SyncError),
    Exchange(Box<Exchange>),
    Over,
}

impl std::fmt::Debug for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Greet => "Greet",
            Self::Listening => "Listening",
            Self::Waiting => "Waiting",
            Self::Offered(..) => "Offered",
            Self::Farewell(..) => "Farewell",
            Self::Exchange(_) => "Exchange",
            Self::Over => "Over",
        })
    }
}

impl Session {
    /// A session over a fresh connection. `now` is the time since any fixed moment.
    pub fn new(role: Role, now: Duration, rng: &mut impl CryptoRng) -> Self {
        let phase = match role {
            Role::Accept => Phase::Waiting,
            Role::Sync | Role::Link => Phase::Greet,
        };
        Self {
            role,
            peer: None,
            phase,
            report: Report::default(),
            fresh: Fresh::new(rng),
            user: None,
            seed: rng.next_u64(),
            progress: now,
            handed_out: false,
            #[cfg(feature = "blobs")]
            policy: BlobPolicy::None,
            rung: false,
        }
    }

    /// Says who the peer is, as far as the link tells: what is remembered of it then counts, and goes
    /// on counting in later sessions. Without it a peer is a stranger each time.
    #[must_use]
    pub const fn with(mut self, peer: Option<PeerId>) -> Self {
        self.peer = peer;
        self
    }

    /// Binds the session to the encrypted link that carries it, and nothing but it. Then the users
    /// prove to each other who they are, and nobody in between can take part. Both ends do it or
    /// none, before anything else.
    #[must_use]
    pub const fn bound(mut self, link: ChannelBinding) -> Self {
        self.fresh = Fresh::bound(link);
        self
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
        sketches: &mut Sketches,
    ) -> Result<(), SyncError> {
        let result = match input {
            Input::Frame(frame) => self.frame(now, &frame, replica, sketches),
            Input::Deadline => self.time(now, replica),
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
        sketches: &mut Sketches,
    ) -> Result<Option<Output>, SyncError> {
        self.rung = false;
        if std::mem::take(&mut self.handed_out) {
            self.progress = now;
        }
        if let Some(event) = self.report.events.pop_front() {
            return Ok(Some(Output::Event(event)));
        }
        // A peer that owed nothing is not late.
        let idle = self.patience().is_none();
        let message = match self.next_message(now, replica, sketches) {
            Ok(message) => message,
            Err(error) => return self.fail(error, replica).map(|()| None),
        };
        if let Some(message) = message {
            if idle {
                self.progress = now;
            }
            let frame = message.encode();
            self.report.sent(&message, frame.len());
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
        let own = match &self.phase {
            Phase::Exchange(exchange) if !self.rung => exchange.deadline(),
            _ => None,
        };
        [own, self.patience()].into_iter().flatten().min()
    }

    /// Until when the peer has to do something.
    fn patience(&self) -> Option<Duration> {
        let waiting = match &self.phase {
            // A live link may be silent for as long as there is nothing to say; of a peer that came
            // for one exchange it is expected that it leaves after it.
            Phase::Exchange(exchange) => !exchange.is_settled() || !exchange.is_live(),
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
        sketches: &mut Sketches,
    ) -> Result<(), SyncError> {
        let message = Message::decode(frame);
        self.report.received(message.as_ref().ok().and_then(Option::as_ref), frame.len());
        let Some(message) = message? else {
            if let Phase::Exchange(exchange) = &mut self.phase {
                exchange.skip();
            }
            return Ok(());
        };
        self.progress = now;
        let mut report = std::mem::take(&mut self.report);
        let mut cx = Context { now, peer: self.peer, replica, sketches, report: &mut report };
        let result = self.take(message, &mut cx);
        self.report = report;
        result
    }

    fn take(&mut self, message: Message, cx: &mut Context<'_>) -> Result<(), SyncError> {
        match (std::mem::replace(&mut self.phase, Phase::Over), message) {
            (Phase::Waiting, Message::Greet(greet)) => {
                let (offer, hello) = Offer::new(&greet, self.fresh, cx)?;
                self.phase = Phase::Offered(Box::new(offer), Some(hello));
                Ok(())
            }
            (Phase::Listening, Message::Hello(hello)) => {
                let opened = self.open(&hello, cx);
                self.or_tell_busy(opened)
            }
            (Phase::Listening, Message::OtherVersion(theirs)) => Err(SyncError::Version { theirs }),
            (Phase::Waiting, Message::OtherGreet(theirs)) => {
                // The opener learns our version, whatever it speaks.
                let answer = Message::OtherVersion(VERSION);
                self.phase = Phase::Farewell(Some(answer), SyncError::Version { theirs });
                Ok(())
            }
            (Phase::Offered(offer, None), Message::Open(open)) => {
                cx.report.answered();
                let agreed = offer.agree(&open, cx)?;
                met(&agreed, cx);
                match Exchange::accepting(agreed, self.seed, cx) {
                    Ok(exchange) => {
                        self.exchange(exchange);
                        Ok(())
                    }
                    Err(error) => self.or_tell_busy(Err(error)),
                }
            }
            (Phase::Listening | Phase::Exchange(_), Message::Busy(busy)) => {
                let retry_after = Duration::from_secs(busy.seconds.min(MAX_WAIT));
                Err(SyncError::Busy { retry_after })
            }
            (Phase::Exchange(exchange), Message::Proof(proof)) => {
                self.phase = Phase::Exchange(exchange);
                self.meet(&proof, cx)
            }
            (Phase::Exchange(mut exchange), message) => match exchange.handle(message, cx) {
                Err(error @ SyncError::Busy { .. }) => self.or_tell_busy(Err(error)),
                result => {
                    self.phase = Phase::Exchange(exchange);
                    result
                }
            },
            // It was sent before the peer knew that nothing is in common.
            (phase @ Phase::Farewell(..), Message::Refuse(_)) => {
                self.phase = phase;
                Ok(())
            }
            (_, message) => Err(PeerFault::Unexpected(message.name()).into()),
        }
    }

    /// A peer that has cost enough is told so before the session ends.
    fn or_tell_busy(&mut self, result: Result<(), SyncError>) -> Result<(), SyncError> {
        let Err(SyncError::Busy { retry_after }) = result else { return result };
        let busy = Message::Busy(Busy { seconds: retry_after.as_secs() });
        self.phase = Phase::Farewell(Some(busy), SyncError::Busy { retry_after });
        Ok(())
    }

    fn open(&mut self, hello: &Hello, cx: &mut Context<'_>) -> Result<(), SyncError> {
        let live = self.role == Role::Link;
        let (open, agreed) = greeting::open(hello, self.fresh, live, cx)?;
        if agreed.commons.is_empty() {
            let why = SyncError::NoFestivalInCommon;
            self.phase = Phase::Farewell(Some(Message::Open(open)), why);
        } else {
            met(&agreed, cx);
            self.exchange(Exchange::opening(open, agreed, self.seed, cx)?);
        }
        cx.report.turn();
        Ok(())
    }

    #[cfg_attr(not(feature = "blobs"), expect(unused_mut, reason = "nothing more is to be set"))]
    fn exchange(&mut self, mut exchange: Exchange) {
        #[cfg(feature = "blobs")]
        exchange.blobs.fetch(std::mem::take(&mut self.policy));
        self.phase = Phase::Exchange(Box::new(exchange));
    }

    /// Takes the peer's proof of who it is.
    fn meet(&mut self, proof: &LinkProof, cx: &mut Context<'_>) -> Result<(), SyncError> {
        let Some(link) = self.fresh.binding.filter(|_| self.user.is_none()) else {
            return Err(PeerFault::Unexpected("PROOF").into());
        };
        let end = if self.role == Role::Accept { LinkEnd::Opener } else { LinkEnd::Acceptor };
        let user = proof.verify(&link, end).ok_or(PeerFault::User)?;
        self.user = Some(user);
        cx.report.event(SyncEvent::Peer { user });
        Ok(())
    }

    fn next_message(
        &mut self,
        now: Duration,
        replica: &mut Replica,
        sketches: &mut Sketches,
    ) -> Result<Option<Message>, SyncError> {
        match &mut self.phase {
            Phase::Greet => {
                self.phase = Phase::Listening;
                Ok(Some(Message::Greet(greet(self.fresh))))
            }
            Phase::Offered(offer, hello) => match hello.take() {
                Some(hello) => {
                    self.report.turn();
                    Ok(Some(Message::Hello(hello)))
                }
                None => Ok(offer.refusals.pop_front()),
            },
            Phase::Farewell(message, _) => match message.take() {
                Some(message) => Ok(Some(message)),
                None => match std::mem::replace(&mut self.phase, Phase::Over) {
                    Phase::Farewell(_, error) => Err(error),
                    _ => Ok(None),
                },
            },
            Phase::Exchange(exchange) => {
                let (peer, report) = (self.peer, &mut self.report);
                exchange.next_message(&mut Context { now, peer, replica, sketches, report })
            }
            Phase::Listening | Phase::Waiting | Phase::Over => Ok(None),
        }
    }

    fn time(&mut self, now: Duration, replica: &mut Replica) -> Result<(), SyncError> {
        self.rung |= self.deadline().is_some_and(|deadline| deadline <= now);
        if self.patience().is_none_or(|deadline| deadline > now) {
            return Ok(());
        }
        match &self.phase {
            // It has all that there is, and does not leave: this side does.
            Phase::Exchange(exchange) if exchange.is_settled() && !self.handed_out => {
                self.closed(replica)
            }
            _ => Err(SyncError::Stalled { after: PATIENCE }),
        }
    }

    fn closed(&mut self, replica: &mut Replica) -> Result<(), SyncError> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Farewell(_, error) => Err(error),
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

fn met(agreed: &Agreed, cx: &mut Context<'_>) {
    let festivals = agreed.commons.iter().map(|common| common.festival).collect();
    cx.report.event(SyncEvent::Met { festivals });
}
