//! Asking for blobs, and what comes of it.

use p2panda_core::BlobId;
use serde_bytes::ByteBuf;

use super::messages;

messages! {
    /// Asks for pieces of a blob that a festival refers to: so many from the first, or the last one
    /// where it is not known how many there are, and not if the blob is larger than that. Without a
    /// blob: nothing more is wanted.
    BlobWant {
        place: u64,
        blob: Option<BlobId>,
        limit: u64,
        first: Option<u64>,
        count: u64,
    }

    /// A piece of a blob with its proof. Without bytes, what there is to say of the blob: it is not
    /// here, it is too large, or it is here now.
    Blob {
        blob: BlobId,
        size: Option<u64>,
        index: u64,
        bytes: ByteBuf,
    }
}
