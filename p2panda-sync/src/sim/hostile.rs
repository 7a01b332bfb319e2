//! Peers that are out for harm: what they do, and the endpoint that does it.
//!
//! All of them know the festivals they attack. Most run a real session over a real replica and bend
//! what it says, so that they get as far as anybody does, whatever the messages are.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use p2panda_core::{
    AcceptError, DocumentDescriptor, FestivalId, Identity, Incarnation, LogId, Replica, Tip,
    VerifiedSegment,
};
use rand_core::Rng as _;
use serde::{Deserialize, Serialize};

use super::Random;
use crate::{Input, MAX_FRAME, Output, PATIENCE, Role, Session, Sketches, SyncError};

/// What a hostile peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Hostile {
    /// Sends frames of random bytes, some too large.
    Garbage,
    /// Changes, cuts, doubles and swaps some of the frames of a real session.
    Mutate,
    /// Sends frames of earlier sessions in between.
    Replay,
    /// Serves entries that nobody signed as if somebody had.
    Forge,
    /// Signs two chains of its own log, and shows one to some peers and the other to the rest.
    Equivocate,
    /// Takes part for so many frames, then neither sends nor reads.
    Stall {
        /// How many frames it reads.
        after: u32,
    },
    /// Sends one frame at a time, each just before the other side's patience ends.
    Drip,
    /// Writes as ever more users, each with so many documents.
    Flood {
        /// How many users it invents at each of its turns.
        users: u32,
        /// How many documents each of them has.
        documents: u32,
    },
}

impl Hostile {
    /// One of each.
    pub const ALL: [Self; 8] = [
        Self::Garbage,
        Self::Mutate,
        Self::Replay,
        Self::Forge,
        Self::Equivocate,
        Self::Stall { after: 2 },
        Self::Drip,
        Self::Flood { users: 4, documents: 2 },
    ];

    /// Its name in one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Garbage => "garbage",
            Self::Mutate => "mutate",
            Self::Replay => "replay",
            Self::Forge => "forge",
            Self::Equivocate => "equivocate",
            Self::Stall { .. } => "stall",
            Self::Drip => "drip",
            Self::Flood { .. } => "flood",
        }
    }
}

/// The most frames of random bytes that one connection is worth.
const MAX_GARBAGE: u32 = 64;

/// The share of frames that are bent.
const BENT: f64 = 0.25;

/// How many frames of earlier sessions are remembered.
const TAPE: usize = 64;

/// One end of a connection, in a hostile peer's hands.
#[derive(Debug)]
pub(crate) struct Adversary {
    how: Hostile,
    session: Session,
    waiting: VecDeque<Bytes>,
    read: u32,
    garbage: u32,
    /// When it sends next, if it takes its time.
    next: Duration,
    is_over: bool,
}

impl Adversary {
    pub(crate) fn new(how: Hostile, role: Role, now: Duration, random: &mut Random) -> Self {
        let session = Session::new(role, now, random);
        let waiting = VecDeque::new();
        Self { how, session, waiting, read: 0, garbage: 0, next: now, is_over: false }
    }

    /// Whether it takes what arrives.
    pub(crate) const fn reads(&self) -> bool {
        !matches!(self.how, Hostile::Stall { after } if self.read >= after)
    }

    /// Whether what it serves comes from a store that lies.
    pub(crate) fn forges(&self) -> bool {
        self.how == Hostile::Forge
    }

    pub(crate) fn handle(
        &mut self,
        now: Duration,
        input: Input,
        replica: &mut Replica,
        sketches: &mut Sketches,
        tape: &mut VecDeque<Bytes>,
    ) -> Result<(), SyncError> {
        if let Input::Frame(frame) = &input {
            self.read += 1;
            if self.how == Hostile::Replay {
                tape.push_back(frame.clone());
                tape.truncate(TAPE);
            }
        }
        match (self.how, input) {
            (_, Input::Closed) => {
                self.is_over = true;
                Ok(())
            }
            (Hostile::Garbage, _) => Ok(()),
            (Hostile::Stall { .. }, _) if !self.reads() => Ok(()),
            (Hostile::Drip, Input::Deadline) => Ok(()),
            (_, input) => self.session.handle(now, input, replica, sketches),
        }
    }

    pub(crate) fn poll(
        &mut self,
        now: Duration,
        replica: &mut Replica,
        sketches: &mut Sketches,
        tape: &VecDeque<Bytes>,
        random: &mut Random,
    ) -> Result<Option<Output>, SyncError> {
        if self.is_over {
            return Ok(Some(Output::Finished));
        }
        if let Some(frame) = self.waiting.pop_front() {
            return Ok(Some(Output::Send(frame)));
        }
        match self.how {
            Hostile::Garbage => {
                if self.garbage >= MAX_GARBAGE {
                    return Ok(Some(Output::Finished));
                }
                self.garbage += 1;
                Ok(Some(Output::Send(garbage(random))))
            }
            Hostile::Stall { .. } if !self.reads() => Ok(None),
            Hostile::Drip if now < self.next => Ok(None),
            Hostile::Drip => {
                let output = self.session.poll(now, replica, sketches)?;
                match output {
                    Some(Output::Send(_)) => self.next = now + PATIENCE - Duration::from_secs(3),
                    None => self.next = now + Duration::from_secs(1),
                    Some(_) => {}
                }
                Ok(output)
            }
            Hostile::Mutate => Ok(match self.session.poll(now, replica, sketches)? {
                Some(Output::Send(frame)) if random.chance(BENT) => {
                    Some(Output::Send(self.bend(frame, random)))
                }
                output => output,
            }),
            Hostile::Replay => {
                if random.chance(BENT)
                    && let Some(old) = tape.get(random.index(tape.len()))
                    && self.garbage < MAX_GARBAGE
                {
                    self.garbage += 1;
                    return Ok(Some(Output::Send(old.clone())));
                }
                self.session.poll(now, replica, sketches)
            }
            _ => self.session.poll(now, replica, sketches),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        match self.how {
            Hostile::Garbage | Hostile::Stall { .. } => None,
            Hostile::Drip => Some(self.next),
            _ => self.session.deadline(),
        }
    }

    fn bend(&mut self, frame: Bytes, random: &mut Random) -> Bytes {
        let mut bytes = frame.to_vec();
        match random.below(6) {
            0 => bytes.truncate(random.index(bytes.len())),
            1 => {
                let more = random.index(64) + 1;
                bytes.extend((0..more).map(|n| u8::try_from(n).unwrap_or_default()));
            }
            2 => self.waiting.push_back(frame.clone()),
            3 => {
                self.waiting.push_back(frame);
                return garbage(random);
            }
            _ => {
                for _ in 0..=random.below(4) {
                    let at = random.index(bytes.len());
                    bytes[at] ^= 1 << random.below(8);
                }
            }
        }
        bytes.into()
    }
}

/// A frame with a plausible type byte and a body of random bytes.
fn garbage(random: &mut Random) -> Bytes {
    let length = match random.below(16) {
        0 => MAX_FRAME + 1,
        1 => 16 * 1024 + 1,
        _ => random.index(200) + 1,
    };
    let mut bytes = vec![0; length];
    random.fill_bytes(&mut bytes[..length.min(256)]);
    bytes[0] %= 24;
    bytes.into()
}

/// Invents users who each write a few documents, and puts them into a replica.
pub(crate) fn flood(
    replica: &mut Replica,
    festival: FestivalId,
    (users, documents): (u32, u32),
    random: &mut Random,
) -> Result<(), AcceptError> {
    for _ in 0..users {
        let identity = Identity::generate(random);
        let incarnation = Incarnation::random(random);
        for n in 0..documents {
            let label = if n == 0 { String::new() } else { format!("flood {n}") };
            let descriptor = DocumentDescriptor { festival, user: identity.user(), label };
            let log = LogId { document: descriptor.id(), incarnation };
            let mut payload = vec![0; 40 + random.index(200)];
            random.fill_bytes(&mut payload);
            let signed = VerifiedSegment::sign(&identity, log, &Tip::start(&log), vec![payload]);
            replica.accept(&descriptor, signed?.into_segment())?;
        }
    }
    Ok(replica.flush()?)
}
