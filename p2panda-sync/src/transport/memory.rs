use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{Sink, SinkExt as _, Stream, StreamExt as _, channel::mpsc};

use super::Transport;

/// One end of a pair that carries frames within a process; dropping it closes the connection.
#[derive(Debug)]
pub struct MemoryTransport {
    sender: mpsc::Sender<Bytes>,
    receiver: mpsc::Receiver<Bytes>,
}

impl Transport for MemoryTransport {}

/// Two ends of a connection that holds at most `frames` frames, and at least one, each way.
#[must_use]
pub fn memory(frames: usize) -> (MemoryTransport, MemoryTransport) {
    // A channel has one slot for each sender besides its buffer.
    let (left, from_left) = mpsc::channel(frames.saturating_sub(1));
    let (right, from_right) = mpsc::channel(frames.saturating_sub(1));
    let here = MemoryTransport { sender: left, receiver: from_right };
    (here, MemoryTransport { sender: right, receiver: from_left })
}

impl Stream for MemoryTransport {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_next_unpin(cx).map(|frame| frame.map(Ok))
    }
}

impl Sink<Bytes> for MemoryTransport {
    type Error = io::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.sender.poll_ready(cx).map_err(closed)
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Bytes) -> io::Result<()> {
        self.sender.start_send(frame).map_err(closed)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Flushing a channel waits until it is empty, which nobody has asked for.
        self.sender.poll_ready(cx).map(|_| Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.sender.poll_close_unpin(cx).map_err(closed)
    }
}

fn closed(error: mpsc::SendError) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, error)
}
