//! Limits and rotations that take a hand inside: keys that collide, what sessions share.

use std::collections::VecDeque;

use bytes::Bytes;
use p2panda_core::{
    DocumentDescriptor, Festival, Identity, Incarnation, LogId, Segment, Tip, VerifiedSegment,
    store::{MemoryStore, NoResume},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::*;
use crate::{
    sketch::set_key_bits,
    wire::{Batch, Owner, Piece, Resalt, Want, Wants},
};

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn festival() -> Festival {
    Festival::found(&Identity::generate(&mut rng(1)), &mut rng(1))
}

struct Author {
    identity: Identity,
    descriptor: DocumentDescriptor,
    log: LogId,
}

impl Author {
    fn new(seed: u64) -> Self {
        let identity = Identity::generate(&mut rng(seed));
        let (festival, user) = (festival().id(), identity.user());
        let descriptor = DocumentDescriptor { festival, user, label: String::new() };
        let incarnation = Incarnation::from_bytes(seed.to_be_bytes());
        let log = LogId { document: descriptor.id(), incarnation };
        Self { identity, descriptor, log }
    }

    fn write(&self, start: &Tip, payloads: &[&[u8]]) -> (Segment, Tip) {
        let payloads = payloads.iter().map(|payload| payload.to_vec()).collect();
        let segment = VerifiedSegment::sign(&self.identity, self.log, start, payloads).unwrap();
        let end = *segment.end();
        (segment.into_segment(), end)
    }

    fn fill(&self, replica: &mut Replica) {
        let (segment, _) = self.write(&Tip::start(&self.log), &[b"payload"]);
        replica.accept(&self.descriptor, segment).unwrap();
        replica.flush().unwrap();
    }

    /// A frame that pushes a segment in the festival of place 0.
    fn push(&self, segment: Segment) -> Bytes {
        let owner = (segment.from == 0).then(|| Owner {
            place: 0,
            user: self.descriptor.user,
            label: String::new(),
        });
        let mut batch = Batch::default();
        batch.add(Piece::new(segment, owner));
        Message::Push(batch.deflate()).encode()
    }
}

/// A device: its replica, with what all of its sessions share.
struct Device {
    replica: Replica,
    sketches: Sketches,
}

impl Device {
    fn new(seed: u64, logs: impl IntoIterator<Item = u64>) -> Self {
        let identity = Identity::generate(&mut rng(seed));
        let store = Box::new(MemoryStore::new());
        let mut replica = Replica::open(store, identity, Box::new(NoResume)).unwrap();
        replica.join(&festival()).unwrap();
        logs.into_iter().for_each(|seed| Author::new(seed).fill(&mut replica));
        Self { replica, sketches: Sketches::new(&mut rng(seed)) }
    }

    fn handle(
        &mut self,
        session: &mut Session,
        now: Duration,
        frame: Bytes,
    ) -> Result<(), SyncError> {
        session.handle(now, Input::Frame(frame), &mut self.replica, &mut self.sketches)
    }

    /// All frames that a session sends now, and how it ended, if it did.
    fn frames(
        &mut self,
        session: &mut Session,
        now: Duration,
    ) -> (Vec<Bytes>, Option<Result<(), SyncError>>) {
        let mut frames = Vec::new();
        loop {
            match session.poll(now, &mut self.replica, &mut self.sketches) {
                Ok(Some(Output::Send(frame))) => frames.push(frame),
                Ok(Some(Output::Event(_))) => {}
                Ok(Some(Output::Finished)) => return (frames, Some(Ok(()))),
                Ok(None) => return (frames, None),
                Err(error) => return (frames, Some(Err(error))),
            }
        }
    }
}

fn read(frame: &Bytes) -> Message {
    Message::decode(frame).unwrap().unwrap()
}

/// A whole exchange; what was said, and how it ended for the opener.
fn exchange(
    opener: &mut Device,
    acceptor: &mut Device,
    now: Duration,
) -> (Vec<Message>, Result<(), SyncError>) {
    let mut sessions = [Role::Sync, Role::Accept].map(|role| Session::new(role, now, &mut rng(9)));
    let mut said = Vec::new();
    let mut inboxes = [VecDeque::<Bytes>::new(), VecDeque::new()];
    loop {
        for side in 0..2 {
            let (device, other) = match side {
                0 => (&mut *opener, 1),
                _ => (&mut *acceptor, 0),
            };
            while let Some(frame) = inboxes[side].pop_front() {
                if let Err(error) = device.handle(&mut sessions[side], now, frame) {
                    return (said, Err(error));
                }
            }
            let (frames, ended) = device.frames(&mut sessions[side], now);
            said.extend(frames.iter().map(read));
            inboxes[other].extend(frames);
            match ended {
                // The other side has to hear of it.
                Some(Err(error)) if inboxes[other].is_empty() => return (said, Err(error)),
                Some(Ok(())) if side == 0 => return (said, Ok(())),
                _ => {}
            }
        }
    }
}

/// A session of a device that was greeted by a peer which has nothing and stays.
fn accepted(device: &mut Device) -> Session {
    let mut peer = Device::new(77, []);
    let mut opening = Session::new(Role::Link, Duration::ZERO, &mut rng(5));
    let mut session = Session::new(Role::Accept, Duration::ZERO, &mut rng(6));
    for _ in 0..2 {
        for frame in peer.frames(&mut opening, Duration::ZERO).0 {
            device.handle(&mut session, Duration::ZERO, frame).unwrap();
        }
        for frame in device.frames(&mut session, Duration::ZERO).0 {
            peer.handle(&mut opening, Duration::ZERO, frame).unwrap();
        }
    }
    session
}

#[test]
fn keys_that_collide_are_resolved_by_another_salt() {
    set_key_bits(12);
    let (mut resalted, mut waited) = (0, 0);
    for seed in 0..150_u64 {
        let logs = |side: u64| (0..14).map(move |n| seed * 100 + n + 7 * side);
        let (mut opener, mut acceptor) = (Device::new(1, logs(0)), Device::new(seed, logs(1)));
        let mut now = Duration::ZERO;
        let said = loop {
            match exchange(&mut opener, &mut acceptor, now) {
                (said, Ok(())) => break said,
                // Two salts in a row in which keys collide: a third is not drawn at once.
                (_, Err(SyncError::Busy { retry_after })) => {
                    waited += 1;
                    now += retry_after;
                }
                (said, Err(error)) => panic!("{error}: {said:?}"),
            }
        };
        let sketch =
            |message: &Message| matches!(message, Message::Resalt(Resalt { sketch: Some(_), .. }));
        resalted += usize::from(said.iter().any(sketch));
        let (ours, theirs) = (&opener.replica, &acceptor.replica);
        assert_eq!(ours.fingerprint_logs().unwrap(), theirs.fingerprint_logs().unwrap());
        assert_eq!(ours.logs(festival().id()).unwrap().len(), 21);
    }
    // 21 logs in 4,096 keys: about one in twenty has a collision.
    assert!(resalted > 3 && waited < 10, "{resalted} resalted, {waited} waited");
}

#[test]
fn a_salt_is_told_to_everybody_for_a_day() {
    let mut device = Device::new(1, [11, 12]);
    let mut salt_at = |hours: u64, minutes: u64| {
        let now = Duration::from_secs(hours * 3600 + minutes * 60);
        let mut session = Session::new(Role::Accept, now, &mut rng(hours));
        let greet = Message::Greet(greet(Fresh::new(&mut rng(2)))).encode();
        device.handle(&mut session, now, greet).unwrap();
        let (frames, _) = device.frames(&mut session, now);
        let Message::Hello(hello) = read(&frames[0]) else { panic!("a HELLO") };
        hello.salt.salt
    };
    let first = salt_at(1, 0);
    assert_eq!(salt_at(13, 0), first);
    assert_eq!(salt_at(24, 59), first);
    let second = salt_at(25, 1);
    assert_ne!(second, first);
    assert_eq!(salt_at(48, 0), second);
    assert_ne!(salt_at(50, 0), second);
}

#[test]
fn a_peer_that_asks_for_other_salts_over_and_over_has_to_come_back_later() {
    let mut device = Device::new(1, 11..40);
    let mut session = accepted(&mut device);
    let resalt = Message::Resalt(Resalt { place: 0, sketch: None }).encode();
    let mut salts = std::collections::BTreeSet::new();
    for asked in 0.. {
        device.handle(&mut session, Duration::ZERO, resalt.clone()).unwrap();
        let (frames, ended) = device.frames(&mut session, Duration::ZERO);
        for frame in &frames {
            if let Message::Resalt(Resalt { sketch: Some((salt, _)), .. }) = read(frame) {
                salts.insert(salt);
            }
        }
        if let Some(ended) = ended {
            assert!(matches!(ended, Err(SyncError::Busy { .. })), "{ended:?}");
            assert!(matches!(read(frames.last().unwrap()), Message::Busy(_)));
            break;
        }
        assert!(asked < 2000, "it never ends");
    }
    // However often it asked, all that it got is one more salt.
    assert_eq!(salts.len(), 1);
}

#[test]
fn no_more_than_1024_logs_are_asked_for_at_once() {
    let mut opener = Device::new(1, 10_000..11_700);
    let mut acceptor = Device::new(2, 0..2000);
    let sessions = [Role::Sync, Role::Accept];
    let mut sessions = sessions.map(|role| Session::new(role, Duration::ZERO, &mut rng(9)));
    let (mut outstanding, mut most, mut wanted) = (0_i64, 0, 0);
    let mut inboxes = [VecDeque::<Bytes>::new(), VecDeque::new()];
    for _ in 0..200 {
        for side in 0..2 {
            let device = if side == 0 { &mut opener } else { &mut acceptor };
            while let Some(frame) = inboxes[side].pop_front() {
                device.handle(&mut sessions[side], Duration::ZERO, frame).unwrap();
            }
            for frame in device.frames(&mut sessions[side], Duration::ZERO).0 {
                match read(&frame) {
                    Message::Want(want) if side == 0 => {
                        let asked = Wants::from_bytes(&want.logs).unwrap().0.len();
                        outstanding += i64::try_from(asked).unwrap();
                        wanted += asked;
                    }
                    Message::Push(push) if side == 1 => {
                        outstanding -= i64::try_from(push.open().unwrap().len()).unwrap();
                    }
                    _ => {}
                }
                most = most.max(outstanding);
                inboxes[1 - side].push_back(frame);
            }
        }
    }
    assert_eq!((most, wanted), (1024, 2000));
    let logs = [&opener, &acceptor].map(|side| side.replica.logs(festival().id()).unwrap());
    assert_eq!(logs[0].len(), 3700);
    assert_eq!(logs[0], logs[1]);
}

#[test]
fn what_comes_too_early_is_bounded_over_all_sessions() {
    let mut device = Device::new(1, []);
    let large = vec![7; 60 * 1024];
    let mut sessions = Vec::new();
    for peer in 0..20 {
        let mut session = accepted(&mut device);
        for n in 0..6 {
            // The second entry of a log whose first one never comes.
            let author = Author::new(1000 + peer * 10 + n);
            let (_, first) = author.write(&Tip::start(&author.log), &[b"first"]);
            let (early, _) = author.write(&first, &[&large]);
            device.handle(&mut session, Duration::ZERO, author.push(early)).unwrap();
        }
        sessions.push(session);
        let held = device.sketches.early.held();
        assert!(held <= 4 * 1024 * 1024, "{held}");
        if peer == 0 {
            assert!(held > 200 * 1024 && held <= 256 * 1024, "{held}");
        }
    }
    let full = device.sketches.early.held();
    assert!(full > 4 * 1024 * 1024 - 64 * 1024, "{full}");
    // Whoever ends makes room.
    sessions.truncate(10);
    assert!(device.sketches.early.held() < full);
    sessions.clear();
    assert_eq!(device.sketches.early.held(), 0);
}

#[test]
fn an_early_segment_that_does_not_fit_costs_a_question_and_the_second_one_the_session() {
    let mut device = Device::new(1, []);
    let mut session = accepted(&mut device);
    let author = Author::new(11);
    let (first, tip) = author.write(&Tip::start(&author.log), &[b"first"]);
    let (second, end) = author.write(&tip, &[b"second"]);
    // Signed by its author, and behind another first entry.
    let (_, other) = author.write(&Tip::start(&author.log), &[b"another first"]);
    let (junk, _) = author.write(&other, &[b"of another chain"]);
    device.handle(&mut session, Duration::ZERO, author.push(junk.clone())).unwrap();
    device.handle(&mut session, Duration::ZERO, author.push(first)).unwrap();
    let (frames, ended) = device.frames(&mut session, Duration::ZERO);
    assert!(ended.is_none());
    let probes = frames.iter().filter(|frame| matches!(read(frame), Message::Probe(_)));
    assert_eq!(probes.count(), 1);
    assert_eq!(device.replica.held(&author.log).unwrap(), Some(tip));
    device.handle(&mut session, Duration::ZERO, author.push(second)).unwrap();
    assert_eq!(device.replica.held(&author.log).unwrap(), Some(end));
    let again = author.write(&other, &[b"of another chain", b"and longer"]).0;
    let refused = device.handle(&mut session, Duration::ZERO, author.push(again));
    assert!(matches!(refused, Err(SyncError::Peer(PeerFault::Segment { .. }))), "{refused:?}");
    assert_eq!(device.replica.held(&author.log).unwrap(), Some(end));
}

#[test]
fn a_question_that_asks_for_nothing_is_no_question() {
    for ask in [Message::Want as fn(Want) -> Message, Message::Graft] {
        let mut device = Device::new(1, 11..20);
        let mut session = accepted(&mut device);
        let want = Want { place: 0, logs: Wants::default().to_bytes().into() };
        let error = device.handle(&mut session, Duration::ZERO, ask(want).encode()).unwrap_err();
        assert!(matches!(error, SyncError::Peer(PeerFault::Message(_))), "{error:?}");
    }
}

#[test]
fn who_removes_a_user_while_the_peer_waits_for_its_logs_is_not_to_blame() {
    let (now, gone) = (Duration::ZERO, Author::new(5));
    let (mut opener, mut acceptor) = (Device::new(1, 20..40), Device::new(2, 20..40));
    gone.fill(&mut acceptor.replica);
    let [mut opening, mut accepting] =
        [Role::Sync, Role::Accept].map(|role| Session::new(role, now, &mut rng(9)));
    let mut has_asked = false;
    loop {
        let (frames, ended) = opener.frames(&mut opening, now);
        has_asked |= frames.iter().any(|frame| matches!(read(frame), Message::Want(_)));
        for frame in frames {
            acceptor.handle(&mut accepting, now, frame).unwrap();
        }
        if let Some(ended) = ended {
            ended.unwrap();
            break;
        }
        if has_asked && acceptor.replica.held(&gone.log).unwrap().is_some() {
            acceptor.replica.forget(gone.descriptor.user).unwrap();
        }
        for frame in acceptor.frames(&mut accepting, now).0 {
            opener.handle(&mut opening, now, frame).unwrap();
        }
    }
    assert!(has_asked);
    assert!(opener.replica.held(&gone.log).unwrap().is_none());
}
