//! A festival with several hostile users: whatever they sign, in whatever order it arrives, everyone
//! who has it sees the same, and an honest writer goes on.

use p2panda_core::{
    BLOCK, DocumentDescriptor, Festival, Identity, Incarnation, LocalId, LogId, Replica, Segment,
    Stopped, Tip, VerifiedSegment,
    schema::{Answer, Decision, Event, Instant, PolicySpec, Request, Resource, Span, Terms, Value},
    store::{MemoryStore, NoResume},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::payloads::{adopt, join, repair, split};

const NOW: Instant = Instant::from_millis(1_700_000_000_000);
const USERS: usize = 3;
const MAX_STEPS: usize = 40;

/// A user with a device that follows the rules, and a key that need not.
struct User {
    key: Identity,
    device: Replica,
    descriptor: DocumentDescriptor,
}

/// A log that was signed by hand: where each of its segments ended, and the hash of the last change
/// there.
struct Forged {
    user: usize,
    log: LogId,
    ends: Vec<(Tip, Option<[u8; 32]>)>,
}

/// All that was ever signed.
struct World {
    festival: Festival,
    users: Vec<User>,
    forged: Vec<Forged>,
    signed: Vec<(usize, Segment)>,
    rng: ChaCha20Rng,
}

/// Bytes of the input, zeros behind its end.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(&mut self) -> usize {
        self.0.split_off_first().copied().unwrap_or_default().into()
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// Inputs to start from: edits of all users, and logs made of good payloads, forked or not.
#[must_use]
pub fn seeds(payloads: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let forge = |step: &[u8], payloads: &[Vec<u8>]| {
        let mut data = join(payloads);
        data.resize(data.len().next_multiple_of(8).min(255 * 8), 0);
        [step, &[(data.len() / 8) as u8], &data].concat()
    };
    let edits: Vec<u8> = (0..6).flat_map(|what| [2, what % 3, what, what, 1]).collect();
    let first = &payloads[..1];
    vec![
        [&[0][..], &edits].concat(),
        [&[1][..], &forge(&[0, 0, 0], first), &forge(&[0, 1, 1], payloads)].concat(),
        [&[2][..], &forge(&[0, 0, 0], payloads), &forge(&[4, 0, 0], first), &[3, 1, 1]].concat(),
        [&[3][..], &edits, &forge(&[0, 2, 0], first), &[3, 0, 0], &edits].concat(),
    ]
}

/// Plays the input, hands everything to peers in several orders, and compares them.
pub fn play(data: &[u8]) {
    let mut world = World::new();
    let mut bytes = Bytes(data);
    let order = bytes.byte();
    for _ in 0..MAX_STEPS {
        if bytes.0.is_empty() {
            break;
        }
        world.step(&mut bytes);
    }
    world.compare(order);
}

impl World {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let keys: Vec<_> =
            (10..10 + USERS).map(|n| Identity::from_secret(&[n as u8; 32])).collect();
        let festival = Festival::found(&keys[0], &mut rng);
        let user = |key: Identity| {
            let (of, user) = (festival.id(), key.user());
            let descriptor = DocumentDescriptor { festival: of, user, label: String::new() };
            User { device: open(&key, &festival), key, descriptor }
        };
        let users = keys.into_iter().map(user).collect();
        Self { festival, users, forged: Vec::new(), signed: Vec::new(), rng }
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) {
        let what = bytes.byte();
        let user = bytes.byte() % USERS;
        match what % 5 {
            0 | 1 => self.forge(user, bytes),
            2 => self.edit(user, bytes),
            3 => self.hand(user, bytes.byte()),
            _ => self.fork(bytes),
        }
    }

    /// Signs payloads of the input, repaired so that they reach the gate, as the next of a log.
    fn forge(&mut self, user: usize, bytes: &mut Bytes<'_>) {
        let incarnation = 1 + (bytes.byte() % 2) as u8;
        let length = bytes.byte() * 8;
        let payloads = split(bytes.take(length));
        let log = LogId {
            document: self.users[user].descriptor.id(),
            incarnation: Incarnation::from_bytes([incarnation; 8]),
        };
        let at = self.forged.iter().position(|forged| forged.log == log).unwrap_or_else(|| {
            self.forged.push(Forged { user, log, ends: vec![(Tip::start(&log), None)] });
            self.forged.len() - 1
        });
        let last = self.forged[at].ends.len() - 1;
        self.sign(at, last, payloads);
    }

    /// Signs the same place of a log once more.
    fn fork(&mut self, bytes: &mut Bytes<'_>) {
        let (which, place, length) = (bytes.byte(), bytes.byte(), bytes.byte() * 8);
        let payloads = split(bytes.take(length));
        if self.forged.is_empty() {
            return;
        }
        let at = which % self.forged.len();
        self.sign(at, place % self.forged[at].ends.len(), payloads);
    }

    /// Signs payloads behind one of the places where a segment of a log ended.
    fn sign(&mut self, at: usize, end: usize, mut payloads: Vec<Vec<u8>>) {
        let Forged { user, log, ref ends } = self.forged[at];
        let (from, mut last) = ends[end];
        let key = &self.users[user].key;
        for payload in &mut payloads {
            adopt(payload, &key.user(), &log.incarnation);
            last = repair(payload, last);
        }
        let Ok(segment) = VerifiedSegment::sign(key, log, &from, payloads) else { return };
        self.forged[at].ends.push((*segment.end(), last));
        self.signed.push((user, segment.into_segment()));
    }

    /// Makes an edit on the user's device.
    fn edit(&mut self, user: usize, bytes: &mut Bytes<'_>) {
        let (what, which) = (bytes.byte(), bytes.byte());
        let local: LocalId = ["a", "b", "festival"][which % 3].parse().expect("a local id");
        let word = ["one", "two", "\u{e9}", ""][bytes.byte() % 4];
        let document = self.users[user].descriptor.id();
        let other = self.users[(user + 1) % USERS].descriptor.id();
        let entity =
            |document, local: &LocalId| p2panda_core::EntityId::new(document, local.clone());
        let id = entity(document, &local);
        let span = Span { starts: Instant::from_millis(1), ends: Instant::from_millis(2) };
        let resource = entity(other, &"b".parse().expect("a local id"));
        let terms = Terms { event: id.clone(), resource, span, units: 1 };
        let rng = &mut self.rng;
        let device = &mut self.users[user].device;
        let edited = device.edit(self.festival.id(), NOW, rng, |edit| match what % 6 {
            0 => edit.put(&local, &Event { title: word.into(), ..Event::default() }).map(drop),
            1 => edit
                .put(
                    &local,
                    &Resource {
                        title: word.into(),
                        policy: PolicySpec::new("manual"),
                        ..Resource::default()
                    },
                )
                .map(drop),
            2 => edit.set(&id, &["nested", word], Value::from(word)),
            3 => edit.delete(&id, &[["title", "nested", "kind"][which % 3]]),
            4 => edit.request(Request { terms, claimed: NOW, note: word.into() }).map(drop),
            _ => {
                let policy = PolicySpec::new("manual").hash();
                let (request, reason) = (id.clone(), word.to_owned());
                edit.decide(Decision { request, terms, policy, answer: Answer::Confirm, reason })
                    .map(drop)
            }
        });
        // An empty name, or an entity that is not there, is the caller's fault.
        let _ = edited;
    }

    /// Hands a signed segment to a user's device, with what goes before it.
    fn hand(&mut self, to: usize, which: usize) {
        if self.signed.is_empty() {
            return;
        }
        let which = which % self.signed.len();
        for (from, segment) in self.signed[..=which].to_vec() {
            let descriptor = self.users[from].descriptor.clone();
            let _ = self.users[to].device.accept(&descriptor, segment);
        }
        self.users[to].device.flush().expect("memory does not fail");
    }

    fn compare(mut self, order: usize) {
        let festival = self.festival.id();
        let mut pieces = self.signed.clone();
        let mut left = self.reader(20, &pieces);
        pieces.reverse();
        if !pieces.is_empty() {
            let middle = order % pieces.len();
            pieces.rotate_left(middle);
        }
        let mut right = self.reader(21, &pieces);
        for user in &mut self.users {
            meet(&mut user.device, &mut left, festival);
        }
        for user in &mut self.users {
            meet(&mut user.device, &mut right, festival);
            meet(&mut user.device, &mut left, festival);
        }
        meet(&mut left, &mut right, festival);
        assert_equal(&left, &right, &self.festival);

        // An honest device of each user has all of it, writes, and is read.
        for number in 0..USERS {
            let mut honest = open(&self.users[number].key, &self.festival);
            meet(&mut honest, &mut left, festival);
            assert_equal(&honest, &left, &self.festival);
            let show = Event { title: "Show".into(), ..Event::default() };
            let local: LocalId = "a".parse().expect("a local id");
            let id = honest
                .edit(festival, NOW, &mut self.rng, |edit| edit.put(&local, &show))
                .unwrap_or_else(|error: p2panda_core::EditError| panic!("{error}"));
            meet(&mut honest, &mut left, festival);
            assert_equal(&honest, &left, &self.festival);
            let read = left.view(festival).entity::<Event>(&id).expect("memory does not fail");
            assert_eq!(read.and_then(Result::ok).map(|event| event.title).as_deref(), Some("Show"));
        }
    }

    /// Somebody who gets everything that was signed, again and again until nothing is new.
    fn reader(&self, key: u8, pieces: &[(usize, Segment)]) -> Replica {
        let mut reader = open(&Identity::from_secret(&[key; 32]), &self.festival);
        let mut before = None;
        loop {
            for (user, segment) in pieces {
                let _ = reader.accept(&self.users[*user].descriptor, segment.clone());
            }
            reader.flush().expect("memory does not fail");
            let now = reader.fingerprint_logs().expect("memory does not fail");
            if before == Some(now) {
                return reader;
            }
            before = Some(now);
        }
    }
}

fn open(key: &Identity, festival: &Festival) -> Replica {
    let store = Box::new(MemoryStore::new());
    let mut replica =
        Replica::open(store, key.clone(), Box::new(NoResume)).expect("an empty store");
    replica.join(festival).expect("memory does not fail");
    replica
}

/// Two peers exchange all that they hold: runs from the last multiple of 128 at which they agree,
/// by which both find where chains part, then segments and proofs.
fn meet(one: &mut Replica, other: &mut Replica, festival: p2panda_core::FestivalId) {
    let mut logs: Vec<LogId> = Vec::new();
    for replica in [&*one, &*other] {
        logs.extend(replica.logs(festival).unwrap().iter().map(|(log, _)| *log));
    }
    logs.sort();
    logs.dedup();
    for log in logs {
        let known = one.descriptor(&log.document).unwrap();
        let descriptor = known.or_else(|| other.descriptor(&log.document).unwrap()).unwrap();
        let mut common = 0;
        while let (Some(left), Some(right)) = (
            one.chain_at(&log, common + BLOCK).unwrap(),
            other.chain_at(&log, common + BLOCK).unwrap(),
        ) && left == right
        {
            common += BLOCK;
        }
        let (left, right) = (one.run(&log, common).unwrap(), other.run(&log, common).unwrap());
        right.map(|run| one.accept_run(&descriptor, &log, common, run).unwrap());
        left.map(|run| other.accept_run(&descriptor, &log, common, run).unwrap());
        send(one, other, &descriptor, &log, common);
        send(other, one, &descriptor, &log, common);
    }
    one.flush().unwrap();
    other.flush().unwrap();
}

fn send(
    from: &mut Replica,
    to: &mut Replica,
    descriptor: &DocumentDescriptor,
    log: &LogId,
    common: u64,
) {
    let mut at = common;
    while let Some(segment) = from.segment(log, at).unwrap() {
        at = segment.end().length;
        to.accept(descriptor, segment.into_segment()).unwrap();
    }
    if let Some(proof) = from.fork_proof(log).unwrap() {
        to.accept_fork(descriptor, proof.into_proof()).unwrap();
    }
}

fn assert_equal(left: &Replica, right: &Replica, festival: &Festival) {
    assert_eq!((left.caught(), right.caught()), (0, 0), "the last net caught something");
    let stopped = left.stopped_logs(festival.id()).unwrap();
    assert!(stopped.iter().all(|(_, why)| *why != Stopped::Failed), "a judged change failed");
    assert_eq!(stopped, right.stopped_logs(festival.id()).unwrap());
    assert_eq!(left.fingerprint_logs().unwrap(), right.fingerprint_logs().unwrap());
    assert_eq!(left.fingerprint_view().unwrap(), right.fingerprint_view().unwrap());
}
