//! Two replicas of a festival that differ in a known number of logs, and what it costs them to
//! meet, with the real messages.

use std::time::{Duration, Instant};

use p2panda_core::{
    ChannelBinding, DocumentDescriptor, Festival, Identity, Incarnation, LogId, Replica, Tip,
    VerifiedSegment,
    store::{MemoryStore, NoResume},
};
use p2panda_sync::{Input, Output, Role, Session, Sketches, Stats};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// Which logs differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Any, each of them longer at one side or the other.
    Random,
    /// Neighbours by id, all longer at the accepting side.
    Clustered,
    /// Logs that only one side holds, half of them each.
    New,
}

/// One replica with the sketches that its sessions share.
pub struct Side {
    replica: Replica,
    sketches: Sketches,
}

/// Two replicas that are about to meet.
pub struct Meeting {
    sides: [Side; 2],
    festival: Festival,
}

/// What a meeting cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// The totals of the side that connected.
    pub opener: Stats,
    /// The CPU time of both sides together, without what it takes to store entries.
    pub comparing: Duration,
    /// All of the CPU time.
    pub all: Duration,
}

struct Author {
    identity: Identity,
    descriptor: DocumentDescriptor,
    log: LogId,
    tip: Tip,
}

impl Author {
    fn new(rng: &mut ChaCha20Rng, festival: &Festival) -> Self {
        let identity = Identity::generate(rng);
        let user = identity.user();
        let descriptor = DocumentDescriptor { festival: festival.id(), user, label: String::new() };
        let log = LogId { document: descriptor.id(), incarnation: Incarnation::random(rng) };
        Self { identity, descriptor, log, tip: Tip::start(&log) }
    }

    fn write(&mut self, rng: &mut ChaCha20Rng) -> VerifiedSegment {
        // About what a small change takes.
        let mut payload = vec![0; 120];
        rng.fill_bytes(&mut payload);
        let signed = VerifiedSegment::sign(&self.identity, self.log, &self.tip, vec![payload]);
        let segment = signed.expect("a small segment");
        self.tip = *segment.end();
        segment
    }
}

impl Meeting {
    /// Replicas of so many logs of which so many differ.
    ///
    /// # Panics
    /// Where the library refuses what it wrote.
    #[must_use]
    pub fn new(logs: usize, differences: usize, spread: Spread) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(11);
        let festival = Festival::found(&Identity::generate(&mut rng), &mut rng);
        let mut meeting = Self { sides: [1, 2].map(|seed| side(seed, &festival)), festival };
        let mut authors: Vec<_> =
            (0..logs).map(|_| Author::new(&mut rng, &meeting.festival)).collect();
        authors.sort_by_key(|author| author.log);
        let is_new = |at: usize| spread == Spread::New && at < differences;
        for (at, author) in authors.iter_mut().enumerate() {
            let first = author.write(&mut rng);
            for (number, side) in meeting.sides.iter_mut().enumerate() {
                if !is_new(at) || at % 2 == number {
                    store(side, author, first.clone());
                }
            }
        }
        if spread != Spread::New {
            let start = logs / 3;
            for difference in 0..differences {
                let (at, number) = match spread {
                    Spread::Clustered => ((start + difference) % logs, 1),
                    _ => (difference * logs / differences, difference % 2),
                };
                let next = authors[at].write(&mut rng);
                store(&mut meeting.sides[number], &authors[at], next);
            }
        }
        for side in &mut meeting.sides {
            side.replica.flush().expect("memory does not fail");
        }
        meeting
    }

    /// Lets the two exchange everything; the first has connected to the second.
    ///
    /// # Panics
    /// Where the exchange fails or leaves a difference.
    pub fn meet(&mut self) -> Cost {
        let [opener, acceptor] = &mut self.sides;
        let mut rng = ChaCha20Rng::seed_from_u64(12);
        // As over a link that is encrypted, like all that are not for tests.
        let link = ChannelBinding::from_bytes([7; 32]);
        let sessions = [Role::Sync, Role::Accept]
            .map(|role| Session::new(role, Duration::ZERO, &mut rng).bound(link));
        let [mut opening, mut accepting] = sessions;
        let (mut comparing, mut all) = (Duration::ZERO, Duration::ZERO);
        let mut done = false;
        let mut timed = |is_content: bool, taken: Duration| {
            all += taken;
            if !is_content {
                comparing += taken;
            }
        };
        while !done {
            let mut pair = [(&mut opening, &mut *opener), (&mut accepting, &mut *acceptor)];
            for number in 0..2 {
                loop {
                    let (session, side) = &mut pair[number];
                    let start = Instant::now();
                    let output =
                        session.poll(Duration::ZERO, &mut side.replica, &mut side.sketches);
                    let took = start.elapsed();
                    match output.expect("an honest exchange") {
                        Some(Output::Send(frame)) => {
                            let is_content = matches!(frame[0], 9 | 24);
                            timed(is_content, took);
                            let (session, side) = &mut pair[1 - number];
                            let (replica, sketches) = (&mut side.replica, &mut side.sketches);
                            let start = Instant::now();
                            let taken = session.handle(
                                Duration::ZERO,
                                Input::Frame(frame),
                                replica,
                                sketches,
                            );
                            timed(is_content, start.elapsed());
                            taken.expect("an honest exchange");
                        }
                        Some(Output::Event(_)) => {}
                        Some(Output::Finished) => done = true,
                        None => break,
                    }
                    if done {
                        break;
                    }
                }
            }
        }
        let [opener, acceptor] = &self.sides;
        assert_eq!(
            opener.replica.fingerprint_logs().expect("memory does not fail"),
            acceptor.replica.fingerprint_logs().expect("memory does not fail"),
        );
        Cost { opener: opening.stats(), comparing, all }
    }
}

fn side(seed: u64, festival: &Festival) -> Side {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let identity = Identity::generate(&mut rng);
    let mut replica =
        Replica::open(Box::new(MemoryStore::new()), identity, Box::new(NoResume)).expect("memory");
    replica.join(festival).expect("memory does not fail");
    Side { replica, sketches: Sketches::new(&mut rng) }
}

fn store(side: &mut Side, author: &Author, segment: VerifiedSegment) {
    side.replica.accept(&author.descriptor, segment.into_segment()).expect("a signed segment");
}
