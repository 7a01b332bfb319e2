//! Images and files between nodes: after everything else, resumed, from several, past liars.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use common::rng;
use futures::{
    FutureExt as _, Sink, Stream, StreamExt as _,
    executor::{LocalPool, block_on},
    future::join,
    task::LocalSpawnExt as _,
};
use p2panda_core::{
    BlobId, BlobPiece, BlobProgress, BlobStore, Festival, FestivalId, Identity, PIECE, Replica,
    codec,
    schema::{Event, FestivalInfo, Instant},
    store::{MemoryStore, NoResume},
};
use p2panda_sync::{
    BlobPolicy, MemoryTransport, Node, PeerFault, Role, Stats, StoppedClock, SyncError, SyncEvent,
    Transport, memory,
};
use rand_chacha::rand_core::Rng as _;

const BLOB_WANT: u8 = 20;
const BLOB: u8 = 21;

/// What passes on a wire, and what becomes of it.
#[derive(Default)]
struct Tap {
    /// Blob frames and their bytes that have arrived.
    frames: usize,
    bytes: usize,
    /// The kinds of all frames, in order.
    kinds: Vec<u8>,
    /// The connection breaks instead of the blob frame with this number.
    cut_at: Option<usize>,
    /// Changes a frame.
    bend: Option<fn(&mut Vec<u8>)>,
}

/// A transport whose incoming frames are tapped.
struct Tapped(MemoryTransport, Arc<Mutex<Tap>>);

impl Stream for Tapped {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let frame = std::task::ready!(self.0.poll_next_unpin(cx));
        let mut tap = self.1.lock().unwrap();
        let Some(Ok(frame)) = frame else { return Poll::Ready(frame) };
        tap.kinds.push(frame[0]);
        if frame[0] == BLOB {
            if tap.cut_at == Some(tap.frames) {
                return Poll::Ready(None);
            }
            tap.frames += 1;
            tap.bytes += frame.len();
        }
        let mut bent = frame.to_vec();
        tap.bend.iter().for_each(|bend| bend(&mut bent));
        Poll::Ready(Some(Ok(bent.into())))
    }
}

impl Sink<Bytes> for Tapped {
    type Error = io::Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Bytes) -> io::Result<()> {
        Pin::new(&mut self.0).start_send(frame)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

impl Transport for Tapped {}

fn replica(seed: u64) -> Replica {
    let store = Box::new(MemoryStore::new());
    Replica::open(store, Identity::generate(&mut rng(seed)), Box::new(NoResume)).unwrap()
}

fn poster(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    rng(size as u64).fill_bytes(&mut bytes);
    bytes
}

fn node(mut replica: Replica, festival: &Festival, keeps: bool, policy: BlobPolicy) -> Node {
    replica.join(festival).unwrap();
    if keeps {
        replica.keep_blobs(BlobStore::memory());
    }
    let seed = replica.user().as_bytes()[0].into();
    let node = Node::new(replica, StoppedClock, rng(seed));
    node.fetch_blobs(policy);
    node
}

/// Ada, who founded a festival and keeps blobs, and others who follow it and fetch everything.
fn nodes<const N: usize>() -> ([Node; N], FestivalId) {
    let mut ada = replica(0);
    let festival = ada
        .create_festival(&FestivalInfo::default(), Instant::from_millis(0), &mut rng(9))
        .unwrap();
    let mut ada = Some(ada);
    let nodes = std::array::from_fn(|at| {
        let replica = ada.take().unwrap_or_else(|| replica(at as u64));
        node(replica, &festival, true, BlobPolicy::UpTo(1 << 24))
    });
    (nodes, festival.id())
}

/// Adds a blob, and an event with it for an image.
fn publish(node: &Node, festival: FestivalId, bytes: &[u8]) -> BlobId {
    let id = add(node, bytes);
    refer(node, festival, id);
    id
}

fn add(node: &Node, bytes: &[u8]) -> BlobId {
    node.with(|replica| replica.blobs().unwrap().add(bytes)).unwrap()
}

fn refer(node: &Node, festival: FestivalId, id: BlobId) {
    let event = Event { title: "Fire show".into(), images: [id].into(), ..Event::default() };
    node.with(|replica| {
        let mut rng = rng(u64::from(id.as_bytes()[0]) << 8 | u64::from(id.as_bytes()[1]));
        replica.edit(festival, Instant::from_millis(0), &mut rng, |edit| edit.create(&event))
    })
    .unwrap();
}

fn read(node: &Node, id: &BlobId) -> Option<Vec<u8>> {
    node.with(|replica| replica.blobs().unwrap().read(id)).unwrap()
}

fn progress(node: &Node, id: &BlobId) -> BlobProgress {
    node.with(|replica| replica.blobs().unwrap().progress(id)).unwrap()
}

/// One exchange; what reaches the opener is tapped.
fn meet(
    opener: &Node,
    acceptor: &Node,
    tap: &Arc<Mutex<Tap>>,
) -> (Result<Stats, SyncError>, Result<Stats, SyncError>) {
    let (here, there) = memory(4);
    block_on(join(opener.sync(Tapped(here, Arc::clone(tap))), acceptor.accept(there)))
}

fn exchange(opener: &Node, acceptor: &Node) -> Tap {
    let tap = Arc::default();
    let (one, other) = meet(opener, acceptor, &tap);
    one.unwrap();
    other.unwrap();
    Arc::into_inner(tap).unwrap().into_inner().unwrap()
}

/// What a blob of this many bytes may cost on the wire.
fn price(bytes: usize) -> usize {
    bytes + bytes.div_ceil(PIECE) * (BlobPiece::MAX_BYTES - PIECE + 64)
}

#[test]
fn one_exchange_brings_the_blobs_of_both_sides() {
    let ([ada, ben], festival) = nodes();
    let bytes: Vec<_> = [10, PIECE, 5 * PIECE + 1, 40 * PIECE].map(poster).into();
    let ids: Vec<_> = bytes[..2].iter().map(|bytes| publish(&ada, festival, bytes)).collect();
    let others: Vec<_> = bytes[2..].iter().map(|bytes| publish(&ben, festival, bytes)).collect();
    let mut blobs = Vec::new();
    let (here, there) = memory(4);
    let observe = |event| {
        if let SyncEvent::Blob { blob, size } = event {
            blobs.push((blob, size));
        }
    };
    let (one, other) = block_on(join(ben.run(here, Role::Sync, observe), ada.accept(there)));
    let (one, other) = (one.unwrap(), other.unwrap());
    for (id, bytes) in ids.iter().chain(&others).zip(&bytes) {
        assert_eq!(read(&ada, id).as_ref(), Some(bytes));
        assert_eq!(read(&ben, id).as_ref(), Some(bytes));
    }
    blobs.sort_by_key(|(_, size)| *size);
    assert_eq!(blobs, [(ids[0], 10), (ids[1], PIECE as u64)]);
    // Blobs are no metadata.
    assert!(one.metadata_sent + other.metadata_sent < 3_000, "{one:?} {other:?}");
    // Nothing is asked for twice.
    let again = exchange(&ben, &ada);
    assert_eq!(again.frames, 0);
}

#[test]
fn a_blob_never_comes_before_a_log() {
    let ([ada, ben], festival) = nodes();
    publish(&ada, festival, &poster(20 * PIECE));
    let mut ada_writes = common::Author::new(11, festival);
    ada.with(|replica| ada_writes.fill(replica, 600, 1000));
    let tap = exchange(&ben, &ada);
    let first_blob = tap.kinds.iter().position(|kind| *kind == BLOB).unwrap();
    let last_push = tap.kinds.iter().rposition(|kind| *kind == 9).unwrap();
    assert!(tap.kinds.iter().filter(|kind| **kind == 9).count() >= 2);
    assert!(last_push < first_blob);
}

#[test]
fn what_is_pushed_on_a_live_link_overtakes_a_blob() {
    let ([ada, ben], festival) = nodes();
    let id = publish(&ada, festival, &poster(60 * PIECE));
    let tap = Arc::new(Mutex::new(Tap::default()));
    let mut pool = LocalPool::new();
    let (here, there) = memory(1);
    let link = ben.link(Tapped(here, Arc::clone(&tap)));
    pool.spawner().spawn_local(link.map(|_| ())).unwrap();
    pool.spawner().spawn_local(ada.accept(there).map(|_| ())).unwrap();
    while tap.lock().unwrap().frames < 5 {
        assert!(pool.try_run_one() || tap.lock().unwrap().frames >= 5);
    }
    let before = tap.lock().unwrap().kinds.len();
    let mut author = common::Author::new(11, festival);
    ada.with(|replica| author.fill(replica, 1, 10));
    pool.run_until_stalled();
    let tap = tap.lock().unwrap();
    let push = tap.kinds[before..].iter().position(|kind| *kind == 9).unwrap();
    assert!(push <= 4, "behind {push} frames that were on their way");
    assert!(matches!(progress(&ben, &id), BlobProgress::Whole { .. }));
}

#[test]
fn an_exchange_that_is_cut_anywhere_is_gone_on_with_and_no_piece_comes_twice() {
    let bytes = poster(23 * PIECE + 99);
    for cut in 0..24 {
        let ([ada, ben], festival) = nodes();
        let id = publish(&ada, festival, &bytes);
        let tap = Arc::new(Mutex::new(Tap { cut_at: Some(cut), ..Tap::default() }));
        let (one, _) = meet(&ben, &ada, &tap);
        assert!(matches!(one, Err(SyncError::Interrupted)), "{one:?}");
        let first = tap.lock().unwrap().bytes;
        let pieces = match progress(&ben, &id) {
            BlobProgress::Absent => 0,
            BlobProgress::Partial { pieces, .. } => pieces,
            whole => panic!("{whole:?}"),
        };
        assert_eq!(pieces as usize, cut);
        let rest = exchange(&ben, &ada);
        assert_eq!(rest.frames, 24 - cut);
        assert!(first + rest.bytes <= price(bytes.len()), "{first} {}", rest.bytes);
        assert_eq!(read(&ben, &id).as_ref(), Some(&bytes));
    }
}

#[test]
fn what_one_peer_began_another_one_ends() {
    let ([ada, ben, cleo], festival) = nodes();
    let bytes = poster(20 * PIECE);
    let id = publish(&ada, festival, &bytes);
    exchange(&ben, &ada);
    let tap = Arc::new(Mutex::new(Tap { cut_at: Some(7), ..Tap::default() }));
    meet(&cleo, &ada, &tap).0.unwrap_err();
    assert_eq!(exchange(&cleo, &ben).frames, 13);
    assert_eq!(read(&cleo, &id), Some(bytes));
}

#[test]
fn two_sources_share_the_work() {
    let ([ada, ben, cleo], festival) = nodes();
    let bytes = poster(120 * PIECE);
    let id = publish(&ada, festival, &bytes);
    exchange(&ben, &ada);
    let mut pool = LocalPool::new();
    let taps = [&ada, &ben].map(|source| {
        let tap = Arc::new(Mutex::new(Tap::default()));
        let (here, there) = memory(1);
        let link = cleo.link(Tapped(here, Arc::clone(&tap)));
        pool.spawner().spawn_local(link.map(|_| ())).unwrap();
        pool.spawner().spawn_local(source.accept(there).map(|_| ())).unwrap();
        tap
    });
    pool.run_until_stalled();
    assert_eq!(read(&cleo, &id), Some(bytes));
    let frames = taps.map(|tap| tap.lock().unwrap().frames);
    assert!(frames.iter().all(|frames| *frames >= 30), "{frames:?}");
    // At the end both are asked for what is still on its way.
    assert!(frames.iter().sum::<usize>() <= 120 + 2 * 16 + 1, "{frames:?}");
}

#[test]
fn garbage_is_found_at_the_first_piece_and_what_was_right_is_kept() {
    let bends: [fn(&mut Vec<u8>); 4] = [
        |frame| {
            if frame[0] == BLOB && frame.len() > 1000 {
                let at = frame.len() - 1;
                frame[at] ^= 1;
            }
        },
        // One piece in the place of another.
        |frame| rewrite(frame, |index, _, _| *index ^= 1),
        |frame| rewrite(frame, |_, size, _| *size += 1),
        |frame| rewrite(frame, |_, _, bytes| bytes.truncate(bytes.len() / 2)),
    ];
    for (at, bend) in bends.into_iter().enumerate() {
        let ([ada, ben, liar], festival) = nodes();
        let bytes = poster(20 * PIECE);
        let id = publish(&ada, festival, &bytes);
        exchange(&liar, &ada);
        let tap = Arc::new(Mutex::new(Tap { cut_at: Some(5), ..Tap::default() }));
        meet(&ben, &ada, &tap).0.unwrap_err();
        let tap = Arc::new(Mutex::new(Tap { bend: Some(bend), ..Tap::default() }));
        let error = meet(&ben, &liar, &tap).0.unwrap_err();
        let fault = |fault: &PeerFault| {
            matches!(fault, PeerFault::Blob(of) if *of == id)
                || matches!(fault, PeerFault::Unexpected("BLOB"))
        };
        assert!(matches!(&error, SyncError::Peer(why) if fault(why)), "{at}: {error:?}");
        assert_eq!(tap.lock().unwrap().frames, 1, "{at}");
        assert!(matches!(progress(&ben, &id), BlobProgress::Partial { pieces: 5, .. }), "{at}");
        assert_eq!(exchange(&ben, &ada).frames, 15);
        assert_eq!(read(&ben, &id), Some(bytes));
    }
}

type BlobFrame = (serde_bytes::ByteBuf, Option<u64>, u64, serde_bytes::ByteBuf);

/// Changes the number, the size or the bytes of a piece.
fn rewrite(frame: &mut Vec<u8>, change: impl FnOnce(&mut u64, &mut u64, &mut Vec<u8>)) {
    if frame[0] != BLOB {
        return;
    }
    let (blob, size, mut index, mut bytes): BlobFrame =
        codec::decode(&frame[1..], frame.len()).unwrap();
    let Some(mut size) = size else { return };
    if bytes.is_empty() {
        return;
    }
    change(&mut index, &mut size, &mut bytes);
    *frame = [&[BLOB][..], &codec::encode(&(blob, Some(size), index, bytes))].concat();
}

#[test]
fn only_what_the_policy_names_is_fetched() {
    let ([ada], festival) = nodes();
    let sizes = [1000, PIECE + 1, 4 * PIECE];
    let [small, middle, large] = sizes.map(|size| publish(&ada, festival, &poster(size)));
    let ticket = ada.with(|replica| replica.festival(festival)).unwrap().unwrap();
    let policies = [
        (BlobPolicy::None, [false; 3]),
        (BlobPolicy::UpTo(PIECE as u64), [true, false, false]),
        (BlobPolicy::UpTo(PIECE as u64 + 1), [true, true, false]),
        (BlobPolicy::Named([large].into()), [false, false, true]),
    ];
    for (policy, held) in policies {
        let ben = node(replica(5), &ticket, true, policy.clone());
        let tap = exchange(&ben, &ada);
        let has = [small, middle, large].map(|id| read(&ben, &id).is_some());
        assert_eq!(has, held, "{policy:?}");
        // Of what is too large not a byte comes.
        let wanted: usize =
            sizes.iter().zip(held).map(|(size, is)| if is { *size } else { 0 }).sum();
        assert!(tap.bytes <= price(wanted) + 200, "{policy:?}: {} bytes", tap.bytes);
    }
}

#[test]
fn a_blob_is_served_only_to_those_who_know_a_festival_that_refers_to_it() {
    let ([ada, ben], festival) = nodes();
    // Ada keeps a file that nothing of this festival refers to; Ben knows its hash, and says that
    // an event of his has it.
    let secret = add(&ada, &poster(3 * PIECE));
    let mut other = replica(7);
    let theirs = other
        .create_festival(&FestivalInfo::default(), Instant::from_millis(0), &mut rng(8))
        .unwrap();
    ada.with(|replica| replica.join(&theirs)).unwrap();
    refer(&ada, theirs.id(), secret);
    let ask = |frame: &mut Vec<u8>| assert_ne!(frame[0], BLOB);
    let tap = Arc::new(Mutex::new(Tap { bend: Some(ask), ..Tap::default() }));
    // He asks in the name of the festival that they have in common.
    ben.fetch_blobs(BlobPolicy::Named([secret].into()));
    let (one, _) = meet(&ben, &ada, &tap);
    one.unwrap();
    assert_eq!(progress(&ben, &secret), BlobProgress::Absent);
    // With the reference in it she serves it.
    refer(&ada, festival, secret);
    exchange(&ben, &ada);
    assert!(read(&ben, &secret).is_some());
}

#[test]
fn who_lacks_a_blob_says_so_and_tells_when_it_is_there() {
    let ([ada, hub, cleo], festival) = nodes();
    let id = BlobId::of(&poster(4 * PIECE));
    refer(&ada, festival, id);
    let tap = exchange(&hub, &ada);
    // Nobody has it: one answer without a piece, and no fault.
    assert_eq!((tap.frames, progress(&hub, &id)), (1, BlobProgress::Absent));
    let mut pool = LocalPool::new();
    for (leaf, end) in [(&ada, memory(2)), (&cleo, memory(2))] {
        pool.spawner().spawn_local(leaf.link(end.0).map(|_| ())).unwrap();
        pool.spawner().spawn_local(hub.accept(end.1).map(|_| ())).unwrap();
    }
    pool.run_until_stalled();
    assert_eq!(progress(&cleo, &id), BlobProgress::Absent);
    assert_eq!(add(&ada, &poster(4 * PIECE)), id);
    pool.run_until_stalled();
    // From Ada to the hub, and from there to Cleo.
    assert!(read(&hub, &id).is_some() && read(&cleo, &id).is_some());
}

#[test]
fn peers_that_keep_no_blobs_exchange_everything_else() {
    let ([ada], festival) = nodes();
    let id = publish(&ada, festival, &poster(PIECE));
    let ticket = ada.with(|replica| replica.festival(festival)).unwrap().unwrap();
    let ben = node(replica(5), &ticket, false, BlobPolicy::UpTo(1 << 20));
    let cleo = node(replica(6), &ticket, true, BlobPolicy::UpTo(1 << 20));
    assert_eq!(exchange(&ben, &ada).frames, 0);
    // Who holds the event and not the image is asked, and says no.
    exchange(&cleo, &ben);
    assert_eq!(progress(&cleo, &id), BlobProgress::Absent);
    exchange(&ada, &cleo);
    assert!(read(&cleo, &id).is_some());
    let logs = |node: &Node| node.with(|replica| replica.fingerprint_logs()).unwrap();
    assert!(logs(&ada) == logs(&ben) && logs(&ben) == logs(&cleo));
}

#[test]
fn a_peer_that_skips_what_it_does_not_know_is_not_blamed() {
    let ([ada, ben], festival) = nodes();
    let id = publish(&ada, festival, &poster(PIECE));
    // To an older Ada these are messages of unknown types, and she counts them as taken care of.
    let (here, there) = memory(4);
    let age: fn(&mut Vec<u8>) = |frame| {
        if frame[0] == BLOB_WANT {
            frame[0] = 99;
        }
    };
    let tap = Arc::new(Mutex::new(Tap { bend: Some(age), ..Tap::default() }));
    let (one, other) = block_on(join(ben.sync(here), ada.accept(Tapped(there, tap))));
    one.unwrap();
    other.unwrap();
    assert_eq!(progress(&ben, &id), BlobProgress::Absent);
}

#[test]
fn who_asks_for_too_much_at_once_is_dropped() {
    let ([ada, ben], festival) = nodes();
    publish(&ada, festival, &poster(30 * PIECE));
    let greedy: fn(&mut Vec<u8>) = |frame| {
        type Want = (u64, Option<serde_bytes::ByteBuf>, u64, Option<u64>, u64);
        if frame[0] == BLOB_WANT {
            let (place, blob, limit, first, _): Want =
                codec::decode(&frame[1..], frame.len()).unwrap();
            let want = (place, blob, limit, first, 1_000_000_u64);
            *frame = [&[BLOB_WANT][..], &codec::encode(&want)].concat();
        }
    };
    let tap = Arc::new(Mutex::new(Tap { bend: Some(greedy), ..Tap::default() }));
    let (here, there) = memory(4);
    let (_, other) = block_on(join(ben.sync(here), ada.accept(Tapped(there, tap))));
    assert!(matches!(other, Err(SyncError::Peer(PeerFault::Message("BLOB_WANT")))), "{other:?}");
}
