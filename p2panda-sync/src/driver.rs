//! Drives a session over a transport.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt as _, SinkExt as _, StreamExt as _, future::BoxFuture};
use p2panda_core::FestivalId;

use crate::{
    error::{PeerFault, SyncError},
    health::contact,
    node::{Changes, Held, Node},
    session::{Input, Output, PATIENCE, Session, Stats, SyncEvent},
    transport::Transport,
};

/// How many frames are read, and how many written, before the other direction gets its turn.
const BURST: usize = 64;

/// How much too early a timer may fire.
const EARLY: Duration = Duration::from_secs(1);

pub(crate) struct Driver<T> {
    node: Node,
    session: Session,
    transport: T,
    changes: Changes,
    timer: Option<(Duration, BoxFuture<'static, ()>)>,
    /// The peer takes nothing any more; what it sent before is read first.
    write_broken: bool,
    finished: bool,
    /// The festivals in common, once both sides have caught up.
    met: Vec<FestivalId>,
}

impl<T: Transport> Driver<T> {
    pub(crate) fn new(node: Node, session: Session, transport: T) -> Self {
        let changes = node.changes();
        Self {
            node,
            session,
            transport,
            changes,
            timer: None,
            write_broken: false,
            finished: false,
            met: Vec::new(),
        }
    }

    pub(crate) async fn run(
        mut self,
        mut observe: impl FnMut(SyncEvent),
    ) -> Result<Stats, SyncError> {
        let peer = self.transport.peer_id();
        self.node.may_meet(peer.as_ref())?;
        let outcome = poll_fn(|cx| self.poll(cx, &mut observe)).await;
        let noted = self.note_contact();
        self.node.has_met(peer.as_ref(), &outcome, &self.session.stats());
        self.node.keep_sketches();
        outcome?;
        noted?;
        let mut patience = self.node.sleep(PATIENCE);
        // All is exchanged: a peer that does not let itself be told so changes nothing.
        poll_fn(|cx| match patience.poll_unpin(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => self.transport.poll_close_unpin(cx).map(|_| ()),
        })
        .await;
        Ok(self.session.stats())
    }

    /// One round of reading and writing; then others get their turn.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        observe: &mut impl FnMut(SyncEvent),
    ) -> Poll<Result<(), SyncError>> {
        let before = self.node.lock().version();
        let read = self.read(cx);
        let moved = read.and_then(|read| Ok(read | self.write(cx, observe)?));
        if self.node.lock().version() != before {
            self.node.wake();
        }
        let moved = moved? | self.tick(cx)?;
        if self.finished {
            return Poll::Ready(Ok(()));
        }
        if moved {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Hands in what is at hand; whether there was anything.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, SyncError> {
        let mut moved = false;
        while let Poll::Ready(Some(())) = self.changes.poll_next_unpin(cx) {
            moved = true;
        }
        for _ in 0..BURST {
            let input = match self.transport.poll_next_unpin(cx) {
                Poll::Pending if self.write_broken => Input::Closed,
                Poll::Pending => break,
                Poll::Ready(Some(Ok(frame))) => Input::Frame(frame),
                Poll::Ready(None) => Input::Closed,
                Poll::Ready(Some(Err(error))) if is_closed(&error) => Input::Closed,
                Poll::Ready(Some(Err(error))) => return Err(self.failed(error)),
            };
            moved = true;
            let closed = matches!(input, Input::Closed);
            self.handle(input)?;
            if closed {
                self.finished = true;
                break;
            }
        }
        Ok(moved)
    }

    /// Writes as much as the transport takes; whether anything came of it.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        observe: &mut impl FnMut(SyncEvent),
    ) -> Result<bool, SyncError> {
        let mut moved = false;
        for _ in 0..BURST {
            if !self.finished && self.ready(cx)?.is_pending() {
                // The session cannot be polled now, but others wait for what it received.
                self.node.lock().replica.flush()?;
                break;
            }
            let output = self.next()?;
            moved |= output.is_some();
            match &output {
                Some(Output::Event(SyncEvent::Met { festivals })) => self.met.clone_from(festivals),
                Some(Output::Event(SyncEvent::CaughtUp { .. })) | None
                    if self.session.has_acknowledged() =>
                {
                    self.note_health()?;
                }
                _ => {}
            }
            match output {
                Some(Output::Send(frame)) => {
                    let sent = self.transport.start_send_unpin(frame);
                    self.wrote(sent)?;
                }
                Some(Output::Event(event)) => {
                    if matches!(event, SyncEvent::CaughtUp { .. }) {
                        self.node.lock().replica.follow_links()?;
                    }
                    observe(event);
                }
                Some(Output::Finished) => self.finished = true,
                None => break,
            }
        }
        if !self.write_broken
            && let Poll::Ready(flushed) = self.transport.poll_flush_unpin(cx)
        {
            self.wrote(flushed)?;
        }
        Ok(moved)
    }

    fn ready(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, SyncError> {
        if self.write_broken {
            return Ok(Poll::Pending);
        }
        match self.transport.poll_ready_unpin(cx) {
            Poll::Ready(result) => self.wrote(result).map(|()| Poll::Ready(())),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    fn wrote(&mut self, result: io::Result<()>) -> Result<(), SyncError> {
        match result {
            Err(error) if is_closed(&error) => self.write_broken = true,
            Err(error) => return Err(self.failed(error)),
            Ok(()) => {}
        }
        Ok(())
    }

    /// Keeps the timer armed; whether the deadline has come.
    fn tick(&mut self, cx: &mut Context<'_>) -> Result<bool, SyncError> {
        let Some(deadline) = self.session.deadline() else {
            self.timer = None;
            return Ok(false);
        };
        let now = self.node.now();
        // Deadlines mostly move away by a little: a timer that fires early is armed again.
        let fits = |at: Duration| at <= deadline && deadline <= at + EARLY;
        if self.timer.as_ref().is_none_or(|(at, _)| !fits(*at)) {
            self.timer = Some((deadline, self.node.sleep(deadline.saturating_sub(now))));
        }
        let Some((_, timer)) = &mut self.timer else { return Ok(false) };
        if timer.poll_unpin(cx).is_pending() {
            return Ok(false);
        }
        self.timer = None;
        self.handle(Input::Deadline)?;
        Ok(true)
    }

    fn handle(&mut self, input: Input) -> Result<(), SyncError> {
        let now = self.node.now();
        let mut held = self.node.lock();
        let Held { replica, sketches } = &mut *held;
        self.session.handle(now, input, replica, sketches)
    }

    fn next(&mut self) -> Result<Option<Output>, SyncError> {
        let now = self.node.now();
        let mut held = self.node.lock();
        let Held { replica, sketches } = &mut *held;
        self.session.poll(now, replica, sketches)
    }

    /// Notes what the peer is known to hold now.
    fn note_health(&mut self) -> Result<(), SyncError> {
        let (peer, now) = (self.transport.peer_id(), self.node.wall());
        let noted = self.session.note_health(peer, now, &mut self.node.lock().replica)?;
        if noted {
            self.node.wake_health();
        }
        Ok(())
    }

    /// The peer was in touch until now.
    fn note_contact(&mut self) -> Result<(), SyncError> {
        let (peer, now) = (self.transport.peer_id(), self.node.wall());
        if contact(&self.met, peer, now, &mut self.node.lock().replica)? {
            self.node.wake_health();
        }
        Ok(())
    }

    fn failed(&mut self, error: io::Error) -> SyncError {
        // Nothing may get lost that was received before.
        if let Err(error) = self.node.lock().replica.flush() {
            return error.into();
        }
        match error.kind() {
            io::ErrorKind::InvalidData => PeerFault::Message("a frame").into(),
            _ => error.into(),
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
    };
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof
    )
}
