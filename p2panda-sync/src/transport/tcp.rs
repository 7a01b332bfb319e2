use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::{Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use crate::{MAX_FRAME, Transport};

/// Frames over TCP, each behind its length in three bytes: neither encrypted nor authenticated.
///
/// This is for tests and measurements alone, where the link itself should add nothing. Everybody on
/// the way reads and changes what it carries, and can take the place of the peer. Devices meet over
/// `NoiseTcp`, with the features `noise` and `tokio`.
#[derive(Debug)]
pub struct TcpTransport(Framed<TcpStream, LengthDelimitedCodec>);

impl TcpTransport {
    /// Connects, within a time, to the first of the addresses that answers.
    ///
    /// # Errors
    /// [`io::Error`], of the kind [`TimedOut`](io::ErrorKind::TimedOut) after the time.
    pub async fn connect(address: impl ToSocketAddrs, within: Duration) -> io::Result<Self> {
        let stream = tokio::time::timeout(within, TcpStream::connect(address)).await??;
        Self::new(stream)
    }

    /// Speaks over a connection that was accepted or made elsewhere.
    ///
    /// # Errors
    /// [`io::Error`] where the connection is broken already.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        // Frames are written whole; waiting for more would only delay the answers.
        stream.set_nodelay(true)?;
        let codec = LengthDelimitedCodec::builder()
            .length_field_length(3)
            .max_frame_length(MAX_FRAME)
            .new_codec();
        Ok(Self(Framed::new(stream, codec)))
    }
}

impl Transport for TcpTransport {}

impl Stream for TcpTransport {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx).map_ok(BytesMut::freeze)
    }
}

impl Sink<Bytes> for TcpTransport {
    type Error = io::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Sink::<Bytes>::poll_ready(Pin::new(&mut self.0), cx)
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Bytes) -> io::Result<()> {
        self.0.start_send_unpin(frame)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Sink::<Bytes>::poll_flush(Pin::new(&mut self.0), cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Sink::<Bytes>::poll_close(Pin::new(&mut self.0), cx)
    }
}
