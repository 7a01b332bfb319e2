//! Noise over byte streams: TCP above all.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures::{Sink, SinkExt as _, Stream, StreamExt as _};
use p2panda_core::LinkEnd;
use rand_core::CryptoRng;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, ToSocketAddrs},
};
use tokio_util::codec::{Decoder, Encoder, Framed};

use super::{
    LinkError, LinkKey, NoiseTransport, TokioClock, Transport,
    noise::{Handshake, MAX_HANDSHAKE, MAX_MESSAGE, within},
};
use crate::Clock;

/// An encrypted link over TCP.
pub type NoiseTcp = NoiseTransport<ByteStream<TcpStream>>;

impl NoiseTcp {
    /// Connects to the first of the addresses that answers and makes a link, all within
    /// [`HANDSHAKE_PATIENCE`](crate::HANDSHAKE_PATIENCE).
    ///
    /// # Errors
    /// [`LinkError`], which says whose fault it was.
    pub async fn connect(
        address: impl ToSocketAddrs,
        key: &LinkKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, LinkError> {
        let link = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Self::shake_over(stream, Handshake::new(LinkEnd::Opener, key, rng)).await
        };
        within(&TokioClock::default(), link).await
    }

    /// Makes a link over a connection that was accepted, within
    /// [`HANDSHAKE_PATIENCE`](crate::HANDSHAKE_PATIENCE).
    ///
    /// # Errors
    /// [`LinkError`], which says whose fault it was.
    pub async fn accept(
        stream: TcpStream,
        key: &LinkKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, LinkError> {
        // Messages are written whole; waiting for more would only delay the answers.
        stream.set_nodelay(true)?;
        Self::over(stream, LinkEnd::Acceptor, key, &TokioClock::default(), rng).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> NoiseTransport<ByteStream<S>> {
    /// Makes a link over any stream of bytes, within
    /// [`HANDSHAKE_PATIENCE`](crate::HANDSHAKE_PATIENCE).
    ///
    /// # Errors
    /// [`LinkError`], which says whose fault it was.
    pub async fn over(
        stream: S,
        end: LinkEnd,
        key: &LinkKey,
        clock: &(impl Clock + ?Sized),
        rng: &mut impl CryptoRng,
    ) -> Result<Self, LinkError> {
        within(clock, Self::shake_over(stream, Handshake::new(end, key, rng))).await
    }

    /// Until the handshake is over nobody makes us read more than it has.
    async fn shake_over(stream: S, handshake: Handshake) -> Result<Self, LinkError> {
        let bytes = ByteStream(Framed::new(stream, Lengths { limit: MAX_HANDSHAKE }));
        let mut link = Self::shake(bytes, handshake).await?;
        link.inner_mut().0.codec_mut().limit = MAX_MESSAGE;
        Ok(link)
    }
}

/// The messages of a link in a stream of bytes, each behind its length in two bytes. It is made
/// with a link only.
#[derive(Debug)]
pub struct ByteStream<S>(Framed<S, Lengths>);

/// A length that is only claimed makes nothing grow: memory follows what has arrived.
#[derive(Debug)]
struct Lengths {
    limit: usize,
}

const HEADER: usize = 2;

impl Decoder for Lengths {
    type Item = Bytes;
    type Error = io::Error;

    fn decode(&mut self, arrived: &mut BytesMut) -> io::Result<Option<Bytes>> {
        let Some(header) = arrived.first_chunk::<HEADER>() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes(*header));
        if length > self.limit {
            let error = format!("a message of {length} bytes, at most {} are allowed", self.limit);
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        if arrived.len() < HEADER + length {
            return Ok(None);
        }
        arrived.advance(HEADER);
        Ok(Some(arrived.split_to(length).freeze()))
    }

    fn decode_eof(&mut self, arrived: &mut BytesMut) -> io::Result<Option<Bytes>> {
        match self.decode(arrived)? {
            None if !arrived.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            message => Ok(message),
        }
    }
}

impl Encoder<Bytes> for Lengths {
    type Error = io::Error;

    fn encode(&mut self, message: Bytes, out: &mut BytesMut) -> io::Result<()> {
        let length = u16::try_from(message.len())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        out.reserve(HEADER + message.len());
        out.put_u16(length);
        out.put(message);
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport for ByteStream<S> {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for ByteStream<S> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Bytes> for ByteStream<S> {
    type Error = io::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready_unpin(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Bytes) -> io::Result<()> {
        self.0.start_send_unpin(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush_unpin(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_close_unpin(cx)
    }
}
