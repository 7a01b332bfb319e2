//! Noise over WebSocket: for peers behind proxies that let nothing else pass, and later browsers.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::{Sink, SinkExt as _, Stream, StreamExt as _};
use p2panda_core::LinkEnd;
use rand_core::CryptoRng;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, accept_async_with_config, client_async_with_config,
    tungstenite::{
        Error, Message, client::IntoClientRequest as _, error::ProtocolError,
        handshake::client::Request, protocol::WebSocketConfig,
    },
};

use super::{
    LinkError, LinkKey, NoiseTransport, TokioClock, Transport,
    noise::{Handshake, MAX_MESSAGE, within},
};

/// An encrypted link over WebSocket. What WebSocket itself shows, an HTTP request with the address
/// that was connected to, is not encrypted; behind it every binary message is one of the link's.
pub type NoiseWebSocket = NoiseTransport<WebSocket>;

/// What a peer that pings as fast as it can makes us do before others get their turn.
const PINGS: usize = 32;

impl NoiseWebSocket {
    /// Connects to a URL, as in `ws://192.168.1.7:7421`, and makes a link, all within
    /// [`HANDSHAKE_PATIENCE`](crate::HANDSHAKE_PATIENCE). The link is encrypted without TLS, so
    /// `wss` is not spoken.
    ///
    /// # Errors
    /// [`LinkError`], which says whose fault it was.
    pub async fn connect(
        url: &str,
        key: &LinkKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, LinkError> {
        let link = async {
            let request = url.into_client_request().map_err(invalid)?;
            let stream = TcpStream::connect(address(&request)?).await?;
            stream.set_nodelay(true)?;
            let upgraded = client_async_with_config(request, stream, Some(config())).await;
            let (socket, _) = upgraded.map_err(|error| LinkError::from_io(explain(error)))?;
            Self::shake(WebSocket(socket), Handshake::new(LinkEnd::Opener, key, rng)).await
        };
        within(&TokioClock::default(), link).await
    }

    /// Makes a link over a TCP connection that was accepted, within
    /// [`HANDSHAKE_PATIENCE`](crate::HANDSHAKE_PATIENCE).
    ///
    /// # Errors
    /// [`LinkError`], which says whose fault it was.
    pub async fn accept(
        stream: TcpStream,
        key: &LinkKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, LinkError> {
        let link = async {
            stream.set_nodelay(true)?;
            let upgraded = accept_async_with_config(stream, Some(config())).await;
            let socket = upgraded.map_err(|error| LinkError::from_io(explain(error)))?;
            Self::shake(WebSocket(socket), Handshake::new(LinkEnd::Acceptor, key, rng)).await
        };
        within(&TokioClock::default(), link).await
    }
}

/// Where a request goes.
fn address(request: &Request) -> io::Result<(String, u16)> {
    let url = request.uri();
    match (url.scheme_str(), url.host()) {
        (Some("ws"), Some(host)) => {
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            Ok((host, url.port_u16().unwrap_or(80)))
        }
        _ => Err(invalid("no URL of the form ws://HOST:PORT")),
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// A peer holds at most one message of ours, and as much of its own, in memory.
fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(16 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MAX_MESSAGE)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}

/// The binary messages of a WebSocket. It is made with a link only.
#[derive(Debug)]
pub struct WebSocket(WebSocketStream<TcpStream>);

impl Transport for WebSocket {}

impl Stream for WebSocket {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        for _ in 0..PINGS {
            let message = match ready!(self.0.poll_next_unpin(cx)) {
                Some(message) => message.map_err(explain)?,
                None => return Poll::Ready(None),
            };
            match message {
                Message::Binary(bytes) => return Poll::Ready(Some(Ok(bytes))),
                Message::Text(_) => {
                    return Poll::Ready(Some(Err(io::ErrorKind::InvalidData.into())));
                }
                // Answered already, or of no interest; after a close comes the end.
                Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Sink<Bytes> for WebSocket {
    type Error = io::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready_unpin(cx).map_err(explain)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Bytes) -> io::Result<()> {
        self.0.start_send_unpin(Message::Binary(message)).map_err(explain)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush_unpin(cx).map_err(explain)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_close_unpin(cx).map_err(explain)
    }
}

/// An error in the words of a transport: closed, no frame, or the connection's own.
fn explain(error: Error) -> io::Error {
    let kind = match error {
        Error::Io(error) => return error,
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::SendAfterClosing | ProtocolError::ReceivedAfterClosing) => {
            io::ErrorKind::BrokenPipe
        }
        Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete,
        ) => io::ErrorKind::UnexpectedEof,
        Error::WriteBufferFull(_) | Error::Tls(_) => io::ErrorKind::Other,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, error)
}
