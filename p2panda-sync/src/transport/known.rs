use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{Sink, SinkExt as _, Stream, StreamExt as _};
use p2panda_core::ChannelBinding;

use super::Transport;
use crate::peers::PeerId;

/// A transport whose peer the application knows, by whatever it goes by.
#[derive(Debug)]
pub struct KnownAs<T> {
    peer: PeerId,
    inner: T,
}

impl<T: Transport> KnownAs<T> {
    /// At the other end of this transport is that peer.
    pub const fn new(peer: PeerId, inner: T) -> Self {
        Self { peer, inner }
    }
}

impl<T: Transport> Transport for KnownAs<T> {
    fn binding(&self) -> Option<ChannelBinding> {
        self.inner.binding()
    }

    fn peer_id(&self) -> Option<PeerId> {
        Some(self.peer)
    }
}

impl<T: Transport> Stream for KnownAs<T> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.poll_next_unpin(cx)
    }
}

impl<T: Transport> Sink<Bytes> for KnownAs<T> {
    type Error = io::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_ready_unpin(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Bytes) -> io::Result<()> {
        self.inner.start_send_unpin(frame)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush_unpin(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_close_unpin(cx)
    }
}
