//! What travels: one type byte and a body in core's deterministic CBOR, as an array.
//!
//! Frames are bounded before anything is allocated for them, and unknown types are skipped, so that
//! later versions can say more. `GREET` and `HELLO` alone have a version byte between type and body.

#[cfg(feature = "blobs")]
mod blobs;
mod offered;
mod packed;
mod push;

use bytes::Bytes;
use p2panda_core::{
    Chain, DocumentId, ForkProof, Incarnation, LinkProof, LogId, PayloadHash, Run, Signature, codec,
};
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, Error as _},
};
use serde_bytes::ByteBuf;

use crate::error::PeerFault;

pub(crate) use self::{
    offered::Offered,
    packed::{Head, Heads, Stand, Stands, Wanted, Wants, read_keys, write_keys},
    push::{Batch, Deflated, Owner, Piece},
};

/// The largest frame, in bytes; a transport may refuse larger ones by itself.
pub const MAX_FRAME: usize = 160 * 1024;

/// The largest frame of any type but `PUSH`, in bytes.
pub(crate) const MAX_CONTROL: usize = 16 * 1024;

/// The most festivals of one session: what a `HELLO` has room for.
pub(crate) const MAX_FESTIVALS: usize = 256;

/// What a transport adds to a frame: the length prefix, in bytes.
pub(crate) const FRAME_HEADER: u64 = 3;

/// The version of the protocol that is spoken here.
pub(crate) const VERSION: u8 = 1;

const HELLO: u8 = 1;
const GREET: u8 = 2;
const OPEN: u8 = 3;
const NEED: u8 = 4;
const MORE: u8 = 5;
const RESALT: u8 = 6;
const VECTOR: u8 = 7;
const WANT: u8 = 8;
const PUSH: u8 = 9;
const DONE: u8 = 10;
const PROBE: u8 = 11;
const RUNS: u8 = 12;
const FORK: u8 = 13;
const REFUSE: u8 = 14;
const BUSY: u8 = 15;
#[cfg(feature = "blobs")]
const BLOB_WANT: u8 = 20;
#[cfg(feature = "blobs")]
const BLOB: u8 = 21;
const IHAVE: u8 = 16;
const GRAFT: u8 = 17;
const PRUNE: u8 = 18;
const SUBS: u8 = 19;
const PROOF: u8 = 24;

/// Structs with named fields here, arrays on the wire.
macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident { $($(#[$more:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct $name {
            $($(#[$more])* pub(crate) $field: $type,)*
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                ($(&self.$field,)*).serialize(serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                let ($($field,)*) = <($($type,)*)>::deserialize(deserializer)?;
                Ok(Self { $($field),* })
            }
        }
    )*};
}
#[cfg(feature = "blobs")]
pub(crate) use self::blobs::{Blob, BlobWant};
pub(crate) use messages;

messages! {
    /// The opener's first message, sent along with the link's own: something fresh for the `HELLO`
    /// to answer to, where the link itself is not that, and the largest frame it takes.
    Greet {
        nonce: Option<Token>,
        frame: u64,
    }

    /// The accepting side's first message: its festivals, named so that only those who know one
    /// recognise it, in an order that says nothing. From here on a festival is named by its place.
    Hello {
        salt: Salted,
        frame: u64,
        festivals: Vec<Offered>,
    }

    /// What the opener says to the `HELLO`: the festivals that it has too, as twice their places and
    /// one more where it holds the same logs. For each there are eight bytes that prove that it knows
    /// the festival, and then for an equal one four that depend on its fingerprint. What is not
    /// `live` leaves that out.
    Open {
        places: Vec<u64>,
        proofs: ByteBuf,
        live: bool,
    }

    /// The syndromes so far do not tell what differs. The first time with an estimator.
    Need {
        place: u64,
        estimator: ByteBuf,
    }

    /// Syndromes or cells from an index on. Where that is zero, what was sent before of this kind
    /// is void: logs have grown since.
    More {
        place: u64,
        cells: bool,
        start: u64,
        sums: ByteBuf,
        last: bool,
    }

    /// Of the opener, without a sketch: compare again. Of the accepting side, with one: the
    /// comparison begins again, under this salt.
    Resalt {
        place: u64,
        sketch: Option<(Token, ByteBuf)>,
    }

    /// All logs of a festival in short, ascending over all of its `VECTOR`s.
    Vector {
        place: u64,
        stands: ByteBuf,
        last: bool,
    }

    /// Asks for what follows in logs.
    Want {
        place: u64,
        logs: ByteBuf,
    }

    /// "I have nothing left to send", and how many of the other side's messages are taken care of:
    /// what they ask for is sent, and what they bring is durable. The accepting
    /// side's says what its logs hash to, unless they have changed by other hands in the meantime.
    Done {
        messages: u64,
        check: Option<Token>,
    }

    /// Places on the sender's chain of a log that the two sides do not hold alike, descending.
    Probe {
        document: DocumentId,
        incarnation: Incarnation,
        points: Vec<(u64, Chain)>,
    }

    /// What follows on the sender's chain after a place that both sides have, as hashes.
    Runs {
        document: DocumentId,
        incarnation: Incarnation,
        from: u64,
        hashes: Vec<PayloadHash>,
        signature: Signature,
    }

    /// The proof that a log's author signed two chains, which the receiver's chain reaches. Where
    /// that may be nothing, with the document's descriptor.
    Fork {
        owner: Option<Owner>,
        proof: ForkProof,
    }

    /// Logs that the sender will neither take nor give, for so many seconds or as long as it is the
    /// same session. With 0 there is nothing to give now, and what was refused before is not any more.
    /// It is not answered, so no `DONE` counts it.
    Refuse {
        place: u64,
        keys: ByteBuf,
        seconds: Option<u64>,
    }

    /// What the sender keeps of a festival: these documents, ascending over all of its `SUBS`, or all.
    Subs {
        place: u64,
        documents: Option<ByteBuf>,
        last: bool,
    }

    /// Heads of logs that the sender has and does not push.
    Ihave {
        place: u64,
        heads: ByteBuf,
    }

    /// What comes in this festival does so by other ways too: do not push it here.
    Prune {
        place: u64,
    }

    /// Too much was asked: come back after so many seconds.
    Busy {
        seconds: u64,
    }
}

/// The salt of a `HELLO`, and behind it the accepting side's nonce, where the link is not nonce
/// enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Salted {
    pub(crate) salt: Token,
    pub(crate) nonce: Option<Token>,
}

impl Serialize for Salted {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nonce = self.nonce.as_ref().map_or(&[][..], |nonce| &nonce.0);
        serializer.serialize_bytes(&[&self.salt.0, nonce].concat())
    }
}

impl<'de> Deserialize<'de> for Salted {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = ByteBuf::deserialize(deserializer)?;
        let malformed = || D::Error::custom("a salt");
        let (salt, nonce) = bytes.split_first_chunk().ok_or_else(malformed)?;
        let nonce = match nonce {
            [] => None,
            nonce => Some(Token(nonce.try_into().map_err(|_| malformed())?)),
        };
        Ok(Self { salt: Token(*salt), nonce })
    }
}

/// Eight bytes that mean nothing outside one session: a nonce, a salt, a name or a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Token(#[serde(with = "serde_bytes")] pub(crate) [u8; 8]);

/// The most points of a `PROBE`.
pub(crate) const MAX_POINTS: usize = 16;

impl Probe {
    pub(crate) const fn log(&self) -> LogId {
        LogId { document: self.document, incarnation: self.incarnation }
    }
}

impl Runs {
    pub(crate) fn new(log: &LogId, from: u64, run: Run) -> Self {
        let LogId { document, incarnation } = *log;
        Self { document, incarnation, from, hashes: run.hashes, signature: run.signature }
    }

    pub(crate) fn open(self) -> (LogId, u64, Run) {
        let log = LogId { document: self.document, incarnation: self.incarnation };
        (log, self.from, Run { hashes: self.hashes, signature: self.signature })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Greet(Greet),
    Hello(Hello),
    /// Who is at the other end of the link.
    Proof(LinkProof),
    /// A `HELLO` of a version that is not spoken here.
    OtherVersion(u8),
    /// A `GREET` of such a version.
    OtherGreet(u8),
    Open(Open),
    Need(Need),
    More(More),
    Resalt(Resalt),
    Vector(Vector),
    Want(Want),
    Push(Deflated),
    Done(Done),
    Probe(Probe),
    Runs(Runs),
    Fork(Box<Fork>),
    Refuse(Refuse),
    Subs(Subs),
    Busy(Busy),
    #[cfg(feature = "blobs")]
    BlobWant(BlobWant),
    #[cfg(feature = "blobs")]
    Blob(Blob),
    Ihave(Ihave),
    /// A `WANT` of what an `IHAVE` told of, and the end of a `PRUNE`.
    Graft(Want),
    Prune(Prune),
}

impl Message {
    pub(crate) fn encode(&self) -> Bytes {
        let (kind, body) = match self {
            Self::Greet(body) => return join(&[GREET, VERSION], &codec::encode(body)),
            Self::Hello(body) => return join(&[HELLO, VERSION], &codec::encode(body)),
            Self::OtherVersion(version) => return join(&[HELLO, *version], &[]),
            Self::OtherGreet(version) => return join(&[GREET, *version], &[]),
            Self::Open(body) if body.live => (OPEN, codec::encode(body)),
            Self::Open(body) => (OPEN, codec::encode(&(&body.places, &body.proofs))),
            Self::Need(body) => (NEED, codec::encode(body)),
            Self::More(body) => (MORE, codec::encode(body)),
            Self::Resalt(body) => (RESALT, codec::encode(body)),
            Self::Vector(body) => (VECTOR, codec::encode(body)),
            Self::Want(body) => (WANT, codec::encode(body)),
            Self::Push(body) => (PUSH, codec::encode(body)),
            Self::Done(Done { messages, check: None }) => (DONE, codec::encode(&[messages])),
            Self::Done(Done { messages, check: Some(check) }) => {
                (DONE, codec::encode(&(messages, check)))
            }
            Self::Proof(body) => (PROOF, codec::encode(body)),
            Self::Probe(body) => (PROBE, codec::encode(body)),
            Self::Runs(body) => (RUNS, codec::encode(body)),
            Self::Fork(body) => (FORK, codec::encode(&**body)),
            Self::Refuse(body) => (REFUSE, codec::encode(body)),
            Self::Subs(body) => (SUBS, codec::encode(body)),
            Self::Busy(body) => (BUSY, codec::encode(body)),
            #[cfg(feature = "blobs")]
            Self::BlobWant(body) => (BLOB_WANT, codec::encode(body)),
            #[cfg(feature = "blobs")]
            Self::Blob(body) => (BLOB, codec::encode(body)),
            Self::Ihave(body) => (IHAVE, codec::encode(body)),
            Self::Graft(body) => (GRAFT, codec::encode(body)),
            Self::Prune(body) => (PRUNE, codec::encode(body)),
        };
        join(&[kind], &body)
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Greet(_) | Self::OtherGreet(_) => "GREET",
            Self::Hello(_) | Self::OtherVersion(_) => "HELLO",
            Self::Open(_) => "OPEN",
            Self::Need(_) => "NEED",
            Self::More(_) => "MORE",
            Self::Resalt(_) => "RESALT",
            Self::Vector(_) => "VECTOR",
            Self::Want(_) => "WANT",
            Self::Push(_) => "PUSH",
            Self::Done(_) => "DONE",
            Self::Probe(_) => "PROBE",
            Self::Runs(_) => "RUNS",
            Self::Fork(_) => "FORK",
            Self::Refuse(_) => "REFUSE",
            Self::Subs(_) => "SUBS",
            Self::Busy(_) => "BUSY",
            #[cfg(feature = "blobs")]
            Self::BlobWant(_) => "BLOB_WANT",
            #[cfg(feature = "blobs")]
            Self::Blob(_) => "BLOB",
            Self::Ihave(_) => "IHAVE",
            Self::Graft(_) => "GRAFT",
            Self::Prune(_) => "PRUNE",
            Self::Proof(_) => "PROOF",
        }
    }

    /// Whether a `DONE` counts it: what makes the other side do something.
    pub(crate) const fn is_counted(&self) -> bool {
        !matches!(
            self,
            Self::Greet(_)
                | Self::Hello(_)
                | Self::OtherVersion(_)
                | Self::OtherGreet(_)
                | Self::Open(_)
                | Self::Proof(_)
                | Self::Done(_)
                | Self::Refuse(_)
                | Self::Busy(_)
        )
    }

    /// Whether the other side has to answer it, if only with `DONE`.
    pub(crate) const fn is_answered(&self) -> bool {
        self.is_counted() && !matches!(self, Self::Ihave(_) | Self::Prune(_))
    }

    /// Whether it says what it takes to find out what differs; else it brings what is stored, or
    /// is the link's affair.
    pub(crate) const fn is_metadata(&self) -> bool {
        #[cfg(feature = "blobs")]
        if matches!(self, Self::Blob(_)) {
            return false;
        }
        !matches!(self, Self::Push(_) | Self::Fork(_) | Self::Proof(_))
    }

    /// Reads a frame; `None` is a type that this version does not know.
    pub(crate) fn decode(frame: &[u8]) -> Result<Option<Self>, PeerFault> {
        let (&kind, body) = frame.split_first().ok_or(PeerFault::Message("an empty frame"))?;
        let control = matches!(kind, HELLO..=SUBS | PROOF) && kind != PUSH;
        #[cfg(feature = "blobs")]
        let control = control || kind == BLOB_WANT;
        let limit = if control { MAX_CONTROL } else { MAX_FRAME };
        if frame.len() > limit {
            return Err(PeerFault::TooLarge { size: frame.len(), limit });
        }
        let message = match kind {
            GREET => match versioned(body, "GREET")? {
                Ok(body) => Self::Greet(read(body, "GREET")?),
                Err(version) => Self::OtherGreet(version),
            },
            HELLO => match versioned(body, "HELLO")? {
                Ok(body) => Self::Hello(read(body, "HELLO")?),
                Err(version) => Self::OtherVersion(version),
            },
            OPEN => Self::Open(match read::<Open>(body, "OPEN") {
                Ok(open) if open.live => open,
                Ok(_) => return Err(PeerFault::Message("OPEN")),
                Err(_) => {
                    let (places, proofs) = read::<(Vec<u64>, ByteBuf)>(body, "OPEN")?;
                    Open { places, proofs, live: false }
                }
            }),
            NEED => Self::Need(read(body, "NEED")?),
            MORE => Self::More(read(body, "MORE")?),
            RESALT => Self::Resalt(read(body, "RESALT")?),
            VECTOR => Self::Vector(read(body, "VECTOR")?),
            WANT => Self::Want(read(body, "WANT")?),
            PUSH => Self::Push(read(body, "PUSH")?),
            DONE => Self::Done(match read::<[u64; 1]>(body, "DONE") {
                Ok([messages]) => Done { messages, check: None },
                Err(_) => {
                    let (messages, check) = read::<(u64, Token)>(body, "DONE")?;
                    Done { messages, check: Some(check) }
                }
            }),
            PROOF => Self::Proof(read(body, "PROOF")?),
            PROBE => Self::Probe(read(body, "PROBE")?),
            RUNS => Self::Runs(read(body, "RUNS")?),
            FORK => Self::Fork(Box::new(read(body, "FORK")?)),
            REFUSE => Self::Refuse(read(body, "REFUSE")?),
            SUBS => Self::Subs(read(body, "SUBS")?),
            BUSY => Self::Busy(read(body, "BUSY")?),
            #[cfg(feature = "blobs")]
            BLOB_WANT => Self::BlobWant(read(body, "BLOB_WANT")?),
            #[cfg(feature = "blobs")]
            BLOB => Self::Blob(read(body, "BLOB")?),
            IHAVE => Self::Ihave(read(body, "IHAVE")?),
            GRAFT => Self::Graft(read(body, "GRAFT")?),
            PRUNE => Self::Prune(read(body, "PRUNE")?),
            _ => return Ok(None),
        };
        Ok(Some(message))
    }
}

/// Whether a frame of this type brings what is stored.
#[cfg(feature = "sim")]
pub(crate) const fn is_content(kind: u8) -> bool {
    matches!(kind, PUSH | FORK)
}

/// The body, or the version that is not spoken here.
fn versioned<'a>(body: &'a [u8], name: &'static str) -> Result<Result<&'a [u8], u8>, PeerFault> {
    match body.split_first() {
        Some((&VERSION, body)) => Ok(Ok(body)),
        Some((&version, _)) => Ok(Err(version)),
        None => Err(PeerFault::Message(name)),
    }
}

fn join(head: &[u8], body: &[u8]) -> Bytes {
    [head, body].concat().into()
}

fn read<T: Serialize + DeserializeOwned>(body: &[u8], name: &'static str) -> Result<T, PeerFault> {
    codec::decode(body, MAX_FRAME).map_err(|_| PeerFault::Message(name))
}

#[cfg(test)]
mod tests;
