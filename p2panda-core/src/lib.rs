//! The facts of a festival: keys, signed logs, documents, views and storage.
//!
//! A festival is planned by people whose devices meet now and then. Each device holds a
//! [`Replica`]: its own copy of what it has been told. What its user writes goes into an
//! append-only signed log; logs travel between devices as opaque bytes; each replica turns the
//! logs it holds into documents, and those into a [`view`] that answers questions.
//!
//! ```
//! use p2panda_core::{Identity, Replica, schema::{Event, FestivalInfo, Instant}, store::{MemoryStore, NoResume}};
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
//! # let mut rng = ChaCha20Rng::seed_from_u64(7);
//! let open = |identity| Replica::open(Box::new(MemoryStore::new()), identity, Box::new(NoResume));
//! let mut ada = open(Identity::generate(&mut rng))?;
//! let mut bob = open(Identity::generate(&mut rng))?;
//!
//! let info = FestivalInfo { title: "Lake Festival".into(), ..FestivalInfo::default() };
//! let festival = ada.create_festival(&info, Instant::from_millis(0), &mut rng)?;
//! bob.join(&festival)?;
//!
//! // What p2panda-sync does over a network: hand over verified pieces of logs.
//! for (log, _) in ada.logs(festival.id())? {
//!     let descriptor = ada.descriptor(&log.document)?.expect("a log's document is known");
//!     while let Some(segment) = ada.segment(&log, bob.held(&log)?.map_or(0, |tip| tip.length))? {
//!         bob.accept(&descriptor, segment.into_segment())?;
//!     }
//! }
//! assert_eq!(bob.view(festival.id()).info()?.unwrap().title, "Lake Festival");
//! assert_eq!(ada.fingerprint_view()?, bob.fingerprint_view()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`schema`] | entities, records and their fields |
//! | [`view`] | the read model, and the facts that policies judge |
//! | [`store`] | where bytes are kept |
//! | [`codec`] | the one byte encoding |
//! | [`archive`] | a festival in one file |

pub mod archive;
mod blob;
pub mod codec;
mod document;
mod festival;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod hash;
mod id;
mod identity;
mod link;
mod log;
mod replica;
pub mod schema;
pub mod store;
pub mod view;

pub use blob::BlobId;
#[cfg(feature = "blobs")]
pub use blob::{BlobError, BlobPiece, BlobProgress, BlobStore, MAX_BLOB, PIECE};
pub use document::{DraftError, Refusal};
pub use festival::{Festival, Ticket, TicketError};
pub use id::{DocumentId, EntityId, FestivalId, Incarnation, LocalId, LogId, ParseIdError, UserId};
pub use identity::{Identity, Signature};
pub use link::{ChannelBinding, LinkEnd, LinkId, LinkProof};
pub use log::{
    BLOCK, Chain, DocumentDescriptor, EarlySegments, ForkError, ForkEvidence, ForkProof,
    MAX_EVIDENCE, MAX_FORK_PROOF, MAX_LENGTH, MAX_PAYLOAD, MAX_SEGMENT, PayloadHash, Run, Seal,
    Segment, SegmentError, Tip, VerifiedFork, VerifiedSegment, block_end,
};
pub use replica::{
    AcceptError, Accepted, BlockedLog, CutBranch, Edit, EditError, Fork, ForkOutcome, LogChange,
    LogEntry, MAX_DOCUMENTS, MAX_FOLLOWED_LINKS, MAX_KEPT, MAX_KEPT_FORKS, MAX_NOTE, MAX_NOTE_KEY,
    NoteError, OpenError, RemoveError, Replica, Stopped, Subscription,
};
