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
use p2panda_core::ChannelBinding;

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
pub trait Transport:
    Stream<Item = io::Result<Bytes>> + Sink<Bytes, Error = io::Error> + Unpin
{
    /// What the two ends of this one link have in common, and no other link has, if it is encrypted
    /// and authenticated.
    fn binding(&self) -> Option<ChannelBinding> {
        None
    }
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn binding(&self) -> Option<ChannelBinding> {
        (**self).binding()
    }
}
