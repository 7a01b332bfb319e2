//! Ids that every importer derives alike.

use data_encoding::BASE32_NOPAD;

/// Bytes of the hash that an id keeps: 80 bits, 16 letters.
const ID_BYTES: usize = 10;

/// The local id of what `source` calls `guid`: 16 letters of lowercase base32.
///
/// Stable for ever and the same on every device, so that importing a schedule
/// again finds the entities of the last time. `source` names where the guid is
/// unique, usually the address that the schedule is fetched from, and holds no
/// NUL: the first NUL is what parts the two.
///
/// It is the first 10 bytes of BLAKE3 in its key derivation mode, context
/// `p2panda interchange id 1`, over `source`, a zero byte and `guid`.
#[must_use]
pub fn local_id(source: &str, guid: &str) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("p2panda interchange id 1");
    hasher.update(source.as_bytes());
    hasher.update(&[0]);
    hasher.update(guid.as_bytes());
    let hash = hasher.finalize();
    BASE32_NOPAD.encode(&hash.as_bytes()[..ID_BYTES]).to_ascii_lowercase()
}
