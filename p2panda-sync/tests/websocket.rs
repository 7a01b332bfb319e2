//! Encrypted links over WebSocket, and peers that speak something else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::{io, time::Duration};

use bytes::Bytes;
use common::{Author, festival, logs, replica, rng};
use futures::{SinkExt as _, StreamExt as _};
use p2panda_sync::{LinkError, LinkKey, MAX_FRAME, Node, NoiseWebSocket, TokioClock};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Message,
        protocol::{
            frame::Frame,
            frame::coding::{Data, OpCode},
        },
    },
};

const SECOND: Duration = Duration::from_secs(1);

fn key(seed: u64) -> LinkKey {
    LinkKey::generate(&mut rng(seed))
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

async fn accept(listener: &TcpListener) -> Result<NoiseWebSocket, LinkError> {
    let (stream, _) = listener.accept().await.unwrap();
    NoiseWebSocket::accept(stream, &key(2), &mut rng(20)).await
}

async fn pair() -> (NoiseWebSocket, NoiseWebSocket) {
    let (listener, address) = listen().await;
    let (url, ada, mut fresh) = (format!("ws://{address}/"), key(1), rng(10));
    let connect = NoiseWebSocket::connect(&url, &ada, &mut fresh);
    let (opener, acceptor) = tokio::join!(connect, accept(&listener));
    (opener.unwrap(), acceptor.unwrap())
}

#[tokio::test]
async fn two_nodes_end_equal_over_a_websocket() {
    let node = |seed| Node::new(replica(seed, &[&festival(1)]), TokioClock::default(), rng(seed));
    let (a, b) = (node(1), node(2));
    a.with(|replica| Author::new(11, festival(1).id()).fill(replica, 200, 5_000));
    b.with(|replica| Author::new(12, festival(1).id()).fill(replica, 200, 5_000));
    let (here, there) = pair().await;
    assert_eq!((here.peer(), there.peer()), (key(2).id(), key(1).id()));
    assert_eq!(here.channel_binding(), there.channel_binding());
    let (opener, acceptor) = tokio::join!(a.sync(here), b.accept(there));
    assert_eq!(opener.unwrap().entries_received, 200);
    assert_eq!(acceptor.unwrap().entries_received, 200);
    assert_eq!(a.with(|replica| logs(replica)), b.with(|replica| logs(replica)));
}

#[tokio::test]
async fn frames_of_any_size_arrive() {
    let (mut here, mut there) = pair().await;
    for size in [0, 1, 65_518, 65_519, MAX_FRAME] {
        let frame = Bytes::from(vec![7; size]);
        let (sent, received) = tokio::join!(here.send(frame.clone()), there.next());
        sent.unwrap();
        assert_eq!(received.unwrap().unwrap(), frame);
        let (sent, received) = tokio::join!(there.send(frame.clone()), here.next());
        sent.unwrap();
        assert_eq!(received.unwrap().unwrap(), frame);
    }
    let error = here.send(vec![7; MAX_FRAME + 1].into()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn closing_is_an_end_and_cutting_off_is_none() {
    let (mut here, mut there) = pair().await;
    let (closed, end) = tokio::join!(here.close(), there.next());
    closed.unwrap();
    assert!(end.is_none());
    let (here, mut there) = pair().await;
    drop(here);
    let error = there.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

/// A WebSocket without a link in it.
async fn bare(address: &str) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    client_async(format!("ws://{address}/"), stream).await.unwrap().0
}

/// A link that is being accepted.
async fn serving(listener: &TcpListener) -> JoinHandle<Result<(), LinkError>> {
    let (stream, _) = listener.accept().await.unwrap();
    tokio::spawn(
        async move { NoiseWebSocket::accept(stream, &key(2), &mut rng(20)).await.map(|_| ()) },
    )
}

#[tokio::test]
async fn who_speaks_no_websocket_or_no_encryption_is_dropped() {
    let (listener, address) = listen().await;
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[&[0, 32][..], &[9; 32]].concat(),
        &[b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; 100_000]].concat(),
    ] {
        let mut stranger = TcpStream::connect(&address).await.unwrap();
        let (written, link) = tokio::join!(stranger.write_all(bytes), accept(&listener));
        written.ok();
        assert!(matches!(link.unwrap_err(), LinkError::Handshake));
    }
    let frame = |opcode, is_final, payload: Vec<u8>| {
        Message::Frame(Frame::message(payload, OpCode::Data(opcode), is_final))
    };
    let attacks: [(&str, Vec<Message>); 5] = [
        ("a text", vec![Message::text("hello")]),
        ("no handshake", vec![Message::binary(vec![9; 33])]),
        ("a message beyond a link's", vec![Message::binary(vec![0; 65_536])]),
        (
            "one of parts that are too large together",
            vec![
                frame(Data::Binary, false, vec![0; 60_000]),
                frame(Data::Continue, true, vec![0; 6_000]),
            ],
        ),
        ("a frame of no kind", vec![frame(Data::Reserved(5), true, Vec::new())]),
    ];
    for (what, messages) in attacks {
        let (mut socket, link) = tokio::join!(bare(&address), serving(&listener));
        for message in messages {
            socket.send(message).await.ok();
        }
        let error = link.await.unwrap().unwrap_err();
        assert!(matches!(error, LinkError::Handshake), "{what}: {error}");
    }
}

#[tokio::test]
async fn pings_do_not_keep_others_waiting() {
    let (listener, address) = listen().await;
    let (socket, link) = tokio::join!(bare(&address), serving(&listener));
    let (mut sink, mut stream) = socket.split();
    let pinging =
        tokio::spawn(async move { while sink.send(Message::Ping(Bytes::new())).await.is_ok() {} });
    let pongs = tokio::spawn(async move { while let Some(Ok(_)) = stream.next().await {} });
    // Others run meanwhile, on the same thread.
    for _ in 0..20 {
        tokio::time::timeout(SECOND, tokio::time::sleep(SECOND / 100)).await.unwrap();
    }
    assert!(!link.is_finished());
    link.abort();
    pinging.abort();
    pongs.abort();
}

#[tokio::test]
async fn urls_that_lead_nowhere_are_told_apart() {
    let (ada, mut fresh) = (key(1), rng(1));
    for url in ["wss://127.0.0.1:1/", "http://127.0.0.1/", "127.0.0.1:7421", "ws://", ""] {
        let error = NoiseWebSocket::connect(url, &ada, &mut fresh).await.unwrap_err();
        assert!(
            matches!(&error, LinkError::Transport(error) if error.kind() == io::ErrorKind::InvalidInput),
            "{url}: {error}"
        );
    }
    let (listener, address) = listen().await;
    let url = format!("ws://{address}");
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 16];
        stream.read_exact(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    };
    let (link, ()) = tokio::join!(NoiseWebSocket::connect(&url, &ada, &mut fresh), serve);
    assert!(matches!(link.unwrap_err(), LinkError::Handshake));
    drop(listener);
    let error = NoiseWebSocket::connect(&url, &ada, &mut fresh).await.unwrap_err();
    assert!(
        matches!(&error, LinkError::Transport(error) if error.kind() == io::ErrorKind::ConnectionRefused),
        "{error}"
    );
}
