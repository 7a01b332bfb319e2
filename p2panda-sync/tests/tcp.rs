//! The same over TCP.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Author, festival, logs, replica, rng};
use futures::{SinkExt as _, StreamExt as _};
use p2panda_sync::{Fault, Node, SyncError, TcpTransport, TokioClock};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
};

const SECOND: Duration = Duration::from_secs(1);

fn node(seed: u64) -> Node {
    Node::new(replica(seed, &[&festival(1)]), TokioClock::default(), rng(seed))
}

#[tokio::test]
async fn two_nodes_end_equal_over_tcp() {
    let (a, b) = (node(1), node(2));
    a.with(|replica| Author::new(11, festival(1).id()).fill(replica, 200, 5_000));
    b.with(|replica| Author::new(12, festival(1).id()).fill(replica, 200, 5_000));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accept = async {
        let (stream, _) = listener.accept().await.unwrap();
        b.accept(TcpTransport::new(stream).unwrap()).await
    };
    let sync = async { a.sync(TcpTransport::connect(address, SECOND).await.unwrap()).await };
    let (opener, acceptor) = tokio::join!(sync, accept);
    assert_eq!(opener.unwrap().entries_received, 200);
    assert_eq!(acceptor.unwrap().entries_received, 200);
    assert_eq!(a.with(|replica| logs(replica)), b.with(|replica| logs(replica)));
}

#[tokio::test]
async fn a_live_link_over_tcp_pushes() {
    let (a, b) = (node(1), node(2));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let transport = TcpTransport::connect(listener.local_addr().unwrap(), SECOND).await.unwrap();
    let link = tokio::spawn(a.link(transport));
    let accept =
        tokio::spawn(b.accept(TcpTransport::new(listener.accept().await.unwrap().0).unwrap()));
    let mut changes = b.changes();
    a.with(|replica| Author::new(11, festival(1).id()).fill(replica, 3, 10));
    changes.next().await;
    assert_eq!(a.with(|replica| logs(replica)), b.with(|replica| logs(replica)));
    link.abort();
    drop(link.await);
    tokio::time::timeout(SECOND, accept).await.unwrap().unwrap().ok();
}

#[tokio::test]
async fn a_stranger_who_sends_anything_is_dropped() {
    let a = node(1);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 0, 0, 3, 8, 0xff, 0xff]] {
        let mut stranger = TcpStream::connect(address).await.unwrap();
        stranger.write_all(bytes).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let error = a.accept(TcpTransport::new(stream).unwrap()).await.unwrap_err();
        assert_eq!(error.fault(), Fault::Peer, "{error}");
    }
    let stranger = TcpTransport::connect(address, SECOND).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    drop(stranger);
    let error = a.accept(TcpTransport::new(stream).unwrap()).await.unwrap_err();
    assert!(matches!(error, SyncError::Interrupted), "{error}");
}

#[tokio::test]
async fn frames_of_the_largest_size_pass_and_larger_ones_do_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut here = TcpTransport::connect(listener.local_addr().unwrap(), SECOND).await.unwrap();
    let mut there = TcpTransport::new(listener.accept().await.unwrap().0).unwrap();
    let frame = Bytes::from(vec![7; p2panda_sync::MAX_FRAME]);
    let (sent, received) = tokio::join!(here.send(frame.clone()), there.next());
    sent.unwrap();
    assert_eq!(received.unwrap().unwrap(), frame);
    assert!(here.send(vec![7; p2panda_sync::MAX_FRAME + 1].into()).await.is_err());
}

#[tokio::test]
async fn connecting_to_nobody_ends_in_time() {
    // A port that was just free.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(TcpTransport::connect(address, SECOND).await.is_err());
}
