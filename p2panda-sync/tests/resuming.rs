//! Links that break at any byte, in the handshake and after it: the next session goes on from there.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use common::{Author, festival, logs, replica_in, rng};
use p2panda_core::{LinkEnd, Replica, store::MemoryStore};
use p2panda_sync::{LinkKey, Node, NoiseTransport, Role, Stats, StoppedClock};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

/// A stream of bytes that breaks once so many have gone over it, in both directions together. What
/// was written before arrives.
struct Breaking {
    inner: DuplexStream,
    left: Arc<AtomicUsize>,
}

impl AsyncRead for Breaking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Breaking {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let left = self.left.load(Relaxed);
        if left == 0 {
            // Both ends find it broken.
            _ = Pin::new(&mut self.inner).poll_shutdown(cx);
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let some = bytes.len().min(left);
        let written = Pin::new(&mut self.inner).poll_write(cx, &bytes[..some]);
        if let Poll::Ready(Ok(written)) = &written {
            self.left.fetch_sub(*written, Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Two replicas with a log in common, one that differs and one each alone.
fn two() -> [Replica; 2] {
    let replicas = [1, 2].map(|seed| replica_in(MemoryStore::buffered(), seed, &[&festival(1)]));
    let [mut a, mut b] = replicas;
    let author = |seed| Author::new(seed, festival(1).id());
    author(11).fill(&mut a, 2, 40);
    author(12).fill(&mut b, 2, 40);
    let mut both = author(13);
    both.clone().fill(&mut b, 1, 10);
    both.fill(&mut a, 3, 10);
    [a, b]
}

/// Syncs over an encrypted link that breaks after so many bytes: how many went over it, and what each
/// side counted if it came to its end.
async fn sync(nodes: [&Node; 2], bytes: usize) -> (usize, [Option<Stats>; 2]) {
    let left = Arc::new(AtomicUsize::new(bytes));
    let (here, there) = duplex(64 * 1024);
    let ends = [(here, LinkEnd::Opener, Role::Sync), (there, LinkEnd::Acceptor, Role::Accept)];
    let [opener, acceptor] = ends.map(|(inner, end, role)| {
        let node = nodes[usize::from(role == Role::Accept)].clone();
        let stream = Breaking { inner, left: Arc::clone(&left) };
        async move {
            let key = LinkKey::generate(&mut rng(role as u64));
            let link = NoiseTransport::over(stream, end, &key, &StoppedClock, &mut rng(5)).await;
            node.run(link.ok()?, role, |_| ()).await.ok()
        }
    });
    let (opener, acceptor) = tokio::join!(opener, acceptor);
    (bytes - left.load(Relaxed), [opener, acceptor])
}

#[tokio::test]
async fn a_link_that_breaks_at_any_byte_is_gone_on_with_and_nothing_goes_twice() {
    let node = |replica| Node::new(replica, StoppedClock, rng(7));
    let nodes = two().map(node);
    let (all, _) = sync([&nodes[0], &nodes[1]], usize::MAX).await;
    let [expected, same] = nodes.each_ref().map(|node| node.with(|replica| logs(replica)));
    assert_eq!(expected, same);
    let lengths = |node: &Node| -> u64 {
        node.with(|replica| logs(replica)).iter().map(|(_, tip)| tip.length).sum()
    };
    let mut halfway = 0;
    for at in 0..=all {
        let nodes = two().map(node);
        let (_, first) = sync([&nodes[0], &nodes[1]], at).await;
        assert!(at == all || first.iter().any(Option::is_none), "at {at}");
        let held = nodes.each_ref().map(lengths);
        assert!((5..=7).contains(&held[0]) && (3..=7).contains(&held[1]), "at {at}");
        halfway += usize::from(held[0] + held[1] > 8 && held[0] + held[1] < 14);
        let (_, second) = sync([&nodes[0], &nodes[1]], usize::MAX).await;
        let [opener, acceptor] = second.map(|stats| stats.expect("nothing breaks any more"));
        let ends = nodes.each_ref().map(|node| node.with(|replica| logs(replica)));
        assert!(ends.iter().all(|end| *end == expected), "at {at}");
        // What the second session sent is what was missing.
        assert_eq!((acceptor.entries_sent, opener.entries_sent), (7 - held[0], 7 - held[1]));
        assert_eq!(opener.entries_received, acceptor.entries_sent);
        assert_eq!(acceptor.entries_received, opener.entries_sent);
    }
    println!("{all} bytes, in the middle of what was missing at {halfway} of them");
    assert!(halfway > 50, "{halfway}");
}
