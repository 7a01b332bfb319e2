//! A small harness: authors whose logs are handed to replicas directly, and two sessions that
//! exchange frames through a wire that a test may listen to, bend or cut.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod met;
pub mod time;

use std::{
    collections::VecDeque,
    io::{Read as _, Write as _},
    time::Duration,
};

use bytes::Bytes;
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use p2panda_core::{
    Accepted, ChannelBinding, DocumentDescriptor, Festival, FestivalId, Identity, Incarnation,
    LogId, Replica, Tip, VerifiedSegment, codec,
    store::{MemoryStore, NoResume, Store},
};
use p2panda_sync::{Input, Output, Role, Session, Sketches, Stats, SyncError, SyncEvent};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use serde_bytes::ByteBuf;

pub const OPEN: u8 = 3;
pub const NEED: u8 = 4;
pub const MORE: u8 = 5;
pub const RESALT: u8 = 6;
pub const VECTOR: u8 = 7;
pub const WANT: u8 = 8;
pub const PUSH: u8 = 9;
pub const DONE: u8 = 10;
pub const PROBE: u8 = 11;
pub const REFUSE: u8 = 14;
pub const BUSY: u8 = 15;
pub const IHAVE: u8 = 16;
pub const GRAFT: u8 = 17;
pub const PRUNE: u8 = 18;
pub const SUBS: u8 = 19;
pub const PROOF: u8 = 24;

/// A frame of a type with a body.
pub fn frame(kind: u8, body: &[u8]) -> Bytes {
    [&[kind], body].concat().into()
}

pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// An empty replica of a user of its own, in memory.
pub fn replica(seed: u64, festivals: &[&Festival]) -> Replica {
    replica_in(MemoryStore::new(), seed, festivals)
}

/// An empty replica in a store of the test's making.
pub fn replica_in(store: impl Store + 'static, seed: u64, festivals: &[&Festival]) -> Replica {
    let identity = Identity::generate(&mut rng(seed));
    let mut replica = Replica::open(Box::new(store), identity, Box::new(NoResume)).unwrap();
    for festival in festivals {
        replica.join(festival).unwrap();
    }
    replica
}

pub fn festival(seed: u64) -> Festival {
    let mut rng = rng(seed);
    Festival::found(&Identity::generate(&mut rng), &mut rng)
}

/// One log of a user, written by hand. Sync does not care what the payloads mean.
#[derive(Clone)]
pub struct Author {
    identity: Identity,
    pub descriptor: DocumentDescriptor,
    pub log: LogId,
    tip: Tip,
}

impl Author {
    pub fn new(seed: u64, festival: FestivalId) -> Self {
        let identity = Identity::generate(&mut rng(seed));
        let descriptor =
            DocumentDescriptor { festival, user: identity.user(), label: String::new() };
        let incarnation = Incarnation::from_bytes(seed.to_be_bytes());
        let log = LogId { document: descriptor.id(), incarnation };
        Self { identity, descriptor, log, tip: Tip::start(&log) }
    }

    /// With the key of the replica of this seed, in a document with a label.
    pub fn labelled(seed: u64, festival: FestivalId, label: &str) -> Self {
        let mut author = Self::new(seed, festival);
        author.descriptor.label = label.to_owned();
        author.log.document = author.descriptor.id();
        author.tip = Tip::start(&author.log);
        author
    }

    /// Signs the next entry.
    pub fn write(&mut self, payload: Vec<u8>) -> VerifiedSegment {
        let segment =
            VerifiedSegment::sign(&self.identity, self.log, &self.tip, vec![payload]).unwrap();
        self.tip = *segment.end();
        segment
    }

    /// Writes entries straight into a replica.
    pub fn fill(&mut self, replica: &mut Replica, entries: usize, size: usize) {
        for _ in 0..entries {
            let at = self.tip.length;
            let segment = self.write(payload(self.log, at, size));
            self.store(replica, segment);
        }
        replica.flush().unwrap();
    }

    /// The same user's log of another incarnation.
    pub fn with_incarnation(&self, number: u64) -> Self {
        let incarnation = Incarnation::from_bytes(number.to_be_bytes());
        let log = LogId { document: self.log.document, incarnation };
        Self { log, tip: Tip::start(&log), ..self.clone() }
    }

    /// Goes on behind what a replica holds.
    pub fn go_on(&mut self, replica: &mut Replica, entries: usize) {
        self.tip = replica.held(&self.log).unwrap().unwrap();
        self.fill(replica, entries, 10);
    }

    /// How many entries there are.
    pub fn length(&self) -> usize {
        self.tip.length.try_into().unwrap()
    }

    pub fn store(&self, replica: &mut Replica, segment: VerifiedSegment) {
        let accepted = replica.accept(&self.descriptor, segment.into_segment()).unwrap();
        assert!(matches!(accepted, Accepted::New { .. }));
    }
}

/// A `PUSH` frame whose inflated body a test has changed.
pub fn bend_push(frame: &[u8], bend: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let (_, bytes): (u64, ByteBuf) = codec::decode(&frame[1..], usize::MAX).unwrap();
    let mut body = Vec::new();
    ZlibDecoder::new(&bytes[..]).read_to_end(&mut body).unwrap();
    bend(&mut body);
    push_of(&body)
}

/// A `PUSH` frame with this body.
pub fn push_of(body: &[u8]) -> Bytes {
    let mut deflating = ZlibEncoder::new(Vec::new(), Compression::default());
    deflating.write_all(body).unwrap();
    let bytes = ByteBuf::from(deflating.finish().unwrap());
    [&[PUSH][..], &codec::encode(&(body.len() as u64, bytes))].concat().into()
}

fn payload(log: LogId, at: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![log.incarnation.as_bytes()[7]; size.max(8)];
    bytes[..8].copy_from_slice(&at.to_be_bytes());
    bytes
}

pub fn logs(replica: &Replica) -> Vec<(LogId, Tip)> {
    let festivals = replica.festivals().unwrap();
    festivals.iter().flat_map(|festival| replica.logs(festival.id()).unwrap()).collect()
}

/// Which of the two sent a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Opener,
    Acceptor,
}

/// What becomes of a frame on the wire.
pub enum Fate {
    Deliver(Bytes),
    Lose,
    /// The connection breaks, and the frame is lost with it.
    Cut,
}

/// One side of an exchange.
pub struct Peer<'a> {
    pub replica: &'a mut Replica,
    pub session: Session,
    pub sketches: Sketches,
    pub events: Vec<SyncEvent>,
    pub outcome: Option<Result<Stats, SyncError>>,
    inbox: VecDeque<Bytes>,
}

impl<'a> Peer<'a> {
    pub fn new(replica: &'a mut Replica, role: Role, seed: u64) -> Self {
        let session = Session::new(role, Duration::ZERO, &mut rng(seed));
        let sketches = Sketches::new(&mut rng(seed));
        let (events, inbox) = (Vec::new(), VecDeque::new());
        Self { replica, session, sketches, events, outcome: None, inbox }
    }

    /// Of a device that has met others before.
    #[must_use]
    pub fn with(mut self, sketches: Sketches) -> Self {
        self.sketches = sketches;
        self
    }

    /// At one end of an encrypted link.
    #[must_use]
    pub fn on(mut self, link: u8) -> Self {
        self.session = self.session.bound(ChannelBinding::from_bytes([link; 32]));
        self
    }

    fn handle(&mut self, now: Duration, input: Input) {
        if self.outcome.is_none()
            && let Err(error) = self.session.handle(now, input, self.replica, &mut self.sketches)
        {
            self.outcome = Some(Err(error));
        }
    }

    /// The next frame; `None` where the session waits or has ended.
    fn poll(&mut self, now: Duration) -> Option<Bytes> {
        while self.outcome.is_none() {
            match self.session.poll(now, self.replica, &mut self.sketches) {
                Ok(Some(Output::Send(frame))) => return Some(frame),
                Ok(Some(Output::Event(event))) => self.events.push(event),
                Ok(Some(Output::Finished)) => self.outcome = Some(Ok(self.session.stats())),
                Ok(None) => return None,
                Err(error) => self.outcome = Some(Err(error)),
            }
        }
        None
    }
}

/// How an exchange went.
pub struct Outcome {
    pub opener: Result<Stats, SyncError>,
    pub acceptor: Result<Stats, SyncError>,
    pub opener_events: Vec<SyncEvent>,
    pub acceptor_events: Vec<SyncEvent>,
    pub frames: usize,
    pub acceptor_sketches: Sketches,
}

/// Exchanges over a wire that carries every frame.
pub fn sync(opener: &mut Replica, acceptor: &mut Replica) -> (Stats, Stats) {
    let outcome = sync_over(opener, acceptor, |_, frame| {
        assert_ne!(frame[0], RESALT, "honest peers compare once");
        Fate::Deliver(frame)
    });
    match (outcome.opener, outcome.acceptor) {
        (Ok(opener), Ok(acceptor)) => (opener, acceptor),
        failed => panic!("{failed:?}"),
    }
}

/// Exchanges over a wire that decides about every frame. It holds at most four frames each way,
/// and time passes only while nothing else happens.
pub fn sync_over(
    opener: &mut Replica,
    acceptor: &mut Replica,
    wire: impl FnMut(Side, Bytes) -> Fate,
) -> Outcome {
    let opener = Peer::new(opener, Role::Sync, 1001);
    exchange(opener, Peer::new(acceptor, Role::Accept, 1002), wire)
}

/// Lets two peers exchange over such a wire.
pub fn exchange<'a>(
    mut opener: Peer<'a>,
    mut acceptor: Peer<'a>,
    mut wire: impl FnMut(Side, Bytes) -> Fate,
) -> Outcome {
    let mut now = Duration::ZERO;
    let mut frames = 0;
    let mut cut = false;
    while opener.outcome.is_none() || acceptor.outcome.is_none() {
        let mut moved = false;
        for side in [Side::Acceptor, Side::Opener] {
            let (from, to) = match side {
                Side::Opener => (&mut opener, &mut acceptor),
                Side::Acceptor => (&mut acceptor, &mut opener),
            };
            while let Some(frame) = from.inbox.pop_front() {
                from.handle(now, Input::Frame(frame));
                moved = true;
            }
            while to.inbox.len() < 4
                && !cut
                && let Some(frame) = from.poll(now)
            {
                moved = true;
                frames += 1;
                match wire(side, frame) {
                    Fate::Deliver(frame) => to.inbox.push_back(frame),
                    Fate::Lose => {}
                    Fate::Cut => cut = true,
                }
            }
        }
        for side in [Side::Acceptor, Side::Opener] {
            let (here, there) = match side {
                Side::Opener => (&mut opener, &acceptor),
                Side::Acceptor => (&mut acceptor, &opener),
            };
            if (cut || there.outcome.is_some()) && here.inbox.is_empty() && here.outcome.is_none() {
                here.handle(now, Input::Closed);
                here.poll(now);
                moved = true;
            }
        }
        if !moved && (opener.outcome.is_none() || acceptor.outcome.is_none()) {
            let deadlines = [&opener, &acceptor].map(|peer| peer.session.deadline());
            now = deadlines.into_iter().flatten().min().expect("somebody waits for something");
            opener.handle(now, Input::Deadline);
            acceptor.handle(now, Input::Deadline);
        }
    }
    Outcome {
        opener: opener.outcome.expect("it has ended"),
        acceptor: acceptor.outcome.expect("it has ended"),
        opener_events: opener.events,
        acceptor_events: acceptor.events,
        frames,
        acceptor_sketches: acceptor.sketches,
    }
}
