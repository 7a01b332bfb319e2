//! Encrypted and authenticated links over any transport.

mod handshake;
mod key;
mod sealing;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    fmt, io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::{
    Sink, SinkExt as _, Stream, StreamExt as _,
    future::{Either, select},
};
use p2panda_core::{ChannelBinding, LinkEnd, LinkId};
use rand_core::CryptoRng;

use self::{
    handshake::Established,
    sealing::{SealError, Sealing},
};
use super::Transport;
use crate::{Clock, Fault, PeerId};

pub(super) use self::handshake::Handshake;
pub use self::key::LinkKey;
#[cfg(feature = "tokio")]
pub(super) use self::{handshake::MAX_HANDSHAKE, sealing::MAX_MESSAGE};

/// How long a peer may take for its part of a handshake, in all.
pub const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// A link that is encrypted and authenticated with link keys, over any transport of messages of
/// up to 65,535 bytes.
///
/// Both ends prove that they hold their link keys ([`peer`](Self::peer) is the other's), and each
/// message is accepted once, in its place and unchanged, or ends the link. Keys change as the link
/// is used. Who the users are it does not say: that is proved inside, bound to
/// [`channel_binding`](Self::channel_binding), by a [`LinkProof`](p2panda_core::LinkProof).
///
/// A listener learns sizes and times of messages and both addresses, and nothing that tells one
/// device from another. Whoever cuts the connection between two frames ends the stream as the peer
/// could have; that a session had an end is said inside it.
///
/// # Bytes
///
/// `Noise_XX_25519_ChaChaPoly_BLAKE2s` with the prologue `p2panda 1 link` and no payloads: 32, 96
/// and 64 bytes, the opener first; it may send its first frame along with the third. Then each
/// message is encrypted from a piece of a frame and one byte behind it: 1 where more pieces of the
/// frame follow, and then the piece has 65,518 bytes; else 0. After every 1,024 messages of a
/// direction its key is changed (`Rekey`; the nonce goes on). Over a stream of bytes each message
/// stands behind its length in two bytes, big endian; over WebSocket it is a binary message.
///
/// ```
/// use futures::{SinkExt as _, StreamExt as _, executor::block_on, future::try_join};
/// use p2panda_core::LinkEnd;
/// use p2panda_sync::{LinkKey, NoiseTransport, StoppedClock, memory};
/// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
/// # let mut rng = ChaCha20Rng::seed_from_u64(7);
/// let (ada, bob) = (LinkKey::generate(&mut rng), LinkKey::generate(&mut rng));
/// let (here, there) = memory(4);
/// let (mut here, mut there) = block_on(try_join(
///     NoiseTransport::establish(here, LinkEnd::Opener, &ada, &StoppedClock, &mut rng.clone()),
///     NoiseTransport::establish(there, LinkEnd::Acceptor, &bob, &StoppedClock, &mut rng),
/// ))?;
/// assert_eq!(here.peer(), bob.id());
/// assert_eq!(here.channel_binding(), there.channel_binding());
///
/// block_on(here.send("hello".into()))?;
/// assert_eq!(block_on(there.next()).unwrap()?, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct NoiseTransport<T> {
    inner: T,
    sealing: Sealing,
    /// The messages of the last frame that the transport has not taken yet.
    outgoing: VecDeque<Bytes>,
    binding: ChannelBinding,
    peer: LinkId,
    /// A message was refused: nothing that follows it means anything.
    failed: bool,
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// What came is no handshake of ours: another program, another version, or somebody in between.
    #[error("the peer does not speak our encryption")]
    Handshake,
    /// The peer closed before the handshake was over.
    #[error("the connection ended during the handshake")]
    Closed,
    /// The peer took longer than that.
    #[error("no link was made within {} seconds", within.as_secs())]
    TooSlow {
        /// The time that it had.
        within: Duration,
    },
    /// The transport failed.
    #[error("the connection failed: {0}")]
    Transport(#[from] io::Error),
}

impl LinkError {
    /// Whose fault it was, which tells what to do.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Handshake => Fault::Peer,
            Self::Closed | Self::TooSlow { .. } | Self::Transport(_) => Fault::Link,
        }
    }

    /// The error of a transport while the handshake is going on.
    pub(super) fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => Self::Handshake,
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset => Self::Closed,
            _ => Self::Transport(error),
        }
    }
}

impl<T: Transport> NoiseTransport<T> {
    /// Makes a link over a connection, within [`HANDSHAKE_PATIENCE`]. `rng` gives 32 bytes, for a
    /// key that this link alone has.
    ///
    /// The opener may send as soon as this returns, one round trip after it began.
    ///
    /// # Errors
    /// [`LinkError`], which says whose fault it was.
    pub async fn establish(
        transport: T,
        end: LinkEnd,
        key: &LinkKey,
        clock: &(impl Clock + ?Sized),
        rng: &mut impl CryptoRng,
    ) -> Result<Self, LinkError> {
        within(clock, Self::shake(transport, Handshake::new(end, key, rng))).await
    }

    /// A handshake to its end, however long it takes.
    pub(super) async fn shake(mut inner: T, mut handshake: Handshake) -> Result<Self, LinkError> {
        while !handshake.is_finished() {
            if handshake.is_our_turn() {
                let message = handshake.write()?;
                inner.send(message.into()).await.map_err(LinkError::from_io)?;
            } else {
                let message = inner.next().await.ok_or(LinkError::Closed)?;
                handshake.read(&message.map_err(LinkError::from_io)?)?;
            }
        }
        let Established { keys, binding, peer } = handshake.establish()?;
        let (sealing, outgoing) = (Sealing::new(keys), VecDeque::new());
        Ok(Self { inner, sealing, outgoing, binding, peer, failed: false })
    }

    /// What this link has in common at its two ends, and with no other link: the hash of the
    /// handshake.
    #[must_use]
    pub const fn channel_binding(&self) -> ChannelBinding {
        self.binding
    }

    /// The link key that the peer has proved to hold.
    #[must_use]
    pub const fn peer(&self) -> LinkId {
        self.peer
    }

    #[cfg(feature = "tokio")]
    pub(super) const fn inner_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Hands messages on until none is left.
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            ready!(self.inner.poll_ready_unpin(cx))?;
            if let Some(message) = self.outgoing.pop_front() {
                self.inner.start_send_unpin(message)?;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// What a future gives, unless it takes too long.
pub(super) async fn within<V>(
    clock: &(impl Clock + ?Sized),
    act: impl Future<Output = Result<V, LinkError>>,
) -> Result<V, LinkError> {
    match select(pin!(act), clock.sleep(HANDSHAKE_PATIENCE)).await {
        Either::Left((done, _)) => done,
        Either::Right(_) => Err(LinkError::TooSlow { within: HANDSHAKE_PATIENCE }),
    }
}

impl<T: Transport> Transport for NoiseTransport<T> {
    fn peer_id(&self) -> Option<PeerId> {
        Some(self.peer.into())
    }

    fn binding(&self) -> Option<ChannelBinding> {
        Some(self.binding)
    }
}

impl<T: Transport> Stream for NoiseTransport<T> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while !this.failed {
            let message = match ready!(this.inner.poll_next_unpin(cx)) {
                Some(message) => message?,
                None if this.sealing.is_within_a_frame() => {
                    this.failed = true;
                    return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
                }
                None => return Poll::Ready(None),
            };
            match this.sealing.open(&message) {
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(None) => {}
                Err(error) => {
                    this.failed = true;
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
        }
        Poll::Ready(None)
    }
}

impl<T: Transport> Sink<Bytes> for NoiseTransport<T> {
    type Error = io::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(cx))?;
        self.inner.poll_ready_unpin(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Bytes) -> io::Result<()> {
        let Self { sealing, outgoing, .. } = &mut *self;
        sealing.seal(&frame, |message| outgoing.push_back(message)).map_err(|error| match error {
            SealError::TooLarge => io::Error::new(io::ErrorKind::InvalidInput, error),
            error => error.into(),
        })
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(cx))?;
        self.inner.poll_flush_unpin(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(cx))?;
        self.inner.poll_close_unpin(cx)
    }
}

impl From<SealError> for io::Error {
    fn from(error: SealError) -> Self {
        let kind = match error {
            SealError::Forged | SealError::Pieces | SealError::TooLarge => {
                io::ErrorKind::InvalidData
            }
            SealError::Exhausted => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl<T: fmt::Debug> fmt::Debug for NoiseTransport<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoiseTransport")
            .field("inner", &self.inner)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
