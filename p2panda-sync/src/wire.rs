//! What travels: one type byte and a body in core's deterministic CBOR, as an array.
//!
//! Frames are bounded before anything is allocated for them, and unknown types are skipped, so that
//! later versions can say more. `HELLO` alone has a version byte between type and body.

use bytes::Bytes;
use p2panda_core::{
    Chain, DocumentDescriptor, DocumentId, FestivalId, ForkProof, Incarnation, LogId, Seal,
    Segment, Signature, Tip, UserId, codec,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_bytes::ByteBuf;

use crate::error::PeerFault;

/// The largest frame, in bytes; a transport may refuse larger ones by itself.
pub const MAX_FRAME: usize = 160 * 1024;

/// The largest frame of any type but `PUSH`, in bytes.
pub(crate) const MAX_CONTROL: usize = 16 * 1024;

/// The most festivals of one session: what a `HELLO` has room for.
pub(crate) const MAX_FESTIVALS: usize = 256;

/// The most logs in one frame: at most 87 bytes each, they fit into [`MAX_CONTROL`].
pub(crate) const MAX_ITEMS: usize = 180;

/// What a transport adds to a frame: the length prefix, in bytes.
pub(crate) const FRAME_HEADER: u64 = 4;

const VERSION: u8 = 1;

const HELLO: u8 = 1;
const OPEN: u8 = 2;
const ANSWER: u8 = 3;
const VECTOR: u8 = 4;
const WANT: u8 = 5;
const PUSH: u8 = 6;
const PARTED: u8 = 7;
const DONE: u8 = 8;

/// Structs with named fields here, arrays on the wire.
macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct $name {
            $(pub(crate) $field: $type,)*
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                ($(&self.$field,)*).serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let ($($field,)*) = <($($type,)*)>::deserialize(deserializer)?;
                Ok(Self { $($field),* })
            }
        }
    )*};
}

messages! {
    /// The accepting side's first message: its festivals, blinded so that only those who know one
    /// recognise it, in an order that says nothing. From here on a festival is named by its place.
    Hello {
        salt: Token,
        festivals: Vec<Offered>,
    }

    /// A festival of a `HELLO`.
    Offered {
        blinded: Token,
        fingerprint: Fingerprint,
    }

    /// The opener's first message: the festivals that it has too.
    Open {
        nonce: Token,
        live: bool,
        festivals: Vec<Chosen>,
    }

    /// A festival of an `OPEN`: its place in the `HELLO`, proof of knowing its id, and whether the
    /// fingerprints agree. Where they do not, `VECTOR`s follow.
    Chosen {
        place: u64,
        proof: Token,
        equal: bool,
    }

    /// The accepting side's proof of knowing the festivals of the `OPEN`, in that order.
    Answer {
        proofs: Vec<Token>,
    }

    /// Logs of a festival, ascending over all of its `VECTOR`s.
    Vector {
        place: u64,
        logs: Vec<Item>,
        last: bool,
    }

    /// Asks for the entries of logs after a place on their chains. `last` says that no more `WANT`
    /// follows from the comparison.
    Want {
        logs: Vec<Item>,
        last: bool,
    }

    /// A log and a place on its chain.
    Item {
        document: DocumentId,
        incarnation: Incarnation,
        length: u64,
        chain: Chain,
    }

    /// A segment. The first of a log carries the document's descriptor instead of its id, the last
    /// of a cut log the fork proof instead of a signature.
    Push {
        document: Option<DocumentId>,
        owner: Option<Owner>,
        incarnation: Incarnation,
        from: u64,
        payloads: Vec<ByteBuf>,
        fork: Option<ForkProof>,
        signature: Option<Signature>,
    }

    /// A document's descriptor, the festival by its place.
    Owner {
        place: u64,
        user: UserId,
        label: String,
    }

    /// Logs of which the two sides hold different chains, and which are left alone from here on.
    Parted {
        logs: Vec<(DocumentId, Incarnation)>,
    }

    /// "I have nothing left to send": the first so many `WANT`s are served, and the first so many
    /// `PUSH`es are durable here.
    Done {
        wants: u64,
        pushes: u64,
    }
}

/// A salt, a nonce, or a blinded festival: 16 bytes that mean nothing outside one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Token(#[serde(with = "serde_bytes")] pub(crate) [u8; 16]);

/// A hash over all logs of a festival, for one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint(#[serde(with = "serde_bytes")] pub(crate) [u8; 32]);

impl Item {
    pub(crate) fn new(log: &LogId, tip: &Tip) -> Self {
        let LogId { document, incarnation } = *log;
        Self { document, incarnation, length: tip.length, chain: tip.chain }
    }

    pub(crate) const fn log(&self) -> LogId {
        LogId { document: self.document, incarnation: self.incarnation }
    }

    pub(crate) const fn tip(&self) -> Tip {
        Tip { length: self.length, chain: self.chain }
    }
}

impl Push {
    /// Packs a segment; `owner` goes along with a log's first.
    pub(crate) fn new(segment: Segment, owner: Option<Owner>) -> Self {
        let (signature, fork) = match segment.seal {
            Seal::Signature(signature) => (Some(signature), None),
            Seal::Fork(proof) => (None, Some(*proof)),
        };
        Self {
            document: if owner.is_some() { None } else { Some(segment.log.document) },
            owner,
            incarnation: segment.log.incarnation,
            from: segment.from,
            payloads: segment.payloads.into_iter().map(ByteBuf::from).collect(),
            signature,
            fork,
        }
    }

    /// Unpacks segment and descriptor, which a log's first segment must have and others must not.
    pub(crate) fn open(
        self,
        festival_at: impl FnOnce(u64) -> Option<FestivalId>,
    ) -> Result<(Segment, Option<DocumentDescriptor>), PeerFault> {
        let (document, descriptor) = match (self.document, self.owner) {
            (Some(document), None) if self.from > 0 => (document, None),
            (None, Some(owner)) if self.from == 0 => {
                let festival = festival_at(owner.place).ok_or(PeerFault::Festival)?;
                let Owner { user, label, .. } = owner;
                let descriptor = DocumentDescriptor { festival, user, label };
                (descriptor.id(), Some(descriptor))
            }
            _ => return Err(PeerFault::Message("PUSH")),
        };
        let seal = match (self.signature, self.fork) {
            (Some(signature), None) => Seal::Signature(signature),
            (None, Some(proof)) => Seal::Fork(Box::new(proof)),
            _ => return Err(PeerFault::Message("PUSH")),
        };
        let segment = Segment {
            log: LogId { document, incarnation: self.incarnation },
            from: self.from,
            payloads: self.payloads.into_iter().map(ByteBuf::into_vec).collect(),
            seal,
        };
        Ok((segment, descriptor))
    }
}

/// A frame's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Hello(Hello),
    /// A `HELLO` of another version of the protocol.
    OtherVersion(u8),
    Open(Open),
    Answer(Answer),
    Vector(Vector),
    Want(Want),
    Push(Push),
    Parted(Parted),
    Done(Done),
}

impl Message {
    pub(crate) fn encode(&self) -> Bytes {
        let (kind, body) = match self {
            Self::Hello(body) => return join(&[HELLO, VERSION], &codec::encode(body)),
            Self::OtherVersion(version) => return join(&[HELLO, *version], &[]),
            Self::Open(body) => (OPEN, codec::encode(body)),
            Self::Answer(body) => (ANSWER, codec::encode(body)),
            Self::Vector(body) => (VECTOR, codec::encode(body)),
            Self::Want(body) => (WANT, codec::encode(body)),
            Self::Push(body) => (PUSH, codec::encode(body)),
            Self::Parted(body) => (PARTED, codec::encode(body)),
            Self::Done(body) => (DONE, codec::encode(body)),
        };
        join(&[kind], &body)
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) | Self::OtherVersion(_) => "HELLO",
            Self::Open(_) => "OPEN",
            Self::Answer(_) => "ANSWER",
            Self::Vector(_) => "VECTOR",
            Self::Want(_) => "WANT",
            Self::Push(_) => "PUSH",
            Self::Parted(_) => "PARTED",
            Self::Done(_) => "DONE",
        }
    }

    /// Reads a frame; `None` is a type that this version does not know.
    pub(crate) fn decode(frame: &[u8]) -> Result<Option<Self>, PeerFault> {
        let (&kind, body) = frame.split_first().ok_or(PeerFault::Message("an empty frame"))?;
        let limit =
            if (HELLO..=DONE).contains(&kind) && kind != PUSH { MAX_CONTROL } else { MAX_FRAME };
        if frame.len() > limit {
            return Err(PeerFault::TooLarge { size: frame.len(), limit });
        }
        let message = match kind {
            HELLO => match body.split_first() {
                Some((&VERSION, body)) => Self::Hello(read(body, "HELLO")?),
                Some((&version, _)) => Self::OtherVersion(version),
                None => return Err(PeerFault::Message("HELLO")),
            },
            OPEN => Self::Open(read(body, "OPEN")?),
            ANSWER => Self::Answer(read(body, "ANSWER")?),
            VECTOR => Self::Vector(read(body, "VECTOR")?),
            WANT => Self::Want(read(body, "WANT")?),
            PUSH => Self::Push(read(body, "PUSH")?),
            PARTED => Self::Parted(read(body, "PARTED")?),
            DONE => Self::Done(read(body, "DONE")?),
            _ => return Ok(None),
        };
        Ok(Some(message))
    }
}

fn join(head: &[u8], body: &[u8]) -> Bytes {
    [head, body].concat().into()
}

fn read<T: Serialize + DeserializeOwned>(body: &[u8], name: &'static str) -> Result<T, PeerFault> {
    codec::decode(body, MAX_FRAME).map_err(|_| PeerFault::Message(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(length: u64) -> Item {
        Item {
            document: DocumentId::from_bytes([255; 32]),
            incarnation: Incarnation::from_bytes([255; 8]),
            length,
            chain: Chain::from_bytes([255; 32]),
        }
    }

    #[test]
    fn the_fullest_frame_of_each_kind_stays_under_its_limit() {
        let (token, fingerprint) = (Token([255; 16]), Fingerprint([255; 32]));
        let chosen = Chosen { place: 255, proof: token, equal: false };
        let full = [
            Message::Hello(Hello {
                salt: token,
                festivals: vec![Offered { blinded: token, fingerprint }; MAX_FESTIVALS],
            }),
            Message::Open(Open {
                nonce: token,
                live: true,
                festivals: vec![chosen; MAX_FESTIVALS],
            }),
            Message::Answer(Answer { proofs: vec![token; MAX_FESTIVALS] }),
            Message::Vector(Vector {
                place: 255,
                logs: vec![item(u64::MAX); MAX_ITEMS],
                last: false,
            }),
            Message::Want(Want { logs: vec![item(u64::MAX); MAX_ITEMS], last: false }),
        ];
        for message in full {
            let frame = message.encode();
            assert!(frame.len() <= MAX_CONTROL, "{} bytes", frame.len());
            assert_eq!(Message::decode(&frame), Ok(Some(message)));
        }
    }

    #[test]
    fn an_unknown_type_is_skipped_and_another_version_is_named() {
        assert_eq!(Message::decode(&[200, 1, 2, 3]), Ok(None));
        assert_eq!(Message::decode(&[HELLO, 9, 1]), Ok(Some(Message::OtherVersion(9))));
        assert_eq!(Message::decode(&[]), Err(PeerFault::Message("an empty frame")));
    }

    #[test]
    fn a_frame_over_its_limit_is_refused_unread() {
        let frame = vec![DONE; MAX_CONTROL + 1];
        let fault = PeerFault::TooLarge { size: MAX_CONTROL + 1, limit: MAX_CONTROL };
        assert_eq!(Message::decode(&frame), Err(fault));
        assert!(matches!(
            Message::decode(&vec![200; MAX_FRAME + 1]),
            Err(PeerFault::TooLarge { .. })
        ));
    }

    #[test]
    fn a_log_of_a_vector_costs_at_most_87_bytes() {
        assert_eq!(codec::encode(&item(u64::MAX)).len(), 87);
        assert_eq!(codec::encode(&item(200)).len(), 80);
    }
}
