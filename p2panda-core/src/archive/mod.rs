//! One file that holds all that a replica holds of a festival: anyone with the published format can
//! verify it offline, and any replica can import it.
//!
//! A magic line, then frames: a kind, a length, a body. Kinds below 128 change what the rest means,
//! so a reader that does not know one stops; the others only add to it and are skipped. The last
//! frame counts the others, so a file that was cut off is noticed. Nothing in the file is believed:
//! each frame passes the same checks as what a peer sends.
//!
//! ```
//! use p2panda_core::{Identity, Replica, schema::{FestivalInfo, Instant}, store::{MemoryStore, NoResume}};
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
//! # let mut rng = ChaCha20Rng::seed_from_u64(7);
//! # let open = |identity| Replica::open(Box::new(MemoryStore::new()), identity, Box::new(NoResume));
//! # let mut ada = open(Identity::generate(&mut rng))?;
//! # let mut bob = open(Identity::generate(&mut rng))?;
//! let info = FestivalInfo { title: "Lake Festival".into(), ..FestivalInfo::default() };
//! let festival = ada.create_festival(&info, Instant::from_millis(0), &mut rng)?;
//!
//! let mut file = Vec::new();
//! ada.export(festival.id(), &mut file)?;
//! let imported = bob.import(&mut &file[..])?;
//! assert!(imported.refused.is_empty());
//! assert_eq!(bob.view(festival.id()).info()?.unwrap().title, "Lake Festival");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod export;
mod frame;
mod import;

use serde_bytes::ByteBuf;

pub use export::{ExportError, Exported};
pub use import::{ImportError, ImportFault, Imported, RefusedFrame, Refusing};

use crate::{
    id::Incarnation,
    identity::Signature,
    log::{ForkProof, MAX_FORK_PROOF},
};

/// How every archive begins, up to the number of its format.
pub const MAGIC: &[u8] = b"p2panda archive ";

/// What follows [`MAGIC`] in this format.
const VERSION: &[u8] = b"1\n";

/// The last frame: how many came before it.
const END: u8 = 0;
/// A festival's descriptor and signature: the first frame.
const FESTIVAL: u8 = 1;
/// A document's descriptor: what follows, up to the next one, belongs to the document.
const DOCUMENT: u8 = 2;
/// A segment of a log of the document.
const SEGMENT: u8 = 3;
/// The end of a log that is cut, because its author signed two chains: the last entries that count,
/// where no signed head ends with them, and the proof.
const CUT: u8 = 4;

/// The first kind that a reader skips where it does not know it.
const OPTIONAL: u8 = 128;

/// The most bytes of a frame of a kind that this version reads; `None` for other kinds.
///
/// A segment's frame holds 64 KiB of payloads, 3 bytes before each of 128, and 122 besides; that of
/// a cut a proof in place of the signature.
const fn limit(kind: u8) -> Option<usize> {
    match kind {
        END | FESTIVAL | DOCUMENT => Some(256),
        SEGMENT => Some(66 * 1024),
        CUT => Some(66 * 1024 + MAX_FORK_PROOF),
        _ => None,
    }
}

/// The body of a segment's frame: incarnation, length before it, entries, signature of the head.
/// The document is that of the frame before.
type SegmentBody = (Incarnation, u64, Vec<ByteBuf>, Signature);

/// The body of a cut's frame: length before its entries, entries, proof.
type CutBody = (u64, Vec<ByteBuf>, ForkProof);
