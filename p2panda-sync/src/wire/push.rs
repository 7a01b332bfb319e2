//! `PUSH`: segments of any logs, deflated together.
//!
//! Small changes resemble each other, so that many of them in one stream become three times
//! smaller. The size that they inflate to is said beforehand and bounded, so that a frame costs no
//! more memory than it is allowed to.

use std::io::{Read as _, Write as _};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use p2panda_core::{
    DocumentDescriptor, DocumentId, FestivalId, ForkProof, Incarnation, LogId, Seal, Segment,
    Signature, UserId, codec,
};
use serde_bytes::ByteBuf;

use super::{MAX_FRAME, messages};
use crate::error::PeerFault;

messages! {
    /// The frame: what the pieces deflate to, and the size they inflate to.
    Deflated {
        size: u64,
        bytes: ByteBuf,
    }

    /// A segment. The first of a log carries the document's descriptor instead of its id, the last
    /// of a cut log the fork proof instead of a signature.
    Piece {
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
}

impl Deflated {
    /// Inflates at most as much as was said and is allowed.
    pub(crate) fn open(&self) -> Result<Vec<Piece>, PeerFault> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        if size > MAX_FRAME {
            return Err(PeerFault::TooLarge { size, limit: MAX_FRAME });
        }
        let mut bytes = Vec::with_capacity(size);
        let mut inflating = ZlibDecoder::new(&self.bytes[..]).take(self.size + 1);
        let fault = PeerFault::Message("PUSH");
        inflating.read_to_end(&mut bytes).map_err(|_| fault.clone())?;
        if bytes.len() != size {
            return Err(fault);
        }
        codec::decode(&bytes, MAX_FRAME).map_err(|_| fault)
    }
}

/// Segments that are collected for a frame.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pieces: Vec<Piece>,
    size: usize,
}

/// A frame is sent when its pieces have so many bytes. The window of deflate is half as large.
const ENOUGH: usize = 64 * 1024;

/// The most that a piece can have: payloads, a fork proof and what is around them.
const MAX_PIECE: usize = 80 * 1024;

impl Batch {
    pub(crate) fn add(&mut self, piece: Piece) {
        self.size += piece.payloads.iter().map(|payload| payload.len() + 5).sum::<usize>() + 256;
        self.size += piece.fork.as_ref().map_or(0, |proof| proof.to_bytes().len());
        self.pieces.push(piece);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether it should be sent before more is added. `limit` is what the peer takes.
    pub(crate) const fn is_full(&self, limit: usize) -> bool {
        self.size >= ENOUGH || self.size + MAX_PIECE > limit
    }

    pub(crate) fn deflate(self) -> Deflated {
        let inflated = codec::encode(&self.pieces);
        let mut deflating = ZlibEncoder::new(Vec::new(), Compression::default());
        let written = deflating.write_all(&inflated).and_then(|()| deflating.finish());
        let bytes = written.expect("writing to memory does not fail");
        Deflated { size: inflated.len() as u64, bytes: bytes.into() }
    }
}

impl Piece {
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

#[cfg(test)]
mod tests {
    use super::*;
    use p2panda_core::{MAX_FORK_PROOF, MAX_SEGMENT};

    fn piece(size: usize) -> Piece {
        Piece {
            document: Some(DocumentId::from_bytes([1; 32])),
            owner: None,
            incarnation: Incarnation::from_bytes([2; 8]),
            from: 1,
            payloads: vec![vec![7; size].into()],
            fork: None,
            signature: Some(Signature::from_bytes([3; 64])),
        }
    }

    #[test]
    fn pieces_are_inflated_again() {
        let mut batch = Batch::default();
        let pieces: Vec<_> = (1..50).map(piece).collect();
        pieces.iter().for_each(|piece| batch.add(piece.clone()));
        let deflated = batch.deflate();
        assert!(deflated.bytes.len() < 1000);
        assert_eq!(deflated.open(), Ok(pieces));
    }

    #[test]
    fn a_frame_that_inflates_to_more_or_less_than_it_says_is_refused() {
        let mut batch = Batch::default();
        batch.add(piece(1000));
        let honest = batch.deflate();
        for size in [0, honest.size - 1, honest.size + 1, MAX_FRAME as u64] {
            let lying = Deflated { size, ..honest.clone() };
            assert_eq!(lying.open(), Err(PeerFault::Message("PUSH")), "{size}");
        }
        let much = Deflated { size: u64::MAX, ..honest };
        assert!(matches!(much.open(), Err(PeerFault::TooLarge { limit: MAX_FRAME, .. })));
    }

    #[test]
    fn a_bomb_costs_no_more_than_a_frame() {
        let mut deflating = ZlibEncoder::new(Vec::new(), Compression::best());
        (0..100).for_each(|_| deflating.write_all(&vec![0; 1 << 20]).unwrap());
        let bytes: ByteBuf = deflating.finish().unwrap().into();
        assert!(bytes.len() < 120_000);
        for size in [0, MAX_FRAME as u64] {
            let bomb = Deflated { size, bytes: bytes.clone() };
            assert_eq!(bomb.open(), Err(PeerFault::Message("PUSH")));
        }
    }

    #[test]
    fn the_fullest_batch_is_no_larger_than_a_frame() {
        let mut batch = Batch::default();
        while !batch.is_full(MAX_FRAME) {
            batch.add(piece(ENOUGH - 1000));
        }
        const { assert!(MAX_PIECE > MAX_SEGMENT + MAX_FORK_PROOF + 5 * 128 + 300) };
        assert!(batch.size + MAX_PIECE <= MAX_FRAME + ENOUGH);
        assert!(codec::encode(&batch.pieces).len() <= MAX_FRAME);
    }
}
