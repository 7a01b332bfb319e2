//! Encrypted links between real sockets, and peers that want none.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use common::{Author, festival, logs, replica, rng};
use futures::{SinkExt as _, StreamExt as _, future::BoxFuture};
use p2panda_core::LinkEnd;
use p2panda_sync::{
    Clock, Fault, LinkError, LinkKey, MAX_FRAME, Node, NoiseTcp, NoiseTransport, PeerId, SyncError,
    TokioClock, Transport, memory,
};
use rand_chacha::rand_core::Rng as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
    net::{TcpListener, TcpStream},
};

const SECOND: Duration = Duration::from_secs(1);

fn key(seed: u64) -> LinkKey {
    LinkKey::generate(&mut rng(seed))
}

fn node(seed: u64) -> Node {
    Node::new(replica(seed, &[&festival(1)]), TokioClock::default(), rng(seed))
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

async fn accept(listener: &TcpListener) -> Result<NoiseTcp, LinkError> {
    let (stream, _) = listener.accept().await.unwrap();
    NoiseTcp::accept(stream, &key(2), &mut rng(20)).await
}

/// Two ends of a link over TCP.
async fn pair() -> (NoiseTcp, NoiseTcp) {
    let (listener, address) = listen().await;
    let (ada, mut fresh) = (key(1), rng(10));
    let connect = NoiseTcp::connect(address, &ada, &mut fresh);
    let (opener, acceptor) = tokio::join!(connect, accept(&listener));
    (opener.unwrap(), acceptor.unwrap())
}

#[tokio::test]
async fn two_nodes_end_equal_over_an_encrypted_link() {
    let (a, b) = (node(1), node(2));
    a.with(|replica| Author::new(11, festival(1).id()).fill(replica, 200, 5_000));
    b.with(|replica| Author::new(12, festival(1).id()).fill(replica, 200, 5_000));
    let (here, there) = pair().await;
    assert_eq!((here.peer(), there.peer()), (key(2).id(), key(1).id()));
    assert_eq!(here.peer_id(), Some(PeerId::from(key(2).id())));
    let (opener, acceptor) = tokio::join!(a.sync(here), b.accept(there));
    assert_eq!(opener.unwrap().entries_received, 200);
    assert_eq!(acceptor.unwrap().entries_received, 200);
    assert_eq!(a.with(|replica| logs(replica)), b.with(|replica| logs(replica)));
}

#[tokio::test]
async fn a_live_link_pushes_and_ends_with_its_peer() {
    let (a, b) = (node(1), node(2));
    let (here, there) = pair().await;
    let link = tokio::spawn(a.link(here));
    let served = tokio::spawn(b.accept(there));
    let mut changes = b.changes();
    a.with(|replica| Author::new(11, festival(1).id()).fill(replica, 3, 10));
    changes.next().await;
    assert_eq!(a.with(|replica| logs(replica)), b.with(|replica| logs(replica)));
    link.abort();
    drop(link.await);
    tokio::time::timeout(SECOND, served).await.unwrap().unwrap().ok();
}

/// Sends frames of any sizes both ways at once, a MiB each at least, and compares them.
async fn exchange_frames<T: Transport>(here: T, there: T, seed: u64) {
    let frames = |seed| {
        let mut rng = rng(seed);
        let mut frames = Vec::new();
        let mut sum = 0;
        while sum <= 1 << 20 {
            let size = match rng.next_u32() % 4 {
                0 => MAX_FRAME,
                1 => rng.next_u32() as usize % 100,
                _ => rng.next_u32() as usize % (MAX_FRAME + 1),
            };
            let mut frame = vec![0; size];
            rng.fill_bytes(&mut frame);
            sum += size;
            frames.push(Bytes::from(frame));
        }
        frames
    };
    let (left, right) = (frames(seed), frames(seed + 1));
    let end = |transport: T, sent: Vec<Bytes>, expected: Vec<Bytes>| async move {
        let (mut sink, stream) = transport.split();
        let send = async {
            for frame in sent {
                sink.send(frame).await.unwrap();
            }
            sink.flush().await.unwrap();
        };
        let receive = stream.take(expected.len()).map(Result::unwrap).collect::<Vec<_>>();
        let ((), received) = tokio::join!(send, receive);
        assert!(received == expected);
    };
    tokio::join!(end(here, left.clone(), right.clone()), end(there, right, left));
}

#[tokio::test]
async fn frames_of_any_size_arrive_over_tcp() {
    let (here, there) = pair().await;
    exchange_frames(here, there, 5).await;
    let (mut here, _there) = pair().await;
    let error = here.send(vec![7; MAX_FRAME + 1].into()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn any_stream_of_bytes_carries_a_link() {
    // One that holds seven bytes: everything comes in pieces.
    let (here, there) = duplex(7);
    let (ada, bob, clock) = (key(1), key(2), TokioClock::default());
    let (mut one, mut two) = (rng(1), rng(2));
    let (here, there) = tokio::join!(
        NoiseTransport::over(here, LinkEnd::Opener, &ada, &clock, &mut one),
        NoiseTransport::over(there, LinkEnd::Acceptor, &bob, &clock, &mut two),
    );
    let (mut here, mut there) = (here.unwrap(), there.unwrap());
    let frame = Bytes::from(vec![3; 70_000]);
    let (sent, received) = tokio::join!(here.send(frame.clone()), there.next());
    sent.unwrap();
    assert_eq!(received.unwrap().unwrap(), frame);
}

#[tokio::test]
async fn many_links_at_once_keep_apart() {
    let (listener, address) = listen().await;
    let serve = async {
        let mut links = tokio::task::JoinSet::new();
        for number in 0..24 {
            let (stream, _) = listener.accept().await.unwrap();
            links.spawn(async move {
                let mut link = NoiseTcp::accept(stream, &key(2), &mut rng(200 + number)).await?;
                while let Some(frame) = link.next().await {
                    link.send(frame?).await?;
                }
                Ok::<_, LinkError>(link.channel_binding())
            });
        }
        links.join_all().await
    };
    let open = async {
        let mut links = tokio::task::JoinSet::new();
        for number in 0..24 {
            let address = address.clone();
            links.spawn(async move {
                if number % 4 == 3 {
                    // These say nothing that means anything.
                    let mut stream = TcpStream::connect(&address).await.unwrap();
                    stream.write_all(&[0, 32, 9]).await.unwrap();
                    stream.write_all(&[number; 300]).await.ok();
                    return None;
                }
                let seed = u64::from(number);
                let key = key(300 + seed);
                let mut link = NoiseTcp::connect(&address, &key, &mut rng(seed)).await.unwrap();
                for size in [1, 100, 70_000, 10] {
                    let frame = Bytes::from(vec![number; size]);
                    link.send(frame.clone()).await.unwrap();
                    assert_eq!(link.next().await.unwrap().unwrap(), frame);
                }
                Some(link.channel_binding())
            });
        }
        links.join_all().await
    };
    let (served, opened) = tokio::join!(serve, open);
    let mut served: Vec<_> = served.into_iter().filter_map(Result::ok).collect();
    let mut opened: Vec<_> = opened.into_iter().flatten().collect();
    served.sort_unstable();
    opened.sort_unstable();
    opened.dedup();
    assert_eq!(opened.len(), 18);
    assert_eq!(served, opened);
}

#[tokio::test]
async fn who_does_not_speak_our_encryption_is_dropped() {
    let (listener, address) = listen().await;
    let hello = &[[0, 32].as_slice(), &[9; 32]].concat();
    let then = |rest: &[u8]| [hello, rest].concat();
    let garbage: [(Vec<u8>, &str); 6] = [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "another protocol"),
        (vec![0xff, 0xff], "a length beyond a handshake's, and nothing more"),
        (vec![0, 0, 1, 2], "an empty message"),
        ([[0, 32].as_slice(), &[0; 32]].concat(), "a key of small order"),
        (then(&[[0, 64].as_slice(), &[1; 64]].concat()), "a key that decrypts to nothing"),
        (then(&[[0, 96].as_slice(), &[1; 96]].concat()), "the wrong message"),
    ];
    for (bytes, what) in garbage {
        let mut stranger = TcpStream::connect(&address).await.unwrap();
        stranger.write_all(&bytes).await.unwrap();
        let error = accept(&listener).await.unwrap_err();
        assert!(matches!(error, LinkError::Handshake), "{what}: {error}");
        assert_eq!(error.fault(), Fault::Peer);
        // Whatever it sent, it got at most the one answer of the handshake.
        let mut answer = Vec::new();
        stranger.read_to_end(&mut answer).await.ok();
        assert!(answer.len() == 98 || answer.is_empty(), "{what}: {} bytes", answer.len());
    }
}

#[tokio::test]
async fn a_handshake_that_is_cut_off_ends_at_once() {
    let (listener, address) = listen().await;
    let hello = [[0, 32].as_slice(), &[9; 32]].concat();
    for length in [0, 1, 2, 20, hello.len()] {
        let mut stranger = TcpStream::connect(&address).await.unwrap();
        stranger.write_all(&hello[..length]).await.unwrap();
        stranger.shutdown().await.unwrap();
        let error = accept(&listener).await.unwrap_err();
        assert!(matches!(error, LinkError::Closed), "{length}: {error}");
    }
    // The same where the accepting side is not one.
    let silent = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 34]).await.unwrap();
        stream.write_all(&[0, 96, 1]).await.unwrap();
    };
    let (ada, mut fresh) = (key(1), rng(1));
    let (link, ()) = tokio::join!(NoiseTcp::connect(&address, &ada, &mut fresh), silent);
    assert!(matches!(link.unwrap_err(), LinkError::Closed));
}

/// A clock that runs a hundred times too fast.
#[derive(Default)]
struct Hurried(TokioClock);

impl Clock for Hurried {
    fn now(&self) -> Duration {
        self.0.now() * 100
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.sleep(duration / 100)
    }
}

#[tokio::test]
async fn a_peer_that_drips_or_is_silent_is_given_up_in_time() {
    let (listener, address) = listen().await;
    for drip in [true, false] {
        let mut stranger = TcpStream::connect(&address).await.unwrap();
        let dripping = tokio::spawn(async move {
            for byte in [[0, 32].as_slice(), &[9; 32]].concat() {
                if !drip || stranger.write_all(&[byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            stranger.read_to_end(&mut Vec::new()).await
        });
        let (stream, _) = listener.accept().await.unwrap();
        let started = Instant::now();
        let (bob, clock) = (key(2), Hurried::default());
        let link = NoiseTransport::over(stream, LinkEnd::Acceptor, &bob, &clock, &mut rng(1)).await;
        let error = link.unwrap_err();
        assert!(matches!(error, LinkError::TooSlow { .. }), "{error}");
        assert_eq!(error.fault(), Fault::Link);
        assert!(started.elapsed() < 3 * SECOND);
        dripping.abort();
    }
}

#[tokio::test]
async fn connecting_to_nobody_ends_in_time() {
    let address = listen().await.1;
    let error = NoiseTcp::connect(address, &key(1), &mut rng(1)).await.unwrap_err();
    assert!(
        matches!(&error, LinkError::Transport(error) if error.kind() == io::ErrorKind::ConnectionRefused),
        "{error}"
    );
}

/// A link through somebody who may do with its bytes as he likes. `change` sees each TCP read from
/// the opener after the handshake.
async fn through(change: fn(&mut Vec<u8>)) -> (NoiseTcp, NoiseTcp) {
    let (listener, address) = listen().await;
    let (middle, detour) = listen().await;
    tokio::spawn(async move {
        let (mut from, _) = middle.accept().await.unwrap();
        let mut to = TcpStream::connect(address).await.unwrap();
        let mut passed = 0;
        let (mut up, mut down) = (vec![0; 1 << 20], vec![0; 1 << 20]);
        loop {
            tokio::select! {
                read = from.read(&mut up) => match read {
                    Ok(size) if size > 0 => {
                        let mut bytes = up[..size].to_vec();
                        passed += size;
                        // Two messages of the handshake go this way.
                        if passed > 34 + 66 {
                            change(&mut bytes);
                        }
                        if to.write_all(&bytes).await.is_err() {
                            break;
                        }
                    }
                    _ => break,
                },
                read = to.read(&mut down) => match read {
                    Ok(size) if size > 0 => if from.write_all(&down[..size]).await.is_err() {
                        break;
                    },
                    _ => break,
                },
            }
        }
    });
    let (ada, mut fresh) = (key(1), rng(10));
    let (here, there) =
        tokio::join!(NoiseTcp::connect(detour, &ada, &mut fresh), accept(&listener));
    (here.unwrap(), there.unwrap())
}

#[tokio::test]
async fn what_is_changed_or_repeated_on_the_way_ends_the_link() {
    let (mut here, mut there) = through(|_| ()).await;
    here.send("fine".into()).await.unwrap();
    assert_eq!(there.next().await.unwrap().unwrap(), "fine");
    let attacks: [fn(&mut Vec<u8>); 3] = [
        |bytes| bytes[2] ^= 0x80,
        |bytes| bytes.extend(bytes.clone()),
        |bytes| *bytes = [[0, 17].as_slice(), &[0; 17]].concat(),
    ];
    for attack in attacks {
        let (mut here, mut there) = through(attack).await;
        here.send("one".into()).await.unwrap();
        let mut last = there.next().await.unwrap();
        if let Ok(first) = last {
            // It came, and its copy did not.
            assert_eq!(first, "one");
            last = there.next().await.unwrap();
        }
        assert_eq!(last.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(there.next().await.is_none());
    }
    // A session tells it as the peer's fault.
    let (here, there) = through(|bytes| bytes[2] ^= 0x80).await;
    let (a, b) = (node(1), node(2));
    let (opened, served) = tokio::join!(a.sync(here), b.accept(there));
    assert!(opened.is_err());
    assert_eq!(served.unwrap_err().fault(), Fault::Peer);
}

#[tokio::test]
async fn a_frame_that_is_cut_off_is_no_end() {
    let (mut here, mut there) = through(|bytes| bytes.truncate(2_000)).await;
    here.feed(vec![7; 10_000].into()).await.unwrap();
    here.flush().await.unwrap();
    drop(here);
    let error = there.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    // In a session it is an interruption, which the next session makes up for.
    let (here, there) = through(|bytes| bytes.truncate(10)).await;
    let (a, b) = (node(1), node(2));
    let served = tokio::spawn(b.accept(there));
    drop(tokio::time::timeout(SECOND / 4, a.sync(here)).await);
    let error = served.await.unwrap().unwrap_err();
    assert!(matches!(error, SyncError::Interrupted), "{error}");
}

#[tokio::test]
async fn a_slow_reader_holds_the_writer_back() {
    let (mut here, there) = pair().await;
    let counted = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = counted.clone();
    let writer = tokio::spawn(async move {
        while here.send(vec![0; MAX_FRAME].into()).await.is_ok() {
            counter.fetch_add(MAX_FRAME, std::sync::atomic::Ordering::Relaxed);
        }
    });
    tokio::time::sleep(SECOND / 2).await;
    let first = counted.load(std::sync::atomic::Ordering::Relaxed);
    tokio::time::sleep(SECOND / 4).await;
    // The sockets' buffers are full, and nothing is kept beside them.
    assert_eq!(counted.load(std::sync::atomic::Ordering::Relaxed), first);
    drop(there);
    writer.await.unwrap();
}

#[tokio::test]
async fn links_run_over_other_transports_too() {
    let (here, there) = memory(2);
    let (ada, bob, clock) = (key(1), key(2), TokioClock::default());
    let (mut one, mut two) = (rng(1), rng(2));
    let (here, there) = tokio::join!(
        NoiseTransport::establish(here, LinkEnd::Opener, &ada, &clock, &mut one),
        NoiseTransport::establish(there, LinkEnd::Acceptor, &bob, &clock, &mut two),
    );
    exchange_frames(here.unwrap(), there.unwrap(), 9).await;
}
