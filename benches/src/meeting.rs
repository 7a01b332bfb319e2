//! Two replicas of a festival that differ in a known number of logs, and what it costs them to
//! meet, with the real messages.

use std::time::Duration;

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

use crate::cpu;

/// Which logs differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Any, at one side or the other.
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
    authors: Vec<Author>,
    festival: Festival,
    rng: ChaCha20Rng,
    proves: bool,
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

impl Cost {
    /// Every byte of both directions, framing included, but for `PUSH` and `FORK` frames.
    #[must_use]
    pub const fn metadata(&self) -> u64 {
        self.opener.metadata_sent + self.opener.metadata_received
    }

    /// Every byte of both directions, framing included.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.opener.bytes_sent + self.opener.bytes_received
    }
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

    fn write(&mut self, rng: &mut ChaCha20Rng, entries: usize) -> VerifiedSegment {
        let mut payloads = Vec::new();
        for _ in 0..entries {
            // About what a small change takes.
            let mut payload = vec![0; 120];
            rng.fill_bytes(&mut payload);
            payloads.push(payload);
        }
        let signed = VerifiedSegment::sign(&self.identity, self.log, &self.tip, payloads);
        let segment = signed.expect("a small segment");
        self.tip = *segment.end();
        segment
    }
}

impl Meeting {
    /// Replicas that hold the same logs, each of so many entries.
    ///
    /// # Panics
    /// Where the library refuses what it wrote.
    #[must_use]
    pub fn new(logs: usize, entries: usize) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(11);
        let festival = Festival::found(&Identity::generate(&mut rng), &mut rng);
        let sides = [(); 2].map(|()| side(&mut rng, &festival));
        let mut authors: Vec<_> = (0..logs).map(|_| Author::new(&mut rng, &festival)).collect();
        authors.sort_by_key(|author| author.log);
        let mut meeting = Self { sides, authors, festival, rng, proves: true };
        for author in &mut meeting.authors {
            let first = author.write(&mut meeting.rng, entries);
            meeting.sides.iter_mut().for_each(|side| store(side, author, first.clone()));
        }
        meeting.flush();
        meeting
    }

    /// One entry more in so many logs, at one of the sides each.
    ///
    /// # Panics
    /// Where the library refuses what it wrote.
    pub fn write(&mut self, differences: usize, spread: Spread) {
        let logs = self.authors.len();
        for difference in 0..differences {
            let (at, number) = match spread {
                Spread::Clustered => ((logs / 3 + difference) % logs, 1),
                Spread::Random => (difference * logs / differences, difference % 2),
                Spread::New => {
                    self.authors.push(Author::new(&mut self.rng, &self.festival));
                    (logs + difference, difference % 2)
                }
            };
            let next = self.authors[at].write(&mut self.rng, 1);
            store(&mut self.sides[number], &self.authors[at], next);
        }
        self.authors.sort_by_key(|author| author.log);
        self.flush();
    }

    /// The two know nothing of each other: whatever their sketches remember is gone.
    pub fn forget(&mut self) {
        for side in &mut self.sides {
            side.sketches = Sketches::new(&mut self.rng);
        }
    }

    /// Whether the users prove who they are, as over every link that is encrypted; they do unless
    /// they are told not to.
    pub const fn prove(&mut self, proves: bool) {
        self.proves = proves;
    }

    fn flush(&mut self) {
        for side in &mut self.sides {
            side.replica.flush().expect("memory does not fail");
        }
    }

    /// Lets the two exchange everything; the first has connected to the second.
    ///
    /// # Panics
    /// Where the exchange fails or leaves a difference.
    pub fn meet(&mut self) -> Cost {
        self.meet_by(cpu)
    }

    /// The same by another clock: a debugger, or what counts instructions, may not have that one.
    ///
    /// # Panics
    /// Where the exchange fails or leaves a difference.
    pub fn meet_by(&mut self, cpu: impl Fn() -> Duration) -> Cost {
        let [opener, acceptor] = &mut self.sides;
        let link = ChannelBinding::from_bytes([7; 32]);
        let sessions = [Role::Sync, Role::Accept].map(|role| {
            let session = Session::new(role, Duration::ZERO, &mut self.rng);
            if self.proves { session.bound(link) } else { session }
        });
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
                    let start = cpu();
                    let output =
                        session.poll(Duration::ZERO, &mut side.replica, &mut side.sketches);
                    let took = cpu().saturating_sub(start);
                    match output.expect("an honest exchange") {
                        Some(Output::Send(frame)) => {
                            let is_content = matches!(frame[0], 9 | 24);
                            timed(is_content, took);
                            let (session, side) = &mut pair[1 - number];
                            let (replica, sketches) = (&mut side.replica, &mut side.sketches);
                            let start = cpu();
                            let taken = session.handle(
                                Duration::ZERO,
                                Input::Frame(frame),
                                replica,
                                sketches,
                            );
                            timed(is_content, cpu().saturating_sub(start));
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

fn side(rng: &mut ChaCha20Rng, festival: &Festival) -> Side {
    let identity = Identity::generate(rng);
    let mut replica =
        Replica::open(Box::new(MemoryStore::new()), identity, Box::new(NoResume)).expect("memory");
    replica.join(festival).expect("memory does not fail");
    Side { replica, sketches: Sketches::new(rng) }
}

fn store(side: &mut Side, author: &Author, segment: VerifiedSegment) {
    side.replica.accept(&author.descriptor, segment.into_segment()).expect("a signed segment");
}
