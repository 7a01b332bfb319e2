use std::io::{self, Read};

use super::{
    CUT, CutBody, DOCUMENT, FESTIVAL, SEGMENT, SegmentBody,
    frame::{Frame, Reader},
};
use crate::{
    codec::{self, CodecError},
    festival::{Festival, TicketError},
    id::{FestivalId, LogId},
    log::{DocumentDescriptor, Seal, Segment},
    replica::{AcceptError, Accepted, ForkOutcome, Replica},
    store::StoreError,
};

/// The most refused frames that are listed.
const MAX_LISTED: usize = 32;

/// After so many bytes of segments what came so far is made durable.
const FLUSH_BYTES: usize = 4 * 1024 * 1024;

/// What an import brought: all of it was verified, and is durable.
#[derive(Debug, Default)]
pub struct Imported {
    /// The festival, which the replica follows from now on. `None` where the file ended before it.
    pub festival: Option<FestivalId>,
    /// Documents in the file.
    pub documents: u64,
    /// Entries that are new here.
    pub new: u64,
    /// Segments of which all entries were held already.
    pub held: u64,
    /// Segments and proofs that show, or met, logs cut because their authors signed two chains.
    pub cut: u64,
    /// Frames of later versions, which add to what was read and were skipped.
    pub skipped: u64,
    /// Frames that were refused, the first 32. The rest of the file was imported.
    pub refused: Vec<RefusedFrame>,
    /// How many frames were refused, those not listed included.
    pub refusals: u64,
}

/// A frame that was refused: nothing of it was kept.
#[derive(Debug)]
pub struct RefusedFrame {
    /// Where it starts in the file, in bytes.
    pub at: u64,
    /// The log, where the frame names one.
    pub log: Option<LogId>,
    /// Why.
    pub why: Refusing,
}

/// Why a frame was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusing {
    /// The file is damaged here, or whoever wrote it is at fault.
    #[error("the frame is malformed: {0}")]
    Malformed(#[from] CodecError),
    /// The file is damaged before it: no document goes before the segment.
    #[error("the segment's document is missing")]
    NoDocument,
    /// Whoever wrote the file is at fault: a document of another festival.
    #[error("the document belongs to another festival")]
    OtherFestival,
    /// Whoever wrote the file is at fault: a second festival.
    #[error("an archive holds one festival")]
    SecondFestival,
    /// The segment was judged as if a peer had sent it; the error says whose fault it is.
    #[error(transparent)]
    Segment(AcceptError),
}

/// Why an import ended before its file did. What came before is imported, and durable unless the
/// store failed.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct ImportError {
    /// What was imported before.
    pub imported: Box<Imported>,
    /// Why it ended.
    #[source]
    pub why: ImportFault,
}

/// What ends an import.
#[derive(Debug, thiserror::Error)]
pub enum ImportFault {
    /// This device's fault: the file could not be read.
    #[error("the archive could not be read: {0}")]
    Io(io::Error),
    /// The caller's fault: another kind of file.
    #[error("the file is no archive of a festival")]
    NotAnArchive,
    /// Nobody's fault: the file is of a later format.
    #[error("the archive is of a later format; use a newer version")]
    NewerFormat,
    /// Nobody's fault: a frame that later versions write, without which the rest means nothing.
    #[error("the archive has a frame of kind {kind} at byte {at}; use a newer version")]
    NewerFrame {
        /// Where it starts in the file.
        at: u64,
        /// Its kind.
        kind: u8,
    },
    /// The file was cut off.
    #[error("the archive is cut off at byte {at}")]
    Truncated {
        /// Where the file ends.
        at: u64,
    },
    /// The file is damaged, so that the frames behind cannot be told apart.
    #[error("the archive is damaged at byte {at}: {what}")]
    Damaged {
        /// Where the frame starts in the file.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The festival is not one that can be followed.
    #[error("the archive's festival cannot be followed: {0}")]
    Festival(TicketError),
    /// This device's store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Replica {
    /// Reads an archive and takes in what it holds, frame by frame, each as if a peer had sent it;
    /// the replica follows the festival from then on. A frame that is refused is listed, and the
    /// others are imported.
    ///
    /// # Errors
    /// [`ImportError`] where the file ends early or cannot be read on; it says what was imported.
    pub fn import(&mut self, from: &mut impl Read) -> Result<Imported, ImportError> {
        let mut imported = Imported::default();
        let read = self.import_frames(from, &mut imported);
        let why = match read {
            Err(error @ ImportFault::Store(_)) => Some(error),
            read => self.flush().err().map(ImportFault::Store).or_else(|| read.err()),
        };
        match why {
            None => Ok(imported),
            Some(why) => Err(ImportError { imported: Box::new(imported), why }),
        }
    }

    fn import_frames(
        &mut self,
        from: &mut dyn Read,
        imported: &mut Imported,
    ) -> Result<(), ImportFault> {
        let mut reader = Reader::new(from)?;
        let festival = match reader.next()? {
            Some(Frame { kind: FESTIVAL, body, .. }) => {
                Festival::from_bytes(&body).map_err(ImportFault::Festival)?
            }
            _ => return Err(ImportFault::Damaged { at: 0, what: "the festival is missing" }),
        };
        self.join(&festival)?;
        imported.festival = Some(festival.id());
        let mut document = None;
        let mut unflushed = 0;
        loop {
            let frame = reader.next();
            imported.skipped = reader.skipped();
            let Some(Frame { at, kind, body }) = frame? else { return Ok(()) };
            let (log, result) = match kind {
                DOCUMENT => {
                    // Whatever follows a document that cannot be read is not the last one's.
                    document = None;
                    let read = read_document(&body, festival.id());
                    (None, read.map(|read| document = Some(read)))
                }
                SEGMENT | CUT => {
                    unflushed += body.len();
                    self.import_entries(document.as_ref(), kind, &body, imported)?
                }
                _ => (None, Err(Refusing::SecondFestival)),
            };
            imported.documents += u64::from(kind == DOCUMENT && result.is_ok());
            if let Err(why) = result {
                imported.refusals += 1;
                if imported.refused.len() < MAX_LISTED {
                    imported.refused.push(RefusedFrame { at, log, why });
                }
            }
            if unflushed > FLUSH_BYTES {
                self.flush()?;
                unflushed = 0;
            }
        }
    }

    /// Takes entries in, or says why not; an error is the store's.
    fn import_entries(
        &mut self,
        descriptor: Option<&DocumentDescriptor>,
        kind: u8,
        body: &[u8],
        imported: &mut Imported,
    ) -> Result<(Option<LogId>, Result<(), Refusing>), StoreError> {
        let Some(descriptor) = descriptor else { return Ok((None, Err(Refusing::NoDocument))) };
        let segment = match read_entries(descriptor, kind, body) {
            Ok(segment) => segment,
            Err(error) => return Ok((None, Err(error.into()))),
        };
        let log = segment.log;
        let result = match segment.seal {
            Seal::Fork(proof) if segment.payloads.is_empty() => {
                self.accept_fork(descriptor, *proof).map(|outcome| match outcome {
                    ForkOutcome::Cut { .. } | ForkOutcome::Known { .. } => imported.cut += 1,
                    // It acts once the log has arrived that it is about.
                    ForkOutcome::Unknown | ForkOutcome::OtherChain => {}
                })
            }
            seal => {
                let is_cut = matches!(seal, Seal::Fork(_));
                let accepted = self.accept(descriptor, Segment { seal, ..segment });
                accepted.map(|accepted| match accepted {
                    Accepted::New { entries } => {
                        imported.new += entries;
                        imported.cut += u64::from(is_cut);
                    }
                    Accepted::Duplicate => imported.held += 1,
                    Accepted::Cut { .. } => imported.cut += 1,
                })
            }
        };
        match result {
            Err(AcceptError::Store(error)) => Err(error),
            result => Ok((Some(log), result.map_err(Refusing::Segment))),
        }
    }
}

fn read_entries(
    descriptor: &DocumentDescriptor,
    kind: u8,
    body: &[u8],
) -> Result<Segment, CodecError> {
    let document = descriptor.id();
    let (log, from, payloads, seal) = if kind == CUT {
        let (from, payloads, proof): CutBody = codec::decode(body, body.len())?;
        if proof.log.document != document {
            return Err(CodecError::Shape("a proof of another document".to_owned()));
        }
        (proof.log, from, payloads, Seal::Fork(Box::new(proof)))
    } else {
        let (incarnation, from, payloads, signature): SegmentBody =
            codec::decode(body, body.len())?;
        (LogId { document, incarnation }, from, payloads, Seal::Signature(signature))
    };
    let payloads = payloads.into_iter().map(serde_bytes::ByteBuf::into_vec).collect();
    Ok(Segment { log, from, payloads, seal })
}

fn read_document(body: &[u8], festival: FestivalId) -> Result<DocumentDescriptor, Refusing> {
    let (of, user, label) = codec::decode(body, body.len())?;
    let descriptor = DocumentDescriptor { festival: of, user, label };
    let (size, limit) = (descriptor.label.len(), DocumentDescriptor::MAX_LABEL);
    if size > limit {
        return Err(CodecError::TooLarge { size, limit }.into());
    }
    if of == festival { Ok(descriptor) } else { Err(Refusing::OtherFestival) }
}
