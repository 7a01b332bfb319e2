//! What carries frames between two nodes.

#[cfg(feature = "tokio")]
mod clock;
mod known;
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
use p2panda_core::ChannelBinding;

use crate::peers::PeerId;

#[cfg(feature = "tokio")]
pub use clock::TokioClock;
pub use known::KnownAs;
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
/// ```
/// use p2panda_sync::{KnownAs, PeerId, Transport, memory};
///
/// let (here, there) = memory(4);
/// assert_eq!(here.peer_id(), None, "nothing tells who is at the other end");
/// // An application that knows says so.
/// let ada = PeerId::new(b"ada's tablet");
/// assert_eq!(KnownAs::new(ada, there).peer_id(), Some(ada));
/// ```
pub trait Transport:
    Stream<Item = io::Result<Bytes>> + Sink<Bytes, Error = io::Error> + Unpin
{
    /// What the two ends of this one link have in common, and no other link has, if it is encrypted
    /// and authenticated.
    fn binding(&self) -> Option<ChannelBinding> {
        None
    }

    /// Who is at the other end, if the link tells.
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
