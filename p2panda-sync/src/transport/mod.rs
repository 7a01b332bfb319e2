//! What carries frames between two nodes.

#[cfg(feature = "tokio")]
mod clock;
#[cfg(feature = "lan")]
mod lan;
mod memory;
#[cfg(feature = "noise")]
mod noise;
#[cfg(all(feature = "noise", feature = "tokio"))]
mod stream;
#[cfg(feature = "tcp")]
mod tcp;
#[cfg(feature = "websocket")]
mod websocket;

use std::io;

use bytes::Bytes;
use futures::{Sink, Stream};
use p2panda_core::{ChannelBinding, LinkId};

#[cfg(feature = "tokio")]
pub use clock::TokioClock;
#[cfg(feature = "lan")]
pub use lan::{Announcement, LanPeer, LanSearch, MAX_LAN_PEERS};
pub use memory::{MemoryTransport, memory};
#[cfg(feature = "noise")]
pub use noise::{HANDSHAKE_PATIENCE, LinkError, LinkKey, NoiseTransport};
#[cfg(all(feature = "noise", feature = "tokio"))]
pub use stream::{ByteStream, NoiseTcp};
#[cfg(feature = "tcp")]
pub use tcp::TcpTransport;
#[cfg(feature = "websocket")]
pub use websocket::{NoiseWebSocket, WebSocket};

/// A stream and a sink of whole frames, in order, each at most [`MAX_FRAME`](crate::MAX_FRAME) bytes.
///
/// The stream ends when the peer has closed. An error of the kind
/// [`InvalidData`](io::ErrorKind::InvalidData) says that the peer sent what is not a frame. The
/// sink takes a bounded number of frames; reading goes on while it is full.
///
/// Whatever encrypts says by its [`binding`](Self::binding) which link it is; else users prove to
/// nobody who they are.
///
/// A type with these two halves becomes a transport with one line:
///
/// ```
/// # use std::{io, pin::Pin, task::{Context, Poll}};
/// # use futures::{Sink, Stream};
/// # use bytes::Bytes;
/// use p2panda_sync::{MemoryTransport, Transport};
///
/// struct Counted(MemoryTransport);
/// # impl Stream for Counted {
/// #     type Item = io::Result<Bytes>;
/// #     fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
/// #         Pin::new(&mut self.0).poll_next(cx)
/// #     }
/// # }
/// # impl Sink<Bytes> for Counted {
/// #     type Error = io::Error;
/// #     fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
/// #         Pin::new(&mut self.0).poll_ready(cx)
/// #     }
/// #     fn start_send(mut self: Pin<&mut Self>, frame: Bytes) -> io::Result<()> {
/// #         Pin::new(&mut self.0).start_send(frame)
/// #     }
/// #     fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
/// #         Pin::new(&mut self.0).poll_flush(cx)
/// #     }
/// #     fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
/// #         Pin::new(&mut self.0).poll_close(cx)
/// #     }
/// # }
/// // Stream and Sink as usual, and then:
/// impl Transport for Counted {}
/// ```
pub trait Transport:
    Stream<Item = io::Result<Bytes>> + Sink<Bytes, Error = io::Error> + Unpin
{
    /// What the two ends of this one link have in common, and no other link has, if it is encrypted
    /// and authenticated.
    fn binding(&self) -> Option<ChannelBinding> {
        None
    }

    /// What the peer has proved to be, where the transport knows that.
    fn peer_id(&self) -> Option<PeerId> {
        None
    }
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn binding(&self) -> Option<ChannelBinding> {
        (**self).binding()
    }

    fn peer_id(&self) -> Option<PeerId> {
        (**self).peer_id()
    }
}

/// Tells one peer from another, from one link to the next: the device, not its user. An encrypted
/// link takes its peer's link key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId([u8; 32]);

impl PeerId {
    /// Of 32 bytes that are the peer's alone.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<LinkId> for PeerId {
    fn from(link: LinkId) -> Self {
        Self(*link.as_bytes())
    }
}
