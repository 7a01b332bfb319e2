//! Images and files: named by their BLAKE3 hash, kept beside the store and never in a document.

#[cfg(feature = "blobs")]
mod files;
#[cfg(feature = "blobs")]
mod piece;
#[cfg(feature = "blobs")]
mod store;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

#[cfg(feature = "blobs")]
pub use self::{
    piece::{BlobPiece, PIECE},
    store::{BlobError, BlobProgress, BlobStore, MAX_BLOB},
};
use crate::id::{ParseIdError, byte_id, from_text, to_text};

byte_id!(
    /// An image or a file: the BLAKE3 hash of its bytes. It is public: whoever has the bytes knows
    /// the id.
    BlobId, 32, "a blob id (52 letters and digits)"
);

impl BlobId {
    /// The id of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}
